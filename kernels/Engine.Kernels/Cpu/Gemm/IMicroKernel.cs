namespace Engine.Kernels.Cpu;

/// <summary>The innermost loop of a matrix product: a tile of C, small enough for its sums to stay in registers while K runs.
/// Every element's sum is one chain of (fused) multiply-adds in the order of K, so all kernels give the same bits.</summary>
internal unsafe interface IMicroKernel
{
    /// <summary>Rows of the tile that most of the work is done with.</summary>
    static abstract int MainRows { get; }

    /// <summary>Columns of every tile; B is packed in panels of this width.</summary>
    static abstract int Columns { get; }

    /// <summary>Rows of the next tile when <paramref name="left"/> remain.</summary>
    static abstract int RowsAt(int left);

    /// <summary>One tile of <paramref name="rows"/> rows, a number that <see cref="RowsAt"/> gave. A's element (i, p) is at
    /// a[i*aRow + p*aStep], B's (p, j) at b[p*bStep + j]; all columns of B, C and bias are touched.</summary>
    static abstract void Run(int rows, int k, float* a, nint aRow, nint aStep, float* b, nint bStep, float* c, nint ldc, GemmEpilogue mode, float* bias);
}
