using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cpu;
using Engine.Nn.Diffusion;

namespace Engine.Nn.Tests.Diffusion;

public sealed class GuidanceTests : IDisposable
{
    private readonly CpuDevice _device = new();
    private readonly State _state;

    public GuidanceTests() => _state = new State(_device);

    public void Dispose()
    {
        _state.Dispose();
        _device.Dispose();
    }

    private float[] Run(Func<Graph, Tensor, Tensor> trace, int rows)
    {
        var stream = new PhiloxStream(4, "start");
        using var program = Program.Trace(_state, g => g.Output("y", trace(g, g.Input("x", TensorType.Float([rows, 2])))));
        program.Write("x", Enumerable.Range(0, rows * 2).Select(_ => (float)stream.NextNormal()).ToArray());
        program.Run();
        return program.Read("y");
    }

    /// <summary>A classifier's log probability of a part turns the mixture into that part, whatever the network predicts: mean and spread are the part's.</summary>
    [Theory, MemberData(nameof(ScheduleTests.Predictions), MemberType = typeof(ScheduleTests))]
    public void A_classifier_chooses_a_part(string name)
    {
        if (name is "flow" or "edm") return; // samplers of a schedule below
        const int rows = 1024;
        var (prediction, schedule) = (ScheduleTests.Named(name), NoiseSchedule.Linear(200));
        var sampler = Samplers.Ddim(schedule, prediction, 100);
        (double Signal, double Noise) Level(int k) => (schedule.Signal((int)sampler.Times[k]), schedule.Noise((int)sampler.Times[k]));
        var part = Mixture.Part(0);
        Tensor LogProbability(Tensor x, int k)
        {
            var (signal, noise) = Level(k);
            double variance = signal * signal * part.Std * part.Std + noise * noise;
            var density = (x - x.Graph.Constant(TensorType.Float([2]), signal * part.X, signal * part.Y)).Square().Sum(-1) * (-0.5 / variance) - Math.Log(variance);
            return density - Mixture.LogDensity(x, signal, noise);
        }
        var y = Run((_, x) => sampler.Run(x, Guidance.Classifier((s, k) => Mixture.Output(prediction, s, Level(k).Signal, Level(k).Noise), prediction, Level, LogProbability, 1)), rows);
        double mean = Enumerable.Range(0, rows).Average(i => y[2 * i]), spread = Math.Sqrt(Enumerable.Range(0, rows).Average(i => Math.Pow(y[2 * i] - mean, 2)));
        Assert.Equal(part.X, mean, 0.03);
        Assert.InRange(spread / part.Std, 0.9, 1.15);
    }

    [Fact]
    public void Without_a_classifier_outputs_are_mixed()
    {
        Tensor Twice(Tensor x, int k) => x * 2;
        Tensor Thrice(Tensor x, int k) => x * 3;
        float[] x = Run((_, s) => s, 3);
        foreach (double weight in new[] { 0, 1, 1.5 })
            Assert.Equal(x.Select(v => (float)(v * (2 + weight))), Run((_, s) => Guidance.ClassifierFree(Twice, Thrice, weight)(s, 0), 3), (a, b) => Math.Abs(a - b) < 1e-5);
    }

    [Fact]
    public void Known_parts_stay_and_the_rest_follows_them()
    {
        const int rows = 512;
        var schedule = NoiseSchedule.Linear(100);
        var sampler = Samplers.Ddpm(schedule, Prediction.Noise, null);
        var y = Run((g, x) => sampler.Run(x, (s, k) => Mixture.Noise(s, schedule.Signal((int)sampler.Times[k]), schedule.Noise((int)sampler.Times[k])), k => g.Constant(TensorType.Float([rows, 2]), Enumerable.Range(0, rows * 2).Select(i => Math.Sin(i * 12.9898 + k * 78.233) * 1.4).ToArray()),
            (s, _) => Guidance.Known(s, s.Graph.Constant(TensorType.Float([2]), -0.6, 0), s.Graph.Constant(TensorType.Boolean([2]), 1, 0))), rows);
        Assert.All(Enumerable.Range(0, rows), i => Assert.Equal(-0.6f, y[2 * i]));
        Assert.Equal(0.2, Enumerable.Range(0, rows).Average(i => y[2 * i + 1]), 0.1); // of the part that has such a first coordinate, not of the other, -0.1
    }

    [Fact]
    public void Steps_up_a_value_climb()
    {
        float[] x = Run((_, s) => s, 3), y = Run((_, s) => Guidance.Ascend(s, v => -v.Square().Sum(-1), 0.1, 2, after: v => v + 1), 3);
        Assert.Equal(x.Select(v => (v * 0.8f + 1) * 0.8f + 1), y, (a, b) => Math.Abs(a - b) < 1e-5);
    }
}
