using Engine.Kernels.Cpu;

namespace Engine.Kernels.Tests.Cpu.Gemm;

public sealed unsafe class GemmPlanTests
{
    /// <summary>A product with all its operands guarded and their rows apart, and its truth.</summary>
    private sealed class Case : IDisposable
    {
        public readonly int M, N, K, Lda, Ldb, Ldc;
        public readonly bool TransposeA, TransposeB;
        public readonly GuardedBuffer<float> A, B, C, Bias, Residual, Mask;
        private readonly double[] exact;
        private readonly double naiveError, floor;

        public Case(int m, int n, int k, bool transposeA, bool transposeB, int gap)
        {
            (M, N, K, TransposeA, TransposeB) = (m, n, k, transposeA, transposeB);
            (Lda, Ldb, Ldc) = ((transposeA ? m : k) + gap, (transposeB ? k : n) + gap, n + gap);
            var random = new Random(m * 1_000_003 + n * 1009 + k);
            A = Matrix(transposeA ? k : m, transposeA ? m : k, Lda, random);
            B = Matrix(transposeB ? n : k, transposeB ? k : n, Ldb, random);
            Bias = Matrix(1, n, n, random);
            Residual = Matrix(m, n, Ldc, random);
            Mask = Matrix(m, n, Ldc, random);
            if (m * n > 2) (Mask.Span[0], Mask.Span[1]) = (float.NaN, -0f);
            C = new(Extent(m, n, Ldc), 2);
            exact = new double[m * n];
            for (int i = 0; i < m; i++)
                for (int j = 0; j < n; j++)
                {
                    double sum = 0, size = 0;
                    float naive = 0;
                    for (int p = 0; p < k; p++)
                    {
                        float x = A.Pointer[transposeA ? p * Lda + i : i * Lda + p], y = B.Pointer[transposeB ? j * Ldb + p : p * Ldb + j];
                        sum += (double)x * y;
                        size += Math.Abs((double)x * y);
                        naive += x * y;
                    }
                    exact[i * n + j] = sum;
                    naiveError = Math.Max(naiveError, Math.Abs(naive - sum));
                    floor = Math.Max(floor, size * Math.Pow(2, -24));
                }
        }

        private static int Extent(int rows, int columns, int ld) => rows == 0 ? 0 : (rows - 1) * ld + columns;

        private static GuardedBuffer<float> Matrix(int rows, int columns, int ld, Random random)
        {
            // What lies between rows is NaN, like the guards.
            var buffer = new GuardedBuffer<float>(Extent(rows, columns, ld), random.Next(4));
            buffer.Span.Fill(float.NaN);
            for (int i = 0; i < rows; i++)
                for (int j = 0; j < columns; j++) buffer.Span[i * ld + j] = random.NextSingle() * 2 - 1;
            return buffer;
        }

        public float[] Run(SimdWidth width, GemmEpilogue epilogue = GemmEpilogue.None, int shuffle = 0, float[]? start = null, GemmEpilogue over = GemmEpilogue.None)
        {
            var plan = new GemmPlan(M, N, K, TransposeA, TransposeB, Lda, Ldb, Ldc, epilogue, width);
            using var scratch = new GuardedBuffer<byte>((int)plan.ScratchBytes, 3);
            C.Span.Fill(12345f);
            if (start != null)
                for (int i = 0; i < M; i++) start.AsSpan(i * N, N).CopyTo(C.Span[(i * Ldc)..]);
            int[] order = [.. Enumerable.Range(0, plan.Chunks)];
            if (shuffle != 0) new Random(shuffle).Shuffle(order);
            foreach (int chunk in order)
            {
                scratch.Span.Fill((byte)0xFF);
                plan.RunChunk(chunk, A.Pointer, B.Pointer, C.Pointer, Bias.Pointer, over == GemmEpilogue.Residual ? C.Pointer : Residual.Pointer, over == GemmEpilogue.Mask ? C.Pointer : Mask.Pointer, scratch.Pointer);
            }
            string what = $"{this} {width} {epilogue}";
            A.Check();
            B.Check();
            Bias.Check();
            Residual.Check();
            Mask.Check();
            C.Check();
            scratch.Check();
            float[] result = new float[M * N];
            for (int i = 0; i < C.Length; i++)
                if (i % Ldc < N) result[i / Ldc * N + i % Ldc] = C.Span[i];
                else Assert.True(C.Span[i] == 12345f, $"{what}: wrote between rows, at {i}");
            return result;
        }

        public void Check(ReadOnlySpan<float> result, SimdWidth width)
        {
            for (int i = 0; i < result.Length; i++)
                if (!(Math.Abs(result[i] - exact[i]) <= 2 * naiveError + floor))
                    Assert.Fail($"{this} {width}: element {i} is {result[i]:R}, exactly {exact[i]:R}; a naive loop errs by {naiveError:E2}");
        }

        public override string ToString() => $"{M}x{N}x{K} {(TransposeA ? 'T' : 'N')}{(TransposeB ? 'T' : 'N')}";

        public void Dispose()
        {
            A.Dispose();
            B.Dispose();
            C.Dispose();
            Bias.Dispose();
            Residual.Dispose();
            Mask.Dispose();
        }
    }

    public static TheoryData<bool, bool> Transposes => new() { { false, false }, { false, true }, { true, false }, { true, true } };

    private static void CheckAllWidths(Case test)
    {
        float[]? first = null;
        foreach (SimdWidth width in Widths.All)
        {
            float[] result = test.Run(width);
            test.Check(result, width);
            // One chain of multiply-adds an element: the tile's shape does not show. (Vector forms sum in lanes.)
            if (test.M > 1 && test.N > 1) Bits.Equal(first ??= result, result, $"{test} {width}");
        }
    }

    [Theory, MemberData(nameof(Transposes))]
    public void All_small_shapes_agree_with_float64(bool transposeA, bool transposeB)
    {
        for (int m = 1; m <= 20; m++)
            for (int n = 1; n <= 20; n++)
                for (int k = 1; k <= 20; k++)
                {
                    using var test = new Case(m, n, k, transposeA, transposeB, (m + n + k) % 3);
                    CheckAllWidths(test);
                }
    }

    [Theory, MemberData(nameof(Transposes))]
    public void Shapes_near_the_edges_of_tiles_agree_with_float64(bool transposeA, bool transposeB)
    {
        int[] rows = [1, 3, 11, 13, 23, 25, 37], columns = [1, 7, 15, 17, 31, 33, 47, 65], depths = [1, 2, 23, 97, 319, 321, 643, 1027];
        foreach (int m in rows)
            foreach (int n in columns)
                foreach (int k in depths)
                {
                    using var test = new Case(m, n, k, transposeA, transposeB, (m + n) % 2);
                    CheckAllWidths(test);
                }
    }

    [Theory, MemberData(nameof(Transposes))]
    public void Shapes_of_several_chunks_are_bit_equal_in_any_order(bool transposeA, bool transposeB)
    {
        foreach ((int m, int n, int k) in new[] { (256, 256, 256), (601, 131, 167), (1301, 70, 67), (131, 523, 127), (1, 4099, 1031), (4099, 1, 1031), (1031, 259, 23), (1031, 259, 1) })
        {
            using var test = new Case(m, n, k, transposeA, transposeB, 1);
            foreach (SimdWidth width in Widths.All)
            {
                Assert.True(new GemmPlan(m, n, k, transposeA, transposeB, test.Lda, test.Ldb, test.Ldc, GemmEpilogue.None, width).Chunks > 1);
                float[] result = test.Run(width);
                test.Check(result, width);
                Bits.Equal(result, test.Run(width), $"{test} {width} again");
                Bits.Equal(result, test.Run(width, shuffle: 1), $"{test} {width} shuffled");
                Bits.Equal(result, test.Run(width, shuffle: 2), $"{test} {width} shuffled");
            }
        }
    }

    [Theory, MemberData(nameof(Transposes))]
    public void Epilogues_give_the_bits_of_separate_operations(bool transposeA, bool transposeB)
    {
        foreach ((int m, int n, int k) in new[] { (1, 1, 5), (1, 77, 33), (77, 1, 33), (14, 45, 9), (14, 45, 1), (29, 64, 700), (13, 33, 2100), (9, 33, 0), (1, 9, 0), (9, 1, 0) })
        {
            using var test = new Case(m, n, k, transposeA, transposeB, 2);
            float[] start = new float[m * n];
            var random = new Random(5);
            for (int i = 0; i < start.Length; i++) start[i] = random.NextSingle() - 0.5f;
            foreach (SimdWidth width in Widths.All)
                for (int flags = 0; flags < 32; flags++)
                {
                    // Of a sum in several blocks, the first is added to C: see the test below.
                    if (k > (transposeA ? 320 : 1024) && (flags & (int)GemmEpilogue.Accumulate) != 0) continue;
                    var epilogue = (GemmEpilogue)flags;
                    float[] expected = test.Run(width);
                    for (int i = 0; i < expected.Length; i++)
                    {
                        if ((epilogue & GemmEpilogue.Accumulate) != 0) expected[i] = start[i] + expected[i];
                        if ((epilogue & GemmEpilogue.Bias) != 0) expected[i] += test.Bias.Span[i % n];
                        if ((epilogue & GemmEpilogue.Relu) != 0 && expected[i] <= 0) expected[i] = 0;
                        int at = i / n * test.Ldc + i % n;
                        if ((epilogue & GemmEpilogue.Residual) != 0) expected[i] = test.Residual.Span[at] + expected[i];
                        if ((epilogue & GemmEpilogue.Mask) != 0 && !(test.Mask.Span[at] > 0)) expected[i] = 0;
                    }
                    Bits.Equal(expected, test.Run(width, epilogue, start: start), $"{test} {width} {epilogue}");
                }
        }
    }

    [Theory, MemberData(nameof(Transposes))]
    public void C_may_be_what_lies_beside_it(bool transposeA, bool transposeB)
    {
        foreach ((int m, int n, int k) in new[] { (1, 77, 33), (77, 1, 33), (45, 300, 9), (1301, 70, 67), (300, 45, 1), (29, 64, 700), (40, 150, 2100) })
        {
            using var test = new Case(m, n, k, transposeA, transposeB, 2);
            foreach (SimdWidth width in Widths.All)
                foreach (var over in new[] { GemmEpilogue.Residual, GemmEpilogue.Mask })
                {
                    var beside = over == GemmEpilogue.Mask ? test.Mask : test.Residual;
                    float[] start = new float[m * n];
                    for (int i = 0; i < start.Length; i++) start[i] = beside.Span[i / n * test.Ldc + i % n];
                    const GemmEpilogue all = GemmEpilogue.BiasRelu | GemmEpilogue.Residual | GemmEpilogue.Mask;
                    Bits.Equal(test.Run(width, all), test.Run(width, all, start: start, over: over, shuffle: 1), $"{test} {width} over {over}");
                }
        }
    }

    [Fact]
    public void A_sum_of_one_term_begins_at_plus_zero_like_every_other()
    {
        using var test = new Case(5, 35, 1, false, false, 1);
        test.A.Span[0] = -0f;
        test.A.Span[test.Lda] = float.MinValue;
        foreach (SimdWidth width in Widths.All)
        {
            float[] result = test.Run(width);
            for (int i = 0; i < 5; i++)
                for (int j = 0; j < 35; j++) Assert.Equal(Bits.Of(MathF.FusedMultiplyAdd(test.A.Span[i * test.Lda], test.B.Span[j], 0f)), Bits.Of(result[i * 35 + j]));
        }
    }

    [Fact]
    public void Long_sums_may_be_accumulated()
    {
        using var test = new Case(7, 40, 2500, false, false, 0);
        float[] ones = new float[7 * 40];
        Array.Fill(ones, 1f);
        foreach (SimdWidth width in Widths.All)
        {
            float[] plain = test.Run(width), added = test.Run(width, GemmEpilogue.Accumulate, start: ones);
            for (int i = 0; i < plain.Length; i++) Assert.Equal(plain[i] + 1, added[i], 2e-5f);
        }
    }

    [Fact]
    public void Not_a_number_passes_through_the_rectifier_and_infinity_through_tails()
    {
        foreach (SimdWidth width in Widths.All)
            foreach ((int m, int n, int k) in new[] { (3, 3, 3), (1, 35, 19), (35, 1, 19), (13, 33, 40) })
            {
                using var test = new Case(m, n, k, false, false, 0);
                test.A.Span.Fill(1f);
                test.B.Span.Fill(1f);
                test.Bias.Span.Clear();
                test.A.Span[k - 1] = float.PositiveInfinity;
                Assert.Equal(float.PositiveInfinity, test.Run(width, GemmEpilogue.BiasRelu)[0]);
                test.A.Span[k - 1] = float.NaN;
                float[] result = test.Run(width, GemmEpilogue.BiasRelu);
                Assert.True(float.IsNaN(result[0]));
                if (m > 1) Assert.Equal(k, result[n]);
                test.A.Span.Fill(-1f);
                Assert.Equal(0u, Bits.Of(test.Run(width, GemmEpilogue.Relu)[0]));
            }
    }

    [Fact]
    public void Four_sums_together_have_the_bits_of_each_alone()
    {
        var random = new Random(4);
        float* x = stackalloc float[4 * 16];
        for (int round = 0; round < 200; round++)
        {
            for (int i = 0; i < 4 * 16; i++) x[i] = (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-3, 4)));
            Check<Lanes128>(x);
            Check<Lanes256>(x);
            Check<Lanes512>(x);
        }

        static void Check<T>(float* x) where T : unmanaged, ILanes<T>
        {
            T a = T.Load(x), b = T.Load(x + T.Count), c = T.Load(x + 2 * T.Count), d = T.Load(x + 3 * T.Count);
            Assert.Equal(System.Runtime.Intrinsics.Vector128.Create(T.Sum(a), T.Sum(b), T.Sum(c), T.Sum(d)), T.Sum4(a, b, c, d));
        }
    }

    [Fact]
    public void The_cut_into_chunks_is_a_function_of_shape_and_empty_products_have_none()
    {
        Assert.Equal(0, new GemmPlan(0, 5, 5, false, false, 5, 5, 5, GemmEpilogue.None).Chunks);
        Assert.Equal(0, new GemmPlan(5, 0, 5, false, false, 5, 0, 0, GemmEpilogue.None).Chunks);
        Assert.Equal(0, new GemmPlan(5, 0, 1, false, false, 1, 0, 0, GemmEpilogue.Mask).Chunks);
        Assert.Equal(new GemmPlan(300, 200, 100, true, false, 300, 200, 200, GemmEpilogue.None).Chunks,
            new GemmPlan(300, 200, 100, true, false, 999, 777, 888, GemmEpilogue.Bias).Chunks);
        Assert.Throws<ArgumentOutOfRangeException>(() => new GemmPlan(2, 3, 4, false, false, 3, 3, 3, GemmEpilogue.None));
        Assert.Throws<ArgumentOutOfRangeException>(() => new GemmPlan(2, -3, 4, false, false, 4, 3, 3, GemmEpilogue.None));
    }

    [Fact]
    public void A_chunk_allocates_nothing()
    {
        using var test = new Case(50, 70, 90, true, true, 0);
        var plan = new GemmPlan(50, 70, 90, true, true, test.Lda, test.Ldb, test.Ldc, GemmEpilogue.BiasRelu);
        using var scratch = new GuardedBuffer<byte>((int)plan.ScratchBytes);
        plan.RunChunk(0, test.A.Pointer, test.B.Pointer, test.C.Pointer, test.Bias.Pointer, null, null, scratch.Pointer);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10; i++) plan.RunChunk(0, test.A.Pointer, test.B.Pointer, test.C.Pointer, test.Bias.Pointer, null, null, scratch.Pointer);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }
}
