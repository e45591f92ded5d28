using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cpu;
using Engine.Nn.Diffusion;

namespace Engine.Nn.Tests.Diffusion;

/// <summary>Samplers with the exact network of a mixture of normals: moments and shares of what they draw, and how errors fall with the number of steps.</summary>
public sealed class SamplerTests
{
    private static readonly NoiseSchedule Fine = NoiseSchedule.Linear(1000);

    /// <summary>A sampler by name, its prediction, signal and noise at a time, and the standard deviation that it starts from.</summary>
    private static (Sampler Sampler, Prediction Prediction, Func<double, (double Signal, double Noise)> Level, double Start) Of(string name, int count)
    {
        var schedule = name.StartsWith("ddpm", StringComparison.Ordinal) ? NoiseSchedule.Linear(count) : name.StartsWith("ddim", StringComparison.Ordinal) ? Fine : null;
        (double, double) Step(double i) => (schedule!.Signal((int)i), schedule.Noise((int)i));
        static (double, double) Time(double t) => (t, 1 - t);
        switch (name)
        {
            case "ddpm": return (Samplers.Ddpm(schedule!, Prediction.Noise, null), Prediction.Noise, Step, 1);
            case "ddpm of samples": return (Samplers.Ddpm(schedule!, Prediction.Sample, 5), Prediction.Sample, Step, 1);
            case "ddpm of noise": return (Samplers.DdpmOfNoise(schedule!, Prediction.V, null), Prediction.V, Step, 1);
            case "ddim": return (Samplers.Ddim(schedule!, Prediction.Noise, count), Prediction.Noise, Step, 1);
            case "ddim with noise": return (Samplers.Ddim(schedule!, Prediction.V, count, eta: 1), Prediction.V, Step, 1);
            case "flow euler": return (Samplers.FlowEuler(count), Prediction.Flow, Time, 1);
            case "flow midpoint": return (Samplers.FlowMidpoint(count), Prediction.Flow, Time, 1);
            case "edm heun": return (new Edm(0.7).Heun(Edm.Sigmas(count)), Prediction.Edm(0.7), s => (1, s), 80);
            case "edm heun with churn": return (new Edm(0.7).Heun(Edm.Sigmas(count), churn: 30, churnRange: (0.05, 50), churnNoise: 1.003), Prediction.Edm(0.7), s => (1, s), 80);
            default:
                var continuous = NoiseSchedule.Vp(name.EndsWith("to the middle", StringComparison.Ordinal) ? 4 : 200); // it ends at one step of them
                var solver = new DpmSolver(continuous, Prediction.Noise);
                (double, double) Continuous(double asked)
                {
                    int i = Math.Min((int)asked, continuous.Steps - 2);
                    double log = Math.Log(continuous.Signal(i)) + (asked - i) * (Math.Log(continuous.Signal(i + 1)) - Math.Log(continuous.Signal(i)));
                    return (Math.Exp(log), Math.Sqrt(-double.ExpM1(2 * log)));
                }
                return (name switch { "dpm++ 2m" => solver.PlusPlus2M(count), "dpm++ 2m in lambda" => solver.PlusPlus2M(count, evenInLambda: true), _ => solver.Singlestep3(count) }, Prediction.Noise, Continuous, 1);
        }
    }

    private static float[] Normals(int n, string name)
    {
        var stream = new PhiloxStream(11, name);
        return Enumerable.Range(0, n).Select(_ => (float)stream.NextNormal()).ToArray();
    }

    [Theory]
    [InlineData("ddpm", 100)]
    [InlineData("ddpm of samples", 100)]
    [InlineData("ddpm of noise", 100)]
    [InlineData("ddim", 100)]
    [InlineData("ddim with noise", 200)]
    [InlineData("dpm++ 2m", 200)] // equal steps in time are large in lambda where the noise ends
    [InlineData("dpm++ 2m in lambda", 30)]
    [InlineData("dpm 3s", 30)]
    [InlineData("edm heun", 32)]
    [InlineData("edm heun with churn", 64)]
    [InlineData("flow euler", 100)]
    [InlineData("flow midpoint", 30)]
    public void Samples_have_the_moments_and_shares_of_the_data(string name, int count)
    {
        const int rows = 4096;
        var (sampler, prediction, level, start) = Of(name, count);
        using var device = new CpuDevice();
        using var state = new State(device);
        using var program = Program.Trace(state, g =>
        {
            g.Random.Use(RandomDraws.AddState(state, 3));
            var x = g.Input("start", TensorType.Float([rows, 2])) * start;
            g.Output("samples", sampler.Run(x, (s, k) => level(sampler.Times[k]) is var (signal, noise) ? Mixture.Output(prediction, s, signal, noise) : s, k => g.Random.Normal($"draw{k}", [rows, 2])));
        });
        program.Write("start", Normals(rows * 2, "start"));
        program.Run();
        var samples = program.Read("samples");
        double[] xs = Enumerable.Range(0, rows).Select(i => (double)samples[2 * i]).ToArray(), ys = Enumerable.Range(0, rows).Select(i => (double)samples[2 * i + 1]).ToArray();
        // Four standard errors, and as much of the first order's error in the steps as the finest of these samplers has.
        double meanError = 4 * Math.Sqrt(Mixture.VarianceOfX / rows);
        Assert.InRange(xs.Average() - Mixture.Mean.X, -meanError, meanError);
        Assert.InRange(ys.Average() - Mixture.Mean.Y, -meanError, meanError);
        Assert.InRange(xs.Select(x => Math.Pow(x - xs.Average(), 2)).Average() / Mixture.VarianceOfX, 0.92, 1.08);
        var left = Enumerable.Range(0, rows).Where(i => xs[i] < 0.25 * -0.6 + 0.25 * 0.5).ToArray(); // a line between the parts
        double share = (double)left.Length / rows, shareError = 4 * Math.Sqrt(0.3 * 0.7 / rows) + 0.01;
        Assert.InRange(share, 0.3 - shareError, 0.3 + shareError);
        double spread = Math.Sqrt(left.Select(i => Math.Pow(ys[i] - left.Average(j => ys[j]), 2)).Average());
        Assert.InRange(spread / Mixture.Part(0).Std, 0.9, 1.2);
    }

    private static double[] Exactly(string name, int count, float[] start)
    {
        var (sampler, prediction, level, scale) = Of(name, count);
        var graph = new Graph();
        var x = graph.Input("start", TensorType.Float([start.Length / 2, 2])) * scale;
        graph.Output("samples", sampler.Run(x, (s, k) => level(sampler.Times[k]) is var (signal, noise) ? Mixture.Output(prediction, s, signal, noise) : s));
        var interpreter = new Interpreter<double>(graph, null);
        Array.ConvertAll(start, v => (double)v).CopyTo(interpreter.Input("start").Floats, 0);
        interpreter.Run();
        return interpreter.Output("samples").Floats.ToArray();
    }

    /// <summary>Doubling the steps divides the error by two to the power of the solver's order.</summary>
    [Theory]
    [InlineData("ddim", 25, 50, 1000, 1)] // steps of a schedule of a thousand: all of them take the place of the limit
    [InlineData("flow euler", 32, 64, 512, 1)]
    [InlineData("flow midpoint", 16, 32, 256, 2)]
    [InlineData("edm heun", 24, 48, 320, 2)]
    [InlineData("dpm++ 2m in lambda", 32, 64, 512, 2)]
    [InlineData("dpm 3s to the middle", 50, 101, 401, 3)] // numbers that leave a group of two: one of one would be of first order
    public void Errors_fall_with_the_order_of_the_solver(string name, int coarse, int fine, int finest, int order)
    {
        var start = Normals(64, "order");
        var exact = Exactly(name, finest, start);
        double Error(int steps) => Math.Sqrt(Exactly(name, steps, start).Zip(exact, (a, b) => (a - b) * (a - b)).Average());
        Assert.InRange(Math.Log(Error(coarse) / Error(fine)) / Math.Log((double)fine / coarse), order - 0.35, order + 0.6);
    }
}
