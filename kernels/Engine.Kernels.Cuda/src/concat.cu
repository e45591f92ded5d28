#include "common.cuh"

// Up to eight inputs one after another along an axis. Input k is [outer, own width]; together they are the columns [at, at + end7) of
// y [outer, row], input k's being those before end_k. A thread an element.

template <typename T> DEVICE void concat(const T* const (&x)[8], const long long (&ends)[8], T* y, long long outer, long long at, long long row)
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, width = ends[7];
    if (i >= outer * width) return;
    long long o = i / width, column = i - o * width, first = 0, last = ends[0];
    const T* from = x[0];
    UNROLL
    for (int k = 1; k < 8; k++)
        if (column >= ends[k - 1])
        {
            from = x[k];
            first = ends[k - 1];
            last = ends[k];
        }
    y[o * row + at + column] = from[o * (last - first) + column - first];
}

#define CONCAT(bytes, type)                                                                                                      \
    KERNEL(concat_##bytes, (const type* x0, const type* x1, const type* x2, const type* x3, const type* x4, const type* x5,      \
                            const type* x6, const type* x7, long long end0, long long end1, long long end2, long long end3,      \
                            long long end4, long long end5, long long end6, long long end7, type* y, long long outer,            \
                            long long at, long long row))                                                                        \
    {                                                                                                                            \
        concat<type>({x0, x1, x2, x3, x4, x5, x6, x7}, {end0, end1, end2, end3, end4, end5, end6, end7}, y, outer, at, row);     \
    }
CONCAT(1, unsigned char)
CONCAT(2, unsigned short)
CONCAT(4, int)
#undef CONCAT
