using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Engine.Algorithms.Batches;
using Engine.Interop;
using Engine.Interop.Safetensors;

namespace Engine.Algorithms.Data;

/// <summary>
/// Transitions in a folder of shards, for data larger than memory: index.json with sizes, spaces and statistics, and a safetensors file for each shard. A trainer keeps two shards
/// resident, swaps one every so many updates and samples uniformly within the residents.
/// </summary>
public sealed class ShardedDataset : TrainingData
{
    /// <summary>Extension of the folder.</summary>
    public const string Extension = ".shards";

    private const int Format = 1;
    private readonly string _folder;
    private readonly int[] _rows;
    private readonly double[] _mean, _std;
    private readonly int _largestTable;

    private ShardedDataset(string folder, int[] rows, int largestTable, double[] mean, double[] std) => (_folder, _rows, _largestTable, _mean, _std) = (folder, rows, largestTable, mean, std);

    /// <inheritdoc/>
    public override int Shards => _rows.Length;

    /// <inheritdoc/>
    public override int LargestTable => _largestTable;

    /// <inheritdoc/>
    public override (double[] Mean, double[] Std) ObservationStatistics() => (_mean, _std);

    /// <summary>Whether a source names a folder of shards.</summary>
    public static bool Names(string source) => Directory.Exists(source) && File.Exists(Path.Combine(source, "index.json"));

    /// <summary>Opens a folder; shards are read when asked for.</summary>
    /// <exception cref="DatasetException">Not such a folder, or damaged.</exception>
    public static ShardedDataset Open(string folder)
    {
        string path = Path.Combine(folder, "index.json");
        if (!File.Exists(path)) throw new DatasetException($"{path}: no such file; expected a folder made by engine datasets convert");
        try
        {
            var json = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
            if ((int)json["format"]! != Format) throw new DatasetException($"{path}: format {json["format"]}, expected {Format}");
            int[] rows = json["rows"]!.AsArray().Select(r => (int)r!).ToArray();
            int size = (int)json["observation_size"]!;
            double[] Doubles(string key) => json[key]!.AsArray().Select(v => (double)v!).ToArray();
            float[] Singles(string key) => json[key]!.AsArray().Select(v => (float)v!).ToArray();
            ActionSpace space = json["action_count"] is { } count ? new DiscreteActions((int)count) : new ActionBounds(Singles("action_low"), Singles("action_high"));
            var returns = json["returns"]!;
            double[] mean = Doubles("observation_mean"), std = Doubles("observation_std");
            if (rows.Length == 0 || rows.Any(r => r < 1) || rows.Sum(r => (long)r) > int.MaxValue || size < 1 || mean.Length != size || std.Length != size) throw new DatasetException($"{path}: sizes do not fit together");
            // Older folders do not say how many rows their tables have: at most two a transition.
            int largest = (int?)json["largest_table"] ?? checked(2 * rows.Max());
            if (largest < rows.Max()) throw new DatasetException($"{path}: sizes do not fit together");
            return new ShardedDataset(folder, rows, largest, mean, std)
            {
                Source = folder,
                Spaces = new Spaces(size, space),
                Count = rows.Sum(),
                Returns = new ReturnSummary((int)returns["episodes"]!, (double)returns["min"]!, (double)returns["mean"]!, (double)returns["max"]!),
                Notes = [$"{rows.Length} shards, two resident at a time; batches are drawn from the residents"],
                Fingerprint = (string)json["fingerprint"]!,
            };
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or NullReferenceException or FormatException or OverflowException)
        {
            throw new DatasetException($"{path}: not an index of shards: {e.Message.Split('\n')[0]}");
        }
    }

    /// <inheritdoc/>
    public override DataTable Shard(int index)
    {
        string path = Path.Combine(_folder, Name(index));
        int n = _rows[index];
        try
        {
            var file = SafetensorsFile.Read(path);
            float[] Column(string name, int width)
            {
                var values = file[name].ToSingles();
                return values.Length == n * width ? values : throw new DatasetException($"{path}: {name} has {values.Length} numbers, expected {n * width}");
            }
            var values = Columns.ToDictionary(c => c.Name, c => (Array)Column(c.Name, c.Width));
            var (terminals, ends) = ((float[])values["terminals"], file.TryGet("ends", out _) ? Column("ends", 1) : null);
            var table = DataTable.Of(Columns, name => values[name], n, Column("next_observations", ObservationSize), _ => true, i => terminals[i] == 0 && ends?[i] is null or 0);
            return table.Rows <= _largestTable ? table : throw new DatasetException($"{path}: its table has {table.Rows} rows, the index says at most {_largestTable}");
        }
        catch (InteropFormatException e) { throw new DatasetException(e.Message); }
        catch (IOException e) { throw new DatasetException($"{path}: cannot be read: {e.Message}"); }
    }

    private static string Name(int index) => $"shard-{index:D5}.safetensors";

    /// <summary>Cuts transitions into shards. The folder appears when it is complete.</summary>
    /// <param name="parts">One after another, so that only one need be in memory; of equal sizes and action spaces.</param>
    /// <param name="folder">To make; must not exist.</param>
    /// <param name="rowsPerShard">Transitions of a shard; the last of a part may have fewer.</param>
    /// <exception cref="DatasetException">A part differs from the first in its sizes or actions.</exception>
    public static void Write(IEnumerable<TransitionDataset> parts, string folder, int rowsPerShard)
    {
        if (rowsPerShard < 1) throw new SettingsException($"rows_per_shard={rowsPerShard}: expected at least 1");
        if (Directory.Exists(folder)) throw new SettingsException($"{folder}: exists already");
        string temporary = folder.TrimEnd(Path.DirectorySeparatorChar) + ".incomplete";
        if (Directory.Exists(temporary)) Directory.Delete(temporary, true);
        Directory.CreateDirectory(temporary);
        try
        {
            var rows = new List<int>();
            int largest = 0;
            var sources = new List<(string Source, string Fingerprint)>();
            TransitionDataset? first = null;
            Moments? moments = null;
            var returns = new ReturnSummary(0, double.PositiveInfinity, 0, double.NegativeInfinity);
            foreach (var data in parts)
            {
                first ??= data;
                if (data.ObservationSize != first.ObservationSize || data.ActionSpace != first.ActionSpace)
                    throw new DatasetException($"{data.Source}: {data.ObservationSize} observations and {data.ActionSpace}, expected {first.ObservationSize} and {first.ActionSpace} as in {first.Source}");
                largest = Math.Max(largest, Cut(data, temporary, rowsPerShard, rows));
                sources.Add((data.Source, data.Fingerprint));
                moments = moments is null ? Moments.Of(data) : moments.With(Moments.Of(data));
                var r = data.Returns;
                int episodes = returns.Episodes + r.Episodes;
                returns = new ReturnSummary(episodes, Math.Min(returns.Min, r.Min), returns.Mean + (r.Mean - returns.Mean) * r.Episodes / episodes, Math.Max(returns.Max, r.Max));
            }
            if (first is null || moments is null) throw new SettingsException("no data to write");
            JsonArray Numbers<T>(IEnumerable<T> values) => new(values.Select(v => (JsonNode?)JsonValue.Create(v)).ToArray());
            var bounds = first.ActionSpace as ActionBounds;
            var json = new JsonObject
            {
                ["format"] = Format,
                ["sources"] = Numbers(sources.Select(s => s.Source)),
                ["rows"] = Numbers(rows),
                ["largest_table"] = largest,
                ["observation_size"] = first.ObservationSize,
                ["action_low"] = bounds is null ? null : Numbers(bounds.Low),
                ["action_high"] = bounds is null ? null : Numbers(bounds.High),
                ["action_count"] = (first.ActionSpace as DiscreteActions)?.Count,
                ["observation_mean"] = Numbers(moments.Mean),
                ["observation_std"] = Numbers(moments.Std),
                ["returns"] = new JsonObject { ["episodes"] = returns.Episodes, ["min"] = returns.Min, ["mean"] = returns.Mean, ["max"] = returns.Max },
                // Of the rows and of how they are cut: other shards are other batches.
                ["fingerprint"] = Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes($"{string.Join(" ", sources.Select(s => s.Fingerprint))} {rowsPerShard}"))),
            };
            AtomicFile.Write(Path.Combine(temporary, "index.json"), s => s.Write(Encoding.UTF8.GetBytes(json.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n")));
            Directory.Move(temporary, folder);
        }
        catch
        {
            try { Directory.Delete(temporary, true); }
            catch (IOException) { /* the first error is the one to report */ }
            throw;
        }
    }

    /// <returns>Rows of the largest shard's table.</returns>
    private static int Cut(TransitionDataset data, string folder, int rowsPerShard, List<int> rows)
    {
        int largest = 0;
        var table = data.Table;
        // The last transition of each trajectory.
        var ends = Array.ConvertAll(table.Transitions, row => table.Ends[row] == row + 1 ? 1f : 0f);
        var columns = data.Columns.Select(c => (c.Name, c.Width, Values: table.AtTransitions(c.Name)))
            .Append((Name: "next_observations", Width: data.ObservationSize, Values: data.NextObservations)).Append((Name: "ends", Width: 1, Values: ends)).ToArray();
        for (int from = 0; from < data.Count; from += rowsPerShard)
        {
            int n = Math.Min(rowsPerShard, data.Count - from);
            SafetensorsFile.Write(Path.Combine(folder, Name(rows.Count)), columns.Select(c => SafetensorsTensor.From(c.Name, [n, c.Width], c.Values.AsSpan(from * c.Width, n * c.Width))).ToArray(), new Dictionary<string, string>());
            rows.Add(n);
            // A row more for every trajectory, the one that goes on in the next shard too.
            int trajectories = ends.AsSpan(from, n).Count(1f) + (ends[from + n - 1] == 0 ? 1 : 0);
            largest = Math.Max(largest, n + trajectories);
        }
        return largest;
    }

    /// <summary>Mean and standard deviation of columns, which can be joined (Chan et al. 1979).</summary>
    private sealed record Moments(long Count, double[] Mean, double[] Std)
    {
        public static Moments Of(TransitionDataset data)
        {
            var (mean, std) = data.ObservationStatistics();
            return new Moments(data.Count, mean, std);
        }

        public Moments With(Moments other)
        {
            long n = Count + other.Count;
            var (mean, std) = (new double[Mean.Length], new double[Mean.Length]);
            for (int i = 0; i < mean.Length; i++)
            {
                double difference = other.Mean[i] - Mean[i];
                mean[i] = Mean[i] + difference * other.Count / n;
                std[i] = Math.Sqrt((Std[i] * Std[i] * Count + other.Std[i] * other.Std[i] * other.Count + difference * difference * Count * other.Count / n) / n);
            }
            return new Moments(n, mean, std);
        }
    }
}
