using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Policies;
using Engine.Algorithms.Training;
using Engine.Kernels;

namespace Engine.Algorithms.Evaluation;

/// <summary>Returns of a number of episodes.</summary>
/// <param name="Returns">Undiscounted, per episode.</param>
/// <param name="MeanLength">Steps per episode.</param>
/// <param name="NormalizedMean">Mean on the scale where the references are 0 and 100; null without references.</param>
public sealed record EvaluationResult(double[] Returns, double MeanLength, double? NormalizedMean)
{
    /// <summary>What the environment measures besides, by name, a number an episode.</summary>
    public IReadOnlyDictionary<string, double[]> Measures { get; init; } = new Dictionary<string, double[]>();

    /// <summary>Mean return.</summary>
    public double Mean => Returns.Average();

    /// <summary>Standard error of the mean return (divisor n - 1); NaN of a single episode.</summary>
    public double StandardError => Error(Returns);

    /// <summary>Standard error of a mean (divisor n - 1); NaN of a single number.</summary>
    public static double Error(double[] values)
    {
        if (values.Length < 2) return double.NaN;
        double mean = values.Average();
        return Math.Sqrt(values.Sum(r => (r - mean) * (r - mean)) / (values.Length - 1) / values.Length);
    }
}

/// <summary>Runs episodes in lockstep, one batched policy call a step.</summary>
public static class Evaluator
{
    private const int BlockSize = 64;

    /// <summary>Evaluates a function without memory.</summary>
    public static EvaluationResult Run(EnvironmentEntry entry, BatchPolicy policy, int episodes, ulong seed, int threads = 1, CancellationToken stop = default) =>
        Run(entry, new FunctionActor(episodes, policy), seed, threads, stop);

    /// <summary>Evaluates a checkpoint of a run folder.</summary>
    /// <param name="run">Made by <c>engine train</c>.</param>
    /// <param name="environment">Where; null: the run's own.</param>
    /// <param name="episodes">At least 1.</param>
    /// <param name="seed">Of the start states.</param>
    /// <param name="device">Where the policy runs.</param>
    /// <param name="checkpoint">last, best, or a step.</param>
    /// <param name="prompt">A dataset whose rows tell the policy what to do: file or builtin:NAME; null: none.</param>
    /// <exception cref="Interop.InteropFormatException">The folder is not a run, or has no such checkpoint.</exception>
    /// <exception cref="SettingsException">The environment does not fit, or the policy takes no such prompt.</exception>
    public static (EvaluationResult Result, int Step) Run(string run, string? environment, int episodes, ulong seed, Device device, string checkpoint = "last", string? prompt = null)
    {
        using var policy = Policy.Load(run, checkpoint, device);
        if (prompt is not null)
        {
            policy.Promptable(); // says so before the file is read
            // Read as the run's own data are, actions of the run's bounds.
            policy.Prompt(PromptRows.Of(TransitionDataset.From(Dataset.Load(prompt, RunInfo.Read(run).Config.DatasetOptions), policy.Spaces.Action)));
        }
        string id = environment ?? policy.Environment ?? throw new SettingsException("this run has no environment: name one with --env");
        var entry = EnvironmentCatalogue.Find(id);
        var task = entry.Create(1).Spaces;
        if (!policy.Spaces.Fits(task)) throw new SettingsException($"environment {id} has {task}, the run's policy {policy.Spaces}");
        return (Run(entry, policy.Start(episodes, Mode.Deterministic, seed), seed, device.Threads), policy.Step);
    }

    /// <summary>
    /// Evaluates. Episode i starts from the stream (seed, "evaluation[i]"), whatever the policy and however it was trained, so that all
    /// algorithms face the same start states.
    /// </summary>
    /// <param name="entry">The environment; 64 episodes share one that it creates.</param>
    /// <param name="actor">Called by the caller's thread, with all episodes, one a row; those that have ended count no more, whatever it answers.</param>
    /// <param name="seed">Of the start states.</param>
    /// <param name="threads">Threads that step the environments; the returns do not depend on it.</param>
    /// <param name="stop">Ends it between two steps.</param>
    /// <exception cref="SettingsException">No episodes, or no threads.</exception>
    public static EvaluationResult Run(EnvironmentEntry entry, IActor actor, ulong seed, int threads = 1, CancellationToken stop = default)
    {
        int episodes = actor.Rows;
        if (episodes < 1) throw new SettingsException($"episodes={episodes}: expected at least 1");
        if (threads < 1) throw new SettingsException($"threads={threads}: expected at least 1");
        var blocks = Enumerable.Range(0, (episodes + BlockSize - 1) / BlockSize).Select(b => entry.Create(Math.Min(BlockSize, episodes - b * BlockSize))).ToArray();
        var (space, size, maxSteps, measures) = (blocks[0].ActionSpace, blocks[0].ObservationSize, blocks[0].MaxSteps, blocks[0].Measures);
        int goalSize = blocks[0].Spaces.Goal?.Size ?? 0;
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = threads, CancellationToken = stop };

        var observations = new float[episodes * size];
        var actions = new float[episodes * space.Size];
        var rewards = new float[episodes];
        var terminals = new bool[episodes];
        var returns = new double[episodes];
        var lengths = new int[episodes];
        var done = new bool[episodes];
        var goals = new float[episodes * goalSize];
        var (measured, latest) = (new float[episodes * measures.Count], new float[episodes * measures.Count]);
        var begins = new bool[episodes];
        Array.Fill(begins, true);
        actor.Begin(begins);
        Each(b =>
        {
            for (int i = 0; i < blocks[b].Copies; i++) blocks[b].Reset(i, new PhiloxStream(seed, $"evaluation[{b * BlockSize + i}]"));
            Observe(b);
        });
        for (int step = 0; step < maxSteps && Array.Exists(done, d => !d); step++)
        {
            actor.Act(observations, goals, actions);
            Each(Step);
        }
        double mean = returns.Average();
        return new EvaluationResult(returns, lengths.Average(),
            entry is { ReferenceMin: { } low, ReferenceMax: { } high } ? 100 * (mean - low) / (high - low) : null)
        {
            Measures = measures.Select((name, m) => (name, Values: Enumerable.Range(0, episodes).Select(i => (double)measured[i * measures.Count + m]).ToArray())).ToDictionary(m => m.name, m => m.Values),
        };

        void Each(Action<int> run)
        {
            stop.ThrowIfCancellationRequested();
            if (threads > 1 && blocks.Length > 1) Parallel.For(0, blocks.Length, parallel, run);
            else for (int b = 0; b < blocks.Length; b++) run(b);
        }

        void Observe(int b)
        {
            blocks[b].Observe(observations.AsSpan(b * BlockSize * size, blocks[b].Copies * size));
            if (goalSize > 0) blocks[b].Goals(goals.AsSpan(b * BlockSize * goalSize, blocks[b].Copies * goalSize));
        }

        void Step(int b)
        {
            var (first, count) = (b * BlockSize, blocks[b].Copies);
            var own = actions.AsSpan(first * space.Size, count * space.Size);
            if (space is ActionBounds bounds)
                for (int i = 0; i < own.Length; i++) own[i] = bounds.FromUnit(i % bounds.Size, own[i]);
            blocks[b].Step(own, rewards.AsSpan(first, count), terminals.AsSpan(first, count));
            if (measures.Count > 0) blocks[b].Measure(latest.AsSpan(first * measures.Count, count * measures.Count));
            for (int i = first; i < first + count; i++)
            {
                if (done[i]) continue;
                latest.AsSpan(i * measures.Count, measures.Count).CopyTo(measured.AsSpan(i * measures.Count));
                returns[i] += rewards[i];
                lengths[i]++;
                done[i] = terminals[i];
            }
            Observe(b);
        }
    }
}
