using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Engine.Interop;

namespace Engine.Algorithms.Training;

/// <summary>An evaluation of a run.</summary>
/// <param name="Step">Updates done.</param>
/// <param name="Seconds">Of training until then, from the logged rates.</param>
/// <param name="Mean">Mean return.</param>
/// <param name="StandardError">Of the mean, over episodes.</param>
/// <param name="Normalized">On the scale of the references.</param>
public sealed record EvaluationPoint(int Step, double Seconds, double Mean, double StandardError, double? Normalized);

/// <summary>What a run folder says about the course of a run.</summary>
/// <param name="Folder">The folder.</param>
/// <param name="Config">What was trained.</param>
/// <param name="Dataset">dataset.json; null in folders without one.</param>
/// <param name="Steps">Steps of the lines.</param>
/// <param name="Columns">Metrics by name, a number a line; NaN where there is none.</param>
/// <param name="Evaluations">Evaluations in order.</param>
/// <param name="Seconds">Of training, from the logged rates.</param>
public sealed record RunHistory(string Folder, RunConfig Config, JsonObject? Dataset, int[] Steps, IReadOnlyDictionary<string, double[]> Columns, IReadOnlyList<EvaluationPoint> Evaluations, double Seconds)
{
    /// <summary>Name of the stage of each line.</summary>
    public required IReadOnlyList<string> Stages { get; init; }

    /// <summary>A number of the run's course by name: <c>max.METRIC</c>, <c>min.METRIC</c>, <c>mean.METRIC</c> and <c>last.METRIC</c> over the lines of metrics, <c>seconds</c> of training; null of another name, or a metric without numbers.</summary>
    public double? Measure(string name)
    {
        if (name == "seconds") return Seconds;
        var known = name.Split('.', 2) is [_, var metric] && Columns.TryGetValue(metric, out var column) ? column.Where(v => !double.IsNaN(v)).ToArray() : [];
        if (known.Length == 0) return null;
        return name.Split('.')[0] switch { "max" => known.Max(), "min" => known.Min(), "mean" => known.Average(), "last" => known[^1], _ => null };
    }

    /// <summary>Reads a folder; null if it has no metrics yet.</summary>
    public static RunHistory? TryRead(string folder) => File.Exists(Path.Combine(folder, "metrics.csv")) ? Read(folder) : null;

    /// <summary>Reads a folder.</summary>
    /// <exception cref="InteropFormatException">Not a run, or damaged.</exception>
    public static RunHistory Read(string folder)
    {
        var config = RunInfo.Read(folder).Config;
        string path = Path.Combine(folder, "metrics.csv");
        if (!File.Exists(path)) throw new InteropFormatException(path, -1, "no such file; expected a run made by engine train");
        var lines = File.ReadAllLines(path);
        var header = lines.Length > 0 ? lines[0].Split(',') : [];
        if (header is not ["step", "steps_per_second", ..]) throw new InteropFormatException(path, 0, "the first line is not that of a run's metrics");
        var rows = new List<double[]>();
        var stages = new List<string>();
        int stage = Array.IndexOf(header, "stage");
        // The last line of a run that was killed may be cut short.
        foreach (string line in lines.Skip(1).Where((l, i) => i < lines.Length - 2 || l.Count(c => c == ',') == header.Length - 1))
        {
            var cells = line.Split(',');
            if (cells.Length != header.Length) throw new InteropFormatException(path, -1, $"line {rows.Count + 2} has {cells.Length} cells, expected {header.Length}");
            rows.Add(cells.Select((c, i) => c.Length == 0 || i == stage ? double.NaN : double.TryParse(c, NumberStyles.Float, CultureInfo.InvariantCulture, out double v) ? v
                : throw new InteropFormatException(path, -1, $"line {rows.Count + 2}: {c} is not a number")).ToArray());
            stages.Add(stage >= 0 ? cells[stage] : "");
        }
        var columns = header.Select((name, i) => (name, Values: rows.Select(r => r[i]).ToArray())).Where(c => c.name != "stage").ToDictionary(c => c.name, c => c.Values);
        var evaluations = new List<EvaluationPoint>();
        double seconds = 0, previous = 0;
        int mean = Array.IndexOf(header, "return_mean");
        foreach (var row in rows)
        {
            seconds += (row[0] - previous) / Math.Max(row[1], 1e-9);
            previous = row[0];
            if (mean >= 0 && !double.IsNaN(row[mean])) evaluations.Add(new EvaluationPoint((int)row[0], seconds, row[mean], row[mean + 1], double.IsNaN(row[mean + 2]) ? null : row[mean + 2]));
        }
        string dataset = Path.Combine(folder, "dataset.json");
        JsonObject? description = null;
        try
        {
            if (File.Exists(dataset)) description = JsonNode.Parse(File.ReadAllText(dataset)) as JsonObject;
        }
        catch (JsonException e) { throw new InteropFormatException(dataset, e.BytePositionInLine ?? 0, "not valid JSON: " + e.Message.Split('.')[0]); }
        return new RunHistory(folder, config, description, rows.Select(r => (int)r[0]).ToArray(), columns, evaluations, seconds) { Stages = stages };
    }
}
