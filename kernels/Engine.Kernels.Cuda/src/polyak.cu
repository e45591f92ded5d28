#include "common.cuh"

// y = target * keep + online * rate. A thread an element. y may be the target.
KERNEL(polyak, (const float* target, const float* online, float* y, long long elements, float keep, float rate))
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < elements) y[i] = target[i] * keep + online[i] * rate;
}
