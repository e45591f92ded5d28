using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Engine.Kernels.Cpu;

/// <summary>
/// One matrix product C[m,n] = epilogue(op(A)[m,k] op(B)[k,n]) of row-major float32, planned once for a shape and run on any
/// addresses. op transposes where asked: A is then stored [k,m], B [n,k]. Immutable, so any number of threads may share it.
/// </summary>
/// <remarks>
/// The work is cut into <see cref="Chunks"/>, each a block of C over the whole of K. The cut and the order of every sum are
/// functions of shape alone: results are bit-equal whoever runs the chunks, in any order. K is summed in blocks of at most
/// 1024 (320 where A is transposed), each one chain of multiply-adds, which bounds the rounding error of long sums.
/// C must not overlap A, B or bias; it may be the residual or the mask.
/// </remarks>
public sealed unsafe class GemmPlan
{
    // A panel of B, 1024 x 32 floats, streams from the second-level cache as fast as the tile asks for it. A transposed A is read in pieces of a row of the tile,
    // from lines of which the next tile needs the rest: the block of it has to stay in the cache as well.
    private const int MaxDepth = 1024, MaxDepthTransposed = 320;

    // A chunk is some 30 us of work for one core: far above what handing it out costs, small enough to share out evenly.
    private const long ChunkWork = 4 << 20;

    // Elements of C in a chunk of a product with one term: it takes as long as writing them.
    private const int OuterChunk = 1 << 16;

    private const int MaxTileRows = 16;

    private const int MinChunkColumns = 64, MaxChunkColumns = 128, MaxChunkRows = 1024, ManyChunks = 32, FewChunks = 8;

    // Floats of a B that is read where it lies: a third of a first-level cache of 48 KiB.
    private const int SmallMatrix = 4 << 10;

    // Floats of B in a chunk: a part of a second-level cache of 1 MiB.
    private const int MaxPacked = 96 << 10;

    private enum Path
    {
        Tiles, CombineRows, Dots, Outer,
    }

    private readonly int m, n, k, lda, ldb, ldc;
    private readonly bool transposeA, transposeB;
    private readonly GemmEpilogue epilogue;
    private readonly SimdWidth width;
    private readonly Path path;
    private readonly int depth, depthBlocks, chunkRows, chunkColumns, columnChunks;
    private readonly bool packWholePanels, besides;
    private readonly int packedFloats, blockFloats;

    /// <summary>Plans for the widest vectors of this machine.</summary>
    /// <param name="m">Rows of C; 0 is allowed, as for n and k (k = 0 gives the epilogue of zero).</param>
    /// <param name="n">Columns of C.</param>
    /// <param name="k">Terms of each sum.</param>
    /// <param name="transposeA">A is stored [k,m].</param>
    /// <param name="transposeB">B is stored [n,k].</param>
    /// <param name="lda">Distance of A's rows, as stored, in floats.</param>
    /// <param name="ldb">Distance of B's rows, as stored, in floats.</param>
    /// <param name="ldc">Distance of C's rows in floats.</param>
    /// <param name="epilogue">What is done to the product before it is written.</param>
    /// <param name="batches">How many such products there are: of many, each need not be cut as small.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is negative or a distance less than its row's length.</exception>
    public GemmPlan(int m, int n, int k, bool transposeA, bool transposeB, int lda, int ldb, int ldc, GemmEpilogue epilogue, int batches = 1)
        : this(m, n, k, transposeA, transposeB, lda, ldb, ldc, epilogue, Simd.Best, batches)
    {
    }

    internal GemmPlan(int m, int n, int k, bool transposeA, bool transposeB, int lda, int ldb, int ldc, GemmEpilogue epilogue, SimdWidth width, int batches = 1)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(m);
        ArgumentOutOfRangeException.ThrowIfNegative(n);
        ArgumentOutOfRangeException.ThrowIfNegative(k);
        ArgumentOutOfRangeException.ThrowIfLessThan(lda, transposeA ? m : k);
        ArgumentOutOfRangeException.ThrowIfLessThan(ldb, transposeB ? k : n);
        ArgumentOutOfRangeException.ThrowIfLessThan(ldc, n);
        (this.m, this.n, this.k, this.lda, this.ldb, this.ldc) = (m, n, k, lda, ldb, ldc);
        (this.transposeA, this.transposeB, this.epilogue, this.width) = (transposeA, transposeB, epilogue, width);

        besides = (epilogue & (GemmEpilogue.Residual | GemmEpilogue.Mask)) != 0;
        path = m == 1 ? (transposeB ? Path.Dots : Path.CombineRows)
            : n == 1 ? (transposeA ? Path.CombineRows : Path.Dots)
            : k == 1 ? Path.Outer
            : Path.Tiles;
        int maxDepth = transposeA ? MaxDepthTransposed : MaxDepth;
        depthBlocks = Math.Max(1, Parts(k, maxDepth));
        depth = Parts(k, depthBlocks);

        long area = Math.Max(1, ChunkWork / Math.Max(1, k));
        if (path == Path.Outer) (chunkRows, chunkColumns) = (Math.Max(1, OuterChunk / Math.Max(1, n)), n);
        else if (path != Path.Tiles)
        {
            // These read each number of the matrix once, at the memory's rate: a twentieth of the work takes as long.
            int unit = (int)Math.Min(Math.Max(area / 16 / 128 * 128, 128), 1 << 20);
            (chunkRows, chunkColumns) = m == 1 ? (1, unit) : (unit, 1);
        }
        else
        {
            (int tileRows, int tileColumns) = width switch
            {
                SimdWidth.V512 => (MicroKernel512.MainRows, MicroKernel512.Columns),
                SimdWidth.V256 => (MicroKernel256.MainRows, MicroKernel256.Columns),
                _ => (MicroKernel128.MainRows, MicroKernel128.Columns),
            };
            chunkRows = Cut(m, MaxChunkRows, tileRows);
            chunkColumns = Cut(n, Math.Clamp(MaxPacked / Math.Max(1, depth) / tileColumns * tileColumns, MinChunkColumns, MaxChunkColumns), tileColumns);
            // Unless there would be too few chunks for some threads. More columns of chunks read A again, more rows of chunks pack B again, which costs more: a chunk becomes narrow before it becomes low.
            long Total() => (long)batches * Parts(m, chunkRows) * Parts(n, chunkColumns);
            bool Large() => (long)chunkRows * chunkColumns > area + area / 2;
            while (chunkColumns > MinChunkColumns && Large() && Total() < ManyChunks) chunkColumns = Cut(chunkColumns, chunkColumns / 2, tileColumns);
            while (chunkRows > 300 && Large() && Total() < FewChunks) chunkRows = Cut(chunkRows, chunkRows / 2, tileRows);
            // Two passes over a panel of B, or more, repay its packing, unless B as it is fits into the first-level cache; a transposed B must be packed to be read at all.
            packWholePanels = transposeB || (chunkRows > 2 * tileRows && (long)depth * ldb > SmallMatrix);
            packedFloats = depth * (besides ? chunkColumns : tileColumns);
            ScratchBytes = sizeof(float) * (packedFloats + tileColumns + tileRows * tileColumns) + Alignment;
        }
        if (path == Path.Outer && transposeB) ScratchBytes = sizeof(float) * (long)n + Alignment;
        if (path == Path.Dots) ScratchBytes = sizeof(float) * (long)k + Alignment;
        if (m == 0 || n == 0) return;
        if (besides && path != Path.Outer)
        {
            // What is made before what lies beside it is read: of tiles a row of them, unless sums take several rounds.
            blockFloats = (int)(ScratchBytes / sizeof(float) + 15) / 16 * 16;
            int blockRows = path == Path.Tiles && depthBlocks == 1 ? Math.Min(m, MaxTileRows) : Math.Min(m, chunkRows);
            ScratchBytes = sizeof(float) * (blockFloats + (long)blockRows * Math.Min(n, chunkColumns)) + Alignment;
        }
        columnChunks = Parts(n, chunkColumns);
        Chunks = checked(Parts(m, chunkRows) * columnChunks);
    }

    private const int Alignment = 64;

    /// <summary>What a plan report calls it.</summary>
    public string Variant => path switch { Path.Tiles => $"gemm {width}", Path.Dots => $"dots {width}", Path.Outer => $"outer {width}", _ => $"combined rows {width}" };

    /// <summary>Units of work; each writes a part of C of its own. A function of shape alone.</summary>
    public int Chunks { get; }

    /// <summary>Bytes that a thread needs while it runs a chunk; no content survives from one to the next.</summary>
    public long ScratchBytes { get; }

    /// <summary>Runs one unit of work.</summary>
    /// <param name="chunk">In [0, <see cref="Chunks"/>).</param>
    /// <param name="a">A, at any alignment.</param>
    /// <param name="b">B, at any alignment.</param>
    /// <param name="c">C, at any alignment.</param>
    /// <param name="bias">n floats; null unless the epilogue has a bias.</param>
    /// <param name="residual">Laid out as C; null unless the epilogue has a residual.</param>
    /// <param name="mask">Laid out as C; null unless the epilogue has a mask.</param>
    /// <param name="scratch"><see cref="ScratchBytes"/> bytes that no other thread uses meanwhile, at any alignment.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such chunk.</exception>
    public void RunChunk(int chunk, float* a, float* b, float* c, float* bias, float* residual, float* mask, byte* scratch)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)chunk, (uint)Chunks);
        float* aligned = (float*)(((nint)scratch + Alignment - 1) & -Alignment);
        int row = chunk / columnChunks * chunkRows, column = chunk % columnChunks * chunkColumns;
        int rows = Math.Min(chunkRows, m - row), columns = Math.Min(chunkColumns, n - column);
        Run(row, rows, column, columns, a, b, c, bias, residual, mask, aligned);
    }

    /// <summary>The product of the first rows of A, at most as many as planned for; the bits of a row do not depend on their number.</summary>
    internal void RunRows(int rows, float* a, float* b, float* c, byte* scratch)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rows, m);
        float* aligned = (float*)(((nint)scratch + Alignment - 1) & -Alignment);
        for (int row = 0; row < rows; row += chunkRows)
            for (int column = 0; column < n; column += chunkColumns) Run(row, Math.Min(chunkRows, rows - row), column, Math.Min(chunkColumns, n - column), a, b, c, null, null, null, aligned);
    }

    private void Run(int row, int rows, int column, int columns, float* a, float* b, float* c, float* bias, float* residual, float* mask, float* scratch)
    {
        if ((epilogue & GemmEpilogue.Residual) == 0) residual = null;
        if ((epilogue & GemmEpilogue.Mask) == 0) mask = null;
        if (path == Path.Tiles)
        {
            if (width == SimdWidth.V512) Tiles<MicroKernel512>(row, rows, column, columns, a, b, c, bias, residual, mask, scratch);
            else if (width == SimdWidth.V256) Tiles<MicroKernel256>(row, rows, column, columns, a, b, c, bias, residual, mask, scratch);
            else Tiles<MicroKernel128>(row, rows, column, columns, a, b, c, bias, residual, mask, scratch);
            return;
        }
        if (path == Path.Outer) Simd.Dispatch(width, new OuterWork(this, row, rows, a, b, c, bias, residual, mask, scratch));
        else if (!besides) Simd.Dispatch(width, new VectorsWork(this, row + column, rows * columns, a, b, c, ldc, bias, scratch));
        else
        {
            float* block = scratch + blockFloats;
            if ((epilogue & GemmEpilogue.Accumulate) != 0) Copy(c + (nint)row * ldc + column, ldc, block, columns, rows, columns);
            Simd.Dispatch(width, new VectorsWork(this, row + column, rows * columns, a, b, block - ((nint)row * columns + column), columns, bias, scratch));
            Beside(row, rows, column, columns, block, c, residual, mask);
        }
    }

    private readonly struct OuterWork(GemmPlan plan, int row, int rows, float* a, float* b, float* c, float* bias, float* residual, float* mask, float* scratch) : ILaneWork
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<T>() where T : unmanaged, ILanes<T> => plan.Outer<T>(row, rows, a, b, c, bias, residual, mask, scratch);
    }

    private readonly struct VectorsWork(GemmPlan plan, int from, int count, float* a, float* b, float* c, int ldc, float* bias, float* scratch) : ILaneWork
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<T>() where T : unmanaged, ILanes<T> => plan.Vectors<T>(from, count, a, b, c, ldc, bias, scratch);
    }

    /// <summary>Takes a block [rows, columns] to its place in C with what lies beside it there, read row by row, as the memory likes it; null leaves either out. Reading that in the tiles, in pieces too short
    /// for the hardware to foresee, took longer than an operation of its own. C may be what lies beside it.</summary>
    private void Beside(int row, int rows, int column, int columns, float* block, float* c, float* residual, float* mask)
    {
        nint at = (nint)row * ldc + column;
        Simd.Dispatch(width, new BesideWork(block, c + at, residual is null ? null : residual + at, mask is null ? null : mask + at, rows, columns, ldc));
    }

    private readonly struct BesideWork(float* product, float* c, float* residual, float* mask, int rows, int columns, nint ld) : ILaneWork
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<T>() where T : unmanaged, ILanes<T>
        {
            for (nint i = 0, at = 0; i < rows; i++, at += ld)
                GemmBeside<T>.Apply(product + i * columns, c + at, residual is null ? null : residual + at, mask is null ? null : mask + at, columns);
        }
    }

    private static int Parts(int size, int part) => (size + part - 1) / part;

    private static int Cut(int size, int max, int unit)
    {
        int parts = Math.Max(1, Parts(size, max));
        int part = Parts(size, parts);
        return Math.Max(unit, (part + unit - 1) / unit * unit);
    }

    private void Tiles<TKernel>(int row, int rows, int column, int columns, float* a, float* b, float* c, float* bias, float* residual, float* mask, float* scratch)
        where TKernel : IMicroKernel
    {
        int tileColumns = TKernel.Columns, full = columns / tileColumns * tileColumns;
        float* packed = scratch, tile = packed + packedFloats, paddedBias = tile + TKernel.MainRows * tileColumns;
        (nint aRow, nint aStep) = transposeA ? (1, lda) : (lda, 1);
        a += row * aRow;
        float* corner = c + (nint)row * ldc + column;
        if ((epilogue & GemmEpilogue.Bias) != 0)
        {
            bias += column;
            for (int j = 0; full + j < columns; j++) paddedBias[j] = bias[full + j]; // lanes beyond the last column are thrown away
        }
        // A panel of B goes over all rows of A. With something beside C all panels go over a row of tiles, whose block is then in the first-level cache; where sums take several rounds the block
        // holds all rows.
        int together = besides ? columns : tileColumns;
        float* sums = besides ? scratch + blockFloats : corner;
        int ldSums = besides ? columns : ldc;
        for (int round = 0; round < depthBlocks; round++)
        {
            // Later rounds add to what the first left; the bias and the rectifier wait for the last.
            int p = round * depth, terms = Math.Min(depth, k - p), following = Math.Min(depth, k - p - terms);
            bool last = round == depthBlocks - 1;
            GemmEpilogue mode = epilogue;
            if (round > 0) mode |= GemmEpilogue.Accumulate;
            if (!last) mode &= GemmEpilogue.Accumulate;
            for (int first = 0; first < columns; first += together)
            {
                int end = Math.Min(columns, first + together);
                for (int j = first; j < end; j += tileColumns) Pack(packed + (nint)(j - first) * depth, b, p, terms, column + j, Math.Min(tileColumns, columns - j), tileColumns);
                float* aTile = a + p * aStep;
                for (int done = 0, height; done < rows; done += height, aTile += height * aRow)
                {
                    height = TKernel.RowsAt(rows - done);
                    if (transposeA && following > 0 && first == 0)
                        FetchAhead(a + p * aStep, depth + (int)((long)done * following / rows), depth + (int)((long)(done + height) * following / rows), rows);
                    float* target = besides && depthBlocks == 1 ? sums : sums + (nint)done * ldSums;
                    if (besides && round == 0 && (mode & GemmEpilogue.Accumulate) != 0) Copy(corner + (nint)done * ldc, ldc, target, ldSums, height, columns);
                    for (int j = first; j < end; j += tileColumns)
                    {
                        float* panel = packed + (nint)(j - first) * depth;
                        nint panelStep = tileColumns;
                        if (j < full)
                        {
                            if (!packWholePanels)
                            {
                                panel = b + (nint)p * ldb + column + j;
                                panelStep = ldb;
                            }
                            TKernel.Run(height, terms, aTile, aRow, aStep, panel, panelStep, target + j, ldSums, mode, bias + j);
                            continue;
                        }
                        if ((mode & GemmEpilogue.Accumulate) != 0) Copy(target + j, ldSums, tile, tileColumns, height, columns - j);
                        TKernel.Run(height, terms, aTile, aRow, aStep, panel, tileColumns, tile, tileColumns, mode, paddedBias);
                        Copy(tile, tileColumns, target + j, ldSums, height, columns - j);
                    }
                    if (besides && last) Beside(row + done, height, column, columns, target, c, residual, mask);
                }
            }
        }
    }

    /// <summary>A panel of B: terms [p, p + terms) of some columns, if it is worth packing.</summary>
    private void Pack(float* panel, float* b, int p, int terms, int column, int present, int tileColumns)
    {
        if (transposeB) GemmPacking.Columns(b + (nint)column * ldb + p, ldb, terms, present, tileColumns, panel);
        else if (packWholePanels || present < tileColumns) GemmPacking.Rows(b + (nint)p * ldb + column, ldb, terms, present, tileColumns, panel);
    }

    /// <summary>Asks for rows [from, to) of a transposed A. A tile reads them in pieces too short and too far apart for the
    /// hardware to foresee; when K is long they come from memory, and the tile would wait for each.</summary>
    private void FetchAhead(float* a, int from, int to, int rows)
    {
        if (!Sse.IsSupported) return;
        for (int p = from; p < to; p++)
            for (int i = 0; i < rows; i += 16) Sse.Prefetch1(a + (nint)p * lda + i);
    }

    private static void Copy(float* source, nint sourceRow, float* target, nint targetRow, int rows, int columns)
    {
        for (int i = 0; i < rows; i++, source += sourceRow, target += targetRow)
            Unsafe.CopyBlockUnaligned(target, source, (uint)columns * sizeof(float));
    }

    private void Outer<T>(int row, int rows, float* a, float* b, float* c, float* bias, float* residual, float* mask, float* scratch) where T : unmanaged, ILanes<T>
    {
        if (transposeB && ldb != 1)
        {
            for (int j = 0; j < n; j++) scratch[j] = b[(nint)j * ldb];
            b = scratch;
        }
        OuterProduct<T>.Run(row, row + rows, n, a, transposeA ? 1 : lda, b, c, ldc, epilogue, bias, residual, mask);
    }

    private void Vectors<T>(int from, int count, float* a, float* b, float* c, int ldc, float* bias, float* scratch) where T : unmanaged, ILanes<T>
    {
        // m == 1: A is the vector and C a row; else n == 1: B is the vector and C a column, whose one bias all rows share.
        bool row = m == 1;
        nint vStep = row ? (transposeA ? lda : 1) : (transposeB ? 1 : ldb);
        float* v = row ? a : b, matrix = row ? b : a;
        nint ld = row ? ldb : lda;
        var target = new Gemv<T>.Target(c, row ? 1 : ldc, epilogue, bias, row ? 1 : 0);
        if (path == Path.CombineRows)
        {
            Gemv<T>.CombineRows(from, from + count, k, v, vStep, matrix, ld, target);
            return;
        }
        if (vStep != 1)
        {
            for (int p = 0; p < k; p++) scratch[p] = v[p * vStep];
            v = scratch;
        }
        Gemv<T>.Dots(from, from + count, k, v, matrix, ld, target);
    }
}
