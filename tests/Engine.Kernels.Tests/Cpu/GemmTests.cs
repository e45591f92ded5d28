using System.Runtime.InteropServices;
using Engine.Kernels.Cpu;

namespace Engine.Kernels.Tests.Cpu;

/// <summary>The matrix product with every register width, at sizes around the tiles' edges, with guard words and against float64.</summary>
public unsafe class GemmTests
{
    public static TheoryData<int, bool, bool> Variants()
    {
        var data = new TheoryData<int, bool, bool>();
        foreach (var width in Enum.GetValues<GemmWidth>())
            foreach (bool ta in new[] { false, true })
                foreach (bool tb in new[] { false, true }) data.Add((int)width, ta, tb);
        return data;
    }

    private static readonly int[] Edges = [1, 2, 3, 5, 8, 11, 12, 13, 17, 24, 25, 31, 32, 33, 37];

    [Theory]
    [MemberData(nameof(Variants))]
    public void Sizes_around_the_tiles(int width, bool ta, bool tb)
    {
        foreach (int m in Edges)
            foreach (int n in Edges)
                foreach (int k in new[] { 1, 3, 17, 40 }) Check(m, n, k, ta, tb, GemmEpilogue.None, (GemmWidth)width);
        foreach (var epilogue in Enum.GetValues<GemmEpilogue>())
        {
            foreach (var (m, n, k) in new[] { (1, 1, 1), (4, 1, 9), (9, 5, 1), (13, 33, 23), (24, 64, 16), (50, 40, 30), (0, 3, 4), (3, 0, 4), (3, 4, 0) }) Check(m, n, k, ta, tb, epilogue, (GemmWidth)width);
            foreach (var (m, n, k) in new[] { (133, 47, 300), (300, 70, 19), (40, 530, 20), (12, 32, 777) }) Check(m, n, k, ta, tb, epilogue, (GemmWidth)width);
        }
    }

    private static void Check(int m, int n, int k, bool ta, bool tb, GemmEpilogue epilogue, GemmWidth width)
    {
        var stream = new PhiloxStream((ulong)(m * 1_000_003 + n * 1009 + k), "gemm");
        float[] a = Fill((long)m * k), b = Fill((long)k * n), bias = Fill(n);
        float[] Fill(long count) => Enumerable.Range(0, (int)count).Select(_ => (float)stream.NextUniform(-1, 1)).ToArray();

        var plan = new GemmPlan(m, n, k, ta, tb, ta ? m : k, tb ? k : n, n, epilogue, 1, width);
        using var pa = new Guarded(a);
        using var pb = new Guarded(b);
        using var pbias = new Guarded(bias);
        using var pc = new Guarded(Enumerable.Repeat(float.NaN, m * n).ToArray());
        using var scratch = new Guarded(new float[plan.ScratchBytes / 4]);
        for (int chunk = plan.Chunks - 1; chunk >= 0; chunk--) plan.RunChunk(chunk, pa.At, pb.At, pc.At, pbias.At, (byte*)scratch.At);

        double naiveWorst = 0, worst = 0;
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++)
            {
                double exact = 0;
                float naive = 0;
                for (int p = 0; p < k; p++)
                {
                    float x = ta ? a[p * m + i] : a[i * k + p], y = tb ? b[j * k + p] : b[p * n + j];
                    exact += (double)x * y;
                    naive += x * y;
                }
                if (epilogue != GemmEpilogue.None) (exact, naive) = (exact + bias[j], naive + bias[j]);
                if (epilogue == GemmEpilogue.BiasRelu) (exact, naive) = (Math.Max(exact, 0), Math.Max(naive, 0));
                worst = Math.Max(worst, Math.Abs(pc.At[i * n + j] - exact));
                naiveWorst = Math.Max(naiveWorst, Math.Abs(naive - exact));
                Assert.False(float.IsNaN(pc.At[i * n + j]), $"{m}x{n}x{k} {width}: element {i},{j} was not written");
            }
        // With few elements the naive loop's worst error is luck: one rounding of a sum of k terms is always allowed.
        Assert.True(worst <= 2 * naiveWorst + 1.2e-7 * Math.Sqrt(k), $"{m}x{n}x{k} {(ta ? "T" : "N")}{(tb ? "T" : "N")} {epilogue} {width}: error {worst:E2}, naive {naiveWorst:E2}");
        foreach (var buffer in new[] { pa, pb, pc, pbias, scratch }) Assert.True(buffer.Intact, $"{m}x{n}x{k} {width}: written outside a buffer");
    }

    /// <summary>Floats between guard words; the start is 4-byte aligned only.</summary>
    private sealed class Guarded : IDisposable
    {
        private const int Words = 37;
        private readonly float* _memory;
        private readonly int _length;

        public Guarded(float[] values)
        {
            _length = values.Length;
            _memory = (float*)NativeMemory.AlignedAlloc((nuint)(4 * (_length + 2 * Words)), 64);
            for (int i = 0; i < _length + 2 * Words; i++) ((uint*)_memory)[i] = 0xDEADBEEF;
            values.CopyTo(new Span<float>(At, _length));
        }

        public float* At => _memory + Words;

        public bool Intact
        {
            get
            {
                for (int i = 0; i < Words; i++)
                    if (((uint*)_memory)[i] != 0xDEADBEEF || ((uint*)_memory)[Words + _length + i] != 0xDEADBEEF) return false;
                return true;
            }
        }

        public void Dispose() => NativeMemory.AlignedFree(_memory);
    }
}
