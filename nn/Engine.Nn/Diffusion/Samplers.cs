using Engine.Kernels;

namespace Engine.Nn.Diffusion;

/// <summary>Samplers of denoising diffusion, step by step of a <see cref="NoiseSchedule"/>, and of flows. Times are step numbers, of flows 0 to 1.</summary>
public static class Samplers
{
    /// <summary>Terms of state and output of a step that add up to factor (OfState x + OfOutput m).</summary>
    internal static Term[] Combination(int step, (double OfState, double OfOutput) of, double factor = 1) =>
        [new(SamplerValue.State, step, of.OfState * factor), new(SamplerValue.Output, step, of.OfOutput * factor)];

    private static Term Noise(int draw, double weight) => new(SamplerValue.Noise, draw, weight);

    /// <summary>
    /// Ancestral sampling by the posterior's mean (Ho et al. 2020, equations 6 and 7): beta_i signal_{i-1} / noise_i² sample + noise_{i-1}² sqrt(1 - beta_i) / noise_i² x, the sample predicted, and noise but in the last step. It takes a draw a
    /// step; the last is not used.
    /// </summary>
    /// <param name="schedule">T steps.</param>
    /// <param name="prediction">What the network says.</param>
    /// <param name="bound">The predicted sample is limited to ± this; null: it is not.</param>
    /// <param name="noiseOfBeta">The noise has the variance beta_i, else the posterior's, beta_i noise_{i-1}² / noise_i².</param>
    /// <param name="limit">The result is clipped to ± this; null: it is not.</param>
    public static Sampler Ddpm(NoiseSchedule schedule, Prediction prediction, double? bound, bool noiseOfBeta = false, double? limit = null)
    {
        var steps = new List<SamplerStep>();
        for (int i = schedule.Steps - 1; i >= 0; i--)
        {
            int step = steps.Count;
            double beta = schedule.Beta(i), before = schedule.SignalVariance(i - 1), variance = 1 - schedule.SignalVariance(i);
            double ofSample = beta * Math.Sqrt(before) / variance, ofState = (1 - before) * Math.Sqrt(1 - beta) / variance;
            var sample = prediction.SampleOf(schedule.Signal(i), schedule.Noise(i));
            Term[] noise = i == 0 ? [] : [Noise(step, Math.Sqrt(noiseOfBeta ? beta : beta * (1 - before) / variance))];
            Term state = new(SamplerValue.State, step, ofState);
            steps.Add(bound is { } b
                ? new SamplerStep(i, [state, .. noise], new ClippedSample(sample.OfState, sample.OfOutput, b, ofSample), i == 0 ? limit : null)
                : new SamplerStep(i, [state, .. Combination(step, sample, ofSample), .. noise], null, i == 0 ? limit : null));
        }
        return new(steps, schedule.Steps);
    }

    /// <summary>
    /// Ancestral sampling in the predicted noise (Ho et al. 2020, algorithm 2), the state clipped after every step (Hansen-Estruch et al. 2023, IDQL): (x - beta_i / noise_i e) / sqrt(1 - beta_i) + sqrt(beta_i) temperature z, no noise in the last
    /// step. It takes a draw a step; the last is not used.
    /// </summary>
    /// <param name="schedule">T steps.</param>
    /// <param name="prediction">What the network says.</param>
    /// <param name="limit">Every state is clipped to ± this; null: it is not.</param>
    /// <param name="temperature">Of the noise.</param>
    public static Sampler DdpmOfNoise(NoiseSchedule schedule, Prediction prediction, double? limit, double temperature = 1)
    {
        var steps = new List<SamplerStep>();
        for (int i = schedule.Steps - 1; i >= 0; i--)
        {
            int step = steps.Count;
            double beta = schedule.Beta(i), root = Math.Sqrt(1 - beta);
            Term[] noise = i == 0 ? [] : [Noise(step, Math.Sqrt(beta) * temperature)];
            steps.Add(new SamplerStep(i, [new(SamplerValue.State, step, 1 / root), .. Combination(step, prediction.NoiseOf(schedule.Signal(i), schedule.Noise(i)), -beta / (schedule.Noise(i) * root)), .. noise], null, limit));
        }
        return new(steps, schedule.Steps);
    }

    /// <summary>
    /// DDIM (Song et al. 2021, "Denoising Diffusion Implicit Models", equation 12) over some of a schedule's steps: signal_p sample + sqrt(1 - signal_p² - s²) e + s z, p the next of the steps, s = eta sqrt((1 - signal_i² / signal_p²)(1 - signal_p²) /
    /// (1 - signal_i²)). Eta 0 follows the ODE and draws nothing; eta 1 with all steps is ancestral sampling.
    /// </summary>
    /// <param name="schedule">T steps.</param>
    /// <param name="prediction">What the network says.</param>
    /// <param name="count">K, 1 to T: the steps 0, n, 2 n, ... below T with n = T / K rounded down, from the last to the first; K of them where K divides T, else a few more (as in the reference, ermongroup/ddim).</param>
    /// <param name="eta">Of the noise, at least 0.</param>
    /// <param name="bound">The predicted sample is limited to ± this; null: it is not.</param>
    public static Sampler Ddim(NoiseSchedule schedule, Prediction prediction, int count, double eta = 0, double? bound = null)
    {
        if (count < 1 || count > schedule.Steps) throw new ArgumentException($"DDIM takes 1 to {schedule.Steps} of the schedule's {schedule.Steps} steps, not {count}");
        int every = schedule.Steps / count;
        count = (schedule.Steps - 1) / every + 1;
        var steps = new List<SamplerStep>();
        for (int k = count - 1; k >= 0; k--)
        {
            int step = steps.Count, i = k * every;
            double now = schedule.SignalVariance(i), next = schedule.SignalVariance(k == 0 ? -1 : i - every);
            double s = eta * Math.Sqrt((1 - now / next) * (1 - next) / (1 - now));
            var sample = prediction.SampleOf(schedule.Signal(i), schedule.Noise(i));
            Term[] rest = [.. Combination(step, prediction.NoiseOf(schedule.Signal(i), schedule.Noise(i)), Math.Sqrt(Math.Max(0, 1 - next - s * s))), .. s == 0 ? Array.Empty<Term>() : [Noise(step, s)]];
            steps.Add(bound is { } b
                ? new SamplerStep(i, rest, new ClippedSample(sample.OfState, sample.OfOutput, b, Math.Sqrt(next)))
                : new SamplerStep(i, [.. Combination(step, sample, Math.Sqrt(next)), .. rest]));
        }
        return new(steps, eta == 0 ? 0 : count);
    }

    /// <summary>Euler's method along a flow's velocity m: x + m / K at times 0, 1 / K, ..., 1 - 1 / K.</summary>
    /// <param name="count">K, at least 1.</param>
    public static Sampler FlowEuler(int count) =>
        new(Enumerable.Range(0, Positive(count)).Select(i => new SamplerStep((double)i / count, [new(SamplerValue.State, i, 1), new(SamplerValue.Output, i, 1.0 / count)])).ToArray());

    /// <summary>The midpoint method along a flow's velocity: K steps of two evaluations each, the second where half a step with the first leads.</summary>
    /// <param name="count">K, at least 1.</param>
    public static Sampler FlowMidpoint(int count) => new(Enumerable.Range(0, Positive(count)).SelectMany(i => new SamplerStep[]
    {
        new((double)i / count, [new(SamplerValue.State, 2 * i, 1), new(SamplerValue.Output, 2 * i, 0.5 / count)]),
        new((i + 0.5) / count, [new(SamplerValue.State, 2 * i, 1), new(SamplerValue.Output, 2 * i + 1, 1.0 / count)]),
    }).ToArray());

    private static int Positive(int count) => count >= 1 ? count : throw new ArgumentException($"a sampler needs at least 1 step, not {count}");
}
