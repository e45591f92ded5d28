using System.Runtime.CompilerServices;

namespace Engine.Kernels.Cpu;

/// <summary>Comparisons, element by element, to bytes 0 or 1; either side may be a scalar. A comparison with NaN is false, but for
/// NotEqual, which is true; the zeros are equal.</summary>
public static unsafe class CompareLoops
{
    /// <summary>Vector with vector, of floats.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(CompareKind kind, ReadOnlySpan<float> x, ReadOnlySpan<float> y, Span<byte> z) => Run(kind, x, y, z, Simd.Best);

    /// <summary>Vector with scalar, of floats.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(CompareKind kind, ReadOnlySpan<float> x, float y, Span<byte> z) => Run(kind, x, y, z, Simd.Best);

    /// <summary>Scalar with vector, of floats.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(CompareKind kind, float x, ReadOnlySpan<float> y, Span<byte> z) => Run(kind, x, y, z, Simd.Best);

    /// <summary>Vector with vector, of ints.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(CompareKind kind, ReadOnlySpan<int> x, ReadOnlySpan<int> y, Span<byte> z) => Run(kind, x, y, z, Simd.Best);

    /// <summary>Vector with scalar, of ints.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(CompareKind kind, ReadOnlySpan<int> x, int y, Span<byte> z) => Run(kind, x, y, z, Simd.Best);

    /// <summary>Scalar with vector, of ints.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(CompareKind kind, int x, ReadOnlySpan<int> y, Span<byte> z) => Run(kind, x, y, z, Simd.Best);

    internal static void Run(CompareKind kind, ReadOnlySpan<float> x, ReadOnlySpan<float> y, Span<byte> z, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, y.Length, z.Length);
        fixed (float* px = x, py = y)
        fixed (byte* pz = z)
            Floats(kind, px, true, py, true, pz, z.Length, width);
    }

    internal static void Run(CompareKind kind, ReadOnlySpan<float> x, float y, Span<byte> z, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, z.Length);
        Splat splat = new(y);
        fixed (float* px = x)
        fixed (byte* pz = z)
            Floats(kind, px, true, Splat.Pointer(&splat), false, pz, z.Length, width);
    }

    internal static void Run(CompareKind kind, float x, ReadOnlySpan<float> y, Span<byte> z, SimdWidth width)
    {
        SpanChecks.SameLength(y.Length, z.Length);
        Splat splat = new(x);
        fixed (float* py = y)
        fixed (byte* pz = z)
            Floats(kind, Splat.Pointer(&splat), false, py, true, pz, z.Length, width);
    }

    internal static void Run(CompareKind kind, ReadOnlySpan<int> x, ReadOnlySpan<int> y, Span<byte> z, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, y.Length, z.Length);
        fixed (int* px = x, py = y)
        fixed (byte* pz = z)
            Ints(kind, (float*)px, true, (float*)py, true, pz, z.Length, width);
    }

    internal static void Run(CompareKind kind, ReadOnlySpan<int> x, int y, Span<byte> z, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, z.Length);
        Splat splat = new(BitConverter.Int32BitsToSingle(y));
        fixed (int* px = x)
        fixed (byte* pz = z)
            Ints(kind, (float*)px, true, Splat.Pointer(&splat), false, pz, z.Length, width);
    }

    internal static void Run(CompareKind kind, int x, ReadOnlySpan<int> y, Span<byte> z, SimdWidth width)
    {
        SpanChecks.SameLength(y.Length, z.Length);
        Splat splat = new(BitConverter.Int32BitsToSingle(x));
        fixed (int* py = y)
        fixed (byte* pz = z)
            Ints(kind, Splat.Pointer(&splat), false, (float*)py, true, pz, z.Length, width);
    }

    private static void Floats(CompareKind kind, float* x, bool xMoves, float* y, bool yMoves, byte* z, nint n, SimdWidth width)
    {
        Loop loop = new(x, xMoves, y, yMoves, z, n, width);
        FindFloat(kind, ref loop);
    }

    private static void Ints(CompareKind kind, float* x, bool xMoves, float* y, bool yMoves, byte* z, nint n, SimdWidth width)
    {
        Loop loop = new(x, xMoves, y, yMoves, z, n, width);
        FindInt(kind, ref loop);
    }

    /// <summary>Finds the comparison of two floats of a kind.</summary>
    internal static void FindFloat<U>(CompareKind kind, ref U user) where U : struct, IBinaryUser
    {
        switch (kind)
        {
            case CompareKind.Equal: user.Use<Equal>(); break;
            case CompareKind.NotEqual: user.Use<NotEqual>(); break;
            case CompareKind.Less: user.Use<Less>(); break;
            case CompareKind.LessEqual: user.Use<LessEqual>(); break;
            case CompareKind.Greater: user.Use<Greater>(); break;
            case CompareKind.GreaterEqual: user.Use<GreaterEqual>(); break;
            default: throw new ArgumentOutOfRangeException(nameof(kind), kind, "no such comparison");
        }
    }

    /// <summary>Finds the comparison of two ints of a kind.</summary>
    internal static void FindInt<U>(CompareKind kind, ref U user) where U : struct, IBinaryUser
    {
        switch (kind)
        {
            case CompareKind.Equal: user.Use<EqualInt>(); break;
            case CompareKind.NotEqual: user.Use<NotEqualInt>(); break;
            case CompareKind.Less: user.Use<LessInt>(); break;
            case CompareKind.LessEqual: user.Use<LessEqualInt>(); break;
            case CompareKind.Greater: user.Use<GreaterInt>(); break;
            case CompareKind.GreaterEqual: user.Use<GreaterEqualInt>(); break;
            default: throw new ArgumentOutOfRangeException(nameof(kind), kind, "no such comparison");
        }
    }

    private readonly struct Loop(float* x, bool xMoves, float* y, bool yMoves, byte* z, nint n, SimdWidth width) : IBinaryUser
    {
        private readonly float* _x = x, _y = y;
        private readonly byte* _z = z;

        public void Use<F>() where F : IBinaryFunction => Simd.Dispatch(width, new Work<F>(_x, xMoves, _y, yMoves, _z, n));
    }

    private readonly struct Work<F>(float* x, bool xMoves, float* y, bool yMoves, byte* z, nint n) : ILaneWork where F : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<T>() where T : unmanaged, ILanes<T> => Loops<T>.Compare<F>(x, xMoves ? T.Count : 0, y, yMoves ? T.Count : 0, z, n);
    }

    private readonly struct Equal : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => T.Equal(x, y);
    }

    private readonly struct NotEqual : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => T.Equal(x, y) ^ T.Create(-1);
    }

    private readonly struct Less : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => T.Less(x, y);
    }

    private readonly struct LessEqual : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => T.LessEqual(x, y);
    }

    private readonly struct Greater : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => T.Less(y, x);
    }

    private readonly struct GreaterEqual : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => T.LessEqual(y, x);
    }

    private readonly struct EqualInt : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => T.EqualInt(x, y);
    }

    private readonly struct NotEqualInt : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => T.EqualInt(x, y) ^ T.Create(-1);
    }

    private readonly struct LessInt : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => T.LessInt(x, y);
    }

    private readonly struct LessEqualInt : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => T.LessInt(y, x) ^ T.Create(-1);
    }

    private readonly struct GreaterInt : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => T.LessInt(y, x);
    }

    private readonly struct GreaterEqualInt : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => T.LessInt(x, y) ^ T.Create(-1);
    }
}
