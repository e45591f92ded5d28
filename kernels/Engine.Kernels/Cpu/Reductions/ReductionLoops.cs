namespace Engine.Kernels.Cpu;

internal static unsafe class ReductionLoops
{
    public static float Identity(ReduceKind kind) => kind switch { ReduceKind.Sum => 0, ReduceKind.Max => float.NegativeInfinity, _ => float.PositiveInfinity };

    public static float Row(ReduceKind kind, float* x, long n)
    {
        float r = Identity(kind);
        for (long i = 0; i < n; i++) r = kind == ReduceKind.Sum ? r + x[i] : kind == ReduceKind.Max ? MathF.Max(r, x[i]) : MathF.Min(r, x[i]);
        return r;
    }

    public static void Combine(ReduceKind kind, float* y, float* x, int n)
    {
        for (int i = 0; i < n; i++) y[i] = kind == ReduceKind.Sum ? y[i] + x[i] : kind == ReduceKind.Max ? MathF.Max(y[i], x[i]) : MathF.Min(y[i], x[i]);
    }

    public static float SumOfSquares(float* x, long n)
    {
        float r = 0;
        for (long i = 0; i < n; i++) r += x[i] * x[i];
        return r;
    }
}
