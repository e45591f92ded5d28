using System.Text.Json;
using System.Text.Json.Serialization;
using Engine.Algorithms.Data;
using Engine.Algorithms.Evaluation;
using Engine.Algorithms.Policies;
using Engine.Algorithms.Training;
using Engine.Interop;
using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Algorithms.Studies;

/// <summary>Runs what is not finished of a study, several runs side by side.</summary>
/// <param name="study">What to run.</param>
/// <param name="folder">Where the runs go.</param>
public sealed class StudyScheduler(Study study, string folder)
{
    internal static readonly JsonSerializerOptions Snake = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };

    /// <summary>The result of a run; null if it is not finished.</summary>
    /// <exception cref="InteropFormatException">Its file is damaged.</exception>
    public StudyResult? Result(StudyEntry entry)
    {
        string path = Path.Combine(folder, entry.Name, "final.json");
        if (!File.Exists(path)) return null;
        try { return JsonSerializer.Deserialize<StudyResult>(File.ReadAllText(path), Snake); }
        catch (JsonException e) { throw new InteropFormatException(path, e.BytePositionInLine ?? 0, "not a result: " + e.Message.Split('.')[0]); }
    }

    /// <summary>Runs what is not finished yet, one thread a run.</summary>
    /// <param name="jobs">How many side by side.</param>
    /// <param name="say">Told in one line what happens.</param>
    /// <param name="stop">Stops; what is under way is saved.</param>
    /// <param name="open">Opens the device of a run; null: the processor with one thread.</param>
    public void Run(int jobs, Action<string> say, CancellationToken stop, Func<Device>? open = null)
    {
        Directory.CreateDirectory(folder);
        var todo = study.Entries.Where(e => Result(e) is null).ToArray();
        say($"{todo.Length} of {study.Entries.Count} runs to do, {jobs} at a time");
        var datasets = new Dictionary<string, TrainingData>();
        static string Key(RunConfig config, string source) => $"{source}\n{config.Environment}";
        static TrainingData Load(RunConfig config, string source) => TrainingData.Load(source, config.Environment, config.DatasetOptions);
        foreach (var entry in todo.Where(e => e.Source is null))
            foreach (string source in entry.Config.Datasets.Values)
                if (!datasets.ContainsKey(Key(entry.Config, source))) datasets[Key(entry.Config, source)] = Load(entry.Config, source);
        var queue = new List<StudyEntry>(todo);
        var failures = new List<Exception>();
        int done = study.Entries.Count - todo.Length;
        var threads = Enumerable.Range(0, jobs).Select(_ => new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                StudyEntry? entry;
                lock (queue)
                {
                    // What trains on what another run makes waits for it.
                    while ((entry = queue.Find(e => e.Source is null || File.Exists(Path.Combine(folder, e.Source, "final.json")))) is null && queue.Count > 0 && failures.Count == 0 && !stop.IsCancellationRequested) Monitor.Wait(queue, 500);
                    if (failures.Count > 0 || entry is null) return;
                    queue.Remove(entry);
                }
                try
                {
                    var config = entry.In(folder);
                    var data = config.Datasets.ToDictionary(d => d.Key, d => datasets.GetValueOrDefault(Key(config, d.Value)) ?? Load(config, d.Value));
                    var result = RunOne(entry with { Config = config }, data, open, stop);
                    lock (queue) Monitor.PulseAll(queue);
                    say($"[{Interlocked.Increment(ref done)}/{study.Entries.Count}] {entry.Name}: {(result.Failure ?? $"last {Statistics.Text(result.Last)}, best {Statistics.Text(result.Best)}{(result.LastNormalized is { } n ? $" (normalised {n:F1}, {result.BestNormalized:F1})" : "")}")}, {result.Seconds:F0} s");
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

    private StudyResult RunOne(StudyEntry entry, Dictionary<string, TrainingData> data, Func<Device>? open, CancellationToken stop)
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
            int steps;
            using (var trainer = new Trainer(entry.Config, data, device, run, resume))
            {
                steps = trainer.Steps;
                trainer.Run(null, stop);
            }
            var history = RunHistory.Read(run);
            var (last, _) = Evaluator.Run(run, null, study.FinalEpisodes, entry.Config.EvaluationSeed, device);
            var (best, _) = Evaluator.Run(run, null, study.FinalEpisodes, entry.Config.EvaluationSeed, device, "best");
            var half = history.Evaluations.Where(p => p.Step > steps / 2).ToArray();
            result = new StudyResult(last.Mean, last.NormalizedMean, best.Mean, best.NormalizedMean, half.Average(p => p.Mean), half.Average(p => p.Normalized), Math.Max(history.Seconds, clock.Elapsed.TotalSeconds))
            {
                Measures = Measures(entry, run, history, last, data, device),
            };
        }
        catch (DivergedException e)
        {
            result = new StudyResult(double.NaN, null, double.NaN, null, double.NaN, null, clock.Elapsed.TotalSeconds, e.Message.Replace('\n', ' '))
            {
                // What diverged is larger than any number.
                Measures = study.Checks.Select(c => c.Measure).OfType<string>().Distinct().Where(m => m.StartsWith("max.", StringComparison.Ordinal)).ToDictionary(m => m, _ => double.PositiveInfinity),
            };
        }
        AtomicFile.Write(Path.Combine(run, "final.json"), s => JsonSerializer.Serialize(s, result, Snake));
        return result;
    }

    private Dictionary<string, double> Measures(StudyEntry entry, string run, RunHistory history, EvaluationResult last, Dictionary<string, TrainingData> data, Device device)
    {
        var measures = last.Measures.ToDictionary(m => m.Key, m => m.Value.Average());
        foreach (var (name, environment) in entry.Config.FurtherEvaluations())
        {
            var (result, _) = Evaluator.Run(run, environment.Id, study.FinalEpisodes, entry.Config.EvaluationSeed, device);
            string prefix = EvaluationColumns.Prefix(name);
            measures[prefix + "return"] = result.Mean;
            foreach (var (measure, values) in result.Measures) measures[prefix + measure] = values.Average();
        }
        if (entry.Config.Dataset is { } source && Generator.Generates(RunInfo.Read(run)))
            foreach (var (measure, value) in SampleQuality.Of(Data.Dataset.Load(source, entry.Config.DatasetOptions), Generator.Draw(run, Generator.UsualCount, entry.Config.EvaluationSeed, "last", device), entry.Config.Environment))
                measures["samples." + measure] = value;
        if (study.FittedQ is { } fit)
        {
            if (!data.TryGetValue(Draw.Offline, out var rows) || rows is not TransitionDataset inMemory) throw new SettingsException($"fitted_q: {entry.Name} has no dataset in memory to judge its policy by");
            using var policy = Policies.Policy.Load(run, device: device);
            measures["fitted_q"] = FittedQ.Value(policy, inMemory, fit, entry.Config.Seed, device);
        }
        // The last line of metrics is of the last checkpoint.
        foreach (var (column, values) in history.Columns)
            if (column.StartsWith(EvaluationColumns.Prefix(Draw.HeldOut), StringComparison.Ordinal) && double.IsFinite(values[^1])) measures[column] = values[^1];
        foreach (string name in study.Checks.SelectMany(c => new[] { c.Measure, c.OtherMeasure }).OfType<string>())
            if (history.Measure(name) is { } value) measures[name] = value;
        return measures;
    }
}
