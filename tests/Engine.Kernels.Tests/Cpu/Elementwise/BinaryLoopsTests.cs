using Engine.Kernels.Cpu;

namespace Engine.Kernels.Tests.Cpu.Elementwise;

public sealed class BinaryLoopsTests
{
    public static TheoryData<BinaryKind> Kinds => [.. Enum.GetValues<BinaryKind>()];

    public static TheoryData<CompareKind> Comparisons => [.. Enum.GetValues<CompareKind>()];

    private static float Reference(BinaryKind kind, float x, float y) => kind switch
    {
        BinaryKind.Add => x + y,
        BinaryKind.Subtract => x - y,
        BinaryKind.Multiply => x * y,
        BinaryKind.Divide => x / y,
        BinaryKind.Maximum => MathF.Max(x, y),
        BinaryKind.Minimum => MathF.Min(x, y),
        BinaryKind.Power => MathF.Pow(x, y),
        BinaryKind.FloorDivide => MathF.Floor(x / y),
        _ => Modulo(x, y),
    };

    private static float Modulo(float x, float y)
    {
        float product = y * MathF.Floor(x / y);
        return x - product;
    }

    private static int Reference(BinaryKind kind, int x, int y) => kind switch
    {
        BinaryKind.Add => x + y,
        BinaryKind.Subtract => x - y,
        BinaryKind.Multiply => x * y,
        BinaryKind.Divide => y == 0 ? 0 : (int)((long)x / y),
        BinaryKind.Maximum => Math.Max(x, y),
        BinaryKind.Minimum => Math.Min(x, y),
        BinaryKind.FloorDivide => y == 0 ? 0 : unchecked((int)(long)Math.Floor((decimal)x / y)),
        _ => y == 0 ? 0 : (int)(x - y * (long)Math.Floor((decimal)x / y)),
    };

    private static bool Reference(CompareKind kind, double x, double y) => kind switch
    {
        CompareKind.Equal => x == y,
        CompareKind.NotEqual => x != y,
        CompareKind.Less => x < y,
        CompareKind.LessEqual => x <= y,
        CompareKind.Greater => x > y,
        _ => x >= y,
    };

    [Theory, MemberData(nameof(Kinds))]
    public void Floats_at_every_length_and_width(BinaryKind kind)
    {
        float[] x = LoopHarness.Inputs(11), y = LoopHarness.Inputs(12);
        foreach (SimdWidth width in Widths.All)
        {
            float[] z = LoopHarness.EveryLength<float>($"{kind} {width}", (from, n, output) =>
            {
                using var first = new GuardedBuffer<float>(x.AsSpan(from, n), 1);
                using var second = new GuardedBuffer<float>(y.AsSpan(from, n), 3);
                BinaryLoops.Run(kind, first.Span, second.Span, output, width);
                first.Check();
                second.Check();
            });
            for (int i = 0; i < z.Length; i++) Bits.Same(Reference(kind, x[i], y[i]), z[i], $"{kind}({x[i]:R}, {y[i]:R}) {width}");
            foreach (float scalar in new[] { 0.75f, -0f, float.NaN, float.NegativeInfinity })
            {
                z = LoopHarness.EveryLength<float, float>($"{kind} scalar {width}", x, (a, output) => BinaryLoops.Run(kind, a, scalar, output, width));
                for (int i = 0; i < z.Length; i++) Bits.Same(Reference(kind, x[i], scalar), z[i], $"{kind}({x[i]:R}, scalar {scalar:R}) {width}");
                z = LoopHarness.EveryLength<float, float>($"{kind} scalar {width}", x, (a, output) => BinaryLoops.Run(kind, scalar, a, output, width));
                for (int i = 0; i < z.Length; i++) Bits.Same(Reference(kind, scalar, x[i]), z[i], $"{kind}(scalar {scalar:R}, {x[i]:R}) {width}");
            }
        }
    }

    [Theory, MemberData(nameof(Kinds))]
    public void Ints_at_every_length_and_width(BinaryKind kind)
    {
        int[] x = LoopHarness.Integers(13), y = LoopHarness.Integers(14);
        if (kind == BinaryKind.Power)
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => BinaryLoops.Run(kind, x, y, new int[x.Length]));
            return;
        }
        foreach (SimdWidth width in Widths.All)
        {
            int[] z = LoopHarness.EveryLength<int>($"{kind} {width}", (from, n, output) => BinaryLoops.Run(kind, x.AsSpan(from, n), y.AsSpan(from, n), output, width));
            for (int i = 0; i < z.Length; i++) Assert.True(Reference(kind, x[i], y[i]) == z[i], $"{kind}({x[i]}, {y[i]}) is {z[i]}");
            foreach (int scalar in new[] { 0, -1, 3, int.MinValue })
            {
                z = LoopHarness.EveryLength<int, int>($"{kind} scalar {width}", x, (a, output) => BinaryLoops.Run(kind, a, scalar, output, width));
                for (int i = 0; i < z.Length; i++) Assert.True(Reference(kind, x[i], scalar) == z[i], $"{kind}({x[i]}, scalar {scalar}) is {z[i]}");
                z = LoopHarness.EveryLength<int, int>($"{kind} scalar {width}", x, (a, output) => BinaryLoops.Run(kind, scalar, a, output, width));
                for (int i = 0; i < z.Length; i++) Assert.True(Reference(kind, scalar, x[i]) == z[i], $"{kind}(scalar {scalar}, {x[i]}) is {z[i]}");
            }
        }
    }

    [Theory, MemberData(nameof(Kinds))]
    public void The_output_may_be_either_input(BinaryKind kind)
    {
        float[] x = LoopHarness.Inputs(15), y = LoopHarness.Inputs(16), z = new float[x.Length];
        BinaryLoops.Run(kind, x, y, z);
        float[] first = [.. x], second = [.. y];
        BinaryLoops.Run(kind, first, y, first);
        BinaryLoops.Run(kind, x, second, second);
        Bits.Equal(z, first, $"{kind} in place of x");
        Bits.Equal(z, second, $"{kind} in place of y");
    }

    [Theory, MemberData(nameof(Comparisons))]
    public void Comparisons_at_every_length_and_width(CompareKind kind)
    {
        float[] x = LoopHarness.Inputs(17), y = LoopHarness.Inputs(18);
        for (int i = 0; i < y.Length; i += 4) y[i] = x[i];
        int[] p = LoopHarness.Integers(19), q = LoopHarness.Integers(20);
        foreach (SimdWidth width in Widths.All)
        {
            byte[] z = LoopHarness.EveryLength<byte>($"{kind} {width}", (from, n, output) => CompareLoops.Run(kind, x.AsSpan(from, n), y.AsSpan(from, n), output, width));
            for (int i = 0; i < z.Length; i++) Assert.True((Reference(kind, x[i], y[i]) ? 1 : 0) == z[i], $"{kind}({x[i]:R}, {y[i]:R}) is {z[i]}");
            z = LoopHarness.EveryLength<byte>($"{kind} {width}", (from, n, output) => CompareLoops.Run(kind, p.AsSpan(from, n), q.AsSpan(from, n), output, width));
            for (int i = 0; i < z.Length; i++) Assert.True((Reference(kind, p[i], q[i]) ? 1 : 0) == z[i], $"{kind}({p[i]}, {q[i]}) is {z[i]}");
            foreach (float scalar in new[] { 0f, 1.5f, float.NaN, float.PositiveInfinity })
            {
                z = LoopHarness.EveryLength<float, byte>($"{kind} {width}", x, (a, output) => CompareLoops.Run(kind, a, scalar, output, width));
                for (int i = 0; i < z.Length; i++) Assert.True((Reference(kind, x[i], scalar) ? 1 : 0) == z[i], $"{kind}({x[i]:R}, {scalar:R}) is {z[i]}");
                z = LoopHarness.EveryLength<float, byte>($"{kind} {width}", x, (a, output) => CompareLoops.Run(kind, scalar, a, output, width));
                for (int i = 0; i < z.Length; i++) Assert.True((Reference(kind, scalar, x[i]) ? 1 : 0) == z[i], $"{kind}({scalar:R}, {x[i]:R}) is {z[i]}");
            }
            foreach (int scalar in new[] { 0, -1, int.MaxValue })
            {
                z = LoopHarness.EveryLength<int, byte>($"{kind} {width}", p, (a, output) => CompareLoops.Run(kind, a, scalar, output, width));
                for (int i = 0; i < z.Length; i++) Assert.True((Reference(kind, p[i], scalar) ? 1 : 0) == z[i], $"{kind}({p[i]}, {scalar}) is {z[i]}");
                z = LoopHarness.EveryLength<int, byte>($"{kind} {width}", p, (a, output) => CompareLoops.Run(kind, scalar, a, output, width));
                for (int i = 0; i < z.Length; i++) Assert.True((Reference(kind, scalar, p[i]) ? 1 : 0) == z[i], $"{kind}({scalar}, {p[i]}) is {z[i]}");
            }
        }
    }

    [Fact]
    public void Lengths_must_agree()
    {
        Assert.Throws<ArgumentException>(() => BinaryLoops.Run(BinaryKind.Add, new float[3], new float[3], new float[4]));
        Assert.Throws<ArgumentException>(() => BinaryLoops.Run(BinaryKind.Add, new float[3], new float[2], new float[3]));
        Assert.Throws<ArgumentException>(() => BinaryLoops.Run(BinaryKind.Add, new float[3], 1f, new float[2]));
        Assert.Throws<ArgumentException>(() => CompareLoops.Run(CompareKind.Less, new float[3], 1f, new byte[2]));
    }
}
