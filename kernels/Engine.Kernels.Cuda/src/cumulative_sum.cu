#include "common.cuh"

// Running sums along the middle axis of x [outer, size, inner], in order: every sum is the one before and one element. A thread a row.
template <typename T> DEVICE void running_sum(const T* x, T* y, long long outer, int size, long long inner, int exclusive, int reverse)
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= outer * inner) return;
    long long at = i / inner * (size - 1) * inner + i, step = inner;
    if (reverse)
    {
        at += (size - 1) * inner;
        step = -inner;
    }
    T sum = 0;
    for (int k = 0; k < size; k++, at += step)
    {
        T next = sum + x[at];
        y[at] = exclusive ? sum : next;
        sum = next;
    }
}

KERNEL(cumulative_sum, (const float* x, float* y, long long outer, int size, long long inner, int exclusive, int reverse)) { running_sum<float>(x, y, outer, size, inner, exclusive, reverse); }

// Sums of ints wrap.
KERNEL(cumulative_sum_int, (const unsigned* x, unsigned* y, long long outer, int size, long long inner, int exclusive, int reverse)) { running_sum<unsigned>(x, y, outer, size, inner, exclusive, reverse); }
