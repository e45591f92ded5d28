using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Engine.Kernels.Cpu;

/// <summary>Measures what one core can do at most: multiply-adds in registers, and reading memory that no cache holds.</summary>
public static unsafe class CpuRoofline
{
    /// <summary>GFLOP/s and GB/s of one thread, the best of a few short runs (about 0.3 s in all).</summary>
    public static (double Gflops, double Gigabytes) Measure()
    {
        double flops = 0, bytes = 0;
        const int size = 256 << 20;
        float* memory = (float*)NativeMemory.AlignedAlloc(size, 64);
        try
        {
            NativeMemory.Fill(memory, size, 1);
            for (int run = 0; run < 5; run++)
            {
                long start = Stopwatch.GetTimestamp();
                float kept = MultiplyAdds(4_000_000, out double operations);
                flops = Math.Max(flops, operations / Stopwatch.GetElapsedTime(start).TotalSeconds);
                start = Stopwatch.GetTimestamp();
                kept += Read(memory, size / 4);
                bytes = Math.Max(bytes, size / Stopwatch.GetElapsedTime(start).TotalSeconds);
                GC.KeepAlive(kept);
            }
        }
        finally { NativeMemory.AlignedFree(memory); }
        return (flops / 1e9, bytes / 1e9);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static float MultiplyAdds(int rounds, out double operations)
    {
        // Twelve independent chains: more than latency times units of any current core.
        if (Vector512.IsHardwareAccelerated)
        {
            Vector512<float> m = Vector512.Create(0.999f), a = Vector512.Create(1e-3f);
            Vector512<float> c0 = a, c1 = a, c2 = a, c3 = a, c4 = a, c5 = a, c6 = a, c7 = a, c8 = a, c9 = a, c10 = a, c11 = a;
            for (int i = 0; i < rounds; i++)
            {
                c0 = Vector512.FusedMultiplyAdd(c0, m, a); c1 = Vector512.FusedMultiplyAdd(c1, m, a); c2 = Vector512.FusedMultiplyAdd(c2, m, a); c3 = Vector512.FusedMultiplyAdd(c3, m, a);
                c4 = Vector512.FusedMultiplyAdd(c4, m, a); c5 = Vector512.FusedMultiplyAdd(c5, m, a); c6 = Vector512.FusedMultiplyAdd(c6, m, a); c7 = Vector512.FusedMultiplyAdd(c7, m, a);
                c8 = Vector512.FusedMultiplyAdd(c8, m, a); c9 = Vector512.FusedMultiplyAdd(c9, m, a); c10 = Vector512.FusedMultiplyAdd(c10, m, a); c11 = Vector512.FusedMultiplyAdd(c11, m, a);
            }
            operations = rounds * 12.0 * 16 * 2;
            return Vector512.Sum(c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + c10 + c11);
        }
        else
        {
            Vector256<float> m = Vector256.Create(0.999f), a = Vector256.Create(1e-3f);
            Vector256<float> c0 = a, c1 = a, c2 = a, c3 = a, c4 = a, c5 = a, c6 = a, c7 = a, c8 = a, c9 = a, c10 = a, c11 = a;
            for (int i = 0; i < rounds; i++)
            {
                c0 = Vector256.FusedMultiplyAdd(c0, m, a); c1 = Vector256.FusedMultiplyAdd(c1, m, a); c2 = Vector256.FusedMultiplyAdd(c2, m, a); c3 = Vector256.FusedMultiplyAdd(c3, m, a);
                c4 = Vector256.FusedMultiplyAdd(c4, m, a); c5 = Vector256.FusedMultiplyAdd(c5, m, a); c6 = Vector256.FusedMultiplyAdd(c6, m, a); c7 = Vector256.FusedMultiplyAdd(c7, m, a);
                c8 = Vector256.FusedMultiplyAdd(c8, m, a); c9 = Vector256.FusedMultiplyAdd(c9, m, a); c10 = Vector256.FusedMultiplyAdd(c10, m, a); c11 = Vector256.FusedMultiplyAdd(c11, m, a);
            }
            operations = rounds * 12.0 * 8 * 2;
            return Vector256.Sum(c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + c10 + c11);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static float Read(float* x, int n)
    {
        var (s0, s1, s2, s3) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
        for (int i = 0; i <= n - 32; i += 32)
        {
            s0 += Vector256.LoadAligned(x + i);
            s1 += Vector256.LoadAligned(x + i + 8);
            s2 += Vector256.LoadAligned(x + i + 16);
            s3 += Vector256.LoadAligned(x + i + 24);
        }
        return Vector256.Sum(s0 + s1 + s2 + s3);
    }
}
