namespace Engine.Kernels.Cpu;

/// <summary>A kernel whose output is walked in rows; each chunk is a range of output elements.</summary>
internal abstract unsafe class RowsKernel(BroadcastRows rows) : CpuKernel
{
    protected readonly BroadcastRows Rows = rows;

    /// <summary>Sets the chunks; called by constructors.</summary>
    protected static int RowChunks(BroadcastRows rows) => ChunksFor(rows.Total);

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        long at = (long)chunk * ElementsPerChunk, end = Math.Min(Rows.Total, at + ElementsPerChunk);
        while (at < end)
        {
            long row = at / Rows.Inner, column = at - row * Rows.Inner;
            int length = (int)Math.Min(Rows.Inner - column, end - at);
            RunRow(operands, row, column, at, length);
            at += length;
        }
    }

    /// <summary>Computes <paramref name="length"/> elements from output element <paramref name="at"/> on, which is column <paramref name="column"/> of a row.</summary>
    protected abstract void RunRow(void** operands, long row, long column, long at, int length);

    /// <summary>Offset of an operand's element at a column of a row.</summary>
    protected long At(int operand, long row, long column) => Rows.Offset(operand, row) + column * Rows.InnerStrides[operand];
}

internal sealed unsafe class UnaryKernel : CpuKernel
{
    private readonly UnaryKind _kind;
    private readonly long _total;
    private readonly bool _ints;

    public UnaryKernel(Unary op, TensorType type)
    {
        (_kind, _total, _ints) = (op.Kind, type.Elements, type.DType == DType.I32);
        Chunks = ChunksFor(_total);
    }

    public override string Variant => "vector";

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        long at = (long)chunk * ElementsPerChunk;
        int length = (int)Math.Min(ElementsPerChunk, _total - at);
        if (!_ints)
        {
            UnaryLoops.Run(_kind, new ReadOnlySpan<float>((float*)operands[0] + at, length), new Span<float>((float*)operands[1] + at, length));
            return;
        }
        int* x = (int*)operands[0] + at, y = (int*)operands[1] + at;
        for (int i = 0; i < length; i++) y[i] = _kind == UnaryKind.Negate ? unchecked(-x[i]) : Math.Abs(x[i]);
    }
}

internal sealed unsafe class BinaryKernel : RowsKernel
{
    private readonly BinaryKind _kind;
    private readonly bool _ints;

    public BinaryKernel(Binary op, TensorType[] inputs, TensorType output) : base(new BroadcastRows(output.Shape, inputs[0].Shape, inputs[1].Shape))
    {
        (_kind, _ints) = (op.Kind, output.DType == DType.I32);
        Chunks = RowChunks(Rows);
    }

    public override string Variant => Rows.Inner == Rows.Total ? "vector" : "vector rows";

    protected override void RunRow(void** operands, long row, long column, long at, int length)
    {
        long a = At(0, row, column), b = At(1, row, column);
        bool repeatA = Rows.InnerStrides[0] == 0, repeatB = Rows.InnerStrides[1] == 0;
        if (_ints)
        {
            int* x = (int*)operands[0] + a, y = (int*)operands[1] + b;
            var z = new Span<int>((int*)operands[2] + at, length);
            if (repeatA) BinaryLoops.Run(_kind, *x, repeatB ? Filled(*y, z) : new ReadOnlySpan<int>(y, length), z);
            else if (repeatB) BinaryLoops.Run(_kind, new ReadOnlySpan<int>(x, length), *y, z);
            else BinaryLoops.Run(_kind, new ReadOnlySpan<int>(x, length), new ReadOnlySpan<int>(y, length), z);
        }
        else
        {
            float* x = (float*)operands[0] + a, y = (float*)operands[1] + b;
            var z = new Span<float>((float*)operands[2] + at, length);
            if (repeatA) BinaryLoops.Run(_kind, *x, repeatB ? Filled(*y, z) : new ReadOnlySpan<float>(y, length), z);
            else if (repeatB) BinaryLoops.Run(_kind, new ReadOnlySpan<float>(x, length), *y, z);
            else BinaryLoops.Run(_kind, new ReadOnlySpan<float>(x, length), new ReadOnlySpan<float>(y, length), z);
        }
    }

    // Both operands repeat only where the row is one element long or both are scalars: the output itself serves as the second vector.
    private static ReadOnlySpan<T> Filled<T>(T value, Span<T> output)
    {
        output.Fill(value);
        return output;
    }
}

internal sealed unsafe class CompareKernel : RowsKernel
{
    private readonly CompareKind _kind;
    private readonly bool _ints;

    public CompareKernel(Compare op, TensorType[] inputs, TensorType output) : base(new BroadcastRows(output.Shape, inputs[0].Shape, inputs[1].Shape))
    {
        (_kind, _ints) = (op.Kind, inputs[0].DType == DType.I32);
        Chunks = RowChunks(Rows);
    }

    public override string Variant => "vector rows";

    protected override void RunRow(void** operands, long row, long column, long at, int length)
    {
        long a = At(0, row, column), b = At(1, row, column);
        bool repeatA = Rows.InnerStrides[0] == 0, repeatB = Rows.InnerStrides[1] == 0;
        var z = new Span<byte>((byte*)operands[2] + at, length);
        if (_ints)
        {
            int* x = (int*)operands[0] + a, y = (int*)operands[1] + b;
            if (repeatA && repeatB) z.Fill((byte)(Compares(*x, *y) ? 1 : 0));
            else if (repeatA) CompareLoops.Run(_kind, *x, new ReadOnlySpan<int>(y, length), z);
            else if (repeatB) CompareLoops.Run(_kind, new ReadOnlySpan<int>(x, length), *y, z);
            else CompareLoops.Run(_kind, new ReadOnlySpan<int>(x, length), new ReadOnlySpan<int>(y, length), z);
        }
        else
        {
            float* x = (float*)operands[0] + a, y = (float*)operands[1] + b;
            if (repeatA && repeatB) z.Fill((byte)(Compares(*x, *y) ? 1 : 0));
            else if (repeatA) CompareLoops.Run(_kind, *x, new ReadOnlySpan<float>(y, length), z);
            else if (repeatB) CompareLoops.Run(_kind, new ReadOnlySpan<float>(x, length), *y, z);
            else CompareLoops.Run(_kind, new ReadOnlySpan<float>(x, length), new ReadOnlySpan<float>(y, length), z);
        }
    }

    private bool Compares(double x, double y) => _kind switch
    {
        CompareKind.Equal => x == y,
        CompareKind.NotEqual => x != y,
        CompareKind.Less => x < y,
        CompareKind.LessEqual => x <= y,
        CompareKind.Greater => x > y,
        _ => x >= y,
    };
}

internal sealed unsafe class LogicalKernel : RowsKernel
{
    private readonly LogicalKind _kind;

    public LogicalKernel(Logical op, TensorType[] inputs, TensorType output) : base(new BroadcastRows(output.Shape, inputs[0].Shape, inputs[1].Shape))
    {
        _kind = op.Kind;
        Chunks = RowChunks(Rows);
    }

    protected override void RunRow(void** operands, long row, long column, long at, int length)
    {
        byte* x = (byte*)operands[0] + At(0, row, column), y = (byte*)operands[1] + At(1, row, column), z = (byte*)operands[2] + at;
        long dx = Rows.InnerStrides[0], dy = Rows.InnerStrides[1];
        if (dx == 1 && dy == 1)
        {
            ReadOnlySpan<byte> a = new(x, length), b = new(y, length);
            var c = new Span<byte>(z, length);
            if (_kind == LogicalKind.And) BoolLoops.And(a, b, c);
            else if (_kind == LogicalKind.Or) BoolLoops.Or(a, b, c);
            else BoolLoops.Xor(a, b, c);
            return;
        }
        switch (_kind)
        {
            case LogicalKind.And:
                for (int i = 0; i < length; i++) z[i] = (byte)(x[i * dx] & y[i * dy]);
                break;
            case LogicalKind.Or:
                for (int i = 0; i < length; i++) z[i] = (byte)(x[i * dx] | y[i * dy]);
                break;
            default:
                for (int i = 0; i < length; i++) z[i] = (byte)(x[i * dx] ^ y[i * dy]);
                break;
        }
    }
}

/// <summary>Select of float or int; both are four bytes, moved as ints.</summary>
internal sealed unsafe class SelectKernel : RowsKernel
{
    public SelectKernel(TensorType[] inputs, TensorType output) : base(new BroadcastRows(output.Shape, inputs[0].Shape, inputs[1].Shape, inputs[2].Shape)) => Chunks = RowChunks(Rows);

    public override string Variant => "vector rows";

    protected override void RunRow(void** operands, long row, long column, long at, int length)
    {
        byte* c = (byte*)operands[0] + At(0, row, column);
        int* x = (int*)operands[1] + At(1, row, column), y = (int*)operands[2] + At(2, row, column), z = (int*)operands[3] + at;
        if (Rows.InnerStrides[0] == 0)
        {
            // One condition for the whole row: a copy or a fill.
            int* from = *c != 0 ? x : y;
            long stride = Rows.InnerStrides[*c != 0 ? 1 : 2];
            var to = new Span<int>(z, length);
            if (stride == 0) to.Fill(*from);
            else new ReadOnlySpan<int>(from, length).CopyTo(to);
            return;
        }
        ReadOnlySpan<byte> conditions = new(c, length);
        var output = new Span<int>(z, length);
        bool repeatX = Rows.InnerStrides[1] == 0, repeatY = Rows.InnerStrides[2] == 0;
        if (repeatX && repeatY) SelectLoops.Run(conditions, *x, *y, output);
        else if (repeatX) SelectLoops.Run(conditions, *x, new ReadOnlySpan<int>(y, length), output);
        else if (repeatY) SelectLoops.Run(conditions, new ReadOnlySpan<int>(x, length), *y, output);
        else SelectLoops.Run(conditions, new ReadOnlySpan<int>(x, length), new ReadOnlySpan<int>(y, length), output);
    }
}

internal sealed unsafe class FmaKernel : CpuKernel
{
    private readonly long _total;

    public FmaKernel(TensorType output)
    {
        _total = output.Elements;
        Chunks = ChunksFor(_total);
    }

    public override string Variant => "vector";

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        long at = (long)chunk * ElementsPerChunk;
        int n = (int)Math.Min(ElementsPerChunk, _total - at);
        MultiplyAddLoops.Run(new ReadOnlySpan<float>((float*)operands[0] + at, n), new ReadOnlySpan<float>((float*)operands[1] + at, n),
            new ReadOnlySpan<float>((float*)operands[2] + at, n), new Span<float>((float*)operands[3] + at, n));
    }
}

internal sealed unsafe class CastKernel : CpuKernel
{
    private readonly long _total;
    private readonly DType _from, _to;

    public CastKernel(TensorType input, DType to)
    {
        (_total, _from, _to) = (input.Elements, input.DType, to);
        Chunks = ChunksFor(_total);
    }

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        long at = (long)chunk * ElementsPerChunk;
        int n = (int)Math.Min(ElementsPerChunk, _total - at);
        byte* x = (byte*)operands[0] + at * _from.Bytes(), y = (byte*)operands[1] + at * _to.Bytes();
        switch (_from, _to)
        {
            case (DType.F32, DType.I32): CastLoops.FloatToInt(new ReadOnlySpan<float>(x, n), new Span<int>(y, n)); break;
            case (DType.F32, DType.Bool): CastLoops.FloatToBool(new ReadOnlySpan<float>(x, n), new Span<byte>(y, n)); break;
            case (DType.F32, DType.BF16): CastLoops.FloatToBFloat16(new ReadOnlySpan<float>(x, n), new Span<ushort>(y, n)); break;
            case (DType.BF16, DType.F32): CastLoops.BFloat16ToFloat(new ReadOnlySpan<ushort>(x, n), new Span<float>(y, n)); break;
            case (DType.I32, DType.F32): CastLoops.IntToFloat(new ReadOnlySpan<int>(x, n), new Span<float>(y, n)); break;
            case (DType.I32, DType.Bool): CastLoops.IntToBool(new ReadOnlySpan<int>(x, n), new Span<byte>(y, n)); break;
            case (DType.Bool, DType.F32): CastLoops.BoolToFloat(new ReadOnlySpan<byte>(x, n), new Span<float>(y, n)); break;
            case (DType.Bool, DType.I32): CastLoops.BoolToInt(new ReadOnlySpan<byte>(x, n), new Span<int>(y, n)); break;
            default: System.Buffer.MemoryCopy(x, y, (long)n * _to.Bytes(), (long)n * _to.Bytes()); break; // the same type
        }
    }
}
