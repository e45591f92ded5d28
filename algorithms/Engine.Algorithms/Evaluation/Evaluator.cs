using Engine.Algorithms.Environments;
using Engine.Kernels;

namespace Engine.Algorithms.Evaluation;

/// <summary>A deterministic policy over a batch: observations [rows, S] to actions [rows, A] in [-1, 1]; of discrete actions [rows, 1], the index.</summary>
public delegate void BatchPolicy(ReadOnlySpan<float> observations, int rows, Span<float> actions);

/// <summary>Returns of a number of episodes.</summary>
/// <param name="Returns">Undiscounted, per episode.</param>
/// <param name="MeanLength">Steps per episode.</param>
/// <param name="NormalizedMean">Mean on the scale where the references are 0 and 100; null without references.</param>
public sealed record EvaluationResult(double[] Returns, double MeanLength, double? NormalizedMean)
{
    /// <summary>Mean return.</summary>
    public double Mean => Returns.Average();

    /// <summary>Standard error of the mean (divisor n - 1).</summary>
    public double StandardError
    {
        get
        {
            if (Returns.Length < 2) return double.NaN;
            double mean = Mean;
            return Math.Sqrt(Returns.Sum(r => (r - mean) * (r - mean)) / (Returns.Length - 1) / Returns.Length);
        }
    }
}

/// <summary>Runs episodes in lockstep, one batched policy call a step.</summary>
public static class Evaluator
{
    /// <summary>
    /// Evaluates. Episode i starts from the stream (seed, "evaluation[i]"), whatever the policy and however it was trained, so that all
    /// algorithms face the same start states.
    /// </summary>
    public static EvaluationResult Run(EnvironmentEntry entry, BatchPolicy policy, int episodes, ulong seed, CancellationToken stop = default)
    {
        if (episodes < 1) throw new SettingsException($"episodes={episodes}: expected at least 1");
        var environment = entry.Create(episodes);
        var space = environment.ActionSpace;
        for (int i = 0; i < episodes; i++) environment.Reset(i, new PhiloxStream(seed, $"evaluation[{i}]"));

        var observations = new float[episodes * environment.ObservationSize];
        var actions = new float[episodes * space.Size];
        var rewards = new float[episodes];
        var terminals = new bool[episodes];
        var returns = new double[episodes];
        var lengths = new int[episodes];
        var done = new bool[episodes];
        for (int step = 0; step < environment.MaxSteps && Array.Exists(done, d => !d); step++)
        {
            stop.ThrowIfCancellationRequested();
            environment.Observe(observations);
            policy(observations, episodes, actions);
            if (space is ActionBounds bounds)
                for (int i = 0; i < actions.Length; i++) actions[i] = bounds.FromUnit(i % bounds.Size, actions[i]);
            environment.Step(actions, rewards, terminals);
            for (int i = 0; i < episodes; i++)
            {
                if (done[i]) continue;
                returns[i] += rewards[i];
                lengths[i]++;
                done[i] = terminals[i];
            }
        }
        double mean = returns.Average();
        return new EvaluationResult(returns, lengths.Average(),
            entry is { ReferenceMin: { } low, ReferenceMax: { } high } ? 100 * (mean - low) / (high - low) : null);
    }
}
