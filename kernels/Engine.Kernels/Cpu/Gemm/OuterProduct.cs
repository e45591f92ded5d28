using System.Runtime.CompilerServices;

namespace Engine.Kernels.Cpu;

/// <summary>Products with one term a sum: every row of C is B times a number. C is written row by row, as the memory likes it; the bits are those of a tile.</summary>
internal static unsafe class OuterProduct<T> where T : unmanaged, ILanes<T>
{
    /// <summary>Rows [from, to) of C: a[i*aRow] times b[0..n), then the epilogue; residual and mask are laid out as C, null leaves either out.</summary>
    internal static void Run(int from, int to, int n, float* a, nint aRow, float* b, float* c, nint ldc, GemmEpilogue epilogue, float* bias, float* residual, float* mask)
    {
        int count = T.Count, whole = n - n % count;
        T zero = T.Create(0f);
        for (nint i = from; i < to; i++)
        {
            float* row = c + i * ldc, add = residual is null ? null : residual + i * ldc, keep = mask is null ? null : mask + i * ldc;
            float x = a[i * aRow];
            T w = T.Create(x);
            for (int j = 0; j < whole; j += count)
            {
                // The sum begins at +0, so a product of -0 becomes +0.
                T value = Finish(w * T.Load(b + j) + zero, row + j, epilogue, bias + j);
                if (add is not null) value = T.Load(add + j) + value;
                if (keep is not null) value &= T.Less(zero, T.Load(keep + j));
                T.Store(value, row + j);
            }
            for (int j = whole; j < n; j++)
            {
                float kept = keep is null ? 1 : keep[j], added = add is null ? 0 : add[j]; // read first: C may be either
                new Gemv<T>.Target(row, 1, epilogue, bias, 1).Write(j, x * b[j] + 0f);
                if (add is not null) row[j] = added + row[j];
                if (!(kept > 0)) row[j] = 0;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Finish(T value, float* at, GemmEpilogue epilogue, float* bias)
    {
        if ((epilogue & GemmEpilogue.Accumulate) != 0) value = T.Load(at) + value;
        if ((epilogue & GemmEpilogue.Bias) != 0) value += T.Load(bias);
        if ((epilogue & GemmEpilogue.Relu) != 0) value = T.Clear(value, T.LessEqual(value, T.Create(0f)));
        return value;
    }
}
