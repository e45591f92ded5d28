using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Engine.Kernels;

/// <summary>
/// Standard normals from uniform words, eight pairs at a time (Box and Muller, "A Note on the Generation of Random Normal Deviates", 1958), in float64. Logarithm, sine and cosine are
/// written out, at most 1 ulp off: libraries' differ between systems, and a seed must not mean other numbers elsewhere. Kernels of other devices follow it operation by operation.
/// </summary>
internal static class BoxMuller
{
    /// <summary>Pairs of normals from pairs of words, given as numbers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static (Vector512<double> A, Vector512<double> B) Pairs(Vector512<double> x, Vector512<double> y)
    {
        // In (0, 1], so that the logarithm is finite; and in [0, 2 pi).
        var radius = Vector512.Sqrt(-2.0 * Log((x + Vector512.Create(1.0)) * (1.0 / 4294967296.0)));
        var (sine, cosine) = SinCos(Vector512.Create(2.0 * Math.PI) * (y * (1.0 / 4294967296.0)));
        return (radius * cosine, radius * sine);
    }

    /// <summary>Natural logarithm of positive normal numbers. With x = 2^n (1 + f) and s = f / (2 + f), log(1 + f) = 2 (s + s^3/3 + s^5/5 + ...), of which f is taken out so that the
    /// quotient's rounding hardly counts.</summary>
    internal static Vector512<double> Log(Vector512<double> x)
    {
        var one = Vector512.Create(1.0);
        // 1 + f is in [sqrt(1/2), sqrt(2)).
        var exponent = Vector512.ShiftRightLogical(x.AsInt64() + Vector512.Create((1023L << 52) - 0x3FE6A09E667F3BCDL), 52) - Vector512.Create(1023L);
        var n = Vector512.ConvertToDouble(exponent);
        var f = (x.AsInt64() - Vector512.ShiftLeft(exponent, 52)).AsDouble() - one;
        var s = f / (Vector512.Create(2.0) + f);
        var z = s * s;
        var r = Vector512.Create(2.0 / 23.0);
        r = Fma(r, z, 2.0 / 21.0);
        r = Fma(r, z, 2.0 / 19.0);
        r = Fma(r, z, 2.0 / 17.0);
        r = Fma(r, z, 2.0 / 15.0);
        r = Fma(r, z, 2.0 / 13.0);
        r = Fma(r, z, 2.0 / 11.0);
        r = Fma(r, z, 2.0 / 9.0);
        r = Fma(r, z, 2.0 / 7.0);
        r = Fma(r, z, 2.0 / 5.0);
        r = Fma(r, z, 2.0 / 3.0);
        var halfSquare = 0.5 * f * f;
        var low = Vector512.FusedMultiplyAdd(s, halfSquare + z * r, n * 1.90821492927058770002e-10);
        return Vector512.FusedMultiplyAdd(n, Vector512.Create(6.93147180369123816490e-01), f - (halfSquare - low));
    }

    /// <summary>Sines and cosines of numbers in [0, 2 pi]: of the distance to the nearest quarter turn, by the first terms of their series.</summary>
    internal static (Vector512<double> Sine, Vector512<double> Cosine) SinCos(Vector512<double> x)
    {
        var one = Vector512.Create(1.0);
        var n = Vector512.Floor(x * 6.36619772367581382433e-01 + Vector512.Create(0.5)); // quarter turns, 0 to 4
        var r = Vector512.FusedMultiplyAdd(n, Vector512.Create(-1.57079632679489655800e+00), x);
        r = Vector512.FusedMultiplyAdd(n, Vector512.Create(-6.12323399573676603587e-17), r);
        var z = r * r;
        var p = Vector512.Create(1.0 / 355687428096000.0);
        p = Fma(p, z, -1.0 / 1307674368000.0);
        p = Fma(p, z, 1.0 / 6227020800.0);
        p = Fma(p, z, -1.0 / 39916800.0);
        p = Fma(p, z, 1.0 / 362880.0);
        p = Fma(p, z, -1.0 / 5040.0);
        p = Fma(p, z, 1.0 / 120.0);
        p = Fma(p, z, -1.0 / 6.0);
        var s = Vector512.FusedMultiplyAdd(p * z, r, r);
        var q = Vector512.Create(-1.0 / 6402373705728000.0);
        q = Fma(q, z, 1.0 / 20922789888000.0);
        q = Fma(q, z, -1.0 / 87178291200.0);
        q = Fma(q, z, 1.0 / 479001600.0);
        q = Fma(q, z, -1.0 / 3628800.0);
        q = Fma(q, z, 1.0 / 40320.0);
        q = Fma(q, z, -1.0 / 720.0);
        q = Fma(q, z, 1.0 / 24.0);
        var half = 0.5 * z;
        var high = one - half;
        var c = high + ((one - high) - half + z * z * q);

        Vector512<double> first = Is(n, 1), second = Is(n, 2), third = Is(n, 3), odd = first | third;
        var sign = Vector512.Create(-0.0);
        return (Vector512.ConditionalSelect(odd, c, s) ^ ((second | third) & sign), Vector512.ConditionalSelect(odd, s, c) ^ ((first | second) & sign));
    }

    private static Vector512<double> Is(Vector512<double> n, double value) => Vector512.Equals(n, Vector512.Create(value));

    private static Vector512<double> Fma(Vector512<double> a, Vector512<double> b, double c) => Vector512.FusedMultiplyAdd(a, b, Vector512.Create(c));
}
