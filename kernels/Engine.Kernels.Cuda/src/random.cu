#include "sort.cuh"

// Named draws. The generator's state is (seed low, seed high, step); `name` is the mixed hash of the draw's name; index is the loop's
// step or null. Element e is word e % 4 of block (e / 4, index, step, 0). A thread a block of four words.

// SplitMix64's finaliser, as in Philox.cs.
DEVICE unsigned long long mix(unsigned long long z)
{
    z += 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

DEVICE void draw(unsigned (&words)[4], long long block, const int* state, const int* index, long long name)
{
    unsigned long long key = mix(((unsigned long long)(unsigned)state[0] | (unsigned long long)(unsigned)state[1] << 32) ^ (unsigned long long)name);
    words[0] = (unsigned)block;
    words[1] = index ? (unsigned)*index : 0u;
    words[2] = (unsigned)state[2];
    words[3] = 0u;
    philox(words, (unsigned)key, (unsigned)(key >> 32));
}

KERNEL(random_uniform, (const int* state, const int* index, float* y, long long elements, long long name, int indexed))
{
    long long block = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (4 * block >= elements) return;
    unsigned words[4];
    draw(words, block, state, indexed ? index : nullptr, name);
    UNROLL
    for (int i = 0; i < 4; i++)
        if (4 * block + i < elements) y[4 * block + i] = philox_unit(words[i]);
}

KERNEL(random_normal, (const int* state, const int* index, float* y, long long elements, long long name, int indexed))
{
    long long block = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (4 * block >= elements) return;
    unsigned words[4];
    draw(words, block, state, indexed ? index : nullptr, name);
    float normals[4];
    philox_normal_pair(words[0], words[1], normals[0], normals[1]);
    philox_normal_pair(words[2], words[3], normals[2], normals[3]);
    UNROLL
    for (int i = 0; i < 4; i++)
        if (4 * block + i < elements) y[4 * block + i] = normals[i];
}

KERNEL(random_integer, (const int* state, const int* bound, const int* index, int* y, long long elements, long long name, int indexed))
{
    long long block = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (4 * block >= elements) return;
    unsigned words[4];
    draw(words, block, state, indexed ? index : nullptr, name);
    UNROLL
    for (int i = 0; i < 4; i++)
        if (4 * block + i < elements) y[4 * block + i] = philox_integer(words[i], *bound);
}

// A permutation of 0..n-1, n at most 4096: the positions sorted by their words. One block; shared memory of `padded` keys.
KERNEL(random_permutation, (const int* state, const int* index, int* y, int n, int padded, long long name, int indexed))
{
    DYNAMIC_SHARED(SortKey, keys);
    for (int block = threadIdx.x; 4 * block < padded; block += blockDim.x)
    {
        unsigned words[4];
        draw(words, block, state, indexed ? index : nullptr, name);
        UNROLL
        for (int i = 0; i < 4; i++) keys[4 * block + i] = 4 * block + i < n ? sort_key(words[i], 4 * block + i) : ~0ull;
    }
    syncthreads();
    sort_shared(keys, padded, 0);
    for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = (int)(unsigned)keys[i];
}

// The same of more: the keys, which sort.cu sorts, and then their positions.
KERNEL(random_permutation_keys, (const int* state, const int* index, SortKey* keys, int n, int padded, long long name, int indexed))
{
    long long block = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (4 * block >= padded) return;
    unsigned words[4];
    draw(words, block, state, indexed ? index : nullptr, name);
    UNROLL
    for (int i = 0; i < 4; i++) keys[4 * block + i] = 4 * block + i < n ? sort_key(words[i], (unsigned)(4 * block + i)) : ~0ull;
}

KERNEL(random_permutation_take, (const SortKey* keys, int* y, int n))
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = (int)(unsigned)keys[i];
}
