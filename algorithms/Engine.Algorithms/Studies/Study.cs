using System.Text.Json;
using System.Text.Json.Nodes;
using Engine.Algorithms.Training;
using Engine.Interop;

namespace Engine.Algorithms.Studies;

/// <summary>One run of a study.</summary>
/// <param name="Name">Folder below the study's.</param>
/// <param name="Dataset">Name of the dataset in the study; empty if there is one only.</param>
/// <param name="Label">Row of the table.</param>
/// <param name="Config">What to train.</param>
/// <param name="Source">Name of the entry that must be done before, in the place of which the config's dataset has <see cref="Placeholder"/>; null: none.</param>
public sealed record StudyEntry(string Name, string Dataset, string Label, RunConfig Config, string? Source = null)
{
    /// <summary>Stands for the run folder of <see cref="Source"/>.</summary>
    internal const string Placeholder = "{source}";

    /// <summary>The run, below the study's folder.</summary>
    internal RunConfig In(string folder) => Source is null ? Config : Config with { Dataset = Config.Dataset!.Replace(Placeholder, Path.Combine(folder, Source), StringComparison.Ordinal) };
}

/// <summary>What came out of a run of a study; stored as final.json in its folder.</summary>
/// <param name="Last">Mean return of the last checkpoint.</param>
/// <param name="LastNormalized">The same on the scale of the references.</param>
/// <param name="Best">Mean return of the checkpoint with the best evaluation, on the episodes of the last one.</param>
/// <param name="BestNormalized">The same on the scale of the references.</param>
/// <param name="SecondHalf">Mean over the evaluations of the second half of the training.</param>
/// <param name="SecondHalfNormalized">The same on the scale of the references.</param>
/// <param name="Seconds">Of training and its evaluations.</param>
/// <param name="Failure">Why there are no numbers: it diverged. Null otherwise.</param>
public sealed record StudyResult(double Last, double? LastNormalized, double Best, double? BestNormalized, double SecondHalf, double? SecondHalfNormalized, double Seconds, string? Failure = null)
{
    /// <summary>What else is evaluated of the last checkpoint, by the names of the columns: means of what the environment measures, "NAME.return" and so on of further evaluations, "heldout.LOSS".</summary>
    public IReadOnlyDictionary<string, double> Measures { get; init; } = new Dictionary<string, double>();
}

/// <summary>
/// Algorithms times datasets times seeds, as a JSON file describes them. Further data by the names of their sources (<c>sources</c>) and options of a run (<see cref="RunConfig.Options"/>) stand at the top for all runs, or beside the settings
/// of an algorithm for its own. Every run has a folder of its own, so an interrupted study goes on where it stopped; a run that diverges is a cell of the table, not the end. An algorithm's own dataset may be what another one of the same seed
/// made: <c>"dataset": "sample:{LABEL},count=50000"</c>.
/// </summary>
public sealed class Study
{
    private static readonly string[] Keys = ["dataset", "sources", "environment", "datasets", "behaviour", "fitted_q", "final_episodes", "threshold", "score", "seeds", "algorithms", "switches", "checks", "measures", "correlations", "comment"];
    // What the study itself says about every run.
    private static readonly string[] Own = ["environment", "seed"];

    private readonly string _path;
    private readonly JsonObject _json;

    private Study(string path, JsonObject json)
    {
        (_path, _json) = (path, json);
        var known = Keys.Concat(RunConfig.Options.Select(o => o.Key)).ToArray();
        foreach (var (key, _) in json)
            if (!known.Contains(key)) throw Error($"key {key} is unknown; {NearNames.Describe(key, known)}");
        Entries = ReadEntries();
        Checks = ReadChecks("checks", StudyCheck.Parse);
        Correlations = ReadChecks("correlations", DatasetCorrelation.Parse);
        if (Correlations.Count > 0 && MeasuredWith is null) throw Error("correlations: measures is missing, with random, replay and online_return");
    }

    /// <summary>Reads a study file.</summary>
    /// <exception cref="InteropFormatException">Missing, not JSON, or a key is unknown, missing or of the wrong type.</exception>
    public static Study Read(string path)
    {
        if (!File.Exists(path)) throw new InteropFormatException(path, -1, "no such file; expected a study (JSON)");
        try { return new Study(path, JsonNode.Parse(File.ReadAllText(path)) as JsonObject ?? throw new InteropFormatException(path, 0, "expected a JSON object")); }
        catch (JsonException e) { throw new InteropFormatException(path, e.BytePositionInLine ?? 0, "not valid JSON: " + e.Message.Split('.')[0]); }
    }

    /// <summary>All runs, dataset by dataset and algorithm by algorithm.</summary>
    public IReadOnlyList<StudyEntry> Entries { get; }

    /// <summary>What the study is to show.</summary>
    public IReadOnlyList<StudyCheck> Checks { get; }

    /// <summary>What it is to show of its datasets.</summary>
    public IReadOnlyList<DatasetCorrelation> Correlations { get; }

    /// <summary>What the datasets' measures are relative to (<c>random</c>, <c>replay</c>, <c>online_return</c>); null: they are not measured.</summary>
    internal JsonObject? MeasuredWith => _json["measures"] as JsonObject;

    /// <summary>How the last policy of every run is judged from the run's data alone (<see cref="Evaluation.FittedQ"/>, measure <c>fitted_q</c>); null: it is not.</summary>
    public Evaluation.FittedQSettings? FittedQ => _json["fitted_q"] is not { } node ? null
        : (Evaluation.FittedQSettings)SettingsJson.FromJson("fitted_q", node, typeof(Evaluation.FittedQSettings))!;

    /// <summary>Data whose mean return is that of the policy that collected a dataset, acting without noise; null: it is not stated.</summary>
    /// <param name="dataset">Name of the dataset in the study.</param>
    public string? Behaviour(string dataset) => ((string?)((_json["datasets"] as JsonArray)?.FirstOrDefault(d => (string?)d!["name"] == dataset)?["behaviour"] ?? _json["behaviour"])) is { } source ? Located(source) : null;

    /// <summary>Its seeds, in order.</summary>
    public IReadOnlyList<int> Seeds => Required("seeds").AsArray().Select(s => (int)s!).ToArray();

    /// <summary>Episodes of the final evaluations.</summary>
    public int FinalEpisodes => (int?)_json["final_episodes"] ?? (int?)_json["evaluation_episodes"] ?? Entries[0].Config.EvaluationEpisodes;

    /// <summary>Return whose first crossing the table shows; null for none.</summary>
    public double? Threshold => (double?)_json["threshold"];

    /// <summary>Whether the table's numbers are on the scale of the references.</summary>
    public bool Normalized => (string?)_json["score"] == "normalized";

    private List<StudyEntry> ReadEntries()
    {
        try
        {
            var entries = new List<StudyEntry>();
            var datasets = _json["datasets"] is JsonArray several
                ? several.Select(d => (Name: (string)d!["name"]!, Dataset: (string?)d["dataset"], Environment: (string)d["environment"]!)).ToArray()
                : [("", (string?)_json["dataset"], (string)Required("environment")!)];
            var options = RunConfig.Options.Select(o => o.Key).Except(Own).ToHashSet();
            foreach (var (name, dataset, environment) in datasets)
                foreach (var (label, own, algorithm) in Algorithms())
                {
                    string? data = own.Remove("dataset", out var other) ? (string?)other : dataset;
                    string? maker = data is not null && data.IndexOf('{', StringComparison.Ordinal) is var open and >= 0 && data.IndexOf('}', open) is var close and >= 0 ? data[(open + 1)..close] : null;
                    if (maker is not null)
                    {
                        if (!entries.Exists(e => e.Label == maker && e.Dataset == name)) throw Error($"dataset {data}: {maker} is none of the algorithms before {label}");
                        data = data!.Replace($"{{{maker}}}", StudyEntry.Placeholder, StringComparison.Ordinal);
                    }
                    own.Remove("sources", out var others);
                    var sources = new Dictionary<string, string>();
                    foreach (var (source, of) in (others ?? _json["sources"])?.AsObject() ?? []) sources[source] = Located((string)of!);
                    if (data is not null) sources[Draw.Offline] = Located(data);
                    var settings = own.Where(p => !options.Contains(p.Key)).ToArray();
                    foreach (int seed in Seeds)
                    {
                        var config = new RunConfig
                        {
                            Algorithm = algorithm,
                            Settings = SettingsJson.With(AlgorithmCatalogue.Find(algorithm).Defaults, settings),
                            Datasets = sources,
                            Environment = environment,
                            Seed = (ulong)seed,
                        }.With(_json.Where(p => options.Contains(p.Key))).With(own.Where(p => options.Contains(p.Key)));
                        // Every evaluation has a checkpoint unless the file says otherwise.
                        if (!_json.ContainsKey("checkpoint_every") && !own.ContainsKey("checkpoint_every")) config = config with { CheckpointEvery = Math.Max(1, config.EvaluateEvery) };
                        config.Validate();
                        string Name(string of) => Path.Combine(name, $"{of}-seed{seed}");
                        entries.Add(new StudyEntry(Name(label), name, label, config, maker is null ? null : Name(maker)));
                    }
                }
            return entries;
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException or NullReferenceException) { throw Error(e.Message); }
        catch (SettingsException e) { throw Error(e.Message); }
    }

    /// <summary>Names of the switches: settings that every algorithm is also trained with, one switch at a time.</summary>
    public IReadOnlyList<string> Switches => (_json["switches"] as JsonObject)?.Select(s => s.Key).ToArray() ?? [];

    /// <summary>The label of an algorithm with a switch.</summary>
    public static string Switched(string label, string name) => $"{label}+{name}";

    /// <summary>The algorithms, each as it stands and with every switch: label, what stands in the file, name in the catalogue.</summary>
    private IEnumerable<(string Label, Dictionary<string, JsonNode?> Own, string Algorithm)> Algorithms()
    {
        foreach (var (label, node) in Required("algorithms").AsObject())
            foreach (var (name, changes) in ((IEnumerable<KeyValuePair<string, JsonNode?>>?)(_json["switches"] as JsonObject) ?? []).Prepend(new("", new JsonObject())))
            {
                var own = node!.AsObject().ToDictionary(p => p.Key, p => p.Value);
                foreach (var (key, value) in changes!.AsObject()) own[key] = value;
                string algorithm = own.Remove("algorithm", out var given) ? (string)given! : label;
                yield return (name.Length == 0 ? label : Switched(label, name), own, algorithm);
            }
    }

    internal static string Located(string data) => Data.Dataset.IsMade(data) || Path.IsPathRooted(data) ? data : Path.Combine(DataRoot(), data);

    private List<T> ReadChecks<T>(string key, Func<string, IReadOnlyCollection<string>, T> parse)
    {
        try
        {
            string[] labels = Entries.Select(e => e.Label).Distinct().ToArray();
            return (_json[key] as JsonArray ?? []).Select(c => parse((string)c!, labels)).ToList();
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException or NullReferenceException or SettingsException) { throw Error($"{key}: {e.Message}"); }
    }

    private InteropFormatException Error(string message) => new(_path, -1, message);

    private JsonNode Required(string key) => _json[key] ?? throw Error($"no {key}");

    /// <summary>Where data files lie: ENGINE_DATA, by default ../shared.</summary>
    public static string DataRoot() => Environment.GetEnvironmentVariable("ENGINE_DATA") ?? Path.Combine("..", "shared");
}
