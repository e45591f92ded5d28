// The body of a chain of products, links: rows of x times a matrix, what follows it, times the next, ... A block takes some rows through all links.
// They stay in shared memory; the matrices, of which every block needs all, stream through it in tiles of GemmDepth terms by 256 columns, the next
// link's while one ends. What others want is written as it comes to be. Every link is summed and rounded as by the kernels of single products.
#pragma once
#include "member_matmul.cuh"

// The most columns of a link, and terms.
constexpr int ChainWidth = 256;

// A link: its matrix [k, n] ([n, k] backwards), what is beside it (forwards the bias [n]; backwards the mask, as c, or null), where its result goes
// ([m, n], null if nobody wants it), and n. k is the n before it, or `in`. Member e's x lies x_member elements after the one before, its matrices and
// biases follow one another unless flag 256 << link says that all share one; c and mask follow one another. Flag 1 << link: a rectifier.
#define CHAIN_PARAMETERS                                                                                                              \
    (const float* x, long long x_member, int m, int in, int links, int flags, const float* w0, const float* beside0, float* c0, int n0, \
     const float* w1, const float* beside1, float* c1, int n1, const float* w2, const float* beside2, float* c2, int n2,             \
     const float* w3, const float* beside3, float* c3, int n3)
#define CHAIN_OF_BLOCK Chain{x + (int)blockIdx.y * x_member, nullptr, (int)blockIdx.y, m, m, in, links, flags, n0, n1, n2, n3, w0, w1, w2, w3, beside0, beside1, beside2, beside3, c0, c1, c2, c3}

// A chain of rows that have a matrix of their own each, an ensemble member's: member [m] says whose, the masks are [members, m, n], x and what comes out [m, n].
#define MEMBER_CHAIN_PARAMETERS                                                                                                                        \
    (const float* x, const int* member, int m, int in, int links, int flags, const float* w0, const float* beside0, float* c0, int n0, const float* w1, \
     const float* beside1, float* c1, int n1, const float* w2, const float* beside2, float* c2, int n2, const float* w3, const float* beside3, float* c3, int n3)
#define MEMBER_CHAIN Chain{x, nullptr, 0, m, m, in, links, flags, n0, n1, n2, n3, w0, w1, w2, w3, beside0, beside1, beside2, beside3, c0, c1, c2, c3}

// The chain of the block's member. Links are picked by comparisons: an array of them would lie in local memory.
struct Chain
{
    const float* x;
    const int* index;     // of rows with matrices of their own: row i is row index[i]
    int member, m, all;   // m rows of all
    int in, links, flags, n0, n1, n2, n3;
    const float *w0, *w1, *w2, *w3, *beside0, *beside1, *beside2, *beside3;
    float *c0, *c1, *c2, *c3;
};

// A link of the block's member.
struct ChainLink
{
    const float *w, *beside;
    float* c;
    int k, n;
    bool relu;
};

template <typename T> DEVICE T chain_pick(int link, T a, T b, T c, T d) { return link < 2 ? (link == 0 ? a : b) : (link == 2 ? c : d); }

template <typename F> DEVICE ChainLink chain_link(const Chain& chain, int link)
{
    ChainLink l;
    l.n = chain_pick(link, chain.n0, chain.n1, chain.n2, chain.n3);
    l.k = chain_pick(link, chain.in, chain.n0, chain.n1, chain.n2);
    l.relu = chain.flags >> link & 1;
    long long member = chain.member, own = chain.flags >> (8 + link) & 1 ? 0 : member, at = member * chain.all * l.n;
    l.w = chain_pick(link, chain.w0, chain.w1, chain.w2, chain.w3) + own * l.k * l.n;
    l.beside = chain_pick(link, chain.beside0, chain.beside1, chain.beside2, chain.beside3);
    if (l.beside) l.beside += F::Backward ? at : own * l.n;
    l.c = chain_pick(link, chain.c0, chain.c1, chain.c2, chain.c3);
    if (l.c && !F::Members) l.c += at;
    return l;
}

template <typename F> DEVICE GemmOutput chain_output(const ChainLink& l, int m)
{
    GemmOutput out;
    out.bias = F::Backward ? nullptr : l.beside;
    out.mask = F::Backward ? l.beside : nullptr;
    out.residual = nullptr;
    out.c = l.c;
    out.m = m;
    out.n = l.n;
    out.relu = l.relu;
    out.vector = l.n % 4 == 0 && aligned16(l.c) && aligned16(l.beside);
    return out;
}

// The block's rows in shared memory, as the left side of a product: rows of terms. Rows lie 4 banks apart, or 8.
template <int Rows_, int Stride_> struct ChainRows
{
    static constexpr bool RowsInner = false;
    static constexpr int Rows = Rows_, Stride = Stride_, Shift = 0, Swizzle = 0;
};

// What is copied next: a tile of a link's matrix.
struct ChainCopy
{
    GemmOperand operand;
    GemmCopy copy;
    int link, term, k;
};

template <typename F> DEVICE void chain_aim(ChainCopy& next, const Chain& chain, int link)
{
    ChainLink l = chain_link<F>(chain, link);
    next.operand = gemm_operand(l.w, l.n, F::Backward ? l.k : l.n);
    next.copy = gemm_begin<typename F::B>(next.operand, 0, 0);
    next.link = link;
    next.term = 0;
    next.k = l.k;
}

// Begins to copy the next tile, if there is one among the links before `end`.
template <typename F> DEVICE void chain_copy(ChainCopy& next, const Chain& chain, int end, float* stage)
{
    if (next.link < end)
    {
        gemm_copy<typename F::B>(stage, next.operand, next.copy, next.k);
        next.term += GemmDepth;
        if (next.term >= next.k)
        {
            if (next.link + 1 < end) chain_aim<F>(next, chain, next.link + 1);
            else next.link = end;
        }
    }
    cp_async_commit();
}

// The block's rows: `first` and those that follow, or those with matrices of one member.
struct ChainPlace
{
    const int* index;
    int first, m;
};

DEVICE bool chain_has(const ChainPlace& place, int r) { return place.first + r < place.m; }
template <typename F> DEVICE int chain_row(const ChainPlace& place, int r) { return F::Members ? place.index[r] : place.first + r; }

// Writes four columns of a row, and keeps them for the next link.
template <typename F> DEVICE void chain_put(float* rows, const GemmOutput& out, const ChainPlace& block, int r, int column, float4 sums)
{
    float4 y = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    bool has = chain_has(block, r);
    int row = has ? chain_row<F>(block, r) : 0;
    if (has) y = gemm_finish4(out, row, column, sums);
    *reinterpret_cast<float4*>(rows + r * F::A::Stride + column) = y;
    if (out.c && has) gemm_put4(out, row, column, y);
}

// The block's rows of x, with zeros up to a whole tile of terms, and in rows that do not exist.
template <typename F> DEVICE void chain_load(float* rows, const float* x, const ChainPlace& block, int in)
{
    int terms = (in + GemmDepth - 1) / GemmDepth * GemmDepth;
    bool vector = in % 4 == 0 && aligned16(x);
    for (int i = thread_rank(); i < F::BM * terms / 4; i += F::Threads)
    {
        int r = i / (terms / 4), term = i % (terms / 4) * 4;
        float4 y = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        bool has = chain_has(block, r);
        const float* p = x + ((long long)(has ? chain_row<F>(block, r) : 0) * in + term);
        if (has && vector && term < in) y = *reinterpret_cast<const float4*>(p);
        else if (has)
        {
            if (term < in) y.x = p[0];
            if (term + 1 < in) y.y = p[1];
            if (term + 2 < in) y.z = p[2];
            if (term + 3 < in) y.w = p[3];
        }
        *reinterpret_cast<float4*>(rows + r * F::A::Stride + term) = y;
    }
}

// A first link of few terms, as by matmul_outer.
template <typename F> DEVICE void chain_outer(float* rows, const ChainLink& l, const GemmOutput& out, const float* x, const ChainPlace& block)
{
    UNROLL_BY(2)
    for (int i = thread_rank(); i < F::BM * (ChainWidth / 4); i += F::Threads)
    {
        int r = i / (ChainWidth / 4), column = i % (ChainWidth / 4) * 4;
        float sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        for (int term = 0; term < l.k && chain_has(block, r); term++)
        {
            float y = x[(long long)chain_row<F>(block, r) * l.k + term];
            UNROLL
            for (int e = 0; e < 4; e++)
            {
                int j = min(column + e, l.n - 1);
                sums[e] = fmaf(y, l.w[F::Backward ? j * l.k + term : term * l.n + j], sums[e]);
            }
        }
        chain_put<F>(rows, out, block, r, column, make_float4(sums[0], sums[1], sums[2], sums[3]));
    }
}

// A last link of few columns, as by matmul_dots: a warp takes a row, a lane every 32nd term.
template <typename F> DEVICE void chain_dots(const float* rows, const ChainLink& l, const GemmOutput& out, const ChainPlace& block)
{
    constexpr int Few = 8;
    for (int r = warp_index(); r < F::BM && chain_has(block, r); r += F::Threads / 32)
    {
        float sums[Few];
        UNROLL
        for (int f = 0; f < Few; f++) sums[f] = 0.0f;
        for (int term = lane_index(); term < l.k; term += 32)
        {
            float y = rows[r * F::A::Stride + term];
            UNROLL
            for (int f = 0; f < Few; f++) sums[f] = fmaf(f < l.n ? l.w[F::Backward ? f * l.k + term : term * l.n + f] : 0.0f, y, sums[f]);
        }
        UNROLL
        for (int f = 0; f < Few; f++)
        {
            if (f >= l.n) continue;
            float sum = warp_sum(sums[f]);
            long long at = (long long)chain_row<F>(block, r) * l.n + f;
            if (lane_index() == f) out.c[at] = gemm_finish(out, at, f, sum);
        }
    }
}

// Grid: rows, BM a block; members.
template <typename F> DEVICE void matmul_chain(const Chain& chain)
{
    DYNAMIC_SHARED(float, shared);
    float *rows = shared, *stages = shared + F::BM * F::A::Stride;
    ChainPlace block = {chain.index, F::Members ? 0 : (int)blockIdx.x * F::BM, chain.m};
    // A first link of few terms and a last one of few columns do not go through tiles.
    int begin = chain.in <= 4 ? 1 : 0, end = chain.links;
    if (chain_pick(end - 1, chain.n0, chain.n1, chain.n2, chain.n3) <= 8) end--;
    typename F::Place place = gemm_place(typename F::Method());
    ChainCopy next = {};
    next.link = end;
    if (begin < end) chain_aim<F>(next, chain, begin);
    UNROLL
    for (int s = 0; s < F::Stages - 1; s++) chain_copy<F>(next, chain, end, stages + s * F::B::Floats);
    if (begin == 0) chain_load<F>(rows, chain.x, block, chain.in);
    else
    {
        ChainLink l = chain_link<F>(chain, 0);
        chain_outer<F>(rows, l, chain_output<F>(l, chain.m), chain.x, block);
    }
    int reading = 0, writing = F::Stages - 1;
    for (int link = begin; link < end; link++)
    {
        typename F::Sums sums;
        gemm_clear(typename F::Method(), sums);
        int k = chain_pick(link, chain.in, chain.n0, chain.n1, chain.n2), n = chain_pick(link, chain.n0, chain.n1, chain.n2, chain.n3);
        float* stage = stages;
        for (int term = 0; term < k; term += GemmDepth)
        {
            cp_async_wait<F::Stages - 2>();
            syncthreads(); // this tile and the rows are there, and the last tile has been read by all
            chain_copy<F>(next, chain, end, stages + writing * F::B::Floats);
            stage = stages + reading * F::B::Floats;
            if (chain_column(typename F::Method(), place) < n) gemm_multiply(typename F::Method(), sums, place, rows + term, stage);
            reading = reading + 1 == F::Stages ? 0 : reading + 1;
            writing = writing + 1 == F::Stages ? 0 : writing + 1;
        }
        syncthreads(); // the rows and the last tile have been read by all
        ChainLink l = chain_link<F>(chain, link);
        chain_finish(typename F::Method(), sums, place, rows, stage, chain_output<F>(l, chain.m), block);
    }
    cp_async_wait<0>();
    syncthreads();
    if (end < chain.links)
    {
        ChainLink l = chain_link<F>(chain, end);
        chain_dots<F>(rows, l, chain_output<F>(l, chain.m), block);
    }
}

// Grid: for every member as many blocks as all rows would need.
template <typename F> DEVICE void member_chain(Chain chain, const int* member)
{
    DYNAMIC_SHARED(float, shared);
    int* index = reinterpret_cast<int*>(shared + F::BM * F::A::Stride + F::Stages * F::B::Floats);
    chain.m = member_rows<F::BM>(index, member, chain.all, (int)blockIdx.x, nullptr, nullptr, chain.member);
    chain.index = index;
    if (chain.m > 0) matmul_chain<F>(chain);
}
