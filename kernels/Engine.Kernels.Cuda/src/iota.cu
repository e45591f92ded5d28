#include "common.cuh"

// y[i] = the index along an axis: i / inner % size. A thread an element.

KERNEL(iota_int, (int* y, long long elements, long long inner, int size))
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < elements) y[i] = (int)(i / inner % size);
}

KERNEL(iota_float, (float* y, long long elements, long long inner, int size))
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < elements) y[i] = (float)(int)(i / inner % size);
}
