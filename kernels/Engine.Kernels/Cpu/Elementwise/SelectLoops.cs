using System.Runtime.CompilerServices;

namespace Engine.Kernels.Cpu;

/// <summary>z = condition != 0 ? x : y, element by element, bits untouched; x, y or both may be scalars. z may be x or y itself.</summary>
public static unsafe class SelectLoops
{
    /// <summary>Vector or vector, of floats.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(ReadOnlySpan<byte> condition, ReadOnlySpan<float> x, ReadOnlySpan<float> y, Span<float> z) => Run(condition, x, y, z, Simd.Best);

    /// <summary>Vector or scalar, of floats.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(ReadOnlySpan<byte> condition, ReadOnlySpan<float> x, float y, Span<float> z) => Run(condition, x, y, z, Simd.Best);

    /// <summary>Scalar or vector, of floats.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(ReadOnlySpan<byte> condition, float x, ReadOnlySpan<float> y, Span<float> z) => Run(condition, x, y, z, Simd.Best);

    /// <summary>Scalar or scalar, of floats.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(ReadOnlySpan<byte> condition, float x, float y, Span<float> z) => Run(condition, x, y, z, Simd.Best);

    /// <summary>Vector or vector, of ints.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(ReadOnlySpan<byte> condition, ReadOnlySpan<int> x, ReadOnlySpan<int> y, Span<int> z) => Run(condition, x, y, z, Simd.Best);

    /// <summary>Vector or scalar, of ints.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(ReadOnlySpan<byte> condition, ReadOnlySpan<int> x, int y, Span<int> z) => Run(condition, x, y, z, Simd.Best);

    /// <summary>Scalar or vector, of ints.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(ReadOnlySpan<byte> condition, int x, ReadOnlySpan<int> y, Span<int> z) => Run(condition, x, y, z, Simd.Best);

    /// <summary>Scalar or scalar, of ints.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(ReadOnlySpan<byte> condition, int x, int y, Span<int> z) => Run(condition, x, y, z, Simd.Best);

    internal static void Run(ReadOnlySpan<byte> condition, ReadOnlySpan<float> x, ReadOnlySpan<float> y, Span<float> z, SimdWidth width)
    {
        SpanChecks.SameLength(condition.Length, z.Length);
        SpanChecks.SameLength(x.Length, y.Length, z.Length);
        fixed (float* px = x, py = y, pz = z)
        fixed (byte* pc = condition)
            Map(pc, px, true, py, true, pz, z.Length, width);
    }

    internal static void Run(ReadOnlySpan<byte> condition, ReadOnlySpan<float> x, float y, Span<float> z, SimdWidth width)
    {
        SpanChecks.SameLength(condition.Length, z.Length);
        SpanChecks.SameLength(x.Length, z.Length);
        Splat second = new(y);
        fixed (float* px = x, pz = z)
        fixed (byte* pc = condition)
            Map(pc, px, true, Splat.Pointer(&second), false, pz, z.Length, width);
    }

    internal static void Run(ReadOnlySpan<byte> condition, float x, ReadOnlySpan<float> y, Span<float> z, SimdWidth width)
    {
        SpanChecks.SameLength(condition.Length, z.Length);
        SpanChecks.SameLength(y.Length, z.Length);
        Splat first = new(x);
        fixed (float* py = y, pz = z)
        fixed (byte* pc = condition)
            Map(pc, Splat.Pointer(&first), false, py, true, pz, z.Length, width);
    }

    internal static void Run(ReadOnlySpan<byte> condition, float x, float y, Span<float> z, SimdWidth width)
    {
        SpanChecks.SameLength(condition.Length, z.Length);
        Splat first = new(x);
        Splat second = new(y);
        fixed (float* pz = z)
        fixed (byte* pc = condition)
            Map(pc, Splat.Pointer(&first), false, Splat.Pointer(&second), false, pz, z.Length, width);
    }

    internal static void Run(ReadOnlySpan<byte> condition, ReadOnlySpan<int> x, ReadOnlySpan<int> y, Span<int> z, SimdWidth width)
    {
        SpanChecks.SameLength(condition.Length, z.Length);
        SpanChecks.SameLength(x.Length, y.Length, z.Length);
        fixed (int* px = x, py = y, pz = z)
        fixed (byte* pc = condition)
            Map(pc, (float*)px, true, (float*)py, true, (float*)pz, z.Length, width);
    }

    internal static void Run(ReadOnlySpan<byte> condition, ReadOnlySpan<int> x, int y, Span<int> z, SimdWidth width)
    {
        SpanChecks.SameLength(condition.Length, z.Length);
        SpanChecks.SameLength(x.Length, z.Length);
        Splat second = new(BitConverter.Int32BitsToSingle(y));
        fixed (int* px = x, pz = z)
        fixed (byte* pc = condition)
            Map(pc, (float*)px, true, Splat.Pointer(&second), false, (float*)pz, z.Length, width);
    }

    internal static void Run(ReadOnlySpan<byte> condition, int x, ReadOnlySpan<int> y, Span<int> z, SimdWidth width)
    {
        SpanChecks.SameLength(condition.Length, z.Length);
        SpanChecks.SameLength(y.Length, z.Length);
        Splat first = new(BitConverter.Int32BitsToSingle(x));
        fixed (int* py = y, pz = z)
        fixed (byte* pc = condition)
            Map(pc, Splat.Pointer(&first), false, (float*)py, true, (float*)pz, z.Length, width);
    }

    internal static void Run(ReadOnlySpan<byte> condition, int x, int y, Span<int> z, SimdWidth width)
    {
        SpanChecks.SameLength(condition.Length, z.Length);
        Splat first = new(BitConverter.Int32BitsToSingle(x));
        Splat second = new(BitConverter.Int32BitsToSingle(y));
        fixed (int* pz = z)
        fixed (byte* pc = condition)
            Map(pc, Splat.Pointer(&first), false, Splat.Pointer(&second), false, (float*)pz, z.Length, width);
    }

    private static void Map(byte* condition, float* x, bool xMoves, float* y, bool yMoves, float* z, nint n, SimdWidth width) =>
        Simd.Dispatch(width, new Work(condition, x, xMoves, y, yMoves, z, n));

    private readonly struct Work(byte* condition, float* x, bool xMoves, float* y, bool yMoves, float* z, nint n) : ILaneWork
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<T>() where T : unmanaged, ILanes<T> => Loops<T>.Select(condition, x, xMoves ? T.Count : 0, y, yMoves ? T.Count : 0, z, n);
    }
}
