namespace Engine.Algorithms.Data.Layouts;

/// <summary>
/// A table whose arrays have two axes before the components, seen with one: [episodes, steps, d], also with an observation more than steps; [steps, copies, d] of environments that ran side
/// by side; [rows, 1, d]; and one trajectory of T actions and T + 1 observations.
/// </summary>
internal sealed class StackedTable : Table
{
    private readonly Table _inner;
    private readonly int _outer, _length;
    private readonly HashSet<string> _longer;

    private StackedTable(Table inner, int outer, int length, IEnumerable<string> longer) : base(inner.Path) => (_inner, _outer, _length, _longer) = (inner, outer, length, [.. longer]);

    /// <summary>Whether the outer axis counts episodes, which may be padded at their ends; else both axes are rows.</summary>
    public bool Episodes => !CopiesSideBySide && _outer > 1 && _length > 1;

    /// <summary>Rows of an episode, padding included; of copies the rows of each.</summary>
    public int Length => CopiesSideBySide ? _outer : _length;

    /// <summary>Environments that ran side by side.</summary>
    public int Copies => _length;

    /// <summary>Read as [steps, copies, ...]: what the first axis counts follows in time.</summary>
    public bool CopiesSideBySide { get; set; }

    /// <summary>Whether the successors of all rows are known.</summary>
    public bool HasSuccessors => _longer.Count > 0;

    /// <summary>The table as rows; itself where it has them, or where more than one reading is left.</summary>
    public static Table Of(ColumnFinder find)
    {
        var table = find.Table;
        long[] a = table.Shape(find.Actions[0]), o = table.Shape(find.Observations[0]);
        var observations = find.Observations.Select(table.Shape).ToArray();
        bool All(Func<long[], bool> fits) => Array.TrueForAll(observations, s => fits(s));
        if (a.Length is 1 or 2 && o.Length is 1 or 2 && a[0] >= 1 && All(s => s.Length > 0 && s[0] == a[0] + 1) && find.Actions.All(x => table.Shape(x)[0] == a[0]))
        {
            find.Notes.Add($"one trajectory: {find.Observations[0]} has one row more than {find.Actions[0]}, the last state");
            return new StackedTable(table, 1, Size(a[0]), find.Observations);
        }
        if (a.Length < 2 || o.Length < 2 || (a.Length < 3 && o.Length < 3)) return table;
        bool same = All(s => s.Length >= 2 && s[0] == a[0] && s[1] == a[1]), longer = All(s => s.Length >= 2 && s[0] == a[0] && s[1] == a[1] + 1);
        if ((!same && !longer) || a[0] < 1 || a[1] < 1) return table;
        // [rows, k] beside [rows, k, d] would be actions of k components: only a column of both sizes says that k are steps.
        bool both = table.Names.Any(n => table.Shape(n) is [var x, var y, .. var more] && x == a[0] && y == a[1] && (more.Length == 0 || more is [1]) && n != find.Actions[0]);
        if (a.Length == 2 && !longer && !both && a[1] > 1) return table;
        int outer = Size(a[0]), length = Size(a[1]);
        find.Notes.Add(length == 1 ? $"{find.Observations[0]} of shape [{string.Join(",", o)}] is read as rows: the axis of one is left out"
            : $"{find.Observations[0]} of shape [{string.Join(",", o)}] is read as {(outer == 1 ? "one episode" : $"{outer} episodes")} of {length} steps{(longer ? " and a last state" : "")}");
        return new StackedTable(table, outer, length, longer ? find.Observations : []);

        int Size(long size) => size <= int.MaxValue / 8 ? (int)size : throw new DatasetException($"{table.Path}: {find.Actions[0]} has {size} rows, more than fit in memory as one dataset");
    }

    public override IReadOnlyCollection<string> Names => _inner.Names;

    public override IReadOnlyList<(string Name, string Reason)> Unread => _inner.Unread;

    public override IReadOnlyList<string> Notes => _inner.Notes;

    public override bool Contains(string name) => _inner.Contains(name);

    public override string? At(int number) => _inner.At(number);

    public override ColumnKind Kind(string name) => _inner.Kind(name);

    public override bool IsWide(string name) => _inner.IsWide(name);

    public override string TypeName(string name) => _inner.TypeName(name);

    public override string[] ReadTexts(string name) => _inner.ReadTexts(name);

    /// <summary>Axes of a column that are rows, and whether it has a row more in each episode; 0 axes for a column of something else.</summary>
    private (int Axes, bool Longer) Rows(string name)
    {
        var shape = _inner.Shape(name);
        bool longer = _longer.Contains(name);
        int steps = _length + (longer ? 1 : 0);
        if (_outer == 1 && shape.Length > 0 && shape[0] == steps && !(shape.Length > 1 && shape[1] == steps && steps == 1)) return (1, longer);
        return shape.Length > 1 && shape[0] == _outer && shape[1] == steps ? (2, longer) : (0, false);
    }

    public override long[] Shape(string name) => Rows(name) is { Axes: > 0 and var axes } ? [(long)_outer * _length, .. _inner.Shape(name)[axes..]] : _inner.Shape(name);

    public override float[] Read(string name) => Take(name, _inner.Read(name), 0);

    public override double[] ReadExact(string name) => Take(name, _inner.ReadExact(name), 0);

    /// <summary>The rows after those of <see cref="Read"/>.</summary>
    public float[] ReadSuccessors(string name) => Take(name, _inner.Read(name), 1);

    private T[] Take<T>(string name, T[] values, int after)
    {
        var (axes, longer) = Rows(name);
        if (axes == 0 || (!longer && !CopiesSideBySide)) return values;
        int steps = _length + (longer ? 1 : 0), width = values.Length / (_outer * steps);
        var taken = new T[_outer * _length * width];
        for (int e = 0; e < _outer; e++)
            for (int t = 0; t < _length; t++)
                values.AsSpan((e * steps + t + after) * width, width).CopyTo(taken.AsSpan((CopiesSideBySide ? t * _outer + e : e * _length + t) * width));
        return taken;
    }
}
