using System.Runtime.CompilerServices;

namespace Engine.Kernels.Cpu;

/// <summary>z = x*y + w with one rounding (the Fma operation; nothing else is ever contracted to it). y, w or both may be scalars;
/// z may be any of the inputs itself.</summary>
public static unsafe class MultiplyAddLoops
{
    /// <summary>Three vectors.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(ReadOnlySpan<float> x, ReadOnlySpan<float> y, ReadOnlySpan<float> w, Span<float> z) => Run(x, y, w, z, Simd.Best);

    /// <summary>Scalar summand.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(ReadOnlySpan<float> x, ReadOnlySpan<float> y, float w, Span<float> z) => Run(x, y, w, z, Simd.Best);

    /// <summary>Scalar factor.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(ReadOnlySpan<float> x, float y, ReadOnlySpan<float> w, Span<float> z) => Run(x, y, w, z, Simd.Best);

    /// <summary>Scalar factor and summand.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(ReadOnlySpan<float> x, float y, float w, Span<float> z) => Run(x, y, w, z, Simd.Best);

    internal static void Run(ReadOnlySpan<float> x, ReadOnlySpan<float> y, ReadOnlySpan<float> w, Span<float> z, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, z.Length);
        SpanChecks.SameLength(y.Length, z.Length);
        SpanChecks.SameLength(w.Length, z.Length);
        fixed (float* px = x, py = y, pw = w, pz = z) Map(px, py, true, pw, true, pz, z.Length, width);
    }

    internal static void Run(ReadOnlySpan<float> x, ReadOnlySpan<float> y, float w, Span<float> z, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, z.Length);
        SpanChecks.SameLength(y.Length, z.Length);
        Splat third = new(w);
        fixed (float* px = x, py = y, pz = z) Map(px, py, true, Splat.Pointer(&third), false, pz, z.Length, width);
    }

    internal static void Run(ReadOnlySpan<float> x, float y, ReadOnlySpan<float> w, Span<float> z, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, z.Length);
        Splat second = new(y);
        SpanChecks.SameLength(w.Length, z.Length);
        fixed (float* px = x, pw = w, pz = z) Map(px, Splat.Pointer(&second), false, pw, true, pz, z.Length, width);
    }

    internal static void Run(ReadOnlySpan<float> x, float y, float w, Span<float> z, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, z.Length);
        Splat second = new(y);
        Splat third = new(w);
        fixed (float* px = x, pz = z) Map(px, Splat.Pointer(&second), false, Splat.Pointer(&third), false, pz, z.Length, width);
    }

    private static void Map(float* x, float* y, bool yMoves, float* w, bool wMoves, float* z, nint n, SimdWidth width) =>
        Simd.Dispatch(width, new Work(x, y, yMoves, w, wMoves, z, n));

    private readonly struct Work(float* x, float* y, bool yMoves, float* w, bool wMoves, float* z, nint n) : ILaneWork
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<T>() where T : unmanaged, ILanes<T> => Loops<T>.MultiplyAdd(x, T.Count, y, yMoves ? T.Count : 0, w, wMoves ? T.Count : 0, z, n);
    }
}
