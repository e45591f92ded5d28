#include "rows.cuh"

// e^(x - max) / sum of every row of x [rows, width], in the order of the op's definition.

template <int Team> DEVICE void softmax(const float* x, float* y, long long rows, int width)
{
    long long at = team_row<Team>();
    if (at >= rows) return;
    Row<Team> row;
    load_row(row, x + at * width, width, as_float((int)0xFF800000));
    float largest = max_row(row);
    map_row(row, width, [=](int, float v) { return engine_exp(v - largest); });
    float sum = sum_row(row, width);
    map_row(row, width, [=](int, float v) { return v / sum; });
    store_row(row, y + at * width, width);
}

KERNEL(softmax_thread, (const float* x, float* y, long long rows, int width)) { softmax<1>(x, y, rows, width); }
KERNEL_BOUNDED(softmax_warp, 128, 4, (const float* x, float* y, long long rows, int width)) { softmax<32>(x, y, rows, width); }
KERNEL_BOUNDED(softmax_block, 256, 2, (const float* x, float* y, long long rows, int width)) { softmax<256>(x, y, rows, width); }

// Rows of more than 8192, a block of 256 threads each.
KERNEL_BOUNDED(softmax_long, 256, 4, (const float* x, float* y, long long rows, int width))
{
    if (blockIdx.x >= rows) return;
    const float* from = x + (long long)blockIdx.x * width;
    float* to = y + (long long)blockIdx.x * width;
    float largest = max_long_row(from, width);
    float sum = sum_long_row(width, [=](int i) { return engine_exp(from[i] - largest); });
    for (int i = thread_rank(); i < width; i += 256) to[i] = engine_exp(from[i] - largest) / sum;
}
