using System.Security.Cryptography;
using Engine.Algorithms.Batches;
using Engine.Kernels;

namespace Engine.Algorithms.Data;

/// <summary>Transitions in memory.</summary>
public sealed class TransitionDataset : TrainingData
{
    private TransitionDataset() { }

    /// <summary>The rows.</summary>
    public required DataTable Table { get; init; }

    /// <inheritdoc/>
    public override IReadOnlyList<BatchColumn> Columns => Table.Columns;

    private readonly Dictionary<string, float[]> _columns = [];

    /// <summary>A column of the transitions in one array, which is made at the first call and kept.</summary>
    private float[] Column(string name, int after = 0)
    {
        lock (_columns)
            return _columns.TryGetValue($"{name}{after}", out var known) ? known : _columns[$"{name}{after}"] = Table.AtTransitions(name, after);
    }

    /// <summary>[Count, S]. These arrays are copies of the table's columns: made when first asked for, then kept.</summary>
    public float[] Observations => Column("observations");

    /// <summary>[Count, A] in [-1, 1]; of discrete actions [Count, 1], the index.</summary>
    public float[] Actions => Column("actions");

    /// <summary>[Count]</summary>
    public float[] Rewards => Column("rewards");

    /// <summary>[Count, S]; of a terminal row its own observation if the data state no other: nothing uses it.</summary>
    public float[] NextObservations => Column("observations", after: 1);

    /// <summary>[Count], 0 or 1.</summary>
    public float[] Terminals => Column("terminals");

    /// <summary>Undiscounted return of every recorded trajectory.</summary>
    public required double[] EpisodeReturns { get; init; }

    /// <inheritdoc/>
    public override int Shards => 1;

    /// <inheritdoc/>
    public override int LargestTable => Table.Rows;

    /// <inheritdoc/>
    public override DataTable Shard(int index) => Table;

    /// <summary>A table of one's own making, with whatever columns: <c>observations</c> at least.</summary>
    /// <param name="source">A name for messages.</param>
    /// <param name="spaces">What is seen and done; actions as the table has them.</param>
    /// <param name="table">The rows.</param>
    public static TransitionDataset Of(string source, Spaces spaces, DataTable table) => new()
    {
        Source = source,
        Spaces = spaces,
        Count = table.Transitions.Length,
        Table = table,
        EpisodeReturns = [],
        Returns = new ReturnSummary(0, 0, 0, 0),
        Notes = [],
        Fingerprint = Hash(table),
    };

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

        bool Transition(int i) => flat.NextObservations is not null || flat.Terminals[i] || (!flat.Ends[i] && i + 1 < n);
        int kept = Enumerable.Range(0, n).Count(Transition);
        if (kept == 0) throw new DatasetException($"{flat.Source}: no transition: every row ends its trajectory without a successor");
        if (kept < n) notes.Add($"{n - kept} rows at the end of a cut-off trajectory have no successor and were dropped");

        var (actions, terminals) = (new float[n * a], Array.ConvertAll(flat.Terminals, t => t ? 1f : 0f));
        int clipped = 0;
        for (int i = 0; i < n; i++)
        {
            bool outside = false;
            if (space is DiscreteActions discrete)
            {
                float index = actions[i] = flat.Actions[i];
                if (Transition(i) && (index != MathF.Truncate(index) || index < 0 || index >= discrete.Count)) throw new DatasetException($"{flat.Source}: actions, row {i} is {index}: expected an index from 0 to {discrete.Count - 1}");
            }
            else for (int j = 0; j < a; j++)
            {
                float unit = ((ActionBounds)space).ToUnit(j, flat.Actions[i * a + j]);
                outside |= MathF.Abs(unit) > 1 + 1e-6f;
                actions[i * a + j] = Math.Clamp(unit, -1, 1);
            }
            if (outside && Transition(i)) clipped++;
        }
        if (clipped > 0) notes.Add($"{clipped} rows have actions outside their bounds and were clipped");

        var spaces = new Spaces(s, space);
        var table = DataTable.Of([.. BatchColumn.Recorded(spaces), .. flat.Further.Select(c => c.Column)], name => name switch
        {
            "observations" => flat.Observations,
            "actions" => actions,
            "rewards" => flat.Rewards,
            "terminals" => terminals,
            _ => flat.Further.First(c => c.Column.Name == name).Values,
        }, n, flat.NextObservations, Transition, i => !flat.Terminals[i] && !flat.Ends[i]);
        double[] returns = flat.Episodes().Select(e => flat.Rewards[e].Sum(r => (double)r)).ToArray();
        return new TransitionDataset
        {
            Source = flat.Source,
            Spaces = spaces,
            Count = kept,
            Table = table,
            EpisodeReturns = returns,
            Returns = new ReturnSummary(returns.Length, returns.Min(), returns.Average(), returns.Max()),
            Notes = notes,
            Fingerprint = Hash(table),
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

    /// <summary>Splits off a share of the trajectories, rounded, at least one of both sides. What is known of the whole (spaces, returns, notes) stays both parts' own, so that rewards are changed alike.</summary>
    /// <param name="share">Above 0, below 1.</param>
    /// <param name="seed">Decides which, with the share alone.</param>
    /// <exception cref="DatasetException">There is a single trajectory.</exception>
    public (TransitionDataset Kept, TransitionDataset HeldOut) Split(double share, ulong seed)
    {
        int[] ends = Table.Ends.Distinct().ToArray();
        if (ends.Length < 2) throw new DatasetException($"{Source}: a single trajectory cannot be split into what is trained on and what is held out");
        int count = Math.Clamp((int)Math.Round(share * ends.Length), 1, ends.Length - 1);
        new PhiloxStream(seed, "hold-out").Shuffle(ends);
        var held = ends[..count].ToHashSet();
        return (With(Table.Of(end => !held.Contains(end))), With(Table.Of(held.Contains)));
    }

    /// <summary>The trajectories of a choice, as <see cref="Split"/> makes parts.</summary>
    /// <exception cref="DatasetException">There are not so many.</exception>
    public TransitionDataset Of(TrajectoryChoice choice) => With(Table.Of(choice.Of(Table, Source).Contains));

    /// <summary>The column that says which rows' actions are known: 1, else 0.</summary>
    public const string Labelled = "labelled";

    /// <summary>The same rows with the actions of a choice of trajectories only: the others' are 0, and so is their column <see cref="Labelled"/>.</summary>
    /// <param name="known">Whose actions stay; null: all.</param>
    /// <exception cref="DatasetException">There are not so many.</exception>
    public TransitionDataset WithActionsOf(TrajectoryChoice? known)
    {
        var kept = known?.Of(Table, Source);
        var labelled = Array.ConvertAll(Table.Ends, end => kept is null || kept.Contains(end) ? 1f : 0f);
        int width = ActionSize;
        var actions = ((float[])Table["actions"]).Select((a, i) => labelled[i / width] * a).ToArray();
        return With(Table.With(Table.Columns.First(c => c.Name == "actions"), actions).With(BatchColumn.Number(Labelled), labelled));
    }

    /// <summary>Other rows in the place of these.</summary>
    private TransitionDataset With(DataTable table) => new()
    {
        Source = Source,
        Spaces = Spaces,
        Count = table.Transitions.Length,
        Table = table,
        EpisodeReturns = EpisodeReturns,
        Returns = Returns,
        Notes = Notes,
        Fingerprint = Fingerprint,
    };

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

    /// <summary>Of the transitions, column by column, so that equal transitions of files with other trajectories have one.</summary>
    private static string Hash(DataTable table)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        string[] usual = ["observations", "actions", "rewards", "+", "terminals"];
        foreach (string name in usual.Where(n => n == "+" || table.Columns.Any(c => c.Name == n)).Concat(table.Columns.Select(c => c.Name).Except(usual)))
        {
            var column = table.Columns.First(c => c.Name == (name == "+" ? "observations" : name));
            int width = column.Width * column.Type.Bytes();
            var bytes = DataTable.Bytes(table[column.Name]);
            foreach (int row in table.Transitions) hash.AppendData(bytes.Slice((name == "+" ? row + 1 : row) * width, width));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <inheritdoc/>
    public override (double[] Mean, double[] Std) ObservationStatistics()
    {
        int s = ObservationSize;
        double[] mean = new double[s], std = new double[s];
        foreach (int row in Table.Transitions)
        {
            var seen = Table.Row("observations", row);
            for (int j = 0; j < s; j++) mean[j] += seen[j];
        }
        for (int j = 0; j < s; j++) mean[j] /= Count;
        foreach (int row in Table.Transitions)
        {
            var seen = Table.Row("observations", row);
            for (int j = 0; j < s; j++) std[j] += (seen[j] - mean[j]) * (seen[j] - mean[j]);
        }
        for (int j = 0; j < s; j++) std[j] = Math.Sqrt(std[j] / Count);
        return (mean, std);
    }
}
