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

    /// <summary>The nearest of 0..255, halves to even; NaN gives 0.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void FloatToByte(ReadOnlySpan<float> x, Span<byte> y) => FloatToByte(x, y, Simd.Best);

    /// <summary>The nearest of 0..255.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void IntToByte(ReadOnlySpan<int> x, Span<byte> y) => IntToByte(x, y, Simd.Best);

    /// <summary>0 gives 0, all else 1.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void BoolToByte(ReadOnlySpan<byte> x, Span<byte> y) => BoolToByte(x, y, Simd.Best);

    /// <summary>Exact.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void ByteToFloat(ReadOnlySpan<byte> x, Span<float> y) => ByteToFloat(x, y, Simd.Best);

    /// <summary>Exact.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void ByteToInt(ReadOnlySpan<byte> x, Span<int> y) => ByteToInt(x, y, Simd.Best);

    /// <summary>x != 0 as 0 or 1.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void ByteToBool(ReadOnlySpan<byte> x, Span<byte> y) => ByteToBool(x, y, Simd.Best);

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

    internal static void FloatToByte(ReadOnlySpan<float> x, Span<byte> y, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, y.Length);
        fixed (float* px = x)
        fixed (byte* py = y)
            Map<FloatToByteFunction>((byte*)px, py, x.Length, width);
    }

    internal static void IntToByte(ReadOnlySpan<int> x, Span<byte> y, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, y.Length);
        fixed (int* px = x)
        fixed (byte* py = y)
            Map<IntToByteFunction>((byte*)px, py, x.Length, width);
    }

    internal static void BoolToByte(ReadOnlySpan<byte> x, Span<byte> y, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, y.Length);
        fixed (byte* px = x)
        fixed (byte* py = y)
            Map<BoolToByteFunction>(px, py, x.Length, width);
    }

    internal static void ByteToFloat(ReadOnlySpan<byte> x, Span<float> y, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, y.Length);
        fixed (byte* px = x)
        fixed (float* py = y)
            Map<ByteToFloatFunction>(px, (byte*)py, x.Length, width);
    }

    internal static void ByteToInt(ReadOnlySpan<byte> x, Span<int> y, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, y.Length);
        fixed (byte* px = x)
        fixed (int* py = y)
            Map<ByteToIntFunction>(px, (byte*)py, x.Length, width);
    }

    internal static void ByteToBool(ReadOnlySpan<byte> x, Span<byte> y, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, y.Length);
        fixed (byte* px = x)
        fixed (byte* py = y)
            Map<ByteToBoolFunction>(px, py, x.Length, width);
    }

    private static void Map<F>(byte* x, byte* y, nint n, SimdWidth width) where F : IConversion => Simd.Dispatch(width, new Work<F>(x, y, n));

    private readonly struct Work<F>(byte* x, byte* y, nint n) : ILaneWork where F : IConversion
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<T>() where T : unmanaged, ILanes<T> => Loops<T>.Convert<F>(x, y, n);
    }

    /// <summary>Finds the conversion between two different types.</summary>
    internal static void Find<U>(DType from, DType to, ref U user) where U : struct, IConversionUser
    {
        switch (from, to)
        {
            case (DType.F32, DType.I32): user.Use<FloatToIntFunction>(); break;
            case (DType.F32, DType.Bool): user.Use<FloatToBoolFunction>(); break;
            case (DType.F32, DType.BF16): user.Use<FloatToBFloat16Function>(); break;
            case (DType.BF16, DType.F32): user.Use<BFloat16ToFloatFunction>(); break;
            case (DType.I32, DType.F32): user.Use<IntToFloatFunction>(); break;
            case (DType.I32, DType.Bool): user.Use<IntToBoolFunction>(); break;
            case (DType.Bool, DType.F32): user.Use<BoolToFloatFunction>(); break;
            case (DType.Bool, DType.I32): user.Use<BoolToIntFunction>(); break;
            case (DType.F32, DType.U8): user.Use<FloatToByteFunction>(); break;
            case (DType.I32, DType.U8): user.Use<IntToByteFunction>(); break;
            case (DType.Bool, DType.U8): user.Use<BoolToByteFunction>(); break;
            case (DType.U8, DType.F32): user.Use<ByteToFloatFunction>(); break;
            case (DType.U8, DType.I32): user.Use<ByteToIntFunction>(); break;
            case (DType.U8, DType.Bool): user.Use<ByteToBoolFunction>(); break;
            default: throw new ArgumentOutOfRangeException(nameof(to), $"no conversion from {from} to {to}");
        }
    }

    private readonly struct FloatToIntFunction : IConversion
    {
        public static Packing Source => Packing.Word;

        public static Packing Target => Packing.Word;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => T.ToInt(x);
    }

    private readonly struct IntToFloatFunction : IConversion
    {
        public static Packing Source => Packing.Word;

        public static Packing Target => Packing.Word;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => T.ToFloat(x);
    }

    private readonly struct FloatToBFloat16Function : IConversion
    {
        public static Packing Source => Packing.Word;

        public static Packing Target => Packing.Upper;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T>
        {
            // Half of the last place that stays, less one where that place is even, carries into the upper bits exactly when
            // the float must be rounded up. NaN would be carried into infinity: it gets its quiet bit instead.
            T rounded = T.AddInt(x, T.AddInt(T.Create(0x7FFF), T.ShiftRight(x, 16) & T.Create(1)));
            return T.Select(T.Equal(x, x), rounded, x | T.Create(0x00400000));
        }
    }

    private readonly struct BFloat16ToFloatFunction : IConversion
    {
        public static Packing Source => Packing.Upper;

        public static Packing Target => Packing.Word;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => x;
    }

    private readonly struct BoolToFloatFunction : IConversion
    {
        public static Packing Source => Packing.Mask;

        public static Packing Target => Packing.Word;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => x & T.Create(1f);
    }

    private readonly struct BoolToIntFunction : IConversion
    {
        public static Packing Source => Packing.Mask;

        public static Packing Target => Packing.Word;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => x & T.Create(1);
    }

    private readonly struct FloatToBoolFunction : IConversion
    {
        public static Packing Source => Packing.Word;

        public static Packing Target => Packing.Mask;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => T.Equal(x, T.Create(0f)) ^ T.Create(-1);
    }

    private readonly struct IntToBoolFunction : IConversion
    {
        public static Packing Source => Packing.Word;

        public static Packing Target => Packing.Mask;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => T.EqualInt(x, T.Create(0)) ^ T.Create(-1);
    }

    private readonly struct FloatToByteFunction : IConversion
    {
        public static Packing Source => Packing.Word;

        public static Packing Target => Packing.Byte;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => T.ToInt(T.Round(T.Min(T.Max(x, T.Create(0f)), T.Create(255f))));
    }

    private readonly struct IntToByteFunction : IConversion
    {
        public static Packing Source => Packing.Word;

        public static Packing Target => Packing.Byte;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => T.MinInt(T.MaxInt(x, T.Create(0)), T.Create(255));
    }

    private readonly struct BoolToByteFunction : IConversion
    {
        public static Packing Source => Packing.Mask;

        public static Packing Target => Packing.Byte;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => x & T.Create(1);
    }

    private readonly struct ByteToFloatFunction : IConversion
    {
        public static Packing Source => Packing.Byte;

        public static Packing Target => Packing.Word;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => T.ToFloat(x);
    }

    private readonly struct ByteToIntFunction : IConversion
    {
        public static Packing Source => Packing.Byte;

        public static Packing Target => Packing.Word;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => x;
    }

    private readonly struct ByteToBoolFunction : IConversion
    {
        public static Packing Source => Packing.Byte;

        public static Packing Target => Packing.Mask;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => T.EqualInt(x, T.Create(0)) ^ T.Create(-1);
    }
}
