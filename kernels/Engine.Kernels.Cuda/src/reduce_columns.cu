#include "rows.cuh"

// Sum (kind 0), largest (1) or smallest (2) along the middle axis of x [outer, reduced, inner].

DEVICE float combine(float a, float b, int kind) { return kind == 0 ? a + b : kind == 1 ? maximum(a, b) : minimum(a, b); }

// Every `step`th row from `first` on, in order; eight are read before the first is waited for.
DEVICE float reduce_column(const float* x, int first, int last, int step, long long inner, int kind)
{
    float result = reduce_neutral(kind);
    int r = first;
    for (; r < last - 7 * step; r += 8 * step)
    {
        float v[8];
        UNROLL
        for (int k = 0; k < 8; k++) v[k] = x[(r + k * step) * inner];
        UNROLL
        for (int k = 0; k < 8; k++) result = combine(result, v[k], kind);
    }
    for (; r < last; r += step) result = combine(result, x[r * inner], kind);
    return result;
}

// A thread a column, in order.
KERNEL(reduce_columns_thread, (const float* x, float* y, long long outer, int reduced, long long inner, int kind))
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= outer * inner) return;
    long long o = i / inner;
    y[i] = reduce_column(x + o * (reduced - 1) * inner + i, 0, reduced, 1, inner, kind);
}

// A block of 1024 threads a piece of `columns` columns (a power of two, at most 32): thread t belongs to column t % columns and takes
// every 1024 / columns th row from t / columns on; then the threads of a column are combined as a tree. Pieces have
// 32 * 1024 / columns rows: y [outer, pieces, inner]. x of the grid counts pieces of columns, y pieces of rows, z the outer axis.
KERNEL_BOUNDED(reduce_columns_block, 1024, 1, (const float* x, float* y, long long outer, int reduced, long long inner, int columns, int kind))
{
    SHARED(float, results, [1024]);
    int groups = 1024 / columns, group = threadIdx.x / columns;
    long long column = (long long)blockIdx.x * columns + threadIdx.x % columns;
    for (long long o = blockIdx.z; o < outer; o += gridDim.z)
    {
        int first = (int)blockIdx.y * 32 * groups, last = min(reduced, first + 32 * groups);
        float result = column < inner ? reduce_column(x + o * reduced * inner + column, first + group, last, groups, inner, kind) : 0.0f;
        results[threadIdx.x] = result;
        for (int half = groups / 2; half > 0; half /= 2)
        {
            syncthreads();
            if (group < half) results[threadIdx.x] = result = combine(result, results[threadIdx.x + half * columns], kind);
        }
        if (group == 0 && column < inner) y[(o * gridDim.y + blockIdx.y) * inner + column] = result;
        syncthreads();
    }
}
