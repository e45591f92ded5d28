using System.Runtime.CompilerServices;

namespace Engine.Kernels.Cpu;

internal static partial class VectorMath
{
    // The bits of 2/3: numbers are scaled by powers of two into [2/3, 4/3), where the logarithm is smallest.
    private const int TwoThirds = 0x3F2AAAAB;

    /// <summary>log(1+f) for f in [-1/3, 1/3].</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T LogOfSum<T>(T f) where T : unmanaged, ILanes<T>
    {
        T s = f * f;
        T r = T.Fma(T.Create(-0.130310059f), s, T.Create(-0.121483512f));
        T t = T.Fma(T.Create(0.140869141f), s, T.Create(0.139814854f));
        r = T.Fma(r, s, T.Create(-0.166846126f));
        t = T.Fma(t, s, T.Create(0.200120345f));
        r = T.Fma(r, s, T.Create(-0.249996200f));
        r = T.Fma(t, f, r);
        r = T.Fma(r, f, T.Create(0.333331972f));
        r = T.Fma(r, f, T.Create(-0.5f));
        return T.Fma(r, s, f);
    }

    /// <summary>Natural logarithm; at most 1 ulp, denormal arguments included.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Log<T>(T x) where T : unmanaged, ILanes<T>
    {
        T denormal = T.Less(x, T.Create(1.17549435e-38f));
        T scaled = T.Select(denormal, x * T.Create(8388608f), x);
        // x = m 2^e with m in [2/3, 4/3): e, in place, is what is above the bits of 2/3.
        T e = T.SubtractInt(scaled, T.Create(TwoThirds)) & T.Create(ExponentMask);
        T f = T.SubtractInt(scaled, e) - T.Create(1f);
        T exponent = T.Fma(T.ToFloat(e), T.Create(1.1920929e-7f), denormal & T.Create(-23f));
        T r = T.Fma(exponent, T.Create(Ln2), LogOfSum(f));
        return LogLimits(r, x, x);
    }

    /// <summary>log(1+x); at most 1.5 ulp, signed zero kept.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Log1p<T>(T x) where T : unmanaged, ILanes<T>
    {
        // 1 + x = (1 + f) 2^e, as above, and f = x 2^-e + (2^-e - 1) loses no digit of x.
        T sum = x + T.Create(1f);
        T e = T.SubtractInt(sum, T.Create(TwoThirds)) & T.Create(ExponentMask);
        T f = T.SubtractInt(x, e) + T.Fma(T.Create(0.25f), T.SubtractInt(T.Create(4f), e), T.Create(-1f));
        T r = T.Fma(T.ToFloat(e) * T.Create(1.1920929e-7f), T.Create(Ln2), LogOfSum(f));
        r = LogLimits(r, sum, x);
        return T.Select(T.Equal(x, T.Create(0f)), x, r);
    }

    /// <summary>log(1+e^x) = max(x,0) + log1p(e^-|x|); at most 2 ulp.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Softplus<T>(T x) where T : unmanaged, ILanes<T> => Softplus(x, ExpOfMinusAbs(x));

    /// <summary>Softplus of x, given exp(-|x|).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Softplus<T>(T x, T exponential) where T : unmanaged, ILanes<T> => T.Clear(x, T.LessEqual(x, T.Create(0f))) + Log1p(exponential);

    /// <summary>exp(-|x|).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T ExpOfMinusAbs<T>(T x) where T : unmanaged, ILanes<T> => Exp(T.Create(0f) - T.Abs(x));

    /// <summary>Puts in what the formula does not give: -inf where the argument is 0, NaN below, x itself (inf or NaN) above all
    /// finite numbers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T LogLimits<T>(T result, T argument, T x) where T : unmanaged, ILanes<T>
    {
        T zero = T.Create(0f);
        T limit = T.Select(T.Less(argument, zero), T.Create(float.NaN), x);
        limit = T.Select(T.Equal(argument, zero), T.Create(float.NegativeInfinity), limit);
        T normal = T.Less(zero, argument) & T.Less(argument, T.Create(float.PositiveInfinity));
        return T.Select(normal, result, limit);
    }
}
