// Sorting of 64-bit keys that differ (their lower half is the position, so that equal values keep their order), by bitonic networks:
// in shared memory where the keys fit, else in global memory with the steps over short distances in shared memory.
#pragma once
#include "common.cuh"

typedef unsigned long long SortKey;

constexpr int sort_piece = 4096; // keys in shared memory

// A number in the order wanted: -0 and +0 are equal, NaN is the last.
DEVICE unsigned sort_order(float value, int descending)
{
    if (value != value) return 0xFFFFFFFFu;
    unsigned bits = (unsigned)as_int(value == 0.0f ? 0.0f : value);
    unsigned ascending = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return descending ? ~ascending : ascending;
}

DEVICE SortKey sort_key(unsigned order, unsigned position) { return (SortKey)order << 32 | position; }

DEVICE void sort_exchange(SortKey& low, SortKey& high, bool ascending)
{
    SortKey a = low, b = high;
    if ((b < a) == ascending)
    {
        low = b;
        high = a;
    }
}

// One step: exchanges keys that are `distance` apart. Runs of `run` keys ascend and descend in turn, counted from `first`, the number
// of the first of the n keys.
DEVICE void sort_step(SortKey* keys, int n, long long first, long long run, int distance)
{
    for (int i = thread_rank(); i < n / 2; i += block_threads())
    {
        int low = 2 * i - (i & (distance - 1));
        sort_exchange(keys[low], keys[low + distance], ((first + low) & run) == 0);
    }
    syncthreads();
}

// Sorts n keys in shared memory, a power of two; after a syncthreads, and with one at the end.
DEVICE void sort_shared(SortKey* keys, int n, long long first)
{
    for (int run = 2; run <= n; run *= 2)
        for (int distance = run / 2; distance > 0; distance /= 2) sort_step(keys, n, first, run, distance);
}
