using System.Runtime.CompilerServices;

namespace Engine.Kernels.Cpu;

internal static partial class VectorMath
{
    // Up to here three floats of pi/2 suffice to reduce the argument; beyond, each large lane is reduced by itself.
    private const float LargestReduced = 48000f;

    /// <summary>Sine; at most 1.5 ulp.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Sin<T>(T x) where T : unmanaged, ILanes<T> => Circle(x, 0);

    /// <summary>Cosine; at most 1.5 ulp.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Cos<T>(T x) where T : unmanaged, ILanes<T> => Circle(x, 1);

    /// <summary>Sine of x + quarters * pi/2.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Circle<T>(T x, int quarters) where T : unmanaged, ILanes<T>
    {
        T magic = T.Create(RoundingMagic);
        T quarter = T.Fma(x, T.Create(0.636619747f), magic); // in the low bits
        T n = quarter - magic;
        T r = T.Fma(n, T.Create(-1.57079601e+00f), x);
        r = T.Fma(n, T.Create(-3.13916473e-07f), r);
        r = T.Fma(n, T.Create(-5.39030253e-15f), r);
        (r, quarter) = T.ReduceLarge(T.Less(T.Create(LargestReduced), T.Abs(x)), x, r, quarter);
        T s = r * r;
        T sine = T.Fma(T.Create(2.86567956e-6f), s, T.Create(-1.98559923e-4f));
        sine = T.Fma(sine, s, T.Create(8.33338592e-3f));
        sine = T.Fma(sine, s, T.Create(-1.66666672e-1f));
        // The added +0 keeps the sign of a zero: the product below is then -0 for either sign of r.
        sine = T.Fma(sine, T.Fma(r, s, T.Create(0f)), r);
        T cosine = T.Fma(T.Create(2.44677067e-5f), s, T.Create(-1.38877297e-3f));
        cosine = T.Fma(cosine, s, T.Create(4.16666567e-2f));
        cosine = T.Fma(cosine, s, T.Create(-0.5f));
        cosine = T.Fma(cosine, s, T.Create(1f));
        quarter = T.AddInt(quarter, T.Create(quarters));
        T odd = T.ShiftRight(T.ShiftLeft(quarter, 31), 31);
        T sign = T.ShiftLeft(quarter & T.Create(2), 30);
        return T.Select(odd, cosine, sine) ^ sign;
    }

    /// <summary>The first 224 bits of 2/pi, after 32 of zeros.</summary>
    internal static ReadOnlySpan<uint> TwoOverPi => [0, 0xA2F9836E, 0x4E441529, 0xFC2757D1, 0xF534DDC0, 0xDB629599, 0x3C439041, 0xFE5163AB];

    /// <summary>pi/2 in units of 2^-62.</summary>
    internal const double QuarterUnit = 1.5707963267948966 / (1L << 62);

    [MethodImpl(MethodImplOptions.NoInlining)]
    internal static unsafe (T R, T Quarter) ReduceLarge<T>(T large, T x, T r, T quarter) where T : unmanaged, ILanes<T>
    {
        float* arguments = (float*)&x, remainders = (float*)&r;
        int* mask = (int*)&large, quarters = (int*)&quarter;
        for (int i = 0; i < T.Count; i++)
            if (mask[i] != 0) (remainders[i], quarters[i]) = ReduceLarge(arguments[i]);
        return (r, quarter);
    }

    /// <summary>x = quarter * pi/2 + r for |x| of at least 2^15, the quarter modulo 4, by a product with those bits of 2/pi that can matter (Payne and Hanek's method).</summary>
    internal static (float R, int Quarter) ReduceLarge(float x)
    {
        int bits = BitConverter.SingleToInt32Bits(x);
        uint m = (uint)(bits & 0x007FFFFF | 0x00800000); // |x| = m 2^e
        // Bits of 2/pi above 4 2^-e make multiples of 4 of the product. With e = field - 150, they end 2 before e, and 32 zeros come first.
        int from = (bits >> 23 & 0xFF) - 150 - 2 + 32;
        var words = TwoOverPi[(from >> 5)..]; // 22 to 134, and 135 of infinity
        int shift = from & 31;
        ulong high = (ulong)Shifted(words[0], words[1], shift) << 32 | Shifted(words[1], words[2], shift);
        ulong product = m * high + ((ulong)m * Shifted(words[2], words[3], shift) >> 32); // 2 bits before the point, 62 after
        uint quarter = (uint)(product + (1UL << 61) >> 62);
        long rest = (long)(product - ((ulong)quarter << 62));
        // As two halves, which float64 holds exactly.
        float r = (float)(((int)(rest >> 32) * 4294967296.0 + (uint)rest) * QuarterUnit);
        if (bits < 0) (r, quarter) = (-r, 0 - quarter);
        return (r + (x - x), (int)quarter); // NaN of infinity

        static uint Shifted(uint a, uint b, int by) => (uint)(((ulong)a << 32 | b) << by >> 32);
    }
}
