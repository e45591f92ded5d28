#include "common.cuh"

// Writes x [elements] into row *index of y [rows, elements]; nothing if there is no such row. A thread an element.

template <typename T> DEVICE void store_row(const T* x, const int* index, T* y, long long elements, int rows)
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    int row = *index;
    if (i < elements && row >= 0 && row < rows) y[row * elements + i] = x[i];
}

KERNEL(store_row_1, (const unsigned char* x, const int* index, unsigned char* y, long long elements, int rows)) { store_row(x, index, y, elements, rows); }
KERNEL(store_row_2, (const unsigned short* x, const int* index, unsigned short* y, long long elements, int rows)) { store_row(x, index, y, elements, rows); }
KERNEL(store_row_4, (const int* x, const int* index, int* y, long long elements, int rows)) { store_row(x, index, y, elements, rows); }
