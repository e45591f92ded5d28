using System.Text.Json;
using System.Text.Json.Nodes;
using Engine.Interop.Hdf5;

namespace Engine.Algorithms.Data.Layouts;

/// <summary>One recorded episode; observations may be one more than actions.</summary>
internal sealed record RecordedEpisode(string Name, float[] Observations, int ObservationSize, float[] Actions, int ActionSize, float[] Rewards, bool[] Terminals, bool[] Timeouts)
{
    public int Steps => Rewards.Length;
}

/// <summary>Layouts with a group or a set of columns for every episode: Minari and d3rlpy v2.</summary>
internal static class EpisodeLayouts
{
    private const string Episode = "episode_", Index = "_index_";

    /// <summary>Whether a file is Minari's.</summary>
    public static bool IsMinari(Hdf5Group root) => root.Names.Any(n => n.StartsWith(Episode, StringComparison.Ordinal) && root.IsGroup(n));

    /// <summary>Whether a file is d3rlpy v2's.</summary>
    public static bool IsD3Rlpy2(Hdf5Group root) => root.Contains("num_episodes") || root.Contains("observations_0");

    /// <summary>Minari: a group episode_i with T + 1 observations, metadata beside the file as JSON.</summary>
    public static Dataset ReadMinari(Hdf5File file, string path)
    {
        var notes = new List<string>();
        var metadata = Metadata(path);
        var root = file.Root;
        // Names come in the order of letters: episode_10 before episode_2.
        var names = root.Names.Where(n => n.StartsWith(Episode, StringComparison.Ordinal) && root.IsGroup(n)).OrderBy(n => Number(n, path)).ToArray();
        bool flattened = false;
        var episodes = names.Select(name =>
        {
            var group = root.Group(name);
            var parts = new List<(string Name, float[] Values, int Width)>();
            int steps = Rows(group, "rewards", path);
            if (!group.Contains("observations")) throw new DatasetException($"{path}: {name} has no observations");
            Flatten(group, "observations", steps + 1, parts, path);
            flattened |= parts.Count > 1;
            if (flattened && notes.Count == 0) notes.Add($"observations are nested groups, joined in the order {string.Join(", ", parts.Select(p => $"{p.Name["observations/".Length..]} ({p.Width})"))}");
            var actions = group.IsDataset("actions") ? group.Dataset("actions") : throw new DatasetException($"{path}: {name}/actions is not an array; nested action spaces are not supported");
            int actionSize = Width(actions, steps, path);
            bool[] terminals = Flags(group, "terminations", steps, path), timeouts = Flags(group, "truncations", steps, path);
            return new RecordedEpisode(name, Join(parts, steps + 1), parts.Sum(p => p.Width), actions.ReadSingles(), actionSize, group.Dataset("rewards").ReadSingles(), terminals, timeouts);
        }).ToArray();
        bool integers = episodes.Length > 0 && root.Dataset(names[0] + "/actions").ElementType is not (Hdf5ElementType.Float16 or Hdf5ElementType.Float32 or Hdf5ElementType.Float64);
        var data = Join(path, "Minari", episodes, integers, notes);
        if (metadata is null) return data;
        return data with { ActionSpace = Space(metadata["action_space"], path) ?? data.ActionSpace, Environment = Text(metadata["dataset_id"]), References = References(metadata) };
    }

    /// <summary>d3rlpy v2: observations_i, actions_i, rewards_i and terminated_i at the root.</summary>
    public static Dataset ReadD3Rlpy2(Hdf5File file, string path)
    {
        var root = file.Root;
        int count = root.Contains("num_episodes") ? root.Dataset("num_episodes").ReadInt32s().FirstOrDefault() : root.Names.Count(n => n.StartsWith("rewards_", StringComparison.Ordinal));
        if (count < 1 || count > root.Names.Count) throw new DatasetException($"{path}: num_episodes is {count}, expected 1 to {root.Names.Count}");
        var episodes = Enumerable.Range(0, count).Select(i =>
        {
            foreach (string key in new[] { "observations", "actions", "rewards", "terminated" })
                if (!root.Contains($"{key}_{i}")) throw new DatasetException($"{path}: no key {key}_{i}, though there are {count} episodes");
            int steps = Rows(root, $"rewards_{i}", path);
            int size = Width(root.Dataset($"observations_{i}"), steps, path), actionSize = Width(root.Dataset($"actions_{i}"), steps, path);
            bool terminated = root.Dataset($"terminated_{i}").ReadInt32s().FirstOrDefault() != 0;
            var (terminals, timeouts) = (new bool[steps], new bool[steps]);
            (terminals[^1], timeouts[^1]) = (terminated, !terminated);
            return new RecordedEpisode($"episode {i}", root.Dataset($"observations_{i}").ReadSingles(), size, root.Dataset($"actions_{i}").ReadSingles(), actionSize, root.Dataset($"rewards_{i}").ReadSingles(), terminals, timeouts);
        }).ToArray();
        bool integers = root.Dataset("actions_0").ElementType is not (Hdf5ElementType.Float16 or Hdf5ElementType.Float32 or Hdf5ElementType.Float64);
        return Join(path, "d3rlpy v2", episodes, integers, []);
    }

    private static Dataset Join(string path, string layout, RecordedEpisode[] episodes, bool integers, List<string> notes)
    {
        if (episodes.Length == 0) throw new DatasetException($"{path}: no episodes");
        var first = episodes[0];
        foreach (var e in episodes)
        {
            if (e.Steps == 0) throw new DatasetException($"{path}: {e.Name} has no steps");
            if ((e.ObservationSize, e.ActionSize) != (first.ObservationSize, first.ActionSize)) throw new DatasetException($"{path}: {e.Name} has {e.ObservationSize} observations and {e.ActionSize} actions, {first.Name} {first.ObservationSize} and {first.ActionSize}");
        }
        int n = episodes.Sum(e => e.Steps), s = first.ObservationSize, a = first.ActionSize;
        var (observations, actions, rewards, terminals, timeouts, ends) = (new float[n * s], new float[n * a], new float[n], new bool[n], new bool[n], new bool[n]);
        // With an observation more than actions the successor of the last row is known; else it is not.
        bool successors = first.Observations.Length == (first.Steps + 1) * s;
        float[]? next = successors ? new float[n * s] : null;
        int row = 0;
        foreach (var e in episodes)
        {
            e.Observations.AsSpan(0, e.Steps * s).CopyTo(observations.AsSpan(row * s));
            if (next is not null) e.Observations.AsSpan(s, e.Steps * s).CopyTo(next.AsSpan(row * s));
            e.Actions.CopyTo(actions, row * a);
            e.Rewards.CopyTo(rewards, row);
            e.Terminals.CopyTo(terminals, row);
            e.Timeouts.CopyTo(timeouts, row);
            row += e.Steps;
            ends[row - 1] = true;
        }
        for (int i = 0; i < n; i++)
        {
            if (terminals[i]) timeouts[i] = false;
            ends[i] |= terminals[i] || timeouts[i];
        }
        return new Dataset
        {
            Source = path,
            Layout = layout,
            ObservationSize = s,
            ActionSize = a,
            ActionSpace = integers && a == 1 ? FlatLayout.Discrete(actions, path, "actions") : null,
            Observations = observations,
            Actions = actions,
            Rewards = rewards,
            Terminals = terminals,
            Timeouts = timeouts,
            Ends = ends,
            NextObservations = next,
            Notes = notes,
        };
    }

    private static long Number(string name, string path) => long.TryParse(name.AsSpan(Episode.Length), out long number) ? number : throw new DatasetException($"{path}: group {name}, expected {Episode} and a number");

    private static int Rows(Hdf5Group group, string name, string path)
    {
        if (!group.IsDataset(name)) throw new DatasetException($"{path}: {group.Name} has no {name}");
        var shape = group.Dataset(name).Shape;
        if (shape.Length == 0 || shape[0] < 1 || shape[0] > int.MaxValue / 8 || shape.Skip(1).Any(d => d != 1)) throw new DatasetException($"{path}: {group.Name} {name} has shape [{string.Join(",", shape)}], expected [steps], at least 1");
        return (int)shape[0];
    }

    private static int Width(Hdf5Dataset dataset, int rows, string path)
    {
        var shape = dataset.Shape;
        if (shape.Length is not (1 or 2) || shape[0] != rows || (shape.Length == 2 && shape[1] is < 1 or > 1 << 20)) throw new DatasetException($"{path}: {dataset.Name} has shape [{string.Join(",", shape)}], expected [{rows}, components]");
        return shape.Length == 1 ? 1 : (int)shape[1];
    }

    private static bool[] Flags(Hdf5Group group, string name, int steps, string path) => Rows(group, name, path) == steps
        ? Array.ConvertAll(group.Dataset(name).ReadInt32s(), v => v != 0)
        : throw new DatasetException($"{path}: {group.Name} {name} has {Rows(group, name, path)} rows, rewards {steps}");

    /// <summary>Arrays below a name, in the order of their names' letters, of a tuple's elements by number; without recursion, to a bounded depth.</summary>
    private static void Flatten(Hdf5Group group, string name, int rows, List<(string, float[], int)> parts, string path)
    {
        var open = new Stack<(string Name, int Depth)>();
        open.Push((name, 0));
        while (open.TryPop(out var item))
        {
            if (group.IsGroup(item.Name))
            {
                if (item.Depth >= 8 || parts.Count > 256) throw new DatasetException($"{path}: {group.Name} {item.Name}: observations are nested too deeply");
                foreach (string child in group.Group(item.Name).Names.OrderBy(Element).ThenBy(n => n, StringComparer.Ordinal).Reverse()) open.Push(($"{item.Name}/{child}", item.Depth + 1));
                continue;
            }
            var dataset = group.Dataset(item.Name);
            parts.Add((item.Name, dataset.ReadSingles(), Width(dataset, rows, path)));
        }
        if (parts.Count == 0) throw new DatasetException($"{path}: {group.Name} {name} holds no arrays");
    }

    /// <summary>Place of a tuple's element, _index_0, _index_1, ...; names of a dictionary come by their letters.</summary>
    private static long Element(string name) => name.StartsWith(Index, StringComparison.Ordinal) && long.TryParse(name.AsSpan(Index.Length), out long place) ? place : long.MaxValue;

    private static float[] Join(List<(string Name, float[] Values, int Width)> parts, int rows)
    {
        if (parts.Count == 1) return parts[0].Values;
        int total = parts.Sum(p => p.Width), at = 0;
        var joined = new float[rows * total];
        foreach (var (_, values, width) in parts)
        {
            for (int i = 0; i < rows; i++) values.AsSpan(i * width, width).CopyTo(joined.AsSpan(i * total + at));
            at += width;
        }
        return joined;
    }

    private static JsonObject? Metadata(string path)
    {
        string file = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, "metadata.json");
        if (!File.Exists(file)) return null;
        try { return JsonNode.Parse(File.ReadAllText(file), documentOptions: NoDuplicates) as JsonObject; }
        catch (JsonException e) { throw new DatasetException($"{file}: not valid JSON: {e.Message.Split('.')[0]}"); }
    }

    private static readonly JsonDocumentOptions NoDuplicates = new() { AllowDuplicateProperties = false };

    private static (double, double)? References(JsonObject metadata) =>
        metadata["ref_min_score"] is JsonValue low && low.TryGetValue(out double min) && metadata["ref_max_score"] is JsonValue high && high.TryGetValue(out double max) && double.IsFinite(max - min) && min < max ? (min, max) : null;

    private static string? Text(JsonNode? node) => node is JsonValue value && value.TryGetValue(out string? text) ? text : null;

    /// <summary>Gymnasium's space as Minari writes it: JSON in a string.</summary>
    private static ActionSpace? Space(JsonNode? node, string path)
    {
        if (Text(node) is not { } text || text.Contains("Infinity", StringComparison.Ordinal)) return null; // Python's word for no bound, which is not JSON
        try
        {
            var space = JsonNode.Parse(text, documentOptions: NoDuplicates)!;
            if (Text(space["type"]) == "Discrete") return (int)space["n"]! is var count and >= 2 ? new DiscreteActions(count) : throw new FormatException($"{space["n"]} discrete actions, expected at least 2");
            if (Text(space["type"]) != "Box") return null;
            float[] low = Numbers(space["low"]!), high = Numbers(space["high"]!);
            return low.Length == high.Length && low.Length > 0 && low.Zip(high).All(b => float.IsFinite(b.First) && float.IsFinite(b.Second) && b.First < b.Second) ? new ActionBounds(low, high) : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or NullReferenceException or FormatException)
        {
            throw new DatasetException($"{path}: the action space in metadata.json cannot be read: {e.Message.Split('\n')[0]}");
        }
    }

    private static float[] Numbers(JsonNode node) => node.AsArray().Select(v => (float)v!).ToArray();
}
