using System.Numerics.Tensors;
using System.Runtime.Intrinsics;

namespace Engine.Kernels.Cpu;

/// <summary>Rows to one number, and rows combined into a row; the order of additions depends on the length alone.</summary>
internal static unsafe class ReductionLoops
{
    private const int Block = 4096;

    /// <summary>What nothing reduces to.</summary>
    public static float Identity(ReduceKind kind) => kind switch { ReduceKind.Sum => 0, ReduceKind.Max => float.NegativeInfinity, _ => float.PositiveInfinity };

    /// <summary>Sum, max or min of a row.</summary>
    public static float Row(ReduceKind kind, float* x, long n)
    {
        if (kind == ReduceKind.Sum) return Sum<Identical>(x, n);
        float best = Identity(kind);
        int i = 0;
        if (n >= 8)
        {
            var v = Vector256.Load(x);
            for (i = 8; i <= n - 8; i += 8) v = kind == ReduceKind.Max ? Vector256.Max(v, Vector256.Load(x + i)) : Vector256.Min(v, Vector256.Load(x + i));
            for (int lane = 0; lane < 8; lane++) best = kind == ReduceKind.Max ? MathF.Max(best, v[lane]) : MathF.Min(best, v[lane]);
        }
        for (; i < n; i++) best = kind == ReduceKind.Max ? MathF.Max(best, x[i]) : MathF.Min(best, x[i]);
        return best;
    }

    /// <summary>Sum of x*x, the same bits as squaring first and summing then.</summary>
    public static float SumOfSquares(float* x, long n) => Sum<Squared>(x, n);

    /// <summary>y = y ∘ x, element by element.</summary>
    public static void Combine(ReduceKind kind, float* y, float* x, int n)
    {
        var to = new Span<float>(y, n);
        var from = new ReadOnlySpan<float>(x, n);
        if (kind == ReduceKind.Sum) TensorPrimitives.Add(to, from, to);
        else if (kind == ReduceKind.Max) TensorPrimitives.Max(to, from, to);
        else TensorPrimitives.Min(to, from, to);
    }

    private interface ITerm
    {
        static abstract Vector256<float> Of(Vector256<float> x);

        static abstract float Of(float x);
    }

    private readonly struct Identical : ITerm
    {
        public static Vector256<float> Of(Vector256<float> x) => x;

        public static float Of(float x) => x;
    }

    private readonly struct Squared : ITerm
    {
        public static Vector256<float> Of(Vector256<float> x) => x * x;

        public static float Of(float x) => x * x;
    }

    /// <summary>Blocks of 4096 in four vectors of partial sums; block sums are added in order.</summary>
    private static float Sum<T>(float* x, long n) where T : struct, ITerm
    {
        float total = 0;
        for (long start = 0; start < n; start += Block)
        {
            int length = (int)Math.Min(Block, n - start), i = 0;
            float* at = x + start;
            var (s0, s1, s2, s3) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
            for (; i <= length - 32; i += 32)
            {
                s0 += T.Of(Vector256.Load(at + i));
                s1 += T.Of(Vector256.Load(at + i + 8));
                s2 += T.Of(Vector256.Load(at + i + 16));
                s3 += T.Of(Vector256.Load(at + i + 24));
            }
            float sum = Vector256.Sum(s0 + s1 + (s2 + s3));
            for (; i < length; i++) sum += T.Of(at[i]);
            total += sum;
        }
        return total;
    }
}
