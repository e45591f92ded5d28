using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Engine.Kernels.Cpu;

/// <summary>
/// Products in which one side is a vector. They read the matrix once, so the limit is the memory's rate and nothing is packed.
/// Written at every width; the order of a sum depends on its length and the width alone.
/// </summary>
internal static unsafe class Gemv<T> where T : unmanaged, ILanes<T>
{
    /// <summary>Where the results go: element i at out[i*Stride], plus bias[i*BiasStep].</summary>
    internal readonly struct Target(float* output, nint stride, GemmEpilogue epilogue, float* bias, nint biasStep)
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        internal void Write(int i, float sum)
        {
            float* at = output + i * stride;
            if ((epilogue & GemmEpilogue.Accumulate) != 0) sum = *at + sum;
            if ((epilogue & GemmEpilogue.Bias) != 0) sum += bias[i * biasStep];
            if ((epilogue & GemmEpilogue.Relu) != 0 && sum <= 0) sum = 0;
            *at = sum;
        }

        /// <summary>A vector of results from i on: the same arithmetic, lane by lane.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        internal void Write(int i, T sum)
        {
            float* at = output + i;
            if ((epilogue & GemmEpilogue.Accumulate) != 0) sum = T.Load(at) + sum;
            if ((epilogue & GemmEpilogue.Bias) != 0) sum += T.Load(bias + i);
            if ((epilogue & GemmEpilogue.Relu) != 0) sum = T.Clear(sum, T.LessEqual(sum, T.Create(0f)));
            T.Store(sum, at);
        }

        /// <summary>Four results from i on.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        internal void Write(int i, Vector128<float> sum)
        {
            float* at = output + i;
            if ((epilogue & GemmEpilogue.Accumulate) != 0) sum = Vector128.Load(at) + sum;
            if ((epilogue & GemmEpilogue.Bias) != 0) sum += biasStep == 0 ? Vector128.Create(*bias) : Vector128.Load(bias + i);
            if ((epilogue & GemmEpilogue.Relu) != 0) sum = Vector128.AndNot(sum, Vector128.LessThanOrEqual(sum, Vector128<float>.Zero));
            sum.Store(at);
        }

        /// <summary>Whether results lie side by side, and biases either so or all results have one.</summary>
        internal bool Adjacent => stride == 1 && ((epilogue & GemmEpilogue.Bias) == 0 || biasStep <= 1);

        /// <summary>Whether results and biases lie side by side.</summary>
        internal bool Contiguous => stride == 1 && ((epilogue & GemmEpilogue.Bias) == 0 || biasStep == 1);
    }

    /// <summary>result[j] = sum over p of v[p*vStep] * matrix[p*ld + j], for j in [from, to).</summary>
    internal static void CombineRows(int from, int to, int k, float* v, nint vStep, float* matrix, nint ld, in Target target)
    {
        int j = from, count = T.Count;
        T* sums = stackalloc T[16];
        // Sixteen sums of 512 bits cover 256 columns: rows of that width are read in one stream, which is what the prefetcher likes. Narrower registers are sixteen in all.
        if (count == 16)
            for (; j + 16 * count <= to; j += 16 * count)
            {
                T s0 = T.Create(0f), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0, s8 = s0, s9 = s0, s10 = s0, s11 = s0, s12 = s0, s13 = s0, s14 = s0, s15 = s0;
                float* row = matrix + j, x = v;
                for (int p = 0; p < k; p++, row += ld, x += vStep)
                {
                    T w = T.Create(*x);
                    s0 = T.MulAdd(w, T.Load(row), s0);
                    s1 = T.MulAdd(w, T.Load(row + 16), s1);
                    s2 = T.MulAdd(w, T.Load(row + 32), s2);
                    s3 = T.MulAdd(w, T.Load(row + 48), s3);
                    s4 = T.MulAdd(w, T.Load(row + 64), s4);
                    s5 = T.MulAdd(w, T.Load(row + 80), s5);
                    s6 = T.MulAdd(w, T.Load(row + 96), s6);
                    s7 = T.MulAdd(w, T.Load(row + 112), s7);
                    s8 = T.MulAdd(w, T.Load(row + 128), s8);
                    s9 = T.MulAdd(w, T.Load(row + 144), s9);
                    s10 = T.MulAdd(w, T.Load(row + 160), s10);
                    s11 = T.MulAdd(w, T.Load(row + 176), s11);
                    s12 = T.MulAdd(w, T.Load(row + 192), s12);
                    s13 = T.MulAdd(w, T.Load(row + 208), s13);
                    s14 = T.MulAdd(w, T.Load(row + 224), s14);
                    s15 = T.MulAdd(w, T.Load(row + 240), s15);
                }
                sums[0] = s0; sums[1] = s1; sums[2] = s2; sums[3] = s3; sums[4] = s4; sums[5] = s5; sums[6] = s6; sums[7] = s7;
                sums[8] = s8; sums[9] = s9; sums[10] = s10; sums[11] = s11; sums[12] = s12; sums[13] = s13; sums[14] = s14; sums[15] = s15;
                Write(j, sums, 16, target);
            }
        // Eight sums hide the latency of the multiply-add.
        for (; j + 8 * count <= to; j += 8 * count)
        {
            T s0 = T.Create(0f), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
            float* row = matrix + j, x = v;
            for (int p = 0; p < k; p++, row += ld, x += vStep)
            {
                T w = T.Create(*x);
                s0 = T.MulAdd(w, T.Load(row), s0);
                s1 = T.MulAdd(w, T.Load(row + count), s1);
                s2 = T.MulAdd(w, T.Load(row + 2 * count), s2);
                s3 = T.MulAdd(w, T.Load(row + 3 * count), s3);
                s4 = T.MulAdd(w, T.Load(row + 4 * count), s4);
                s5 = T.MulAdd(w, T.Load(row + 5 * count), s5);
                s6 = T.MulAdd(w, T.Load(row + 6 * count), s6);
                s7 = T.MulAdd(w, T.Load(row + 7 * count), s7);
            }
            sums[0] = s0; sums[1] = s1; sums[2] = s2; sums[3] = s3;
            sums[4] = s4; sums[5] = s5; sums[6] = s6; sums[7] = s7;
            Write(j, sums, 8, target);
        }
        for (; j + 2 * count <= to; j += 2 * count)
        {
            T s0 = T.Create(0f), s1 = s0;
            float* row = matrix + j, x = v;
            for (int p = 0; p < k; p++, row += ld, x += vStep)
            {
                T w = T.Create(*x);
                s0 = T.MulAdd(w, T.Load(row), s0);
                s1 = T.MulAdd(w, T.Load(row + count), s1);
            }
            sums[0] = s0; sums[1] = s1;
            Write(j, sums, 2, target);
        }
        for (; j + count <= to; j += count)
        {
            sums[0] = Column(matrix + j, ld, v, vStep, k);
            Write(j, sums, 1, target);
        }
        if (j < to)
        {
            // The last columns: a whole vector is loaded, of which only the first lanes count, where it ends inside the matrix; the last rows go through a padded copy,
            // so that nothing beyond the matrix is read.
            // How many rows there are of which the vector ends before the matrix does.
            int whole = (int)Math.Clamp(k - (count - (to - j) + ld - 1) / ld, 0, k);
            T sum = Column(matrix + j, ld, v, vStep, whole);
            sums[0] = T.Create(0f);
            float* row = matrix + j + whole * ld, x = v + whole * vStep, padded = (float*)sums;
            for (int p = whole; p < k; p++, row += ld, x += vStep)
            {
                for (int i = 0; i < to - j; i++) padded[i] = row[i];
                sum = T.MulAdd(T.Create(*x), T.Load(padded), sum);
            }
            sums[0] = sum;
            for (int i = 0; i < to - j; i++) target.Write(j + i, padded[i]);
        }
    }

    /// <summary>One vector of columns over k rows; over many in four sums, since one would wait for itself.</summary>
    private static T Column(float* row, nint ld, float* x, nint vStep, int k)
    {
        T s0 = T.Create(0f), s1 = s0, s2 = s0, s3 = s0;
        int p = 0, body = k < 64 ? 0 : k - k % 4;
        for (; p < body; p += 4, row += 4 * ld, x += 4 * vStep)
        {
            s0 = T.MulAdd(T.Create(x[0]), T.Load(row), s0);
            s1 = T.MulAdd(T.Create(x[vStep]), T.Load(row + ld), s1);
            s2 = T.MulAdd(T.Create(x[2 * vStep]), T.Load(row + 2 * ld), s2);
            s3 = T.MulAdd(T.Create(x[3 * vStep]), T.Load(row + 3 * ld), s3);
        }
        for (; p < k; p++, row += ld, x += vStep) s0 = T.MulAdd(T.Create(*x), T.Load(row), s0);
        return (s0 + s1) + (s2 + s3);
    }

    private static void Write(int j, T* sums, int vectors, in Target target)
    {
        int count = T.Count;
        if (target.Contiguous)
            for (int i = 0; i < vectors; i++) target.Write(j + i * count, sums[i]);
        else
            for (int i = 0; i < vectors * count; i++) target.Write(j + i, ((float*)sums)[i]);
    }

    /// <summary>result[i] = sum over p of matrix[i*ld + p] * v[p], for i in [from, to). Two vectors of partial sums a row, then
    /// their lanes, then what is left of K in order.</summary>
    internal static void Dots(int from, int to, int k, float* v, float* matrix, nint ld, in Target target)
    {
        int count = T.Count, body = k - k % (2 * count);
        float* sums = stackalloc float[4];
        int i = from;
        for (; i + 4 <= to; i += 4)
        {
            float* r0 = matrix + i * ld, r1 = r0 + ld, r2 = r1 + ld, r3 = r2 + ld;
            T s0 = T.Create(0f), s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0;
            for (nint p = 0; p < body; p += 2 * count)
            {
                T x = T.Load(v + p), y = T.Load(v + p + count);
                s0 = T.MulAdd(T.Load(r0 + p), x, s0);
                t0 = T.MulAdd(T.Load(r0 + p + count), y, t0);
                s1 = T.MulAdd(T.Load(r1 + p), x, s1);
                t1 = T.MulAdd(T.Load(r1 + p + count), y, t1);
                s2 = T.MulAdd(T.Load(r2 + p), x, s2);
                t2 = T.MulAdd(T.Load(r2 + p + count), y, t2);
                s3 = T.MulAdd(T.Load(r3 + p), x, s3);
                t3 = T.MulAdd(T.Load(r3 + p + count), y, t3);
            }
            Vector128<float> four = T.Sum4(s0 + t0, s1 + t1, s2 + t2, s3 + t3);
            if (body == k && target.Adjacent)
            {
                // + 0: what an empty tail adds.
                target.Write(i, four + Vector128<float>.Zero);
                continue;
            }
            four.Store(sums);
            for (int r = 0; r < 4; r++) target.Write(i + r, sums[r] + Tail(k, body, v, r0 + r * ld));
        }
        for (; i < to; i++)
        {
            float* row = matrix + i * ld;
            T s = T.Create(0f), t = s;
            for (nint p = 0; p < body; p += 2 * count)
            {
                s = T.MulAdd(T.Load(row + p), T.Load(v + p), s);
                t = T.MulAdd(T.Load(row + p + count), T.Load(v + p + count), t);
            }
            target.Write(i, T.Sum(s + t) + Tail(k, body, v, row));
        }
    }

    private static float Tail(int k, int body, float* v, float* row)
    {
        float tail = 0;
        for (int p = body; p < k; p++) tail = MathF.FusedMultiplyAdd(row[p], v[p], tail);
        return tail;
    }
}
