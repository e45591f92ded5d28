// A tile of a matrix product in float32: sums of fused multiply-adds, each thread TM x TN of them, in registers.
//
// A sum is one chain of multiply-adds over ascending terms, or, with four slices, four chains, of which chain s takes the terms of
// which term / 4 % 4 is s; they are added as (0 + 1) + (2 + 3). So the bits of a product depend on Slices (and on how the terms are cut
// among blocks), but not on the tile's size.
//
// Per four terms a thread reads TM + TN chunks of 16 bytes from shared memory for 4 TM TN multiply-adds: 16 of them a read at 8x8,
// what a multiprocessor with 128 lanes needs to be kept busy.
#pragma once
#include "gemm.cuh"

template <typename F> struct FfmaMethod {};

struct FfmaPlace
{
    int slice, row, column; // in threads
};

template <int BM_, int BN_, int TM_, int TN_, int Slices_, int Stages_, bool TransposeA, bool TransposeB, bool Async_, bool Whole, bool Gather = false> struct Ffma
{
    static constexpr int BM = BM_, BN = BN_, TM = TM_, TN = TN_, Slices = Slices_, Stages = Stages_;
    static constexpr bool Async = Async_;
    using Method = FfmaMethod<Ffma>;
    using Sums = float[TM][TN];
    using Place = FfmaPlace;
    static constexpr int ThreadRows = BM / TM, ThreadColumns = BN / TN, SliceThreads = ThreadRows * ThreadColumns, Threads = SliceThreads * Slices;
    static constexpr int LaneColumns = ThreadColumns < 8 ? ThreadColumns : 8; // a warp is 4 x 8 threads, or as near to it as the tile allows
    // Threads side by side read rows four apart.
    using A = GemmTile<TransposeA, BM, Threads, 2, (ThreadRows < 8 ? ThreadRows : 8) - 1, 0, Whole, Gather>;
    using B = GemmTile<!TransposeB, BN, Threads, 2, (ThreadColumns < 8 ? ThreadColumns : 8) - 1, 0, Whole, false>;
    static constexpr int StageFloats = A::Floats + B::Floats;
    static constexpr int Floats = Stages * StageFloats > (Slices > 1 ? Slices * BM * BN : 0) ? Stages * StageFloats : Slices * BM * BN;
    // Groups of four terms that are unrolled together: two, unless that takes more registers than there are.
    static constexpr int Unroll = !TransposeA && TransposeB && Slices == 1 ? 1 : 2;
    static_assert(TM % 4 == 0 && TN % 4 == 0 && SliceThreads % 32 == 0 && (Slices == 1 || Slices == 4), "a thread's tile is of 4 x 4, a slice of warps");
};

// The rows of thread t of a side: t * 4 + i % 4 in each of T / 4 stretches of the tile; or T that follow one another.
template <typename Tile, int T> DEVICE int gemm_row(int t, int i)
{
    constexpr int Stretches = T / 4;
    return T % 4 ? t * T + i : i / 4 * (Tile::Rows / Stretches) + t * 4 + i % 4;
}

// Term `term` of the T rows of thread t, where rows are innermost.
template <typename Tile, int T> DEVICE void gemm_term(float (&f)[T], const float* tile, int t, int term)
{
    UNROLL
    for (int i = 0; i < T; i += 4)
    {
        float4 x = *reinterpret_cast<const float4*>(tile + term * Tile::Stride + t * 4 + gemm_row<Tile, T>(0, i));
        f[i] = x.x;
        f[i + 1] = x.y;
        f[i + 2] = x.z;
        f[i + 3] = x.w;
    }
}

// Four terms of row i of thread t, where terms are innermost. All rows of a thread are swizzled alike.
template <typename Tile, int T> DEVICE void gemm_terms(float (&f)[4], const float* tile, int t, int i, int group)
{
    float4 x = *reinterpret_cast<const float4*>(tile + gemm_chunk<Tile>(gemm_row<Tile, T>(t, 0), group) + gemm_row<Tile, T>(0, i) * Tile::Stride);
    f[0] = x.x;
    f[1] = x.y;
    f[2] = x.z;
    f[3] = x.w;
}

// Four terms of the T rows of thread t: f[term][row].
template <typename Tile, int T> DEVICE void gemm_fragment(float (&f)[4][T], const float* tile, int t, int group)
{
    UNROLL
    for (int term = 0; term < 4; term++)
    {
        if (Tile::RowsInner) gemm_term<Tile, T>(f[term], tile, t, group * 4 + term);
    }
    UNROLL
    for (int i = 0; i < T && !Tile::RowsInner; i++)
    {
        float x[4];
        gemm_terms<Tile, T>(x, tile, t, i, group);
        UNROLL
        for (int term = 0; term < 4; term++) f[term][i] = x[term];
    }
}

// Adds four terms to the sums, in an order that needs few registers: of a side whose terms are innermost one row after the other.
template <typename F> DEVICE void gemm_ffma_group(float (&sums)[F::TM][F::TN], const float* tile_a, const float* tile_b, int thread_row, int thread_column, int group)
{
    using A = typename F::A;
    using B = typename F::B;
    if (A::RowsInner && B::RowsInner)
    {
        UNROLL
        for (int term = 0; term < 4; term++)
        {
            float a[F::TM], b[F::TN];
            gemm_term<A, F::TM>(a, tile_a, thread_row, group * 4 + term);
            gemm_term<B, F::TN>(b, tile_b, thread_column, group * 4 + term);
            UNROLL
            for (int i = 0; i < F::TM; i++)
            {
                UNROLL
                for (int j = 0; j < F::TN; j++) sums[i][j] = fmaf(a[i], b[j], sums[i][j]);
            }
        }
    }
    else if (!A::RowsInner)
    {
        float b[4][F::TN];
        gemm_fragment<B, F::TN>(b, tile_b, thread_column, group);
        UNROLL
        for (int i = 0; i < F::TM; i++)
        {
            float a[4];
            gemm_terms<A, F::TM>(a, tile_a, thread_row, i, group);
            UNROLL
            for (int term = 0; term < 4; term++)
            {
                UNROLL
                for (int j = 0; j < F::TN; j++) sums[i][j] = fmaf(a[term], b[term][j], sums[i][j]);
            }
        }
    }
    else
    {
        float a[4][F::TM];
        gemm_fragment<A, F::TM>(a, tile_a, thread_row, group);
        UNROLL
        for (int j = 0; j < F::TN; j++)
        {
            float b[4];
            gemm_terms<B, F::TN>(b, tile_b, thread_column, j, group);
            UNROLL
            for (int term = 0; term < 4; term++)
            {
                UNROLL
                for (int i = 0; i < F::TM; i++) sums[i][j] = fmaf(a[term][i], b[term], sums[i][j]);
            }
        }
    }
}

template <typename F> DEVICE FfmaPlace gemm_place(FfmaMethod<F>)
{
    constexpr int LaneColumns = F::LaneColumns, LaneRows = 32 / LaneColumns, WarpColumns = F::ThreadColumns / LaneColumns;
    int rank = thread_rank() % F::SliceThreads, warp = rank / 32, lane = rank % 32;
    FfmaPlace place;
    place.slice = thread_rank() / F::SliceThreads;
    place.column = lane % LaneColumns + warp % WarpColumns * LaneColumns;
    place.row = lane / LaneColumns + warp / WarpColumns * LaneRows;
    return place;
}

template <typename F> DEVICE void gemm_clear(FfmaMethod<F>, float (&sums)[F::TM][F::TN])
{
    UNROLL
    for (int i = 0; i < F::TM; i++)
    {
        UNROLL
        for (int j = 0; j < F::TN; j++) sums[i][j] = 0.0f;
    }
}

// Adds the terms of a tile.
template <typename F> DEVICE void gemm_multiply(FfmaMethod<F>, float (&sums)[F::TM][F::TN], const FfmaPlace& place, const float* tile_a, const float* tile_b)
{
    UNROLL_BY(F::Unroll)
    for (int group = 0; group < GemmDepth / 4; group += F::Slices)
        gemm_ffma_group<F>(sums, tile_a, tile_b, place.row, place.column, group + place.slice);
}

DEVICE float4 add(float4 a, float4 b) { return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w); }

// Adds the slices and writes the tile. `index`: null, or in shared memory the row of c of every row of the tile.
template <typename F> DEVICE void gemm_write(FfmaMethod<F>, const float (&sums)[F::TM][F::TN], const FfmaPlace& place, float* shared, const GemmOutput& out, int row, int column, const int* index = nullptr)
{
    if (F::Slices == 1)
    {
        UNROLL
        for (int i = 0; i < F::TM; i++)
        {
            int r = row + gemm_row<typename F::A, F::TM>(place.row, i);
            if (r >= out.m) continue;
            if (index) r = index[r];
            UNROLL
            for (int j = 0; j < F::TN; j += 4)
                gemm_store(out, r, column + gemm_row<typename F::B, F::TN>(place.column, j), make_float4(sums[i][j], sums[i][j + 1], sums[i][j + 2], sums[i][j + 3]));
        }
        return;
    }
    if (F::Async) cp_async_wait<0>();
    syncthreads(); // the tiles are no longer read
    UNROLL
    for (int i = 0; i < F::TM; i++)
    {
        float* line = shared + (place.slice * F::BM + gemm_row<typename F::A, F::TM>(place.row, i)) * F::BN;
        UNROLL
        for (int j = 0; j < F::TN; j += 4)
            *reinterpret_cast<float4*>(line + gemm_row<typename F::B, F::TN>(place.column, j)) = make_float4(sums[i][j], sums[i][j + 1], sums[i][j + 2], sums[i][j + 3]);
    }
    syncthreads();
    UNROLL
    for (int chunk = thread_rank(); chunk < F::BM * F::BN / 4; chunk += F::Threads)
    {
        float4 slices[4];
        UNROLL
        for (int s = 0; s < 4; s++) slices[s] = *reinterpret_cast<const float4*>(shared + s * F::BM * F::BN + chunk * 4);
        float4 sum = add(add(slices[0], slices[1]), add(slices[2], slices[3]));
        int r = row + chunk / (F::BN / 4);
        if (r >= out.m) continue;
        gemm_store(out, index ? index[r] : r, column + chunk % (F::BN / 4) * 4, sum);
    }
}
