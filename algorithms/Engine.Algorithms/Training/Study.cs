using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Engine.Algorithms.Data;
using Engine.Interop;
using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Algorithms.Training;

/// <summary>One run of a study.</summary>
/// <param name="Name">Folder below the study's.</param>
/// <param name="Dataset">Name of the dataset in the study; empty if there is one only.</param>
/// <param name="Label">Row of the table.</param>
/// <param name="Config">What to train.</param>
public sealed record StudyEntry(string Name, string Dataset, string Label, RunConfig Config);

/// <summary>What came out of a run of a study; stored as final.json in its folder.</summary>
/// <param name="Last">Mean return of the last checkpoint.</param>
/// <param name="LastNormalized">The same on the scale of the references.</param>
/// <param name="Best">Mean return of the checkpoint with the best evaluation, on the episodes of the last one.</param>
/// <param name="BestNormalized">The same on the scale of the references.</param>
/// <param name="SecondHalf">Mean over the evaluations of the second half of the training.</param>
/// <param name="SecondHalfNormalized">The same on the scale of the references.</param>
/// <param name="Seconds">Of training and its evaluations.</param>
/// <param name="Failure">Why there are no numbers: it diverged. Null otherwise.</param>
public sealed record StudyResult(double Last, double? LastNormalized, double Best, double? BestNormalized, double SecondHalf, double? SecondHalfNormalized, double Seconds, string? Failure = null);

/// <summary>
/// Algorithms times datasets times seeds, as a JSON file describes them. Every run has a folder of its own, so an interrupted study goes on where it
/// stopped; a run that diverges is a cell of the table, not the end.
/// </summary>
public sealed class Study
{
    private static readonly string[] Keys = ["dataset", "environment", "datasets", "steps", "evaluate_every", "evaluation_episodes", "final_episodes", "threshold", "score", "seeds", "algorithms", "comment"];
    private static readonly JsonSerializerOptions Snake = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals };

    private readonly string _path;
    private readonly JsonObject _json;

    private Study(string path, JsonObject json)
    {
        (_path, _json) = (path, json);
        foreach (var (key, _) in json)
            if (!Keys.Contains(key)) throw Error($"key {key} is unknown; {NearNames.Describe(key, Keys)}");
        Entries = ReadEntries();
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

    private List<StudyEntry> ReadEntries()
    {
        try
        {
            var entries = new List<StudyEntry>();
            var datasets = _json["datasets"] is JsonArray several
                ? several.Select(d => (Name: (string)d!["name"]!, Dataset: (string)d["dataset"]!, Environment: (string)d["environment"]!)).ToArray()
                : [("", (string)Required("dataset")!, (string)Required("environment")!)];
            foreach (var (name, dataset, environment) in datasets)
                foreach (var (label, node) in Required("algorithms").AsObject())
                {
                    var settings = node!.AsObject().ToDictionary(p => p.Key, p => p.Value);
                    T? Take<T>(string key, T? otherwise) => settings.Remove(key, out var value) ? value!.GetValue<T>() : otherwise;
                    string algorithm = Take("algorithm", label)!;
                    int steps = Take("steps", (int)Required("steps")!), every = Take("evaluate_every", (int)Required("evaluate_every")!);
                    string? rewards = Take<string>("rewards", null);
                    var precision = RunConfig.ParsePrecision(Take("precision", Precision.Float32.Name())!);
                    foreach (var seed in Required("seeds").AsArray())
                    {
                        var config = new RunConfig
                        {
                            Algorithm = algorithm,
                            Settings = SettingsJson.With(AlgorithmCatalogue.Find(algorithm).Defaults, settings),
                            Dataset = BuiltinDatasets.Names(dataset) || Path.IsPathRooted(dataset) ? dataset : Path.Combine(DataRoot(), dataset),
                            Rewards = rewards,
                            Precision = precision,
                            Environment = environment,
                            Steps = steps,
                            Seed = (ulong)(int)seed!,
                            EvaluateEvery = every,
                            EvaluationEpisodes = (int)Required("evaluation_episodes")!,
                            CheckpointEvery = every,
                        };
                        config.Validate();
                        entries.Add(new StudyEntry(Path.Combine(name, $"{label}-seed{(int)seed!}"), name, label, config));
                    }
                }
            return entries;
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException or NullReferenceException) { throw Error(e.Message); }
        catch (SettingsException e) { throw Error(e.Message); }
    }

    private InteropFormatException Error(string message) => new(_path, -1, message);

    private JsonNode Required(string key) => _json[key] ?? throw Error($"no {key}");

    /// <summary>Episodes of the final evaluations.</summary>
    public int FinalEpisodes => (int?)_json["final_episodes"] ?? (int)Required("evaluation_episodes");

    /// <summary>Where data files lie: ENGINE_DATA, by default ../shared.</summary>
    public static string DataRoot() => Environment.GetEnvironmentVariable("ENGINE_DATA") ?? Path.Combine("..", "shared");

    /// <summary>Runs what is not finished yet, several runs side by side, one thread each.</summary>
    /// <param name="folder">Where the runs go.</param>
    /// <param name="jobs">How many side by side.</param>
    /// <param name="say">Told in one line what happens.</param>
    /// <param name="stop">Stops; what is under way is saved.</param>
    /// <param name="open">Opens the device of a run; null: the processor with one thread.</param>
    public void Run(string folder, int jobs, Action<string> say, CancellationToken stop, Func<Device>? open = null)
    {
        Directory.CreateDirectory(folder);
        var todo = Entries.Where(e => Result(folder, e) is null).ToArray();
        say($"{todo.Length} of {Entries.Count} runs to do, {jobs} at a time");
        var datasets = new Dictionary<(string, string?), TrainingData>();
        foreach (var entry in todo)
            if (!datasets.ContainsKey((entry.Config.Dataset, entry.Config.Environment)))
                datasets[(entry.Config.Dataset, entry.Config.Environment)] = TrainingData.Load(entry.Config.Dataset, entry.Config.Environment);
        var queue = new Queue<StudyEntry>(todo);
        var failures = new List<Exception>();
        int done = Entries.Count - todo.Length;
        var threads = Enumerable.Range(0, jobs).Select(_ => new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                StudyEntry entry;
                lock (queue)
                    if (failures.Count > 0 || !queue.TryDequeue(out entry!)) return;
                try
                {
                    var result = RunOne(folder, entry, datasets[(entry.Config.Dataset, entry.Config.Environment)], open, stop);
                    say($"[{Interlocked.Increment(ref done)}/{Entries.Count}] {entry.Name}: {(result.Failure ?? $"last {result.Last:F1}, best {result.Best:F1}{(result.LastNormalized is { } n ? $" (normalised {n:F1}, {result.BestNormalized:F1})" : "")}")}, {result.Seconds:F0} s");
                }
                catch (OperationCanceledException) { return; }
                catch (Exception e)
                {
                    lock (queue) failures.Add(new InvalidOperationException($"{entry.Name}: {e.Message}", e));
                    return;
                }
            }
        })).ToArray();
        foreach (var thread in threads) thread.Start();
        foreach (var thread in threads) thread.Join();
        stop.ThrowIfCancellationRequested();
        if (failures.Count > 0) throw failures[0].InnerException is { } cause and (SettingsException or DatasetException or DeviceException or InteropFormatException or IOException) ? new SettingsException(failures[0].Message) : failures[0];
    }

    private StudyResult RunOne(string folder, StudyEntry entry, TrainingData dataset, Func<Device>? open, CancellationToken stop)
    {
        string run = Path.Combine(folder, entry.Name);
        bool resume = Checkpoint.List(run).Count > 0;
        // Killed before its first checkpoint: nothing to continue, and the run's lines would stand in the way.
        if (!resume && Directory.Exists(run)) Directory.Delete(run, recursive: true);
        using var device = open?.Invoke() ?? new CpuDevice();
        var clock = System.Diagnostics.Stopwatch.StartNew();
        StudyResult result;
        try
        {
            using (var trainer = new Trainer(entry.Config, dataset, device, run, resume)) trainer.Run(null, stop);
            double seconds = RunHistory.Read(run).Seconds;
            var (last, _) = Policy.Evaluate(run, null, FinalEpisodes, entry.Config.EvaluationSeed, device);
            var (best, _) = Policy.Evaluate(run, null, FinalEpisodes, entry.Config.EvaluationSeed, device, "best");
            var half = RunHistory.Read(run).Evaluations.Where(p => p.Step > entry.Config.Steps / 2).ToArray();
            result = new StudyResult(last.Mean, last.NormalizedMean, best.Mean, best.NormalizedMean, half.Average(p => p.Mean), half.Average(p => p.Normalized), Math.Max(seconds, clock.Elapsed.TotalSeconds));
        }
        catch (DivergedException e)
        {
            result = new StudyResult(double.NaN, null, double.NaN, null, double.NaN, null, clock.Elapsed.TotalSeconds, e.Message.Replace('\n', ' '));
        }
        AtomicFile.Write(Path.Combine(run, "final.json"), s => JsonSerializer.Serialize(s, result, Snake));
        return result;
    }

    /// <summary>The result of a run; null if it is not finished.</summary>
    /// <exception cref="InteropFormatException">Its file is damaged.</exception>
    public static StudyResult? Result(string folder, StudyEntry entry)
    {
        string path = Path.Combine(folder, entry.Name, "final.json");
        if (!File.Exists(path)) return null;
        try { return JsonSerializer.Deserialize<StudyResult>(File.ReadAllText(path), Snake); }
        catch (JsonException e) { throw new InteropFormatException(path, e.BytePositionInLine ?? 0, "not a result: " + e.Message.Split('.')[0]); }
    }

    /// <summary>
    /// The finished runs as Markdown: a table for each dataset, a row for each algorithm; the last checkpoint by seed, its mean over seeds with a 95% bootstrap interval, the best
    /// checkpoint, and the mean over the evaluations of the second half of the training.
    /// </summary>
    public string Table(string folder)
    {
        bool normalized = (string?)_json["score"] == "normalized";
        double? threshold = (double?)_json["threshold"];
        var text = new StringBuilder();
        int[] seeds = Required("seeds").AsArray().Select(s => (int)s!).ToArray();
        foreach (var dataset in Entries.GroupBy(e => e.Dataset))
        {
            if (dataset.Key.Length > 0) text.AppendLine($"### {dataset.Key}\n");
            string above = threshold is { } t ? $" first evaluation above {t:G4}: updates | seconds to it |" : "";
            text.AppendLine($"| algorithm | updates | {string.Join(" | ", seeds.Select(s => $"seed {s}"))} | last, mean [95%] | best checkpoint [95%] | second half [95%] |{above} seconds a run |");
            text.AppendLine("|---|---|" + string.Concat(seeds.Select(_ => "---|")) + "---|---|---|" + (threshold is null ? "" : "---|---|") + "---|");
            foreach (var group in dataset.GroupBy(e => e.Label))
            {
                var results = group.Select(e => Result(folder, e)).ToArray();
                double? Value(StudyResult? r, Func<StudyResult, double?> plain, Func<StudyResult, double?> scaled) => r is null || r.Failure is not null ? null : normalized ? scaled(r) : plain(r);
                string Mean(Func<StudyResult, double?> plain, Func<StudyResult, double?> scaled)
                {
                    var known = results.Select(r => Value(r, plain, scaled)).Where(v => v is not null).Select(v => v!.Value).ToArray();
                    if (known.Length == 0) return "-";
                    var (low, high) = Bootstrap(known);
                    return $"{known.Average():F1} [{low:F1}, {high:F1}]";
                }
                string cells = string.Join(" | ", results.Select(r => r?.Failure is not null ? "diverged" : Value(r, x => x.Last, x => x.LastNormalized) is { } v ? v.ToString("F1") : "-"));
                text.Append($"| {group.Key} | {group.First().Config.Steps:N0} | {cells} | {Mean(r => r.Last, r => r.LastNormalized)} | {Mean(r => r.Best, r => r.BestNormalized)} | {Mean(r => r.SecondHalf, r => r.SecondHalfNormalized)} |");
                if (threshold is { } limit)
                {
                    var first = group.Select(e => RunHistory.TryRead(Path.Combine(folder, e.Name))?.Evaluations.FirstOrDefault(p => p.Mean > limit)).ToArray();
                    text.Append($" {string.Join(" / ", first.Select(f => f is null ? "never" : f.Step.ToString("N0")))} | {string.Join(" / ", first.Select(f => f is null ? "-" : f.Seconds.ToString("F0")))} |");
                }
                var times = results.Where(r => r is not null).Select(r => r!.Seconds).ToArray();
                text.AppendLine($" {(times.Length == 0 ? "-" : times.Average().ToString("F0"))} |");
            }
            text.AppendLine();
        }
        return text.ToString();
    }

    /// <summary>All results for scripts.</summary>
    public JsonArray ToJson(string folder) => new(Entries.Select(e => (JsonNode?)new JsonObject
    {
        ["run"] = e.Name,
        ["dataset"] = e.Config.Dataset,
        ["algorithm"] = e.Label,
        ["seed"] = e.Config.Seed,
        ["result"] = Result(folder, e) is { } r ? JsonSerializer.SerializeToNode(r, Snake) : null,
    }).ToArray());

    /// <summary>Percentile bootstrap of the mean, 10,000 resamples from a fixed stream.</summary>
    internal static (double Low, double High) Bootstrap(double[] values)
    {
        var stream = new Kernels.PhiloxStream(0, "bootstrap");
        var means = new double[10_000];
        for (int i = 0; i < means.Length; i++)
        {
            double sum = 0;
            for (int j = 0; j < values.Length; j++) sum += values[stream.NextInt(values.Length)];
            means[i] = sum / values.Length;
        }
        Array.Sort(means);
        return (means[250], means[9749]);
    }
}
