using System.Runtime.CompilerServices;

namespace Engine.Kernels.Cpu;

/// <summary>z = f(x, y), element by element; either argument may be a scalar. z may be x or y itself.</summary>
/// <remarks>Float Power is the platform's scalar function, IEEE 754 in all special cases. Of ints, a division by zero gives 0, for the
/// quotient and for the remainder, and MinValue / -1 wraps to MinValue: a loop over data cannot stop for one element.</remarks>
public static unsafe class BinaryLoops
{
    /// <summary>Vector and vector, of floats.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(BinaryKind kind, ReadOnlySpan<float> x, ReadOnlySpan<float> y, Span<float> z) => Run(kind, x, y, z, Simd.Best);

    /// <summary>Vector and scalar, of floats.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(BinaryKind kind, ReadOnlySpan<float> x, float y, Span<float> z) => Run(kind, x, y, z, Simd.Best);

    /// <summary>Scalar and vector, of floats.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(BinaryKind kind, float x, ReadOnlySpan<float> y, Span<float> z) => Run(kind, x, y, z, Simd.Best);

    /// <summary>Vector and vector, of ints.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(BinaryKind kind, ReadOnlySpan<int> x, ReadOnlySpan<int> y, Span<int> z) => Run(kind, x, y, z, Simd.Best);

    /// <summary>Vector and scalar, of ints.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(BinaryKind kind, ReadOnlySpan<int> x, int y, Span<int> z) => Run(kind, x, y, z, Simd.Best);

    /// <summary>Scalar and vector, of ints.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(BinaryKind kind, int x, ReadOnlySpan<int> y, Span<int> z) => Run(kind, x, y, z, Simd.Best);

    internal static void Run(BinaryKind kind, ReadOnlySpan<float> x, ReadOnlySpan<float> y, Span<float> z, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, y.Length, z.Length);
        fixed (float* px = x, py = y, pz = z) Floats(kind, px, true, py, true, pz, z.Length, width);
    }

    internal static void Run(BinaryKind kind, ReadOnlySpan<float> x, float y, Span<float> z, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, z.Length);
        Splat splat = new(y);
        fixed (float* px = x, pz = z) Floats(kind, px, true, Splat.Pointer(&splat), false, pz, z.Length, width);
    }

    internal static void Run(BinaryKind kind, float x, ReadOnlySpan<float> y, Span<float> z, SimdWidth width)
    {
        SpanChecks.SameLength(y.Length, z.Length);
        Splat splat = new(x);
        fixed (float* py = y, pz = z) Floats(kind, Splat.Pointer(&splat), false, py, true, pz, z.Length, width);
    }

    internal static void Run(BinaryKind kind, ReadOnlySpan<int> x, ReadOnlySpan<int> y, Span<int> z, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, y.Length, z.Length);
        fixed (int* px = x, py = y, pz = z) Ints(kind, px, true, py, true, pz, z.Length, width);
    }

    internal static void Run(BinaryKind kind, ReadOnlySpan<int> x, int y, Span<int> z, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, z.Length);
        Splat splat = new(BitConverter.Int32BitsToSingle(y));
        fixed (int* px = x, pz = z) Ints(kind, px, true, (int*)Splat.Pointer(&splat), false, pz, z.Length, width);
    }

    internal static void Run(BinaryKind kind, int x, ReadOnlySpan<int> y, Span<int> z, SimdWidth width)
    {
        SpanChecks.SameLength(y.Length, z.Length);
        Splat splat = new(BitConverter.Int32BitsToSingle(x));
        fixed (int* py = y, pz = z) Ints(kind, (int*)Splat.Pointer(&splat), false, py, true, pz, z.Length, width);
    }

    private static void Floats(BinaryKind kind, float* x, bool xMoves, float* y, bool yMoves, float* z, nint n, SimdWidth width)
    {
        switch (kind)
        {
            case BinaryKind.Add: Map<Add>(x, xMoves, y, yMoves, z, n, width); break;
            case BinaryKind.Subtract: Map<Subtract>(x, xMoves, y, yMoves, z, n, width); break;
            case BinaryKind.Multiply: Map<Multiply>(x, xMoves, y, yMoves, z, n, width); break;
            case BinaryKind.Divide: Map<Divide>(x, xMoves, y, yMoves, z, n, width); break;
            case BinaryKind.Maximum: Map<Maximum>(x, xMoves, y, yMoves, z, n, width); break;
            case BinaryKind.Minimum: Map<Minimum>(x, xMoves, y, yMoves, z, n, width); break;
            case BinaryKind.Modulo: Map<Modulo>(x, xMoves, y, yMoves, z, n, width); break;
            case BinaryKind.Power:
                for (nint i = 0; i < n; i++) z[i] = MathF.Pow(x[xMoves ? i : 0], y[yMoves ? i : 0]);
                break;
            default: throw new ArgumentOutOfRangeException(nameof(kind), kind, "no such function of two floats");
        }
    }

    private static void Ints(BinaryKind kind, int* x, bool xMoves, int* y, bool yMoves, int* z, nint n, SimdWidth width)
    {
        float* fx = (float*)x, fy = (float*)y, fz = (float*)z;
        switch (kind)
        {
            case BinaryKind.Add: Map<AddInt>(fx, xMoves, fy, yMoves, fz, n, width); break;
            case BinaryKind.Subtract: Map<SubtractInt>(fx, xMoves, fy, yMoves, fz, n, width); break;
            case BinaryKind.Multiply: Map<MultiplyInt>(fx, xMoves, fy, yMoves, fz, n, width); break;
            case BinaryKind.Maximum: Map<MaximumInt>(fx, xMoves, fy, yMoves, fz, n, width); break;
            case BinaryKind.Minimum: Map<MinimumInt>(fx, xMoves, fy, yMoves, fz, n, width); break;
            case BinaryKind.Divide:
                for (nint i = 0; i < n; i++) z[i] = Quotient(x[xMoves ? i : 0], y[yMoves ? i : 0]);
                break;
            case BinaryKind.Modulo:
                for (nint i = 0; i < n; i++) z[i] = Remainder(x[xMoves ? i : 0], y[yMoves ? i : 0]);
                break;
            default: throw new ArgumentOutOfRangeException(nameof(kind), kind, "no such function of two ints");
        }
    }

    private static int Quotient(int x, int y) => y == 0 ? 0 : y == -1 ? unchecked(-x) : x / y;

    private static int Remainder(int x, int y)
    {
        if (y is 0 or -1) return 0;
        int remainder = x % y;
        return remainder != 0 && (remainder ^ y) < 0 ? remainder + y : remainder;
    }

    private static void Map<F>(float* x, bool xMoves, float* y, bool yMoves, float* z, nint n, SimdWidth width) where F : IBinaryFunction
    {
        nint count = (int)width / 32, xStep = xMoves ? count : 0, yStep = yMoves ? count : 0;
        if (width == SimdWidth.V512) Loops<Lanes512>.Binary<F>(x, xStep, y, yStep, z, n);
        else if (width == SimdWidth.V256) Loops<Lanes256>.Binary<F>(x, xStep, y, yStep, z, n);
        else Loops<Lanes128>.Binary<F>(x, xStep, y, yStep, z, n);
    }

    private readonly struct Add : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => x + y;
    }

    private readonly struct Subtract : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => x - y;
    }

    private readonly struct Multiply : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => x * y;
    }

    private readonly struct Divide : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => x / y;
    }

    private readonly struct Maximum : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => T.Max(x, y);
    }

    private readonly struct Minimum : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => T.Min(x, y);
    }

    private readonly struct Modulo : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => x - y * T.Floor(x / y);
    }

    private readonly struct AddInt : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => T.AddInt(x, y);
    }

    private readonly struct SubtractInt : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => T.SubtractInt(x, y);
    }

    private readonly struct MultiplyInt : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => T.MultiplyInt(x, y);
    }

    private readonly struct MaximumInt : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => T.MaxInt(x, y);
    }

    private readonly struct MinimumInt : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => T.MinInt(x, y);
    }
}
