using System.Runtime.CompilerServices;

namespace Engine.Kernels.Cpu;

/// <summary>
/// Reductions of contiguous rows, and row-by-row accumulation for reductions over an outer axis. The order of a sum depends on
/// the length alone, never on the address, so that results are bit-equal wherever a row lies and whoever sums it.
/// </summary>
public static unsafe class ReductionLoops
{
    /// <summary>The sum; 0 of an empty row. Four vectors of partial sums within blocks of 1024, and blocks added in pairs: the
    /// error grows with the logarithm of the length.</summary>
    public static float Sum(ReadOnlySpan<float> x) => Sum(x, Simd.Best);

    /// <summary>The largest; NaN if there is one, +0 above -0; -inf of an empty row.</summary>
    public static float Max(ReadOnlySpan<float> x) => Max(x, Simd.Best);

    /// <summary>The smallest; NaN if there is one, -0 below +0; +inf of an empty row.</summary>
    public static float Min(ReadOnlySpan<float> x) => Min(x, Simd.Best);

    /// <summary>Position of the first of the largest, or of the first NaN; the zeros are equal.</summary>
    /// <exception cref="ArgumentException">The row is empty.</exception>
    public static int ArgMax(ReadOnlySpan<float> x) => ArgMax(x, Simd.Best);

    /// <summary>Position of the first of the smallest, or of the first NaN; the zeros are equal.</summary>
    /// <exception cref="ArgumentException">The row is empty.</exception>
    public static int ArgMin(ReadOnlySpan<float> x) => ArgMin(x, Simd.Best);

    /// <summary>total[j] += row[j]: call for the rows in order.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void AddInto(Span<float> total, ReadOnlySpan<float> row) => BinaryLoops.Run(BinaryKind.Add, total, row, total);

    /// <summary>largest[j] = max(largest[j], row[j]); NaN stays.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void MaxInto(Span<float> largest, ReadOnlySpan<float> row) => BinaryLoops.Run(BinaryKind.Maximum, largest, row, largest);

    /// <summary>smallest[j] = min(smallest[j], row[j]); NaN stays.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void MinInto(Span<float> smallest, ReadOnlySpan<float> row) => BinaryLoops.Run(BinaryKind.Minimum, smallest, row, smallest);

    /// <summary>into[j] = the first row's j combined with those of the others, in order, as the row-by-row functions do; the partial results stay in registers, so that short rows cost no calls.</summary>
    /// <param name="kind">How.</param>
    /// <param name="into">[width]; with <paramref name="go"/> it holds what came before.</param>
    /// <param name="rows">[count, stride], at least one.</param>
    /// <param name="count">Rows.</param>
    /// <param name="stride">Elements from row to row.</param>
    /// <param name="width">Columns.</param>
    /// <param name="go">Goes on from what is there.</param>
    internal static void Columns(ReduceKind kind, float* into, float* rows, nint count, nint stride, nint width, bool go)
    {
        switch (kind)
        {
            case ReduceKind.Sum: Simd.Dispatch(Simd.Best, new ColumnWork<Total>(into, rows, count, stride, width, go)); break;
            case ReduceKind.Max: Simd.Dispatch(Simd.Best, new ColumnWork<Largest>(into, rows, count, stride, width, go)); break;
            default: Simd.Dispatch(Simd.Best, new ColumnWork<Smallest>(into, rows, count, stride, width, go)); break;
        }
    }

    private readonly struct ColumnWork<F>(float* into, float* rows, nint count, nint stride, nint width, bool go) : ILaneWork where F : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<T>() where T : unmanaged, ILanes<T> => Rows<T>.Columns<F>(into, rows, count, stride, width, go);
    }

    private const int Block = 1024;

    /// <summary>How many of more than a block of elements the left branch of their sum has: a power of two of blocks, so that the tree depends on the length alone.</summary>
    internal static nint LeftBranch(nint n)
    {
        nint left = Block;
        while (left * 2 < n) left *= 2;
        return left;
    }

    internal static float Sum(ReadOnlySpan<float> x, SimdWidth width)
    {
        fixed (float* p = x) return Simd.Dispatch(width, new SumWork(p, x.Length)).Result;
    }

    internal static float Max(ReadOnlySpan<float> x, SimdWidth width)
    {
        fixed (float* p = x) return Simd.Dispatch(width, new ExtremeWork<Largest>(p, x.Length, float.NegativeInfinity)).Result;
    }

    internal static float Min(ReadOnlySpan<float> x, SimdWidth width)
    {
        fixed (float* p = x) return Simd.Dispatch(width, new ExtremeWork<Smallest>(p, x.Length, float.PositiveInfinity)).Result;
    }

    private struct SumWork(float* x, nint n) : ILaneWork
    {
        public float Result;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<T>() where T : unmanaged, ILanes<T> => Result = Rows<T>.Sum(x, n);
    }

    private struct ExtremeWork<F>(float* x, nint n, float start) : ILaneWork where F : IBinaryFunction
    {
        public float Result;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<T>() where T : unmanaged, ILanes<T> => Result = Rows<T>.Extreme<F>(x, n, start);
    }

    internal static int ArgMax(ReadOnlySpan<float> x, SimdWidth width) => First(x, Max(x, width));

    internal static int ArgMin(ReadOnlySpan<float> x, SimdWidth width) => First(x, Min(x, width));

    // Two passes, to find the value and to find where it is, need no vectors of indices; the second ends at the first match.
    private static int First(ReadOnlySpan<float> x, float value)
    {
        if (x.IsEmpty) throw new ArgumentException("the position of an extreme of an empty row is not defined", nameof(x));
        // The span's search compares as ==, so that it finds either zero, but no NaN.
        if (!float.IsNaN(value)) return x.IndexOf(value);
        int i = 0;
        while (!float.IsNaN(x[i])) i++;
        return i;
    }

    private readonly struct Total : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => x + y;
    }

    private readonly struct Largest : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => T.Max(x, y);
    }

    private readonly struct Smallest : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T> => T.Min(x, y);
    }

    /// <summary>The loops at one width, for kernels that go through a row several times.</summary>
    internal static class Rows<T> where T : unmanaged, ILanes<T>
    {
        internal static float Sum(float* x, nint n)
        {
            if (n <= Block) return BlockSum(x, n);
            nint left = LeftBranch(n);
            return Sum(x, left) + Sum(x + left, n - left);
        }

        /// <summary>What is left after the last whole vector. It is taken first: a call after the loop would make the JIT keep the
        /// partial results in memory throughout.</summary>
        private static T Rest(float* x, nint n, float neutral)
        {
            nint rest = n % T.Count;
            T result = T.Create(neutral);
            Unsafe.CopyBlockUnaligned(&result, x + n - rest, (uint)rest * sizeof(float));
            return result;
        }

        private static float BlockSum(float* x, nint n)
        {
            int count = T.Count;
            T s0 = Rest(x, n, 0f), s1 = T.Create(0f), s2 = s1, s3 = s1;
            nint i = 0;
            for (; i + 4 * count <= n; i += 4 * count)
            {
                s0 += T.Load(x + i);
                s1 += T.Load(x + i + count);
                s2 += T.Load(x + i + 2 * count);
                s3 += T.Load(x + i + 3 * count);
            }
            for (; i + count <= n; i += count) s0 += T.Load(x + i);
            return T.Sum((s0 + s1) + (s2 + s3));
        }

        internal static void Columns<F>(float* into, float* rows, nint count, nint stride, nint width, bool go) where F : IBinaryFunction
        {
            int lanes = T.Count;
            nint j = 0;
            for (; j + 4 * lanes <= width; j += 4 * lanes)
            {
                float* row = rows + j;
                float* from = go ? into + j : row;
                T c0 = T.Load(from), c1 = T.Load(from + lanes), c2 = T.Load(from + 2 * lanes), c3 = T.Load(from + 3 * lanes);
                for (nint r = go ? 0 : 1; r < count; r++)
                {
                    float* at = row + r * stride;
                    c0 = F.Invoke(c0, T.Load(at));
                    c1 = F.Invoke(c1, T.Load(at + lanes));
                    c2 = F.Invoke(c2, T.Load(at + 2 * lanes));
                    c3 = F.Invoke(c3, T.Load(at + 3 * lanes));
                }
                T.Store(c0, into + j);
                T.Store(c1, into + j + lanes);
                T.Store(c2, into + j + 2 * lanes);
                T.Store(c3, into + j + 3 * lanes);
            }
            for (; j + lanes <= width; j += lanes)
            {
                float* row = rows + j;
                T c = T.Load(go ? into + j : row);
                for (nint r = go ? 0 : 1; r < count; r++) c = F.Invoke(c, T.Load(row + r * stride));
                T.Store(c, into + j);
            }
            if (j == width) return;
            uint rest = (uint)(width - j) * sizeof(float);
            T all = T.Create(0f), next = all;
            Unsafe.CopyBlockUnaligned(&all, go ? into + j : rows + j, rest);
            for (nint r = go ? 0 : 1; r < count; r++)
            {
                Unsafe.CopyBlockUnaligned(&next, rows + r * stride + j, rest);
                all = F.Invoke(all, next);
            }
            Unsafe.CopyBlockUnaligned(into + j, &all, rest);
        }

        internal static float Extreme<F>(float* x, nint n, float neutral) where F : IBinaryFunction
        {
            int count = T.Count;
            T e0 = Rest(x, n, neutral), e1 = T.Create(neutral), e2 = e1, e3 = e1;
            nint i = 0;
            for (; i + 4 * count <= n; i += 4 * count)
            {
                e0 = F.Invoke(e0, T.Load(x + i));
                e1 = F.Invoke(e1, T.Load(x + i + count));
                e2 = F.Invoke(e2, T.Load(x + i + 2 * count));
                e3 = F.Invoke(e3, T.Load(x + i + 3 * count));
            }
            for (; i + count <= n; i += count) e0 = F.Invoke(e0, T.Load(x + i));
            T all = F.Invoke(F.Invoke(e0, e1), F.Invoke(e2, e3));
            // Lanes are folded by the same function, in memory: a row ends once, so this need not be fast.
            T* folded = stackalloc T[2];
            for (int half = count / 2; half > 0; half /= 2)
            {
                folded[0] = all;
                folded[1] = all;
                all = F.Invoke(all, T.Load((float*)folded + half));
            }
            folded[0] = all;
            return *(float*)folded;
        }
    }
}
