using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Engine.Algorithms.Data;
using Engine.Autodiff;
using Engine.Interop;
using Engine.Interop.TensorBoard;

namespace Engine.Algorithms.Training;

/// <summary>
/// What a run keeps: config.json, dataset.json, metrics.csv, TensorBoard events and checkpoints. One process at a time; whatever stops it, the next one finds whole files.
/// </summary>
public sealed class RunFolder : IDisposable
{
    private readonly string[] _metrics;
    private readonly EvaluationColumns _evaluations;
    private FileStream? _lock;
    private EventFileWriter? _events;

    /// <summary>Begins a run, or continues one.</summary>
    /// <param name="path">The folder; made if absent.</param>
    /// <param name="info">What is trained, and on what; stored, and compared when resuming.</param>
    /// <param name="datasets">By source; their descriptions are stored.</param>
    /// <param name="metrics">Columns of metrics.csv after step, rate and stage.</param>
    /// <param name="evaluations">Columns after them.</param>
    /// <param name="resume">Continue the newest checkpoint.</param>
    /// <exception cref="SettingsException">Another process trains here, or the folder holds a run and <paramref name="resume"/> is false.</exception>
    /// <exception cref="DatasetException">The dataset is not the one the run began with.</exception>
    /// <exception cref="InteropFormatException">There is no checkpoint to resume from.</exception>
    public RunFolder(string path, RunInfo info, IReadOnlyDictionary<string, TrainingData> datasets, IEnumerable<string> metrics, EvaluationColumns evaluations, bool resume)
    {
        (Path, _metrics, _evaluations) = (path, metrics.ToArray(), evaluations);
        Directory.CreateDirectory(path);
        try { _lock = new FileStream(In("lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose); }
        catch (IOException) { throw new SettingsException($"{path}: another process is training in this folder"); }
        try
        {
            Open(info, datasets, resume);
        }
        catch
        {
            Dispose(); // the lock above all
            throw;
        }
    }

    private void Open(RunInfo info, IReadOnlyDictionary<string, TrainingData> datasets, bool resume)
    {
        AtomicFile.RemoveStale(Path);
        if (Directory.Exists(Checkpoint.Folder(Path))) AtomicFile.RemoveStale(Checkpoint.Folder(Path));
        var newest = Checkpoint.List(Path);
        if (!resume && (newest.Count > 0 || File.Exists(In(MetricsName)))) throw new SettingsException($"{Path}: holds a run already; continue it with --resume {Path}, or choose another --out");
        string[] columns = ["step", "steps_per_second", "stage", .. _metrics, .. _evaluations.Names];
        var rows = new List<string> { string.Join(",", columns) };
        if (resume)
        {
            if (newest.Count == 0) throw new InteropFormatException(Checkpoint.Folder(Path), -1, "no checkpoint to resume from");
            var begun = RunInfo.Read(Path);
            foreach (var (name, data) in datasets)
                if (begun.Fingerprints.GetValueOrDefault(name) is var known && known != data.Fingerprint) throw new DatasetException($"{data.Source}: the dataset has changed since the checkpoint (fingerprint {data.Fingerprint[..12]}, the run's is {(known is null ? "none" : known[..Math.Min(12, known.Length)])})");
            ResumeFrom = newest[0];
            // Lines after the checkpoint will be written again; a line that a kill cut short has fewer cells.
            if (File.Exists(In(MetricsName)))
                rows.AddRange(File.ReadAllLines(In(MetricsName)).Skip(1).Where(l => l.Count(c => c == ',') == rows[0].Count(c => c == ',') && int.TryParse(l.Split(',')[0], out int step) && step <= newest[0].Step));
        }
        Write("config.json", info.ToJson());
        Write("dataset.json", new JsonObject(datasets.Select(d => KeyValuePair.Create(d.Key, (JsonNode?)Describe(d.Value)))).ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n");
        Write(MetricsName, string.Join("\n", rows) + "\n");
        _events = new EventFileWriter(Path, Now());
        if (ResumeFrom is { } from) _events.Restart(from.Step + 1, Now());
    }

    private const string MetricsName = "metrics.csv";

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>The checkpoint a resumed run begins with; null for a new run.</summary>
    public (int Step, string Path)? ResumeFrom { get; private set; }

    private string In(string name) => System.IO.Path.Combine(Path, name);

    private void Write(string name, string text) => AtomicFile.Write(In(name), s => s.Write(Encoding.UTF8.GetBytes(text)));

    private static double Now() => (DateTime.UtcNow - DateTime.UnixEpoch).TotalSeconds;

    private static JsonObject Describe(TrainingData data) => new()
    {
        ["source"] = data.Source,
        ["transitions"] = data.Count,
        ["shards"] = data.Shards,
        ["observation_size"] = data.ObservationSize,
        ["actions"] = data.ActionSpace.ToString(),
        ["episodes"] = data.Returns.Episodes,
        ["return_min"] = data.Returns.Min,
        ["return_mean"] = data.Returns.Mean,
        ["return_max"] = data.Returns.Max,
        ["fingerprint"] = data.Fingerprint,
        ["notes"] = new JsonArray(data.Notes.Select(n => (JsonNode?)JsonValue.Create(n)).ToArray()),
    };

    /// <summary>Adds a line to metrics.csv and to the events.</summary>
    public void Append(TrainingReport line)
    {
        static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
        var cells = new List<string> { line.Step.ToString(CultureInfo.InvariantCulture), Number(line.StepsPerSecond, "F1"), line.Stage };
        // What has not been computed yet is empty: of a stage that has not begun, of an update that comes every second time.
        cells.AddRange(_metrics.Select(m => float.IsNaN(line.Metrics[m]) ? "" : Number(line.Metrics[m], "G9")));
        cells.AddRange(_evaluations.Cells(line));
        File.AppendAllText(In(MetricsName), string.Join(",", cells) + "\n");

        double now = Now();
        foreach (string metric in _metrics)
            if (float.IsFinite(line.Metrics[metric])) _events!.Scalar("train/" + metric, line.Step, line.Metrics[metric], now);
        _events!.Scalar("train/steps_per_second", line.Step, (float)line.StepsPerSecond, now);
        foreach (var (name, value) in _evaluations.Scalars(line)) _events.Scalar("evaluation/" + name, line.Step, (float)value, now);
        _events.Flush();
    }

    /// <summary>Writes a checkpoint, and the best one if this evaluation is better than all before.</summary>
    public void Save(int step, State state, Action<BinaryWriter> host) => Checkpoint.Write(Path, step, state, host);

    /// <summary>Keeps the state as the best so far if its evaluation is.</summary>
    public void SaveIfBest(int step, State state, EvaluationSummary evaluation) => Checkpoint.WriteIfBest(Path, step, state, evaluation);

    /// <inheritdoc/>
    public void Dispose()
    {
        _events?.Dispose();
        _events = null;
        _lock?.Dispose();
        _lock = null;
    }
}

/// <summary>An evaluation in two numbers.</summary>
/// <param name="Mean">Mean return.</param>
/// <param name="Normalized">On the scale where the references are 0 and 100.</param>
public sealed record EvaluationSummary(double Mean, double? Normalized);
