using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Engine.Kernels.Cpu;

/// <summary>
/// Functions of one number over spans. An element's result depends on its value alone, not on where it stands, so that a range can be split
/// between threads anywhere. Functions the platform lacks, or computes with less care than a float deserves, are computed eight at a time in float64.
/// </summary>
internal static class UnaryLoops
{
    /// <summary>y = f(x); y may be x.</summary>
    public static void Run(UnaryKind kind, ReadOnlySpan<float> x, Span<float> y)
    {
        switch (kind)
        {
            case UnaryKind.Negate: TensorPrimitives.Negate(x, y); break;
            case UnaryKind.Abs: TensorPrimitives.Abs(x, y); break;
            case UnaryKind.Sign: Sign(x, y); break;
            case UnaryKind.Square: TensorPrimitives.Multiply(x, x, y); break;
            case UnaryKind.Reciprocal: TensorPrimitives.Divide(1f, x, y); break;
            case UnaryKind.Sqrt: TensorPrimitives.Sqrt(x, y); break;
            case UnaryKind.Rsqrt:
                TensorPrimitives.Sqrt(x, y);
                TensorPrimitives.Divide(1f, y, y);
                break;
            case UnaryKind.Relu: TensorPrimitives.Max(x, 0f, y); break;
            case UnaryKind.Floor: TensorPrimitives.Floor(x, y); break;
            case UnaryKind.Round: TensorPrimitives.Round(x, y); break;
            case UnaryKind.Exp: Wide<ExpOp>(x, y); break;
            case UnaryKind.Log: Wide<LogOp>(x, y); break;
            case UnaryKind.Sin:
                // One by one: the platform's vector code switches to scalar code for a whole vector if one element is large,
                // so a result would depend on its neighbours.
                for (int i = 0; i < x.Length; i++) y[i] = (float)Math.Sin(x[i]);
                break;
            case UnaryKind.Cos:
                for (int i = 0; i < x.Length; i++) y[i] = (float)Math.Cos(x[i]);
                break;
            case UnaryKind.Expm1: Wide<Expm1Op>(x, y); break;
            case UnaryKind.Log1p: Wide<Log1pOp>(x, y); break;
            case UnaryKind.Tanh: Wide<TanhOp>(x, y); break;
            case UnaryKind.Sigmoid: Wide<SigmoidOp>(x, y); break;
            case UnaryKind.Softplus: Wide<SoftplusOp>(x, y); break;
            case UnaryKind.Erf:
                for (int i = 0; i < x.Length; i++) y[i] = (float)ErfTable.At(x[i]);
                break;
            default: throw new NotSupportedException(kind.ToString());
        }
    }

    /// <summary>The function of one number, the same bits as in a span.</summary>
    public static float Scalar(UnaryKind kind, float x)
    {
        Span<float> one = [x];
        Run(kind, one, one);
        return one[0];
    }

    private static void Sign(ReadOnlySpan<float> x, Span<float> y)
    {
        for (int i = 0; i < x.Length; i++) y[i] = float.IsNaN(x[i]) || x[i] == 0 ? x[i] : x[i] > 0 ? 1 : -1;
    }

    // ---- eight lanes of float64 ----

    private interface IWideOp
    {
        static abstract Vector512<double> Invoke(Vector512<double> x);
    }

    private static void Wide<T>(ReadOnlySpan<float> x, Span<float> y) where T : struct, IWideOp
    {
        ref float from = ref MemoryMarshal.GetReference(x);
        ref float to = ref MemoryMarshal.GetReference(y);
        int i = 0;
        for (; i <= x.Length - 8; i += 8) Eight<T>(Vector256.LoadUnsafe(ref from, (nuint)i)).StoreUnsafe(ref to, (nuint)i);
        if (i == x.Length) return;
        Span<float> tail = stackalloc float[8];
        tail.Clear();
        x[i..].CopyTo(tail);
        Eight<T>(Vector256.Create<float>(tail)).CopyTo(tail);
        tail[..(x.Length - i)].CopyTo(y[i..]);
    }

    private static Vector256<float> Eight<T>(Vector256<float> x) where T : struct, IWideOp
    {
        var (low, high) = Vector256.Widen(x);
        var r = T.Invoke(Vector512.Create(low, high));
        return Vector256.Narrow(r.GetLower(), r.GetUpper());
    }

    private static Vector512<double> Of(double x) => Vector512.Create(x);

    /// <summary>e^x - 1: near 0 by its series, whose next term is below half a float ulp.</summary>
    private static Vector512<double> Expm1(Vector512<double> x)
    {
        var series = x * (Of(1) + x * (Of(0.5) + x * Of(1.0 / 6)));
        return Vector512.ConditionalSelect(Vector512.LessThan(Vector512.Abs(x), Of(1e-3)), series, Vector512.Exp(x) - Of(1));
    }

    /// <summary>log(1 + x), likewise.</summary>
    private static Vector512<double> Log1p(Vector512<double> x)
    {
        var series = x * (Of(1) - x * (Of(0.5) - x * Of(1.0 / 3)));
        return Vector512.ConditionalSelect(Vector512.LessThan(Vector512.Abs(x), Of(1e-3)), series, Vector512.Log(Of(1) + x));
    }

    // The platform's float32 exponential gives e^0 = 1 + 1 ulp; probabilities and log-sum-exp need it exact.
    private readonly struct ExpOp : IWideOp { public static Vector512<double> Invoke(Vector512<double> x) => Vector512.Exp(x); }

    private readonly struct LogOp : IWideOp { public static Vector512<double> Invoke(Vector512<double> x) => Vector512.Log(x); }

    private readonly struct Expm1Op : IWideOp { public static Vector512<double> Invoke(Vector512<double> x) => Expm1(x); }

    private readonly struct Log1pOp : IWideOp
    {
        public static Vector512<double> Invoke(Vector512<double> x) =>
            // The vector logarithm does not promise its value at the edges of the domain.
            Vector512.ConditionalSelect(Vector512.Equals(x, Of(-1)), Of(double.NegativeInfinity),
                Vector512.ConditionalSelect(Vector512.Equals(x, Of(double.PositiveInfinity)), x, Log1p(x)));
    }

    private readonly struct TanhOp : IWideOp
    {
        public static Vector512<double> Invoke(Vector512<double> x)
        {
            // e = e^(-2|x|) - 1 stays in (-1, 0]: no overflow, and exact at 0.
            var e = Expm1(Of(-2) * Vector512.Abs(x));
            var t = -e / (Of(2) + e);
            // The sign bit decides, so that tanh(-0) is -0.
            return t ^ (x & Of(-0.0));
        }
    }

    private readonly struct SigmoidOp : IWideOp
    {
        public static Vector512<double> Invoke(Vector512<double> x) => Of(1) / (Of(1) + Vector512.Exp(-x));
    }

    private readonly struct SoftplusOp : IWideOp
    {
        public static Vector512<double> Invoke(Vector512<double> x) => Vector512.Max(x, Of(0)) + Log1p(Vector512.Exp(-Vector512.Abs(x)));
    }

    /// <summary>The error function from Taylor polynomials around the middles of intervals of 1/16, made from the reference series.</summary>
    private static class ErfTable
    {
        private const int PerUnit = 16, Degree = 7, End = 6;
        private static readonly double[] Coefficients = Make();

        private static double[] Make()
        {
            var table = new double[PerUnit * End * (Degree + 1)];
            for (int cell = 0; cell < PerUnit * End; cell++)
            {
                double c = (cell + 0.5) / PerUnit, factor = 2 / Math.Sqrt(Math.PI) * Math.Exp(-c * c), factorial = 1;
                table[cell * (Degree + 1)] = Scalars.Erf(c);
                // Derivative n+1 of erf is factor * (-1)^n H_n(c), with the Hermite polynomials H_n.
                double previous = 0, hermite = 1;
                for (int n = 0; n < Degree; n++)
                {
                    factorial *= n + 1;
                    table[cell * (Degree + 1) + n + 1] = factor * (n % 2 == 0 ? hermite : -hermite) / factorial;
                    (previous, hermite) = (hermite, 2 * c * hermite - 2 * n * previous);
                }
            }
            return table;
        }

        public static double At(double x)
        {
            double a = Math.Abs(x);
            if (double.IsNaN(x)) return x;
            if (a >= End) return Math.CopySign(1, x);
            if (a < 0.0625) return 2 / Math.Sqrt(Math.PI) * x * (1 - x * x * (1.0 / 3 - x * x * (0.1 - x * x / 42)));
            int cell = (int)(a * PerUnit);
            double d = a - (cell + 0.5) / PerUnit, sum = 0;
            var c = Coefficients.AsSpan(cell * (Degree + 1), Degree + 1);
            for (int n = Degree; n >= 0; n--) sum = sum * d + c[n];
            return Math.CopySign(sum, x);
        }
    }
}
