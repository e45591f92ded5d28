using System.Runtime.CompilerServices;
using Engine.Kernels.Cpu;
using ILGPU;

namespace Engine.Kernels.Ilgpu.Elementwise;

/// <summary>
/// One element as lanes, so that the functions of <see cref="ILanes{T}"/> are device code: ILGPU inlines them. It holds the bits, for a mask or an int that went through a float constant
/// could lose those of a NaN. Only what ILGPU has on every device is used, and no function of a library, whose rounding would differ from device to device.
/// </summary>
internal readonly unsafe struct ScalarLanes : ILanes<ScalarLanes>
{
    private readonly int _bits;

    private ScalarLanes(int bits) => _bits = bits;

    private ScalarLanes(float x) => _bits = (int)Interop.FloatAsInt(x);

    /// <summary>The bits as an int.</summary>
    public int Int
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => _bits;
    }

    /// <summary>The bits as a float.</summary>
    public float Float
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Interop.IntAsFloat((uint)_bits);
    }

    public static int Count => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes Create(float x) => new(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes Create(int x) => new(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ScalarLanes Mask(bool set) => new(set ? -1 : 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes operator +(ScalarLanes a, ScalarLanes b) => new(a.Float + b.Float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes operator -(ScalarLanes a, ScalarLanes b) => new(a.Float - b.Float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes operator *(ScalarLanes a, ScalarLanes b) => new(a.Float * b.Float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes operator /(ScalarLanes a, ScalarLanes b) => new(a.Float / b.Float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes operator &(ScalarLanes a, ScalarLanes b) => new(a._bits & b._bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes operator |(ScalarLanes a, ScalarLanes b) => new(a._bits | b._bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes operator ^(ScalarLanes a, ScalarLanes b) => new(a._bits ^ b._bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes Clear(ScalarLanes x, ScalarLanes mask) => new(x._bits & ~mask._bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes Fma(ScalarLanes a, ScalarLanes b, ScalarLanes c) => new(MathF.FusedMultiplyAdd(a.Float, b.Float, c.Float));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes MulAdd(ScalarLanes a, ScalarLanes b, ScalarLanes c) => Fma(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes Sqrt(ScalarLanes x) => new(MathF.Sqrt(x.Float));

    // From 2^23 on every float is an integer; the sign goes around, so that zeros keep theirs. NaN compares with nothing.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes Floor(ScalarLanes x)
    {
        float value = x.Float, magnitude = Abs(x).Float;
        float whole = (int)(magnitude < 8388608f ? value : 0f);
        float floor = whole > value ? whole - 1f : whole;
        return magnitude < 8388608f ? new ScalarLanes((int)Interop.FloatAsInt(floor) | (x._bits & int.MinValue)) : x;
    }

    // The sum with 2^23 rounds to an integer, halves to even.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes Round(ScalarLanes x)
    {
        float magnitude = Abs(x).Float;
        float rounded = (magnitude + 8388608f) - 8388608f;
        return magnitude < 8388608f ? new ScalarLanes((int)Interop.FloatAsInt(rounded) | (x._bits & int.MinValue)) : x;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes Abs(ScalarLanes x) => new(x._bits & int.MaxValue);

    // Equal numbers differ in the sign of zero at most, which the bits decide; with NaN neither is less and they are not equal.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes Max(ScalarLanes a, ScalarLanes b) => Extreme(a, b, Less(a, b), Less(b, a), a & b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes Min(ScalarLanes a, ScalarLanes b) => Extreme(a, b, Less(b, a), Less(a, b), a | b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ScalarLanes Extreme(ScalarLanes a, ScalarLanes b, ScalarLanes second, ScalarLanes first, ScalarLanes ofEqual) =>
        Select(second, b, Select(first, a, Select(Equal(a, b), ofEqual, a + b)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes Equal(ScalarLanes a, ScalarLanes b) => Mask(a.Float == b.Float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes Less(ScalarLanes a, ScalarLanes b) => Mask(a.Float < b.Float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes LessEqual(ScalarLanes a, ScalarLanes b) => Mask(a.Float <= b.Float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes Select(ScalarLanes mask, ScalarLanes a, ScalarLanes b) => new(mask._bits != 0 ? a._bits : b._bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes AddInt(ScalarLanes a, ScalarLanes b) => new(a._bits + b._bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes SubtractInt(ScalarLanes a, ScalarLanes b) => new(a._bits - b._bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes MultiplyInt(ScalarLanes a, ScalarLanes b) => new(a._bits * b._bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes MaxInt(ScalarLanes a, ScalarLanes b) => new(a._bits < b._bits ? b._bits : a._bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes MinInt(ScalarLanes a, ScalarLanes b) => new(b._bits < a._bits ? b._bits : a._bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes EqualInt(ScalarLanes a, ScalarLanes b) => Mask(a._bits == b._bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes LessInt(ScalarLanes a, ScalarLanes b) => Mask(a._bits < b._bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes ShiftLeft(ScalarLanes a, int bits) => new(a._bits << bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes ShiftRight(ScalarLanes a, int bits) => new(a._bits >> bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes ToFloat(ScalarLanes a) => new((float)a._bits);

    // A device's own conversion of what no int holds may be anything.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes ToInt(ScalarLanes a)
    {
        float x = a.Float;
        bool fits = x >= -2147483648f && x < 2147483648f;
        int limit = x >= 2147483648f ? int.MaxValue : x < -2147483648f ? int.MinValue : 0;
        return new(fits ? (int)(fits ? x : 0f) : limit);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (ScalarLanes R, ScalarLanes Quarter) ReduceLarge(ScalarLanes large, ScalarLanes x, ScalarLanes r, ScalarLanes quarter)
    {
        if (large._bits == 0) return (r, quarter);
        var (remainder, turns) = ScalarFunctions.ReduceLarge(x.Float);
        return (new(remainder), new(turns));
    }

    // Kernels read memory through views (Memory); these are here for the processor, which can run the struct as it is.

    public static ScalarLanes Load(float* p) => new(*(int*)p);

    public static void Store(ScalarLanes x, float* p) => *(int*)p = x._bits;

    public static ScalarLanes LoadMask(byte* p) => new(*p != 0 ? -1 : 0);

    public static void StoreMask(ScalarLanes mask, byte* p) => *p = (byte)(mask._bits & 1);

    public static ScalarLanes LoadByte(byte* p) => new((int)*p);

    public static void StoreByte(ScalarLanes x, byte* p) => *p = (byte)x._bits;

    public static ScalarLanes LoadUpper(ushort* p) => new(*p << 16);

    public static void StoreUpper(ScalarLanes x, ushort* p) => *p = (ushort)(x._bits >>> 16);

    public static bool Any(ScalarLanes mask) => mask._bits != 0;

    public static float Sum(ScalarLanes x) => x.Float;
}
