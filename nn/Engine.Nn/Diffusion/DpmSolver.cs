namespace Engine.Nn.Diffusion;

/// <summary>
/// DPM-Solver (Lu et al. 2022, "DPM-Solver: A Fast ODE Solver for Diffusion Probabilistic Model Sampling in Around 10 Steps", arXiv 2206.00927) and DPM-Solver++ (arXiv 2211.01095) on a <see cref="NoiseSchedule"/> of T steps in continuous time: t = (i + 1) / T
/// at step i, between steps the logarithm of the signal is linear. They go from t = 1 to 1 / T; the network is asked at (t - 1 / T) T, a real number. lambda is the logarithm of signal / noise, h a step in lambda. References: LuChengTHU/dpm-solver,
/// sail-sg/edp.
/// </summary>
/// <param name="schedule">T steps.</param>
/// <param name="prediction">What the network says.</param>
public sealed class DpmSolver(NoiseSchedule schedule, Prediction prediction)
{
    private readonly double[] _logSignal = LogSignals(schedule);

    private static double[] LogSignals(NoiseSchedule schedule)
    {
        double sum = 0;
        return Enumerable.Range(0, schedule.Steps).Select(i => sum += 0.5 * Math.Log(1 - schedule.Beta(i))).ToArray();
    }

    private double End => 1.0 / schedule.Steps;

    private double LogSignal(double t)
    {
        // Beyond the ends the lines go on.
        int i = Math.Clamp((int)Math.Floor(t * schedule.Steps) - 1, 0, schedule.Steps - 2);
        return _logSignal[i] + (t * schedule.Steps - (i + 1)) * (_logSignal[i + 1] - _logSignal[i]);
    }

    private double Signal(double t) => Math.Exp(LogSignal(t));

    private double Noise(double t) => Math.Sqrt(-double.ExpM1(2 * LogSignal(t)));

    private double Lambda(double t) => LogSignal(t) - Math.Log(Noise(t));

    /// <summary>The time of a lambda.</summary>
    private double TimeOf(double lambda)
    {
        // signal² = 1 / (1 + e^(-2 lambda))
        double log = lambda >= 0 ? -0.5 * double.LogP1(Math.Exp(-2 * lambda)) : lambda - 0.5 * double.LogP1(Math.Exp(2 * lambda));
        int low = 0, high = schedule.Steps - 1; // logarithms fall
        while (high - low > 1)
        {
            int middle = (low + high) / 2;
            if (_logSignal[middle] > log) low = middle;
            else high = middle;
        }
        int i = low;
        return (i + 1 + (log - _logSignal[i]) / (_logSignal[i + 1] - _logSignal[i])) / schedule.Steps;
    }

    private double Asked(double t) => (t - End) * schedule.Steps;

    private (double OfState, double OfOutput) SampleAt(double t) => prediction.SampleOf(Signal(t), Noise(t));

    private (double OfState, double OfOutput) NoiseAt(double t) => prediction.NoiseOf(Signal(t), Noise(t));

    /// <summary>DPM-Solver++ (2M), of second order with one evaluation a step: noise_t / noise_s x - signal_t (e^-h - 1) D, D the sample predicted at s, and from the second step on that plus its difference to the one before, over 2 r, r = h before / h. Of fewer
    /// than 10 steps the last has D as the first.</summary>
    /// <param name="count">Steps, at least 1.</param>
    /// <param name="evenInLambda">The steps are equal in lambda, else in time.</param>
    public Sampler PlusPlus2M(int count, bool evenInLambda = false)
    {
        Check(count);
        double first = Lambda(1), last = Lambda(End);
        double[] times = Enumerable.Range(0, count + 1).Select(i => evenInLambda ? TimeOf(first + (last - first) * i / count) : Between(i, count)).ToArray();
        if (evenInLambda) (times[0], times[^1]) = (1, End);
        var steps = new List<SamplerStep>();
        for (int i = 0; i < count; i++)
        {
            double s = times[i], t = times[i + 1], h = Lambda(t) - Lambda(s), factor = -Signal(t) * double.ExpM1(-h);
            Term state = new(SamplerValue.State, i, Noise(t) / Noise(s));
            if (i == 0 || (i == count - 1 && count < 10)) steps.Add(new SamplerStep(Asked(s), [state, .. Samplers.Combination(i, SampleAt(s), factor)]));
            else
            {
                double half = h / (2 * (Lambda(s) - Lambda(times[i - 1])));
                steps.Add(new SamplerStep(Asked(s), [state, .. Samplers.Combination(i, SampleAt(s), factor * (1 + half)), .. Samplers.Combination(i - 1, SampleAt(times[i - 1]), -factor * half)]));
            }
        }
        return new(steps);
    }

    /// <summary>
    /// DPM-Solver of third order, singlestep: so many evaluations at times that are equally far from one another, in groups of three; the last ones are a group of two and one of one where three divides their number, else what is left. Within a group: the
    /// noise e at its start s, then at its inner times, lambda_s + r h.
    /// </summary>
    /// <param name="count">Evaluations, at least 1.</param>
    public Sampler Singlestep3(int count)
    {
        Check(count);
        int[] groups = (count % 3) switch
        {
            0 => [.. Enumerable.Repeat(3, count / 3 - 1), 2, 1],
            1 => [.. Enumerable.Repeat(3, count / 3), 1],
            _ => [.. Enumerable.Repeat(3, count / 3), 2],
        };
        var steps = new List<SamplerStep>();
        int at = 0;
        foreach (int order in groups)
        {
            double s = Between(at, count), t = Between(at + order, count), lambda = Lambda(s), h = Lambda(t) - lambda;
            int start = steps.Count;
            // x signal_u / signal_s - noise_u (e^(lambda_u - lambda_s) - 1) e
            Term[] First(double u) => [new(SamplerValue.State, start, Signal(u) / Signal(s)), .. Samplers.Combination(start, NoiseAt(s), -Noise(u) * double.ExpM1(Lambda(u) - lambda))];
            // factor (e at the step - e at the start)
            Term[] Difference(int step, double u, double factor) => [.. Samplers.Combination(step, NoiseAt(u), factor), .. Samplers.Combination(start, NoiseAt(s), -factor)];
            double Share(int i) => (Lambda(Between(at + i, count)) - lambda) / h;
            if (order == 1) steps.Add(new SamplerStep(Asked(s), First(t)));
            else
            {
                double r1 = Share(1), s1 = TimeOf(lambda + r1 * h);
                steps.Add(new SamplerStep(Asked(s), First(s1)));
                if (order == 2) steps.Add(new SamplerStep(Asked(s1), [.. First(t), .. Difference(start + 1, s1, -Noise(t) * double.ExpM1(h) / (2 * r1))]));
                else
                {
                    double r2 = Share(2), s2 = TimeOf(lambda + r2 * h);
                    steps.Add(new SamplerStep(Asked(s1), [.. First(s2), .. Difference(start + 1, s1, -r2 / r1 * Noise(s2) * (double.ExpM1(r2 * h) / (r2 * h) - 1))]));
                    steps.Add(new SamplerStep(Asked(s2), [.. First(t), .. Difference(start + 2, s2, -Noise(t) / r2 * (double.ExpM1(h) / h - 1))]));
                }
            }
            at += order;
        }
        return new(steps);
    }

    private double Between(int i, int count) => 1 + (End - 1) * i / count;

    private void Check(int count)
    {
        if (count < 1) throw new ArgumentException($"a sampler needs at least 1 step, not {count}");
        if (schedule.Steps < 2) throw new ArgumentException("DPM-Solver needs a noise schedule of at least 2 steps");
    }
}
