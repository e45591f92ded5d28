using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Engine.Kernels.Cpu;

/// <summary>Register tiles of Vector256: 6x16, 4x16. The 6-row tile holds 12 accumulators, two columns of B and one broadcast of A in 15 of the 16 registers.
/// Accumulators are explicit locals because the JIT does not keep arrays, nor larger structs, in registers.</summary>
internal sealed unsafe class MicroKernel256 : IMicroKernel
{
    public static int MainRows => 6;

    public static int Columns => 16;
    public static void Tile6(int k, float* a, nint aRow, nint aStep, float* b, nint bStep, float* c, nint ldc, GemmEpilogue mode, float* bias)
    {
        Vector256<float> c00 = Vector256<float>.Zero, c01 = Vector256<float>.Zero;
        Vector256<float> c10 = Vector256<float>.Zero, c11 = Vector256<float>.Zero;
        Vector256<float> c20 = Vector256<float>.Zero, c21 = Vector256<float>.Zero;
        Vector256<float> c30 = Vector256<float>.Zero, c31 = Vector256<float>.Zero;
        Vector256<float> c40 = Vector256<float>.Zero, c41 = Vector256<float>.Zero;
        Vector256<float> c50 = Vector256<float>.Zero, c51 = Vector256<float>.Zero;
        // A base pointer for every third row keeps the addresses to base, base + row and base + 2 row.
        nint aRow2 = 2 * aRow;
        float* a0 = a, a3 = a0 + aRow2 + aRow;
        for (int p = 0; p < k; p++)
        {
            Vector256<float> b0 = Vector256.Load(b), b1 = Vector256.Load(b + 8);
            b += bStep;
            Vector256<float> v0 = Vector256.Create(a0[0]);
            c00 = Vector256.MultiplyAddEstimate(v0, b0, c00);
            c01 = Vector256.MultiplyAddEstimate(v0, b1, c01);
            Vector256<float> v1 = Vector256.Create(a0[aRow]);
            c10 = Vector256.MultiplyAddEstimate(v1, b0, c10);
            c11 = Vector256.MultiplyAddEstimate(v1, b1, c11);
            Vector256<float> v2 = Vector256.Create(a0[aRow2]);
            c20 = Vector256.MultiplyAddEstimate(v2, b0, c20);
            c21 = Vector256.MultiplyAddEstimate(v2, b1, c21);
            Vector256<float> v3 = Vector256.Create(a3[0]);
            c30 = Vector256.MultiplyAddEstimate(v3, b0, c30);
            c31 = Vector256.MultiplyAddEstimate(v3, b1, c31);
            Vector256<float> v4 = Vector256.Create(a3[aRow]);
            c40 = Vector256.MultiplyAddEstimate(v4, b0, c40);
            c41 = Vector256.MultiplyAddEstimate(v4, b1, c41);
            Vector256<float> v5 = Vector256.Create(a3[aRow2]);
            c50 = Vector256.MultiplyAddEstimate(v5, b0, c50);
            c51 = Vector256.MultiplyAddEstimate(v5, b1, c51);
            a0 += aStep;
            a3 += aStep;
        }
        Vector256<float> bias0 = Vector256<float>.Zero, bias1 = Vector256<float>.Zero;
        if ((mode & GemmEpilogue.Bias) != 0) (bias0, bias1) = (Vector256.Load(bias), Vector256.Load(bias + 8));
        Finish(c, c00, c01, mode, bias0, bias1);
        Finish(c + ldc, c10, c11, mode, bias0, bias1);
        Finish(c + 2 * ldc, c20, c21, mode, bias0, bias1);
        Finish(c + 3 * ldc, c30, c31, mode, bias0, bias1);
        Finish(c + 4 * ldc, c40, c41, mode, bias0, bias1);
        Finish(c + 5 * ldc, c50, c51, mode, bias0, bias1);
    }

    public static void Tile4(int k, float* a, nint aRow, nint aStep, int rows, float* b, nint bStep, float* c, nint ldc, GemmEpilogue mode, float* bias)
    {
        Vector256<float> c00 = Vector256<float>.Zero, c01 = Vector256<float>.Zero;
        Vector256<float> c10 = Vector256<float>.Zero, c11 = Vector256<float>.Zero;
        Vector256<float> c20 = Vector256<float>.Zero, c21 = Vector256<float>.Zero;
        Vector256<float> c30 = Vector256<float>.Zero, c31 = Vector256<float>.Zero;
        // Rows beyond the last repeat it: their sums are thrown away, and nothing outside A is read.
        float* a0 = a, a1 = a + (rows > 1 ? aRow : 0), a2 = a1 + (rows > 2 ? aRow : 0), a3 = a2 + (rows > 3 ? aRow : 0);
        for (int p = 0; p < k; p++)
        {
            Vector256<float> b0 = Vector256.Load(b), b1 = Vector256.Load(b + 8);
            b += bStep;
            Vector256<float> v0 = Vector256.Create(a0[0]);
            c00 = Vector256.MultiplyAddEstimate(v0, b0, c00);
            c01 = Vector256.MultiplyAddEstimate(v0, b1, c01);
            Vector256<float> v1 = Vector256.Create(a1[0]);
            c10 = Vector256.MultiplyAddEstimate(v1, b0, c10);
            c11 = Vector256.MultiplyAddEstimate(v1, b1, c11);
            Vector256<float> v2 = Vector256.Create(a2[0]);
            c20 = Vector256.MultiplyAddEstimate(v2, b0, c20);
            c21 = Vector256.MultiplyAddEstimate(v2, b1, c21);
            Vector256<float> v3 = Vector256.Create(a3[0]);
            c30 = Vector256.MultiplyAddEstimate(v3, b0, c30);
            c31 = Vector256.MultiplyAddEstimate(v3, b1, c31);
            a0 += aStep;
            a1 += aStep;
            a2 += aStep;
            a3 += aStep;
        }
        Vector256<float> bias0 = Vector256<float>.Zero, bias1 = Vector256<float>.Zero;
        if ((mode & GemmEpilogue.Bias) != 0) (bias0, bias1) = (Vector256.Load(bias), Vector256.Load(bias + 8));
        Finish(c, c00, c01, mode, bias0, bias1);
        if (rows == 1) return;
        Finish(c + ldc, c10, c11, mode, bias0, bias1);
        if (rows == 2) return;
        Finish(c + 2 * ldc, c20, c21, mode, bias0, bias1);
        if (rows == 3) return;
        Finish(c + 3 * ldc, c30, c31, mode, bias0, bias1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Finish(float* c, Vector256<float> v0, Vector256<float> v1, GemmEpilogue mode, Vector256<float> bias0, Vector256<float> bias1)
    {
        if (mode != GemmEpilogue.None)
        {
            if ((mode & GemmEpilogue.Accumulate) != 0) (v0, v1) = (Vector256.Load(c) + v0, Vector256.Load(c + 8) + v1);
            if ((mode & GemmEpilogue.Bias) != 0) (v0, v1) = (v0 + bias0, v1 + bias1);
            if ((mode & GemmEpilogue.Relu) != 0)
            {
                v0 = Vector256.AndNot(v0, Vector256.LessThanOrEqual(v0, Vector256<float>.Zero));
                v1 = Vector256.AndNot(v1, Vector256.LessThanOrEqual(v1, Vector256<float>.Zero));
            }
        }
        v0.Store(c);
        v1.Store(c + 8);
    }

    public static void Run(int rows, int k, float* a, nint aRow, nint aStep, float* b, nint bStep, float* c, nint ldc, GemmEpilogue mode, float* bias)
    {
        if (rows == 6) Tile6(k, a, aRow, aStep, b, bStep, c, ldc, mode, bias);
        else Tile4(k, a, aRow, aStep, rows, b, bStep, c, ldc, mode, bias);
    }

    public static int RowsAt(int left) => left >= 6 ? 6 : Math.Min(left, 4);
}
