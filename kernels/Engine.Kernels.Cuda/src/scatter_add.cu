#include "sort.cuh"

// y [rows, width] = zeros, to which row i of the updates [count, width] is added at row indices[i], in the order of i. An update whose
// row is not there is left out. Every launch but the first adds to a row in one place, so no sum depends on the order of threads.

DEVICE int count_bits(unsigned x)
{
    x -= x >> 1 & 0x55555555u;
    x = (x & 0x33333333u) + (x >> 2 & 0x33333333u);
    return (int)(((x + (x >> 4)) & 0x0F0F0F0Fu) * 0x01010101u >> 24);
}

KERNEL(scatter_zero, (float* y, long long elements))
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < elements) y[i] = 0.0f;
}

// A block of 128 threads an index, and 128 columns. The block of the first index of a row adds up the whole row: it looks for the
// others after it.
KERNEL(scatter_scan, (const int* indices, const float* updates, float* y, int count, int rows, long long width))
{
    SHARED(int, matches, [128]);
    SHARED(unsigned, found, [4]);
    int first = blockIdx.x, row = indices[first];
    long long column = (long long)blockIdx.y * 128 + threadIdx.x;
    if (row < 0 || row >= rows) return;
    for (int from = 0; from < first; from += 128)
    {
        int i = from + (int)threadIdx.x;
        unsigned same = ballot(i < first && indices[i] == row);
        if (lane_index() == 0) found[warp_index()] = same;
        syncthreads();
        bool earlier = (found[0] | found[1] | found[2] | found[3]) != 0;
        syncthreads();
        if (earlier) return;
    }
    float sum = 0.0f;
    for (int from = first; from < count; from += 128)
    {
        int i = from + (int)threadIdx.x;
        bool mine = i < count && indices[i] == row;
        unsigned same = ballot(mine);
        if (lane_index() == 0) found[warp_index()] = same;
        syncthreads();
        int before = 0, total = 0;
        UNROLL
        for (int w = 0; w < 4; w++)
        {
            int bits = count_bits(found[w]);
            if (w < warp_index()) before += bits;
            total += bits;
        }
        if (mine) matches[before + count_bits(same & ((1u << lane_index()) - 1u))] = i;
        syncthreads();
        if (column < width)
            for (int k = 0; k < total; k++) sum = sum + updates[matches[k] * width + column];
        syncthreads();
    }
    if (column < width) y[row * width + column] = sum;
}

// ---- Many indices: sorted by row (sort.cu), then every run of equal rows is added up.

// Keys: the row above the position; what is not a row goes to the end. A thread a key.
KERNEL(scatter_keys, (const int* indices, SortKey* keys, int count, int rows, int padded))
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= padded) return;
    int row = i < count ? indices[i] : -1;
    keys[i] = row < 0 || row >= rows ? ~0ull : sort_key((unsigned)row, (unsigned)i);
}

// A thread an element of the updates: the first of a run adds it up.
KERNEL(scatter_runs, (const SortKey* keys, const float* updates, float* y, int count, long long width))
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, at = i / width, column = i - at * width;
    if (at >= count) return;
    SortKey key = keys[at];
    unsigned row = (unsigned)(key >> 32);
    if (key == ~0ull || (at > 0 && (unsigned)(keys[at - 1] >> 32) == row)) return;
    float sum = 0.0f;
    for (; at < count && (unsigned)(keys[at] >> 32) == row; at++) sum = sum + updates[(long long)(unsigned)keys[at] * width + column];
    y[row * width + column] = sum;
}
