using Engine.Kernels.Cpu;

namespace Engine.Kernels.Tests.Cpu;

/// <summary>Vector loops at every length, at unaligned starts, with special values, and independent of where an element stands.</summary>
public class LoopTests
{
    private const int Longest = 257;
    private static readonly float[] Special = [0f, -0f, 1f, -1f, float.NaN, -float.NaN, float.PositiveInfinity, float.NegativeInfinity, float.Epsilon, -float.Epsilon, 1e-40f, float.MaxValue, float.MinValue, 1e-20f, 88.8f, -88.8f, -104f, 0.5f, -0.5f, 2.5f];

    private static float[] Values(int n, int seed)
    {
        var stream = new PhiloxStream((ulong)seed, "loops");
        return Enumerable.Range(0, n).Select(_ => stream.NextUnit() < 0.1 ? Special[stream.NextInt(Special.Length)] : (float)stream.NextUniform(-4, 4)).ToArray();
    }

    private static bool Same(float a, float b) => (float.IsNaN(a) && float.IsNaN(b)) || BitConverter.SingleToInt32Bits(a) == BitConverter.SingleToInt32Bits(b);

    public static TheoryData<UnaryKind> UnaryKinds() => new(Enum.GetValues<UnaryKind>());

    public static TheoryData<BinaryKind> BinaryKinds() => new(Enum.GetValues<BinaryKind>());

    public static TheoryData<CompareKind> CompareKinds() => new(Enum.GetValues<CompareKind>());

    [Theory]
    [MemberData(nameof(UnaryKinds))]
    public void Unary_loops_do_not_depend_on_length_or_place(UnaryKind kind)
    {
        for (int n = 0; n <= Longest; n++)
        {
            var x = Values(n + 8, n);
            int start = n % 8;
            var y = new float[n + 8];
            Array.Fill(y, 777f);
            UnaryLoops.Run(kind, x.AsSpan(start, n), y.AsSpan(start, n));
            for (int i = 0; i < y.Length; i++)
                if (i < start || i >= start + n) Assert.Equal(777f, y[i]);
                else Assert.True(Same(UnaryLoops.Scalar(kind, x[i]), y[i]), $"{kind}({x[i]:R}) is {y[i]:R} in a span of {n} and {UnaryLoops.Scalar(kind, x[i]):R} alone");
            UnaryLoops.Run(kind, x.AsSpan(start, n), x.AsSpan(start, n)); // in place
            for (int i = start; i < start + n; i++) Assert.True(Same(x[i], y[i]));
        }
    }

    [Theory]
    [MemberData(nameof(UnaryKinds))]
    public void Unary_special_values_are_those_of_the_definition(UnaryKind kind)
    {
        var op = new Unary(kind);
        foreach (float x in Special)
        {
            double expected = op.Scalar((double)x);
            float actual = UnaryLoops.Scalar(kind, x), rounded = (float)expected;
            double ulp = Math.Abs((double)MathF.BitIncrement(MathF.Abs(rounded)) - MathF.Abs(rounded));
            bool close = float.IsNaN(rounded) ? float.IsNaN(actual) : actual == rounded || Math.Abs(actual - expected) <= 2 * ulp;
            // Sines of numbers beyond float32's argument reduction are not meaningful.
            if (kind is UnaryKind.Sin or UnaryKind.Cos && MathF.Abs(x) > 1e6f && float.IsFinite(x)) continue;
            Assert.True(close, $"{kind}({x:R}) is {actual:R}, expected {expected:R}");
        }
    }

    [Theory]
    [InlineData(UnaryKind.Exp, -87, 88)]
    [InlineData(UnaryKind.Expm1, -20, 20)]
    [InlineData(UnaryKind.Expm1, -0.01, 0.01)]
    [InlineData(UnaryKind.Log, 1e-6, 100)]
    [InlineData(UnaryKind.Log, 0.99, 1.01)]
    [InlineData(UnaryKind.Log1p, -0.999, 100)]
    [InlineData(UnaryKind.Log1p, -1e-4, 1e-4)]
    [InlineData(UnaryKind.Sin, -50, 50)]
    [InlineData(UnaryKind.Cos, -50, 50)]
    [InlineData(UnaryKind.Tanh, -10, 10)]
    [InlineData(UnaryKind.Tanh, -0.002, 0.002)]
    [InlineData(UnaryKind.Sigmoid, -80, 80)]
    [InlineData(UnaryKind.Softplus, -80, 80)]
    [InlineData(UnaryKind.Erf, -5, 5)]
    [InlineData(UnaryKind.Erf, -0.2, 0.2)]
    public void Functions_are_within_two_ulp(UnaryKind kind, double low, double high)
    {
        var op = new Unary(kind);
        var stream = new PhiloxStream(9, kind.ToString());
        var x = Enumerable.Range(0, 20_000).Select(_ => (float)stream.NextUniform(low, high)).ToArray();
        var y = new float[x.Length];
        UnaryLoops.Run(kind, x, y);
        for (int i = 0; i < x.Length; i++)
        {
            double expected = op.Scalar((double)x[i]);
            float magnitude = MathF.Abs((float)expected);
            double ulp = (double)MathF.BitIncrement(magnitude) - magnitude;
            Assert.True(Math.Abs(y[i] - expected) <= 2 * ulp, $"{kind}({x[i]:R}) is {y[i]:R}, expected {expected:R}: {Math.Abs(y[i] - expected) / ulp:F2} ulp");
        }
    }

    [Theory]
    [MemberData(nameof(BinaryKinds))]
    public void Binary_loops_equal_the_definition_at_every_length(BinaryKind kind)
    {
        var op = new Binary(kind);
        for (int n = 0; n <= Longest; n++)
        {
            float[] x = Values(n, n), y = Values(n, n + 1000), z = new float[n + 2];
            void Check(Func<int, float> a, Func<int, float> b)
            {
                Assert.Equal(0, z[0]);
                Assert.Equal(0, z[^1]);
                for (int i = 0; i < n; i++) Assert.True(Same(op.Scalar(a(i), b(i)), z[i + 1]), $"{kind}({a(i):R}, {b(i):R}) is {z[i + 1]:R}");
            }
            BinaryLoops.Run(kind, x, y, z.AsSpan(1, n));
            Check(i => x[i], i => y[i]);
            float scalar = Special[n % Special.Length];
            BinaryLoops.Run(kind, x, scalar, z.AsSpan(1, n));
            Check(i => x[i], _ => scalar);
            BinaryLoops.Run(kind, scalar, x, z.AsSpan(1, n));
            Check(_ => scalar, i => x[i]);
        }
    }

    [Theory]
    [MemberData(nameof(CompareKinds))]
    public unsafe void Comparisons_and_selections_equal_the_definition_at_every_length(CompareKind kind)
    {
        var op = new Compare(kind);
        for (int n = 0; n <= Longest; n++)
        {
            float[] x = Values(n + 1, n), y = Values(n + 1, n + 500);
            var z = new byte[n + 1];
            z[n] = 99;
            foreach (var (rx, ry) in new[] { (false, false), (true, false), (false, true) })
            {
                fixed (float* px = x, py = y)
                fixed (byte* pz = z) CompareLoops.Run(kind, px, rx, py, ry, pz, n);
                for (int i = 0; i < n; i++) Assert.Equal(op.Scalar(x[rx ? 0 : i], y[ry ? 0 : i]) ? 1 : 0, z[i]);
                Assert.Equal(99, z[n]);
                int[] a = Enumerable.Range(1, n + 1).ToArray(), b = Enumerable.Range(1001, n + 1).ToArray(), selected = new int[n + 1];
                fixed (int* pa = a, pb = b, ps = selected)
                fixed (byte* pz = z) SelectLoops.Run(pz, pa, rx, pb, ry, ps, n);
                for (int i = 0; i < n; i++) Assert.Equal(z[i] != 0 ? a[rx ? 0 : i] : b[ry ? 0 : i], selected[i]);
                Assert.Equal(0, selected[n]);
            }
        }
    }

    [Fact]
    public unsafe void Row_reductions_at_every_length()
    {
        for (int n = 0; n <= Longest; n++)
        {
            var stream = new PhiloxStream((ulong)n, "rows");
            var x = Enumerable.Range(0, n).Select(_ => (float)stream.NextNormal()).ToArray();
            fixed (float* p = x)
            {
                double sum = x.Sum(v => (double)v), naive = x.Aggregate(0f, (a, v) => a + v);
                Assert.True(Math.Abs(ReductionLoops.Row(ReduceKind.Sum, p, n) - sum) <= Math.Max(2 * Math.Abs(naive - sum), 1e-6 * Math.Sqrt(n + 1)));
                Assert.Equal(n == 0 ? float.NegativeInfinity : x.Max(), ReductionLoops.Row(ReduceKind.Max, p, n));
                Assert.Equal(n == 0 ? float.PositiveInfinity : x.Min(), ReductionLoops.Row(ReduceKind.Min, p, n));
                if (n == 0) continue;
                x[n / 2] = float.NaN;
                Assert.True(float.IsNaN(ReductionLoops.Row(ReduceKind.Max, p, n)) && float.IsNaN(ReductionLoops.Row(ReduceKind.Min, p, n)) && float.IsNaN(ReductionLoops.Row(ReduceKind.Sum, p, n)));
            }
        }
    }
}
