namespace Engine.Kernels.Cpu;

/// <summary>
/// Walks an output in rows within which every operand is either contiguous or one repeated element. Axes that all operands
/// traverse alike are merged first, so equal shapes become one long row.
/// </summary>
internal sealed class BroadcastRows
{
    private readonly long[] _sizes;      // outer axes
    private readonly long[][] _strides;  // per operand, outer axes

    /// <summary>Prepares the walk of operands broadcast to a target.</summary>
    public BroadcastRows(Shape target, params Shape[] operands)
        : this(target, Array.ConvertAll(operands, o => o.BroadcastStrides(target))) { }

    /// <summary>Prepares the walk of operands with given strides (in elements) along the target's axes.</summary>
    public BroadcastRows(Shape target, long[][] strides)
    {
        Total = target.Elements;
        var sizes = new List<long>();
        var merged = Array.ConvertAll(strides, _ => new List<long>());
        for (int axis = target.Rank - 1; axis >= 0; axis--)
        {
            int size = target[axis];
            if (size == 1) continue;
            int last = sizes.Count - 1;
            bool joins = last >= 0 && Enumerable.Range(0, strides.Length).All(o => strides[o][axis] == merged[o][last] * sizes[last]);
            if (joins) sizes[last] *= size;
            else
            {
                sizes.Add(size);
                for (int o = 0; o < strides.Length; o++) merged[o].Add(strides[o][axis]);
            }
        }
        Inner = sizes.Count > 0 ? sizes[0] : 1;
        InnerStrides = Array.ConvertAll(merged, m => m.Count > 0 ? m[0] : 0);
        _sizes = sizes.Skip(1).ToArray();
        _strides = Array.ConvertAll(merged, m => m.Skip(1).ToArray());
    }

    /// <summary>Elements of the output.</summary>
    public long Total { get; }

    /// <summary>Elements of a row.</summary>
    public long Inner { get; }

    /// <summary>Per operand the distance between neighbours in a row: 1 contiguous, 0 repeated, else strided.</summary>
    public long[] InnerStrides { get; }

    /// <summary>Where a row of an operand begins.</summary>
    public long Offset(int operand, long row)
    {
        var strides = _strides[operand];
        long offset = 0;
        for (int i = 0; i < strides.Length; i++)
        {
            long next = row / _sizes[i];
            offset += (row - next * _sizes[i]) * strides[i];
            row = next;
        }
        return offset;
    }
}
