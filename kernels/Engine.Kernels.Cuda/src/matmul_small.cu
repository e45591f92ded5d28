// Batched matrix products of which tiles would be mostly empty: few rows or columns, few terms; and the sum of parts of sums. See gemm.cuh.
// The narrow operand is the one with few rows (b's are columns of c), the wide one the other.
#include "gemm.cuh"

struct GemmNarrow
{
    const float *narrow, *wide;
    int few, many;             // rows of each
    long long by_term, by_few; // steps in the narrow operand
};

DEVICE GemmNarrow gemm_narrow(const Gemm& g, int flags)
{
    GemmNarrow s;
    bool is_a = flags & GemmNarrowA;
    s.narrow = is_a ? g.a : g.b;
    s.wide = is_a ? g.b : g.a;
    s.few = is_a ? g.m : g.n;
    s.many = is_a ? g.n : g.m;
    s.by_term = flags & GemmNarrowTermsInner ? 1 : s.few;
    s.by_few = flags & GemmNarrowTermsInner ? g.k : 1;
    return s;
}

DEVICE void gemm_store_one(const GemmOutput& out, int flags, int few, int many, float sum)
{
    int row = flags & GemmNarrowA ? few : many, column = flags & GemmNarrowA ? many : few;
    long long at = (long long)row * out.n + column;
    out.c[at] = gemm_finish(out, at, column, sum);
}

// The wide operand's terms are innermost: dot products. A warp takes four of its rows, a lane every 32nd term; the lanes' sums are
// added as by warp_sum. Grid: rows, four for every warp; batches; parts.
template <int Few> DEVICE void matmul_dots GEMM_PARAMETERS
{
    constexpr int Rows = 4;
    Gemm g = gemm_of_block GEMM_ARGUMENTS;
    GemmNarrow s = gemm_narrow(g, flags);
    int row = ((int)blockIdx.x * (block_threads() / 32) + warp_index()) * Rows;
    if (row >= s.many) return;
    float sums[Rows][Few];
    UNROLL
    for (int r = 0; r < Rows; r++)
    {
        UNROLL
        for (int f = 0; f < Few; f++) sums[r][f] = 0.0f;
    }
    UNROLL_BY(4)
    for (int term = g.from + lane_index(); term < g.to; term += 32)
    {
        float x[Few];
        UNROLL
        for (int f = 0; f < Few; f++) x[f] = f < s.few ? s.narrow[term * s.by_term + f * s.by_few] : 0.0f;
        UNROLL
        for (int r = 0; r < Rows; r++)
        {
            float y = s.wide[(long long)min(row + r, s.many - 1) * g.k + term];
            UNROLL
            for (int f = 0; f < Few; f++) sums[r][f] = fmaf(x[f], y, sums[r][f]);
        }
    }
    GemmOutput out = gemm_output_of_block GEMM_ARGUMENTS;
    UNROLL
    for (int r = 0; r < Rows; r++)
    {
        UNROLL
        for (int f = 0; f < Few; f++)
        {
            float sum = warp_sum(sums[r][f]);
            if (lane_index() == (r * Few + f) % 32 && row + r < s.many && f < s.few) gemm_store_one(out, flags, f, row + r, sum);
        }
    }
}

// The wide operand's rows are innermost: its lines are combined. A lane takes one row (32 a block), a warp every 16th term; the warps' sums
// are added in order. Grid: rows, 32 a block; batches; parts. 512 threads.
template <int Few> DEVICE void matmul_combine GEMM_PARAMETERS
{
    constexpr int Warps = 16;
    SHARED(float, partial, [Warps][Few][32]);
    Gemm g = gemm_of_block GEMM_ARGUMENTS;
    GemmNarrow s = gemm_narrow(g, flags);
    int row = (int)blockIdx.x * 32 + lane_index(), warp = warp_index();
    float sums[Few];
    UNROLL
    for (int f = 0; f < Few; f++) sums[f] = 0.0f;
    const float* wide = s.wide + min(row, s.many - 1);
    UNROLL_BY((Few > 4 ? 4 : 8))
    for (int term = g.from + warp; term < g.to; term += Warps)
    {
        float y = wide[(long long)term * s.many];
        UNROLL
        for (int f = 0; f < Few; f++) sums[f] = fmaf(f < s.few ? s.narrow[term * s.by_term + f * s.by_few] : 0.0f, y, sums[f]);
    }
    UNROLL
    for (int f = 0; f < Few; f++) partial[warp][f][lane_index()] = sums[f];
    syncthreads();
    GemmOutput out = gemm_output_of_block GEMM_ARGUMENTS;
    for (int f = warp; f < s.few; f += Warps)
    {
        float sum = partial[0][f][lane_index()];
        for (int w = 1; w < Warps; w++) sum = sum + partial[w][f][lane_index()];
        if (row < s.many) gemm_store_one(out, flags, f, row, sum);
    }
}

#define MATMUL_SMALL(few)                                                                                                \
    KERNEL_BOUNDED(matmul_dots_##few, 128, 1, GEMM_PARAMETERS) { matmul_dots<few> GEMM_ARGUMENTS; }                      \
    KERNEL_BOUNDED(matmul_combine_##few, 512, 1, GEMM_PARAMETERS) { matmul_combine<few> GEMM_ARGUMENTS; }

MATMUL_SMALL(1)
MATMUL_SMALL(2)
MATMUL_SMALL(4)
MATMUL_SMALL(8)

// Few terms: limited by writing c. A thread takes four columns of a row. Grid: threads for all of them; batches.
template <bool TransposeA, bool TransposeB> DEVICE void matmul_outer GEMM_PARAMETERS
{
    int chunks = (n + 3) / 4;
    long long number = (long long)blockIdx.x * block_threads() + thread_rank();
    int row = (int)(number / chunks), column = (int)(number - (long long)row * chunks) * 4;
    if (row >= m) return;
    Gemm g = gemm_of_block GEMM_ARGUMENTS;
    float sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int term = 0; term < k; term++)
    {
        float x = g.a[TransposeA ? (long long)term * m + row : (long long)row * k + term];
        UNROLL
        for (int i = 0; i < 4; i++)
        {
            int j = min(column + i, n - 1);
            sums[i] = fmaf(x, g.b[TransposeB ? (long long)j * k + term : (long long)term * n + j], sums[i]);
        }
    }
    gemm_store(gemm_output_of_block GEMM_ARGUMENTS, row, column, make_float4(sums[0], sums[1], sums[2], sums[3]));
}

KERNEL(matmul_outer_nn, GEMM_PARAMETERS) { matmul_outer<false, false> GEMM_ARGUMENTS; }
KERNEL(matmul_outer_nt, GEMM_PARAMETERS) { matmul_outer<false, true> GEMM_ARGUMENTS; }
KERNEL(matmul_outer_tn, GEMM_PARAMETERS) { matmul_outer<true, false> GEMM_ARGUMENTS; }
KERNEL(matmul_outer_tt, GEMM_PARAMETERS) { matmul_outer<true, true> GEMM_ARGUMENTS; }

// Adds the parts of sums, which lie c_part apart from `a` on, in order. A thread takes four columns of a row. Grid: as above. `k` is the number of parts.
KERNEL(matmul_add_parts, GEMM_PARAMETERS)
{
    int chunks = (n + 3) / 4;
    long long number = (long long)blockIdx.x * block_threads() + thread_rank();
    int row = (int)(number / chunks), column = (int)(number - (long long)row * chunks) * 4;
    if (row >= m) return;
    const float* part = a + ((long long)(first + (int)blockIdx.y) * m * n + (long long)row * n + column);
    bool vector = n % 4 == 0 && aligned16(a);
    int exist = min(4, n - column);
    float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    for (int p = 0; p < k; p++, part += c_part)
    {
        float4 x = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (vector) x = *reinterpret_cast<const float4*>(part);
        else
        {
            x.x = part[0];
            if (exist > 1) x.y = part[1];
            if (exist > 2) x.z = part[2];
            if (exist > 3) x.w = part[3];
        }
        sum = p == 0 ? x : make_float4(sum.x + x.x, sum.y + x.y, sum.z + x.z, sum.w + x.w);
    }
    gemm_store(gemm_output_of_block GEMM_ARGUMENTS, row, column, sum);
}
