using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Engine.Kernels.Cpu;

/// <summary>Register tiles of Vector512: 12x32, 8x32, 4x32. The 12-row tile holds 24 accumulators, two columns of B and one broadcast of A in 27 of the 32 registers.
/// Accumulators are explicit locals because the JIT does not keep arrays, nor larger structs, in registers.</summary>
internal sealed unsafe class MicroKernel512 : IMicroKernel
{
    public static int MainRows => 12;

    public static int Columns => 32;
    public static void Tile12(int k, float* a, nint aRow, nint aStep, float* b, nint bStep, float* c, nint ldc, GemmEpilogue mode, float* bias)
    {
        Vector512<float> c00 = Vector512<float>.Zero, c01 = Vector512<float>.Zero;
        Vector512<float> c10 = Vector512<float>.Zero, c11 = Vector512<float>.Zero;
        Vector512<float> c20 = Vector512<float>.Zero, c21 = Vector512<float>.Zero;
        Vector512<float> c30 = Vector512<float>.Zero, c31 = Vector512<float>.Zero;
        Vector512<float> c40 = Vector512<float>.Zero, c41 = Vector512<float>.Zero;
        Vector512<float> c50 = Vector512<float>.Zero, c51 = Vector512<float>.Zero;
        Vector512<float> c60 = Vector512<float>.Zero, c61 = Vector512<float>.Zero;
        Vector512<float> c70 = Vector512<float>.Zero, c71 = Vector512<float>.Zero;
        Vector512<float> c80 = Vector512<float>.Zero, c81 = Vector512<float>.Zero;
        Vector512<float> c90 = Vector512<float>.Zero, c91 = Vector512<float>.Zero;
        Vector512<float> c100 = Vector512<float>.Zero, c101 = Vector512<float>.Zero;
        Vector512<float> c110 = Vector512<float>.Zero, c111 = Vector512<float>.Zero;
        // A base pointer for every third row keeps the addresses to base, base + row and base + 2 row.
        nint aRow2 = 2 * aRow;
        float* a0 = a, a3 = a0 + aRow2 + aRow, a6 = a3 + aRow2 + aRow, a9 = a6 + aRow2 + aRow;
        for (int p = 0; p < k; p++)
        {
            Vector512<float> b0 = Vector512.Load(b), b1 = Vector512.Load(b + 16);
            b += bStep;
            Vector512<float> v0 = Vector512.Create(a0[0]);
            c00 = Vector512.MultiplyAddEstimate(v0, b0, c00);
            c01 = Vector512.MultiplyAddEstimate(v0, b1, c01);
            Vector512<float> v1 = Vector512.Create(a0[aRow]);
            c10 = Vector512.MultiplyAddEstimate(v1, b0, c10);
            c11 = Vector512.MultiplyAddEstimate(v1, b1, c11);
            Vector512<float> v2 = Vector512.Create(a0[aRow2]);
            c20 = Vector512.MultiplyAddEstimate(v2, b0, c20);
            c21 = Vector512.MultiplyAddEstimate(v2, b1, c21);
            Vector512<float> v3 = Vector512.Create(a3[0]);
            c30 = Vector512.MultiplyAddEstimate(v3, b0, c30);
            c31 = Vector512.MultiplyAddEstimate(v3, b1, c31);
            Vector512<float> v4 = Vector512.Create(a3[aRow]);
            c40 = Vector512.MultiplyAddEstimate(v4, b0, c40);
            c41 = Vector512.MultiplyAddEstimate(v4, b1, c41);
            Vector512<float> v5 = Vector512.Create(a3[aRow2]);
            c50 = Vector512.MultiplyAddEstimate(v5, b0, c50);
            c51 = Vector512.MultiplyAddEstimate(v5, b1, c51);
            Vector512<float> v6 = Vector512.Create(a6[0]);
            c60 = Vector512.MultiplyAddEstimate(v6, b0, c60);
            c61 = Vector512.MultiplyAddEstimate(v6, b1, c61);
            Vector512<float> v7 = Vector512.Create(a6[aRow]);
            c70 = Vector512.MultiplyAddEstimate(v7, b0, c70);
            c71 = Vector512.MultiplyAddEstimate(v7, b1, c71);
            Vector512<float> v8 = Vector512.Create(a6[aRow2]);
            c80 = Vector512.MultiplyAddEstimate(v8, b0, c80);
            c81 = Vector512.MultiplyAddEstimate(v8, b1, c81);
            Vector512<float> v9 = Vector512.Create(a9[0]);
            c90 = Vector512.MultiplyAddEstimate(v9, b0, c90);
            c91 = Vector512.MultiplyAddEstimate(v9, b1, c91);
            Vector512<float> v10 = Vector512.Create(a9[aRow]);
            c100 = Vector512.MultiplyAddEstimate(v10, b0, c100);
            c101 = Vector512.MultiplyAddEstimate(v10, b1, c101);
            Vector512<float> v11 = Vector512.Create(a9[aRow2]);
            c110 = Vector512.MultiplyAddEstimate(v11, b0, c110);
            c111 = Vector512.MultiplyAddEstimate(v11, b1, c111);
            a0 += aStep;
            a3 += aStep;
            a6 += aStep;
            a9 += aStep;
        }
        Vector512<float> bias0 = Vector512<float>.Zero, bias1 = Vector512<float>.Zero;
        if ((mode & GemmEpilogue.Bias) != 0) (bias0, bias1) = (Vector512.Load(bias), Vector512.Load(bias + 16));
        Finish(c, c00, c01, mode, bias0, bias1);
        Finish(c + ldc, c10, c11, mode, bias0, bias1);
        Finish(c + 2 * ldc, c20, c21, mode, bias0, bias1);
        Finish(c + 3 * ldc, c30, c31, mode, bias0, bias1);
        Finish(c + 4 * ldc, c40, c41, mode, bias0, bias1);
        Finish(c + 5 * ldc, c50, c51, mode, bias0, bias1);
        Finish(c + 6 * ldc, c60, c61, mode, bias0, bias1);
        Finish(c + 7 * ldc, c70, c71, mode, bias0, bias1);
        Finish(c + 8 * ldc, c80, c81, mode, bias0, bias1);
        Finish(c + 9 * ldc, c90, c91, mode, bias0, bias1);
        Finish(c + 10 * ldc, c100, c101, mode, bias0, bias1);
        Finish(c + 11 * ldc, c110, c111, mode, bias0, bias1);
    }

    public static void Tile8(int k, float* a, nint aRow, nint aStep, float* b, nint bStep, float* c, nint ldc, GemmEpilogue mode, float* bias)
    {
        Vector512<float> c00 = Vector512<float>.Zero, c01 = Vector512<float>.Zero;
        Vector512<float> c10 = Vector512<float>.Zero, c11 = Vector512<float>.Zero;
        Vector512<float> c20 = Vector512<float>.Zero, c21 = Vector512<float>.Zero;
        Vector512<float> c30 = Vector512<float>.Zero, c31 = Vector512<float>.Zero;
        Vector512<float> c40 = Vector512<float>.Zero, c41 = Vector512<float>.Zero;
        Vector512<float> c50 = Vector512<float>.Zero, c51 = Vector512<float>.Zero;
        Vector512<float> c60 = Vector512<float>.Zero, c61 = Vector512<float>.Zero;
        Vector512<float> c70 = Vector512<float>.Zero, c71 = Vector512<float>.Zero;
        // A base pointer for every third row keeps the addresses to base, base + row and base + 2 row.
        nint aRow2 = 2 * aRow;
        float* a0 = a, a3 = a0 + aRow2 + aRow, a6 = a3 + aRow2 + aRow;
        for (int p = 0; p < k; p++)
        {
            Vector512<float> b0 = Vector512.Load(b), b1 = Vector512.Load(b + 16);
            b += bStep;
            Vector512<float> v0 = Vector512.Create(a0[0]);
            c00 = Vector512.MultiplyAddEstimate(v0, b0, c00);
            c01 = Vector512.MultiplyAddEstimate(v0, b1, c01);
            Vector512<float> v1 = Vector512.Create(a0[aRow]);
            c10 = Vector512.MultiplyAddEstimate(v1, b0, c10);
            c11 = Vector512.MultiplyAddEstimate(v1, b1, c11);
            Vector512<float> v2 = Vector512.Create(a0[aRow2]);
            c20 = Vector512.MultiplyAddEstimate(v2, b0, c20);
            c21 = Vector512.MultiplyAddEstimate(v2, b1, c21);
            Vector512<float> v3 = Vector512.Create(a3[0]);
            c30 = Vector512.MultiplyAddEstimate(v3, b0, c30);
            c31 = Vector512.MultiplyAddEstimate(v3, b1, c31);
            Vector512<float> v4 = Vector512.Create(a3[aRow]);
            c40 = Vector512.MultiplyAddEstimate(v4, b0, c40);
            c41 = Vector512.MultiplyAddEstimate(v4, b1, c41);
            Vector512<float> v5 = Vector512.Create(a3[aRow2]);
            c50 = Vector512.MultiplyAddEstimate(v5, b0, c50);
            c51 = Vector512.MultiplyAddEstimate(v5, b1, c51);
            Vector512<float> v6 = Vector512.Create(a6[0]);
            c60 = Vector512.MultiplyAddEstimate(v6, b0, c60);
            c61 = Vector512.MultiplyAddEstimate(v6, b1, c61);
            Vector512<float> v7 = Vector512.Create(a6[aRow]);
            c70 = Vector512.MultiplyAddEstimate(v7, b0, c70);
            c71 = Vector512.MultiplyAddEstimate(v7, b1, c71);
            a0 += aStep;
            a3 += aStep;
            a6 += aStep;
        }
        Vector512<float> bias0 = Vector512<float>.Zero, bias1 = Vector512<float>.Zero;
        if ((mode & GemmEpilogue.Bias) != 0) (bias0, bias1) = (Vector512.Load(bias), Vector512.Load(bias + 16));
        Finish(c, c00, c01, mode, bias0, bias1);
        Finish(c + ldc, c10, c11, mode, bias0, bias1);
        Finish(c + 2 * ldc, c20, c21, mode, bias0, bias1);
        Finish(c + 3 * ldc, c30, c31, mode, bias0, bias1);
        Finish(c + 4 * ldc, c40, c41, mode, bias0, bias1);
        Finish(c + 5 * ldc, c50, c51, mode, bias0, bias1);
        Finish(c + 6 * ldc, c60, c61, mode, bias0, bias1);
        Finish(c + 7 * ldc, c70, c71, mode, bias0, bias1);
    }

    public static void Tile4(int k, float* a, nint aRow, nint aStep, int rows, float* b, nint bStep, float* c, nint ldc, GemmEpilogue mode, float* bias)
    {
        Vector512<float> c00 = Vector512<float>.Zero, c01 = Vector512<float>.Zero;
        Vector512<float> c10 = Vector512<float>.Zero, c11 = Vector512<float>.Zero;
        Vector512<float> c20 = Vector512<float>.Zero, c21 = Vector512<float>.Zero;
        Vector512<float> c30 = Vector512<float>.Zero, c31 = Vector512<float>.Zero;
        // Rows beyond the last repeat it: their sums are thrown away, and nothing outside A is read.
        float* a0 = a, a1 = a + (rows > 1 ? aRow : 0), a2 = a1 + (rows > 2 ? aRow : 0), a3 = a2 + (rows > 3 ? aRow : 0);
        for (int p = 0; p < k; p++)
        {
            Vector512<float> b0 = Vector512.Load(b), b1 = Vector512.Load(b + 16);
            b += bStep;
            Vector512<float> v0 = Vector512.Create(a0[0]);
            c00 = Vector512.MultiplyAddEstimate(v0, b0, c00);
            c01 = Vector512.MultiplyAddEstimate(v0, b1, c01);
            Vector512<float> v1 = Vector512.Create(a1[0]);
            c10 = Vector512.MultiplyAddEstimate(v1, b0, c10);
            c11 = Vector512.MultiplyAddEstimate(v1, b1, c11);
            Vector512<float> v2 = Vector512.Create(a2[0]);
            c20 = Vector512.MultiplyAddEstimate(v2, b0, c20);
            c21 = Vector512.MultiplyAddEstimate(v2, b1, c21);
            Vector512<float> v3 = Vector512.Create(a3[0]);
            c30 = Vector512.MultiplyAddEstimate(v3, b0, c30);
            c31 = Vector512.MultiplyAddEstimate(v3, b1, c31);
            a0 += aStep;
            a1 += aStep;
            a2 += aStep;
            a3 += aStep;
        }
        Vector512<float> bias0 = Vector512<float>.Zero, bias1 = Vector512<float>.Zero;
        if ((mode & GemmEpilogue.Bias) != 0) (bias0, bias1) = (Vector512.Load(bias), Vector512.Load(bias + 16));
        Finish(c, c00, c01, mode, bias0, bias1);
        if (rows == 1) return;
        Finish(c + ldc, c10, c11, mode, bias0, bias1);
        if (rows == 2) return;
        Finish(c + 2 * ldc, c20, c21, mode, bias0, bias1);
        if (rows == 3) return;
        Finish(c + 3 * ldc, c30, c31, mode, bias0, bias1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Finish(float* c, Vector512<float> v0, Vector512<float> v1, GemmEpilogue mode, Vector512<float> bias0, Vector512<float> bias1)
    {
        if (mode != GemmEpilogue.None)
        {
            if ((mode & GemmEpilogue.Accumulate) != 0) (v0, v1) = (Vector512.Load(c) + v0, Vector512.Load(c + 16) + v1);
            if ((mode & GemmEpilogue.Bias) != 0) (v0, v1) = (v0 + bias0, v1 + bias1);
            if ((mode & GemmEpilogue.Relu) != 0)
            {
                v0 = Vector512.AndNot(v0, Vector512.LessThanOrEqual(v0, Vector512<float>.Zero));
                v1 = Vector512.AndNot(v1, Vector512.LessThanOrEqual(v1, Vector512<float>.Zero));
            }
        }
        v0.Store(c);
        v1.Store(c + 16);
    }

    public static void Run(int rows, int k, float* a, nint aRow, nint aStep, float* b, nint bStep, float* c, nint ldc, GemmEpilogue mode, float* bias)
    {
        if (rows == 12) Tile12(k, a, aRow, aStep, b, bStep, c, ldc, mode, bias);
        else if (rows == 8) Tile8(k, a, aRow, aStep, b, bStep, c, ldc, mode, bias);
        else Tile4(k, a, aRow, aStep, rows, b, bStep, c, ldc, mode, bias);
    }

    public static int RowsAt(int left) => left >= 12 ? 12 : left >= 8 ? 8 : Math.Min(left, 4);
}
