using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Engine.Algorithms.Environments;
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

    private ShardedDataset(string folder, int[] rows, double[] mean, double[] std) => (_folder, _rows, _mean, _std) = (folder, rows, mean, std);

    /// <inheritdoc/>
    public override int Shards => _rows.Length;

    /// <inheritdoc/>
    public override int LargestShard => _rows.Max();

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
            return new ShardedDataset(folder, rows, mean, std)
            {
                Source = folder,
                ObservationSize = size,
                ActionSpace = space,
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
    public override TransitionColumns Shard(int index)
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
            return new TransitionColumns(n, Column("observations", ObservationSize), Column("actions", ActionSize), Column("rewards", 1), Column("next_observations", ObservationSize), Column("terminals", 1));
        }
        catch (InteropFormatException e) { throw new DatasetException(e.Message); }
        catch (IOException e) { throw new DatasetException($"{path}: cannot be read: {e.Message}"); }
    }

    private static string Name(int index) => $"shard-{index:D5}.safetensors";

    /// <summary>Cuts transitions into shards. The folder appears when it is complete.</summary>
    /// <param name="data">All transitions.</param>
    /// <param name="folder">To make; must not exist.</param>
    /// <param name="rowsPerShard">Transitions of a shard; the last may have fewer.</param>
    public static void Write(TransitionDataset data, string folder, int rowsPerShard)
    {
        if (rowsPerShard < 1) throw new SettingsException($"rows_per_shard={rowsPerShard}: expected at least 1");
        if (Directory.Exists(folder)) throw new SettingsException($"{folder}: exists already");
        string temporary = folder.TrimEnd(Path.DirectorySeparatorChar) + ".incomplete";
        if (Directory.Exists(temporary)) Directory.Delete(temporary, true);
        Directory.CreateDirectory(temporary);
        try
        {
            var rows = new List<int>();
            for (int from = 0; from < data.Count; from += rowsPerShard)
            {
                int n = Math.Min(rowsPerShard, data.Count - from);
                SafetensorsTensor Column(string name, float[] values, int width) => SafetensorsTensor.From(name, [n, width], values.AsSpan(from * width, n * width));
                SafetensorsFile.Write(Path.Combine(temporary, Name(rows.Count)), [Column("observations", data.Observations, data.ObservationSize), Column("actions", data.Actions, data.ActionSize),
                    Column("rewards", data.Rewards, 1), Column("next_observations", data.NextObservations, data.ObservationSize), Column("terminals", data.Terminals, 1)], new Dictionary<string, string>());
                rows.Add(n);
            }
            var (mean, std) = data.ObservationStatistics();
            JsonArray Numbers<T>(IEnumerable<T> values) => new(values.Select(v => (JsonNode?)JsonValue.Create(v)).ToArray());
            var bounds = data.ActionSpace as ActionBounds;
            var json = new JsonObject
            {
                ["format"] = Format,
                ["source"] = data.Source,
                ["rows"] = Numbers(rows),
                ["observation_size"] = data.ObservationSize,
                ["action_low"] = bounds is null ? null : Numbers(bounds.Low),
                ["action_high"] = bounds is null ? null : Numbers(bounds.High),
                ["action_count"] = (data.ActionSpace as DiscreteActions)?.Count,
                ["observation_mean"] = Numbers(mean),
                ["observation_std"] = Numbers(std),
                ["returns"] = new JsonObject { ["episodes"] = data.Returns.Episodes, ["min"] = data.Returns.Min, ["mean"] = data.Returns.Mean, ["max"] = data.Returns.Max },
                // Of the rows and of how they are cut: other shards are other batches.
                ["fingerprint"] = Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes($"{data.Fingerprint} {rowsPerShard}"))),
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
}
