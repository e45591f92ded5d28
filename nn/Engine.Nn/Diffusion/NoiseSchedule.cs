using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Nn.Diffusion;

/// <summary>
/// How a sample becomes noise in T steps i = 0 ... T - 1 (Ho et al. 2020, "Denoising Diffusion Probabilistic Models"): x_i = signal_i x + noise_i e, with signal² + noise² = 1. Tables are computed in double precision.
/// </summary>
public sealed class NoiseSchedule
{
    private readonly double[] _beta, _signalVariance;

    /// <summary>A schedule of its variances.</summary>
    /// <param name="beta">Variance of the noise that each step adds, in (0, 1); at least one.</param>
    /// <exception cref="ArgumentException">There are no steps, or a variance is out of range.</exception>
    public NoiseSchedule(IReadOnlyList<double> beta)
    {
        if (beta.Count < 1) throw new ArgumentException("a noise schedule needs at least 1 step");
        (_beta, _signalVariance) = (beta.ToArray(), new double[beta.Count]);
        double product = 1;
        for (int i = 0; i < _beta.Length; i++)
        {
            if (!(_beta[i] > 0 && _beta[i] < 1)) throw new ArgumentException(FormattableString.Invariant($"step {i} of {_beta.Length} of the noise schedule adds noise of variance {_beta[i]:G4}; expected between 0 and 1"));
            _signalVariance[i] = product *= 1 - _beta[i];
        }
    }

    /// <summary>Variances in a straight line. With <paramref name="scale"/> both ends are multiplied by 1000 / steps, so that any number of steps ends where 1,000 do.</summary>
    public static NoiseSchedule Linear(int steps, double first = 1e-4, double last = 2e-2, bool scale = true)
    {
        double factor = scale ? 1000.0 / steps : 1;
        return new(Enumerable.Range(0, Positive(steps)).Select(i => factor * (steps == 1 ? first : first + (last - first) * i / (steps - 1))).ToArray());
    }

    /// <summary>signal² follows a squared cosine (Nichol and Dhariwal 2021): variances 1 - f(i + 1) / f(i), at most 0.999, f(i) = cos²((i / T + 0.008) / 1.008 pi / 2).</summary>
    public static NoiseSchedule Cosine(int steps)
    {
        double F(int i) => Math.Pow(Math.Cos(((double)i / steps + 0.008) / 1.008 * Math.PI / 2), 2);
        return new(Enumerable.Range(0, Positive(steps)).Select(i => Math.Clamp(1 - F(i + 1) / F(i), 0, 0.999)).ToArray());
    }

    /// <summary>The variance-preserving process of Xiao et al. 2022 at T points: variances 1 - exp(-min / T - (max - min)(2t - 1) / (2 T²)), t = 1 ... T.</summary>
    public static NoiseSchedule Vp(int steps, double min = 0.1, double max = 10) =>
        new(Enumerable.Range(1, Positive(steps)).Select(t => -double.ExpM1(-min / steps - 0.5 * (max - min) * (2 * t - 1) / ((double)steps * steps))).ToArray());

    private static int Positive(int steps) => steps >= 1 ? steps : throw new ArgumentException($"a noise schedule needs at least 1 step, not {steps}");

    /// <summary>T.</summary>
    public int Steps => _beta.Length;

    /// <summary>Variance of the noise that step i adds.</summary>
    public double Beta(int i) => _beta[i];

    /// <summary>signal² at step i; 1 at i = -1, where there is no noise.</summary>
    public double SignalVariance(int i) => i < 0 ? 1 : _signalVariance[i];

    /// <summary>What is left of the sample at step i.</summary>
    public double Signal(int i) => Math.Sqrt(SignalVariance(i));

    /// <summary>Standard deviation of the noise in it.</summary>
    public double Noise(int i) => Math.Sqrt(1 - SignalVariance(i));

    /// <summary>Samples with noise: signal x + noise e, each row at a step of its own.</summary>
    /// <param name="samples">x [B, ...]</param>
    /// <param name="steps">I32 [B].</param>
    /// <param name="noise">e [B, ...]</param>
    public Tensor Corrupt(Tensor samples, Tensor steps, Tensor noise) => samples * Rows(steps, samples, Signal) + noise * Rows(steps, samples, Noise);

    /// <summary>What a network of a prediction is to say of <see cref="Corrupt"/>'s result.</summary>
    public Tensor Target(Prediction prediction, Tensor samples, Tensor steps, Tensor noise) => Sum(
        (samples, i => prediction.TargetOf(Signal(i), Noise(i)).OfSample), (noise, i => prediction.TargetOf(Signal(i), Noise(i)).OfNoise), steps);

    /// <summary>The sample that a network's output says there is without noise, each row at a step of its own.</summary>
    public Tensor Sample(Prediction prediction, Tensor corrupted, Tensor output, Tensor steps) => Sum(
        (corrupted, i => prediction.SampleOf(Signal(i), Noise(i)).OfState), (output, i => prediction.SampleOf(Signal(i), Noise(i)).OfOutput), steps);

    private Tensor Sum((Tensor Of, Func<int, double> Factor) a, (Tensor Of, Func<int, double> Factor) b, Tensor steps)
    {
        Tensor? Part(Tensor of, Func<int, double> factor)
        {
            var all = Enumerable.Range(0, Steps).Select(factor).ToArray();
            return all.All(f => f == 0) ? null : all.All(f => f == 1) ? of : of * Rows(steps, of, factor);
        }
        var (first, second) = (Part(a.Of, a.Factor), Part(b.Of, b.Factor));
        return first is null ? second! : second is null ? first : first + second;
    }

    /// <summary>A number of every row's step, [B, 1, ...] for values like [B, ...].</summary>
    private Tensor Rows(Tensor steps, Tensor like, Func<int, double> number)
    {
        var table = like.Graph.Constant(TensorType.Float([Steps]), Enumerable.Range(0, Steps).Select(number).ToArray());
        Shape shape = (int[])[like.Shape[0], .. Enumerable.Repeat(1, like.Shape.Rank - 1)];
        return table.Gather(steps).Reshape(shape);
    }
}
