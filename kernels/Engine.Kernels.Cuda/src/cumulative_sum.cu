#include "common.cuh"

// Running sums along the middle axis of x [outer, size, inner], in order: every sum is the one before and one element. A thread a row.
KERNEL(cumulative_sum, (const float* x, float* y, long long outer, int size, long long inner, int exclusive, int reverse))
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= outer * inner) return;
    long long at = i / inner * (size - 1) * inner + i, step = inner;
    if (reverse)
    {
        at += (size - 1) * inner;
        step = -inner;
    }
    float sum = 0.0f;
    for (int k = 0; k < size; k++, at += step)
    {
        float next = sum + x[at];
        y[at] = exclusive ? sum : next;
        sum = next;
    }
}
