using System.Runtime.InteropServices;
using Engine.Kernels.Cpu;

namespace Engine.Kernels.Tests.Cpu;

/// <summary>Buffers that end where memory ends: a read one element too far, which guard words cannot show, ends the process here.
/// Linux only; elsewhere these tests have nothing to say and pass.</summary>
public sealed unsafe partial class PageEdgeTests
{
    private sealed partial class Edge : IDisposable
    {
        private const int Page = 4096;
        private readonly byte* memory;
        private readonly nuint size;

        public Edge(int bytes)
        {
            size = (nuint)((bytes + Page - 1) / Page * Page + Page);
            const int Read = 1, Write = 2, Private = 2, Anonymous = 32;
            memory = (byte*)mmap(0, size, Read | Write, Private | Anonymous, -1, 0);
            Assert.NotEqual(-1, (nint)memory);
            Assert.Equal(0, mprotect((nint)(memory + size - Page), Page, 0));
            End = memory + size - Page;
        }

        /// <summary>The first address that must not be touched.</summary>
        public byte* End { get; }

        public float* Floats(int count) => (float*)End - count;

        public void Dispose() => Assert.Equal(0, munmap((nint)memory, size));

        [LibraryImport("libc")]
        private static partial nint mmap(nint address, nuint length, int protection, int flags, int file, nint offset);

        [LibraryImport("libc")]
        private static partial int mprotect(nint address, nuint length, int protection);

        [LibraryImport("libc")]
        private static partial int munmap(nint address, nuint length);
    }

    [Fact]
    public void Products_read_nothing_beyond_their_operands()
    {
        if (!OperatingSystem.IsLinux()) return;
        using Edge a = new(1 << 20), b = new(1 << 20), c = new(1 << 20), bias = new(1 << 12), residual = new(1 << 20), mask = new(1 << 20), scratch = new(1 << 20);
        int[] rows = [1, 2, 3, 4, 5, 7, 11, 13, 14, 15, 25], columns = [1, 2, 9, 16, 31, 32, 33, 63], depths = [1, 2, 7, 8, 9, 31, 33, 330];
        foreach (SimdWidth width in Widths.All)
            foreach (int m in rows)
                foreach (int n in columns)
                    foreach (int k in depths)
                        for (int transposes = 0; transposes < 4; transposes++)
                        {
                            bool ta = (transposes & 1) != 0, tb = (transposes & 2) != 0;
                            var plan = new GemmPlan(m, n, k, ta, tb, ta ? m : k, tb ? k : n, n, GemmEpilogue.BiasRelu | GemmEpilogue.Residual | GemmEpilogue.Mask, width);
                            for (int chunk = 0; chunk < plan.Chunks; chunk++)
                                plan.RunChunk(chunk, a.Floats(m * k), b.Floats(k * n), c.Floats(m * n), bias.Floats(n), residual.Floats(m * n), mask.Floats(m * n), scratch.End - plan.ScratchBytes);
                        }
    }

    [Fact]
    public void Loops_read_nothing_beyond_their_spans()
    {
        if (!OperatingSystem.IsLinux()) return;
        using Edge a = new(1 << 12), b = new(1 << 12), c = new(1 << 12), d = new(1 << 12);
        for (int n = 0; n <= 70; n++)
        {
            Span<float> x = new(a.Floats(n), n), y = new(b.Floats(n), n), z = new(c.Floats(n), n);
            Span<byte> bytes = new(d.End - n, n);
            Span<ushort> halves = new((ushort*)d.End - n, n);
            Span<int> ints = new((int*)c.End - n, n);
            foreach (SimdWidth width in Widths.All)
            {
                UnaryLoops.Run(UnaryKind.Exp, x, z, width);
                BinaryLoops.Run(BinaryKind.Add, x, y, z, width);
                MultiplyAddLoops.Run(x, y, 1f, z, width);
                CompareLoops.Run(CompareKind.Less, x, y, bytes, width);
                SelectLoops.Run(bytes, x, y, z, width);
                CastLoops.FloatToBFloat16(x, halves, width);
                CastLoops.BFloat16ToFloat(halves, z, width);
                CastLoops.FloatToInt(x, ints, width);
                CastLoops.FloatToBool(x, bytes, width);
                CastLoops.BoolToFloat(bytes, z, width);
                float total = ReductionLoops.Sum(x, width) + ReductionLoops.Max(x, width);
                if (n > 0) total += ReductionLoops.ArgMax(x, width);
                Assert.False(float.IsNaN(total) && n == 0);
            }
        }
    }
}
