using System.Runtime.Intrinsics;

namespace Engine.Kernels.Cpu;

/// <summary>What is done to an element after its sum.</summary>
internal enum GemmEpilogue
{
    /// <summary>Nothing.</summary>
    None,
    /// <summary>A number per column is added.</summary>
    Bias,
    /// <summary>That, then max(x, 0).</summary>
    BiasRelu,
}

/// <summary>Width of the registers a plan uses.</summary>
internal enum GemmWidth
{
    /// <summary>4 floats; also the fallback that runs anywhere.</summary>
    V128,
    /// <summary>8 floats.</summary>
    V256,
    /// <summary>16 floats.</summary>
    V512,
}

/// <summary>
/// C = epilogue(op(A) op(B)), row-major float32, for fixed sizes: blocked for the caches and packed as Goto and van de Geijn (2008) describe. Chunks are ranges of
/// rows; K is never split between them, and an element's sum has an order that depends on the sizes alone.
/// </summary>
internal sealed unsafe class GemmPlan
{
    // A panel of B of DepthBlock x tile width stays in L1 (32 KiB at 256 x 32), a block of A in L2 beside all of B's block.
    private const int DepthBlock = 256, RowBlock = 120, ColumnBlock = 512;
    private const int RowsPerChunk = 132, WantedChunks = 16;

    private readonly int _m, _n, _k, _lda, _ldb, _ldc, _mr, _nr, _rowsPerChunk;
    private readonly bool _transposeA, _transposeB;
    private readonly GemmEpilogue _epilogue;
    private readonly GemmWidth _width;
    private readonly Shape3 _kind;

    private enum Shape3
    {
        Blocked,
        Column, // N == 1: a dot product a row
        Outer,  // K == 1: an outer product
    }

    /// <summary>The widest registers this machine has.</summary>
    public static GemmWidth Widest => Vector512.IsHardwareAccelerated ? GemmWidth.V512 : Vector256.IsHardwareAccelerated ? GemmWidth.V256 : GemmWidth.V128;

    /// <summary>Plans a product.</summary>
    /// <param name="m">Rows of C.</param>
    /// <param name="n">Columns of C.</param>
    /// <param name="k">Length of the sums.</param>
    /// <param name="transposeA">A is stored [k, m].</param>
    /// <param name="transposeB">B is stored [n, k].</param>
    /// <param name="lda">Row length of A as stored.</param>
    /// <param name="ldb">Row length of B as stored.</param>
    /// <param name="ldc">Row length of C.</param>
    /// <param name="epilogue">Done last.</param>
    /// <param name="batches">How many such products run together: with many, each is cut into fewer chunks.</param>
    /// <param name="width">Registers; null for the widest.</param>
    public GemmPlan(int m, int n, int k, bool transposeA, bool transposeB, int lda, int ldb, int ldc, GemmEpilogue epilogue, int batches = 1, GemmWidth? width = null)
    {
        (_m, _n, _k, _transposeA, _transposeB, _lda, _ldb, _ldc, _epilogue) = (m, n, k, transposeA, transposeB, lda, ldb, ldc, epilogue);
        _width = width ?? Widest;
        (_mr, _nr) = _width switch { GemmWidth.V512 => (12, 32), GemmWidth.V256 => (6, 16), _ => (4, 8) };
        _kind = n == 1 && k > 1 ? Shape3.Column : k == 1 ? Shape3.Outer : Shape3.Blocked;
        int chunks = Math.Clamp((WantedChunks + batches - 1) / batches, 1, Math.Max(1, m / RowsPerChunk));
        _rowsPerChunk = Math.Max(_mr, ((m + chunks - 1) / chunks + _mr - 1) / _mr * _mr);
        Chunks = Math.Max(1, (m + _rowsPerChunk - 1) / _rowsPerChunk);
        if (_kind == Shape3.Column) ScratchBytes = 4L * Math.Max(k, m) + 64;
        else if (_kind == Shape3.Blocked)
        {
            int depth = Math.Min(k, DepthBlock), columns = Math.Min(Round(n, _nr), ColumnBlock), rows = Math.Min(Round(m, _mr), RowBlock);
            ScratchBytes = 4L * (depth * (long)columns + depth * (long)Round(rows, _mr) + _mr * _nr + 64) + 256;
        }
    }

    /// <summary>Pieces of work.</summary>
    public int Chunks { get; }

    /// <summary>Scratch a thread needs.</summary>
    public long ScratchBytes { get; }

    /// <inheritdoc/>
    public override string ToString() => _kind switch { Shape3.Column => "matrix-vector", Shape3.Outer => "outer", _ => $"gemm {_mr}x{_nr}" };

    private static int Round(int value, int step) => (value + step - 1) / step * step;

    /// <summary>Computes one range of rows.</summary>
    public void RunChunk(int chunk, float* a, float* b, float* c, float* bias, byte* scratch)
    {
        int first = chunk * _rowsPerChunk, last = Math.Min(_m, first + _rowsPerChunk);
        if (first >= last || _n == 0) return;
        if (_epilogue == GemmEpilogue.None) bias = null;
        switch (_kind)
        {
            case Shape3.Column: Column(first, last, a, b, c, bias, (float*)scratch); break;
            case Shape3.Outer: Outer(first, last, a, b, c, bias); break;
            default: Blocked(first, last, a, b, c, bias, (float*)scratch); break;
        }
    }

    private void Blocked(int first, int last, float* a, float* b, float* c, float* bias, float* scratch)
    {
        int depthBlocks = Math.Max(1, (_k + DepthBlock - 1) / DepthBlock), depthStep = (_k + depthBlocks - 1) / depthBlocks;
        float* packedB = scratch;
        float* packedA = packedB + Math.Min(_k, DepthBlock) * (long)Math.Min(Round(_n, _nr), ColumnBlock);
        float* edge = packedA + Math.Min(_k, DepthBlock) * (long)Round(Math.Min(Round(_m, _mr), RowBlock), _mr);
        float* edgeBias = edge + _mr * _nr;
        bool relu = _epilogue == GemmEpilogue.BiasRelu;

        for (int column = 0; column < _n; column += ColumnBlock)
        {
            int columns = Math.Min(ColumnBlock, _n - column);
            for (int depth = 0; depth == 0 || depth < _k; depth += Math.Max(1, depthStep))
            {
                int depths = Math.Min(depthStep, _k - depth);
                bool accumulate = depth > 0, final = depth + depths >= _k;
                Packing.Columns(packedB, _transposeB ? b + (long)column * _ldb + depth : b + (long)depth * _ldb + column, _ldb, _transposeB, depths, columns, _nr);
                for (int row = first; row < last; row += RowBlock)
                {
                    int rows = Math.Min(RowBlock, last - row);
                    Packing.Columns(packedA, _transposeA ? a + (long)depth * _lda + row : a + (long)row * _lda + depth, _lda, !_transposeA, depths, rows, _mr);
                    for (int j = 0; j < columns; j += _nr)
                    {
                        float* panelB = packedB + (long)j * depths;
                        float* tileBias = bias != null && final ? bias + column + j : null;
                        int width = Math.Min(_nr, columns - j);
                        if (width < _nr && tileBias != null)
                        {
                            for (int q = 0; q < _nr; q++) edgeBias[q] = q < width ? tileBias[q] : 0;
                            tileBias = edgeBias;
                        }
                        for (int i = 0; i < rows; i += _mr)
                        {
                            float* to = c + (long)(row + i) * _ldc + column + j;
                            int height = Math.Min(_mr, rows - i);
                            if (height == _mr && width == _nr)
                            {
                                Kernel(depths, packedA + (long)i * depths, panelB, to, _ldc, accumulate, tileBias, relu && final);
                                continue;
                            }
                            // A tile that sticks out is computed whole beside C; padding in the panels is zero.
                            if (accumulate) Packing.CopyTile(to, _ldc, edge, _nr, height, width);
                            Kernel(depths, packedA + (long)i * depths, panelB, edge, _nr, accumulate, tileBias, relu && final);
                            Packing.CopyTile(edge, _nr, to, _ldc, height, width);
                        }
                    }
                }
            }
        }
    }

    private void Kernel(int k, float* a, float* b, float* c, int ldc, bool accumulate, float* bias, bool relu)
    {
        switch (_width)
        {
            case GemmWidth.V512: MicroKernels.Kernel12x32(k, a, b, c, ldc, accumulate, bias, relu); break;
            case GemmWidth.V256: MicroKernels.Kernel6x16(k, a, b, c, ldc, accumulate, bias, relu); break;
            default: MicroKernels.Kernel4x8(k, a, b, c, ldc, accumulate, bias, relu); break;
        }
    }

    /// <summary>N == 1: B is a vector, contiguous or with the stride of its rows.</summary>
    private void Column(int first, int last, float* a, float* b, float* c, float* bias, float* scratch)
    {
        float* x = b;
        if (!_transposeB && _ldb != 1)
        {
            for (int p = 0; p < _k; p++) scratch[p] = b[(long)p * _ldb];
            x = scratch;
        }
        float add = bias != null ? *bias : 0;
        if (!_transposeA)
        {
            for (int i = first; i < last; i++) c[(long)i * _ldc] = Finish(Dot(a + (long)i * _lda, x, _k), bias, add);
            return;
        }
        // Rows of the stored A are columns here: add them up, scaled.
        float* sums = _ldc == 1 ? c + first : scratch + (x == scratch ? _k : 0);
        if (_ldc != 1) sums = scratch;
        int n = last - first;
        new Span<float>(sums, n).Clear();
        for (int p = 0; p < _k; p++) Axpy(x[p], a + (long)p * _lda + first, sums, n);
        for (int i = 0; i < n; i++) c[(long)(first + i) * _ldc] = Finish(sums[i], bias, add);
    }

    private float Finish(float sum, float* bias, float add)
    {
        if (bias == null) return sum;
        sum += add;
        return _epilogue == GemmEpilogue.BiasRelu ? MathF.Max(sum, 0) : sum;
    }

    private void Outer(int first, int last, float* a, float* b, float* c, float* bias)
    {
        for (int i = first; i < last; i++)
        {
            float x = _transposeA ? a[i] : a[(long)i * _lda];
            float* row = c + (long)i * _ldc;
            if (!_transposeB || _ldb == 1) System.Numerics.Tensors.TensorPrimitives.Multiply(new ReadOnlySpan<float>(b, _n), x, new Span<float>(row, _n));
            else
                for (int j = 0; j < _n; j++) row[j] = x * b[(long)j * _ldb];
            if (bias == null) continue;
            for (int j = 0; j < _n; j++)
            {
                row[j] += bias[j];
                if (_epilogue == GemmEpilogue.BiasRelu) row[j] = MathF.Max(row[j], 0);
            }
        }
    }

    /// <summary>Four vectors of partial sums, then a fixed tree.</summary>
    private static float Dot(float* x, float* y, int n)
    {
        var (s0, s1, s2, s3) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
        int i = 0;
        for (; i <= n - 32; i += 32)
        {
            s0 = Vector256.FusedMultiplyAdd(Vector256.Load(x + i), Vector256.Load(y + i), s0);
            s1 = Vector256.FusedMultiplyAdd(Vector256.Load(x + i + 8), Vector256.Load(y + i + 8), s1);
            s2 = Vector256.FusedMultiplyAdd(Vector256.Load(x + i + 16), Vector256.Load(y + i + 16), s2);
            s3 = Vector256.FusedMultiplyAdd(Vector256.Load(x + i + 24), Vector256.Load(y + i + 24), s3);
        }
        float sum = Vector256.Sum(s0 + s1 + (s2 + s3));
        for (; i < n; i++) sum = MathF.FusedMultiplyAdd(x[i], y[i], sum);
        return sum;
    }

    private static void Axpy(float scale, float* x, float* y, int n)
    {
        var s = Vector256.Create(scale);
        int i = 0;
        for (; i <= n - 8; i += 8) Vector256.FusedMultiplyAdd(s, Vector256.Load(x + i), Vector256.Load(y + i)).Store(y + i);
        for (; i < n; i++) y[i] = MathF.FusedMultiplyAdd(scale, x[i], y[i]);
    }
}
