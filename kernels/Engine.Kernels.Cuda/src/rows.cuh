// Rows of floats in registers, and their reductions in an order that depends on the length of the row alone. Every kernel that sums
// rows uses it, so a fused kernel and the ops it stands for agree to the bit.
//
// A row is read by a team: 1 thread for at most 16 elements, 32 for at most 1024, 256 for at most 8192. Element i belongs to thread
// i / 4 % team and there to part i % 4. A thread adds the elements of each part in their order, then the parts as (0 + 1) + (2 + 3);
// the threads' sums are added as warp_sum and block_sum do. Longer rows are cut into pieces of 8192, and the sums of the pieces are
// a row again.
#pragma once
#include "common.cuh"

constexpr int row_piece = 8192;

// What a sum (kind 0), the largest (1) and the smallest (2) of nothing is.
DEVICE float reduce_neutral(int kind) { return kind == 0 ? 0.0f : as_float(kind == 1 ? (int)0xFF800000 : 0x7F800000); }

DEVICE bool aligned_to_16(const void* p) { return ((unsigned long long)p & 15) == 0; }

// What of a row one thread of a team of Team holds: Steps groups of four elements.
template <int Team> struct Row
{
    static constexpr int Steps = Team == 1 ? 4 : 8;
    float v[Steps][4];
};

// The thread's number in its team. A team of 32 is a warp, a team of 256 a block.
template <int Team> DEVICE int team_rank() { return Team == 1 ? 0 : Team == 32 ? lane_index() : thread_rank(); }

// The row that a thread of the block works on: with teams of 1 and 32 a block has several. It may be past the last one.
template <int Team> DEVICE long long team_row()
{
    long long teams = Team == 256 ? 1 : Team == 32 ? block_threads() / 32 : block_threads();
    return blockIdx.x * teams + (Team == 256 ? 0 : Team == 32 ? warp_index() : thread_rank());
}

// In all of these, the steps that a short row does not have are jumped over: the condition is the same for the whole team.

// Elements at, at + 1, at + 2 and at + 3 of a row; `outside` where there is none. vectors: the row can be read four at a time.
DEVICE float4 load_four(const float* x, int at, int width, bool vectors, float outside)
{
    if (vectors && at < width) return *(const float4*)(x + at);
    return make_float4(at < width ? x[at] : outside, at + 1 < width ? x[at + 1] : outside, at + 2 < width ? x[at + 2] : outside, at + 3 < width ? x[at + 3] : outside);
}

DEVICE bool row_has_vectors(const float* x, int width) { return (width & 3) == 0 && aligned_to_16(x); }

// Reads a row. Elements that are not there become `outside`.
template <int Team> DEVICE void load_row(Row<Team>& row, const float* x, int width, float outside)
{
    int rank = team_rank<Team>();
    bool vectors = row_has_vectors(x, width);
    UNROLL
    for (int k = 0; k < Row<Team>::Steps; k++)
    {
        float4 four = make_float4(outside, outside, outside, outside);
        if (4 * k * Team < width) four = load_four(x, 4 * (k * Team + rank), width, vectors, outside);
        row.v[k][0] = four.x;
        row.v[k][1] = four.y;
        row.v[k][2] = four.z;
        row.v[k][3] = four.w;
    }
}

// Writes a row.
template <int Team> DEVICE void store_row(const Row<Team>& row, float* y, int width)
{
    int rank = team_rank<Team>();
    bool vectors = row_has_vectors(y, width);
    UNROLL
    for (int k = 0; k < Row<Team>::Steps; k++)
    {
        int at = 4 * (k * Team + rank);
        if (4 * k * Team >= width) break;
        if (vectors && at < width) *(float4*)(y + at) = make_float4(row.v[k][0], row.v[k][1], row.v[k][2], row.v[k][3]);
        else
        {
            UNROLL
            for (int c = 0; c < 4; c++)
                if (at + c < width) y[at + c] = row.v[k][c];
        }
    }
}

// row[i] = f(i, row[i]) where there is an element.
template <int Team, typename F> DEVICE void map_row(Row<Team>& row, int width, F f)
{
    int rank = team_rank<Team>();
    UNROLL
    for (int k = 0; k < Row<Team>::Steps; k++)
    {
        if (4 * k * Team >= width) break;
        UNROLL
        for (int c = 0; c < 4; c++)
        {
            int at = 4 * (k * Team + rank) + c;
            if (at < width) row.v[k][c] = f(at, row.v[k][c]);
        }
    }
}

// row[i] = f(row[i], a[i], b[i]).
template <int Team, typename F> DEVICE void map_row(Row<Team>& row, int width, const float* a, const float* b, F f)
{
    int rank = team_rank<Team>();
    bool vectors = row_has_vectors(a, width) && row_has_vectors(b, width);
    UNROLL
    for (int k = 0; k < Row<Team>::Steps; k++)
    {
        int at = 4 * (k * Team + rank);
        if (4 * k * Team >= width) break;
        float4 a4 = load_four(a, at, width, vectors, 0.0f), b4 = load_four(b, at, width, vectors, 0.0f);
        row.v[k][0] = f(row.v[k][0], a4.x, b4.x);
        row.v[k][1] = f(row.v[k][1], a4.y, b4.y);
        row.v[k][2] = f(row.v[k][2], a4.z, b4.z);
        row.v[k][3] = f(row.v[k][3], a4.w, b4.w);
    }
}

template <int Team> DEVICE float team_sum(float value) { return Team == 1 ? value : Team == 32 ? warp_sum(value) : block_sum(value); }

// The sum of f(i, row[i]).
template <int Team, typename F> DEVICE float sum_row(const Row<Team>& row, int width, F f)
{
    int rank = team_rank<Team>();
    float parts[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    UNROLL
    for (int k = 0; k < Row<Team>::Steps; k++)
    {
        if (4 * k * Team >= width) break;
        UNROLL
        for (int c = 0; c < 4; c++)
        {
            int at = 4 * (k * Team + rank) + c;
            if (at < width) parts[c] = parts[c] + f(at, row.v[k][c]);
        }
    }
    return team_sum<Team>((parts[0] + parts[1]) + (parts[2] + parts[3]));
}

template <int Team> DEVICE float sum_row(const Row<Team>& row, int width)
{
    return sum_row<Team>(row, width, [](int, float x) { return x; });
}

// The largest; of a row that was read with -inf outside.
template <int Team> DEVICE float max_row(const Row<Team>& row)
{
    float result = row.v[0][0];
    UNROLL
    for (int k = 0; k < Row<Team>::Steps; k++)
    {
        UNROLL
        for (int c = 0; c < 4; c++) result = maximum(result, row.v[k][c]);
    }
    return Team == 1 ? result : Team == 32 ? warp_max(result) : block_max(result);
}

// The smallest; of a row that was read with +inf outside.
template <int Team> DEVICE float min_row(const Row<Team>& row)
{
    float result = row.v[0][0];
    UNROLL
    for (int k = 0; k < Row<Team>::Steps; k++)
    {
        UNROLL
        for (int c = 0; c < 4; c++) result = minimum(result, row.v[k][c]);
    }
    return Team == 1 ? result : Team == 32 ? warp_min(result) : block_min(result);
}

// ---- Rows longer than a piece, by a block of 256 threads, at most 1024 pieces

// The sum of f(i); all threads get it. f is evaluated once for every element.
template <typename F> DEVICE float sum_long_row(int width, F f)
{
    SHARED(float, sums, [1024]);
    int pieces = (width + row_piece - 1) / row_piece;
    for (int piece = 0; piece < pieces; piece++)
    {
        float parts[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        int end = min(width, (piece + 1) * row_piece);
        for (int at = piece * row_piece + 4 * thread_rank(); at < end; at += 1024)
        {
            UNROLL
            for (int c = 0; c < 4; c++)
                if (at + c < end) parts[c] = parts[c] + f(at + c);
        }
        float sum = block_sum((parts[0] + parts[1]) + (parts[2] + parts[3]));
        if (thread_rank() == 0) sums[piece] = sum;
    }
    syncthreads();
    // Every thread or every warp does the same.
    if (pieces <= 16)
    {
        Row<1> row;
        load_row(row, sums, pieces, 0.0f);
        float sum = sum_row(row, pieces);
        syncthreads();
        return sum;
    }
    Row<32> row;
    load_row(row, sums, pieces, 0.0f);
    float sum = sum_row(row, pieces);
    syncthreads();
    return sum;
}

DEVICE float max_long_row(const float* x, int width)
{
    float result = as_float((int)0xFF800000);
    for (int i = thread_rank(); i < width; i += 256) result = maximum(result, x[i]);
    return block_max(result);
}
