using System.Text.Json.Nodes;
using Engine.Algorithms.Environments;

namespace Engine.Algorithms.Data;

/// <summary>Minimum, maximum, mean and standard deviation.</summary>
public sealed record Spread(double Min, double Max, double Mean, double Std)
{
    /// <summary>Of a column.</summary>
    public static Spread Of(float[] values)
    {
        double mean = values.Average(v => (double)v);
        return new Spread(values.Min(), values.Max(), mean, Math.Sqrt(values.Average(v => (v - mean) * (v - mean))));
    }
}

/// <summary>What there is to know about a dataset before training on it.</summary>
public sealed record DatasetInspection
{
    private const int MostProblems = 20, MostKeys = 60;

    /// <summary>The rows.</summary>
    public required Dataset Data { get; init; }

    /// <summary>The transitions; null if the rows cannot be trained on, and <see cref="Problems"/> begins with the reason.</summary>
    public required TransitionDataset? View { get; init; }

    /// <summary>Undiscounted return of each trajectory, NaN where it holds one.</summary>
    public required double[] Returns { get; init; }

    /// <summary>What reading it and making transitions of it had to decide.</summary>
    public IReadOnlyList<string> Notes => View?.Notes ?? Data.Notes;

    /// <summary>Columns of the file with shape and type; empty for made data.</summary>
    public required IReadOnlyList<(string Name, string Shape, string Type)> Keys { get; init; }

    /// <summary>Rows of each trajectory.</summary>
    public required int[] Lengths { get; init; }

    /// <summary>What looks wrong, with rows.</summary>
    public required IReadOnlyList<string> Problems { get; init; }

    /// <summary>Of the recorded rewards.</summary>
    public required Spread Rewards { get; init; }

    /// <summary>Normalised mean return, where references are known, and whose references.</summary>
    public double? Score { get; init; }

    /// <summary>Environment or task whose references were used.</summary>
    public string? ScoreOf { get; init; }

    /// <summary>Beside an online training's; null where that is not known.</summary>
    public DatasetMeasures? Measures { get; init; }

    /// <summary>Rows that end the task.</summary>
    public int Terminals => Data.Terminals.Count(t => t);

    /// <summary>Rows after which a time limit cut off.</summary>
    public int Timeouts => Data.Timeouts.Count(t => t);

    /// <summary>Median length of a trajectory.</summary>
    public int MedianLength => Lengths.Order().ElementAt(Lengths.Length / 2);

    /// <summary>Looks at a source.</summary>
    public static DatasetInspection Of(string source, string? environment, DatasetOptions options)
    {
        var data = Dataset.Load(source, options);
        var space = environment is null ? null : EnvironmentCatalogue.Find(environment).Create(1).ActionSpace;
        TransitionDataset? view = null;
        var problems = new List<string>();
        try { view = TransitionDataset.From(data, space); }
        // What is wrong with the rows is what an inspection is for.
        catch (DatasetException e) { problems.Add("cannot be trained on: " + e.Message); }
        problems.AddRange(FindProblems(data, space ?? data.ActionSpace));
        var lengths = new List<int>();
        var returns = new List<double>();
        int length = 0;
        double sum = 0;
        for (int i = 0; i < data.Count; i++)
        {
            length++;
            sum += data.Rewards[i];
            if (!data.Ends[i]) continue;
            lengths.Add(length);
            returns.Add(sum);
            (length, sum) = (0, 0);
        }
        string? id = environment ?? data.Environment;
        var references = (environment is null ? data.References : null) ?? (id is null ? null : NormalizedScores.Find(id));
        return new DatasetInspection
        {
            Data = data,
            View = view,
            Keys = data.Keys.Count <= MostKeys ? data.Keys : [.. data.Keys.Take(MostKeys - 20), ($"... and {data.Keys.Count - MostKeys} more", "", ""), .. data.Keys.TakeLast(20)],
            Lengths = lengths.ToArray(),
            Returns = returns.ToArray(),
            Problems = problems,
            Rewards = Spread.Of(data.Rewards),
            Score = references is { } r ? 100 * (returns.Average() - r.Min) / (r.Max - r.Min) : null,
            ScoreOf = id,
        };
    }

    private static List<string> FindProblems(Dataset data, ActionSpace? space)
    {
        var problems = new List<string>();
        int s = data.ObservationSize, a = data.ActionSize;
        void Rows(string what, IEnumerable<int> rows)
        {
            var all = rows.ToArray();
            if (all.Length > 0) problems.Add($"{what}: {all.Length:N0} rows ({string.Join(", ", all.Take(5))}{(all.Length > 5 ? ", ..." : "")})");
        }
        Rows("observations that are not finite", NotFinite(data.Observations, s));
        Rows("actions that are not finite", NotFinite(data.Actions, a));
        Rows("rewards that are not finite", NotFinite(data.Rewards, 1));
        if (data.NextObservations is { } successors) Rows("next_observations that are not finite", NotFinite(successors, s));
        if (space is ActionBounds bounds && bounds.Size == a)
            Rows("actions outside their bounds", Enumerable.Range(0, data.Count).Where(i => Enumerable.Range(0, a).Any(j => Math.Abs(bounds.ToUnit(j, data.Actions[i * a + j])) > 1 + 1e-6f)));
        if (data.NextObservations is { } next)
            Rows("next_observations is not the next row's observation within a trajectory (the rows may be shuffled)",
                Enumerable.Range(0, data.Count - 1).Where(i => !data.Ends[i] && !next.AsSpan(i * s, s).SequenceEqual(data.Observations.AsSpan((i + 1) * s, s))));
        Rows("a trajectory of one row", Enumerable.Range(0, data.Count).Where(i => data.Ends[i] && (i == 0 || data.Ends[i - 1])));
        Rows("the same observation twice in a row", Enumerable.Range(0, data.Count - 1).Where(i => !data.Ends[i] && data.Observations.AsSpan(i * s, s).SequenceEqual(data.Observations.AsSpan((i + 1) * s, s))));
        for (int j = 0; j < s; j++)
        {
            bool constant = true;
            for (int i = 1; i < data.Count && constant; i++) constant = data.Observations[i * s + j] == data.Observations[j];
            if (constant && data.Count > 1 && !data.Rounded.Contains(j)) problems.Add($"observation {j} is {data.Observations[j]} in every row");
        }
        return problems.Take(MostProblems).ToList();
    }

    private static IEnumerable<int> NotFinite(float[] values, int width) => Enumerable.Range(0, values.Length).Where(i => !float.IsFinite(values[i])).Select(i => i / width).Distinct();

    /// <summary>For scripts; numbers that JSON does not have are null.</summary>
    public JsonObject ToJson() => new()
    {
        ["source"] = Data.Source,
        ["layout"] = Data.Layout,
        ["rows"] = Data.Count,
        ["transitions"] = View?.Count,
        ["observation_size"] = Data.ObservationSize,
        ["actions"] = (View?.ActionSpace ?? Data.ActionSpace)?.ToString(),
        ["trajectories"] = Lengths.Length,
        ["length_min"] = Lengths.Min(),
        ["length_median"] = MedianLength,
        ["length_max"] = Lengths.Max(),
        ["terminals"] = Terminals,
        ["timeouts"] = Timeouts,
        ["return_min"] = Number(Returns.Min()),
        ["return_mean"] = Number(Returns.Average()),
        ["return_max"] = Number(Returns.Max()),
        ["return_normalized"] = Score is { } score ? Number(score) : null,
        ["trajectory_quality"] = Measures is { } m ? Number(m.Quality) : null,
        ["coverage"] = Measures is { } c ? Number(c.Coverage) : null,
        ["log_coverage"] = Measures is { } l ? Number(l.LogCoverage) : null,
        ["environment"] = Data.Environment,
        ["fingerprint"] = View?.Fingerprint,
        ["keys"] = new JsonArray(Keys.Select(k => (JsonNode?)new JsonObject { ["name"] = k.Name, ["shape"] = k.Shape, ["type"] = k.Type }).ToArray()),
        ["notes"] = new JsonArray(Notes.Select(n => (JsonNode?)JsonValue.Create(n)).ToArray()),
        ["problems"] = new JsonArray(Problems.Select(p => (JsonNode?)JsonValue.Create(p)).ToArray()),
    };

    private static JsonValue? Number(double value) => double.IsFinite(value) ? JsonValue.Create(value) : null;
}
