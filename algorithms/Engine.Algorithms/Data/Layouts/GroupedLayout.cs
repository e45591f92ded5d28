using System.Text.RegularExpressions;
using Engine.Interop;
using Engine.Interop.Hdf5;

namespace Engine.Algorithms.Data.Layouts;

/// <summary>HDF5 with a group for each episode: Minari (<c>episode_i</c>), robomimic (<c>data/demo_i</c>), ManiSkill (<c>traj_i</c>) and their like.</summary>
internal static partial class GroupedLayout
{
    private const int MaximumKeys = 256, MaximumDepth = 8;

    /// <summary>Where the episodes are.</summary>
    /// <param name="Container">Group that holds them; empty for the root.</param>
    /// <param name="Prefix">Their names before the number.</param>
    internal sealed record Place(string Container, string Prefix)
    {
        public string Layout => this switch
        {
            { Container: "", Prefix: "episode_" } => "Minari",
            { Container: "data", Prefix: "demo_" } => "robomimic",
            { Prefix: "traj_" } => "ManiSkill",
            _ => "a group an episode",
        };
    }

    [GeneratedRegex(@"^(\D*)(\d{1,18})$")]
    private static partial Regex Numbered();

    /// <summary>Where a file has its episodes; null if it is of another layout.</summary>
    public static Place? Find(Hdf5Group root)
    {
        foreach (string container in new[] { "", "data" })
        {
            if (container.Length > 0 && !(root.Names.Contains(container) && Is(root, container))) continue;
            var group = container.Length == 0 ? root : root.Group(container);
            foreach (string prefix in group.Names.Select(n => Numbered().Match(n)).Where(m => m.Success).Select(m => m.Groups[1].Value).Distinct().OrderBy(p => p == "episode_" ? 0 : 1).Take(16))
            {
                // One that can be looked at is enough: the others may be damaged, and are then told.
                string? sample = group.Names.FirstOrDefault(n => Numbered().Match(n) is { Success: true } m && m.Groups[1].Value == prefix && Is(group, n));
                if (sample is not null && (prefix == "episode_" || Quantities.NamesOf(Quantities.Actions).Any(a => group.Group(sample).Names.Contains(a)))) return new Place(container, prefix);
            }
        }
        return null;

        static bool Is(Hdf5Group group, string name)
        {
            try { return group.IsGroup(name); }
            catch (InteropFormatException) { return false; }
        }
    }

    /// <summary>Reads all episodes, or those of a split.</summary>
    public static Dataset Read(Hdf5File file, string path, Place place, DatasetOptions options)
    {
        var notes = new List<string>();
        var root = place.Container.Length == 0 ? file.Root : file.Root.Group(place.Container);
        // Names come in the order of letters: episode_10 before episode_2.
        var names = root.Names.Where(n => Numbered().Match(n) is { Success: true } m && m.Groups[1].Value == place.Prefix && root.IsGroup(n)).OrderBy(n => long.Parse(n.AsSpan(place.Prefix.Length), System.Globalization.CultureInfo.InvariantCulture)).ToArray();
        names = Split(file.Root, path, names, options, notes);
        var metadata = place.Layout == "Minari" ? MinariMetadata.Read(file.Root, path) : null;
        var seen = new Choice(options, notes);
        var episodes = names.Select(name => Episode(root.Group(name), name, path, place.Layout == "Minari", seen)).ToArray();
        (ActionSpace? Space, int Start) stated = metadata is null ? default : MinariMetadata.Space(metadata, path);
        var data = Episodes.Join(path, place.Layout, episodes, stated.Space is DiscreteActions ? ColumnKind.Number : seen.ActionKind, notes);
        if (seen.Terminals is null) notes.Add("nothing says that the task ended: no row is terminal");
        if (seen.NoRewards) notes.Add("no rewards are stored: all are 0");
        return (metadata is null ? data : MinariMetadata.Apply(metadata, stated, data, path)) with { Keys = Keys(root, names, place), Notes = notes, Environment = metadata is null ? Environment(root) : MinariMetadata.Name(metadata) };
    }

    /// <summary>What the first episode decided for all.</summary>
    private sealed class Choice(DatasetOptions options, List<string> notes)
    {
        public DatasetOptions Options => options;

        public List<string> Notes => notes;

        public string[]? Observations { get; set; }

        public ColumnKind ActionKind { get; set; }

        public string? Terminals { get; set; }

        public bool NoRewards { get; set; }
    }

    private static RecordedEpisode Episode(Hdf5Group group, string name, string path, bool strict, Choice seen)
    {
        string? Find(string quantity) => seen.Options.Columns.TryGetValue(quantity, out string? said) ? group.Contains(said) ? said : throw new DatasetException($"{path}: {group.Name} has no {said} for {quantity}; {NearNames.Describe(said, group.Names)}")
            : Quantities.NamesOf(quantity).FirstOrDefault(group.Names.Contains);
        string Require(string quantity) => Find(quantity) ?? throw new DatasetException($"{path}: {name} has no {quantity}; found {string.Join(", ", group.Names.Take(12))}");
        string actionName = Require(Quantities.Actions), observationName = Require(Quantities.Observations);
        if (!group.IsDataset(actionName)) throw new DatasetException($"{path}: {name}/{actionName} is not an array; nested action spaces are not supported");
        var actions = group.Dataset(actionName);
        string? rewardName = strict ? Require(Quantities.Rewards) : Find(Quantities.Rewards);
        int steps = rewardName is null ? Rows(actions, path) : Steps(group, rewardName, path);
        if (steps == 0) return new RecordedEpisode(name, [], 0, null, [], 0, [], [], []);
        seen.NoRewards |= rewardName is null;
        int actionSize = Width(actions, steps, path);
        if (seen.Observations is null)
        {
            seen.ActionKind = actions.ElementType switch { Hdf5ElementType.Boolean => ColumnKind.Boolean, Hdf5ElementType.Float16 or Hdf5ElementType.Float32 or Hdf5ElementType.Float64 => ColumnKind.Number, _ => ColumnKind.Whole };
            seen.Observations = Choose(group, observationName, path, steps, seen);
        }
        int rows = group.IsDataset(seen.Observations[0]) ? Rows(group.Dataset(seen.Observations[0]), path) : steps;
        if (strict && rows != steps + 1) rows = steps + 1;
        var (observations, size) = Join(group, seen.Observations, rows == steps + 1 ? rows : steps, path);
        float[]? next = null;
        if (rows == steps && Quantities.NamesOf(Quantities.Next).FirstOrDefault(group.Names.Contains) is { } nextName)
        {
            var keys = Array.ConvertAll(seen.Observations, o => nextName + o[observationName.Length..]);
            if (Array.TrueForAll(keys, group.IsDataset)) next = Join(group, keys, steps, path).Values;
        }
        string? ended = strict ? Flag("terminations") : Find(Quantities.Terminals), cut = strict ? Flag("truncations") : Find(Quantities.Timeouts);
        string Flag(string flag) => group.IsDataset(flag) ? flag : throw new DatasetException($"{path}: {group.Name} has no {flag}");
        seen.Terminals ??= ended;
        return new RecordedEpisode(name, observations, size, next, actions.ReadSingles(), actionSize, rewardName is null ? new float[steps] : group.Dataset(rewardName).ReadSingles(), Flags(group, ended, steps, path), Flags(group, cut, steps, path));
    }

    /// <summary>Arrays of the observations of an episode that are read.</summary>
    private static string[] Choose(Hdf5Group group, string name, string path, int steps, Choice seen)
    {
        var keys = Flatten(group, name, path);
        bool nested = keys.Count > 1 || keys[0] != name;
        if (!nested && seen.Options is { Observations: null, Without: null }) return [name];
        string? No(string key)
        {
            try { return group.Dataset(key).Shape is { Length: 1 or 2 } shape && (shape[0] == steps || shape[0] == steps + 1) && (shape.Length == 1 || shape[1] <= 1 << 20) && group.Dataset(key).ElementType is > Hdf5ElementType.Unsupported and < Hdf5ElementType.FixedString ? null : string.Join(", ", group.Dataset(key).Shape); }
            catch (InteropFormatException e) { return e.Problem; }
        }
        if (!nested) return ObservationKeys.Choose(path, [.. group.Names.Where(group.IsDataset)], No, seen.Options with { Observations = seen.Options.Observations ?? name }, seen.Notes);
        var quiet = new List<string>();
        var chosen = ObservationKeys.Choose(path, keys, No, seen.Options, quiet);
        seen.Notes.AddRange(quiet.Where(n => !n.StartsWith("observations are", StringComparison.Ordinal)));
        seen.Notes.Add($"observations are nested groups, joined in the order {string.Join(", ", chosen.Select(k => $"{k[(name.Length + 1)..]} ({(group.Dataset(k).Shape is [_, var w] ? w : 1)})"))}");
        return chosen;
    }

    private static string[] Split(Hdf5Group root, string path, string[] names, DatasetOptions options, List<string> notes)
    {
        string[] masks = root.Names.Contains("mask") && root.IsGroup("mask") ? [.. root.Group("mask").Names] : [];
        if (options.Split is not { } split)
        {
            if (masks.Length > 0) notes.Add($"all {names.Length} episodes are read; --split {string.Join("|", masks.Take(6))} reads a part");
            return names;
        }
        if (!masks.Contains(split)) throw new DatasetException($"{path}: no split {split}; {NearNames.Describe(split, masks)}");
        var wanted = root.Group("mask").Dataset(split).ReadStrings().ToHashSet();
        if (wanted.FirstOrDefault(w => !names.Contains(w)) is { } missing) throw new DatasetException($"{path}: split {split} names {missing}, which is no episode of the file");
        return names.Where(wanted.Contains).ToArray();
    }

    private static List<(string, string, string)> Keys(Hdf5Group root, string[] names, Place place)
    {
        var keys = new List<(string, string, string)> { ($"{(place.Container.Length > 0 ? place.Container + "/" : "")}{place.Prefix}i", $"{names.Length} episodes", "group") };
        if (names.Length == 0) return keys;
        var first = root.Group(names[0]);
        foreach (string key in first.Names.SelectMany(n => Listed(n)).Take(60))
            try { keys.Add(($"  {key}", $"({string.Join(", ", first.Dataset(key).Shape)})", first.Dataset(key).ElementType.ToString())); }
            catch (InteropFormatException e) { keys.Add(($"  {key}", "", "not read: " + e.Problem)); }
        return keys;

        IEnumerable<string> Listed(string name)
        {
            try { return first.IsGroup(name) ? Flatten(first, name, "") : [name]; }
            catch (Exception e) when (e is InteropFormatException or DatasetException) { return [name]; }
        }
    }

    private static string? Environment(Hdf5Group data)
    {
        if (!data.Attributes.TryGetValue("env_args", out var attribute) || attribute.ElementType is not (Hdf5ElementType.FixedString or Hdf5ElementType.VariableString)) return null;
        try { return MinariMetadata.Text(System.Text.Json.Nodes.JsonNode.Parse(attribute.ReadStrings().FirstOrDefault() ?? "{}")?["env_name"]); }
        catch (Exception e) when (e is System.Text.Json.JsonException or InvalidOperationException) { return null; }
    }

    private static int Rows(Hdf5Dataset dataset, string path) => dataset.Shape is { Length: > 0 } s && s[0] <= int.MaxValue / 8 ? (int)s[0] : throw new DatasetException($"{path}: {dataset.Name} has shape [{string.Join(",", dataset.Shape)}], expected [steps, components]");

    private static int Steps(Hdf5Group group, string name, string path)
    {
        if (!group.IsDataset(name)) throw new DatasetException($"{path}: {group.Name} has no {name}");
        var shape = group.Dataset(name).Shape;
        if (shape.Length == 0 || shape[0] > int.MaxValue / 8 || shape.Skip(1).Any(d => d != 1)) throw new DatasetException($"{path}: {group.Name} {name} has shape [{string.Join(",", shape)}], expected [steps]");
        return (int)shape[0];
    }

    private static int Width(Hdf5Dataset dataset, int rows, string path)
    {
        var shape = dataset.Shape;
        if (shape.Length is not (1 or 2) || shape[0] != rows || (shape.Length == 2 && shape[1] is < 1 or > 1 << 20)) throw new DatasetException($"{path}: {dataset.Name} has shape [{string.Join(",", shape)}], expected [{rows}, components]");
        return shape.Length == 1 ? 1 : (int)shape[1];
    }

    private static bool[] Flags(Hdf5Group group, string? name, int steps, string path) => name is null ? new bool[steps]
        : Steps(group, name, path) == steps ? Array.ConvertAll(group.Dataset(name).ReadSingles(), v => v != 0)
        : throw new DatasetException($"{path}: {group.Name} {name} has {Steps(group, name, path)} rows, expected {steps}");

    /// <summary>Arrays below a name, in the order of their names' letters, of a tuple's elements by number; without recursion, to a bounded depth.</summary>
    private static List<string> Flatten(Hdf5Group group, string name, string path)
    {
        var (open, keys) = (new Stack<(string Name, int Depth)>(), new List<string>());
        open.Push((name, 0));
        while (open.TryPop(out var item))
        {
            if (!group.IsGroup(item.Name))
            {
                keys.Add(item.Name);
                continue;
            }
            if (item.Depth >= MaximumDepth || keys.Count > MaximumKeys) throw new DatasetException($"{path}: {group.Name} {item.Name}: observations are nested too deeply");
            foreach (string child in group.Group(item.Name).Names.OrderBy(Element).ThenBy(n => n, StringComparer.Ordinal).Reverse()) open.Push(($"{item.Name}/{child}", item.Depth + 1));
        }
        return keys.Count > 0 ? keys : throw new DatasetException($"{path}: {group.Name} {name} holds no arrays");
    }

    /// <summary>Place of a tuple's element, _index_0, _index_1, ...; names of a dictionary come by their letters.</summary>
    private static long Element(string name) => name.StartsWith("_index_", StringComparison.Ordinal) && long.TryParse(name.AsSpan(7), out long place) ? place : long.MaxValue;

    private static (float[] Values, int Width) Join(Hdf5Group group, string[] keys, int rows, string path)
    {
        var parts = Array.ConvertAll(keys, k => (Values: group.Dataset(k).ReadSingles(), Width: Width(group.Dataset(k), rows, path)));
        if (parts.Length == 1) return parts[0];
        int total = parts.Sum(p => p.Width), at = 0;
        var joined = new float[checked(rows * total)];
        foreach (var (values, width) in parts)
        {
            for (int i = 0; i < rows; i++) values.AsSpan(i * width, width).CopyTo(joined.AsSpan(i * total + at));
            at += width;
        }
        return (joined, total);
    }
}
