using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Engine.Kernels.Cpu;

/// <summary>Register tiles of Vector128: 4x8. Eight accumulators, two columns of B and one broadcast of A take 11 of the 16 registers of SSE.
/// Accumulators are explicit locals because the JIT does not keep arrays, nor larger structs, in registers.</summary>
internal sealed unsafe class MicroKernel128 : IMicroKernel
{
    public static int MainRows => 4;

    public static int Columns => 8;
    public static void Tile4(int k, float* a, nint aRow, nint aStep, int rows, float* b, nint bStep, float* c, nint ldc, GemmEpilogue mode, float* bias)
    {
        Vector128<float> c00 = Vector128<float>.Zero, c01 = Vector128<float>.Zero;
        Vector128<float> c10 = Vector128<float>.Zero, c11 = Vector128<float>.Zero;
        Vector128<float> c20 = Vector128<float>.Zero, c21 = Vector128<float>.Zero;
        Vector128<float> c30 = Vector128<float>.Zero, c31 = Vector128<float>.Zero;
        // Rows beyond the last repeat it: their sums are thrown away, and nothing outside A is read.
        float* a0 = a, a1 = a + (rows > 1 ? aRow : 0), a2 = a1 + (rows > 2 ? aRow : 0), a3 = a2 + (rows > 3 ? aRow : 0);
        for (int p = 0; p < k; p++)
        {
            Vector128<float> b0 = Vector128.Load(b), b1 = Vector128.Load(b + 4);
            b += bStep;
            Vector128<float> v0 = Vector128.Create(a0[0]);
            c00 = Vector128.MultiplyAddEstimate(v0, b0, c00);
            c01 = Vector128.MultiplyAddEstimate(v0, b1, c01);
            Vector128<float> v1 = Vector128.Create(a1[0]);
            c10 = Vector128.MultiplyAddEstimate(v1, b0, c10);
            c11 = Vector128.MultiplyAddEstimate(v1, b1, c11);
            Vector128<float> v2 = Vector128.Create(a2[0]);
            c20 = Vector128.MultiplyAddEstimate(v2, b0, c20);
            c21 = Vector128.MultiplyAddEstimate(v2, b1, c21);
            Vector128<float> v3 = Vector128.Create(a3[0]);
            c30 = Vector128.MultiplyAddEstimate(v3, b0, c30);
            c31 = Vector128.MultiplyAddEstimate(v3, b1, c31);
            a0 += aStep;
            a1 += aStep;
            a2 += aStep;
            a3 += aStep;
        }
        Vector128<float> bias0 = Vector128<float>.Zero, bias1 = Vector128<float>.Zero;
        if ((mode & GemmEpilogue.Bias) != 0) (bias0, bias1) = (Vector128.Load(bias), Vector128.Load(bias + 4));
        Finish(c, c00, c01, mode, bias0, bias1);
        if (rows == 1) return;
        Finish(c + ldc, c10, c11, mode, bias0, bias1);
        if (rows == 2) return;
        Finish(c + 2 * ldc, c20, c21, mode, bias0, bias1);
        if (rows == 3) return;
        Finish(c + 3 * ldc, c30, c31, mode, bias0, bias1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Finish(float* c, Vector128<float> v0, Vector128<float> v1, GemmEpilogue mode, Vector128<float> bias0, Vector128<float> bias1)
    {
        if (mode != GemmEpilogue.None)
        {
            if ((mode & GemmEpilogue.Accumulate) != 0) (v0, v1) = (Vector128.Load(c) + v0, Vector128.Load(c + 4) + v1);
            if ((mode & GemmEpilogue.Bias) != 0) (v0, v1) = (v0 + bias0, v1 + bias1);
            if ((mode & GemmEpilogue.Relu) != 0)
            {
                v0 = Vector128.AndNot(v0, Vector128.LessThanOrEqual(v0, Vector128<float>.Zero));
                v1 = Vector128.AndNot(v1, Vector128.LessThanOrEqual(v1, Vector128<float>.Zero));
            }
        }
        v0.Store(c);
        v1.Store(c + 4);
    }

    public static void Run(int rows, int k, float* a, nint aRow, nint aStep, float* b, nint bStep, float* c, nint ldc, GemmEpilogue mode, float* bias)
    {
        Tile4(k, a, aRow, aStep, rows, b, bStep, c, ldc, mode, bias);
    }

    public static int RowsAt(int left) => Math.Min(left, 4);
}
