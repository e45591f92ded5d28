#include "common.cuh"

// The position of the largest (sign 1) or smallest (-1) element along the middle axis of x [outer, size, inner]: the first of equals,
// the first NaN if there is one.

// Whether b at position j comes before a at position i.
DEVICE bool better(float a, int i, float b, int j, int sign)
{
    if (a != a) return b != b && j < i;
    if (b != b) return true;
    if (a == b) return j < i;
    return sign > 0 ? b > a : b < a;
}

// A thread an element of y.
KERNEL(arg_reduce_thread, (const float* x, int* y, long long outer, int size, long long inner, int sign))
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= outer * inner) return;
    const float* from = x + i / inner * (size - 1) * inner + i;
    float best = from[0];
    int position = 0;
    // Eight are read before the first is waited for; what is past the end is the last once more, which is never better.
    for (int first = 1; first < size; first += 8)
    {
        float v[8];
        UNROLL
        for (int k = 0; k < 8; k++) v[k] = from[min(first + k, size - 1) * inner];
        UNROLL
        for (int k = 0; k < 8; k++)
        {
            if (!better(best, position, v[k], first + k, sign)) continue;
            best = v[k];
            position = first + k;
        }
    }
    y[i] = position;
}

// A warp a row, for inner = 1.
KERNEL(arg_reduce_warp, (const float* x, int* y, long long rows, int size, int sign))
{
    long long row = (long long)blockIdx.x * (blockDim.x / 32) + warp_index();
    if (row >= rows) return;
    const float* from = x + row * size;
    int position = min(lane_index(), size - 1);
    float best = from[position];
    for (int k = lane_index() + 32; k < size; k += 32)
    {
        float value = from[k];
        if (!better(best, position, value, k, sign)) continue;
        best = value;
        position = k;
    }
    for (int mask = 16; mask > 0; mask >>= 1)
    {
        float value = shuffle_xor(best, mask);
        int k = shuffle_xor(position, mask);
        if (!better(best, position, value, k, sign)) continue;
        best = value;
        position = k;
    }
    if (lane_index() == 0) y[row] = position;
}
