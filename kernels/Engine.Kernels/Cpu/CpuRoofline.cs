using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Engine.Kernels.Cpu;

/// <summary>Measures what the processor can do at most: multiply-adds, roots and divisions in registers; reading, writing, copying and updating what each cache, and none, holds.</summary>
public static unsafe class CpuRoofline
{
    private const long BytesARun = 128L << 20;
    private const int Runs = 4;

    /// <summary>The limits of so many threads that work at the same time, each the best of a few short runs (about a second in all, and 256 MB).</summary>
    /// <param name="threads">How many; the rates are those of all together.</param>
    public static Roofline Measure(int threads = 1) => Simd.Dispatch(Simd.Best, new Measurement(threads)).Result!;

    private struct Measurement(int threads) : ILaneWork
    {
        public Roofline? Result;

        public void Run<T>() where T : unmanaged, ILanes<T> => Result = Measure<T>(threads);
    }

    private static Roofline Measure<L>(int threads) where L : unmanaged, ILanes<L>
    {
        var caches = Caches();
        var (l1, l2, l3) = (caches[0], caches[1], caches[2]);
        // Half of a private cache, since other things live there too; a quarter of the shared one, which others use; and for memory many times what a core gets of it.
        (string Name, long Holds, long Bytes)[] levels = [("L1", l1 * threads, l1 / 2), ("L2", l2 * threads, l2 / 2), ("L3", l3, Math.Max(l3 / 4 / threads, 2 * l2)), ("memory", long.MaxValue, Math.Max(256L << 20, 4 * l3) / threads)];
        var rates = new double[threads, 2 + 4 * levels.Length];
        using var together = new Barrier(threads);
        var workers = Enumerable.Range(0, threads).Select(worker => new Thread(() =>
        {
            void Best(int at, Func<double> work)
            {
                for (int run = 0; run < Runs; run++)
                {
                    together.SignalAndWait();
                    long start = Stopwatch.GetTimestamp();
                    double amount = work();
                    rates[worker, at] = Math.Max(rates[worker, at], amount / Stopwatch.GetElapsedTime(start).TotalSeconds / 1e9);
                }
            }
            for (int i = 0; i < 2; i++) Best(0, Peak<L>);
            Best(1 + 4 * levels.Length, RootDivisions<L>);
            for (int i = 0; i < levels.Length; i++)
            {
                long bytes = levels[i].Bytes / 4096 * 4096, n = bytes / sizeof(float);
                int passes = (int)Math.Max(1, BytesARun / bytes);
                float* memory = (float*)CpuMemory.Allocate(bytes);
                NativeMemory.Fill(memory, (nuint)bytes, 1);
                foreach (bool streams in new[] { false, true })
                {
                    Best(4 * i + 1, () => { for (int p = 0; p < passes; p++) GC.KeepAlive(Read<L>(memory, n, streams)); return (double)bytes * passes; });
                    Best(4 * i + 2, () => { for (int p = 0; p < passes; p++) Write<L>(memory, n, streams); return (double)bytes * passes; });
                    Best(4 * i + 3, () => { for (int p = 0; p < passes; p++) Copy<L>(memory, memory + n / 2, n / 2, streams); return (double)bytes * passes; });
                    Best(4 * i + 4, () => { for (int p = 0; p < passes; p++) Update<L>(memory, n, streams); return 2.0 * bytes * passes; });
                }
                CpuMemory.Free(memory);
            }
        })).ToArray();
        foreach (var worker in workers) worker.Start();
        foreach (var worker in workers) worker.Join();
        double Sum(int at) => Enumerable.Range(0, threads).Sum(worker => rates[worker, at]);
        return new Roofline(Sum(0), Sum(1 + 4 * levels.Length), levels.Select((level, i) => new MemoryLevel(level.Name, level.Holds, Sum(4 * i + 1), Sum(4 * i + 2), Sum(4 * i + 3), Sum(4 * i + 4))).ToArray());
    }

    /// <summary>Bytes of the data caches that one core sees, L1 to L3, as Linux tells; usual sizes elsewhere.</summary>
    public static long[] Caches()
    {
        long[] sizes = [32 << 10, 512 << 10, 8 << 20];
        for (int i = 0; i < 8; i++)
        {
            string folder = $"/sys/devices/system/cpu/cpu0/cache/index{i}/";
            if (!File.Exists(folder + "size") || File.ReadAllText(folder + "type").Trim() == "Instruction") continue;
            string size = File.ReadAllText(folder + "size").Trim();
            int level = int.Parse(File.ReadAllText(folder + "level"), CultureInfo.InvariantCulture);
            if (level is >= 1 and <= 3 && size.EndsWith('K')) sizes[level - 1] = long.Parse(size.AsSpan(0, size.Length - 1), CultureInfo.InvariantCulture) << 10;
        }
        return sizes;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static double Peak<L>() where L : unmanaged, ILanes<L>
    {
        const int rounds = 4_000_000;
        // Twelve independent chains: more than latency times units of any current core.
        L m = L.Create(0.999f), a = L.Create(0.001f);
        L c0 = a, c1 = a, c2 = a, c3 = a, c4 = a, c5 = a, c6 = a, c7 = a, c8 = a, c9 = a, c10 = a, c11 = a;
        for (int i = 0; i < rounds; i++)
        {
            c0 = L.MulAdd(c0, m, a); c1 = L.MulAdd(c1, m, a); c2 = L.MulAdd(c2, m, a); c3 = L.MulAdd(c3, m, a);
            c4 = L.MulAdd(c4, m, a); c5 = L.MulAdd(c5, m, a); c6 = L.MulAdd(c6, m, a); c7 = L.MulAdd(c7, m, a);
            c8 = L.MulAdd(c8, m, a); c9 = L.MulAdd(c9, m, a); c10 = L.MulAdd(c10, m, a); c11 = L.MulAdd(c11, m, a);
        }
        GC.KeepAlive(L.Sum(c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + c10 + c11));
        return rounds * 24.0 * L.Count;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static double RootDivisions<L>() where L : unmanaged, ILanes<L>
    {
        const int rounds = 40_000;
        L m = L.Create(0.9f), c0 = m, c1 = m, c2 = m, c3 = m, c4 = m, c5 = m, c6 = m, c7 = m;
        for (int i = 0; i < rounds; i++)
        {
            c0 = L.Sqrt(c0) / m; c1 = L.Sqrt(c1) / m; c2 = L.Sqrt(c2) / m; c3 = L.Sqrt(c3) / m;
            c4 = L.Sqrt(c4) / m; c5 = L.Sqrt(c5) / m; c6 = L.Sqrt(c6) / m; c7 = L.Sqrt(c7) / m;
        }
        GC.KeepAlive(L.Sum(c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7));
        return rounds * 8.0 * L.Count;
    }

    // The four loops below go through memory in one stream or in several at once, as kernels with several operands do: at each step they touch vectors that are `apart` from one another, then
    // move on by `step`. n is a multiple of 512 floats: the memory is whole pages, and half of it is copied to the other half.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static float Read<L>(float* x, long n, bool streams) where L : unmanaged, ILanes<L>
    {
        long apart = streams ? n / 8 : L.Count, step = streams ? L.Count : 8 * L.Count;
        L s0 = default, s1 = default, s2 = default, s3 = default, s4 = default, s5 = default, s6 = default, s7 = default;
        for (long i = n / (8 * L.Count); i > 0; i--, x += step)
        {
            s0 += L.Load(x); s1 += L.Load(x + apart); s2 += L.Load(x + 2 * apart); s3 += L.Load(x + 3 * apart);
            s4 += L.Load(x + 4 * apart); s5 += L.Load(x + 5 * apart); s6 += L.Load(x + 6 * apart); s7 += L.Load(x + 7 * apart);
        }
        return L.Sum(s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Write<L>(float* x, long n, bool streams) where L : unmanaged, ILanes<L>
    {
        long apart = streams ? n / 4 : L.Count, step = streams ? L.Count : 4 * L.Count;
        var v = L.Create(1f);
        for (long i = n / (4 * L.Count); i > 0; i--, x += step)
        {
            L.Store(v, x); L.Store(v, x + apart); L.Store(v, x + 2 * apart); L.Store(v, x + 3 * apart);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Copy<L>(float* x, float* y, long n, bool streams) where L : unmanaged, ILanes<L>
    {
        long apart = streams ? n / 4 : L.Count, step = streams ? L.Count : 4 * L.Count;
        for (long i = n / (4 * L.Count); i > 0; i--, x += step, y += step)
        {
            L a = L.Load(x), b = L.Load(x + apart), c = L.Load(x + 2 * apart), d = L.Load(x + 3 * apart);
            L.Store(a, y); L.Store(b, y + apart); L.Store(c, y + 2 * apart); L.Store(d, y + 3 * apart);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Update<L>(float* x, long n, bool streams) where L : unmanaged, ILanes<L>
    {
        long apart = streams ? n / 4 : L.Count, step = streams ? L.Count : 4 * L.Count;
        var m = L.Create(0.999f);
        for (long i = n / (4 * L.Count); i > 0; i--, x += step)
        {
            L a = L.Load(x) * m, b = L.Load(x + apart) * m, c = L.Load(x + 2 * apart) * m, d = L.Load(x + 3 * apart) * m;
            L.Store(a, x); L.Store(b, x + apart); L.Store(c, x + 2 * apart); L.Store(d, x + 3 * apart);
        }
    }
}
