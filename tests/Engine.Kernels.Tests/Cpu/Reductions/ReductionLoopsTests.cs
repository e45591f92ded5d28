using Engine.Kernels.Cpu;
using Engine.Kernels.Tests.Cpu.Elementwise;

namespace Engine.Kernels.Tests.Cpu.Reductions;

public sealed class ReductionLoopsTests
{
    private static float[] Numbers(int length, int seed)
    {
        var random = new Random(seed);
        float[] x = new float[length];
        for (int i = 0; i < length; i++) x[i] = random.NextSingle() * 2 - 0.9f;
        return x;
    }

    [Fact]
    public void Sums_err_no_more_than_a_naive_loop_may()
    {
        foreach (SimdWidth width in Widths.All)
            for (int length = 0; length <= 9000; length = length < 300 ? length + 1 : length * 5 / 4)
            {
                double worst = 0, worstNaive = 0, size = 0;
                for (int trial = 0; trial < 5; trial++)
                {
                    using var x = new GuardedBuffer<float>(Numbers(length, length + 1000 * trial), 1 + length % 7);
                    double exact = 0, absolute = 0;
                    float naive = 0;
                    foreach (float value in x.Span)
                    {
                        exact += value;
                        absolute += Math.Abs(value);
                        naive += value;
                    }
                    float sum = ReductionLoops.Sum(x.Span, width);
                    Assert.Equal(Bits.Of(sum), Bits.Of(ReductionLoops.Sum(x.Span.ToArray(), width)));
                    worst = Math.Max(worst, Math.Abs(sum - exact));
                    worstNaive = Math.Max(worstNaive, Math.Abs(naive - exact));
                    size = Math.Max(size, absolute);
                    x.Check();
                }
                Assert.True(worst <= worstNaive + size * Math.Pow(2, -24), $"{width}, length {length}: {worst:E2}, naive {worstNaive:E2}");
            }
    }

    [Fact]
    public void Long_sums_keep_their_digits()
    {
        float[] x = new float[10_000_000];
        Array.Fill(x, 0.1f);
        double exact = 0.1f * 1e7;
        foreach (SimdWidth width in Widths.All) Assert.InRange(ReductionLoops.Sum(x, width) / exact, 1 - 1e-6, 1 + 1e-6);
    }

    [Fact]
    public void Extremes_and_their_positions_at_every_length_and_place()
    {
        foreach (SimdWidth width in Widths.All)
            for (int length = 1; length <= LoopHarness.MaxLength; length++)
                for (int place = 0; place < length; place += 1 + length / 40)
                {
                    using var x = new GuardedBuffer<float>(Numbers(length, length), 1 + length % 5);
                    foreach (float extreme in new[] { 5f, float.PositiveInfinity, float.NaN })
                    {
                        x.Span[place] = extreme;
                        // A second one, further on, must not win.
                        if (place + 7 < length) x.Span[place + 7] = extreme;
                        Bits.Same(extreme, ReductionLoops.Max(x.Span, width), $"max of {length}, {width}");
                        Assert.Equal(place, ReductionLoops.ArgMax(x.Span, width));
                        for (int i = 0; i < length; i++) x.Span[i] = -x.Span[i];
                        Bits.Same(-extreme, ReductionLoops.Min(x.Span, width), $"min of {length}, {width}");
                        Assert.Equal(place, ReductionLoops.ArgMin(x.Span, width));
                        for (int i = 0; i < length; i++) x.Span[i] = -x.Span[i];
                    }
                    x.Check();
                }
    }

    [Fact]
    public void Empty_rows_and_zeros()
    {
        foreach (SimdWidth width in Widths.All)
        {
            Assert.Equal(0f, ReductionLoops.Sum([], width));
            Assert.Equal(float.NegativeInfinity, ReductionLoops.Max([], width));
            Assert.Equal(float.PositiveInfinity, ReductionLoops.Min([], width));
            Assert.Throws<ArgumentException>(() => ReductionLoops.ArgMax([], width));
            Assert.Throws<ArgumentException>(() => ReductionLoops.ArgMin([], width));
            Assert.Equal(0u, Bits.Of(ReductionLoops.Max([-0f, 0f, -0f], width)));
            Assert.Equal(0x80000000u, Bits.Of(ReductionLoops.Min([0f, -0f, 0f], width)));
            Assert.Equal(0, ReductionLoops.ArgMax([-0f, 0f], width));
            Assert.Equal(0, ReductionLoops.ArgMin([0f, -0f], width));
            Assert.Equal(float.NegativeInfinity, ReductionLoops.Max([float.NegativeInfinity], width));
            Assert.True(float.IsNaN(ReductionLoops.Sum([1, float.PositiveInfinity, float.NegativeInfinity], width)));
        }
    }

    [Fact]
    public void Rows_are_taken_into_accumulators()
    {
        float[] x = LoopHarness.Inputs(41), y = LoopHarness.Inputs(42);
        Check((a, b) => ReductionLoops.AddInto(a, b), (a, b) => a + b);
        Check((a, b) => ReductionLoops.MaxInto(a, b), MathF.Max);
        Check((a, b) => ReductionLoops.MinInto(a, b), MathF.Min);

        void Check(Action<float[], float[]> loop, Func<float, float, float> reference)
        {
            for (int length = 0; length <= x.Length; length++)
            {
                float[] total = x[..length];
                loop(total, y[..length]);
                for (int i = 0; i < length; i++) Bits.Same(reference(x[i], y[i]), total[i], $"element {i} of {length}");
            }
        }
    }

    [Fact]
    public void A_reduction_allocates_nothing()
    {
        float[] x = Numbers(5000, 1);
        float total = ReductionLoops.Sum(x) + ReductionLoops.Max(x) + ReductionLoops.ArgMin(x);
        long before = GC.GetAllocatedBytesForCurrentThread();
        total += ReductionLoops.Sum(x) + ReductionLoops.Max(x) + ReductionLoops.ArgMin(x);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
        Assert.NotEqual(0, total);
    }
}
