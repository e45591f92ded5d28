namespace Engine.Algorithms.Data.Layouts;

/// <summary>A folder of files with the same columns, one after another: OGBench's large datasets (with files NAME-val.npz kept for validation), or one episode a file; or of .npy files, each a column.</summary>
internal static class FolderLayout
{
    private const string Validation = "val";

    private const int MaximumFiles = 100_000;

    /// <summary>Reads all files of the kind that the folder has, in the order of their names, numbers in them by value.</summary>
    public static Dataset Read(string folder, DatasetOptions options)
    {
        var all = Directory.EnumerateFiles(folder).Where(f => !Path.GetFileName(f).StartsWith('.')).Take(MaximumFiles + 1).ToArray();
        if (all.Length > MaximumFiles) throw new DatasetException($"{folder}: more than {MaximumFiles} files");
        var kinds = DatasetLayouts.Extensions.Select(e => (Extension: e, Files: all.Where(f => f.EndsWith(e, StringComparison.OrdinalIgnoreCase)).ToArray())).Where(k => k.Files.Length > 0).ToArray();
        if (kinds.Length == 0)
        {
            var columns = all.Where(f => f.EndsWith(".npy", StringComparison.OrdinalIgnoreCase)).Order(StringComparer.Ordinal).ToArray();
            if (columns.Length == 0) throw new DatasetException($"{folder}: is a folder without data/main_data.hdf5 and without dataset files ({string.Join(", ", DatasetLayouts.Extensions)}, .npy)");
            using var table = new NpyTable(folder, columns);
            return DatasetLayouts.ReadTable(table, "npy", options);
        }
        if (kinds.Length > 1) throw new DatasetException($"{folder}: has files of several kinds, {string.Join(", ", kinds.Select(k => $"{k.Files.Length} {k.Extension}"))}: expected one kind; name one file, or move the others away");
        var files = kinds[0].Files.Order(NaturalOrder.Instance).ToArray();
        var notes = new List<string>();
        bool IsValidation(string file) => Path.GetFileName(file)[..^kinds[0].Extension.Length].EndsWith("-" + Validation, StringComparison.Ordinal);
        var held = files.Where(IsValidation).ToArray();
        if (held.Length > 0 && held.Length < files.Length)
        {
            if (options.Split is { } split && split != Validation) throw new DatasetException($"{folder}: no split {split}; the folder has {Validation}");
            bool wanted = options.Split is not null;
            files = wanted ? held : files.Except(held).ToArray();
            if (!wanted) notes.Add($"{held.Length} files for validation (-{Validation}) are not read; --split {Validation} reads them alone");
            options = options with { Split = null };
        }
        return Join(folder, null, files, file => DatasetLayouts.ReadFile(file, options), notes);
    }

    /// <summary>Rows of several files, in order; the end of a file is the end of a trajectory.</summary>
    /// <param name="source">The folder.</param>
    /// <param name="layout">What it is called; null: as the files, with "folder" before.</param>
    /// <param name="files">Files, at least one.</param>
    /// <param name="read">Reads one.</param>
    /// <param name="notes">What was decided; those of the files are added, each once.</param>
    public static Dataset Join(string source, string? layout, IReadOnlyList<string> files, Func<string, Dataset> read, List<string> notes)
    {
        var parts = files.Select(read).ToArray();
        if (parts.Length > 1 && Array.Exists(parts, p => p.NextObservations is not null)) parts = Array.ConvertAll(parts, p => p.NextObservations is null ? RowPicker.LastStates(p, new bool[p.Count], marks: false, []) : p);
        var first = parts[0];
        foreach (var p in parts)
        {
            if ((p.ObservationSize, p.ActionSize, p.ActionSpace is DiscreteActions) != (first.ObservationSize, first.ActionSize, first.ActionSpace is DiscreteActions))
                throw new DatasetException($"{p.Source}: has {p.ObservationSize} observations and {Actions(p)}, {Path.GetFileName(first.Source)} {first.ObservationSize} and {Actions(first)}");
            if (p.ActionSpace is ActionBounds && p.ActionSpace != first.ActionSpace) throw new DatasetException($"{p.Source}: {p.ActionSpace}, {Path.GetFileName(first.Source)} {first.ActionSpace}");
        }
        long total = parts.Sum(p => (long)p.Count);
        if (total * Math.Max(first.ObservationSize, first.ActionSize) > Array.MaxLength) throw new DatasetException($"{source}: {total} rows, more than fit in memory as one dataset: convert the files to shards, engine datasets convert FIRST NAME.shards --also NEXT");
        // A file by itself cannot say that it is an episode; together they do.
        foreach (var (note, count) in parts.SelectMany(p => p.Notes).Where(n => parts.Length == 1 || !n.StartsWith("no timeouts:", StringComparison.Ordinal)).GroupBy(n => n).Select(g => (g.Key, g.Count())).Take(20))
            notes.Add(count == parts.Length || parts.Length == 1 ? note : $"{note} ({count} of {parts.Length} files)");
        notes.Insert(0, $"{parts.Length} files, one after another: the end of a file ends a trajectory");
        return new Dataset
        {
            Source = source,
            Layout = layout ?? $"folder of {first.Layout}",
            ObservationSize = first.ObservationSize,
            ActionSize = first.ActionSize,
            ActionSpace = first.ActionSpace is DiscreteActions ? new DiscreteActions(parts.Max(p => ((DiscreteActions)p.ActionSpace!).Count)) : first.ActionSpace,
            Observations = Concat(parts, p => p.Observations),
            Actions = Concat(parts, p => p.Actions),
            Rewards = Concat(parts, p => p.Rewards),
            Terminals = Concat(parts, p => p.Terminals),
            Timeouts = Concat(parts, p => p.Timeouts),
            Ends = Concat(parts, p => p.Ends),
            NextObservations = first.NextObservations is null ? null : Concat(parts, p => p.NextObservations!),
            Environment = first.Environment,
            References = first.References,
            Rounded = parts.SelectMany(p => p.Rounded).Distinct().Order().ToArray(),
            Keys = [(Path.GetFileName(files[0]), $"{files.Count} files", "each with"), .. first.Keys],
            Notes = notes,
        };

        static string Actions(Dataset p) => p.ActionSpace is DiscreteActions ? "discrete actions" : $"{p.ActionSize} action numbers";
    }

    private static T[] Concat<T>(Dataset[] parts, Func<Dataset, T[]> column)
    {
        var all = new T[parts.Sum(p => (long)column(p).Length)];
        long at = 0;
        foreach (var part in parts)
        {
            column(part).CopyTo(all, at);
            at += column(part).Length;
        }
        return all;
    }

    /// <summary>Letters as they are, numbers by value: episode_2 before episode_10.</summary>
    internal sealed class NaturalOrder : IComparer<string>
    {
        public static readonly NaturalOrder Instance = new();

        public int Compare(string? x, string? y)
        {
            ReadOnlySpan<char> a = x, b = y;
            while (a.Length > 0 && b.Length > 0)
            {
                if (char.IsAsciiDigit(a[0]) && char.IsAsciiDigit(b[0]))
                {
                    ReadOnlySpan<char> m = Digits(ref a), n = Digits(ref b);
                    if (m.Length != n.Length) return m.Length - n.Length;
                    if (m.SequenceCompareTo(n) is var order and not 0) return order;
                    continue;
                }
                if (a[0] != b[0]) return a[0] - b[0];
                a = a[1..];
                b = b[1..];
            }
            return a.Length != b.Length ? a.Length - b.Length : string.CompareOrdinal(x, y);
        }

        private static ReadOnlySpan<char> Digits(ref ReadOnlySpan<char> text)
        {
            int end = text.IndexOfAnyExceptInRange('0', '9') is var at and >= 0 ? at : text.Length;
            var digits = text[..end].TrimStart('0');
            text = text[end..];
            return digits;
        }
    }
}
