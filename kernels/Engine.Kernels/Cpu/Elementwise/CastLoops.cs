using System.Runtime.CompilerServices;

namespace Engine.Kernels.Cpu;

/// <summary>Conversions between element types. Spans must have the same length, and may share an address where the sizes of the two
/// types agree.</summary>
public static unsafe class CastLoops
{
    /// <summary>Towards zero. Beyond the range of int the nearest end of it; NaN gives 0.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void FloatToInt(ReadOnlySpan<float> x, Span<int> y) => FloatToInt(x, y, Simd.Best);

    /// <summary>To the nearest float, halves to even.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void IntToFloat(ReadOnlySpan<int> x, Span<float> y) => IntToFloat(x, y, Simd.Best);

    /// <summary>To the nearest bfloat16, halves to even; large numbers round to infinity, NaN stays a quiet NaN of its sign.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void FloatToBFloat16(ReadOnlySpan<float> x, Span<ushort> y) => FloatToBFloat16(x, y, Simd.Best);

    /// <summary>Exact.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void BFloat16ToFloat(ReadOnlySpan<ushort> x, Span<float> y) => BFloat16ToFloat(x, y, Simd.Best);

    /// <summary>0 gives 0, all else 1.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void BoolToFloat(ReadOnlySpan<byte> x, Span<float> y) => BoolToFloat(x, y, Simd.Best);

    /// <summary>0 gives 0, all else 1.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void BoolToInt(ReadOnlySpan<byte> x, Span<int> y) => BoolToInt(x, y, Simd.Best);

    /// <summary>x != 0 as 0 or 1; NaN gives 1.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void FloatToBool(ReadOnlySpan<float> x, Span<byte> y) => FloatToBool(x, y, Simd.Best);

    /// <summary>x != 0 as 0 or 1.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void IntToBool(ReadOnlySpan<int> x, Span<byte> y) => IntToBool(x, y, Simd.Best);

    internal static void FloatToInt(ReadOnlySpan<float> x, Span<int> y, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, y.Length);
        fixed (float* px = x)
        fixed (int* py = y)
            Map<FloatToIntFunction>((byte*)px, (byte*)py, x.Length, width);
    }

    internal static void IntToFloat(ReadOnlySpan<int> x, Span<float> y, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, y.Length);
        fixed (int* px = x)
        fixed (float* py = y)
            Map<IntToFloatFunction>((byte*)px, (byte*)py, x.Length, width);
    }

    internal static void FloatToBFloat16(ReadOnlySpan<float> x, Span<ushort> y, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, y.Length);
        fixed (float* px = x)
        fixed (ushort* py = y)
            Map<FloatToBFloat16Function>((byte*)px, (byte*)py, x.Length, width);
    }

    internal static void BFloat16ToFloat(ReadOnlySpan<ushort> x, Span<float> y, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, y.Length);
        fixed (ushort* px = x)
        fixed (float* py = y)
            Map<BFloat16ToFloatFunction>((byte*)px, (byte*)py, x.Length, width);
    }

    internal static void BoolToFloat(ReadOnlySpan<byte> x, Span<float> y, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, y.Length);
        fixed (byte* px = x)
        fixed (float* py = y)
            Map<BoolToFloatFunction>((byte*)px, (byte*)py, x.Length, width);
    }

    internal static void BoolToInt(ReadOnlySpan<byte> x, Span<int> y, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, y.Length);
        fixed (byte* px = x)
        fixed (int* py = y)
            Map<BoolToIntFunction>((byte*)px, (byte*)py, x.Length, width);
    }

    internal static void FloatToBool(ReadOnlySpan<float> x, Span<byte> y, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, y.Length);
        fixed (float* px = x)
        fixed (byte* py = y)
            Map<FloatToBoolFunction>((byte*)px, (byte*)py, x.Length, width);
    }

    internal static void IntToBool(ReadOnlySpan<int> x, Span<byte> y, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, y.Length);
        fixed (int* px = x)
        fixed (byte* py = y)
            Map<IntToBoolFunction>((byte*)px, (byte*)py, x.Length, width);
    }

    private static void Map<F>(byte* x, byte* y, nint n, SimdWidth width) where F : IConversion
    {
        if (width == SimdWidth.V512) Loops<Lanes512>.Convert<F>(x, y, n);
        else if (width == SimdWidth.V256) Loops<Lanes256>.Convert<F>(x, y, n);
        else Loops<Lanes128>.Convert<F>(x, y, n);
    }

    private readonly struct FloatToIntFunction : IConversion
    {
        public static int SourceSize => 4;

        public static int TargetSize => 4;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Invoke<T>(byte* source, byte* target) where T : unmanaged, ILanes<T> => T.Store(T.ToInt(T.Load((float*)source)), (float*)target);
    }

    private readonly struct IntToFloatFunction : IConversion
    {
        public static int SourceSize => 4;

        public static int TargetSize => 4;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Invoke<T>(byte* source, byte* target) where T : unmanaged, ILanes<T> => T.Store(T.ToFloat(T.Load((float*)source)), (float*)target);
    }

    private readonly struct FloatToBFloat16Function : IConversion
    {
        public static int SourceSize => 4;

        public static int TargetSize => 2;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Invoke<T>(byte* source, byte* target) where T : unmanaged, ILanes<T>
        {
            T x = T.Load((float*)source);
            // Half of the last place that stays, less one where that place is even, carries into the upper bits exactly when
            // the float must be rounded up. NaN would be carried into infinity: it gets its quiet bit instead.
            T rounded = T.AddInt(x, T.AddInt(T.Create(0x7FFF), T.ShiftRight(x, 16) & T.Create(1)));
            T.StoreUpper(T.Select(T.Equal(x, x), rounded, x | T.Create(0x00400000)), (ushort*)target);
        }
    }

    private readonly struct BFloat16ToFloatFunction : IConversion
    {
        public static int SourceSize => 2;

        public static int TargetSize => 4;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Invoke<T>(byte* source, byte* target) where T : unmanaged, ILanes<T> => T.Store(T.LoadUpper((ushort*)source), (float*)target);
    }

    private readonly struct BoolToFloatFunction : IConversion
    {
        public static int SourceSize => 1;

        public static int TargetSize => 4;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Invoke<T>(byte* source, byte* target) where T : unmanaged, ILanes<T> => T.Store(T.LoadMask(source) & T.Create(1f), (float*)target);
    }

    private readonly struct BoolToIntFunction : IConversion
    {
        public static int SourceSize => 1;

        public static int TargetSize => 4;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Invoke<T>(byte* source, byte* target) where T : unmanaged, ILanes<T> => T.Store(T.LoadMask(source) & T.Create(1), (float*)target);
    }

    private readonly struct FloatToBoolFunction : IConversion
    {
        public static int SourceSize => 4;

        public static int TargetSize => 1;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Invoke<T>(byte* source, byte* target) where T : unmanaged, ILanes<T> => T.StoreMask(T.Equal(T.Load((float*)source), T.Create(0f)) ^ T.Create(-1), target);
    }

    private readonly struct IntToBoolFunction : IConversion
    {
        public static int SourceSize => 4;

        public static int TargetSize => 1;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Invoke<T>(byte* source, byte* target) where T : unmanaged, ILanes<T> => T.StoreMask(T.EqualInt(T.Load((float*)source), T.Create(0)) ^ T.Create(-1), target);
    }
}
