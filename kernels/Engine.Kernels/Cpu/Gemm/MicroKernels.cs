using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Engine.Kernels.Cpu;

/// <summary>
/// The innermost loops of the matrix product: a tile of C kept in registers while a packed panel of A (rows side by side) and a packed panel of B
/// (columns side by side) stream past. One accumulator per vector of the tile, written out by name: an array of them would live in memory.
/// </summary>
internal static unsafe class MicroKernels
{
    /// <summary>12 x 32 on Vector512: 24 accumulators in registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Kernel12x32(int k, float* a, float* b, float* c, int ldc, bool accumulate, float* bias, bool relu)
    {
        Vector512<float> c0_0, c0_1;
        Vector512<float> c1_0, c1_1;
        Vector512<float> c2_0, c2_1;
        Vector512<float> c3_0, c3_1;
        Vector512<float> c4_0, c4_1;
        Vector512<float> c5_0, c5_1;
        Vector512<float> c6_0, c6_1;
        Vector512<float> c7_0, c7_1;
        Vector512<float> c8_0, c8_1;
        Vector512<float> c9_0, c9_1;
        Vector512<float> c10_0, c10_1;
        Vector512<float> c11_0, c11_1;
        if (accumulate)
        {
            c0_0 = Vector512.Load(c);
            c0_1 = Vector512.Load(c + 16);
            c1_0 = Vector512.Load(c + ldc);
            c1_1 = Vector512.Load(c + ldc + 16);
            c2_0 = Vector512.Load(c + 2 * ldc);
            c2_1 = Vector512.Load(c + 2 * ldc + 16);
            c3_0 = Vector512.Load(c + 3 * ldc);
            c3_1 = Vector512.Load(c + 3 * ldc + 16);
            c4_0 = Vector512.Load(c + 4 * ldc);
            c4_1 = Vector512.Load(c + 4 * ldc + 16);
            c5_0 = Vector512.Load(c + 5 * ldc);
            c5_1 = Vector512.Load(c + 5 * ldc + 16);
            c6_0 = Vector512.Load(c + 6 * ldc);
            c6_1 = Vector512.Load(c + 6 * ldc + 16);
            c7_0 = Vector512.Load(c + 7 * ldc);
            c7_1 = Vector512.Load(c + 7 * ldc + 16);
            c8_0 = Vector512.Load(c + 8 * ldc);
            c8_1 = Vector512.Load(c + 8 * ldc + 16);
            c9_0 = Vector512.Load(c + 9 * ldc);
            c9_1 = Vector512.Load(c + 9 * ldc + 16);
            c10_0 = Vector512.Load(c + 10 * ldc);
            c10_1 = Vector512.Load(c + 10 * ldc + 16);
            c11_0 = Vector512.Load(c + 11 * ldc);
            c11_1 = Vector512.Load(c + 11 * ldc + 16);
        }
        else
        {
            c0_0 = c0_1 = Vector512<float>.Zero;
            c1_0 = c1_1 = Vector512<float>.Zero;
            c2_0 = c2_1 = Vector512<float>.Zero;
            c3_0 = c3_1 = Vector512<float>.Zero;
            c4_0 = c4_1 = Vector512<float>.Zero;
            c5_0 = c5_1 = Vector512<float>.Zero;
            c6_0 = c6_1 = Vector512<float>.Zero;
            c7_0 = c7_1 = Vector512<float>.Zero;
            c8_0 = c8_1 = Vector512<float>.Zero;
            c9_0 = c9_1 = Vector512<float>.Zero;
            c10_0 = c10_1 = Vector512<float>.Zero;
            c11_0 = c11_1 = Vector512<float>.Zero;
        }
        for (; k > 0; k--, a += 12, b += 32)
        {
            Vector512<float> b0 = Vector512.Load(b), b1 = Vector512.Load(b + 16), x;
            x = Vector512.Create(a[0]);
            c0_0 = Vector512.FusedMultiplyAdd(x, b0, c0_0);
            c0_1 = Vector512.FusedMultiplyAdd(x, b1, c0_1);
            x = Vector512.Create(a[1]);
            c1_0 = Vector512.FusedMultiplyAdd(x, b0, c1_0);
            c1_1 = Vector512.FusedMultiplyAdd(x, b1, c1_1);
            x = Vector512.Create(a[2]);
            c2_0 = Vector512.FusedMultiplyAdd(x, b0, c2_0);
            c2_1 = Vector512.FusedMultiplyAdd(x, b1, c2_1);
            x = Vector512.Create(a[3]);
            c3_0 = Vector512.FusedMultiplyAdd(x, b0, c3_0);
            c3_1 = Vector512.FusedMultiplyAdd(x, b1, c3_1);
            x = Vector512.Create(a[4]);
            c4_0 = Vector512.FusedMultiplyAdd(x, b0, c4_0);
            c4_1 = Vector512.FusedMultiplyAdd(x, b1, c4_1);
            x = Vector512.Create(a[5]);
            c5_0 = Vector512.FusedMultiplyAdd(x, b0, c5_0);
            c5_1 = Vector512.FusedMultiplyAdd(x, b1, c5_1);
            x = Vector512.Create(a[6]);
            c6_0 = Vector512.FusedMultiplyAdd(x, b0, c6_0);
            c6_1 = Vector512.FusedMultiplyAdd(x, b1, c6_1);
            x = Vector512.Create(a[7]);
            c7_0 = Vector512.FusedMultiplyAdd(x, b0, c7_0);
            c7_1 = Vector512.FusedMultiplyAdd(x, b1, c7_1);
            x = Vector512.Create(a[8]);
            c8_0 = Vector512.FusedMultiplyAdd(x, b0, c8_0);
            c8_1 = Vector512.FusedMultiplyAdd(x, b1, c8_1);
            x = Vector512.Create(a[9]);
            c9_0 = Vector512.FusedMultiplyAdd(x, b0, c9_0);
            c9_1 = Vector512.FusedMultiplyAdd(x, b1, c9_1);
            x = Vector512.Create(a[10]);
            c10_0 = Vector512.FusedMultiplyAdd(x, b0, c10_0);
            c10_1 = Vector512.FusedMultiplyAdd(x, b1, c10_1);
            x = Vector512.Create(a[11]);
            c11_0 = Vector512.FusedMultiplyAdd(x, b0, c11_0);
            c11_1 = Vector512.FusedMultiplyAdd(x, b1, c11_1);
        }
        if (bias != null)
        {
            Vector512<float> b0 = Vector512.Load(bias), b1 = Vector512.Load(bias + 16);
            c0_0 += b0; c0_1 += b1;
            c1_0 += b0; c1_1 += b1;
            c2_0 += b0; c2_1 += b1;
            c3_0 += b0; c3_1 += b1;
            c4_0 += b0; c4_1 += b1;
            c5_0 += b0; c5_1 += b1;
            c6_0 += b0; c6_1 += b1;
            c7_0 += b0; c7_1 += b1;
            c8_0 += b0; c8_1 += b1;
            c9_0 += b0; c9_1 += b1;
            c10_0 += b0; c10_1 += b1;
            c11_0 += b0; c11_1 += b1;
        }
        if (relu)
        {
            c0_0 = Vector512.Max(c0_0, Vector512<float>.Zero); c0_1 = Vector512.Max(c0_1, Vector512<float>.Zero);
            c1_0 = Vector512.Max(c1_0, Vector512<float>.Zero); c1_1 = Vector512.Max(c1_1, Vector512<float>.Zero);
            c2_0 = Vector512.Max(c2_0, Vector512<float>.Zero); c2_1 = Vector512.Max(c2_1, Vector512<float>.Zero);
            c3_0 = Vector512.Max(c3_0, Vector512<float>.Zero); c3_1 = Vector512.Max(c3_1, Vector512<float>.Zero);
            c4_0 = Vector512.Max(c4_0, Vector512<float>.Zero); c4_1 = Vector512.Max(c4_1, Vector512<float>.Zero);
            c5_0 = Vector512.Max(c5_0, Vector512<float>.Zero); c5_1 = Vector512.Max(c5_1, Vector512<float>.Zero);
            c6_0 = Vector512.Max(c6_0, Vector512<float>.Zero); c6_1 = Vector512.Max(c6_1, Vector512<float>.Zero);
            c7_0 = Vector512.Max(c7_0, Vector512<float>.Zero); c7_1 = Vector512.Max(c7_1, Vector512<float>.Zero);
            c8_0 = Vector512.Max(c8_0, Vector512<float>.Zero); c8_1 = Vector512.Max(c8_1, Vector512<float>.Zero);
            c9_0 = Vector512.Max(c9_0, Vector512<float>.Zero); c9_1 = Vector512.Max(c9_1, Vector512<float>.Zero);
            c10_0 = Vector512.Max(c10_0, Vector512<float>.Zero); c10_1 = Vector512.Max(c10_1, Vector512<float>.Zero);
            c11_0 = Vector512.Max(c11_0, Vector512<float>.Zero); c11_1 = Vector512.Max(c11_1, Vector512<float>.Zero);
        }
        c0_0.Store(c); c0_1.Store(c + 16);
        c1_0.Store(c + ldc); c1_1.Store(c + ldc + 16);
        c2_0.Store(c + 2 * ldc); c2_1.Store(c + 2 * ldc + 16);
        c3_0.Store(c + 3 * ldc); c3_1.Store(c + 3 * ldc + 16);
        c4_0.Store(c + 4 * ldc); c4_1.Store(c + 4 * ldc + 16);
        c5_0.Store(c + 5 * ldc); c5_1.Store(c + 5 * ldc + 16);
        c6_0.Store(c + 6 * ldc); c6_1.Store(c + 6 * ldc + 16);
        c7_0.Store(c + 7 * ldc); c7_1.Store(c + 7 * ldc + 16);
        c8_0.Store(c + 8 * ldc); c8_1.Store(c + 8 * ldc + 16);
        c9_0.Store(c + 9 * ldc); c9_1.Store(c + 9 * ldc + 16);
        c10_0.Store(c + 10 * ldc); c10_1.Store(c + 10 * ldc + 16);
        c11_0.Store(c + 11 * ldc); c11_1.Store(c + 11 * ldc + 16);
    }

    /// <summary>6 x 16 on Vector256: 12 accumulators in registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Kernel6x16(int k, float* a, float* b, float* c, int ldc, bool accumulate, float* bias, bool relu)
    {
        Vector256<float> c0_0, c0_1;
        Vector256<float> c1_0, c1_1;
        Vector256<float> c2_0, c2_1;
        Vector256<float> c3_0, c3_1;
        Vector256<float> c4_0, c4_1;
        Vector256<float> c5_0, c5_1;
        if (accumulate)
        {
            c0_0 = Vector256.Load(c);
            c0_1 = Vector256.Load(c + 8);
            c1_0 = Vector256.Load(c + ldc);
            c1_1 = Vector256.Load(c + ldc + 8);
            c2_0 = Vector256.Load(c + 2 * ldc);
            c2_1 = Vector256.Load(c + 2 * ldc + 8);
            c3_0 = Vector256.Load(c + 3 * ldc);
            c3_1 = Vector256.Load(c + 3 * ldc + 8);
            c4_0 = Vector256.Load(c + 4 * ldc);
            c4_1 = Vector256.Load(c + 4 * ldc + 8);
            c5_0 = Vector256.Load(c + 5 * ldc);
            c5_1 = Vector256.Load(c + 5 * ldc + 8);
        }
        else
        {
            c0_0 = c0_1 = Vector256<float>.Zero;
            c1_0 = c1_1 = Vector256<float>.Zero;
            c2_0 = c2_1 = Vector256<float>.Zero;
            c3_0 = c3_1 = Vector256<float>.Zero;
            c4_0 = c4_1 = Vector256<float>.Zero;
            c5_0 = c5_1 = Vector256<float>.Zero;
        }
        for (; k > 0; k--, a += 6, b += 16)
        {
            Vector256<float> b0 = Vector256.Load(b), b1 = Vector256.Load(b + 8), x;
            x = Vector256.Create(a[0]);
            c0_0 = Vector256.FusedMultiplyAdd(x, b0, c0_0);
            c0_1 = Vector256.FusedMultiplyAdd(x, b1, c0_1);
            x = Vector256.Create(a[1]);
            c1_0 = Vector256.FusedMultiplyAdd(x, b0, c1_0);
            c1_1 = Vector256.FusedMultiplyAdd(x, b1, c1_1);
            x = Vector256.Create(a[2]);
            c2_0 = Vector256.FusedMultiplyAdd(x, b0, c2_0);
            c2_1 = Vector256.FusedMultiplyAdd(x, b1, c2_1);
            x = Vector256.Create(a[3]);
            c3_0 = Vector256.FusedMultiplyAdd(x, b0, c3_0);
            c3_1 = Vector256.FusedMultiplyAdd(x, b1, c3_1);
            x = Vector256.Create(a[4]);
            c4_0 = Vector256.FusedMultiplyAdd(x, b0, c4_0);
            c4_1 = Vector256.FusedMultiplyAdd(x, b1, c4_1);
            x = Vector256.Create(a[5]);
            c5_0 = Vector256.FusedMultiplyAdd(x, b0, c5_0);
            c5_1 = Vector256.FusedMultiplyAdd(x, b1, c5_1);
        }
        if (bias != null)
        {
            Vector256<float> b0 = Vector256.Load(bias), b1 = Vector256.Load(bias + 8);
            c0_0 += b0; c0_1 += b1;
            c1_0 += b0; c1_1 += b1;
            c2_0 += b0; c2_1 += b1;
            c3_0 += b0; c3_1 += b1;
            c4_0 += b0; c4_1 += b1;
            c5_0 += b0; c5_1 += b1;
        }
        if (relu)
        {
            c0_0 = Vector256.Max(c0_0, Vector256<float>.Zero); c0_1 = Vector256.Max(c0_1, Vector256<float>.Zero);
            c1_0 = Vector256.Max(c1_0, Vector256<float>.Zero); c1_1 = Vector256.Max(c1_1, Vector256<float>.Zero);
            c2_0 = Vector256.Max(c2_0, Vector256<float>.Zero); c2_1 = Vector256.Max(c2_1, Vector256<float>.Zero);
            c3_0 = Vector256.Max(c3_0, Vector256<float>.Zero); c3_1 = Vector256.Max(c3_1, Vector256<float>.Zero);
            c4_0 = Vector256.Max(c4_0, Vector256<float>.Zero); c4_1 = Vector256.Max(c4_1, Vector256<float>.Zero);
            c5_0 = Vector256.Max(c5_0, Vector256<float>.Zero); c5_1 = Vector256.Max(c5_1, Vector256<float>.Zero);
        }
        c0_0.Store(c); c0_1.Store(c + 8);
        c1_0.Store(c + ldc); c1_1.Store(c + ldc + 8);
        c2_0.Store(c + 2 * ldc); c2_1.Store(c + 2 * ldc + 8);
        c3_0.Store(c + 3 * ldc); c3_1.Store(c + 3 * ldc + 8);
        c4_0.Store(c + 4 * ldc); c4_1.Store(c + 4 * ldc + 8);
        c5_0.Store(c + 5 * ldc); c5_1.Store(c + 5 * ldc + 8);
    }

    /// <summary>4 x 8 on Vector128: 8 accumulators in registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Kernel4x8(int k, float* a, float* b, float* c, int ldc, bool accumulate, float* bias, bool relu)
    {
        Vector128<float> c0_0, c0_1;
        Vector128<float> c1_0, c1_1;
        Vector128<float> c2_0, c2_1;
        Vector128<float> c3_0, c3_1;
        if (accumulate)
        {
            c0_0 = Vector128.Load(c);
            c0_1 = Vector128.Load(c + 4);
            c1_0 = Vector128.Load(c + ldc);
            c1_1 = Vector128.Load(c + ldc + 4);
            c2_0 = Vector128.Load(c + 2 * ldc);
            c2_1 = Vector128.Load(c + 2 * ldc + 4);
            c3_0 = Vector128.Load(c + 3 * ldc);
            c3_1 = Vector128.Load(c + 3 * ldc + 4);
        }
        else
        {
            c0_0 = c0_1 = Vector128<float>.Zero;
            c1_0 = c1_1 = Vector128<float>.Zero;
            c2_0 = c2_1 = Vector128<float>.Zero;
            c3_0 = c3_1 = Vector128<float>.Zero;
        }
        for (; k > 0; k--, a += 4, b += 8)
        {
            Vector128<float> b0 = Vector128.Load(b), b1 = Vector128.Load(b + 4), x;
            x = Vector128.Create(a[0]);
            c0_0 = Vector128.FusedMultiplyAdd(x, b0, c0_0);
            c0_1 = Vector128.FusedMultiplyAdd(x, b1, c0_1);
            x = Vector128.Create(a[1]);
            c1_0 = Vector128.FusedMultiplyAdd(x, b0, c1_0);
            c1_1 = Vector128.FusedMultiplyAdd(x, b1, c1_1);
            x = Vector128.Create(a[2]);
            c2_0 = Vector128.FusedMultiplyAdd(x, b0, c2_0);
            c2_1 = Vector128.FusedMultiplyAdd(x, b1, c2_1);
            x = Vector128.Create(a[3]);
            c3_0 = Vector128.FusedMultiplyAdd(x, b0, c3_0);
            c3_1 = Vector128.FusedMultiplyAdd(x, b1, c3_1);
        }
        if (bias != null)
        {
            Vector128<float> b0 = Vector128.Load(bias), b1 = Vector128.Load(bias + 4);
            c0_0 += b0; c0_1 += b1;
            c1_0 += b0; c1_1 += b1;
            c2_0 += b0; c2_1 += b1;
            c3_0 += b0; c3_1 += b1;
        }
        if (relu)
        {
            c0_0 = Vector128.Max(c0_0, Vector128<float>.Zero); c0_1 = Vector128.Max(c0_1, Vector128<float>.Zero);
            c1_0 = Vector128.Max(c1_0, Vector128<float>.Zero); c1_1 = Vector128.Max(c1_1, Vector128<float>.Zero);
            c2_0 = Vector128.Max(c2_0, Vector128<float>.Zero); c2_1 = Vector128.Max(c2_1, Vector128<float>.Zero);
            c3_0 = Vector128.Max(c3_0, Vector128<float>.Zero); c3_1 = Vector128.Max(c3_1, Vector128<float>.Zero);
        }
        c0_0.Store(c); c0_1.Store(c + 4);
        c1_0.Store(c + ldc); c1_1.Store(c + ldc + 4);
        c2_0.Store(c + 2 * ldc); c2_1.Store(c + 2 * ldc + 4);
        c3_0.Store(c + 3 * ldc); c3_1.Store(c + 3 * ldc + 4);
    }
}
