using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Engine.Algorithms.Data.Layouts;

/// <summary>
/// LeRobot's folders, v2 (an episode a file, lists of lines in meta/*.jsonl) and v3 (many episodes a file, meta/tasks.parquet and meta/episodes): state and action columns of data/**/*.parquet.
/// Videos are not read.
/// </summary>
internal static class LeRobotLayout
{
    private const int MaximumFiles = 100_000;
    private const long MaximumJson = 64L << 20;

    private static string Info(string folder) => Path.Combine(folder, "meta", "info.json");

    /// <summary>Whether a folder is of this layout.</summary>
    public static bool Is(string folder) => File.Exists(Info(folder));

    /// <summary>Reads all episodes, or those of a split.</summary>
    public static Dataset Read(string folder, DatasetOptions options)
    {
        var info = Parse(Info(folder));
        string? version = MinariMetadata.Text(info["codebase_version"]);
        if (version is null || !(version.StartsWith("v2", StringComparison.Ordinal) || version.StartsWith("v3", StringComparison.Ordinal))) throw new DatasetException($"{Info(folder)}: codebase_version is {version ?? "not a text"}, expected v2.x or v3.x");
        string data = Path.Combine(folder, "data");
        var files = Directory.Exists(data) ? Directory.EnumerateFiles(data, "*.parquet", SearchOption.AllDirectories).Take(MaximumFiles + 1).Order(FolderLayout.NaturalOrder.Instance).ToArray() : [];
        if (files.Length == 0) throw new DatasetException($"{data}: no .parquet files, expected those of LeRobot {version}");
        if (files.Length > MaximumFiles) throw new DatasetException($"{data}: more than {MaximumFiles} files");
        var notes = new List<string>();
        var videos = info["features"] is JsonObject features ? features.Where(f => f.Value is JsonObject about && MinariMetadata.Text(about["dtype"]) is "video" or "image").Select(f => f.Key).ToArray() : [];
        var inner = WithoutVideos(folder, options, videos) with { Split = null };
        if (videos.Length > 0) notes.Add($"videos and pictures are not read: {string.Join(", ", videos.Take(8))}{(videos.Length > 8 ? ", ..." : "")}");
        var found = FolderLayout.Join(folder, $"LeRobot {version}", files, file => DatasetLayouts.ReadFile(file, inner), notes);
        var episodes = found.Episodes().ToArray();
        Tasks(folder, notes);
        Check(folder, info, episodes.Select(e => e.End.Value - e.Start.Value).ToArray(), notes);
        if (options.Split is not { } split) return found;
        var (from, to) = Split(folder, info, split, episodes.Length);
        return RowPicker.Pick(found, [.. episodes[from..to].SelectMany(e => Enumerable.Range(e.Start.Value, e.End.Value - e.Start.Value))]);
    }

    private static DatasetOptions WithoutVideos(string folder, DatasetOptions options, string[] videos)
    {
        bool Is(string said) => videos.Any(v => v == said || v.Split('.').Contains(said) || v.EndsWith("." + said, StringComparison.Ordinal));
        if (options.Observations?.Split(',', StringSplitOptions.TrimEntries).FirstOrDefault(Is) is { } video) throw new DatasetException($"{folder}: {video} is a video or a picture, which is not read; leave it out of the observations");
        string[]? without = options.Without?.Split(',', StringSplitOptions.TrimEntries).Where(w => !Is(w)).ToArray();
        return options with { Without = without is { Length: > 0 } ? string.Join(',', without) : null };
    }

    /// <summary>What the episodes are about: told, since observations do not say it.</summary>
    private static void Tasks(string folder, List<string> notes)
    {
        string table = Path.Combine(folder, "meta", "tasks.parquet"), lines = Path.Combine(folder, "meta", "tasks.jsonl");
        string[] tasks = [];
        if (File.Exists(table))
        {
            using var read = new ParquetTable(table);
            // The text is a data frame's index, of a name that has changed.
            string? text = read.Names.FirstOrDefault(n => read.Kind(n) == ColumnKind.Text);
            if (text is null) throw new DatasetException($"{table}: no column of text, expected the tasks");
            tasks = read.ReadTexts(text);
        }
        else if (File.Exists(lines)) tasks = Lines(lines).Select(l => MinariMetadata.Text(l.Line["task"]) ?? throw new DatasetException($"{lines}: line {l.Number}: no text task")).ToArray();
        if (tasks.Length > 0) notes.Add($"{tasks.Length} task{(tasks.Length == 1 ? "" : "s, which the observations do not tell apart")}: {string.Join("; ", tasks.Take(4).Select(t => t.Length > 60 ? t[..60] + "..." : t))}{(tasks.Length > 4 ? "; ..." : "")}");
    }

    /// <summary>Compares what was read with what the metadata say of the episodes.</summary>
    private static void Check(string folder, JsonObject info, int[] lengths, List<string> notes)
    {
        string tables = Path.Combine(folder, "meta", "episodes"), lines = Path.Combine(folder, "meta", "episodes.jsonl");
        double[]? stated = null;
        if (Directory.Exists(tables))
            stated = Directory.EnumerateFiles(tables, "*.parquet", SearchOption.AllDirectories).Take(MaximumFiles).Order(FolderLayout.NaturalOrder.Instance).SelectMany(file =>
            {
                using var table = new ParquetTable(file);
                return table.Contains("length") ? table.ReadExact("length") : throw new DatasetException($"{file}: no column length, expected the steps of each episode");
            }).ToArray();
        else if (File.Exists(lines)) stated = Lines(lines).Select(l => l.Line["length"] is JsonValue v && v.TryGetValue(out double length) ? length : throw new DatasetException($"{lines}: line {l.Number}: no number length")).ToArray();
        double count = stated?.Length ?? (info["total_episodes"] is JsonValue total && total.TryGetValue(out double all) ? all : lengths.Length);
        if (count != lengths.Length) notes.Add($"the metadata state {count} episodes, the data have {lengths.Length}: files may be missing");
        else if (stated is not null && Enumerable.Range(0, lengths.Length).FirstOrDefault(i => stated[i] != lengths[i], -1) is var i and >= 0) notes.Add($"the metadata state {stated[i]} steps for episode {i}, the data have {lengths[i]}");
    }

    private static (int From, int To) Split(string folder, JsonObject info, string name, int episodes)
    {
        var splits = info["splits"] as JsonObject ?? [];
        if (!splits.ContainsKey(name)) throw new DatasetException($"{folder}: no split {name}; meta/info.json has {(splits.Count == 0 ? "none" : string.Join(", ", splits.Select(s => s.Key)))}");
        string[] range = (MinariMetadata.Text(splits[name]) ?? "").Split(':');
        if (range.Length == 2 && int.TryParse(range[0], NumberStyles.None, CultureInfo.InvariantCulture, out int from) && int.TryParse(range[1], NumberStyles.None, CultureInfo.InvariantCulture, out int to) && from < to && to <= episodes) return (from, to);
        throw new DatasetException($"{Info(folder)}: the split {name} is {string.Join(':', range)}, expected FIRST:END of {episodes} episodes");
    }

    private static JsonObject Parse(string file)
    {
        if (new FileInfo(file).Length > MaximumJson) throw new DatasetException($"{file}: more than {MaximumJson} bytes");
        try { return JsonNode.Parse(File.ReadAllText(file), documentOptions: MinariMetadata.NoDuplicates) as JsonObject ?? throw new DatasetException($"{file}: expected a JSON object"); }
        catch (JsonException e) { throw new DatasetException($"{file}: not valid JSON, line {(e.LineNumber ?? 0) + 1}"); }
    }

    private static List<(JsonObject Line, int Number)> Lines(string file)
    {
        if (new FileInfo(file).Length > MaximumJson) throw new DatasetException($"{file}: more than {MaximumJson} bytes");
        var all = new List<(JsonObject, int)>();
        int number = 0;
        foreach (string line in File.ReadLines(file))
        {
            number++;
            if (string.IsNullOrWhiteSpace(line)) continue;
            try { all.Add((JsonNode.Parse(line, documentOptions: MinariMetadata.NoDuplicates) as JsonObject ?? throw new DatasetException($"{file}: line {number}: expected a JSON object"), number)); }
            catch (JsonException) { throw new DatasetException($"{file}: line {number}: not valid JSON"); }
        }
        return all;
    }
}
