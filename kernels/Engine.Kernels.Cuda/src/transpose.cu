#include "common.cuh"

// x [batch, m, n] -> y [batch, n, m], of elements of 4 bytes, through tiles in shared memory, so that both are read and written in
// order. A block of 32 x 8 threads a tile: x counts tiles of n, y tiles of m, z the batch.
KERNEL(transpose, (const int* x, int* y, int m, int n, long long batch))
{
    SHARED(int, tile, [32][33]);
    int column = blockIdx.x * 32 + threadIdx.x, row = blockIdx.y * 32 + threadIdx.y;
    int to_column = blockIdx.y * 32 + threadIdx.x, to_row = blockIdx.x * 32 + threadIdx.y;
    for (long long b = blockIdx.z; b < batch; b += gridDim.z)
    {
        const int* from = x + b * m * n;
        int* to = y + b * m * n;
        UNROLL
        for (int k = 0; k < 32; k += 8)
            if (column < n && row + k < m) tile[threadIdx.y + k][threadIdx.x] = from[(long long)(row + k) * n + column];
        syncthreads();
        UNROLL
        for (int k = 0; k < 32; k += 8)
            if (to_column < m && to_row + k < n) to[(long long)(to_row + k) * m + to_column] = tile[threadIdx.x][threadIdx.y + k];
        syncthreads();
    }
}
