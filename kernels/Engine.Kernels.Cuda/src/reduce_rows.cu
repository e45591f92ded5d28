#include "rows.cuh"

// Sum (kind 0), largest (1) or smallest (2) element of every row of x [rows, width].

template <int Team> DEVICE float reduce(const float* x, int width, int kind)
{
    Row<Team> row;
    load_row(row, x, width, reduce_neutral(kind));
    return kind == 0 ? sum_row(row, width) : kind == 1 ? max_row(row) : min_row(row);
}

// A thread a row of at most 16.
KERNEL(reduce_rows_thread, (const float* x, float* y, long long rows, int width, int kind))
{
    long long row = team_row<1>();
    if (row < rows) y[row] = reduce<1>(x + row * width, width, kind);
}

// A warp a row of at most 1024.
KERNEL(reduce_rows_warp, (const float* x, float* y, long long rows, int width, int kind))
{
    long long row = team_row<32>();
    if (row >= rows) return;
    float result = reduce<32>(x + row * width, width, kind);
    if (lane_index() == 0) y[row] = result;
}

// A block of 256 threads a piece of a row, which has pieces of 8192: y [rows, pieces].
KERNEL_BOUNDED(reduce_rows_block, 256, 4, (const float* x, float* y, long long width, int pieces, int kind))
{
    long long row = blockIdx.x / pieces, from = (blockIdx.x - row * pieces) * (long long)row_piece;
    float result = reduce<256>(x + row * width + from, (int)min(width - from, (long long)row_piece), kind);
    if (thread_rank() == 0) y[blockIdx.x] = result;
}
