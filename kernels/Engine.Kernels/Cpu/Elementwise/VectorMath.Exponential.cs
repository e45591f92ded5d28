using System.Runtime.CompilerServices;

namespace Engine.Kernels.Cpu;

/// <summary>
/// Transcendental functions of float vectors, in float arithmetic with fused multiply-adds. System.Numerics.Tensors has several of
/// them, but switches to other code for short spans and for vectors that hold one large number, so that an element's bits depend on
/// its neighbours; here they never do. Each comment gives the largest error in units of the last place, measured against float64.
/// The minimax polynomials for exp, log, log1p, expm1, sin, cos and erf are of the form published by N. Juffa.
/// </summary>
internal static partial class VectorMath
{
    // Adding 1.5 * 2^23 rounds a small float to an integer, which is then found in the low bits of the sum.
    private const float RoundingMagic = 12582912f;
    private const float Log2E = 1.442695041f, Ln2High = 0.693145752f, Ln2Low = 1.42860677e-6f, Ln2 = 0.693147182f;
    private const int One = 0x3F800000, ExponentMask = unchecked((int)0xFF800000);

    /// <summary>e^x; at most 1 ulp, denormal results included. inf above 88.72, 0 below -103.97.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Exp<T>(T x) where T : unmanaged, ILanes<T>
    {
        // Beyond these the result has overflowed or is 0 already; NaN passes both comparisons by.
        x = T.Select(T.Less(x, T.Create(-105f)), T.Create(-105f), x);
        x = T.Select(T.Less(T.Create(89f), x), T.Create(89f), x);
        T magic = T.Create(RoundingMagic);
        T shifted = T.Fma(x, T.Create(Log2E), magic);
        T n = shifted - magic;
        T r = T.Fma(n, T.Create(-Ln2High), x);
        r = T.Fma(n, T.Create(-Ln2Low), r);
        T p = T.Fma(T.Create(1.37805939e-3f), r, T.Create(8.37312452e-3f));
        p = T.Fma(p, r, T.Create(4.16695364e-2f));
        p = T.Fma(p, r, T.Create(1.66664720e-1f));
        p = T.Fma(p, r, T.Create(4.99999851e-1f));
        p = T.Fma(p, r, T.Create(1f));
        p = T.Fma(p, r, T.Create(1f));
        // 2^n in two factors: n reaches 128 and -151, beyond the exponents of normal floats. Only the second product can round.
        T exponent = T.SubtractInt(shifted, magic);
        T half = T.ShiftRight(exponent, 1);
        return p * PowerOfTwo(half) * PowerOfTwo(T.SubtractInt(exponent, half));
    }

    /// <summary>e^x - 1; at most 1.5 ulp.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Expm1<T>(T x) where T : unmanaged, ILanes<T>
    {
        T bounded = T.Select(T.Less(x, T.Create(-18f)), T.Create(-18f), x);
        bounded = T.Select(T.Less(T.Create(89f), bounded), T.Create(89f), bounded);
        T magic = T.Create(RoundingMagic);
        T shifted = T.Fma(bounded, T.Create(Log2E), magic);
        T n = shifted - magic;
        T r = T.Fma(n, T.Create(-Ln2High), bounded);
        r = T.Fma(n, T.Create(-Ln2Low), r);
        T p = T.Fma(T.Create(1.97350979e-4f), r, T.Create(1.39309070e-3f));
        p = T.Fma(p, r, T.Create(8.33343994e-3f));
        p = T.Fma(p, r, T.Create(4.16668020e-2f));
        p = T.Fma(p, r, T.Create(1.66666716e-1f));
        p = T.Fma(p, r, T.Create(4.99999970e-1f));
        // p = e^r - 1, and the result is 2^n p + (2^n - 1), of which half is computed: 2^128 is no float.
        p = T.Fma(p, r * r, r);
        T scale = PowerOfTwo(T.SubtractInt(T.SubtractInt(shifted, magic), T.Create(1)));
        T result = T.Fma(scale, p, scale - T.Create(0.5f));
        result = T.Select(T.Equal(n, T.Create(0f)), p, result + result);
        return T.Select(T.Equal(x, T.Create(0f)), x, result);
    }

    /// <summary>1/(1+e^-x); at most 2.5 ulp, denormal results included.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Sigmoid<T>(T x) where T : unmanaged, ILanes<T>
    {
        // e^-|x| cannot overflow, and e/(1+e) keeps the digits of small results.
        T e = Exp(T.Create(0f) - T.Abs(x));
        return T.Select(T.Less(x, T.Create(0f)), e, T.Create(1f)) / (T.Create(1f) + e);
    }

    /// <summary>Hyperbolic tangent; at most 1.5 ulp.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Tanh<T>(T x) where T : unmanaged, ILanes<T>
    {
        T a = T.Abs(x), square = a * a;
        T p = T.Fma(T.Create(-5.70498872745e-3f), square, T.Create(2.06390887954e-2f));
        p = T.Fma(p, square, T.Create(-5.37397155531e-2f));
        p = T.Fma(p, square, T.Create(1.33314422036e-1f));
        p = T.Fma(p, square, T.Create(-3.33332819422e-1f));
        T small = T.Fma(p * square, a, a);
        T large = T.Create(1f) - T.Create(2f) / (Exp(a + a) + T.Create(1f));
        return WithSign(T.Select(T.Less(a, T.Create(0.625f)), small, large), x);
    }

    /// <summary><see cref="Exp"/>, called: in a function as long as this and another, the JIT would not inline what comes last.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static T ExpCalled<T>(T x) where T : unmanaged, ILanes<T> => Exp(x);

    /// <summary>The error function; at most 1 ulp.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Erf<T>(T x) where T : unmanaged, ILanes<T>
    {
        T a = T.Abs(x);
        // erf(4) is 1 in float; larger numbers would overflow in the polynomial. NaN stays.
        a = T.Select(T.Less(T.Create(4f), a), T.Create(4f), a);
        T s = a * a;
        T r = T.Fma(T.Create(-1.72853470e-5f), a, T.Create(3.83197126e-4f));
        T u = T.Fma(T.Create(-3.88396438e-3f), a, T.Create(2.42546219e-2f));
        r = T.Fma(r, s, u);
        r = T.Fma(r, a, T.Create(-1.06777877e-1f));
        r = T.Fma(r, a, T.Create(-6.34846687e-1f));
        r = T.Fma(r, a, T.Create(-1.28717512e-1f));
        r = T.Fma(r, a, T.Create(0f) - a);
        T large = T.Create(1f) - ExpCalled(r);
        T p = T.Fma(T.Create(-5.96761703e-4f), s, T.Create(4.99119423e-3f));
        p = T.Fma(p, s, T.Create(-2.67681349e-2f));
        p = T.Fma(p, s, T.Create(1.12819925e-1f));
        p = T.Fma(p, s, T.Create(-3.76125336e-1f));
        p = T.Fma(p, s, T.Create(1.28379166e-1f));
        T small = T.Fma(p, a, a);
        return WithSign(T.Select(T.Less(T.Create(0.927734375f), a), large, small), x);
    }

    /// <summary>2^n for n in [-126, 127], lanes of ints.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T PowerOfTwo<T>(T n) where T : unmanaged, ILanes<T> => T.AddInt(T.ShiftLeft(n, 23), T.Create(One));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T WithSign<T>(T magnitude, T sign) where T : unmanaged, ILanes<T> => magnitude | (sign & T.Create(-0f));
}
