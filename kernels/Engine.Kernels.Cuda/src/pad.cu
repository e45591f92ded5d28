#include "common.cuh"

// x with a border of one value. Along each axis y has `size` elements, of which `inner` from `before` on are x's. A thread an element
// of y. The value is given by its bits. Elements of 1, 2 and 4 bytes, 4 axes or 8.

template <typename T, int Axes>
DEVICE void pad(const T* x, T* y, long long elements, int value, const long long (&size)[Axes], const long long (&before)[Axes], const long long (&inner)[Axes])
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= elements) return;
    long long rest = i, from = 0, stride = 1;
    bool inside = true;
    UNROLL
    for (int axis = Axes - 1; axis >= 0; axis--)
    {
        long long next = axis == 0 ? 0 : rest / size[axis], at = rest - next * size[axis] - before[axis];
        inside = inside && at >= 0 && at < inner[axis];
        from += at * stride;
        stride *= inner[axis];
        rest = next;
    }
    y[i] = inside ? x[from] : (T)value;
}

#define PAD(bytes, type)                                                                                                         \
    KERNEL(pad_##bytes, (const type* x, type* y, long long elements, int value, long long s0, long long s1, long long s2,        \
                         long long s3, long long b0, long long b1, long long b2, long long b3, long long n0, long long n1,       \
                         long long n2, long long n3))                                                                            \
    {                                                                                                                            \
        pad<type, 4>(x, y, elements, value, {s0, s1, s2, s3}, {b0, b1, b2, b3}, {n0, n1, n2, n3});                               \
    }                                                                                                                            \
    KERNEL(pad_axes_##bytes, (const type* x, type* y, long long elements, int value, long long s0, long long s1, long long s2,   \
                              long long s3, long long s4, long long s5, long long s6, long long s7, long long b0, long long b1,  \
                              long long b2, long long b3, long long b4, long long b5, long long b6, long long b7, long long n0,  \
                              long long n1, long long n2, long long n3, long long n4, long long n5, long long n6, long long n7)) \
    {                                                                                                                            \
        pad<type, 8>(x, y, elements, value, {s0, s1, s2, s3, s4, s5, s6, s7}, {b0, b1, b2, b3, b4, b5, b6, b7},                  \
                     {n0, n1, n2, n3, n4, n5, n6, n7});                                                                          \
    }
PAD(1, unsigned char)
PAD(2, unsigned short)
PAD(4, int)
#undef PAD
