using System.Numerics;

namespace Engine.Kernels.Cpu;

/// <summary>
/// Sum, max or min along axes. After merging neighbours the axes alternate between kept and reduced; three layouts cover what
/// learning needs: rows reduced to one element, rows added up over an outer axis, and everything else through a transposed walk.
/// </summary>
internal sealed unsafe class ReduceKernel : CpuKernel
{
    private readonly ReduceKind _kind;
    private readonly long _outer, _reduced, _inner; // x [outer, reduced, inner] -> y [outer, inner]
    private readonly long _outerPerChunk, _innerPerChunk, _innerChunks;
    private readonly BroadcastRows? _gather;        // where the merged axes do not form that pattern
    private readonly ElementwiseKernel? _producer;  // x is computed piece by piece
    private readonly int _inputs;
    private readonly bool _store;

    // What a producer makes before it is reduced: a third of a first-level cache.
    private const int Piece = 4096;

    // 256 KB, within a second-level cache.
    private const long CachedElements = 65536;

    /// <summary>A reduction of an expression.</summary>
    public ReduceKernel(Fused op, TensorType[] inputs) : this((Reduce)op.Steps[^1].Op, op.Types(inputs)[^2])
    {
        if (!Takes(op, inputs)) throw new NotSupportedException($"{op.Name}: a reduction of this form does not take an expression");
        _producer = new ElementwiseKernel(new Fused(op.InputCount, op.Steps.Take(op.Steps.Count - 1).ToArray()), inputs, op.Types(inputs)[^2]);
        (_inputs, _store) = (inputs.Length, op.Results.Count > 1);
        ScratchBytes = Piece * sizeof(float) + _producer.ScratchBytes;
    }

    public override long CompilableElements => _producer?.CompilableElements ?? 0;

    public override void Compile()
    {
        if (_producer is null) return;
        _producer.Compile();
        ScratchBytes = Piece * sizeof(float) + _producer.ScratchBytes;
    }

    /// <summary>Whether the expression can be taken in: its pieces are reduced in the order of the whole.</summary>
    public static bool Takes(Fused op, TensorType[] inputs) => op.IsReduction(inputs) && new ReduceKernel((Reduce)op.Steps[^1].Op, op.Types(inputs)[^2]).TakesExpressions;

    /// <summary>Whether it leaves enough chunks for several threads, where there is work for them.</summary>
    public static bool KeepsThreadsBusy(Fused op, TensorType[] inputs)
    {
        var values = op.Types(inputs)[^2];
        return values.Elements <= 4 * ElementsPerChunk || new ReduceKernel((Reduce)op.Steps[^1].Op, values).Chunks >= 4;
    }

    // A sum is a tree of blocks, of which a piece is a branch; a maximum is found in another order.
    private bool TakesExpressions => _gather is null && (_inner > 1 || _kind == ReduceKind.Sum || _reduced <= Piece);

    public ReduceKernel(Reduce op, TensorType input)
    {
        _kind = op.Kind;
        var shape = input.Shape;
        bool contiguous = true;
        for (int i = 1; i < op.Axes.Count; i++)
            for (int axis = op.Axes[i - 1] + 1; axis < op.Axes[i]; axis++)
                if (shape[axis] != 1) contiguous = false;
        _outer = _reduced = _inner = 1;
        if (contiguous)
        {
            for (int axis = 0; axis < shape.Rank; axis++)
                if (op.Axes.Contains(axis)) _reduced *= shape[axis];
                else if (op.Axes.Count > 0 && axis > op.Axes[0]) _inner *= shape[axis];
                else _outer *= shape[axis];
        }
        else
        {
            // Copy to [kept..., reduced...] order in scratch, then reduce rows.
            var kept = Enumerable.Range(0, shape.Rank).Where(a => !op.Axes.Contains(a)).ToArray();
            var order = kept.Concat(op.Axes).ToArray();
            var strides = shape.Strides();
            _gather = new BroadcastRows(order.Select(a => shape[a]).ToArray(), [order.Select(a => strides[a]).ToArray()]);
            foreach (int axis in kept) _outer *= shape[axis];
            foreach (int axis in op.Axes) _reduced *= shape[axis];
            ScratchBytes = input.Bytes;
        }
        long work = Math.Max(1, _reduced * Math.Min(_inner, 1024));
        _outerPerChunk = _gather is not null ? Math.Max(1, _outer) : Math.Max(1, 65536 / work);
        _innerPerChunk = 1024;
        _innerChunks = Math.Max(1, (_inner + _innerPerChunk - 1) / _innerPerChunk);
        Chunks = (int)(Math.Max(1, (_outer + _outerPerChunk - 1) / _outerPerChunk) * _innerChunks);
    }

    public override string Variant => (_producer is null ? "" : _producer.Variant + ", ") + (_gather is not null ? "gathered rows" : _inner == 1 ? "rows" : "columns");

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        if (_producer is not null)
        {
            RunFused(chunk, operands, scratch);
            return;
        }
        float* x = (float*)operands[0], y = (float*)operands[1];
        if (_gather is { } gather)
        {
            float* copy = (float*)scratch;
            long rows = gather.Total == 0 ? 0 : gather.Total / gather.Inner, stride = gather.InnerStrides[0];
            for (long row = 0; row < rows; row++)
            {
                float* from = x + gather.Offset(0, row), to = copy + row * gather.Inner;
                for (long i = 0; i < gather.Inner; i++) to[i] = from[i * stride];
            }
            x = copy;
        }
        long firstOuter = chunk / _innerChunks * _outerPerChunk, lastOuter = Math.Min(_outer, firstOuter + _outerPerChunk);
        if (_inner == 1)
        {
            Each(x + firstOuter * _reduced, lastOuter - firstOuter, y + firstOuter);
            return;
        }
        long firstInner = chunk % _innerChunks * _innerPerChunk;
        int width = (int)Math.Min(_innerPerChunk, _inner - firstInner);
        for (long o = firstOuter; o < lastOuter; o++)
        {
            float* into = y + o * _inner + firstInner, from = x + o * _reduced * _inner + firstInner;
            if (_reduced == 0) new Span<float>(into, width).Fill(Row([]));
            else if (_reduced * _inner <= CachedElements) ReductionLoops.Columns(_kind, into, from, (nint)_reduced, (nint)_inner, width, false);
            else
            {
                // Whole rows after one another: memory gives what lies together faster.
                new ReadOnlySpan<float>(from, width).CopyTo(new Span<float>(into, width));
                for (long r = 1; r < _reduced; r++) Into(new Span<float>(into, width), new ReadOnlySpan<float>(from + r * _inner, width));
            }
        }
    }

    /// <summary>Rows one by one. What a row of one element comes to needs no call.</summary>
    private void Each(float* x, long rows, float* y)
    {
        if (_reduced != 1)
            for (long i = 0; i < rows; i++) y[i] = Row(new ReadOnlySpan<float>(x + i * _reduced, checked((int)_reduced)));
        else if (_kind == ReduceKind.Sum)
            for (long i = 0; i < rows; i++) y[i] = x[i] + 0f; // of -0 as well 0
        else new ReadOnlySpan<float>(x, (int)rows).CopyTo(new Span<float>(y, (int)rows));
    }

    private void RunFused(int chunk, void** operands, byte* scratch)
    {
        float* y = (float*)operands[_store ? _inputs + 1 : _inputs];
        long firstOuter = chunk / _innerChunks * _outerPerChunk, lastOuter = Math.Min(_outer, firstOuter + _outerPerChunk);
        if (_inner == 1)
        {
            long together = _reduced == 0 ? 1 : Math.Max(1, Piece / _reduced);
            for (long o = firstOuter; o < lastOuter; o += together)
            {
                if (_reduced > Piece)
                {
                    y[o] = Sum(operands, o * _reduced, _reduced, scratch);
                    continue;
                }
                long rows = Math.Min(together, lastOuter - o);
                float* piece = Produce(operands, o * _reduced, rows * _reduced, scratch);
                Each(piece, rows, y + o);
            }
            return;
        }
        long firstInner = chunk % _innerChunks * _innerPerChunk;
        int width = (int)Math.Min(_innerPerChunk, _inner - firstInner);
        // Rows that lie one after another are made together.
        long step = width == _inner ? Piece / width : 1;
        for (long o = firstOuter; o < lastOuter; o++)
        {
            float* into = y + o * _inner + firstInner;
            if (_reduced == 0) new Span<float>(into, width).Fill(Row([]));
            for (long r = 0; r < _reduced; r += step)
            {
                long rows = Math.Min(step, _reduced - r);
                float* piece = Produce(operands, (o * _reduced + r) * _inner + firstInner, rows * width, scratch);
                ReductionLoops.Columns(_kind, into, piece, (nint)rows, width, width, r > 0);
            }
        }
    }

    /// <summary>Makes n values, at most a piece, where they are wanted or in scratch.</summary>
    private float* Produce(void** operands, long from, long n, byte* scratch)
    {
        float* first = _store ? (float*)operands[_inputs] : (float*)scratch - from;
        _producer!.Run(operands, (byte*)first, from, from + n, scratch + Piece * sizeof(float));
        return first + from;
    }

    /// <summary>The tree of <see cref="ReductionLoops.Sum(ReadOnlySpan{float})"/>, whose branches are made one after another.</summary>
    private float Sum(void** operands, long from, long n, byte* scratch)
    {
        if (n <= Piece) return ReductionLoops.Sum(new ReadOnlySpan<float>(Produce(operands, from, n, scratch), (int)n));
        long left = ReductionLoops.LeftBranch((nint)n);
        return Sum(operands, from, left, scratch) + Sum(operands, from + left, n - left, scratch);
    }

    private float Row(ReadOnlySpan<float> row) => _kind switch
    {
        ReduceKind.Sum => ReductionLoops.Sum(row),
        ReduceKind.Max => ReductionLoops.Max(row),
        _ => ReductionLoops.Min(row),
    };

    private void Into(Span<float> total, ReadOnlySpan<float> row)
    {
        switch (_kind)
        {
            case ReduceKind.Sum: ReductionLoops.AddInto(total, row); break;
            case ReduceKind.Max: ReductionLoops.MaxInto(total, row); break;
            default: ReductionLoops.MinInto(total, row); break;
        }
    }
}

internal sealed unsafe class ArgReduceKernel : CpuKernel
{
    private readonly bool _largest;
    private readonly long _outer, _inner;
    private readonly int _size;

    public ArgReduceKernel(ArgReduce op, TensorType input)
    {
        _largest = op.Largest;
        (_outer, _size, _inner) = Indexing.Around(input.Shape, op.Axis);
    }

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        float* x = (float*)operands[0];
        int* y = (int*)operands[1];
        for (long o = 0; o < _outer; o++)
            for (long i = 0; i < _inner; i++)
            {
                float* at = x + o * _size * _inner + i;
                if (_inner == 1)
                {
                    var row = new ReadOnlySpan<float>(at, _size);
                    y[o] = _largest ? ReductionLoops.ArgMax(row) : ReductionLoops.ArgMin(row);
                    continue;
                }
                float best = *at;
                int position = 0;
                for (int k = 1; k < _size && !float.IsNaN(best); k++)
                {
                    float value = at[k * _inner];
                    if (!float.IsNaN(value) && (_largest ? value <= best : value >= best)) continue;
                    best = value;
                    position = k;
                }
                y[o * _inner + i] = position;
            }
    }
}

internal sealed unsafe class CumulativeSumKernel : CpuKernel
{
    private readonly CumulativeSum _op;
    private readonly long _outer, _inner;
    private readonly int _size;
    private readonly bool _ints;

    public CumulativeSumKernel(CumulativeSum op, TensorType input)
    {
        (_op, _ints) = (op, input.DType == DType.I32);
        (_outer, _size, _inner) = Indexing.Around(input.Shape, op.Axis);
    }

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        if (_ints) Sums((int*)operands[0], (int*)operands[1]);
        else Sums((float*)operands[0], (float*)operands[1]);
    }

    private void Sums<T>(T* x, T* y) where T : unmanaged, INumberBase<T>
    {
        for (long o = 0; o < _outer; o++)
            for (long i = 0; i < _inner; i++)
            {
                T sum = T.Zero;
                for (int step = 0; step < _size; step++)
                {
                    long at = (o * _size + (_op.Reverse ? _size - 1 - step : step)) * _inner + i;
                    T value = x[at];
                    y[at] = _op.Exclusive ? sum : sum + value;
                    sum += value;
                }
            }
    }
}

/// <summary>Stable sort of rows, by keys that order NaN last and carry the position in their lower half.</summary>
internal sealed unsafe class SortKernel : CpuKernel
{
    private readonly bool _descending;
    private readonly int _k;
    private readonly long _rows;

    public SortKernel(Sort op, TensorType input)
    {
        (_descending, _k) = (op.Descending, input.Shape[^1]);
        _rows = _k == 0 ? 0 : input.Elements / _k;
        Chunks = (int)Math.Max(1, _rows);
        ScratchBytes = 8L * _k;
    }

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        if (_rows == 0) return;
        float* x = (float*)operands[0] + (long)chunk * _k, values = (float*)operands[1] + (long)chunk * _k;
        int* positions = (int*)operands[2] + (long)chunk * _k;
        var keys = new Span<ulong>(scratch, _k);
        for (int i = 0; i < _k; i++) keys[i] = ((ulong)Key(x[i]) << 32) | (uint)i;
        keys.Sort();
        for (int i = 0; i < _k; i++)
        {
            positions[i] = (int)(uint)keys[i];
            values[i] = x[positions[i]];
        }
    }

    /// <summary>An unsigned number in the order wanted; -0 and +0 are equal, NaN is the last.</summary>
    private uint Key(float value)
    {
        if (float.IsNaN(value)) return uint.MaxValue;
        uint bits = BitConverter.SingleToUInt32Bits(value == 0 ? 0 : value);
        uint ascending = (bits & 0x80000000) != 0 ? ~bits : bits | 0x80000000;
        return _descending ? ~ascending : ascending;
    }
}

internal sealed unsafe class SearchSortedKernel(SearchSorted op, TensorType sorted, TensorType values) : CpuKernel
{
    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        float* edges = (float*)operands[0], x = (float*)operands[1];
        int* y = (int*)operands[2];
        int k = sorted.Shape[^1], v = values.Shape[^1];
        for (long i = 0; i < values.Elements; i++)
        {
            float* row = edges + i / v * k;
            int low = 0, high = k;
            while (low < high)
            {
                int mid = (low + high) >>> 1;
                if (op.Right ? row[mid] > x[i] : row[mid] >= x[i]) high = mid;
                else low = mid + 1;
            }
            y[i] = low;
        }
    }
}
