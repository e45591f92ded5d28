#include "common.cuh"

// For every value the first position in its row of `sorted` [rows, k] at which it could be inserted; right: the last. values [rows, v].
// A thread a value.
KERNEL(search_sorted, (const float* sorted, const float* values, int* y, long long elements, int k, int v, int right))
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= elements) return;
    const float* row = sorted + i / v * k;
    float value = values[i];
    int low = 0, high = k;
    while (low < high)
    {
        int middle = (int)(((unsigned)low + (unsigned)high) / 2);
        if (right ? row[middle] > value : row[middle] >= value) high = middle;
        else low = middle + 1;
    }
    y[i] = low;
}
