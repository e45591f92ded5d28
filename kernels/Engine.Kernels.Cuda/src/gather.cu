#include "common.cuh"

// y [count, width] = rows of the table [rows, width]; a row of `fill` for an index that is not in 0..rows-1.

// A thread an element.
template <typename T> DEVICE void gather(const T* table, const int* indices, T* y, long long count, int rows, long long width, int fill)
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count * width) return;
    long long row = i / width;
    int index = indices[row];
    y[i] = index >= 0 && index < rows ? table[index * width + (i - row * width)] : (T)fill;
}

KERNEL(gather_1, (const unsigned char* table, const int* indices, unsigned char* y, long long count, int rows, long long width, int fill)) { gather(table, indices, y, count, rows, width, fill); }
KERNEL(gather_2, (const unsigned short* table, const int* indices, unsigned short* y, long long count, int rows, long long width, int fill)) { gather(table, indices, y, count, rows, width, fill); }
KERNEL(gather_4, (const int* table, const int* indices, int* y, long long count, int rows, long long width, int fill)) { gather(table, indices, y, count, rows, width, fill); }

// Rows of a multiple of four elements of 4 bytes, a thread four of them: x of the grid counts pieces of a row, y and z with y of the
// block count rows.
KERNEL(gather_vectors, (const int* table, const int* indices, int* y, long long count, int rows, int width, int fill))
{
    long long row = ((long long)blockIdx.z * gridDim.y + blockIdx.y) * blockDim.y + threadIdx.y;
    int column = 4 * (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (row >= count || column >= width) return;
    int index = indices[row];
    bool known = index >= 0 && index < rows;
    const int* from = table + (known ? (long long)index * width : 0) + column;
    int* to = y + row * width + column;
    int4 v = make_int4(fill, fill, fill, fill);
    if ((((unsigned long long)table | (unsigned long long)y) & 15) == 0)
    {
        if (known) v = *(const int4*)from;
        *(int4*)to = v;
    }
    else
    {
        if (known) v = make_int4(from[0], from[1], from[2], from[3]);
        to[0] = v.x;
        to[1] = v.y;
        to[2] = v.z;
        to[3] = v.w;
    }
}
