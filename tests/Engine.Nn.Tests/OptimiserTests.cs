using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Nn.Tests;

public class OptimiserTests
{
    /// <summary>Adam written out by hand in float64, with decoupled weight decay and clipping of the joint norm.</summary>
    [Theory]
    [InlineData(0, null)]
    [InlineData(0.1, null)]
    [InlineData(0, 0.5)]
    public void Adam_follows_its_formula(double weightDecay, double? clip)
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        var p = state.Add("p", [2], new float[] { 1, -2 });
        var q = state.Add("q", [1], new float[] { 0.5f });
        var settings = new AdamSettings { LearningRate = new CosineSchedule(0.1, 8), WeightDecay = weightDecay, MaxGradientNorm = clip };
        var optimiser = new AdamOptimiser(state, "test", [p, q], settings);
        var graph = new Graph();
        var loss = graph.Read(p).Square().Sum() * 1.5 + (graph.Read(q) - 3).Square().Sum();
        graph.Output("loss", loss);
        optimiser.Minimise(loss);
        var exact = new Interpreter<double>(graph);
        exact.Load(state);
        using var program = new Program(graph, state);

        double[] x = [1, -2, 0.5], m = new double[3], v = new double[3];
        for (int k = 0; k < 10; k++)
        {
            double[] g = [3 * x[0], 3 * x[1], 2 * (x[2] - 3)];
            double norm = Math.Sqrt(g.Sum(d => d * d)), factor = clip is { } limit ? Math.Min(1, limit / (norm + 1e-6)) : 1;
            double rate = 0.1 * (1 + Math.Cos(Math.PI * Math.Min(1, k / 8.0))) / 2;
            for (int i = 0; i < 3; i++)
            {
                m[i] = 0.9 * m[i] + 0.1 * g[i] * factor;
                v[i] = 0.999 * v[i] + 0.001 * Math.Pow(g[i] * factor, 2);
                x[i] = x[i] * (1 - rate * weightDecay) - rate / (1 - Math.Pow(0.9, k + 1)) * m[i] / (Math.Sqrt(v[i]) / Math.Sqrt(1 - Math.Pow(0.999, k + 1)) + 1e-8);
            }
            exact.Run();
            program.Run();
            Assert.Equal(x[0], exact.Variable("p", p.Type).Floats[0], 1e-10);
            Assert.Equal(x[2], exact.Variable("q", q.Type).Floats[0], 1e-10);
            Assert.Equal(x[1], state.Read("p")[1], 1e-5);
        }
        Assert.Equal(10, state.ReadInts("adam.step.test")[0]);
    }

    /// <summary>What no longer gets gradients keeps no subnormal moments, with which every later update would take several times as long; small moments that may still grow stay.</summary>
    [Fact]
    public void Moments_without_gradients_become_zero()
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        var p = state.Add("p", [37], Enumerable.Repeat(1f, 37).ToArray());
        var optimiser = new AdamOptimiser(state, "test", [p], new AdamSettings());
        using var program = Program.Trace(state, graph => optimiser.Minimise((graph.Read(p) * graph.Input("scale", TensorType.Float(Shape.Scalar))).Sum()));
        program.Write("scale", [1f]);
        program.Run();
        program.Write("scale", [0f]);
        program.Run(600);
        Assert.All(state.Read("adam.first_moment.p"), m => Assert.True(m > 0 && float.IsNormal(m)));
        program.Run(100);
        Assert.All(state.Read("adam.first_moment.p"), m => Assert.Equal(0f, m));
        state.Write("adam.second_moment.p", Enumerable.Repeat(1.1754944e-38f, 37).ToArray());
        program.Run();
        Assert.All(state.Read("adam.second_moment.p"), v => Assert.Equal(0f, v));
        float[] last = state.Read("p");
        program.Run();
        Assert.Equal(last, state.Read("p"));
    }

    [Fact]
    public void Schedules_have_their_values()
    {
        var graph = new Graph();
        var k = graph.Input("k", TensorType.Float(Shape.Scalar));
        graph.Output("linear", new LinearSchedule(1, 0.2, 10).At(k));
        graph.Output("cosine", new CosineSchedule(2, 10).At(k));
        graph.Output("warm", new WarmUpSchedule(3.0, 4).At(k));
        var interpreter = new Interpreter<double>(graph);
        foreach (var (at, linear, cosine, warm) in new[] { (0.0, 1.0, 2.0, 0.75), (5, 0.6, 1, 3), (10, 0.2, 0, 3), (99, 0.2, 0, 3) })
        {
            interpreter.Input("k").Floats[0] = at;
            interpreter.Run();
            Assert.Equal(linear, interpreter.Output("linear").Floats[0], 1e-12);
            Assert.Equal(cosine, interpreter.Output("cosine").Floats[0], 1e-12);
            Assert.Equal(warm, interpreter.Output("warm").Floats[0], 1e-12);
        }
    }

    [Fact]
    public void Polyak_moves_the_target_by_its_rate()
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        var online = state.Add("online", [2], new float[] { 1, 3 });
        var target = state.Add("target", [2], new float[] { 0, 1 });
        using var program = Program.Trace(state, g => Targets.Polyak(g, new ParameterList(online), new ParameterList(target), 0.25));
        program.Run();
        Assert.Equal([0.25f, 1.5f], state.Read("target"));
        Targets.Copy(state, new ParameterList(online), new ParameterList(target));
        Assert.Equal([1f, 3f], state.Read("target"));
        var other = state.Add("other", [3], new float[3]);
        Assert.Contains("other", Assert.Throws<ShapeException>(() => Targets.Copy(state, new ParameterList(online), new ParameterList(other))).Message, StringComparison.Ordinal);
        Assert.Throws<ShapeException>(() => Targets.Copy(state, new ParameterList(online), new ParameterList(target, other)));
    }
}
