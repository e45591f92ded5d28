// The body of a product in which every row has a matrix of its own, by tiles of method F, for which rows of one member are gathered.
#pragma once
#include "gemm.cuh"

DEVICE int count_bits(unsigned x)
{
    x = x - (x >> 1 & 0x55555555u);
    x = (x & 0x33333333u) + (x >> 2 & 0x33333333u);
    return (int)(((x + (x >> 4)) & 0x0F0F0F0Fu) * 0x01010101u >> 24);
}

// The rows of tile `tile`, into index [Rows + 1]; returns how many there are. Without a list tile / stretches is a member and tile % stretches a stretch of Rows
// of its rows, found by looking through all members; a list has for every tile its member, where it begins in `order`, and how many rows it has.
template <int Rows> DEVICE int member_rows(int* index, const int* member, int m, int tile, const int* tiles, const int* order, int& e)
{
    if (tiles)
    {
        e = tiles[3 * tile];
        int begin = tiles[3 * tile + 1], count = tiles[3 * tile + 2];
        for (int i = thread_rank(); i < count; i += block_threads()) index[i] = order[begin + i];
        syncthreads();
        return count;
    }
    int stretches = (m + Rows - 1) / Rows, first;
    e = tile / stretches;
    first = (tile - e * stretches) * Rows;
    if (warp_index() == 0)
    {
        int found = 0, lane = lane_index();
        UNROLL_BY(8)
        for (int begin = 0; begin < m; begin += 32)
        {
            int i = begin + lane;
            bool is = i < m && member[i] == e;
            unsigned votes = ballot(is);
            int place = found + count_bits(votes & ((1u << lane) - 1u)) - first;
            if (is && place >= 0 && place < Rows) index[place] = i;
            found += count_bits(votes);
        }
        if (lane == 0) index[Rows] = max(0, min(Rows, found - first));
    }
    syncthreads();
    return index[Rows];
}

#define MEMBER_PARAMETERS                                                                                                          \
    (const float* a, const float* b, const int* member, const float* mask, float* c, int m, int n, int k, const int* tiles, const int* order)

#define MEMBER_ARGUMENTS (a, b, member, mask, c, m, n, k, tiles, order)

// Where rows go: c [m, n], and the mask [members, m, n] of member e.
DEVICE GemmOutput member_output(const float* mask, float* c, int e, int m, int n, int rows)
{
    GemmOutput out;
    out.bias = out.residual = nullptr;
    out.mask = mask ? mask + (long long)e * m * n : mask;
    out.c = c;
    out.m = rows;
    out.n = n;
    out.relu = false;
    out.vector = n % 4 == 0 && aligned16(c) && aligned16(out.mask);
    return out;
}

// Grid: tiles of rows; tiles of columns.
template <typename F, bool TransposeB> DEVICE void member_matmul MEMBER_PARAMETERS
{
    DYNAMIC_SHARED(float, shared);
    int* index = reinterpret_cast<int*>(shared + F::Floats); // with what lies before it, so that all of it is asked for at the launch
    int e, rows = member_rows<F::BM>(index, member, m, (int)blockIdx.x, tiles, order, e);
    if (rows == 0) return;
    int column = (int)blockIdx.y * F::BN;
    typename F::Sums sums;
    typename F::Place place = gemm_place(typename F::Method());
    gemm_sum<F>(sums, place, shared, gemm_operand(a, rows, k, index), gemm_operand(b + (long long)e * k * n, n, TransposeB ? k : n), 0, column, 0, k);
    gemm_write(typename F::Method(), sums, place, shared, member_output(mask, c, e, m, n, rows), 0, column, index);
}
