using System.Runtime.CompilerServices;

namespace Engine.Kernels.Cpu;

/// <summary>z = f(x, y), element by element; either argument may be a scalar. z may be x or y itself.</summary>
/// <remarks>Float Power is the platform's scalar function, IEEE 754 in all special cases. Of ints, a division by zero gives 0, for both
/// quotients and for the remainder, and MinValue / -1 wraps to MinValue: a loop over data cannot stop for one element.</remarks>
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
        if (kind == BinaryKind.Power)
        {
            for (nint i = 0; i < n; i++) z[i] = MathF.Pow(x[xMoves ? i : 0], y[yMoves ? i : 0]);
            return;
        }
        Loop loop = new(x, xMoves, y, yMoves, z, n, width);
        FindFloat(kind, ref loop);
    }

    private static void Ints(BinaryKind kind, int* x, bool xMoves, int* y, bool yMoves, int* z, nint n, SimdWidth width)
    {
        if (kind == BinaryKind.Divide)
            for (nint i = 0; i < n; i++) z[i] = Quotient(x[xMoves ? i : 0], y[yMoves ? i : 0]);
        else if (kind == BinaryKind.Modulo)
            for (nint i = 0; i < n; i++) z[i] = Remainder(x[xMoves ? i : 0], y[yMoves ? i : 0]);
        else if (kind == BinaryKind.FloorDivide)
            for (nint i = 0; i < n; i++) z[i] = FloorQuotient(x[xMoves ? i : 0], y[yMoves ? i : 0]);
        else
        {
            Loop loop = new((float*)x, xMoves, (float*)y, yMoves, (float*)z, n, width);
            FindInt(kind, ref loop);
        }
    }

    /// <summary>Finds the function of two floats of a kind; Power is not written over lanes.</summary>
    internal static void FindFloat<U>(BinaryKind kind, ref U user) where U : struct, IBinaryUser
    {
        switch (kind)
        {
            case BinaryKind.Add: user.Use<Add>(); break;
            case BinaryKind.Subtract: user.Use<Subtract>(); break;
            case BinaryKind.Multiply: user.Use<Multiply>(); break;
            case BinaryKind.Divide: user.Use<Divide>(); break;
            case BinaryKind.Maximum: user.Use<Maximum>(); break;
            case BinaryKind.Minimum: user.Use<Minimum>(); break;
            case BinaryKind.Modulo: user.Use<Modulo>(); break;
            case BinaryKind.FloorDivide: user.Use<FloorDivide>(); break;
            default: throw new ArgumentOutOfRangeException(nameof(kind), kind, "no such function of two floats");
        }
    }

    /// <summary>Finds the function of two ints of a kind; Divide, Modulo and FloorDivide are not written over lanes.</summary>
    internal static void FindInt<U>(BinaryKind kind, ref U user) where U : struct, IBinaryUser
    {
        switch (kind)
        {
            case BinaryKind.Add: user.Use<AddInt>(); break;
            case BinaryKind.Subtract: user.Use<SubtractInt>(); break;
            case BinaryKind.Multiply: user.Use<MultiplyInt>(); break;
            case BinaryKind.Maximum: user.Use<MaximumInt>(); break;
            case BinaryKind.Minimum: user.Use<MinimumInt>(); break;
            default: throw new ArgumentOutOfRangeException(nameof(kind), kind, "no such function of two ints");
        }
    }

    private static int Quotient(int x, int y) => y == 0 ? 0 : y == -1 ? unchecked(-x) : x / y;

    private static int FloorQuotient(int x, int y)
    {
        int quotient = Quotient(x, y);
        return y is not (0 or -1) && (x ^ y) < 0 && quotient * y != x ? quotient - 1 : quotient;
    }

    private static int Remainder(int x, int y)
    {
        if (y is 0 or -1) return 0;
        int remainder = x % y;
        return remainder != 0 && (remainder ^ y) < 0 ? remainder + y : remainder;
    }

    private readonly struct Loop(float* x, bool xMoves, float* y, bool yMoves, float* z, nint n, SimdWidth width) : IBinaryUser
    {
        private readonly float* _x = x, _y = y, _z = z;

        public void Use<F>() where F : IBinaryFunction => Simd.Dispatch(width, new Work<F>(_x, xMoves, _y, yMoves, _z, n));
    }

    private readonly struct Work<F>(float* x, bool xMoves, float* y, bool yMoves, float* z, nint n) : ILaneWork where F : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<T>() where T : unmanaged, ILanes<T> => Loops<T>.Binary<F>(x, xMoves ? T.Count : 0, y, yMoves ? T.Count : 0, z, n);
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

    private readonly struct FloorDivide : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => T.Floor(x / y);
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
