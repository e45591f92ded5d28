#include "rows.cuh"

// log of the sum of e^x of every row of x [rows, width], in the order of the op's definition.

// What is taken off before the exponentials: the largest, unless it is infinite or NaN.
DEVICE float log_sum_exp_shift(float largest) { return fabsf(largest) < as_float(0x7F800000) ? largest : 0.0f; }

template <int Team> DEVICE void log_sum_exp(const float* x, float* y, long long rows, int width)
{
    long long at = team_row<Team>();
    if (at >= rows) return;
    Row<Team> row;
    load_row(row, x + at * width, width, as_float((int)0xFF800000));
    float shift = log_sum_exp_shift(max_row(row));
    float sum = sum_row(row, width, [=](int, float v) { return engine_exp(v - shift); });
    if (team_rank<Team>() == 0) y[at] = engine_log(sum) + shift;
}

KERNEL(log_sum_exp_thread, (const float* x, float* y, long long rows, int width)) { log_sum_exp<1>(x, y, rows, width); }
KERNEL_BOUNDED(log_sum_exp_warp, 128, 4, (const float* x, float* y, long long rows, int width)) { log_sum_exp<32>(x, y, rows, width); }
KERNEL_BOUNDED(log_sum_exp_block, 256, 2, (const float* x, float* y, long long rows, int width)) { log_sum_exp<256>(x, y, rows, width); }

// Rows of more than 8192, a block of 256 threads each.
KERNEL_BOUNDED(log_sum_exp_long, 256, 4, (const float* x, float* y, long long rows, int width))
{
    if (blockIdx.x >= rows) return;
    const float* from = x + (long long)blockIdx.x * width;
    float shift = log_sum_exp_shift(max_long_row(from, width));
    float sum = sum_long_row(width, [=](int i) { return engine_exp(from[i] - shift); });
    if (thread_rank() == 0) y[blockIdx.x] = engine_log(sum) + shift;
}
