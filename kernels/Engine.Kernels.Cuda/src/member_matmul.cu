// Products in which every row has a matrix of its own, one of an ensemble's: c[i] = a[i] b[member[i]], kept where mask[member[i], i] is above 0.
// A row's sums do not depend on the rows beside it. The entries _n take b [members, k, n], _t take [members, n, k].
#include "gemm_ffma.cuh"
#include "member_matmul.cuh"

#define MEMBER_MATMUL_ONE(name, threads, blocks, tb, bm, bn, tm, tn, slices, stages, whole) \
    KERNEL_BOUNDED(name, threads, blocks, MEMBER_PARAMETERS) { member_matmul<Ffma<bm, bn, tm, tn, slices, stages, false, tb, true, whole, true>, tb> MEMBER_ARGUMENTS; }
#define MEMBER_MATMUL(name, threads, blocks, ...)                        \
    MEMBER_MATMUL_ONE(name##_n, threads, blocks, false, __VA_ARGS__)     \
    MEMBER_MATMUL_ONE(name##_t, threads, blocks, true, __VA_ARGS__)

MEMBER_MATMUL(member_matmul_32x32_sliced, 128, 4, 32, 32, 8, 4, 4, 4, true)
MEMBER_MATMUL(member_matmul_32x32_sliced_any, 128, 4, 32, 32, 8, 4, 4, 4, false)
MEMBER_MATMUL(member_matmul_64x64, 64, 4, 64, 64, 8, 8, 1, 3, true)
MEMBER_MATMUL(member_matmul_64x64_any, 64, 4, 64, 64, 8, 8, 1, 3, false)

// Few terms: a thread takes four columns of a row.
template <bool TransposeB> DEVICE void member_outer(const float* a, const float* b, const int* member, const float* mask, float* c, int m, int n, int k, int members)
{
    int chunks = (n + 3) / 4;
    long long number = (long long)blockIdx.x * block_threads() + thread_rank();
    int row = (int)(number / chunks), column = (int)(number - (long long)row * chunks) * 4;
    if (row >= m) return;
    int e = member[row];
    if ((unsigned)e >= (unsigned)members) return;
    const float* matrix = b + (long long)e * k * n;
    float sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int term = 0; term < k; term++)
    {
        float x = a[(long long)row * k + term];
        UNROLL
        for (int i = 0; i < 4; i++)
        {
            int j = min(column + i, n - 1);
            sums[i] = fmaf(x, matrix[TransposeB ? (long long)j * k + term : (long long)term * n + j], sums[i]);
        }
    }
    gemm_store(member_output(mask, c, e, m, n, m), row, column, make_float4(sums[0], sums[1], sums[2], sums[3]));
}

KERNEL(member_matmul_outer_n, (const float* a, const float* b, const int* member, const float* mask, float* c, int m, int n, int k, int members)) { member_outer<false>(a, b, member, mask, c, m, n, k, members); }
KERNEL(member_matmul_outer_t, (const float* a, const float* b, const int* member, const float* mask, float* c, int m, int n, int k, int members)) { member_outer<true>(a, b, member, mask, c, m, n, k, members); }

// Few columns: a warp takes a row, a lane every 32nd term, as by matmul_dots.
template <bool TransposeB> DEVICE void member_dots(const float* a, const float* b, const int* member, const float* mask, float* c, int m, int n, int k, int members)
{
    constexpr int Few = 8;
    int row = (int)blockIdx.x * (block_threads() / 32) + warp_index();
    if (row >= m) return;
    int e = member[row];
    if ((unsigned)e >= (unsigned)members) return;
    const float* matrix = b + (long long)e * k * n;
    float sums[Few];
    UNROLL
    for (int f = 0; f < Few; f++) sums[f] = 0.0f;
    UNROLL_BY(4)
    for (int term = lane_index(); term < k; term += 32)
    {
        float y = a[(long long)row * k + term];
        UNROLL
        for (int f = 0; f < Few; f++) sums[f] = fmaf(f < n ? matrix[TransposeB ? (long long)f * k + term : (long long)term * n + f] : 0.0f, y, sums[f]);
    }
    GemmOutput out = member_output(mask, c, e, m, n, m);
    UNROLL
    for (int f = 0; f < Few; f++)
    {
        if (f >= n) continue;
        float sum = warp_sum(sums[f]);
        long long at = (long long)row * n + f;
        if (lane_index() == f) out.c[at] = gemm_finish(out, at, f, sum);
    }
}

KERNEL(member_matmul_dots_n, (const float* a, const float* b, const int* member, const float* mask, float* c, int m, int n, int k, int members)) { member_dots<false>(a, b, member, mask, c, m, n, k, members); }
KERNEL(member_matmul_dots_t, (const float* a, const float* b, const int* member, const float* mask, float* c, int m, int n, int k, int members)) { member_dots<true>(a, b, member, mask, c, m, n, k, members); }

// Of a block's threads the sum of `value` over those of lower rank; `total` over all. `totals` is shared, 33 ints.
DEVICE int block_scan(int value, int* totals, int& total)
{
    int sum = value, warps = block_threads() / 32;
    UNROLL
    for (int step = 1; step < 32; step *= 2)
    {
        int other = shuffle_up(sum, step);
        if (lane_index() >= step) sum += other;
    }
    syncthreads();
    if (lane_index() == 31) totals[warp_index()] = sum;
    syncthreads();
    int before = 0;
    total = 0;
    for (int w = 0; w < warps; w++)
    {
        if (w < warp_index()) before += totals[w];
        total += totals[w];
    }
    return before + sum - value;
}

// Sorts rows by member and cuts them into tiles of at most `rows`: order [m]; tiles [most] of (member, begin in order, rows), those that are not needed without
// rows; next [members] is scratch. One block. The order of a member's rows is not defined, and nothing depends on it.
KERNEL_BOUNDED(member_sort, 1024, 1, (const int* member, int m, int members, int rows, int most, int* order, int* tiles, int* next))
{
    SHARED(int, totals, [32]);
    for (int e = thread_rank(); e < members; e += block_threads()) next[e] = 0;
    thread_fence();
    syncthreads();
    for (int i = thread_rank(); i < m; i += block_threads())
        if ((unsigned)member[i] < (unsigned)members) atomic_add(next + member[i], 1);
    thread_fence();
    syncthreads();
    int row = 0, tile = 0;
    for (int begin = 0; begin < members; begin += block_threads())
    {
        int e = begin + thread_rank(), count = e < members ? atomic_add(next + e, 0) : 0, rows_total, tiles_total;
        int own_row = row + block_scan(count, totals, rows_total), own_tile = tile + block_scan((count + rows - 1) / rows, totals, tiles_total);
        for (int at = 0; at < count; at += rows, own_tile++)
        {
            tiles[3 * own_tile] = e;
            tiles[3 * own_tile + 1] = own_row + at;
            tiles[3 * own_tile + 2] = min(rows, count - at);
        }
        if (e < members) next[e] = own_row;
        row += rows_total;
        tile += tiles_total;
    }
    for (int t = tile + thread_rank(); t < most; t += block_threads())
    {
        tiles[3 * t] = 0;
        tiles[3 * t + 1] = 0;
        tiles[3 * t + 2] = 0;
    }
    thread_fence();
    syncthreads();
    for (int i = thread_rank(); i < m; i += block_threads())
        if ((unsigned)member[i] < (unsigned)members) order[atomic_add(next + member[i], 1)] = i;
}
