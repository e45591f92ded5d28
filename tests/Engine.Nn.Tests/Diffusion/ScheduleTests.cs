using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cpu;
using Engine.Nn.Diffusion;

namespace Engine.Nn.Tests.Diffusion;

public sealed class ScheduleTests
{
    [Fact]
    public void Tables_have_their_closed_forms()
    {
        // The product of the cosine's variances telescopes, and the sum of vp's exponents is that of its ends.
        static double F(double u) => Math.Pow(Math.Cos((u + 0.008) / 1.008 * Math.PI / 2), 2);
        var cosine = NoiseSchedule.Cosine(50);
        for (int i = 0; i < 49; i++) Assert.Equal(F((i + 1) / 50.0) / F(0), cosine.SignalVariance(i), 1e-14);
        Assert.Equal(0.999, cosine.Beta(49));
        foreach (int steps in new[] { 1, 5, 100 })
            for (int t = 1; t <= steps; t++)
                Assert.Equal(Math.Exp(-0.1 * t / steps - 0.5 * 9.9 * t * t / ((double)steps * steps)), NoiseSchedule.Vp(steps).SignalVariance(t - 1), 1e-14);
        var linear = NoiseSchedule.Linear(1000);
        Assert.Equal((1e-4, 2e-2), (linear.Beta(0), linear.Beta(999)));
        Assert.Equal(4.0358e-5, linear.SignalVariance(999), 1e-8); // Ho et al. 2020: close to 0
        Assert.Equal(linear.SignalVariance(999), NoiseSchedule.Linear(100).SignalVariance(99), 5e-5); // scaled: the same process in fewer steps
        Assert.Equal(1e-4, NoiseSchedule.Linear(1, scale: false).Beta(0));
        for (int i = 0; i < 50; i++) Assert.Equal(1, Math.Pow(cosine.Signal(i), 2) + Math.Pow(cosine.Noise(i), 2), 1e-14);
        Assert.Equal((1, 0), (cosine.Signal(-1), cosine.Noise(-1)));
    }

    [Fact]
    public void Noise_levels_fall_from_the_largest_to_zero()
    {
        double[] sigmas = Edm.Sigmas(128);
        Assert.Equal((129, 80.0, 0.0), (sigmas.Length, sigmas[0], sigmas[^1]));
        Assert.Equal(0.002, sigmas[127], 1e-12);
        for (int i = 1; i < 129; i++) Assert.True(sigmas[i] < sigmas[i - 1]);
        for (int i = 2; i < 128; i++) Assert.Equal(2 * Math.Pow(sigmas[i - 1], 1.0 / 7), Math.Pow(sigmas[i - 2], 1.0 / 7) + Math.Pow(sigmas[i], 1.0 / 7), 1e-9); // even in the root
        Assert.Equal([3, 0], Edm.Sigmas(1, max: 3));
    }

    [Fact]
    public void What_is_out_of_range_is_refused()
    {
        Assert.Throws<ArgumentException>(() => NoiseSchedule.Vp(0));
        Assert.Throws<ArgumentException>(() => NoiseSchedule.Cosine(-1));
        Assert.Contains("variance", Assert.Throws<ArgumentException>(() => NoiseSchedule.Linear(8)).Message, StringComparison.Ordinal); // 20 / 8 is above 1
        Assert.Throws<ArgumentException>(() => new NoiseSchedule([0.1, double.NaN]));
        Assert.Throws<ArgumentException>(() => Edm.Sigmas(0));
        Assert.Throws<ArgumentException>(() => Edm.Sigmas(5, min: 2, max: 1));
        Assert.Contains("do not end", Assert.Throws<ArgumentException>(() => new Edm().Heun([3, 1])).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => new Edm().Heun([1, 3, 0]));
        Assert.Throws<ArgumentException>(() => Samplers.Ddim(NoiseSchedule.Vp(5), Prediction.Noise, 6));
        Assert.Throws<ArgumentException>(() => Samplers.FlowEuler(0));
        Assert.Throws<ArgumentException>(() => new DpmSolver(NoiseSchedule.Vp(5), Prediction.Noise).PlusPlus2M(0));
    }

    public static TheoryData<string> Predictions => ["noise", "sample", "v", "flow", "edm"];

    internal static Prediction Named(string name) => name switch { "noise" => Prediction.Noise, "sample" => Prediction.Sample, "v" => Prediction.V, "flow" => Prediction.Flow, _ => Prediction.Edm(0.7) };

    /// <summary>From the state and the right output follow the sample and the noise that made the state.</summary>
    [Theory, MemberData(nameof(Predictions))]
    public void Predictions_are_inverses(string name)
    {
        var prediction = Named(name);
        foreach (double angle in new[] { 0.1, 0.8, 1.5 })
        {
            var (signal, noise) = name switch { "flow" => (angle / 2, 1 - angle / 2), "edm" => (1.0, angle * 10), _ => (Math.Cos(angle), Math.Sin(angle)) };
            const double sample = 0.37, e = -1.3;
            double x = signal * sample + noise * e;
            var target = prediction.TargetOf(signal, noise);
            double m = target.OfSample * sample + target.OfNoise * e;
            var (ofState, ofOutput) = prediction.SampleOf(signal, noise);
            Assert.Equal(sample, ofState * x + ofOutput * m, 1e-12);
            (ofState, ofOutput) = prediction.NoiseOf(signal, noise);
            Assert.Equal(e, ofState * x + ofOutput * m, 1e-12);
        }
    }

    [Fact]
    public void Rows_take_the_numbers_of_their_steps()
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        var schedule = NoiseSchedule.Vp(5);
        foreach (string name in new[] { "noise", "sample", "v" })
        {
            using var program = Program.Trace(state, g =>
            {
                Tensor samples = g.Input("samples", TensorType.Float([3, 2])), noise = g.Input("noise", TensorType.Float([3, 2])), steps = g.Constant(TensorType.Int([3]), 0, 4, 2);
                var corrupted = schedule.Corrupt(samples, steps, noise);
                g.Output("corrupted", corrupted);
                g.Output("sample", schedule.Sample(Named(name), corrupted, schedule.Target(Named(name), samples, steps, noise), steps));
            });
            float[] x = [0.3f, -1, 0.5f, 2, -0.2f, 0.9f], e = [1, -1, 0.1f, 0.4f, -2, 0.3f];
            program.Write("samples", x);
            program.Write("noise", e);
            program.Run();
            float[] corrupted = program.Read("corrupted"), sample = program.Read("sample");
            for (int i = 0; i < 6; i++)
            {
                int step = new[] { 0, 4, 2 }[i / 2];
                Assert.Equal(schedule.Signal(step) * x[i] + schedule.Noise(step) * e[i], corrupted[i], 1e-6);
                Assert.Equal(x[i], sample[i], 1e-5);
            }
        }
    }
}
