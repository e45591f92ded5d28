namespace Engine.Kernels.Cpu;

/// <summary>One elementwise op on a run of elements.</summary>
/// <param name="operands">Addresses of the inputs, then of the output, which may be that of an input of the same element size.</param>
/// <param name="repeats">Bit i: input i is one element for the whole run. Never all inputs.</param>
/// <param name="n">Elements.</param>
internal unsafe delegate void ElementLoop(void** operands, int repeats, int n);

/// <summary>The loop of every elementwise op: what an op needs to run by itself and inside fused expressions.</summary>
internal static unsafe class ElementLoops
{
    private static readonly Dictionary<Type, Func<Op, DType, ElementLoop>> Table = new()
    {
        [typeof(Unary)] = (op, type) => Unary(((Unary)op).Kind, type == DType.I32),
        [typeof(Binary)] = (op, type) => Binary(((Binary)op).Kind, type == DType.I32),
        [typeof(Compare)] = (op, type) => Compare(((Compare)op).Kind, type == DType.I32),
        [typeof(Logical)] = (op, _) => Logical(((Logical)op).Kind),
        [typeof(Select)] = (_, _) => RunSelect,
        [typeof(Fma)] = (_, _) => RunFma,
        [typeof(Cast)] = (op, type) => Cast(type, ((Cast)op).To),
    };

    /// <summary>Whether the op has one.</summary>
    public static bool Has(Op op) => Table.ContainsKey(op.GetType());

    /// <summary>The loop of an op whose first input has the element type.</summary>
    public static ElementLoop Of(Op op, DType type) => Table[op.GetType()](op, type);

    private static ElementLoop Unary(UnaryKind kind, bool ints) => !ints
        ? (x, _, n) => UnaryLoops.Run(kind, Floats(x[0], n), Target<float>(x[1], n))
        : (o, _, n) =>
        {
            int* x = (int*)o[0], y = (int*)o[1];
            for (int i = 0; i < n; i++) y[i] = kind == UnaryKind.Negate || x[i] < 0 ? unchecked(-x[i]) : x[i];
        };

    private static ElementLoop Binary(BinaryKind kind, bool ints) => !ints
        ? (x, repeats, n) =>
        {
            var z = Target<float>(x[2], n);
            if (repeats == 1) BinaryLoops.Run(kind, *(float*)x[0], Floats(x[1], n), z);
            else if (repeats == 2) BinaryLoops.Run(kind, Floats(x[0], n), *(float*)x[1], z);
            else BinaryLoops.Run(kind, Floats(x[0], n), Floats(x[1], n), z);
        }
    : (x, repeats, n) =>
    {
        var z = Target<int>(x[2], n);
        if (repeats == 1) BinaryLoops.Run(kind, *(int*)x[0], Ints(x[1], n), z);
        else if (repeats == 2) BinaryLoops.Run(kind, Ints(x[0], n), *(int*)x[1], z);
        else BinaryLoops.Run(kind, Ints(x[0], n), Ints(x[1], n), z);
    };

    private static ElementLoop Compare(CompareKind kind, bool ints) => !ints
        ? (x, repeats, n) =>
        {
            var z = Target<byte>(x[2], n);
            if (repeats == 1) CompareLoops.Run(kind, *(float*)x[0], Floats(x[1], n), z);
            else if (repeats == 2) CompareLoops.Run(kind, Floats(x[0], n), *(float*)x[1], z);
            else CompareLoops.Run(kind, Floats(x[0], n), Floats(x[1], n), z);
        }
    : (x, repeats, n) =>
    {
        var z = Target<byte>(x[2], n);
        if (repeats == 1) CompareLoops.Run(kind, *(int*)x[0], Ints(x[1], n), z);
        else if (repeats == 2) CompareLoops.Run(kind, Ints(x[0], n), *(int*)x[1], z);
        else CompareLoops.Run(kind, Ints(x[0], n), Ints(x[1], n), z);
    };

    private static ElementLoop Logical(LogicalKind kind) => (o, repeats, n) =>
    {
        byte* x = (byte*)o[0], y = (byte*)o[1], z = (byte*)o[2];
        if (repeats == 0)
        {
            ReadOnlySpan<byte> a = new(x, n), b = new(y, n);
            var c = new Span<byte>(z, n);
            if (kind == LogicalKind.And) BoolLoops.And(a, b, c);
            else if (kind == LogicalKind.Or) BoolLoops.Or(a, b, c);
            else BoolLoops.Xor(a, b, c);
            return;
        }
        int dx = repeats == 1 ? 0 : 1, dy = 1 - dx;
        switch (kind)
        {
            case LogicalKind.And:
                for (int i = 0; i < n; i++) z[i] = (byte)(x[i * dx] & y[i * dy]);
                break;
            case LogicalKind.Or:
                for (int i = 0; i < n; i++) z[i] = (byte)(x[i * dx] | y[i * dy]);
                break;
            default:
                for (int i = 0; i < n; i++) z[i] = (byte)(x[i * dx] ^ y[i * dy]);
                break;
        }
    };

    // Floats or ints; both are four bytes, moved as ints.
    private static void RunSelect(void** o, int repeats, int n)
    {
        int* x = (int*)o[1], y = (int*)o[2];
        var z = Target<int>(o[3], n);
        bool repeatX = (repeats & 2) != 0, repeatY = (repeats & 4) != 0;
        if ((repeats & 1) != 0)
        {
            // One condition for the whole run: a copy or a fill.
            bool first = *(byte*)o[0] != 0;
            int* from = first ? x : y;
            if (first ? repeatX : repeatY) z.Fill(*from);
            else Ints(from, n).CopyTo(z);
            return;
        }
        ReadOnlySpan<byte> conditions = new(o[0], n);
        if (repeatX && repeatY) SelectLoops.Run(conditions, *x, *y, z);
        else if (repeatX) SelectLoops.Run(conditions, *x, Ints(y, n), z);
        else if (repeatY) SelectLoops.Run(conditions, Ints(x, n), *y, z);
        else SelectLoops.Run(conditions, Ints(x, n), Ints(y, n), z);
    }

    private static void RunFma(void** o, int repeats, int n)
    {
        float* x = (float*)o[0], y = (float*)o[1], w = (float*)o[2], z = (float*)o[3];
        if (repeats == 0)
        {
            MultiplyAddLoops.Run(Floats(x, n), Floats(y, n), Floats(w, n), Target<float>(z, n));
            return;
        }
        // The op itself takes equal shapes only; a repeated input comes from a broadcast inside an expression, which is rare.
        int dx = 1 & ~repeats, dy = 1 & ~(repeats >> 1), dw = 1 & ~(repeats >> 2);
        for (int i = 0; i < n; i++) z[i] = MathF.FusedMultiplyAdd(x[i * dx], y[i * dy], w[i * dw]);
    }

    private static ElementLoop Cast(DType from, DType to) => (from, to) switch
    {
        (DType.F32, DType.I32) => (x, _, n) => CastLoops.FloatToInt(Floats(x[0], n), Target<int>(x[1], n)),
        (DType.F32, DType.Bool) => (x, _, n) => CastLoops.FloatToBool(Floats(x[0], n), Target<byte>(x[1], n)),
        (DType.F32, DType.BF16) => (x, _, n) => CastLoops.FloatToBFloat16(Floats(x[0], n), Target<ushort>(x[1], n)),
        (DType.BF16, DType.F32) => (x, _, n) => CastLoops.BFloat16ToFloat(new ReadOnlySpan<ushort>(x[0], n), Target<float>(x[1], n)),
        (DType.I32, DType.F32) => (x, _, n) => CastLoops.IntToFloat(Ints(x[0], n), Target<float>(x[1], n)),
        (DType.I32, DType.Bool) => (x, _, n) => CastLoops.IntToBool(Ints(x[0], n), Target<byte>(x[1], n)),
        (DType.Bool, DType.F32) => (x, _, n) => CastLoops.BoolToFloat(new ReadOnlySpan<byte>(x[0], n), Target<float>(x[1], n)),
        (DType.Bool, DType.I32) => (x, _, n) => CastLoops.BoolToInt(new ReadOnlySpan<byte>(x[0], n), Target<int>(x[1], n)),
        (DType.F32, DType.U8) => (x, _, n) => CastLoops.FloatToByte(Floats(x[0], n), Target<byte>(x[1], n)),
        (DType.I32, DType.U8) => (x, _, n) => CastLoops.IntToByte(Ints(x[0], n), Target<byte>(x[1], n)),
        (DType.Bool, DType.U8) => (x, _, n) => CastLoops.BoolToByte(new ReadOnlySpan<byte>(x[0], n), Target<byte>(x[1], n)),
        (DType.U8, DType.F32) => (x, _, n) => CastLoops.ByteToFloat(new ReadOnlySpan<byte>(x[0], n), Target<float>(x[1], n)),
        (DType.U8, DType.I32) => (x, _, n) => CastLoops.ByteToInt(new ReadOnlySpan<byte>(x[0], n), Target<int>(x[1], n)),
        (DType.U8, DType.Bool) => (x, _, n) => CastLoops.ByteToBool(new ReadOnlySpan<byte>(x[0], n), Target<byte>(x[1], n)),
        _ => (x, _, n) => System.Buffer.MemoryCopy(x[0], x[1], (long)n * to.Bytes(), (long)n * to.Bytes()), // the same type
    };

    private static ReadOnlySpan<float> Floats(void* at, int n) => new(at, n);

    private static ReadOnlySpan<int> Ints(void* at, int n) => new(at, n);

    private static Span<T> Target<T>(void* at, int n) where T : unmanaged => new(at, n);
}
