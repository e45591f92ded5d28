#include "common.cuh"

// y[i0, i1, ...] = x[start + i0 t0 + i1 t1 + ...]: other orders of axes, broadcasts, parts. A thread an element of y, whose axes have
// the sizes s (slowest first; the size of the first does not matter). Elements of 1, 2 and 4 bytes, 4 axes or 8.

template <typename T, int Axes> DEVICE void move(const T* x, T* y, long long elements, long long start, const int (&sizes)[Axes], const long long (&strides)[Axes])
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= elements) return;
    long long rest = i, from = start;
    UNROLL
    for (int axis = Axes - 1; axis > 0; axis--)
    {
        long long next = rest / sizes[axis];
        from += (rest - next * sizes[axis]) * strides[axis];
        rest = next;
    }
    y[i] = x[from + rest * strides[0]];
}

#define MOVE(bytes, type)                                                                                                        \
    KERNEL(move_##bytes, (const type* x, type* y, long long elements, long long start, int s1, int s2, int s3,                   \
                          long long t0, long long t1, long long t2, long long t3))                                               \
    {                                                                                                                            \
        move<type, 4>(x, y, elements, start, {1, s1, s2, s3}, {t0, t1, t2, t3});                                                 \
    }                                                                                                                            \
    KERNEL(move_axes_##bytes, (const type* x, type* y, long long elements, long long start, int s1, int s2, int s3, int s4,      \
                               int s5, int s6, int s7, long long t0, long long t1, long long t2, long long t3, long long t4,     \
                               long long t5, long long t6, long long t7))                                                        \
    {                                                                                                                            \
        move<type, 8>(x, y, elements, start, {1, s1, s2, s3, s4, s5, s6, s7}, {t0, t1, t2, t3, t4, t5, t6, t7});                 \
    }
MOVE(1, unsigned char)
MOVE(2, unsigned short)
MOVE(4, int)
#undef MOVE
