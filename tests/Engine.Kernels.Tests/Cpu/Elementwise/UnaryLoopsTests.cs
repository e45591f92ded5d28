using Engine.Kernels.Cpu;

namespace Engine.Kernels.Tests.Cpu.Elementwise;

public sealed class UnaryLoopsTests
{
    public static TheoryData<UnaryKind> Kinds => [.. Enum.GetValues<UnaryKind>()];

    private static float[] Run(UnaryKind kind, params float[] x)
    {
        float[] y = new float[x.Length];
        UnaryLoops.Run(kind, x, y);
        return y;
    }

    [Theory, MemberData(nameof(Kinds))]
    public void An_element_depends_on_its_value_alone(UnaryKind kind)
    {
        float[]? first = null;
        foreach (SimdWidth width in Widths.All)
        {
            float[] result = LoopHarness.EveryLength<float, float>($"{kind} {width}", LoopHarness.Inputs(7), (x, y) => UnaryLoops.Run(kind, x, y, width));
            // The functions are the same at each width; only which NaN comes out may differ.
            first ??= result;
            for (int i = 0; i < result.Length; i++) Bits.Same(first[i], result[i], $"{kind} {width} of element {i}");
        }
    }

    [Theory, MemberData(nameof(Kinds))]
    public void The_output_may_be_the_input(UnaryKind kind)
    {
        float[] x = LoopHarness.Inputs(8), y = Run(kind, x);
        for (int length = 0; length <= x.Length; length += length < 70 ? 1 : 17)
        {
            using var buffer = new GuardedBuffer<float>(x.AsSpan(0, length));
            UnaryLoops.Run(kind, buffer.Span, buffer.Span);
            buffer.Check();
            Bits.Equal(y.AsSpan(0, length), buffer.Span, kind.ToString());
        }
    }

    /// <summary>Long spans begin with the elements before an aligned address: a second way through the loops.</summary>
    [Fact]
    public void Long_spans_give_the_same_bits_at_every_alignment()
    {
        float[] x = [.. LoopHarness.Inputs(9), .. LoopHarness.Inputs(10), .. LoopHarness.Inputs(11)], y = new float[x.Length], sum = new float[x.Length];
        Array.Reverse(x, 100, 500);
        foreach (SimdWidth width in Widths.All)
            foreach (UnaryKind kind in Enum.GetValues<UnaryKind>())
            {
                for (int i = 0; i < x.Length; i++)
                {
                    UnaryLoops.Run(kind, x.AsSpan(i, 1), y.AsSpan(i, 1), width);
                    BinaryLoops.Run(BinaryKind.Add, x.AsSpan(i, 1), y.AsSpan(i, 1), sum.AsSpan(i, 1), width);
                }
                for (int misalignment = 0; misalignment < 17; misalignment++)
                {
                    int length = x.Length - 11 * misalignment;
                    using GuardedBuffer<float> from = new(x.AsSpan(0, length), misalignment % 5), to = new(length, misalignment), total = new(length, misalignment);
                    UnaryLoops.Run(kind, from.Span, to.Span, width);
                    BinaryLoops.Run(BinaryKind.Add, from.Span, to.Span, total.Span, width);
                    UnaryLoops.Run(kind, from.Span, from.Span, width);
                    from.Check();
                    to.Check();
                    total.Check();
                    Bits.Equal(y.AsSpan(0, length), to.Span, $"{kind} {width}");
                    Bits.Equal(y.AsSpan(0, length), from.Span, $"{kind} {width} in place");
                    Bits.Equal(sum.AsSpan(0, length), total.Span, $"x + {kind} {width}");
                    BinaryLoops.Run(BinaryKind.Subtract, total.Span, 1.5f, total.Span, width);
                    for (int i = 0; i < length; i++) Bits.Same(sum[i] - 1.5f, total.Span[i], $"{width} scalar");
                    total.Check();
                }
            }
    }

    public static TheoryData<UnaryKind, double> Bounds => new()
    {
        { UnaryKind.Exp, 1 }, { UnaryKind.Expm1, 1.5 }, { UnaryKind.Log, 1 }, { UnaryKind.Log1p, 1.5 }, { UnaryKind.Sin, 1.5 }, { UnaryKind.Cos, 1.5 },
        { UnaryKind.Tanh, 1.5 }, { UnaryKind.Sigmoid, 2.5 }, { UnaryKind.Softplus, 2 }, { UnaryKind.Erf, 1 }, { UnaryKind.Rsqrt, 1.5 },
        { UnaryKind.Sqrt, 0.5 }, { UnaryKind.Reciprocal, 0.5 }, { UnaryKind.Square, 0.5 },
    };

    /// <summary>The documented bounds, over every 509th of all floats and densely where most arguments are.</summary>
    [Theory, MemberData(nameof(Bounds))]
    public void Errors_are_within_the_documented_bounds(UnaryKind kind, double bound)
    {
        float[] x = new float[1 << 14], y = new float[1 << 14];
        int count = 0;
        double worst = 0, worstNaive = 0;
        float at = 0;
        for (ulong bits = 0; bits < 1UL << 32; bits += 509) Add(BitConverter.UInt32BitsToSingle((uint)bits));
        for (int i = -300_000; i <= 300_000; i++) Add(i * 3.3e-5f);
        Flush();
        Assert.True(worst <= bound, $"{kind} errs by {worst:F3} ulp at {at:R}; documented are {bound}");
        // Where the naive formula loses all digits it says nothing; elsewhere it is the measure.
        Assert.True(worst <= Math.Max(2, 2 * worstNaive), $"{kind}: {worst:F3} ulp, naive {worstNaive:F3}");

        void Add(float value)
        {
            x[count++] = value;
            if (count == x.Length) Flush();
        }

        void Flush()
        {
            UnaryLoops.Run(kind, x.AsSpan(0, count), y.AsSpan(0, count));
            for (int i = 0; i < count; i++)
            {
                double exact = Exact(kind, x[i]), error = LoopHarness.Ulps(exact, y[i]);
                if (error > worst) (worst, at) = (error, x[i]);
                if (kind == UnaryKind.Sigmoid && x[i] > -80) worstNaive = Math.Max(worstNaive, LoopHarness.Ulps(exact, 1 / (1 + MathF.Exp(-x[i]))));
            }
            count = 0;
        }
    }

    private static double Exact(UnaryKind kind, double x) => kind switch
    {
        UnaryKind.Exp => Math.Exp(x),
        UnaryKind.Expm1 => Expm1(x),
        UnaryKind.Log => Math.Log(x),
        UnaryKind.Log1p => Log1p(x),
        UnaryKind.Sin => Math.Sin(x),
        UnaryKind.Cos => Math.Cos(x),
        UnaryKind.Tanh => Math.Tanh(x),
        UnaryKind.Sigmoid => x >= 0 ? 1 / (1 + Math.Exp(-x)) : Math.Exp(x) / (1 + Math.Exp(x)),
        UnaryKind.Softplus => Math.Max(x, 0) + Log1p(Math.Exp(-Math.Abs(x))),
        UnaryKind.Erf => Erf(x),
        UnaryKind.Rsqrt => 1 / Math.Sqrt(x),
        UnaryKind.Sqrt => Math.Sqrt(x),
        UnaryKind.Reciprocal => 1 / x,
        _ => x * x,
    };

    // Kahan's correction of log(1+x) and the identity of expm1 with tanh: float64 to a few of its ulps.
    private static double Log1p(double x)
    {
        double sum = 1 + x;
        return sum == 1 || double.IsInfinity(sum) ? x : Math.Log(sum) * (x / (sum - 1));
    }

    private static double Expm1(double x)
    {
        if (Math.Abs(x) > 0.5 || double.IsNaN(x)) return Math.Exp(x) - 1;
        double t = Math.Tanh(x / 2);
        return 2 * t / (1 - t);
    }

    private static double Erf(double x)
    {
        double a = Math.Abs(x);
        if (double.IsNaN(x)) return x;
        if (a > 6) return Math.Sign(x);
        if (a >= 2.5)
        {
            double fraction = 0;
            for (int n = 80; n >= 1; n--) fraction = n / 2.0 / (a + fraction);
            return Math.Sign(x) * (1 - Math.Exp(-a * a) / (Math.Sqrt(Math.PI) * (a + fraction)));
        }
        double term = x, sum = x;
        for (int n = 1; n < 60 && Math.Abs(term) > 1e-18 * Math.Abs(sum); n++)
        {
            term *= -x * x / n;
            sum += term / (2 * n + 1);
        }
        return sum * 2 / Math.Sqrt(Math.PI);
    }

    private const float Inf = float.PositiveInfinity, NaN = float.NaN;

    // Not theory data: its rows would count 0 and -0 as the same.
    private static readonly (UnaryKind Kind, float X, float Expected)[] SpecialArguments =
    [
        (UnaryKind.Negate, 0f, -0f), (UnaryKind.Negate, -Inf, Inf),
        (UnaryKind.Abs, -0f, 0f), (UnaryKind.Abs, -Inf, Inf),
        (UnaryKind.Sign, -0f, -0f), (UnaryKind.Sign, 0f, 0f), (UnaryKind.Sign, -Inf, -1f), (UnaryKind.Sign, 1e-45f, 1f),
        (UnaryKind.Square, -0f, 0f), (UnaryKind.Square, -Inf, Inf),
        (UnaryKind.Reciprocal, -0f, -Inf), (UnaryKind.Reciprocal, -Inf, -0f),
        (UnaryKind.Sqrt, -0f, -0f), (UnaryKind.Sqrt, -1f, NaN), (UnaryKind.Sqrt, Inf, Inf),
        (UnaryKind.Rsqrt, 0f, Inf), (UnaryKind.Rsqrt, -0f, -Inf), (UnaryKind.Rsqrt, Inf, 0f), (UnaryKind.Rsqrt, -1f, NaN),
        (UnaryKind.Exp, 0f, 1f), (UnaryKind.Exp, -0f, 1f), (UnaryKind.Exp, -Inf, 0f), (UnaryKind.Exp, Inf, Inf), (UnaryKind.Exp, 89f, Inf), (UnaryKind.Exp, -104f, 0f), (UnaryKind.Exp, 3e38f, Inf),
        (UnaryKind.Expm1, 0f, 0f), (UnaryKind.Expm1, -0f, -0f), (UnaryKind.Expm1, -Inf, -1f), (UnaryKind.Expm1, Inf, Inf), (UnaryKind.Expm1, 1e-45f, 1e-45f),
        (UnaryKind.Log, 1f, 0f), (UnaryKind.Log, 0f, -Inf), (UnaryKind.Log, -0f, -Inf), (UnaryKind.Log, -1e-45f, NaN), (UnaryKind.Log, Inf, Inf), (UnaryKind.Log, -Inf, NaN),
        (UnaryKind.Log1p, 0f, 0f), (UnaryKind.Log1p, -0f, -0f), (UnaryKind.Log1p, -1f, -Inf), (UnaryKind.Log1p, -1.0000001f, NaN), (UnaryKind.Log1p, Inf, Inf), (UnaryKind.Log1p, -Inf, NaN), (UnaryKind.Log1p, -1e-45f, -1e-45f),
        (UnaryKind.Sin, 0f, 0f), (UnaryKind.Sin, -0f, -0f), (UnaryKind.Sin, Inf, NaN), (UnaryKind.Sin, -Inf, NaN), (UnaryKind.Sin, 1e-45f, 1e-45f),
        (UnaryKind.Cos, 0f, 1f), (UnaryKind.Cos, -0f, 1f), (UnaryKind.Cos, Inf, NaN),
        (UnaryKind.Tanh, 0f, 0f), (UnaryKind.Tanh, -0f, -0f), (UnaryKind.Tanh, Inf, 1f), (UnaryKind.Tanh, -Inf, -1f), (UnaryKind.Tanh, -3e38f, -1f),
        (UnaryKind.Sigmoid, 0f, 0.5f), (UnaryKind.Sigmoid, -0f, 0.5f), (UnaryKind.Sigmoid, Inf, 1f), (UnaryKind.Sigmoid, -Inf, 0f),
        (UnaryKind.Softplus, Inf, Inf), (UnaryKind.Softplus, -Inf, 0f), (UnaryKind.Softplus, 100f, 100f),
        (UnaryKind.Relu, -0f, 0f), (UnaryKind.Relu, -Inf, 0f), (UnaryKind.Relu, Inf, Inf), (UnaryKind.Relu, 1e-45f, 1e-45f),
        (UnaryKind.Erf, 0f, 0f), (UnaryKind.Erf, -0f, -0f), (UnaryKind.Erf, Inf, 1f), (UnaryKind.Erf, -Inf, -1f), (UnaryKind.Erf, 3e38f, 1f),
        (UnaryKind.Floor, -0f, -0f), (UnaryKind.Floor, -0.5f, -1f), (UnaryKind.Floor, -Inf, -Inf), (UnaryKind.Floor, 8388609f, 8388609f),
        (UnaryKind.Round, 0.5f, 0f), (UnaryKind.Round, 1.5f, 2f), (UnaryKind.Round, 2.5f, 2f), (UnaryKind.Round, -0.5f, -0f), (UnaryKind.Round, -2.5f, -2f),
    ];

    [Fact]
    public void Special_arguments()
    {
        foreach ((UnaryKind kind, float x, float expected) in SpecialArguments)
            foreach (SimdWidth width in Widths.All)
            {
                float[] y = new float[1];
                UnaryLoops.Run(kind, [x], y, width);
                Bits.Same(expected, y[0], $"{kind}({x:R}) {width}");
            }
    }

    [Theory, MemberData(nameof(Kinds))]
    public void Not_a_number_stays_not_a_number(UnaryKind kind) => Assert.All(Run(kind, float.NaN, -float.NaN), y => Assert.True(float.IsNaN(y)));

    [Fact]
    public void A_run_allocates_nothing()
    {
        float[] x = LoopHarness.Inputs(3), y = new float[x.Length];
        foreach (UnaryKind kind in Enum.GetValues<UnaryKind>()) UnaryLoops.Run(kind, x, y);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int kind = 0; kind <= (int)UnaryKind.Round; kind++) UnaryLoops.Run((UnaryKind)kind, x, y);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Fact]
    public void Lengths_must_agree()
    {
        Assert.Throws<ArgumentException>(() => UnaryLoops.Run(UnaryKind.Exp, new float[3], new float[4]));
        Assert.Throws<ArgumentOutOfRangeException>(() => UnaryLoops.Run((UnaryKind)99, new float[3], new float[3]));
    }
}
