#include "sort.cuh"

// Rows of k floats of x sorted, with the positions they came from; ascending or descending, stable, NaN last.

DEVICE SortKey float_key(const float* x, int k, int i, int descending)
{
    return i < k ? sort_key(sort_order(x[i], descending), (unsigned)i) : ~0ull;
}

// A block a row of at most 4096: shared memory of `padded` keys, a power of two.
KERNEL(sort_rows, (const float* x, float* values, int* positions, int k, int padded, int descending))
{
    DYNAMIC_SHARED(SortKey, keys);
    long long from = (long long)blockIdx.x * k;
    for (int i = threadIdx.x; i < padded; i += blockDim.x) keys[i] = float_key(x + from, k, i, descending);
    syncthreads();
    sort_shared(keys, padded, 0);
    for (int i = threadIdx.x; i < k; i += blockDim.x)
    {
        int position = (int)(unsigned)keys[i];
        positions[from + i] = position;
        values[from + i] = x[from + position];
    }
}

// ---- Longer rows, in launches that follow one another. Keys are [rows, padded], padded a power of two of at least 4096.

// Keys of the rows. A thread a key.
KERNEL(sort_keys, (const float* x, SortKey* keys, long long rows, int k, int padded, int descending))
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, row = i / padded;
    if (row < rows) keys[i] = float_key(x + row * k, k, (int)(i - row * padded), descending);
}

// Sorts pieces of 4096, every other one descending unless a piece is a row. A block a piece.
KERNEL_BOUNDED(sort_pieces, 1024, 1, (SortKey* keys, long long padded))
{
    SHARED(SortKey, piece, [sort_piece]);
    long long first = (long long)blockIdx.x * sort_piece;
    for (int i = threadIdx.x; i < sort_piece; i += blockDim.x) piece[i] = keys[first + i];
    syncthreads();
    sort_shared(piece, sort_piece, padded == sort_piece ? 0 : first);
    for (int i = threadIdx.x; i < sort_piece; i += blockDim.x) keys[first + i] = piece[i];
}

// One step over a distance of at least 4096, in runs of `run`, the last of which is the row and ascends. A thread a pair.
KERNEL(sort_far, (SortKey* keys, long long pairs, long long padded, long long run, long long distance))
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= pairs) return;
    long long low = 2 * i - (i & (distance - 1));
    sort_exchange(keys[low], keys[low + distance], run == padded || (low & run) == 0);
}

// The steps over shorter distances. A block a piece.
KERNEL_BOUNDED(sort_near, 1024, 1, (SortKey* keys, long long padded, long long run))
{
    SHARED(SortKey, piece, [sort_piece]);
    long long first = (long long)blockIdx.x * sort_piece;
    for (int i = threadIdx.x; i < sort_piece; i += blockDim.x) piece[i] = keys[first + i];
    syncthreads();
    for (int distance = sort_piece / 2; distance > 0; distance /= 2) sort_step(piece, sort_piece, first, run == padded ? 0 : run, distance);
    for (int i = threadIdx.x; i < sort_piece; i += blockDim.x) keys[first + i] = piece[i];
}

// Values and positions of sorted keys. A thread an element.
KERNEL(sort_take, (const float* x, const SortKey* keys, float* values, int* positions, long long rows, int k, int padded))
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, row = i / k;
    if (row >= rows) return;
    int position = (int)(unsigned)keys[row * padded + (i - row * k)];
    positions[i] = position;
    values[i] = x[row * k + position];
}
