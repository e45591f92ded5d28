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

DEVICE float4 combine(float4 a, float4 b, int kind)
{
    return make_float4(combine(a.x, b.x, kind), combine(a.y, b.y, kind), combine(a.z, b.z, kind), combine(a.w, b.w, kind));
}

DEVICE float4 load_columns(const float* x, bool aligned)
{
    if (aligned) return *(const float4*)x;
    return make_float4(x[0], x[1], x[2], x[3]);
}

// The same for a multiple of 4 columns, at least 32: a block of 256 threads a piece of 32 columns and 1024 rows, a thread four
// neighbours. The order of the sums is that of 32 groups above, and so are the bits.
KERNEL_BOUNDED(reduce_columns_vectors, 256, 4, (const float* x, float* y, long long outer, int reduced, long long inner, int kind))
{
    SHARED(float4, results, [256]);
    int group = threadIdx.x / 8;
    long long column = (long long)blockIdx.x * 32 + 4 * (threadIdx.x % 8);
    bool aligned = aligned_to_16(x);
    for (long long o = blockIdx.z; o < outer; o += gridDim.z)
    {
        float nothing = reduce_neutral(kind);
        float4 result = make_float4(nothing, nothing, nothing, nothing);
        int r = (int)blockIdx.y * 1024 + group, last = min(reduced, (int)blockIdx.y * 1024 + 1024);
        if (column < inner)
        {
            const float* from = x + o * reduced * inner + column;
            for (; r < last - 7 * 32; r += 8 * 32)
            {
                float4 v[8];
                UNROLL
                for (int k = 0; k < 8; k++) v[k] = load_columns(from + (r + 32 * k) * inner, aligned);
                UNROLL
                for (int k = 0; k < 8; k++) result = combine(result, v[k], kind);
            }
            for (; r < last; r += 32) result = combine(result, load_columns(from + r * inner, aligned), kind);
        }
        results[threadIdx.x] = result;
        for (int half = 16; half > 0; half /= 2)
        {
            syncthreads();
            if (group < half) results[threadIdx.x] = result = combine(result, results[threadIdx.x + 8 * half], kind);
        }
        if (group == 0 && column < inner)
        {
            float* to = y + (o * gridDim.y + blockIdx.y) * inner + column;
            to[0] = result.x;
            to[1] = result.y;
            to[2] = result.z;
            to[3] = result.w;
        }
        syncthreads();
    }
}
