namespace Engine.Kernels;

/// <summary>How many elements a value of an expression has.</summary>
internal enum Extent
{
    /// <summary>One: a scalar, shared by all rows.</summary>
    One,
    /// <summary>One for each row: the results of reductions, and values as long as those.</summary>
    Row,
    /// <summary>All.</summary>
    Whole,
}

/// <summary>
/// The single traversal that covers all values of a fused expression, if there is one: [outer, reduced, inner] before its reductions and [outer, inner] after them, element i of one beside element i of
/// another. A row is what is reduced to one element, whether its elements are neighbours (inner is 1) or not.
/// </summary>
internal sealed class FusedDomain
{
    private readonly Fused _op;
    private readonly TensorType[] _types;

    private FusedDomain(Fused op, TensorType[] types)
    {
        (_op, _types) = (op, types);
        Extents = new Extent[types.Length];
        IsLate = Array.ConvertAll(op.LongestDependents(types).Zip(types).ToArray(), v => v.First <= v.Second.Elements);
        After = new bool[types.Length];
    }

    /// <summary>Sizes. Where nothing is reduced a row is what a shorter value is broadcast over, or else one element.</summary>
    public long Outer { get; private set; } = 1;

    /// <inheritdoc cref="Outer"/>
    public long Reduced { get; private set; } = 1;

    /// <inheritdoc cref="Outer"/>
    public long Inner { get; private set; } = 1;

    /// <summary>Results of a reduction.</summary>
    public long Rows => Outer * Inner;

    /// <summary>Elements before it.</summary>
    public long Elements => Outer * Reduced * Inner;

    /// <summary>Of every value; an input's is not looked at.</summary>
    public Extent[] Extents { get; }

    /// <summary>Whether a value depends on a reduction.</summary>
    public bool[] After { get; }

    /// <summary>Whether no longer value depends on a value. It is then computed only by the thread that stores it or its results, so it may overwrite an input that is read for such values alone.</summary>
    public bool[] IsLate { get; }

    /// <summary>Whether a row is read once: nothing that has all elements depends on a reduction.</summary>
    public bool OnePass { get; private set; } = true;

    /// <summary>The domain of an expression; null if it has no single traversal, or no values.</summary>
    public static FusedDomain? Of(Fused op, TensorType[] inputs)
    {
        var types = op.Types(inputs);
        var domain = new FusedDomain(op, types);
        return domain.SetSizes() && domain.SetExtents() ? domain : null;
    }

    /// <summary>Axes walked alike are one: their sizes and strides, innermost first; axes of one element are left out.</summary>
    public static (long[] Sizes, long[] Strides) Merged(IEnumerable<(long Size, long Stride)> innermostFirst)
    {
        List<long> sizes = [], strides = [];
        foreach (var (size, stride) in innermostFirst)
        {
            if (size == 1) continue;
            if (sizes.Count > 0 && stride == strides[^1] * sizes[^1]) sizes[^1] *= size;
            else
            {
                sizes.Add(size);
                strides.Add(stride);
            }
        }
        return (sizes.ToArray(), strides.ToArray());
    }

    /// <summary>How a value is walked under a shape to which it is broadcast.</summary>
    public static (long[] Sizes, long[] Strides) Walk(Shape value, Shape target) => Walk(target, value.BroadcastStrides(target));

    /// <summary>How strides are walked under a shape.</summary>
    public static (long[] Sizes, long[] Strides) Walk(Shape target, long[] strides) => Merged(Enumerable.Range(0, target.Rank).Reverse().Select(axis => ((long)target[axis], strides[axis])));

    private bool SetSizes()
    {
        long elements = 0;
        (long, long, long)? rows = null;
        for (int v = _op.InputCount; v < _types.Length; v++)
        {
            if (_op.OpOf(v) is not Reduce reduce)
            {
                elements = Math.Max(elements, _types[v].Elements);
                continue;
            }
            if (Middle(reduce, _types[ArgumentsOf(v)[0]].Shape) is not { } middle || (rows is { } known && known != middle)) return false;
            rows = middle;
        }
        (Outer, Reduced, Inner) = rows ?? Repeated(elements) ?? (elements, 1, 1);
        return Elements > 0 && elements <= Elements;
    }

    private ReadOnlySpan<int> ArgumentsOf(int value) => _op.Steps[value - _op.InputCount].Arguments.Span;

    /// <summary>The values as [outer, reduced, inner]; null: the reduced axes are not neighbours.</summary>
    private static (long Outer, long Reduced, long Inner)? Middle(Reduce reduction, Shape values)
    {
        long outer = 1, reduced = 1, inner = 1;
        bool begun = false;
        for (int axis = 0; axis < values.Rank; axis++)
        {
            int size = values[axis];
            if (size == 1) continue;
            if (!reduction.Axes.Contains(axis))
            {
                if (begun) inner *= size;
                else outer *= size;
            }
            else if (inner > 1) return null;
            else
            {
                begun = true;
                reduced *= size;
            }
        }
        return (outer, reduced, inner);
    }

    /// <summary>Where the result of a step is broadcast to all elements by another, those over which it is.</summary>
    private (long Outer, long Reduced, long Inner)? Repeated(long elements)
    {
        for (int v = _op.InputCount; v < _types.Length; v++)
            foreach (int a in ArgumentsOf(v))
            {
                if (a < _op.InputCount || _types[a].Elements == 1 || _types[a].Elements == elements || _types[v].Elements != elements) continue;
                var (sizes, strides) = Walk(_types[a].Shape, _types[v].Shape);
                int repeated = Array.IndexOf(strides, 0);
                return (elements / sizes[..(repeated + 1)].Aggregate(1L, (n, s) => n * s), sizes[repeated], repeated == 0 ? 1 : sizes[0]);
            }
        return null;
    }

    private bool SetExtents()
    {
        for (int v = _op.InputCount; v < _types.Length; v++)
        {
            bool reduces = _op.OpOf(v) is Reduce;
            if (_op.OpOf(v) is Slice slice && slice.Steps.Any(s => s < 1)) return false; // offsets are not negative
            long elements = _types[v].Elements;
            foreach (int a in ArgumentsOf(v)) After[v] |= After[a];
            if (reduces && After[v] && Extents[ArgumentsOf(v)[0]] != Extent.Whole) return false;
            Extents[v] = reduces || (After[v] && elements == Rows) ? Extent.Row
                : elements == Elements ? Extent.Whole
                : elements == 1 && Rows > 1 && !After[v] ? Extent.One
                : Extent.Row;
            if (Extents[v] == Extent.Row && elements != Rows) return false;
            if (Extents[v] == Extent.Whole && After[v]) OnePass = false;
            foreach (int a in ArgumentsOf(v))
                if (!Fits(a, reduces ? Extent.Whole : Extents[v], _types[v].Shape)) return false;
            After[v] |= reduces;
        }
        return true;
    }

    /// <summary>Whether an element reads a value only at its own place, or in its own row.</summary>
    private bool Fits(int value, Extent at, Shape target)
    {
        if (value < _op.InputCount) return at != Extent.Whole || target.Elements == Elements || _types[value].Elements == Elements; // read under any shape
        if (Extents[value] == at || Extents[value] == Extent.One || Reduced == 1) return true;
        if (Extents[value] != Extent.Row || at != Extent.Whole) return false;
        var (sizes, strides) = Walk(_types[value].Shape, target);
        var (rowSizes, rowStrides) = Merged([(Inner, 1), (Reduced, 0), (Outer, Inner)]);
        return sizes.SequenceEqual(rowSizes) && strides.SequenceEqual(rowStrides);
    }
}
