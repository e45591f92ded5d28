#include "sort.cuh"

// y [rows, width] = a table with row i of the updates [count, width] in the place of row indices[i]; of several for one row the last stays. An
// update whose row is not there is left out. Only the last one of a row is written, so nothing depends on the order of threads. An element is a word, or
// a byte where rows are no whole words.

// A thread an element; not launched where y is the table.
KERNEL(set_rows_copy_1, (const unsigned char* table, unsigned char* y, long long elements))
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < elements) y[i] = table[i];
}

KERNEL(set_rows_copy_4, (const int* table, int* y, long long elements))
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < elements) y[i] = table[i];
}

// A block of 128 threads an index, and 128 columns: it looks whether the same row comes again.
template <typename T> DEVICE void set_rows_scan(const int* indices, const T* updates, T* y, int count, int rows, long long width, unsigned* found)
{
    int at = blockIdx.x, row = indices[at];
    if (row < 0 || row >= rows) return;
    for (int from = at + 1; from < count; from += 128)
    {
        int i = from + (int)threadIdx.x;
        unsigned same = ballot(i < count && indices[i] == row);
        if (lane_index() == 0) found[warp_index()] = same;
        syncthreads();
        bool later = (found[0] | found[1] | found[2] | found[3]) != 0;
        syncthreads();
        if (later) return;
    }
    long long column = (long long)blockIdx.y * 128 + threadIdx.x;
    if (column < width) y[row * width + column] = updates[at * width + column];
}

KERNEL(set_rows_scan_1, (const int* indices, const unsigned char* updates, unsigned char* y, int count, int rows, long long width))
{
    SHARED(unsigned, found, [4]);
    set_rows_scan(indices, updates, y, count, rows, width, found);
}

KERNEL(set_rows_scan_4, (const int* indices, const int* updates, int* y, int count, int rows, long long width))
{
    SHARED(unsigned, found, [4]);
    set_rows_scan(indices, updates, y, count, rows, width, found);
}

// Many indices, sorted by row (scatter_keys in scatter_add.cu, sort.cu): a thread an element of the updates; the last of a run of equal rows writes.
template <typename T> DEVICE void set_rows_last(const SortKey* keys, const T* updates, T* y, int count, long long width)
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, at = i / width, column = i - at * width;
    if (at >= count) return;
    SortKey key = keys[at];
    unsigned row = (unsigned)(key >> 32);
    if (key == ~0ull || (at + 1 < count && (unsigned)(keys[at + 1] >> 32) == row)) return;
    y[row * width + column] = updates[(long long)(unsigned)key * width + column];
}

KERNEL(set_rows_last_1, (const SortKey* keys, const unsigned char* updates, unsigned char* y, int count, long long width)) { set_rows_last(keys, updates, y, count, width); }
KERNEL(set_rows_last_4, (const SortKey* keys, const int* updates, int* y, int count, long long width)) { set_rows_last(keys, updates, y, count, width); }
