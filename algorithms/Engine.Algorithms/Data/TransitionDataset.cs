using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Engine.Algorithms.Environments;

namespace Engine.Algorithms.Data;

/// <summary>Transitions in memory.</summary>
public sealed class TransitionDataset : TrainingData
{
    private TransitionDataset() { }

    /// <summary>All transitions.</summary>
    public required TransitionColumns Columns { get; init; }

    /// <summary>[Count, S]</summary>
    public float[] Observations => Columns.Observations;

    /// <summary>[Count, A] in [-1, 1]; of discrete actions [Count, 1], the index.</summary>
    public float[] Actions => Columns.Actions;

    /// <summary>[Count]</summary>
    public float[] Rewards => Columns.Rewards;

    /// <summary>[Count, S]; of a terminal row its own observation, which nothing uses.</summary>
    public float[] NextObservations => Columns.NextObservations;

    /// <summary>[Count], 0 or 1.</summary>
    public float[] Terminals => Columns.Terminals;

    /// <summary>Undiscounted return of every recorded trajectory.</summary>
    public required double[] EpisodeReturns { get; init; }

    /// <inheritdoc/>
    public override int Shards => 1;

    /// <inheritdoc/>
    public override int LargestShard => Count;

    /// <inheritdoc/>
    public override TransitionColumns Shard(int index) => Columns;

    /// <summary>
    /// The view that Q-learning uses: (o, a, r, o', terminal) within trajectories. A row whose trajectory is cut off without a recorded successor is dropped;
    /// a terminal row is kept.
    /// </summary>
    /// <param name="flat">Rows as recorded.</param>
    /// <param name="space">What an action is, from the environment; null: what the data say, else the minimum and maximum of every component, with a note.</param>
    /// <exception cref="DatasetException">Lengths differ, nothing is left, or a row holds NaN or infinity.</exception>
    public static TransitionDataset From(Dataset flat, ActionSpace? space)
    {
        int n = flat.Rewards.Length, s = flat.ObservationSize, a = flat.ActionSize;
        if (n == 0) throw new DatasetException($"{flat.Source}: no rows");
        Length("observations", flat.Observations.Length, n * s);
        Length("actions", flat.Actions.Length, n * a);
        Length("terminals", flat.Terminals.Length, n);
        Length("episode ends", flat.Ends.Length, n);
        if (flat.NextObservations is { } given) Length("next_observations", given.Length, n * s);
        Finite("observations", flat.Observations, s);
        Finite("actions", flat.Actions, a);
        Finite("rewards", flat.Rewards, 1);
        if (flat.NextObservations is not null) Finite("next_observations", flat.NextObservations, s);

        var notes = new List<string>();
        notes.AddRange(flat.Notes);
        if (space is not null && flat.ActionSpace is DiscreteActions != space is DiscreteActions && flat.ActionSpace is not null)
            throw new DatasetException($"{flat.Source}: has {flat.ActionSpace}, the environment {space}");
        space ??= flat.ActionSpace;
        if (space is null)
        {
            space = Range(flat);
            notes.Add($"action bounds are not stated: taken from the data, {space}");
        }
        if (space.Size != a) throw new DatasetException($"{flat.Source}: actions have {a} components, expected {space}");

        var kept = new List<int>(n);
        for (int i = 0; i < n; i++)
            if (flat.NextObservations is not null || flat.Terminals[i] || (!flat.Ends[i] && i + 1 < n)) kept.Add(i);
        if (kept.Count == 0) throw new DatasetException($"{flat.Source}: no transition: every row ends its trajectory without a successor");
        if (kept.Count < n) notes.Add($"{n - kept.Count} rows at the end of a cut-off trajectory have no successor and were dropped");

        float[] observations = new float[kept.Count * s], next = new float[kept.Count * s], actions = new float[kept.Count * a], rewards = new float[kept.Count], terminals = new float[kept.Count];
        int clipped = 0;
        for (int k = 0; k < kept.Count; k++)
        {
            int i = kept[k];
            var own = flat.Observations.AsSpan(i * s, s);
            own.CopyTo(observations.AsSpan(k * s));
            var successor = flat.NextObservations is { } nexts ? nexts.AsSpan(i * s, s) : flat.Terminals[i] ? own : flat.Observations.AsSpan((i + 1) * s, s);
            successor.CopyTo(next.AsSpan(k * s));
            bool outside = false;
            if (space is DiscreteActions discrete)
            {
                float index = actions[k] = flat.Actions[i];
                if (index != MathF.Truncate(index) || index < 0 || index >= discrete.Count) throw new DatasetException($"{flat.Source}: actions, row {i} is {index}: expected an index from 0 to {discrete.Count - 1}");
            }
            else for (int j = 0; j < a; j++)
            {
                var bounds = (ActionBounds)space;
                float unit = bounds.ToUnit(j, flat.Actions[i * a + j]);
                outside |= MathF.Abs(unit) > 1 + 1e-6f;
                actions[k * a + j] = Math.Clamp(unit, -1, 1);
            }
            if (outside) clipped++;
            rewards[k] = flat.Rewards[i];
            terminals[k] = flat.Terminals[i] ? 1 : 0;
        }
        if (clipped > 0) notes.Add($"{clipped} rows have actions outside their bounds and were clipped");

        double[] returns = flat.Episodes().Select(e => flat.Rewards[e].Sum(r => (double)r)).ToArray();
        return new TransitionDataset
        {
            Source = flat.Source,
            ObservationSize = s,
            ActionSpace = space,
            Count = kept.Count,
            Columns = new TransitionColumns(kept.Count, observations, actions, rewards, next, terminals),
            EpisodeReturns = returns,
            Returns = new ReturnSummary(returns.Length, returns.Min(), returns.Average(), returns.Max()),
            Notes = notes,
            Fingerprint = Hash(observations, actions, rewards, next, terminals),
        };

        void Length(string name, int actual, int expected)
        {
            if (actual != expected) throw new DatasetException($"{flat.Source}: {name} has {actual} numbers, expected {expected} for {n} rows");
        }

        void Finite(string name, float[] values, int width)
        {
            for (int i = 0; i < values.Length; i++)
                if (!float.IsFinite(values[i])) throw new DatasetException($"{flat.Source}: {name}, row {i / width}, column {i % width} is {values[i]}: expected a finite number");
        }
    }

    private static ActionBounds Range(Dataset flat)
    {
        int a = flat.ActionSize;
        var (low, high) = (new float[a], new float[a]);
        Array.Fill(low, float.MaxValue);
        Array.Fill(high, float.MinValue);
        for (int i = 0; i < flat.Actions.Length; i++)
        {
            low[i % a] = Math.Min(low[i % a], flat.Actions[i]);
            high[i % a] = Math.Max(high[i % a], flat.Actions[i]);
        }
        for (int j = 0; j < a; j++)
            if (high[j] <= low[j]) (low[j], high[j]) = (low[j] - 1, low[j] + 1); // a component that never moves
        return new ActionBounds(low, high);
    }

    private static string Hash(params float[][] columns)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var column in columns) hash.AppendData(MemoryMarshal.AsBytes(column.AsSpan()));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <inheritdoc/>
    public override (double[] Mean, double[] Std) ObservationStatistics()
    {
        int s = ObservationSize;
        double[] mean = new double[s], std = new double[s];
        for (int i = 0; i < Observations.Length; i++) mean[i % s] += Observations[i];
        for (int j = 0; j < s; j++) mean[j] /= Count;
        for (int i = 0; i < Observations.Length; i++) std[i % s] += (Observations[i] - mean[i % s]) * (Observations[i] - mean[i % s]);
        for (int j = 0; j < s; j++) std[j] = Math.Sqrt(std[j] / Count);
        return (mean, std);
    }
}
