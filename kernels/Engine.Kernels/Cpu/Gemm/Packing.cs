using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Engine.Kernels.Cpu;

/// <summary>Rearranges blocks of a matrix into the panels that the micro-kernels stream.</summary>
internal static unsafe class Packing
{
    /// <summary>
    /// Packs <paramref name="count"/> vectors of length <paramref name="depth"/> into panels of <paramref name="width"/>: element p of the panel's vector j at
    /// [p * width + j]; missing vectors of the last panel are zero.
    /// </summary>
    /// <param name="to">Room for depth * (count rounded up to width).</param>
    /// <param name="from">First element.</param>
    /// <param name="stride">Row length of the matrix as stored.</param>
    /// <param name="vectorsAreRows">Vector j is a stored row (element p contiguous), else a stored column.</param>
    /// <param name="depth">Length of the vectors.</param>
    /// <param name="count">Number of vectors.</param>
    /// <param name="width">Vectors a panel.</param>
    public static void Columns(float* to, float* from, int stride, bool vectorsAreRows, int depth, int count, int width)
    {
        for (int first = 0; first < count; first += width, to += (long)depth * width)
        {
            int vectors = Math.Min(width, count - first);
            if (vectors < width) new Span<float>(to, depth * width).Clear();
            if (vectorsAreRows) Rows(to, from + (long)first * stride, stride, depth, vectors, width);
            else
                for (int p = 0; p < depth; p++) Copy(from + (long)p * stride + first, to + (long)p * width, vectors);
        }
    }

    /// <summary>Transposes: 8 x 8 and 4 x 4 blocks in registers, the rest one by one.</summary>
    private static void Rows(float* to, float* from, int stride, int depth, int vectors, int width)
    {
        int j = 0;
        if (Avx.IsSupported)
            for (; j <= vectors - 8; j += 8)
            {
                float* row = from + (long)j * stride, at = to + j;
                int p = 0;
                for (; p <= depth - 8; p += 8, at += 8 * width) Transpose8(row + p, stride, at, width);
                for (; p < depth; p++, at += width)
                    for (int i = 0; i < 8; i++) at[i] = row[(long)i * stride + p];
            }
        for (; j <= vectors - 4; j += 4)
        {
            float* r0 = from + (long)j * stride, r1 = r0 + stride, r2 = r1 + stride, r3 = r2 + stride, at = to + j;
            int p = 0;
            for (; p <= depth - 4; p += 4, at += 4 * width)
            {
                var (x0, x1, x2, x3) = (Vector128.Load(r0 + p), Vector128.Load(r1 + p), Vector128.Load(r2 + p), Vector128.Load(r3 + p));
                var (lo01, hi01) = Interleave(x0, x1);
                var (lo23, hi23) = Interleave(x2, x3);
                // Pairs of floats move as doubles.
                Vector128.Create(lo01.GetLower(), lo23.GetLower()).Store(at);
                Vector128.Create(lo01.GetUpper(), lo23.GetUpper()).Store(at + width);
                Vector128.Create(hi01.GetLower(), hi23.GetLower()).Store(at + 2 * width);
                Vector128.Create(hi01.GetUpper(), hi23.GetUpper()).Store(at + 3 * width);
            }
            for (; p < depth; p++, at += width) (at[0], at[1], at[2], at[3]) = (r0[p], r1[p], r2[p], r3[p]);
        }
        for (; j < vectors; j++)
        {
            float* row = from + (long)j * stride;
            for (int p = 0; p < depth; p++) to[(long)p * width + j] = row[p];
        }
    }

    /// <summary>Eight rows of eight to eight columns: pairs, then quadruples, then halves change places.</summary>
    private static void Transpose8(float* from, long stride, float* to, long width)
    {
        Vector256<float> r0 = Vector256.Load(from), r1 = Vector256.Load(from + stride), r2 = Vector256.Load(from + 2 * stride), r3 = Vector256.Load(from + 3 * stride);
        Vector256<float> r4 = Vector256.Load(from + 4 * stride), r5 = Vector256.Load(from + 5 * stride), r6 = Vector256.Load(from + 6 * stride), r7 = Vector256.Load(from + 7 * stride);
        Vector256<float> a0 = Avx.UnpackLow(r0, r1), a1 = Avx.UnpackHigh(r0, r1), a2 = Avx.UnpackLow(r2, r3), a3 = Avx.UnpackHigh(r2, r3);
        Vector256<float> a4 = Avx.UnpackLow(r4, r5), a5 = Avx.UnpackHigh(r4, r5), a6 = Avx.UnpackLow(r6, r7), a7 = Avx.UnpackHigh(r6, r7);
        Vector256<float> b0 = Avx.Shuffle(a0, a2, 0x44), b1 = Avx.Shuffle(a0, a2, 0xEE), b2 = Avx.Shuffle(a1, a3, 0x44), b3 = Avx.Shuffle(a1, a3, 0xEE);
        Vector256<float> b4 = Avx.Shuffle(a4, a6, 0x44), b5 = Avx.Shuffle(a4, a6, 0xEE), b6 = Avx.Shuffle(a5, a7, 0x44), b7 = Avx.Shuffle(a5, a7, 0xEE);
        Avx.Permute2x128(b0, b4, 0x20).Store(to);
        Avx.Permute2x128(b1, b5, 0x20).Store(to + width);
        Avx.Permute2x128(b2, b6, 0x20).Store(to + 2 * width);
        Avx.Permute2x128(b3, b7, 0x20).Store(to + 3 * width);
        Avx.Permute2x128(b0, b4, 0x31).Store(to + 4 * width);
        Avx.Permute2x128(b1, b5, 0x31).Store(to + 5 * width);
        Avx.Permute2x128(b2, b6, 0x31).Store(to + 6 * width);
        Avx.Permute2x128(b3, b7, 0x31).Store(to + 7 * width);
    }

    private static (Vector128<float> Low, Vector128<float> High) Interleave(Vector128<float> x, Vector128<float> y)
    {
        if (Sse.IsSupported)
            return (Sse.UnpackLow(x, y), Sse.UnpackHigh(x, y));
        return (Vector128.Create(x[0], y[0], x[1], y[1]), Vector128.Create(x[2], y[2], x[3], y[3]));
    }

    private static void Copy(float* from, float* to, int n)
    {
        int i = 0;
        for (; i <= n - 16; i += 16) Vector512.Load(from + i).Store(to + i);
        for (; i <= n - 4; i += 4) Vector128.Load(from + i).Store(to + i);
        for (; i < n; i++) to[i] = from[i];
    }

    /// <summary>Copies a tile between row lengths.</summary>
    public static void CopyTile(float* from, int fromStride, float* to, int toStride, int rows, int columns)
    {
        for (int i = 0; i < rows; i++) new ReadOnlySpan<float>(from + (long)i * fromStride, columns).CopyTo(new Span<float>(to + (long)i * toStride, columns));
    }
}
