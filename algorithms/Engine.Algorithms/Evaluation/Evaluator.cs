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
    private const int BlockSize = 64;

    /// <summary>
    /// Evaluates. Episode i starts from the stream (seed, "evaluation[i]"), whatever the policy and however it was trained, so that all
    /// algorithms face the same start states.
    /// </summary>
    /// <param name="entry">The environment; 64 episodes share one that it creates.</param>
    /// <param name="policy">Called by the caller's thread, with all episodes; those that have ended count no more, whatever it answers.</param>
    /// <param name="episodes">At least 1.</param>
    /// <param name="seed">Of the start states.</param>
    /// <param name="threads">Threads that step the environments; the returns do not depend on it.</param>
    /// <param name="stop">Ends it between two steps.</param>
    /// <exception cref="SettingsException">No episodes, or no threads.</exception>
    public static EvaluationResult Run(EnvironmentEntry entry, BatchPolicy policy, int episodes, ulong seed, int threads = 1, CancellationToken stop = default)
    {
        if (episodes < 1) throw new SettingsException($"episodes={episodes}: expected at least 1");
        if (threads < 1) throw new SettingsException($"threads={threads}: expected at least 1");
        var blocks = Enumerable.Range(0, (episodes + BlockSize - 1) / BlockSize).Select(b => entry.Create(Math.Min(BlockSize, episodes - b * BlockSize))).ToArray();
        var (space, size, maxSteps) = (blocks[0].ActionSpace, blocks[0].ObservationSize, blocks[0].MaxSteps);
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = threads, CancellationToken = stop };

        var observations = new float[episodes * size];
        var actions = new float[episodes * space.Size];
        var rewards = new float[episodes];
        var terminals = new bool[episodes];
        var returns = new double[episodes];
        var lengths = new int[episodes];
        var done = new bool[episodes];
        Each(b =>
        {
            for (int i = 0; i < blocks[b].Copies; i++) blocks[b].Reset(i, new PhiloxStream(seed, $"evaluation[{b * BlockSize + i}]"));
            Observe(b);
        });
        for (int step = 0; step < maxSteps && Array.Exists(done, d => !d); step++)
        {
            policy(observations, episodes, actions);
            Each(Step);
        }
        double mean = returns.Average();
        return new EvaluationResult(returns, lengths.Average(),
            entry is { ReferenceMin: { } low, ReferenceMax: { } high } ? 100 * (mean - low) / (high - low) : null);

        void Each(Action<int> run)
        {
            stop.ThrowIfCancellationRequested();
            if (threads > 1 && blocks.Length > 1) Parallel.For(0, blocks.Length, parallel, run);
            else for (int b = 0; b < blocks.Length; b++) run(b);
        }

        void Observe(int b) => blocks[b].Observe(observations.AsSpan(b * BlockSize * size, blocks[b].Copies * size));

        void Step(int b)
        {
            var (first, count) = (b * BlockSize, blocks[b].Copies);
            var own = actions.AsSpan(first * space.Size, count * space.Size);
            if (space is ActionBounds bounds)
                for (int i = 0; i < own.Length; i++) own[i] = bounds.FromUnit(i % bounds.Size, own[i]);
            blocks[b].Step(own, rewards.AsSpan(first, count), terminals.AsSpan(first, count));
            for (int i = first; i < first + count; i++)
            {
                if (done[i]) continue;
                returns[i] += rewards[i];
                lengths[i]++;
                done[i] = terminals[i];
            }
            Observe(b);
        }
    }
}
