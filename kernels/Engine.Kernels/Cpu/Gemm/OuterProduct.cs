using System.Runtime.CompilerServices;

namespace Engine.Kernels.Cpu;

/// <summary>Products with one term a sum: every row of C is B times a number. C is written row by row, as the memory likes it; the bits are those of a tile.</summary>
internal static unsafe class OuterProduct<T> where T : unmanaged, ILanes<T>
{
    /// <summary>Rows [from, to) of C: a[i*aRow] times b[0..n), then the epilogue up to the rectifier.</summary>
    internal static void Run(int from, int to, int n, float* a, nint aRow, float* b, float* c, nint ldc, GemmEpilogue epilogue, float* bias)
    {
        int count = T.Count, whole = n - n % count;
        T zero = T.Create(0f);
        for (int i = from; i < to; i++)
        {
            float* row = c + i * ldc;
            float x = a[i * aRow];
            T w = T.Create(x);
            // The sum begins at +0, so a product of -0 becomes +0.
            for (int j = 0; j < whole; j += count) T.Store(Finish(w * T.Load(b + j) + zero, row + j, epilogue, bias + j), row + j);
            for (int j = whole; j < n; j++) new Gemv<T>.Target(row, 1, epilogue, bias, 1).Write(j, x * b[j] + 0f);
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
