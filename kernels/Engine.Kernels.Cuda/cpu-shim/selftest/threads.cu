// Kernels for the self-test: indexes, barriers, warps, atomics, shared memory, and mistakes that must be caught.
#include "common.cuh"

KERNEL(t_index, (int* y, int width))
{
    int x = (int)(blockIdx.x * blockDim.x + threadIdx.x), row = (int)(blockIdx.y * blockDim.y + threadIdx.y), layer = (int)(blockIdx.z * blockDim.z + threadIdx.z);
    int rows = (int)(gridDim.y * blockDim.y);
    if (x < width) y[(layer * rows + row) * width + x] = x + 1000 * row + 100000 * layer;
}

KERNEL(t_parameters, (long long* y, int a, long long b, float c, const int* d))
{
    y[0] = a;
    y[1] = b;
    y[2] = as_int(c);
    y[3] = d[1];
}

KERNEL(t_reverse, (const float* x, float* y))
{
    SHARED(float, tile, [256]);
    int i = thread_rank();
    tile[i] = x[blockIdx.x * 256 + i];
    syncthreads();
    y[blockIdx.x * 256 + i] = tile[255 - i];
}

// Without the barrier it is wrong in whatever order the threads run.
KERNEL(t_reverse_unsynchronised, (const float* x, float* y))
{
    SHARED(float, tile, [256]);
    int i = thread_rank();
    tile[i] = x[blockIdx.x * 256 + i];
    y[blockIdx.x * 256 + i] = tile[255 - i];
}

KERNEL(t_dynamic, (const float* x, float* y, int n))
{
    DYNAMIC_SHARED(float, tile);
    SHARED(int, two, [2]);
    SHARED(double, one, );
    for (int i = thread_rank(); i < n; i += block_threads()) tile[i] = x[i];
    if (thread_rank() == 0) two[0] = 3, two[1] = 4, one = 0.5;
    syncthreads();
    for (int i = thread_rank(); i < n; i += block_threads()) y[i] = tile[n - 1 - i] * (float)(two[0] * two[1]) + (float)one;
}

KERNEL(t_poison, (float* y))
{
    SHARED(float, tile, [32]);
    DYNAMIC_SHARED(float, more);
    y[thread_rank()] = tile[thread_rank()];
    y[32 + thread_rank()] = more[thread_rank()];
    tile[thread_rank()] = more[thread_rank()] = 1.0f; // the next block finds it undefined all the same
}

KERNEL(t_shuffles, (int* y))
{
    int lane = lane_index();
    int* own = y + thread_rank() * 8;
    own[0] = shuffle_xor(100 + lane, 5);
    own[1] = shuffle_down(100 + lane, 3);
    own[2] = shuffle_up(100 + lane, 3);
    own[3] = shuffle_idx(100 + lane, (lane * 7) & 31);
    own[4] = (int)ballot(lane % 3 == 0);
    double wide = shuffle_xor(lane + 0.25, 16);
    own[5] = (int)(wide * 4.0);
    own[6] = (int)warp_sum((float)lane);
    syncwarp();
    own[7] = warp_max(lane ^ 21);
}

KERNEL(t_block_reduce, (const float* x, float* y, int n))
{
    float sum = 0.0f, most = -1e30f;
    for (int i = thread_rank(); i < n; i += block_threads()) sum = sum + x[i], most = maximum(most, x[i]);
    sum = block_sum(sum);
    most = block_max(most);
    float least = block_min(most - sum);
    if (thread_rank() == 0) y[0] = sum, y[1] = most, y[2] = least;
}

KERNEL(t_atomics, (int* y, const int* x, int n))
{
    int i = (int)blockIdx.x * block_threads() + thread_rank();
    if (i >= n) return;
    atomic_add(y, x[i]);
    atomic_max(y + 1, x[i]);
    atomic_min(y + 2, x[i]);
    atomic_or(y + 3, 1 << (x[i] & 31));
    if (atomic_cas(y + 4, 0, 1) == 0) atomic_add(y + 5, 1);
    atomic_exchange(y + 6, 77);
}

// The last block adds up what the others left.
KERNEL(t_last_block, (int* counter, int* partial, int* y))
{
    SHARED(int, last, );
    if (thread_rank() == 0)
    {
        partial[blockIdx.x] = (int)blockIdx.x + 1;
        thread_fence();
        last = atomic_add(counter, 1) == (int)gridDim.x - 1;
    }
    syncthreads();
    if (!last || thread_rank() != 0) return;
    int sum = 0;
    for (unsigned b = 0; b < gridDim.x; b++) sum += partial[b];
    *y = sum;
}

KERNEL(t_divergent_exit, (float* y))
{
    if (thread_rank() == 7) return;
    syncthreads();
    y[thread_rank()] = 1.0f;
}

KERNEL(t_divergent_barriers, (float* y))
{
    if (thread_rank() < 32) syncthreads();
    else
    {
        syncthreads();
        y[0] = 1.0f;
    }
}

KERNEL(t_divergent_mix, (float* y))
{
    if (thread_rank() < 16) syncwarp();
    else syncthreads();
    y[0] = 1.0f;
}

KERNEL(t_divergent_shuffle, (float* y))
{
    if (lane_index() < 31) y[thread_rank()] = shuffle_xor(1.0f, 1);
}

KERNEL_BOUNDED(t_bounded, 64, 2, (float* y))
{
    y[thread_rank()] = 1.0f;
}

KERNEL(t_out_of_bounds, (float* y, int n, int offset))
{
    int i = (int)blockIdx.x * block_threads() + thread_rank();
    if (i < n) y[i + offset] = 1.0f;
}

KERNEL(t_shared_overrun, (float* y, int n))
{
    SHARED(float, tile, [32]);
    SHARED(float, other, [32]);
    volatile float* p = tile;
    p[n] = 2.0f;
    other[0] = 1.0f;
    y[0] = other[0];
}

// Reads do not damage guard words.
KERNEL(t_shared_overread, (float* y, int n))
{
    SHARED(float, tile, [32]);
    for (int i = 0; i < 32; i++) tile[i] = 1.0f;
    volatile float* p = tile;
    y[0] = p[n];
}

KERNEL(t_dynamic_overrun, (float* y, int n))
{
    DYNAMIC_SHARED(float, tile);
    volatile float* p = tile;
    p[n] = 2.0f;
    y[0] = 1.0f;
}

KERNEL(t_static_too_large, (float* y))
{
    SHARED(float, a, [8192]);
    SHARED(float, b, [8192]);
    a[0] = b[0] = 1.0f;
    y[0] = a[0] + b[0];
}

KERNEL(t_static_and_dynamic, (float* y))
{
    SHARED(float, a, [4]);
    DYNAMIC_SHARED(float, b);
    a[0] = b[0] = 1.0f;
    y[0] = a[0] + b[0];
}

KERNEL(t_divide, (int* y, int a, int b)) { *y = a / b; }

KERNEL(t_deep, (int* y, int n))
{
    volatile int room[1024];
    for (int i = 0; i < 1024; i++) room[i] = i + n;
    syncthreads();
    y[thread_rank()] = room[n & 1023];
}
