using System.Runtime.Intrinsics;

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

    /// <summary>Transposes: 4 x 4 blocks in registers, the rest one by one.</summary>
    private static void Rows(float* to, float* from, int stride, int depth, int vectors, int width)
    {
        int j = 0;
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

    private static (Vector128<float> Low, Vector128<float> High) Interleave(Vector128<float> x, Vector128<float> y)
    {
        if (System.Runtime.Intrinsics.X86.Sse.IsSupported)
            return (System.Runtime.Intrinsics.X86.Sse.UnpackLow(x, y), System.Runtime.Intrinsics.X86.Sse.UnpackHigh(x, y));
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
