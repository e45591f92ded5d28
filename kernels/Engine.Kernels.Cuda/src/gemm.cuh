// What the matrix products share: their parameters, how a batch finds its matrices, tiles in shared memory, and what is done
// to a sum before it is written. Matrices are dense: a is [m, k], or [k, m] if it is transposed; b [k, n] or [n, k]; c [m, n].
#pragma once
#include "common.cuh"

// Terms of the sums in one tile of shared memory: 128 bytes, all banks.
constexpr int GemmDepth = 32;

// The parameters of every product. In batch z, counted from `first` on, a begins at a_first + z / inner * a_outer + z % inner *
// a_inner, likewise b and bias; c, residual and mask at z m n. bias [n], residual and mask (as c) may be null. A block sums
// `depth` terms from blockIdx.z * depth on; if that is less than k, each part goes to a copy of c of its own, c_part elements
// after the one before, and a later kernel adds them.
// `flags`: see below.
#define GEMM_PARAMETERS                                                                                                          \
    ([[maybe_unused]] const float* a, [[maybe_unused]] const float* b, [[maybe_unused]] const float* bias,                       \
     [[maybe_unused]] const float* residual, [[maybe_unused]] const float* mask, [[maybe_unused]] float* c, int m, int n,        \
     [[maybe_unused]] int k, [[maybe_unused]] int depth, [[maybe_unused]] long long c_part, int first, int inner,                \
     [[maybe_unused]] long long a_first, [[maybe_unused]] long long a_outer, [[maybe_unused]] long long a_inner,                 \
     [[maybe_unused]] long long b_first, [[maybe_unused]] long long b_outer, [[maybe_unused]] long long b_inner,                 \
     [[maybe_unused]] long long bias_first, [[maybe_unused]] long long bias_outer, [[maybe_unused]] long long bias_inner,        \
     [[maybe_unused]] int flags)

#define GEMM_ARGUMENTS                                                                                                           \
    (a, b, bias, residual, mask, c, m, n, k, depth, c_part, first, inner, a_first, a_outer, a_inner, b_first, b_outer, b_inner,  \
     bias_first, bias_outer, bias_inner, flags)

// A rectifier follows; for the kernels of matmul_small.cu: a is the narrow side; its terms are innermost.
constexpr int GemmRelu = 1, GemmNarrowA = 2, GemmNarrowTermsInner = 4;

// One product of a batch, and the terms from..to of its sums that the block adds.
struct Gemm
{
    const float *a, *b;
    int m, n, k, from, to;
};

// Where sums go: c and what lies beside it have n columns; bias, residual and mask may be null.
struct GemmOutput
{
    const float *bias, *residual, *mask;
    float* c;
    int m, n;
    bool relu, vector; // vector: four columns are read and written at once
};

DEVICE bool aligned16(const void* p) { return ((unsigned long long)p & 15) == 0; }

// The block's product.
DEVICE Gemm gemm_of_block GEMM_PARAMETERS
{
    int z = first + (int)blockIdx.y, outside = z / inner, inside = z - outside * inner;
    Gemm g;
    g.a = a + (a_first + outside * a_outer + inside * a_inner);
    g.b = b + (b_first + outside * b_outer + inside * b_inner);
    g.m = m;
    g.n = n;
    g.k = k;
    g.from = (int)blockIdx.z * depth;
    g.to = min(k, g.from + depth);
    return g;
}

// Where it goes. Asked for after the sums, it takes no registers from them.
DEVICE GemmOutput gemm_output_of_block GEMM_PARAMETERS
{
    int z = first + (int)blockIdx.y, outside = z / inner, inside = z - outside * inner;
    long long at = (long long)z * m * n;
    GemmOutput out;
    out.bias = bias ? bias + (bias_first + outside * bias_outer + inside * bias_inner) : bias;
    out.residual = residual ? residual + at : residual;
    out.mask = mask ? mask + at : mask;
    out.c = c + (at + (int)blockIdx.z * c_part);
    out.m = m;
    out.n = n;
    out.relu = flags & GemmRelu;
    out.vector = n % 4 == 0 && aligned16(out.c) && aligned16(out.bias) && aligned16(out.residual) && aligned16(out.mask);
    return out;
}

// ---- What follows the sums, each step rounded by itself: bias, rectifier (NaN stays), residual + sum, and 0 where the mask is not above 0

DEVICE float gemm_finish(const GemmOutput& out, long long at, int column, float x)
{
    if (out.bias) x = x + out.bias[column];
    if (out.relu) x = x <= 0.0f ? 0.0f : x;
    if (out.residual) x = out.residual[at] + x;
    if (out.mask) x = out.mask[at] > 0.0f ? x : 0.0f;
    return x;
}

// Four columns of a row of c: what becomes of the sums x. Columns beyond the last become 0.
DEVICE float4 gemm_finish4(const GemmOutput& out, int row, int column, float4 x)
{
    long long at = (long long)row * out.n + column;
    if (!out.vector)
        return make_float4(column < out.n ? gemm_finish(out, at, column, x.x) : 0.0f, column + 1 < out.n ? gemm_finish(out, at + 1, column + 1, x.y) : 0.0f,
                           column + 2 < out.n ? gemm_finish(out, at + 2, column + 2, x.z) : 0.0f, column + 3 < out.n ? gemm_finish(out, at + 3, column + 3, x.w) : 0.0f);
    if (column >= out.n) return make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    if (out.bias)
    {
        float4 bias = *reinterpret_cast<const float4*>(out.bias + column);
        x = make_float4(x.x + bias.x, x.y + bias.y, x.z + bias.z, x.w + bias.w);
    }
    if (out.relu) x = make_float4(x.x <= 0.0f ? 0.0f : x.x, x.y <= 0.0f ? 0.0f : x.y, x.z <= 0.0f ? 0.0f : x.z, x.w <= 0.0f ? 0.0f : x.w);
    if (out.residual)
    {
        float4 add = *reinterpret_cast<const float4*>(out.residual + at);
        x = make_float4(add.x + x.x, add.y + x.y, add.z + x.z, add.w + x.w);
    }
    if (out.mask)
    {
        float4 by = *reinterpret_cast<const float4*>(out.mask + at);
        x = make_float4(by.x > 0.0f ? x.x : 0.0f, by.y > 0.0f ? x.y : 0.0f, by.z > 0.0f ? x.z : 0.0f, by.w > 0.0f ? x.w : 0.0f);
    }
    return x;
}

// Writes four columns of a row of c, of which those beyond the last do not exist.
DEVICE void gemm_put4(const GemmOutput& out, int row, int column, float4 x)
{
    float* c = out.c + ((long long)row * out.n + column);
    if (out.vector)
    {
        if (column < out.n) *reinterpret_cast<float4*>(c) = x;
        return;
    }
    if (column < out.n) c[0] = x.x;
    if (column + 1 < out.n) c[1] = x.y;
    if (column + 2 < out.n) c[2] = x.z;
    if (column + 3 < out.n) c[3] = x.w;
}

DEVICE void gemm_store(const GemmOutput& out, int row, int column, float4 x) { gemm_put4(out, row, column, gemm_finish4(out, row, column, x)); }

// ---- Tiles of an operand in shared memory: rows (of a, or columns of b) by GemmDepth terms

// A number that the compiler must take as it is: what it would make of its history costs more registers or instructions here.
DEVICE int opaque(int x)
{
    asm volatile("" : "+r"(x));
    return x;
}

// An operand as it is copied: element (row, term) lies `row` lines and `term` elements from x, or `term` lines and `row` elements if rows are innermost.
struct GemmOperand
{
    const float* x;
    int rows, bytes;  // bytes of a line
    const int* index; // in shared memory, for a tile that gathers: row i is row index[i] of x
};

DEVICE GemmOperand gemm_operand(const float* x, int rows, int line, const int* index = nullptr)
{
    GemmOperand o;
    o.x = x;
    o.rows = rows;
    o.bytes = opaque(line * 4);
    o.index = index;
    return o;
}

DEVICE const float* gemm_lines(const float* x, int lines, int bytes)
{
    return reinterpret_cast<const float*>(reinterpret_cast<const char*>(x) + (unsigned long long)(unsigned)lines * (unsigned)bytes);
}

// How a tile lies in shared memory, in lines, and how it is copied.
//   Rows innermost: a line is a term, of Rows floats and Pad.
//   Terms innermost: a line is a row, of GemmDepth floats and Pad. Chunk i of it (16 bytes) lies at i ^ (row >> Shift & Swizzle), so that
//   threads that read one chunk of rows 2^Shift apart meet different groups of banks.
// Whole: in memory every line has a multiple of four elements and begins at a multiple of 16 bytes. Gather: rows are found by an index.
template <bool RowsInner_, int Rows_, int Threads_, int Shift_, int Swizzle_, int Pad_, bool Whole_, bool Gather_> struct GemmTile
{
    static constexpr bool RowsInner = RowsInner_, Whole = Whole_, Gather = Gather_;
    static constexpr int Rows = Rows_, Shift = Shift_, Swizzle = RowsInner ? 0 : Swizzle_;
    static constexpr int Stride = (RowsInner ? Rows : GemmDepth) + Pad_, Floats = Stride * (RowsInner ? GemmDepth : Rows);
    // A thread copies Chunks chunks, all at one place of lines that lie LineStep apart.
    static constexpr int LineChunks = (RowsInner ? Rows : GemmDepth) / 4, LineStep = Threads_ / LineChunks, Chunks = Rows * GemmDepth / 4 / Threads_;
    static_assert(Threads_ % LineChunks == 0 && Rows * GemmDepth / 4 % Threads_ == 0 && (LineStep & (LineStep - 1)) == 0, "the threads share the chunks evenly");
    static_assert(!(Gather && RowsInner) && (Swizzle == 0 || Pad_ == 0), "rows are gathered where they are lines");
};

// Where a chunk of a line begins in the tile.
template <typename Tile> DEVICE int gemm_chunk(int line, int chunk) { return line * Tile::Stride + ((chunk ^ (line >> Tile::Shift & Tile::Swizzle)) << 2); }

// The same for line own + i LineStep, given that of line own: own is less than LineStep, a power of two, so the swizzles of both parts do not meet.
template <typename Tile> DEVICE int gemm_chunk_below(int chunk, int i)
{
    return (chunk ^ (i * Tile::LineStep >> Tile::Shift & Tile::Swizzle) << 2) + i * Tile::LineStep * Tile::Stride;
}

// What a thread copies of a tile: one chunk of lines own + i LineStep, i = 0, 1, ... Lines and rows beyond the last are read as the last: their
// sums are not used. Terms beyond the last become 0.
struct GemmCopy
{
    const float* source; // of line own, in the next tile
    int chunk;           // its place in the tile
    int term;            // its first term in memory
    int rows;            // rows that follow line own if lines are rows, or that begin with the chunk's first
    int own;             // where rows are gathered: the line
};

template <typename Tile> DEVICE GemmCopy gemm_begin(const GemmOperand& o, int row, int term)
{
    GemmCopy c;
    int chunk = thread_rank() % Tile::LineChunks;
    c.own = thread_rank() / Tile::LineChunks;
    c.chunk = gemm_chunk<Tile>(c.own, chunk);
    if (Tile::RowsInner)
    {
        row += chunk * 4;
        c.term = term + c.own;
        c.rows = o.rows - row;
        c.source = gemm_lines(o.x + (Tile::Whole && c.rows <= 0 ? 0 : row), c.term, o.bytes);
    }
    else
    {
        row = min(row + c.own, o.rows - 1);
        c.term = term + chunk * 4;
        c.rows = o.rows - 1 - row;
        c.source = gemm_lines(o.x + c.term, Tile::Gather ? 0 : row, o.bytes);
    }
    return c;
}

// Where chunk i of the next tile begins, and how many of its elements are copied (the others become 0).
template <typename Tile> DEVICE const float* gemm_source(const GemmOperand& o, const GemmCopy& c, int i, int to, int& valid)
{
    const float* source = c.term < to ? c.source : o.x;
    if (Tile::RowsInner)
    {
        valid = c.term + i * Tile::LineStep < to ? 4 : 0;
        return gemm_lines(source, min(i * Tile::LineStep, max(0, to - 1 - c.term)), o.bytes);
    }
    valid = Tile::Whole ? (c.term < to ? 4 : 0) : max(0, min(4, to - c.term));
    return gemm_lines(source, Tile::Gather ? o.index[min(c.own + i * Tile::LineStep, o.rows - 1)] : min(i * Tile::LineStep, c.rows), o.bytes);
}

// The element of a chunk that is read for element e, where lines are not whole: rows beyond the last as the last, and no term beyond the last.
template <typename Tile> DEVICE int gemm_element(const GemmCopy& c, int e, int valid) { return Tile::RowsInner ? min(e, c.rows - 1) : e < valid ? e : 0; }

template <typename Tile> DEVICE void gemm_advance(const GemmOperand& o, GemmCopy& c)
{
    c.term += GemmDepth;
    c.source = Tile::RowsInner ? gemm_lines(c.source, GemmDepth, o.bytes) : c.source + GemmDepth;
}

// Begins to copy the next tile.
template <typename Tile> DEVICE void gemm_copy(float* tile, const GemmOperand& o, GemmCopy& c, int to)
{
    SharedPlace place = shared_place(tile);
    c.chunk = opaque(c.chunk);
    c.rows = opaque(c.rows);
    UNROLL
    for (int i = 0; i < Tile::Chunks; i++)
    {
        int valid;
        const float* source = gemm_source<Tile>(o, c, i, to, valid);
        SharedPlace chunk = place + 4 * gemm_chunk_below<Tile>(c.chunk, i);
        if (Tile::Whole) cp_async<16>(chunk, source, valid * 4);
        else
        {
            UNROLL
            for (int e = 0; e < 4; e++) cp_async<4>(chunk + 4 * e, source + gemm_element<Tile>(c, e, valid), e < valid ? 4 : 0);
        }
    }
    gemm_advance<Tile>(o, c);
}

// The same in two steps, by way of registers.
template <typename Tile> DEVICE void gemm_fetch(float4 (&chunks)[Tile::Chunks], const GemmOperand& o, GemmCopy& c, int to)
{
    c.rows = opaque(c.rows);
    UNROLL
    for (int i = 0; i < Tile::Chunks; i++)
    {
        int valid;
        const float* source = gemm_source<Tile>(o, c, i, to, valid);
        chunks[i] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (valid > 0) chunks[i].x = source[gemm_element<Tile>(c, 0, valid)];
        if (valid > 1) chunks[i].y = source[gemm_element<Tile>(c, 1, valid)];
        if (valid > 2) chunks[i].z = source[gemm_element<Tile>(c, 2, valid)];
        if (valid > 3) chunks[i].w = source[gemm_element<Tile>(c, 3, valid)];
    }
    gemm_advance<Tile>(o, c);
}

template <typename Tile> DEVICE void gemm_put(float* tile, GemmCopy& c, const float4 (&chunks)[Tile::Chunks])
{
    c.chunk = opaque(c.chunk);
    UNROLL
    for (int i = 0; i < Tile::Chunks; i++) *reinterpret_cast<float4*>(tile + gemm_chunk_below<Tile>(c.chunk, i)) = chunks[i];
}

// ---- A tile of a product. F is the method: its tiles A and B in shared memory, Stages of them, and what a thread does with them (gemm_ffma.cuh,
// gemm_tensor.cuh)

// The sums of the terms from..to of the tile at (row, column). Stages - 1 tiles ahead are copied while one is multiplied.
template <typename F> DEVICE void gemm_sum(typename F::Sums& sums, const typename F::Place& place, float* shared, const GemmOperand& a, const GemmOperand& b, int row, int column, int from, int to)
{
    using A = typename F::A;
    using B = typename F::B;
    gemm_clear(typename F::Method(), sums);
    int tiles = (to - from + GemmDepth - 1) / GemmDepth;
    GemmCopy copy_a = gemm_begin<A>(a, row, from), copy_b = gemm_begin<B>(b, column, from);
    float4 chunks_a[A::Chunks], chunks_b[B::Chunks];
    UNROLL
    for (int s = 0; s < F::Stages - 1; s++)
    {
        float* stage = shared + s * F::StageFloats;
        if (s < tiles)
        {
            if (F::Async)
            {
                gemm_copy<A>(stage, a, copy_a, to);
                gemm_copy<B>(stage + A::Floats, b, copy_b, to);
            }
            else
            {
                gemm_fetch<A>(chunks_a, a, copy_a, to);
                gemm_fetch<B>(chunks_b, b, copy_b, to);
                gemm_put<A>(stage, copy_a, chunks_a);
                gemm_put<B>(stage + A::Floats, copy_b, chunks_b);
            }
        }
        if (F::Async) cp_async_commit();
    }
    int reading = 0, writing = F::Stages - 1;
    for (int tile = 0; tile < tiles; tile++)
    {
        if (F::Async) cp_async_wait<F::Stages - 2>();
        syncthreads(); // this tile is there, and the last one has been read by all
        bool more = tile + F::Stages - 1 < tiles;
        float* stage = shared + writing * F::StageFloats;
        if (F::Async)
        {
            if (more)
            {
                gemm_copy<A>(stage, a, copy_a, to);
                gemm_copy<B>(stage + A::Floats, b, copy_b, to);
            }
            cp_async_commit();
        }
        else if (more)
        {
            gemm_fetch<A>(chunks_a, a, copy_a, to);
            gemm_fetch<B>(chunks_b, b, copy_b, to);
        }
        const float* tile_a = shared + reading * F::StageFloats;
        gemm_multiply(typename F::Method(), sums, place, tile_a, tile_a + A::Floats);
        if (!F::Async && more)
        {
            gemm_put<A>(stage, copy_a, chunks_a);
            gemm_put<B>(stage + A::Floats, copy_b, chunks_b);
        }
        reading = reading + 1 == F::Stages ? 0 : reading + 1;
        writing = writing + 1 == F::Stages ? 0 : writing + 1;
    }
}
