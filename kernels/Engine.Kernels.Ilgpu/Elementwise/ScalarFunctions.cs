using System.Runtime.CompilerServices;
using ILGPU;

namespace Engine.Kernels.Ilgpu.Elementwise;

/// <summary>Functions that are not written over lanes, because a processor computes them by scalar code: the same steps as device code.</summary>
internal static class ScalarFunctions
{
    /// <summary>Whether it is no number, by its bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsNaN(float x) => ((int)Interop.FloatAsInt(x) & int.MaxValue) > 0x7F800000;

    /// <summary>-x; of the smallest int that int.</summary>
    public static ScalarLanes NegateInt(ScalarLanes x) => ScalarLanes.Create(-x.Int);

    /// <summary>|x|; of the smallest int that int.</summary>
    public static ScalarLanes AbsInt(ScalarLanes x) => ScalarLanes.Create(x.Int < 0 ? -x.Int : x.Int);

    /// <summary>The quotient towards zero; 0 where y is 0, and the smallest int divided by -1 is itself.</summary>
    public static ScalarLanes Quotient(ScalarLanes x, ScalarLanes y) => ScalarLanes.Create(QuotientOf(x.Int, y.Int));

    /// <summary>The largest int not above the quotient; 0 where y is 0, and the smallest int divided by -1 is itself.</summary>
    public static ScalarLanes FloorQuotient(ScalarLanes x, ScalarLanes y)
    {
        int a = x.Int, b = y.Int, quotient = QuotientOf(a, b);
        bool below = b != 0 && b != -1 && quotient * b != a && (a ^ b) < 0;
        return ScalarLanes.Create(below ? quotient - 1 : quotient);
    }

    /// <summary>The remainder with y's sign; 0 where y is 0 or -1.</summary>
    public static ScalarLanes Remainder(ScalarLanes x, ScalarLanes y)
    {
        int b = y.Int, divisor = b == 0 || b == -1 ? 1 : b, remainder = x.Int % divisor;
        return ScalarLanes.Create(remainder != 0 && (remainder ^ b) < 0 ? remainder + b : remainder);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int QuotientOf(int x, int y)
    {
        int divisor = y == 0 || y == -1 ? 1 : y;
        return y == 0 ? 0 : y == -1 ? -x : x / divisor;
    }

    /// <summary>The first 224 bits of 2/pi, after 32 of zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint TwoOverPi(int word) =>
        word == 0 ? 0u : word == 1 ? 0xA2F9836Eu : word == 2 ? 0x4E441529u : word == 3 ? 0xFC2757D1u : word == 4 ? 0xF534DDC0u : word == 5 ? 0xDB629599u : word == 6 ? 0x3C439041u : 0xFE5163ABu;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Shifted(uint a, uint b, int by) => (uint)(((((ulong)a << 32) | b) << by) >> 32);

    /// <summary>Cpu.VectorMath's reduction of one large argument, step by step: x = quarter * pi/2 + r.</summary>
    public static (float R, int Quarter) ReduceLarge(float x)
    {
        int bits = (int)Interop.FloatAsInt(x);
        uint m = (uint)((bits & 0x007FFFFF) | 0x00800000);
        int from = ((bits >> 23) & 0xFF) - 150 - 2 + 32, first = from >> 5, shift = from & 31;
        uint w0 = TwoOverPi(first), w1 = TwoOverPi(first + 1), w2 = TwoOverPi(first + 2), w3 = TwoOverPi(first + 3);
        ulong high = ((ulong)Shifted(w0, w1, shift) << 32) | Shifted(w1, w2, shift);
        ulong product = m * high + (((ulong)m * Shifted(w2, w3, shift)) >> 32);
        uint quarter = (uint)((product + (1UL << 61)) >> 62);
        long rest = (long)(product - ((ulong)quarter << 62));
        float r = (float)(((int)(rest >> 32) * 4294967296.0 + (uint)rest) * QuarterUnit);
        return (bits < 0 ? -r + (x - x) : r + (x - x), bits < 0 ? (int)(0u - quarter) : (int)quarter);
    }

    /// <summary>pi/2 in units of 2^-62.</summary>
    private const double QuarterUnit = 1.5707963267948966 / (1L << 62);

    /// <summary>
    /// x^y as IEEE 754 has it, in float64: 2^(y log2|x|), rounded to float once. A processor's own function agrees but for ties that neither decides exactly. The logarithm of the part in
    /// [sqrt(1/2), sqrt(2)) is the series of the inverse hyperbolic tangent; both series end where their terms leave float64's first 50 bits.
    /// </summary>
    public static ScalarLanes Power(ScalarLanes x, ScalarLanes y)
    {
        float a = x.Float, b = y.Float, magnitude = ScalarLanes.Abs(x).Float;
        long bits = (long)Interop.FloatAsInt((double)magnitude);
        int e = ((int)(bits >> 32) - 0x3FE6A09E) >> 20; // |x| = m 2^e
        double m = Interop.IntAsFloat((ulong)(bits - ((long)e << 52)));
        double f = (m - 1) / (m + 1), s = f * f, series = 1.0 / 23;
        series = Math.FusedMultiplyAdd(series, s, 1.0 / 21);
        series = Math.FusedMultiplyAdd(series, s, 1.0 / 19);
        series = Math.FusedMultiplyAdd(series, s, 1.0 / 17);
        series = Math.FusedMultiplyAdd(series, s, 1.0 / 15);
        series = Math.FusedMultiplyAdd(series, s, 1.0 / 13);
        series = Math.FusedMultiplyAdd(series, s, 1.0 / 11);
        series = Math.FusedMultiplyAdd(series, s, 1.0 / 9);
        series = Math.FusedMultiplyAdd(series, s, 1.0 / 7);
        series = Math.FusedMultiplyAdd(series, s, 1.0 / 5);
        series = Math.FusedMultiplyAdd(series, s, 1.0 / 3);
        series = Math.FusedMultiplyAdd(series, s, 1.0);
        const double twoOverLn2 = 2.8853900817779268;
        double log = f * twoOverLn2 * series + e;
        log = magnitude == 0f ? double.NegativeInfinity : magnitude == float.PositiveInfinity ? double.PositiveInfinity : log;

        // 2^t, |t| bounded by what is infinite or 0 as a float already; NaN passes both comparisons by.
        double t = log * b;
        t = t > 200 ? 200 : t < -200 ? -200 : t;
        const double magic = 6755399441055744; // 1.5 * 2^52: its sum with t has the nearest int in its low bits
        double shifted = t + magic;
        int n = (int)Interop.FloatAsInt(shifted);
        double r = (t - (shifted - magic)) * 0.6931471805599453;
        double p = 1.0 / 87178291200;
        p = Math.FusedMultiplyAdd(p, r, 1.0 / 6227020800);
        p = Math.FusedMultiplyAdd(p, r, 1.0 / 479001600);
        p = Math.FusedMultiplyAdd(p, r, 1.0 / 39916800);
        p = Math.FusedMultiplyAdd(p, r, 1.0 / 3628800);
        p = Math.FusedMultiplyAdd(p, r, 1.0 / 362880);
        p = Math.FusedMultiplyAdd(p, r, 1.0 / 40320);
        p = Math.FusedMultiplyAdd(p, r, 1.0 / 5040);
        p = Math.FusedMultiplyAdd(p, r, 1.0 / 720);
        p = Math.FusedMultiplyAdd(p, r, 1.0 / 120);
        p = Math.FusedMultiplyAdd(p, r, 1.0 / 24);
        p = Math.FusedMultiplyAdd(p, r, 1.0 / 6);
        p = Math.FusedMultiplyAdd(p, r, 1.0 / 2);
        p = Math.FusedMultiplyAdd(p, r, 1.0);
        p = Math.FusedMultiplyAdd(p, r, 1.0);
        float power = (float)(p * Interop.IntAsFloat((ulong)(n + 1023) << 52));
        var result = ScalarLanes.Create(magnitude == 1f ? 1f : power); // also where y is infinite

        // The sign of an odd power, and numbers below zero that have none.
        float half = b * 0.5f;
        bool integer = ScalarLanes.Floor(y).Float == b, odd = integer && ScalarLanes.Floor(ScalarLanes.Create(half)).Float != half;
        result = odd ? result ^ (x & ScalarLanes.Create(int.MinValue)) : result;
        bool none = a < 0f && magnitude < float.PositiveInfinity && !integer;
        float sum = a + b;
        result = none ? ScalarLanes.Create(0x7FC00000) : result;
        result = IsNaN(a) || IsNaN(b) ? ScalarLanes.Create(sum) : result;
        return b == 0f || a == 1f ? ScalarLanes.Create(1f) : result;
    }
}
