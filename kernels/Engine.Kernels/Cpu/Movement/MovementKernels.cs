namespace Engine.Kernels.Cpu;

/// <summary>Permute, Broadcast and Slice: the source read with other strides, element size 1, 2 or 4.</summary>
internal sealed unsafe class StridedCopyKernel : RowsKernel
{
    private readonly long _start;
    private readonly int _bytes;

    public StridedCopyKernel(TensorType output, long[] strides, long start) : base(new BroadcastRows(output.Shape, [strides]))
    {
        (_start, _bytes) = (start, output.DType.Bytes());
        Chunks = RowChunks(Rows);
    }

    public override string Variant => Rows.InnerStrides[0] switch { 0 => "fill rows", 1 => "copy rows", _ => "strided" };

    protected override void RunRow(void** operands, long row, long column, long at, int length)
    {
        long from = _start + At(0, row, column), stride = Rows.InnerStrides[0];
        switch (_bytes)
        {
            case 4: Move((int*)operands[0] + from, (int*)operands[1] + at, stride, length); break;
            case 2: Move((short*)operands[0] + from, (short*)operands[1] + at, stride, length); break;
            default: Move((byte*)operands[0] + from, (byte*)operands[1] + at, stride, length); break;
        }
    }

    private static void Move<T>(T* from, T* to, long stride, int length) where T : unmanaged
    {
        if (stride == 1) new ReadOnlySpan<T>(from, length).CopyTo(new Span<T>(to, length));
        else if (stride == 0) new Span<T>(to, length).Fill(*from);
        else
            for (int i = 0; i < length; i++) to[i] = from[i * stride];
    }
}

internal sealed unsafe class CopyKernel : CpuKernel
{
    private const long BytesPerChunk = 1 << 18;
    private readonly long _bytes;

    public CopyKernel(TensorType type)
    {
        _bytes = type.Bytes;
        Chunks = (int)Math.Max(1, (_bytes + BytesPerChunk - 1) / BytesPerChunk);
    }

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        long at = chunk * BytesPerChunk, n = Math.Min(BytesPerChunk, _bytes - at);
        System.Buffer.MemoryCopy((byte*)operands[0] + at, (byte*)operands[1] + at, n, n);
    }
}

internal sealed unsafe class StoreRowKernel(TensorType value, int rows) : CpuKernel
{
    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        int row = *(int*)operands[1];
        if ((uint)row >= (uint)rows) throw new ArgumentOutOfRangeException(nameof(operands), $"store_row: row {row} is outside 0..{rows - 1}");
        System.Buffer.MemoryCopy(operands[0], (byte*)operands[2] + row * value.Bytes, value.Bytes, value.Bytes);
    }
}

internal sealed unsafe class ConcatKernel : CpuKernel
{
    private readonly long[] _widths; // bytes of each input's block
    private readonly long _outer, _row;
    private readonly long _outerPerChunk;

    public ConcatKernel(Concat op, TensorType[] inputs, TensorType output)
    {
        long inner = output.DType.Bytes();
        for (int i = op.Axis + 1; i < output.Shape.Rank; i++) inner *= output.Shape[i];
        _outer = 1;
        for (int i = 0; i < op.Axis; i++) _outer *= output.Shape[i];
        _widths = Array.ConvertAll(inputs, t => t.Shape[op.Axis] * inner);
        _row = output.Shape[op.Axis] * inner;
        _outerPerChunk = Math.Max(1, 65536 / Math.Max(1, _row));
        Chunks = (int)Math.Max(1, (_outer + _outerPerChunk - 1) / _outerPerChunk);
    }

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        byte* output = (byte*)operands[_widths.Length];
        long first = chunk * _outerPerChunk, last = Math.Min(_outer, first + _outerPerChunk), at = 0;
        for (int i = 0; i < _widths.Length; i++)
        {
            long width = _widths[i];
            byte* from = (byte*)operands[i];
            if (width <= 64 && width % 4 == 0)
                for (long o = first; o < last; o++)
                {
                    // Narrow blocks (an action beside an observation): words are cheaper than a call.
                    int* x = (int*)(from + o * width), y = (int*)(output + o * _row + at);
                    for (int k = 0; k < (int)width / 4; k++) y[k] = x[k];
                }
            else
                for (long o = first; o < last; o++) System.Buffer.MemoryCopy(from + o * width, output + o * _row + at, width, width);
            at += width;
        }
    }
}

internal sealed unsafe class PadKernel : CpuKernel
{
    private readonly Pad _op;
    private readonly TensorType _output;
    private readonly BroadcastRows _rows;
    private readonly long _start;

    public PadKernel(Pad op, TensorType input, TensorType output)
    {
        (_op, _output) = (op, output);
        var strides = output.Shape.Strides();
        for (int i = 0; i < strides.Length; i++) _start += strides[i] * op.Before[i];
        // Walks the input; operand 0 is the output read as if it had the input's shape.
        _rows = new BroadcastRows(input.Shape, [strides, input.Shape.Strides()]);
    }

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        switch (_output.DType)
        {
            case DType.F32: Run((float*)operands[0], (float*)operands[1], (float)_op.Value); break;
            case DType.I32: Run((int*)operands[0], (int*)operands[1], (int)_op.Value); break;
            case DType.Bool: Run((byte*)operands[0], (byte*)operands[1], _op.Value != 0 ? (byte)1 : (byte)0); break;
            case DType.U8: Run((byte*)operands[0], (byte*)operands[1], UnsignedByte.FromDouble(_op.Value)); break;
            default: Run((ushort*)operands[0], (ushort*)operands[1], Bfloat16.FromSingle((float)_op.Value)); break;
        }
    }

    private void Run<T>(T* x, T* y, T value) where T : unmanaged
    {
        new Span<T>(y, checked((int)_output.Elements)).Fill(value);
        if (_rows.Total == 0) return;
        long outer = _rows.Total / _rows.Inner, stride = _rows.InnerStrides[0];
        for (long row = 0; row < outer; row++)
        {
            T* to = y + _start + _rows.Offset(0, row);
            T* from = x + _rows.Offset(1, row);
            for (long i = 0; i < _rows.Inner; i++) to[i * stride] = from[i * _rows.InnerStrides[1]];
        }
    }
}

internal sealed unsafe class OneHotKernel(TensorType input, int depth) : CpuKernel
{
    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        int* x = (int*)operands[0];
        float* y = (float*)operands[1];
        new Span<float>(y, checked((int)(input.Elements * depth))).Clear();
        for (long i = 0; i < input.Elements; i++)
            if ((uint)x[i] < (uint)depth) y[i * depth + x[i]] = 1;
    }
}

internal sealed unsafe class IotaKernel : CpuKernel
{
    private readonly TensorType _type;
    private readonly int _size;
    private readonly long _inner;

    public IotaKernel(Iota op)
    {
        _type = op.Type;
        (_, _size, _inner) = Indexing.Around(op.Type.Shape, op.Axis);
    }

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        for (long i = 0; i < _type.Elements; i++)
        {
            int value = (int)(i / _inner % _size);
            if (_type.DType == DType.I32) ((int*)operands[0])[i] = value;
            else ((float*)operands[0])[i] = value;
        }
    }
}

internal sealed unsafe class GatherKernel : CpuKernel
{
    private readonly int _rows, _count, _perChunk;
    private readonly long _width;

    public GatherKernel(TensorType table, TensorType indices)
    {
        _rows = table.Shape[0];
        _count = checked((int)indices.Elements);
        _width = _rows == 0 ? 0 : table.Bytes / _rows;
        _perChunk = (int)Math.Max(1, 65536 / Math.Max(1, _width));
        Chunks = Math.Max(1, (_count + _perChunk - 1) / _perChunk);
    }

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        byte* table = (byte*)operands[0], y = (byte*)operands[2];
        int* indices = (int*)operands[1];
        int end = Math.Min(_count, (chunk + 1) * _perChunk);
        for (int i = chunk * _perChunk; i < end; i++)
        {
            Gather.Check(indices[i], _rows);
            if (_width == 4) ((int*)y)[i] = ((int*)table)[indices[i]];
            else System.Buffer.MemoryCopy(table + indices[i] * _width, y + i * _width, _width, _width);
        }
    }
}

/// <summary>A chunk has the same part of every row, so that one thread writes a place, in the order of the indices. Where it is written in place nothing is copied.</summary>
internal sealed unsafe class SetRowsKernel : CpuKernel
{
    // Rows are cut at cache lines; little work is one chunk, which one thread does at once.
    private const long BytesPerChunk = 1 << 18, Line = 64;

    private readonly int _rows;
    private readonly long _count, _width, _part;

    public SetRowsKernel(TensorType table, TensorType indices)
    {
        _rows = table.Shape[0];
        _count = indices.Elements;
        _width = _rows == 0 ? 0 : table.Bytes / _rows;
        long chunks = Math.Clamp(_count * _width / BytesPerChunk, 1, Math.Max(1, _width / Line));
        _part = ((_width + chunks - 1) / chunks + Line - 1) / Line * Line;
        Chunks = (int)Math.Max(1, (_width + _part - 1) / Math.Max(1, _part));
    }

    public override string Variant => Chunks == 1 ? "rows" : "parts of rows";

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        int* indices = (int*)operands[1];
        byte* table = (byte*)operands[0], rows = (byte*)operands[2], y = (byte*)operands[3];
        // None is written if one is wrong.
        for (long i = 0; i < _count; i++) SetRows.Check(indices[i], _rows);
        long at = chunk * _part, n = Math.Min(_part, _width - at);
        if (n <= 0) return;
        if (y != table)
        {
            if (Chunks == 1) System.Buffer.MemoryCopy(table, y, _rows * _width, _rows * _width);
            else
                for (long row = 0; row < _rows; row++) System.Buffer.MemoryCopy(table + row * _width + at, y + row * _width + at, n, n);
        }
        if (_width == 4)
            for (long i = 0; i < _count; i++) ((int*)y)[indices[i]] = ((int*)rows)[i];
        else
            for (long i = 0; i < _count; i++) System.Buffer.MemoryCopy(rows + i * _width + at, y + indices[i] * _width + at, n, n);
    }
}

/// <summary>One thread adds in the order of the indices, so that the sums do not depend on the number of threads.</summary>
internal sealed unsafe class ScatterAddKernel(int rows, TensorType indices, TensorType output) : CpuKernel
{
    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        int* index = (int*)operands[0];
        float* updates = (float*)operands[1], y = (float*)operands[2];
        new Span<float>(y, checked((int)output.Elements)).Clear();
        int width = rows == 0 ? 0 : (int)(output.Elements / rows);
        for (long i = 0; i < indices.Elements; i++)
        {
            Gather.Check(index[i], rows);
            float* to = y + (long)index[i] * width, from = updates + i * width;
            for (int j = 0; j < width; j++) to[j] += from[j];
        }
    }
}
