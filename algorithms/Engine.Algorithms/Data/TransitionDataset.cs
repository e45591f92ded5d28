using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Engine.Algorithms.Environments;

namespace Engine.Algorithms.Data;

/// <summary>A dataset that is not what it should be: one line with what, where and what was expected.</summary>
public sealed class DatasetException(string message) : Exception(message);

/// <summary>Rows in the order they were recorded, as the flat layouts have them.</summary>
/// <param name="Source">File or generator, for messages.</param>
/// <param name="ObservationSize">S.</param>
/// <param name="ActionSize">A.</param>
/// <param name="Observations">[N, S]</param>
/// <param name="Actions">[N, A] in the environment's units.</param>
/// <param name="Rewards">[N]</param>
/// <param name="Terminals">[N]: the task ended with this row.</param>
/// <param name="Ends">[N]: the trajectory ends with this row, by a terminal, a time limit or the end of the recording.</param>
/// <param name="NextObservations">[N, S], or null: then the next row of the trajectory.</param>
public sealed record FlatEpisodes(string Source, int ObservationSize, int ActionSize, float[] Observations, float[] Actions, float[] Rewards,
    bool[] Terminals, bool[] Ends, float[]? NextObservations = null);

/// <summary>Transitions as columns, ready for a device.</summary>
public sealed class TransitionDataset
{
    private TransitionDataset(FlatEpisodes flat, ActionBounds bounds) => (Source, ObservationSize, ActionSize, ActionBounds) = (flat.Source, flat.ObservationSize, flat.ActionSize, bounds);

    /// <summary>File or generator.</summary>
    public string Source { get; }

    /// <summary>Number of transitions.</summary>
    public int Count { get; private init; }

    /// <summary>S.</summary>
    public int ObservationSize { get; }

    /// <summary>A.</summary>
    public int ActionSize { get; }

    /// <summary>What -1 and 1 mean in <see cref="Actions"/>.</summary>
    public ActionBounds ActionBounds { get; }

    /// <summary>[Count, S]</summary>
    public float[] Observations { get; private init; } = [];

    /// <summary>[Count, A] in [-1, 1].</summary>
    public float[] Actions { get; private init; } = [];

    /// <summary>[Count]</summary>
    public float[] Rewards { get; private init; } = [];

    /// <summary>[Count, S]; of a terminal row its own observation, which nothing uses.</summary>
    public float[] NextObservations { get; private init; } = [];

    /// <summary>[Count], 0 or 1.</summary>
    public float[] Terminals { get; private init; } = [];

    /// <summary>Undiscounted return of every recorded trajectory.</summary>
    public double[] EpisodeReturns { get; private init; } = [];

    /// <summary>What a user should know: rows dropped, actions clipped, bounds guessed.</summary>
    public IReadOnlyList<string> Notes { get; private init; } = [];

    /// <summary>SHA-256 of the columns: a run remembers what it was trained on.</summary>
    public string Fingerprint { get; private init; } = "";

    /// <summary>
    /// The view that Q-learning uses: (o, a, r, o', terminal) within trajectories. A row whose trajectory is cut off without a recorded successor is dropped;
    /// a terminal row is kept.
    /// </summary>
    /// <param name="flat">Rows as recorded.</param>
    /// <param name="bounds">Bounds of the actions; null: their minimum and maximum, with a note.</param>
    /// <exception cref="DatasetException">Lengths differ, nothing is left, or a row holds NaN or infinity.</exception>
    public static TransitionDataset From(FlatEpisodes flat, ActionBounds? bounds)
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
        if (bounds is null)
        {
            bounds = Range(flat);
            notes.Add($"action bounds are not stated: taken from the data, [{string.Join(", ", bounds.Low)}] to [{string.Join(", ", bounds.High)}]");
        }
        if (bounds.Size != a) throw new DatasetException($"{flat.Source}: actions have {a} components, the environment's bounds {bounds.Size}");

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
            for (int j = 0; j < a; j++)
            {
                float unit = bounds.ToUnit(j, flat.Actions[i * a + j]);
                outside |= MathF.Abs(unit) > 1 + 1e-6f;
                actions[k * a + j] = Math.Clamp(unit, -1, 1);
            }
            if (outside) clipped++;
            rewards[k] = flat.Rewards[i];
            terminals[k] = flat.Terminals[i] ? 1 : 0;
        }
        if (clipped > 0) notes.Add($"{clipped} rows have actions outside their bounds and were clipped");

        return new TransitionDataset(flat, bounds)
        {
            Count = kept.Count,
            Observations = observations,
            Actions = actions,
            Rewards = rewards,
            NextObservations = next,
            Terminals = terminals,
            EpisodeReturns = Returns(flat),
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

    private static ActionBounds Range(FlatEpisodes flat)
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

    private static double[] Returns(FlatEpisodes flat)
    {
        var returns = new List<double>();
        double sum = 0;
        for (int i = 0; i < flat.Rewards.Length; i++)
        {
            sum += flat.Rewards[i];
            if (!flat.Ends[i] && !flat.Terminals[i] && i + 1 < flat.Rewards.Length) continue;
            returns.Add(sum);
            sum = 0;
        }
        return returns.ToArray();
    }

    private static string Hash(params float[][] columns)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var column in columns) hash.AppendData(MemoryMarshal.AsBytes(column.AsSpan()));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Mean and standard deviation (divisor n) of each observation component, in float64.</summary>
    public (double[] Mean, double[] Std) ObservationStatistics()
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
