#include "common.cuh"

// y [elements, depth]: 1 where the column is the row's index, else 0. A thread an element of y.
KERNEL(one_hot, (const int* x, float* y, long long elements, int depth))
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= elements * depth) return;
    long long row = i / depth;
    y[i] = x[row] == (int)(i - row * depth) ? 1.0f : 0.0f;
}
