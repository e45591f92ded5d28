namespace Engine.Algorithms.Data.Layouts;

/// <summary>
/// Layouts with one column for each quantity and a row for each step. They differ in names and in how they mark the ends of episodes: D4RL (timeouts), d3rlpy v1
/// (episode_terminals), OGBench (terminals are trajectory ends, no rewards), jaxrl (masks), Dreamer (is_last), NeoRL (index: first rows), NeoRL2 (truncated), Stable-Baselines
/// (episode_starts), imitation (one observation more an episode), and any table with a column mapping.
/// </summary>
internal static class FlatLayout
{
    private const int MaximumWidth = 1 << 20;

    /// <summary>Reads a table.</summary>
    /// <param name="table">The columns.</param>
    /// <param name="format">What the layout is called if nothing tells more.</param>
    /// <param name="options">What the file does not say.</param>
    /// <exception cref="DatasetException">A column is missing, or its shape does not fit.</exception>
    public static Dataset Read(Table table, string format, DatasetOptions options)
    {
        if (options.Split is not null) throw new DatasetException($"{table.Path}: has no splits: --split is for files with a group mask");
        var find = new ColumnFinder(table, options);
        find.Notes.AddRange(table.Notes);
        find.Notes.AddRange(table.Unread.Take(8).Select(u => $"{u.Name}: {u.Reason}: skipped"));
        var data = find.Find(Quantities.Indices) is { } indices && Rows(table, find.Observations[0]) > Rows(table, find.Actions[0])
            ? ImitationLayout.Read(find, indices, find.Notes)
            : ReadRows(find, format, options);
        string[] unused = find.Unused(Rows(table, find.Actions[0])).ToArray();
        if (unused.Length > 0) find.Notes.Add($"columns not used: {string.Join(", ", unused.Take(12))}{(unused.Length > 12 ? ", ..." : "")}");
        return data with { Keys = Keys(table), Notes = find.Notes };
    }

    private static long Rows(Table table, string name) => table.Shape(name) is [var rows, ..] ? rows : 0;

    private static Dataset ReadRows(ColumnFinder find, string format, DatasetOptions options)
    {
        var (original, used, noted) = (find.Table, find.Notes.Count, find.Notes);
        find.Table = StackedTable.Of(find);
        if (find.Table is not StackedTable { Episodes: true } stacked) return AsRows(find, format, options, null);
        var before = noted[..used];
        var data = AsRows(find, format, options, stacked);
        if (!Padding.Contradicts(data, stacked)) return Padding.Drop(data, stacked, find, noted);
        // Episodes go on behind an end within them: the first axis is time, the second counts copies of the environment.
        noted.Clear();
        noted.AddRange(before);
        find.Table = original;
        stacked = (StackedTable)StackedTable.Of(find);
        stacked.CopiesSideBySide = true;
        noted[^1] = $"{find.Observations[0]} of shape [{string.Join(",", original.Shape(find.Observations[0]))}] is read as {stacked.Copies} copies of {stacked.Length} steps side by side: episodes end within the second axis";
        find.Table = stacked;
        return AsRows(find, format, options, stacked);
    }

    private static Dataset AsRows(ColumnFinder find, string format, DatasetOptions options, StackedTable? episodes)
    {
        var (table, notes) = (find.Table, find.Notes);
        var (n, size) = Width(table, find.Observations);
        var (actionRows, actionSize) = Width(table, find.Actions);
        if (actionRows != n) throw new DatasetException($"{table.Path}: {find.Actions[0]} has {actionRows} rows, expected {n} as {find.Observations[0]}");
        var (space, actionWidth, actions) = Actions(find, n, actionSize);
        float[] states = Join(table, find.Observations, n, size);
        int[] rounded = Rounded(table, find.Observations, states, n, size, notes);
        string? rewardName = find.Find(Quantities.Rewards);
        if (rewardName is null) notes.Add("no rewards are stored: all are 0");
        float[] rewards = rewardName is null ? new float[n] : Column(table, rewardName, n);
        float[]? next = null;
        if (table is StackedTable { HasSuccessors: true } longer) next = Join(find.Observations.Select(o => (longer.ReadSuccessors(o), WidthOf(table, o))), n, size);
        else if (find.Next() is { } nextNames)
        {
            if (Width(table, nextNames) is var (nextRows, nextSize) && (nextRows, nextSize) != (n, size)) throw new DatasetException($"{table.Path}: {nextNames[0]} has shape [{nextRows},{nextSize}], expected [{n},{size}] as {find.Observations[0]}");
            next = Join(table, nextNames, n, size);
        }
        var read = EpisodeEnds.Read(find, n, rewardName is not null, next is not null, options.MaxEpisodeSteps, notes);
        var (terminals, ends) = (read.Terminals, read.Ends);
        if (episodes is not null)
            for (int i = episodes.Length - 1; i < n; i += episodes.Length) ends[i] = true;
        bool[] timeouts = ends.Zip(terminals, (end, terminal) => end && !terminal).ToArray();
        // The last row of the recording ends a trajectory, but nothing says that a time limit did.
        if (n > 0) ends[n - 1] = true;
        var data = new Dataset
        {
            Source = table.Path,
            Layout = read.Layout ?? format,
            ObservationSize = size,
            ActionSize = actionWidth,
            ActionSpace = space,
            Observations = states,
            Actions = actions,
            Rewards = rewards,
            Terminals = terminals,
            Timeouts = timeouts,
            Ends = ends,
            NextObservations = next,
            Rounded = rounded,
        };
        return next is null ? WithoutLastStates(data, find) : data;
    }

    /// <summary>Rows that are the last state of an episode, not a step: valids say so (OGBench's compact form), or they have neither action nor reward (coach).</summary>
    private static Dataset WithoutLastStates(Dataset data, ColumnFinder find)
    {
        if (find.FindRows(Quantities.Valids, data.Count) is { } name)
        {
            var invalid = Array.ConvertAll(Column(find.Table, name, data.Count), v => v == 0);
            if (!invalid.Contains(true)) return data;
            find.Notes.Add($"{invalid.Count(v => v)} rows where {name} are 0 are the last states of their trajectories");
            return RowPicker.LastStates(data, invalid, marks: false, find.Notes);
        }
        bool Blank(int i) => float.IsNaN(data.Rewards[i]) && float.IsNaN(data.Actions[i * data.ActionSize]);
        if (data.Layout == EpisodeEnds.Steps) return StepAlignment.Apply(data, find.Notes);
        var blank = Enumerable.Range(0, data.Count).Select(Blank).ToArray();
        if (!blank.Contains(true)) return data;
        for (int i = 0; i < data.Count; i++)
            if (blank[i] && (!data.Ends[i] || i == 0 || data.Ends[i - 1])) throw new DatasetException($"{data.Source}: row {i} has no action and no reward but is not the last of its episode");
        find.Notes.Add($"{blank.Count(b => b)} rows at the end of an episode have no action and no reward: they are its last state");
        return RowPicker.LastStates(data, blank, marks: true, find.Notes);
    }

    private static (ActionSpace? Space, int Size, float[] Values) Actions(ColumnFinder find, int n, int size)
    {
        var table = find.Table;
        var kinds = find.Actions.Select(table.Kind).Distinct().ToArray();
        var kind = kinds.Length == 1 ? kinds[0] : ColumnKind.Number;
        if (size == 1 && kind == ColumnKind.Number && table.Contains("discrete_action") && find.Release("discrete_action", used: true) && table.Read("discrete_action").FirstOrDefault() != 0) kind = ColumnKind.Whole;
        return ActionColumns.Of(Join(table, find.Actions, n, size), size, kind, table.Path, find.Actions[0], find.Notes);
    }

    /// <summary>Components whose values 64 bits tell apart and 32 bits do not: of a clock's time of day nothing is left.</summary>
    private static int[] Rounded(Table table, string[] names, float[] states, int n, int size, List<string> notes)
    {
        var found = new List<int>();
        int at = 0;
        foreach (string name in names)
        {
            int width = WidthOf(table, name);
            // Ten million numbers are looked at and no more: it is for a note.
            if (table.IsWide(name) && table.Kind(name) != ColumnKind.Boolean && (long)n * width <= 10_000_000)
            {
                double[] exact = table.ReadExact(name);
                for (int j = 0; j < width; j++)
                {
                    int merged = 0;
                    for (int i = 1; i < n; i++)
                        if (exact[i * width + j] != exact[(i - 1) * width + j] && states[i * size + at + j] == states[(i - 1) * size + at + j] && !double.IsNaN(exact[i * width + j])) merged++;
                    if (merged == 0) continue;
                    found.Add(at + j);
                    notes.Add($"observation {at + j}: 32 bits do not tell its values apart: {merged} rows differ from the row before in 64 bits alone, such as {exact[j]} and its successors; subtract its first value, or leave it out");
                }
            }
            at += width;
        }
        return [.. found];
    }

    private static (int Rows, int Width) Width(Table table, string[] names)
    {
        var (rows, total) = Matrix(table, names[0]);
        foreach (string name in names.Skip(1))
        {
            var (more, width) = Matrix(table, name);
            if (more != rows) throw new DatasetException($"{table.Path}: {name} has {more} rows, expected {rows} as {names[0]}");
            total += width;
        }
        return total <= MaximumWidth ? (rows, total) : throw new DatasetException($"{table.Path}: {names[0]} and what is joined with it have {total} components, expected at most {MaximumWidth}");
    }

    private static int WidthOf(Table table, string name) => Matrix(table, name).Columns;

    private static float[] Join(Table table, string[] names, int n, int size) => names.Length == 1 ? table.Read(names[0]) : Join(names.Select(name => (table.Read(name), WidthOf(table, name))), n, size);

    private static float[] Join(IEnumerable<(float[] Values, int Width)> parts, int n, int size)
    {
        var joined = new float[checked(n * size)];
        int at = 0;
        foreach (var (values, width) in parts)
        {
            for (int i = 0; i < n; i++) values.AsSpan(i * width, width).CopyTo(joined.AsSpan(i * size + at));
            at += width;
        }
        return joined;
    }

    /// <summary>Rows and components of a column; the axes of a small matrix are joined, pictures are refused.</summary>
    internal static (int Rows, int Columns) Matrix(Table table, string name)
    {
        var shape = table.Shape(name);
        long width = 1;
        foreach (long axis in shape.AsSpan(Math.Min(1, shape.Length))) width = axis is >= 1 and <= MaximumWidth ? Math.Min(width * axis, MaximumWidth + 1) : 0;
        if (shape.Length is < 1 or > 3 || shape[0] < 1 || width is < 1 or > MaximumWidth || ObservationKeys.IsImage(shape)) throw new DatasetException($"{table.Path}: {name} has shape [{string.Join(",", shape)}], expected [rows, components]");
        if (shape[0] > int.MaxValue / 8) throw new DatasetException($"{table.Path}: {name} has {shape[0]} rows, more than fit in memory as one dataset");
        return ((int)shape[0], (int)width);
    }

    /// <summary>A column of a number for each row.</summary>
    internal static float[] Column(Table table, string name, int n)
    {
        var shape = table.Shape(name);
        if (shape.Length is not (1 or 2) || shape[0] != n || (shape.Length == 2 && shape[1] != 1)) throw new DatasetException($"{table.Path}: {name} has shape [{string.Join(",", shape)}], expected [{n}] or [{n},1]");
        return table.Read(name);
    }

    /// <summary>Columns with shape and type, and what is not read with the reason.</summary>
    internal static (string, string, string)[] Keys(Table table) =>
        [.. table.Names.Take(200).Select(n => (n, $"({string.Join(", ", table.Shape(n))})", table.TypeName(n))), .. table.Names.Count > 200 ? [($"... and {table.Names.Count - 200} more", "", "")] : Array.Empty<(string, string, string)>(),
            .. table.Unread.Take(100).Select(u => (u.Name, "", "not read: " + u.Reason))];
}
