using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Nn.Tests;

public sealed class LayerTests : IDisposable
{
    private readonly CpuDevice _device = new();
    private readonly State _state;

    public LayerTests() => _state = new State(_device);

    public void Dispose()
    {
        _state.Dispose();
        _device.Dispose();
    }

    private static float[] Normals(long n, string name)
    {
        var stream = new PhiloxStream(2, name);
        return Enumerable.Range(0, (int)n).Select(_ => (float)stream.NextNormal()).ToArray();
    }

    [Fact]
    public void A_member_of_an_ensemble_equals_the_single_network_with_its_parameters()
    {
        var settings = new MlpSettings { HiddenSizes = [8, 6], LayerNormEpsilon = 1e-5 };
        var ensemble = new Mlp(new Builder(_state, 1)["e"], 4, 2, settings, members: 3);
        var single = new Mlp(new Builder(_state, 1)["s"], 4, 2, settings);
        for (int layer = 0; layer < 3; layer++)
            foreach (string part in new[] { "weight", "bias" })
            {
                var all = _state.Read($"e.layer{layer}.{part}");
                _state.Write($"s.layer{layer}.{part}", all.AsSpan(all.Length / 3, all.Length / 3)); // member 1
            }
        using var program = Program.Trace(_state, g =>
        {
            var x = g.Input("x", TensorType.Float([5, 4]));
            g.Output("ensemble", ensemble.Apply(x).At(0, 1));
            g.Output("single", single.Apply(x));
        });
        program.Write("x", Normals(20, "x"));
        program.Run();
        Assert.Equal(program.Read("single"), program.Read("ensemble"));
    }

    [Fact]
    public void Members_draw_from_streams_of_their_own()
    {
        _ = new LinearLayer(new Builder(_state, 1)["two"], 2, 3, 4, Initialiser.UniformFanIn, Initialiser.UniformFanIn);
        _ = new LinearLayer(new Builder(_state, 1)["three"], 3, 3, 4, Initialiser.UniformFanIn, Initialiser.UniformFanIn);
        var values = _state.Read("two.weight");
        Assert.NotEqual(values[..12], values[12..]);
        using var other = new State(_device);
        _ = new LinearLayer(new Builder(other, 1)["two"], 3, 3, 4, Initialiser.UniformFanIn, Initialiser.UniformFanIn);
        Assert.Equal(values, other.Read("two.weight")[..24]); // a third member changes nothing for the first two
    }

    [Fact]
    public void Initialisers_have_their_bounds()
    {
        var stream = new PhiloxStream(1, "bounds");
        float Largest(Initialiser i) => i.Sample([400, 25], 400, 25, stream).Max(MathF.Abs);
        Assert.InRange(Largest(Initialiser.UniformFanIn), 0.049f, 0.05f);
        Assert.InRange(Largest(Initialiser.UniformFanOut), 0.19f, 0.2f);
        Assert.InRange(Largest(Initialiser.Uniform(3e-3)), 2.9e-3f, 3e-3f);
        Assert.Equal(0.1f, Largest(Initialiser.Constant(0.1)));
        foreach (var shape in new Shape[] { [5, 9], [9, 5], [4, 4] })
        {
            var w = Initialiser.Orthogonal(2).Sample(shape, 0, 0, stream);
            int rows = Math.Min(shape[0], shape[1]);
            float At(int r, int c) => shape[0] <= shape[1] ? w[r * shape[1] + c] : w[c * shape[1] + r];
            for (int a = 0; a < rows; a++)
                for (int b = 0; b < rows; b++)
                    Assert.Equal(a == b ? 4 : 0, Enumerable.Range(0, Math.Max(shape[0], shape[1])).Sum(c => (double)At(a, c) * At(b, c)), 1e-5);
        }
    }

    public static TheoryData<string, double, double> ActivationValues() => new()
    {
        { "relu", -1.5, 0 }, { "tanh", 0.7, Math.Tanh(0.7) }, { "silu", 1.2, 1.2 / (1 + Math.Exp(-1.2)) }, { "mish", -0.8, -0.8 * Math.Tanh(Math.Log(1 + Math.Exp(-0.8))) },
        { "gelu", 0.9, 0.9 * 0.8159398746532405 }, { "elu", -2, Math.Exp(-2) - 1 }, { "elu", 3, 3 }, { "leaky_relu", -3, -0.03 },
    };

    [Theory]
    [MemberData(nameof(ActivationValues))]
    public void Activations_have_their_values(string name, double x, double expected)
    {
        var graph = new Graph();
        graph.Output("y", Activations.Named(name)(graph.Constant(x)));
        var interpreter = new Interpreter<double>(graph);
        interpreter.Run();
        Assert.Equal(expected, interpreter.Output("y").Floats[0], 1e-12);
    }

    [Fact]
    public void Elu_has_a_finite_gradient_for_large_inputs()
    {
        var graph = new Graph();
        var x = graph.Input("x", TensorType.Float([2]));
        graph.Output("d", Gradients.Of(Activations.Elu(x).Sum(), x)[0]);
        var interpreter = new Interpreter<float>(graph);
        (interpreter.Input("x").Floats[0], interpreter.Input("x").Floats[1]) = (1000, -1);
        interpreter.Run();
        Assert.Equal(1, interpreter.Output("d").Floats[0]);
        Assert.Equal(Math.Exp(-1), interpreter.Output("d").Floats[1], 1e-6);
    }

    [Fact]
    public void Both_forms_of_the_tanh_correction_agree_and_the_density_integrates_to_one()
    {
        var graph = new Graph();
        const int n = 20_001;
        var grid = Enumerable.Range(0, n).Select(i => -0.99999 + i * (2 * 0.99999 / (n - 1))).ToArray();
        Tensor mean = graph.Constant(TensorType.Float([n, 1]), 0.4), logStd = graph.Constant(TensorType.Float([n, 1]), -0.5);
        var action = graph.Constant(TensorType.Float([n, 1]), grid);
        graph.Output("stable", new TanhGaussian(mean, logStd).LogProb(action));
        graph.Output("epsilon", new TanhGaussian(mean, logStd, 1e-12).LogProb(action));
        var noise = graph.Constant(TensorType.Float([3, 1]), -1.5, 0.2, 1.1);
        var sampled = new TanhGaussian(graph.Constant(TensorType.Float([3, 1]), 0.4), graph.Constant(TensorType.Float([3, 1]), -0.5)).Sample(noise);
        graph.Output("sampled", sampled.LogProb);
        graph.Output("again", new TanhGaussian(graph.Constant(TensorType.Float([3, 1]), 0.4), graph.Constant(TensorType.Float([3, 1]), -0.5)).LogProb(sampled.Action));
        var interpreter = new Interpreter<double>(graph);
        interpreter.Run();
        var stable = interpreter.Output("stable").Floats;
        double integral = stable.Sum(l => Math.Exp(l)) * (2 * 0.99999 / (n - 1));
        Assert.Equal(1, integral, 1e-3);
        for (int i = 100; i < n - 100; i += 100) Assert.Equal(stable[i], interpreter.Output("epsilon").Floats[i], 1e-6);
        for (int i = 0; i < 3; i++) Assert.Equal(interpreter.Output("sampled").Floats[i], interpreter.Output("again").Floats[i], 1e-9);
    }

    [Fact]
    public void Categorical_and_gaussian_match_their_formulas()
    {
        var graph = new Graph();
        var logits = graph.Constant(TensorType.Float([1, 3]), 0.1, 1.2, -0.7);
        var categorical = new Categorical(logits);
        graph.Output("log_prob", categorical.LogProb(graph.Constant(TensorType.Int([1]), 1)));
        graph.Output("entropy", categorical.Entropy());
        var gaussian = new Gaussian(graph.Constant(TensorType.Float([1, 2]), 0.5, -1), graph.Constant(TensorType.Float([1, 2]), 0, Math.Log(2)));
        graph.Output("density", gaussian.LogProb(graph.Constant(TensorType.Float([1, 2]), 1, 1)));
        graph.Output("spread", gaussian.Entropy());
        var interpreter = new Interpreter<double>(graph);
        interpreter.Run();
        double[] e = [Math.Exp(0.1), Math.Exp(1.2), Math.Exp(-0.7)];
        var p = e.Select(v => v / e.Sum()).ToArray();
        Assert.Equal(Math.Log(p[1]), interpreter.Output("log_prob").Floats[0], 1e-12);
        Assert.Equal(-p.Sum(v => v * Math.Log(v)), interpreter.Output("entropy").Floats[0], 1e-12);
        Assert.Equal(-0.125 - 0.5 - Math.Log(2) - Math.Log(2 * Math.PI), interpreter.Output("density").Floats[0], 1e-12);
        Assert.Equal(Math.Log(2) + 1 + Math.Log(2 * Math.PI), interpreter.Output("spread").Floats[0], 1e-12);
    }

    [Fact]
    public void Categorical_draws_follow_the_probabilities()
    {
        var generator = RandomDraws.AddState(_state, 4);
        using var program = Program.Trace(_state, g =>
        {
            g.Random.Use(generator);
            var logits = g.Constant(TensorType.Float([1, 3]), Math.Log(0.2), Math.Log(0.5), Math.Log(0.3)).BroadcastTo([50_000, 3]);
            g.Output("counts", new Categorical(logits).Sample("class").OneHot(3).Mean(0));
        });
        program.Run();
        var counts = program.Read("counts");
        Assert.Equal([0.2, 0.5, 0.3], counts.Select(c => Math.Round(c, 2)));
    }

    [Fact]
    public void The_norm_has_a_zero_gradient_at_zero()
    {
        var graph = new Graph();
        var x = graph.Constant(TensorType.Float([2, 2]), 0, 0, 3, 4);
        graph.Output("norm", x.NormKeep());
        graph.Output("d", Gradients.Of(x.NormKeep().Sum(), x)[0]);
        var interpreter = new Interpreter<double>(graph);
        interpreter.Run();
        Assert.Equal([0, 5], interpreter.Output("norm").Floats);
        Assert.Equal([0, 0, 0.6, 0.8], interpreter.Output("d").Floats.Select(v => Math.Round(v, 12)));
    }
}
