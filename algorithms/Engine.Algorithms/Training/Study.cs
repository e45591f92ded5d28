using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Interop;
using Engine.Kernels.Cpu;

namespace Engine.Algorithms.Training;

/// <summary>
/// Algorithms times seeds on one dataset, as a JSON file describes them. Every run has a folder of its own, so an interrupted study goes on where it
/// stopped; at the end stands a table.
/// </summary>
public sealed class Study
{
    private readonly string _path;
    private readonly JsonObject _json;

    private Study(string path, JsonObject json) => (_path, _json) = (path, json);

    /// <summary>Reads a study file.</summary>
    public static Study Read(string path)
    {
        if (!File.Exists(path)) throw new InteropFormatException(path, -1, "no such file; expected a study (JSON)");
        try { return new Study(path, JsonNode.Parse(File.ReadAllText(path)) as JsonObject ?? throw new InteropFormatException(path, 0, "expected a JSON object")); }
        catch (JsonException e) { throw new InteropFormatException(path, e.BytePositionInLine ?? 0, "not valid JSON: " + e.Message.Split('.')[0]); }
    }

    /// <summary>One run of the study.</summary>
    /// <param name="Name">Folder below the study's.</param>
    /// <param name="Config">What to train.</param>
    public sealed record Entry(string Name, RunConfig Config);

    /// <summary>All runs, algorithm by algorithm.</summary>
    /// <exception cref="InteropFormatException">A key is missing or has the wrong type.</exception>
    public IReadOnlyList<Entry> Entries()
    {
        try
        {
            string dataset = (string)Required("dataset")!;
            if (!dataset.StartsWith("builtin:", StringComparison.Ordinal)) dataset = Path.Combine(DataRoot(), dataset);
            string environment = (string)Required("environment")!;
            int steps = (int)Required("steps")!, every = (int)Required("evaluate_every")!, episodes = (int)Required("evaluation_episodes")!;
            var entries = new List<Entry>();
            foreach (var (label, node) in Required("algorithms").AsObject())
            {
                var settings = node!.AsObject().ToDictionary(p => p.Key, p => p.Value);
                string algorithm = settings.Remove("algorithm", out var named) ? (string)named! : label;
                string? rewards = settings.Remove("rewards", out var transform) ? (string?)transform : null;
                foreach (var seed in Required("seeds").AsArray())
                    entries.Add(new Entry($"{label}-seed{(int)seed!}", new RunConfig
                    {
                        Algorithm = algorithm,
                        Settings = SettingsJson.With(AlgorithmCatalogue.Find(algorithm).Defaults, settings),
                        Dataset = dataset,
                        Rewards = rewards,
                        Environment = environment,
                        Steps = steps,
                        Seed = (ulong)(int)seed!,
                        EvaluateEvery = every,
                        EvaluationEpisodes = episodes,
                        CheckpointEvery = every,
                    }));
            }
            return entries;
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException or NullReferenceException) { throw new InteropFormatException(_path, -1, e.Message); }
        catch (SettingsException e) { throw new InteropFormatException(_path, -1, e.Message); }
    }

    /// <summary>Episodes of the last evaluation.</summary>
    public int FinalEpisodes => (int?)_json["final_episodes"] ?? (int)Required("evaluation_episodes");

    private JsonNode Required(string key) => _json[key] ?? throw new InteropFormatException(_path, -1, $"no {key}");

    /// <summary>Where data files lie: ENGINE_DATA, by default ../shared.</summary>
    public static string DataRoot() => Environment.GetEnvironmentVariable("ENGINE_DATA") ?? Path.Combine("..", "shared");

    /// <summary>Runs what is not finished yet, several runs side by side, one thread each.</summary>
    /// <param name="folder">Where the runs go.</param>
    /// <param name="jobs">How many side by side.</param>
    /// <param name="say">Told in one line what happens.</param>
    /// <param name="stop">Stops; what is under way is saved.</param>
    public void Run(string folder, int jobs, Action<string> say, CancellationToken stop)
    {
        Directory.CreateDirectory(folder);
        var datasets = new Dictionary<string, TransitionDataset>();
        foreach (var entry in Entries())
            if (!datasets.ContainsKey(entry.Config.Dataset))
                datasets[entry.Config.Dataset] = TransitionDataset.From(Dataset.Load(entry.Config.Dataset), EnvironmentCatalogue.Find(entry.Config.Environment!).Create(1).ActionSpace);
        var queue = new Queue<Entry>(Entries().Where(e => !File.Exists(Path.Combine(folder, e.Name, "final.json"))));
        say($"{queue.Count} of {Entries().Count} runs to do, {jobs} at a time");
        var failures = new List<Exception>();
        var threads = Enumerable.Range(0, jobs).Select(_ => new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                Entry entry;
                lock (queue)
                    if (!queue.TryDequeue(out entry!) || failures.Count > 0) return;
                try { RunOne(folder, entry, datasets[entry.Config.Dataset], say, stop); }
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
        if (failures.Count > 0) throw failures[0];
    }

    private void RunOne(string folder, Entry entry, TransitionDataset dataset, Action<string> say, CancellationToken stop)
    {
        string run = Path.Combine(folder, entry.Name);
        bool resume = Checkpoint.List(run).Count > 0;
        // Killed before its first checkpoint: nothing to continue, and the run's lines would stand in the way.
        if (!resume && Directory.Exists(run)) Directory.Delete(run, recursive: true);
        using var device = new CpuDevice();
        var clock = System.Diagnostics.Stopwatch.StartNew();
        using (var trainer = new Trainer(entry.Config, dataset, device, run, resume))
            trainer.Run(null, stop);
        double seconds = clock.Elapsed.TotalSeconds;
        var (result, _) = Policy.Evaluate(run, null, FinalEpisodes, entry.Config.EvaluationSeed, device);
        var json = new JsonObject { ["mean"] = result.Mean, ["standard_error"] = result.StandardError, ["episodes"] = FinalEpisodes, ["seconds"] = seconds };
        AtomicFile.Write(Path.Combine(run, "final.json"), s => s.Write(Encoding.UTF8.GetBytes(json.ToJsonString())));
        say($"{entry.Name}: {result.Mean:F1} +- {result.StandardError:F1} over {FinalEpisodes} episodes, {seconds:F0} s");
    }

    /// <summary>The finished runs as a Markdown table: one row per algorithm, a column per seed, mean over seeds with a 95% bootstrap interval.</summary>
    public string Table(string folder)
    {
        var text = new StringBuilder();
        var groups = Entries().GroupBy(e => e.Name[..e.Name.LastIndexOf("-seed", StringComparison.Ordinal)]).ToArray();
        var seeds = Required("seeds").AsArray().Select(s => (int)s!).ToArray();
        text.AppendLine($"| algorithm | {string.Join(" | ", seeds.Select(s => $"seed {s}"))} | mean [95% interval] | best evaluation, mean | first evaluation above {Threshold:F0}: updates | seconds to it | seconds a run |");
        text.AppendLine("|---|" + string.Concat(seeds.Select(_ => "---|")) + "---|---|---|---|---|");
        foreach (var group in groups)
        {
            var finals = group.Select(e => Final(folder, e.Name)).ToArray();
            var known = finals.Where(f => f is not null).Select(f => f!.Value).ToArray();
            string cells = string.Join(" | ", finals.Select(f => f is { } v ? v.Mean.ToString("F1") : "-"));
            if (known.Length == 0)
            {
                text.AppendLine($"| {group.Key} | {cells} | - | - | - | - | - |");
                continue;
            }
            var (low, high) = Bootstrap(known.Select(k => k.Mean).ToArray());
            var curves = group.Select(e => Curve(Path.Combine(folder, e.Name))).Where(c => c.Length > 0).ToArray();
            var first = group.Select(e => FirstAbove(Path.Combine(folder, e.Name))).ToArray();
            string updates = string.Join(" / ", first.Select(f => f is { } v ? v.Step.ToString() : "never")), times = string.Join(" / ", first.Select(f => f is { } v ? v.Seconds.ToString("F0") : "-"));
            text.AppendLine($"| {group.Key} | {cells} | {known.Average(k => k.Mean):F1} [{low:F1}, {high:F1}] | {curves.Average(c => c.Max(p => p.Return)):F1} | {updates} | {times} | {known.Average(k => k.Seconds):F0} |");
        }
        return text.ToString();
    }

    private double Threshold => (double?)_json["threshold"] ?? 0;

    private static (double Mean, double Seconds)? Final(string folder, string name)
    {
        string path = Path.Combine(folder, name, "final.json");
        if (!File.Exists(path)) return null;
        var json = JsonNode.Parse(File.ReadAllText(path))!;
        return ((double)json["mean"]!, (double)json["seconds"]!);
    }

    private (int Step, double Seconds)? FirstAbove(string run)
    {
        foreach (var point in Curve(run))
            if (point.Return > Threshold) return (point.Step, point.Seconds);
        return null;
    }

    /// <summary>Step, seconds of training until then (from the logged rates), return.</summary>
    private static (int Step, double Seconds, double Return)[] Curve(string run)
    {
        string path = Path.Combine(run, "metrics.csv");
        if (!File.Exists(path)) return [];
        var lines = File.ReadAllLines(path);
        int column = Array.IndexOf(lines[0].Split(','), "return_mean"), previous = 0;
        double seconds = 0;
        var points = new List<(int, double, double)>();
        foreach (string line in lines.Skip(1))
        {
            var cells = line.Split(',');
            int step = int.Parse(cells[0]);
            seconds += (step - previous) / double.Parse(cells[1]);
            previous = step;
            if (cells[column].Length > 0) points.Add((step, seconds, double.Parse(cells[column])));
        }
        return points.ToArray();
    }

    /// <summary>Percentile bootstrap of the mean, 10,000 resamples from a fixed stream.</summary>
    private static (double Low, double High) Bootstrap(double[] values)
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
