using System.Runtime.CompilerServices;

namespace Engine.Kernels.Cpu;

internal static partial class VectorMath
{
    // Up to here three floats of pi/2 suffice to reduce the argument; beyond, each large lane alone goes to the scalar function.
    private const float LargestReduced = 48000f;

    /// <summary>Sine; at most 1.5 ulp.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Sin<T>(T x) where T : unmanaged, ILanes<T>
    {
        T large = T.Less(T.Create(LargestReduced), T.Abs(x));
        T result = Circle(x, 0);
        return T.Any(large) ? Large(x, result, cosine: false) : result;
    }

    /// <summary>Cosine; at most 1.5 ulp.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Cos<T>(T x) where T : unmanaged, ILanes<T>
    {
        T large = T.Less(T.Create(LargestReduced), T.Abs(x));
        T result = Circle(x, 1);
        return T.Any(large) ? Large(x, result, cosine: true) : result;
    }

    /// <summary>Sine of x + quarters * pi/2.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Circle<T>(T x, int quarters) where T : unmanaged, ILanes<T>
    {
        T magic = T.Create(RoundingMagic);
        T shifted = T.Fma(x, T.Create(0.636619747f), magic);
        T n = shifted - magic;
        T r = T.Fma(n, T.Create(-1.57079601e+00f), x);
        r = T.Fma(n, T.Create(-3.13916473e-07f), r);
        r = T.Fma(n, T.Create(-5.39030253e-15f), r);
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
        T quarter = T.AddInt(shifted, T.Create(quarters));
        T odd = T.ShiftRight(T.ShiftLeft(quarter, 31), 31);
        T sign = T.ShiftLeft(quarter & T.Create(2), 30);
        return T.Select(odd, cosine, sine) ^ sign;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static unsafe T Large<T>(T x, T result, bool cosine) where T : unmanaged, ILanes<T>
    {
        float* arguments = (float*)&x, results = (float*)&result;
        for (int i = 0; i < T.Count; i++)
            if (MathF.Abs(arguments[i]) > LargestReduced)
                results[i] = cosine ? MathF.Cos(arguments[i]) : MathF.Sin(arguments[i]);
        return result;
    }
}
