using System.Numerics;
using System.Text.Json.Serialization;

namespace Engine.Kernels;

/// <summary>One floating input, one output of the same type, element by element.</summary>
/// <param name="Kind">The function.</param>
public sealed record Unary([property: JsonConverter(typeof(JsonStringEnumConverter<UnaryKind>))] UnaryKind Kind) : Op
{
    /// <inheritdoc/>
    public override string Name => Kind.ToString().ToLowerInvariant();

    /// <inheritdoc/>
    public override bool IsElementwise => true;

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 1);
        bool ints = inputs[0].DType == DType.I32 && Kind is UnaryKind.Negate or UnaryKind.Abs;
        if (!ints) Expect(inputs, 0, DType.F32);
        return [new(inputs[0].DType, inputs[0].Shape)];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        if (inputs[0].Type.DType == DType.I32)
        {
            for (long i = 0; i < inputs[0].Ints.Length; i++)
                outputs[0].Ints[i] = Kind == UnaryKind.Negate || inputs[0].Ints[i] < 0 ? unchecked(-inputs[0].Ints[i]) : inputs[0].Ints[i];
            return;
        }
        T[] x = inputs[0].Floats, y = outputs[0].Floats;
        for (long i = 0; i < x.Length; i++) y[i] = Scalar(x[i]);
    }

    /// <summary>The function of one number.</summary>
    public T Scalar<T>(T x) where T : unmanaged, IBinaryFloatingPointIeee754<T> => Kind switch
    {
        UnaryKind.Negate => -x,
        UnaryKind.Abs => T.Abs(x),
        UnaryKind.Sign => T.IsNaN(x) || x == T.Zero ? x : x > T.Zero ? T.One : -T.One,
        UnaryKind.Square => x * x,
        UnaryKind.Reciprocal => T.One / x,
        UnaryKind.Sqrt => T.Sqrt(x),
        UnaryKind.Rsqrt => T.One / T.Sqrt(x),
        UnaryKind.Exp => T.Exp(x),
        UnaryKind.Expm1 => Scalars.Expm1(x),
        UnaryKind.Log => T.Log(x),
        UnaryKind.Log1p => Scalars.Log1p(x),
        UnaryKind.Sin => T.Sin(x),
        UnaryKind.Cos => T.Cos(x),
        UnaryKind.Tanh => T.Tanh(x),
        UnaryKind.Sigmoid => T.One / (T.One + T.Exp(-x)),
        UnaryKind.Softplus => T.Max(x, T.Zero) + Scalars.Log1p(T.Exp(-T.Abs(x))),
        UnaryKind.Relu => T.IsNaN(x) || x > T.Zero ? x : T.Zero,
        UnaryKind.Erf => T.CreateTruncating(Scalars.Erf(double.CreateTruncating(x))),
        UnaryKind.Floor => T.Floor(x),
        UnaryKind.Round => T.Round(x, MidpointRounding.ToEven),
        _ => throw new InvalidOperationException(Kind.ToString()),
    };

    /// <inheritdoc/>
    public override bool CanOverwrite(int input, int output, ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => true;

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => outputs[0].Elements;
}

/// <summary>Two inputs of one type, broadcast as numpy does.</summary>
/// <param name="Kind">The function.</param>
public sealed record Binary([property: JsonConverter(typeof(JsonStringEnumConverter<BinaryKind>))] BinaryKind Kind) : Op
{
    /// <inheritdoc/>
    public override string Name => Kind.ToString().ToLowerInvariant();

    /// <inheritdoc/>
    public override bool IsElementwise => true;

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 2);
        NoBytes(inputs);
        var type = inputs[0].DType;
        if (type != inputs[1].DType) throw Error(inputs, "both inputs must have one type; use Cast");
        if (type != DType.F32 && !(type == DType.I32 && Kind != BinaryKind.Power)) throw Error(inputs, "expected F32" + (Kind == BinaryKind.Power ? "" : " or I32"));
        return [new(type, Shape.Broadcast(inputs[0].Shape, inputs[1].Shape))];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        long[] a = Indexing.Offsets(inputs[0].Shape, outputs[0].Shape), b = Indexing.Offsets(inputs[1].Shape, outputs[0].Shape);
        if (outputs[0].Type.DType == DType.I32)
            for (long i = 0; i < a.Length; i++) outputs[0].Ints[i] = Scalar(inputs[0].Ints[a[i]], inputs[1].Ints[b[i]]);
        else
            for (long i = 0; i < a.Length; i++) outputs[0].Floats[i] = Scalar(inputs[0].Floats[a[i]], inputs[1].Floats[b[i]]);
    }

    /// <summary>The function of two floating numbers.</summary>
    public T Scalar<T>(T x, T y) where T : unmanaged, IBinaryFloatingPointIeee754<T> => Kind switch
    {
        BinaryKind.Add => x + y,
        BinaryKind.Subtract => x - y,
        BinaryKind.Multiply => x * y,
        BinaryKind.Divide => x / y,
        BinaryKind.Maximum => T.Max(x, y),
        BinaryKind.Minimum => T.Min(x, y),
        BinaryKind.Power => T.Pow(x, y),
        BinaryKind.Modulo => x - y * T.Floor(x / y),
        BinaryKind.FloorDivide => T.Floor(x / y),
        _ => throw new InvalidOperationException(Kind.ToString()),
    };

    /// <summary>The function of two integers. Sums and products wrap; a division by zero gives 0, because a device cannot throw.</summary>
    public int Scalar(int x, int y) => Kind switch
    {
        BinaryKind.Add => unchecked(x + y),
        BinaryKind.Subtract => unchecked(x - y),
        BinaryKind.Multiply => unchecked(x * y),
        BinaryKind.Divide => y is 0 ? 0 : y is -1 ? unchecked(-x) : x / y,
        BinaryKind.Maximum => Math.Max(x, y),
        BinaryKind.Minimum => Math.Min(x, y),
        BinaryKind.Modulo => y is 0 or -1 ? 0 : x % y is var r && r != 0 && (r ^ y) < 0 ? r + y : x % y,
        BinaryKind.FloorDivide => y is 0 ? 0 : y is -1 ? unchecked(-x) : x % y != 0 && (x ^ y) < 0 ? x / y - 1 : x / y,
        _ => throw new InvalidOperationException(Kind.ToString()),
    };

    /// <inheritdoc/>
    public override bool CanOverwrite(int input, int output, ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => inputs[input].Shape == outputs[0].Shape;

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => outputs[0].Elements;
}

/// <summary>Two floats or two ints, broadcast, to a boolean.</summary>
/// <param name="Kind">The comparison.</param>
public sealed record Compare([property: JsonConverter(typeof(JsonStringEnumConverter<CompareKind>))] CompareKind Kind) : Op
{
    /// <inheritdoc/>
    public override string Name => Kind.ToString().ToLowerInvariant();

    /// <inheritdoc/>
    public override bool IsElementwise => true;

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 2);
        NoBytes(inputs);
        if (inputs[0].DType != inputs[1].DType || inputs[0].DType is not (DType.F32 or DType.I32)) throw Error(inputs, "expected two F32 or two I32");
        return [TensorType.Boolean(Shape.Broadcast(inputs[0].Shape, inputs[1].Shape))];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        long[] a = Indexing.Offsets(inputs[0].Shape, outputs[0].Shape), b = Indexing.Offsets(inputs[1].Shape, outputs[0].Shape);
        for (long i = 0; i < a.Length; i++)
            outputs[0].Bools[i] = Scalar(inputs[0][a[i]], inputs[1][b[i]]) ? (byte)1 : (byte)0;
    }

    /// <summary>The comparison of two numbers (floats and ints are exact in float64).</summary>
    public bool Scalar(double x, double y) => Kind switch
    {
        CompareKind.Equal => x == y,
        CompareKind.NotEqual => x != y,
        CompareKind.Less => x < y,
        CompareKind.LessEqual => x <= y,
        CompareKind.Greater => x > y,
        _ => x >= y,
    };
}

/// <summary>Functions of booleans.</summary>
public enum LogicalKind
{
    /// <summary>Both.</summary>
    And,
    /// <summary>Either.</summary>
    Or,
    /// <summary>Exactly one; with a constant true: not.</summary>
    Xor,
}

/// <summary>Two booleans, broadcast, to a boolean.</summary>
/// <param name="Kind">The function.</param>
public sealed record Logical([property: JsonConverter(typeof(JsonStringEnumConverter<LogicalKind>))] LogicalKind Kind) : Op
{
    /// <inheritdoc/>
    public override string Name => "logical_" + Kind.ToString().ToLowerInvariant();

    /// <inheritdoc/>
    public override bool IsElementwise => true;

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 2);
        Expect(inputs, 0, DType.Bool);
        Expect(inputs, 1, DType.Bool);
        return [TensorType.Boolean(Shape.Broadcast(inputs[0].Shape, inputs[1].Shape))];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        long[] a = Indexing.Offsets(inputs[0].Shape, outputs[0].Shape), b = Indexing.Offsets(inputs[1].Shape, outputs[0].Shape);
        for (long i = 0; i < a.Length; i++)
        {
            int x = inputs[0].Bools[a[i]], y = inputs[1].Bools[b[i]];
            outputs[0].Bools[i] = (byte)(Kind switch { LogicalKind.And => x & y, LogicalKind.Or => x | y, _ => x ^ y });
        }
    }

    /// <inheritdoc/>
    public override bool CanOverwrite(int input, int output, ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => inputs[input].Shape == outputs[0].Shape;
}

/// <summary>Inputs condition (bool), a, b: a where the condition holds, else b; all broadcast.</summary>
public sealed record Select : Op
{
    /// <inheritdoc/>
    public override string Name => "select";

    /// <inheritdoc/>
    public override bool IsElementwise => true;

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 3);
        Expect(inputs, 0, DType.Bool);
        NoBytes(inputs);
        if (inputs[1].DType != inputs[2].DType || inputs[1].DType is not (DType.F32 or DType.I32)) throw Error(inputs, "expected two F32 or two I32 to select from");
        return [new(inputs[1].DType, Shape.Broadcast(inputs[0].Shape, Shape.Broadcast(inputs[1].Shape, inputs[2].Shape)))];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        var shape = outputs[0].Shape;
        long[] c = Indexing.Offsets(inputs[0].Shape, shape), a = Indexing.Offsets(inputs[1].Shape, shape), b = Indexing.Offsets(inputs[2].Shape, shape);
        for (long i = 0; i < c.Length; i++)
        {
            bool first = inputs[0].Bools[c[i]] != 0;
            if (outputs[0].Type.DType == DType.I32) outputs[0].Ints[i] = first ? inputs[1].Ints[a[i]] : inputs[2].Ints[b[i]];
            else outputs[0].Floats[i] = first ? inputs[1].Floats[a[i]] : inputs[2].Floats[b[i]];
        }
    }

    /// <inheritdoc/>
    public override bool CanOverwrite(int input, int output, ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => input > 0 && inputs[input].Shape == outputs[0].Shape;
}

/// <summary>x*y + z with one rounding, inputs of equal shape. The only op in which a multiply and an add are contracted.</summary>
public sealed record Fma : Op
{
    /// <inheritdoc/>
    public override string Name => "fma";

    /// <inheritdoc/>
    public override bool IsElementwise => true;

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 3);
        for (int i = 0; i < 3; i++) Expect(inputs, i, DType.F32);
        if (inputs[0].Shape != inputs[1].Shape || inputs[0].Shape != inputs[2].Shape) throw Error(inputs, "expected three equal shapes");
        return [inputs[0]];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        for (long i = 0; i < outputs[0].Floats.Length; i++)
            outputs[0].Floats[i] = T.FusedMultiplyAdd(inputs[0].Floats[i], inputs[1].Floats[i], inputs[2].Floats[i]);
    }

    /// <inheritdoc/>
    public override bool CanOverwrite(int input, int output, ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => true;

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => 2.0 * outputs[0].Elements;
}

/// <summary>Another element type. Float to int truncates towards zero, saturates, and turns NaN into 0; to U8 is the nearest of 0..255, halves to even, and 0 of NaN; to bool is x != 0.</summary>
/// <param name="To">The type that comes out: F32, BF16, I32, Bool or U8.</param>
public sealed record Cast(DType To) : Op
{
    /// <inheritdoc/>
    public override string Name => "cast_" + To.ToString().ToLowerInvariant();

    /// <inheritdoc/>
    public override bool IsElementwise => true;

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 1);
        if (To == DType.F64 || inputs[0].DType == DType.F64) throw Error(inputs, "F64 exists in the interpreter and in files only");
        if (To == DType.BF16 ^ inputs[0].DType == DType.BF16 && (To == DType.F32 || inputs[0].DType == DType.F32) == false)
            throw Error(inputs, "BF16 casts from and to F32 only");
        return [new(To, inputs[0].Shape)];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        for (long i = 0; i < inputs[0].Type.Elements; i++)
        {
            if (To.IsFloat() && inputs[0].Type.DType.IsFloat() && To != DType.BF16) outputs[0].Floats[i] = inputs[0].Floats[i];
            else outputs[0].Set(i, To == DType.I32 ? Truncate(inputs[0][i]) : inputs[0][i]);
        }
    }

    private static int Truncate(double x) => double.IsNaN(x) ? 0 : x >= int.MaxValue ? int.MaxValue : x <= int.MinValue ? int.MinValue : (int)x;
}

/// <summary>Scalar functions that the base library lacks or computes without care near zero.</summary>
public static class Scalars
{
    /// <summary>e^x - 1 without cancellation (Kahan's correction).</summary>
    public static T Expm1<T>(T x) where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        T u = T.Exp(x);
        if (u == T.One) return x;
        T v = u - T.One;
        return v == -T.One || !T.IsFinite(u) ? v : v * x / T.Log(u);
    }

    /// <summary>log(1+x) without cancellation (Kahan's correction).</summary>
    public static T Log1p<T>(T x) where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        T u = T.One + x;
        if (u == T.One) return x;
        return T.IsFinite(u) ? T.Log(u) * x / (u - T.One) : T.Log(u);
    }

    /// <summary>The error function, by the series 2x/sqrt(pi) e^(-x^2) sum of (2x^2)^n/(2n+1)!!, all of whose terms are positive.</summary>
    public static double Erf(double x)
    {
        if (double.IsNaN(x)) return x;
        double a = Math.Abs(x);
        if (a > 6) return Math.Sign(x);
        double term = 1, sum = 1;
        for (int n = 1; n < 400 && term > 1e-18 * sum; n++)
        {
            term *= 2 * a * a / (2 * n + 1);
            sum += term;
        }
        return 2 / Math.Sqrt(Math.PI) * x * Math.Exp(-a * a) * sum;
    }
}

/// <summary>Index arithmetic of the reference code.</summary>
internal static class Indexing
{
    /// <summary>For every element of the target, in order, the offset in a tensor of shape <paramref name="from"/> broadcast to it.</summary>
    public static long[] Offsets(Shape from, Shape target) => Offsets(target, from.BroadcastStrides(target), 0);

    /// <summary>For every element of a shape, in order, base + the sum of index times stride.</summary>
    public static long[] Offsets(Shape shape, long[] strides, long start)
    {
        var offsets = new long[shape.Elements];
        var index = new int[shape.Rank];
        long offset = start;
        for (long i = 0; i < offsets.Length; i++)
        {
            offsets[i] = offset;
            for (int axis = shape.Rank - 1; axis >= 0; axis--)
            {
                offset += strides[axis];
                if (++index[axis] < shape[axis]) break;
                offset -= strides[axis] * shape[axis];
                index[axis] = 0;
            }
        }
        return offsets;
    }

    /// <summary>Splits a shape around an axis: product before, size, product after.</summary>
    public static (long Outer, int Size, long Inner) Around(Shape shape, int axis)
    {
        long outer = 1, inner = 1;
        for (int i = 0; i < axis; i++) outer *= shape[i];
        for (int i = axis + 1; i < shape.Rank; i++) inner *= shape[i];
        return (outer, shape[axis], inner);
    }
}
