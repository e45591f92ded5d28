namespace Engine.Algorithms.Data.Layouts;

/// <summary>
/// Where trajectories end and why, from whatever columns say it. Terminals come from a flag of the task's end, or from a mask that is 0 there; ends from flags, row numbers, episode numbers or
/// lengths. An end that is no terminal is a time limit.
/// </summary>
internal sealed class EpisodeEnds
{
    /// <summary>Layout of recordings by steps of dm_env.</summary>
    public const string Steps = "Dreamer";

    private readonly ColumnFinder _find;
    private readonly int _rows;
    private readonly bool _successors;
    private readonly List<string> _notes;

    private EpisodeEnds(ColumnFinder find, int rows, bool successors, List<string> notes) => (_find, _rows, _successors, _notes, Terminals, Ends) = (find, rows, successors, notes, new bool[rows], new bool[rows]);

    /// <summary>The task ended with this row.</summary>
    public bool[] Terminals { get; private set; }

    /// <summary>The trajectory ends with this row, as far as a column says it.</summary>
    public bool[] Ends { get; private set; }

    /// <summary>The tool whose convention it is; null: none in particular.</summary>
    public string? Layout { get; private set; }

    /// <summary>Reads them.</summary>
    /// <param name="find">The columns.</param>
    /// <param name="rows">Rows of the observations.</param>
    /// <param name="rewards">Whether there are rewards: OGBench's files have none, and its terminals are ends.</param>
    /// <param name="successors">Whether next observations are there.</param>
    /// <param name="maxSteps">Steps of an episode, for files that say nothing.</param>
    /// <param name="notes">What was decided.</param>
    public static EpisodeEnds Read(ColumnFinder find, int rows, bool rewards, bool successors, int? maxSteps, List<string> notes)
    {
        var ends = new EpisodeEnds(find, rows, successors, notes);
        ends.Read(rewards, maxSteps);
        return ends;
    }

    private Table Table => _find.Table;

    private void Read(bool rewards, int? maxSteps)
    {
        var (direct, episodeTerminals) = (Flags(Quantities.Terminals), Flags(Quantities.EpisodeTerminals));
        var (mask, maskName) = Mask(direct);
        var timeouts = Flags(Quantities.Timeouts);
        if (direct is { } t) Terminals = t;
        if (episodeTerminals is not null)
        {
            Layout = "d3rlpy v1";
            // It marks the last two rows of most episodes as terminal; only the one that ends the episode is.
            int ignored = Enumerable.Range(0, _rows).Count(i => Terminals[i] && !episodeTerminals[i]);
            if (ignored > 0) _notes.Add($"{ignored} terminals before the end of their episode are ignored: episode_terminals say where it ends");
            for (int i = 0; i < _rows; i++) Terminals[i] &= episodeTerminals[i];
            Ends = episodeTerminals;
            return;
        }
        var flagged = EndFlags();
        if (mask is not null)
        {
            if (direct is not null && !direct.AsSpan().SequenceEqual(mask))
            {
                flagged = Or(flagged, direct);
                _notes.Add($"{_find.Find(Quantities.Terminals)} mark the ends of trajectories: {maskName} say by 0 where the task ended");
            }
            else if (direct is null) _notes.Add($"the task ended where {maskName} are 0");
            Terminals = mask;
        }
        var boundaries = Boundaries();
        if (direct is not null && _find.Find(Quantities.Terminals) == "terminals" && Table is not StackedTable && mask is null && !rewards && timeouts is null && flagged is null && boundaries is null)
        {
            Layout = "OGBench";
            (Ends, Terminals) = (direct, new bool[_rows]);
            _notes.Add("terminals mark the ends of trajectories, as OGBench has it: none is the end of the task");
            return;
        }
        if (direct is null && mask is null) _notes.Add("nothing says that the task ended: no row is terminal");
        if (flagged is not null || boundaries is not null)
        {
            // Stated ends are all there are: a terminal between two of them ends no trajectory.
            Ends = Or(Or(flagged, boundaries), timeouts)!;
            return;
        }
        Ends = (bool[])Terminals.Clone();
        if (timeouts is not null)
        {
            Ends = Or(Ends, timeouts)!;
            if (_successors && _find.Find(Quantities.Timeouts) == "truncated") Layout = "NeoRL2";
        }
        else if (maxSteps is { } limit) CutAt(limit);
        else if (!_successors && Table is not StackedTable) _notes.Add("no timeouts: trajectories are taken to end at terminals only (--max-steps N cuts them)");
    }

    private static bool[]? Or(bool[]? a, bool[]? b) => a is null ? b : b is null ? a : a.Zip(b, (x, y) => x || y).ToArray();

    private bool[]? Flags(string quantity) => (quantity is Quantities.Terminals or Quantities.Timeouts or Quantities.EpisodeTerminals ? _find.FindRows(quantity, _rows) ?? _find.Find(quantity) : _find.FindRows(quantity, _rows)) is { } name
        ? Array.ConvertAll(FlatLayout.Column(Table, name, _rows), v => v != 0 && !float.IsNaN(v)) : null;

    /// <summary>Where a mask or discount is 0. A discount that never is says nothing beside a flag of the end; a mask that does so says that no row is terminal.</summary>
    private (bool[]? Values, string? Name) Mask(bool[]? direct)
    {
        if (_find.FindRows(Quantities.Masks, _rows) is not { } name) return (null, null);
        var zero = Array.ConvertAll(FlatLayout.Column(Table, name, _rows), v => v == 0);
        if (!name.Contains("discount", StringComparison.Ordinal) || direct is null || zero.Contains(true)) return (zero, name);
        _find.Release(name);
        return (null, null);
    }

    /// <summary>Flags of ends, or the row numbers behind them.</summary>
    private bool[]? EndFlags()
    {
        if (Flags(Quantities.Ends) is { } flags) return flags;
        if (_find.Find(Quantities.Ends) is not { } name) return null;
        double[] rows = Numbers(name);
        if (rows.Length == 0) return new bool[_rows];
        int inclusive = rows[^1] == _rows - 1 ? 1 : 0;
        if (rows[^1] != _rows && inclusive == 0) throw new DatasetException($"{Table.Path}: the last of {name} is {rows[^1]}, expected {_rows}, the number of rows");
        return At(rows, name, row => row - 1 + inclusive);
    }

    /// <summary>Ends from first rows, lengths or episode numbers; null where nothing says them.</summary>
    private bool[]? Boundaries()
    {
        if (_find.Peek(Quantities.Index) is { } index && (_find.IsSaid(Quantities.Index) || !Table.Shape(index).AsSpan().SequenceEqual([_rows]))) // a number for each row is a data frame's
        {
            _find.Find(Quantities.Index);
            Layout = "NeoRL";
            return At(Numbers(index), index, row => row - 1);
        }
        if (Flags(Quantities.Starts) is { } starts)
        {
            Layout = _find.Find(Quantities.Starts) == "is_first" ? Steps : "Stable-Baselines";
            var ends = new bool[_rows];
            for (int i = 0; i + 1 < _rows; i++) ends[i] = starts[i + 1];
            return ends;
        }
        if (_find.Find(Quantities.Starts) is { } rows) return At(Numbers(rows), rows, row => row - 1);
        if (_find.FindRows(Quantities.Episode, _rows) is { } episode) return Changes(episode);
        if (_find.Peek(Quantities.Episode) is { } text && Table.IsColumn(text, _rows))
        {
            _find.Find(Quantities.Episode);
            return Changes(text);
        }
        if (Table is not StackedTable { Episodes: true } && _find.Peek(Quantities.Lengths) is { } lengths && Table.Shape(lengths) is [_] && Numbers(lengths) is { Length: > 0 } each && each.Sum() == _rows)
        {
            _find.Find(Quantities.Lengths);
            double end = 0;
            return At(Array.ConvertAll(each, l => end += l), lengths, row => row - 1);
        }
        return null;
    }

    private bool[] Changes(string episode)
    {
        double[] numbers = Table.ReadLabels(episode);
        var ends = new bool[_rows];
        for (int i = 0; i + 1 < _rows; i++) ends[i] = !numbers[i].Equals(numbers[i + 1]);
        return ends;
    }

    private double[] Numbers(string name) => Table.Shape(name) is [_] or [_, 1] ? Table.ReadExact(name)
        : throw new DatasetException($"{Table.Path}: {name} has shape [{string.Join(",", Table.Shape(name))}], expected [trajectories]");

    private bool[] At(double[] numbers, string name, Func<double, double> end) => At(Table.Path, numbers, name, _rows, end);

    /// <summary>Ends from rising row numbers.</summary>
    public static bool[] At(string path, double[] numbers, string name, int rows, Func<double, double> end)
    {
        var ends = new bool[rows];
        for (int i = 0; i < numbers.Length; i++)
        {
            double row = end(numbers[i]);
            if (numbers[i] != Math.Truncate(numbers[i]) || row < -1 || row >= rows || (i > 0 && numbers[i] <= numbers[i - 1])) throw new DatasetException($"{path}: {name}, entry {i} is {numbers[i]}: expected rising row numbers {(end(rows) == rows - 1 ? "up to" : "below")} {rows}");
            if (row >= 0) ends[(int)row] = true;
        }
        return ends;
    }

    private void CutAt(int limit)
    {
        int length = 0;
        for (int i = 0; i < _rows; i++)
        {
            length++;
            if (!Terminals[i] && length < limit) continue;
            Ends[i] = true;
            length = 0;
        }
    }
}
