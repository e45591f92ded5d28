using System.Numerics.Tensors;

namespace Engine.Kernels.Cpu;

/// <summary>Logic on bytes that hold 0 or 1, element by element; z may be an input itself.</summary>
public static class BoolLoops
{
    /// <summary>x and y.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void And(ReadOnlySpan<byte> x, ReadOnlySpan<byte> y, Span<byte> z)
    {
        SpanChecks.SameLength(x.Length, y.Length, z.Length);
        TensorPrimitives.BitwiseAnd(x, y, z);
    }

    /// <summary>x or y.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Or(ReadOnlySpan<byte> x, ReadOnlySpan<byte> y, Span<byte> z)
    {
        SpanChecks.SameLength(x.Length, y.Length, z.Length);
        TensorPrimitives.BitwiseOr(x, y, z);
    }

    /// <summary>x or y, not both.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Xor(ReadOnlySpan<byte> x, ReadOnlySpan<byte> y, Span<byte> z)
    {
        SpanChecks.SameLength(x.Length, y.Length, z.Length);
        TensorPrimitives.Xor(x, y, z);
    }

    /// <summary>1 where x is 0, 0 where it is 1.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Not(ReadOnlySpan<byte> x, Span<byte> z)
    {
        SpanChecks.SameLength(x.Length, z.Length);
        TensorPrimitives.Xor(x, (byte)1, z);
    }
}
