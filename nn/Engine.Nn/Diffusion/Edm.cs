using Engine.Autodiff;

namespace Engine.Nn.Diffusion;

/// <summary>Diffusion by standard deviations of the noise (Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models", arXiv 2206.00364): a state is sample + sigma e. A network F sees c_in x and log(sigma) / 4.</summary>
/// <param name="SigmaData">Standard deviation of the data, above 0.</param>
public sealed record Edm(double SigmaData = 1)
{
    /// <summary>What F's output means.</summary>
    public Prediction Prediction => Prediction.Edm(SigmaData);

    /// <summary>The noise levels (equation 5): (max^(1/rho) + i / (N - 1) (min^(1/rho) - max^(1/rho)))^rho, i = 0 ... N - 1, then 0.</summary>
    /// <param name="count">N, at least 1.</param>
    /// <param name="min">The smallest but 0, above 0.</param>
    /// <param name="max">The largest, above min.</param>
    /// <param name="rho">How much the small ones are favoured.</param>
    /// <exception cref="ArgumentException">A number is out of range.</exception>
    public static double[] Sigmas(int count, double min = 0.002, double max = 80, double rho = 7)
    {
        if (count < 1) throw new ArgumentException($"a sampler needs at least 1 step, not {count}");
        if (!(min > 0 && max > min && double.IsFinite(max) && rho > 0)) throw new ArgumentException(FormattableString.Invariant($"noise levels from {max} to {min} with rho {rho}: expected max > min > 0 and rho > 0"));
        double high = Math.Pow(max, 1 / rho), low = Math.Pow(min, 1 / rho);
        return [.. Enumerable.Range(0, count).Select(i => i == 0 ? max : Math.Pow(high + (double)i / (count - 1) * (low - high), rho)), 0];
    }

    /// <summary>
    /// Heun's method with churn (algorithm 2). At every level within a range noise is added up to sigma (1 + gamma), gamma = min(churn / N, sqrt 2 - 1); then a step along e, and, but for the last, one along the mean of e here and there. Times are sigmas. It
    /// takes a draw a level.
    /// </summary>
    /// <param name="sigmas">As of <see cref="Sigmas"/>: falling, the last 0.</param>
    /// <param name="churn">0: none, and nothing is drawn.</param>
    /// <param name="churnRange">Levels that are churned.</param>
    /// <param name="churnNoise">Factor of the added noise's standard deviation.</param>
    /// <exception cref="ArgumentException">The levels do not fall to 0.</exception>
    public Sampler Heun(IReadOnlyList<double> sigmas, double churn = 0, (double Min, double Max)? churnRange = null, double churnNoise = 1)
    {
        if (sigmas.Count < 2 || sigmas[^1] != 0 || Enumerable.Range(1, sigmas.Count - 1).Any(i => !(sigmas[i] < sigmas[i - 1]))) throw new ArgumentException("noise levels do not end: they must fall, and the last must be 0");
        var (low, high) = churnRange ?? (0, double.PositiveInfinity);
        var steps = new List<SamplerStep>();
        for (int i = 0; i < sigmas.Count - 1; i++)
        {
            double sigma = sigmas[i], next = sigmas[i + 1];
            double gamma = sigma >= low && sigma <= high ? Math.Min(churn / (sigmas.Count - 1), Math.Sqrt(2) - 1) : 0;
            double raised = sigma * (1 + gamma);
            if (gamma > 0) steps.Add(new SamplerStep(null, [new(SamplerValue.State, steps.Count, 1), new(SamplerValue.Noise, i, Math.Sqrt(raised * raised - sigma * sigma) * churnNoise)]));
            int at = steps.Count;
            Term[] Along(int step, double level, double length) => Samplers.Combination(step, Prediction.NoiseOf(1, level), length);
            Term start = new(SamplerValue.State, at, 1);
            steps.Add(new SamplerStep(raised, [start, .. Along(at, raised, next - raised)]));
            if (next > 0) steps.Add(new SamplerStep(next, [start, .. Along(at, raised, (next - raised) / 2), .. Along(at + 1, next, (next - raised) / 2)]));
        }
        return new(steps, churn == 0 ? 0 : sigmas.Count - 1);
    }

    /// <summary>A network of c_in x and the times log(sigma) / 4, as <see cref="Sampler.Run"/> wants it.</summary>
    /// <param name="sampler">Whose times are sigmas.</param>
    /// <param name="network">The output for c_in x at <see cref="TimesOf"/> of that number.</param>
    public Func<Tensor, int, Tensor> Scaled(Sampler sampler, Func<Tensor, int, Tensor> network) => (x, k) => network(x * (1 / Math.Sqrt(sampler.Times[k] * sampler.Times[k] + SigmaData * SigmaData)), k);

    /// <summary>log(sigma) / 4 of all of a sampler's times.</summary>
    public static double[] TimesOf(Sampler sampler) => sampler.Times.Select(s => Math.Log(s) / 4).ToArray();

    /// <summary>
    /// The loss (equation 8): the mean over the batch of (sigma² + s²) / (sigma s)² times the mean of (D(sample + sigma e) - sample)². It is computed as the squared error of F against what makes D the sample, which is the same number without a
    /// division by a small sigma.
    /// </summary>
    /// <param name="samples">[B, D]</param>
    /// <param name="logSigma">[B]</param>
    /// <param name="noise">e [B, D]</param>
    /// <param name="network">F of c_in x [B, D] and log(sigma) / 4 [B, 1].</param>
    public Tensor Loss(Tensor samples, Tensor logSigma, Tensor noise, Func<Tensor, Tensor, Tensor> network)
    {
        var sigma = logSigma.Exp().Expand(-1);
        var scale = (sigma.Square() + SigmaData * SigmaData).Rsqrt();
        var target = (samples * sigma * (1 / SigmaData) - noise * SigmaData) * scale;
        return (network((samples + noise * sigma) * scale, logSigma.Expand(-1) * 0.25) - target).Square().Mean();
    }
}
