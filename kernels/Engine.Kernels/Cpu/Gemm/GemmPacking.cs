using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Engine.Kernels.Cpu;

/// <summary>
/// Copies blocks of B into panels as wide as a register tile, so that the micro-kernel reads it in order, at aligned addresses
/// and from few memory pages. The columns that a last panel lacks are zero.
/// </summary>
internal static unsafe class GemmPacking
{
    /// <summary>panel[p*width + j] = b[p*ld + j] for j below <paramref name="columns"/>.</summary>
    internal static void Rows(float* b, nint ld, int k, int columns, int width, float* panel)
    {
        if (columns == width && width % 16 == 0)
        {
            for (int p = 0; p < k; p++, b += ld, panel += width)
                for (int j = 0; j < width; j += 16) Vector512.Store(Vector512.Load(b + j), panel + j);
            return;
        }
        for (int p = 0; p < k; p++, b += ld, panel += width)
        {
            int j = 0;
            for (; j + 8 <= columns; j += 8) Vector256.Load(b + j).Store(panel + j);
            for (; j < columns; j++) panel[j] = b[j];
            for (; j < width; j++) panel[j] = 0;
        }
    }

    /// <summary>panel[p*width + j] = b[j*ld + p] for j below <paramref name="columns"/>: B is stored transposed.</summary>
    internal static void Columns(float* b, nint ld, int k, int columns, int width, float* panel)
    {
        int j = 0;
        for (; j + 8 <= columns; j += 8)
        {
            float* source = b + j * ld, target = panel + j;
            int p = 0;
            if (Avx.IsSupported)
                for (; p + 8 <= k; p += 8) Transpose8(source + p, ld, target + p * width, width);
            for (; p < k; p++)
                for (int i = 0; i < 8; i++) target[p * width + i] = source[i * ld + p];
        }
        for (; j < columns; j++)
            for (int p = 0; p < k; p++) panel[p * width + j] = b[j * ld + p];
        if (j < width)
            for (int p = 0; p < k; p++) new Span<float>(panel + p * width + j, width - j).Clear();
    }

    /// <summary>An 8x8 block: pairs of rows, then pairs of pairs, then halves.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose8(float* s, nint ld, float* t, nint width)
    {
        // Halves of rows i and i+4 are loaded into one vector, which saves the shuffles across halves at the end.
        Vector256<float> r0 = Halves(s, 4 * ld), r1 = Halves(s + ld, 4 * ld), r2 = Halves(s + 2 * ld, 4 * ld), r3 = Halves(s + 3 * ld, 4 * ld);
        Vector256<float> q0 = Halves(s + 4, 4 * ld), q1 = Halves(s + ld + 4, 4 * ld), q2 = Halves(s + 2 * ld + 4, 4 * ld), q3 = Halves(s + 3 * ld + 4, 4 * ld);
        Transpose4(r0, r1, r2, r3, t, width);
        Transpose4(q0, q1, q2, q3, t + 4 * width, width);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Halves(float* low, nint distance) =>
        Avx.InsertVector128(Vector128.Load(low).ToVector256Unsafe(), Vector128.Load(low + distance), 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose4(Vector256<float> r0, Vector256<float> r1, Vector256<float> r2, Vector256<float> r3, float* t, nint width)
    {
        Vector256<double> x0 = Avx.UnpackLow(r0, r1).AsDouble(), x1 = Avx.UnpackLow(r2, r3).AsDouble();
        Vector256<double> y0 = Avx.UnpackHigh(r0, r1).AsDouble(), y1 = Avx.UnpackHigh(r2, r3).AsDouble();
        Avx.UnpackLow(x0, x1).AsSingle().Store(t);
        Avx.UnpackHigh(x0, x1).AsSingle().Store(t + width);
        Avx.UnpackLow(y0, y1).AsSingle().Store(t + 2 * width);
        Avx.UnpackHigh(y0, y1).AsSingle().Store(t + 3 * width);
    }
}
