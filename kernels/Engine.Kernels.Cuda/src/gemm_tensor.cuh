// A tile of a matrix product on tensor cores, compute capability 8.0: warps of WM x WN each, in products of 16 x 8 with sums in float32.
//
// Operands lie in shared memory as they lie in memory, in float32, and are rounded when a warp takes them to its registers: to TF32 (10 bits of
// fraction, halves away from zero) or BFloat16 (7 bits, halves to even). So master weights stay float32, and nothing is converted in memory.
//
// Bytes of shared memory limit it: a warp reads 4 (WM + WN) bytes a term for WM WN products. At 64 x 64 that is 32 products a byte.
#pragma once
#include "gemm.cuh"

template <typename F> struct TensorMethod {};

struct TensorPlace
{
    int row, column, lane; // of the warp's part in the tile
};

template <bool Bf16_, int BM_, int BN_, int WM_, int WN_, int Stages_, bool TransposeA, bool TransposeB, bool Whole, bool Gather = false> struct Tensor
{
    static constexpr bool Bf16 = Bf16_, Async = true;
    static constexpr int BM = BM_, BN = BN_, WM = WM_, WN = WN_, Stages = Stages_;
    static constexpr int Threads = 32 * (BM / WM) * (BN / WN), MI = WM / 16, NI = WN / 8;
    using Method = TensorMethod<Tensor>;
    using Sums = float[MI][NI][4];
    using Place = TensorPlace;
    // Lane 4 g + t reads row g. TF32: term t, so rows of one chunk are swizzled, and where rows are innermost a term is 8 banks from the next.
    // BFloat16: terms 2 t and 2 t + 1, so a row is 8 banks from the next, and a term 4.
    using A = GemmTile<TransposeA, BM, Threads, 0, Bf16 ? 0 : 7, Bf16 ? (TransposeA ? 4 : 8) : (TransposeA ? 8 : 0), Whole, Gather>;
    using B = GemmTile<!TransposeB, BN, Threads, 0, Bf16 ? 0 : 7, Bf16 ? (TransposeB ? 8 : 4) : (TransposeB ? 0 : 8), Whole, false>;
    static constexpr int StageFloats = A::Floats + B::Floats, OutStride = BN + 8;
    static constexpr int Floats = Stages * StageFloats > BM * OutStride ? Stages * StageFloats : BM * OutStride;
    static_assert(NI % 2 == 0 && BM % WM == 0 && BN % WN == 0, "b is taken 16 columns at a time");
};

template <typename F> DEVICE TensorPlace gemm_place(TensorMethod<F>)
{
    TensorPlace place;
    place.row = warp_index() / (F::BN / F::WN) * F::WM;
    place.column = warp_index() % (F::BN / F::WN) * F::WN;
    place.lane = lane_index();
    return place;
}

template <typename F> DEVICE void gemm_clear(TensorMethod<F>, float (&sums)[F::MI][F::NI][4])
{
    UNROLL
    for (int i = 0; i < F::MI; i++)
    {
        UNROLL
        for (int j = 0; j < F::NI; j++) sums[i][j][0] = sums[i][j][1] = sums[i][j][2] = sums[i][j][3] = 0.0f;
    }
}

DEVICE unsigned round_tf32(float x) { return to_tf32_operand(x); }

DEVICE unsigned round_tf32(unsigned x) { return to_tf32_operand(as_float((int)x)); }

// Terms 8 step .. 8 step + 7 of 16 rows from `row` on, as mma_tf32 takes them for a.
template <typename Tile> DEVICE void tensor_a_tf32(unsigned (&a)[4], const float* tile, int row, int step, int lane)
{
    if (Tile::RowsInner)
    {
        const float* p = tile + (step * 8 + lane % 4) * Tile::Stride + row + lane / 4;
        a[0] = round_tf32(p[0]);
        a[1] = round_tf32(p[8]);
        a[2] = round_tf32(p[4 * Tile::Stride]);
        a[3] = round_tf32(p[4 * Tile::Stride + 8]);
    }
    else
    {
        // Lane i points to row i % 16 of the chunk i / 16: four matrices of 8 rows by 4 terms.
        ldmatrix_x4(a, shared_place(tile) + 4 * (gemm_chunk<Tile>(lane % 16, step * 2 + lane / 16) + row * Tile::Stride));
        UNROLL
        for (int i = 0; i < 4; i++) a[i] = round_tf32(a[i]);
    }
}

// The same of 16 columns, as it takes them for two b.
template <typename Tile> DEVICE void tensor_b_tf32(unsigned (&b)[2], unsigned (&next)[2], const float* tile, int column, int step, int lane)
{
    if (Tile::RowsInner)
    {
        const float* p = tile + (step * 8 + lane % 4) * Tile::Stride + column + lane / 4;
        b[0] = round_tf32(p[0]);
        b[1] = round_tf32(p[4 * Tile::Stride]);
        next[0] = round_tf32(p[8]);
        next[1] = round_tf32(p[4 * Tile::Stride + 8]);
    }
    else
    {
        unsigned r[4];
        ldmatrix_x4(r, shared_place(tile) + 4 * (gemm_chunk<Tile>(lane % 8 + lane / 16 * 8, step * 2 + lane / 8 % 2) + column * Tile::Stride));
        b[0] = round_tf32(r[0]);
        b[1] = round_tf32(r[1]);
        next[0] = round_tf32(r[2]);
        next[1] = round_tf32(r[3]);
    }
}

// Terms `term` and the next of a row.
template <typename Tile> DEVICE unsigned tensor_pair(const float* tile, int row, int term)
{
    if (Tile::RowsInner) return to_bf16_pair(tile[term * Tile::Stride + row], tile[(term + 1) * Tile::Stride + row]);
    float2 x = *reinterpret_cast<const float2*>(tile + row * Tile::Stride + term);
    return to_bf16_pair(x.x, x.y);
}

// Adds the terms of a tile.
template <typename F> DEVICE void gemm_multiply(TensorMethod<F>, float (&sums)[F::MI][F::NI][4], const TensorPlace& place, const float* tile_a, const float* tile_b)
{
    using A = typename F::A;
    using B = typename F::B;
    UNROLL
    for (int step = 0; step < GemmDepth / (F::Bf16 ? 16 : 8); step++)
    {
        unsigned a[F::MI][4], b[F::NI][2];
        if (F::Bf16)
        {
            int row = place.lane / 4, term = step * 16 + place.lane % 4 * 2;
            UNROLL
            for (int i = 0; i < F::MI; i++)
            {
                UNROLL
                for (int part = 0; part < 4; part++) a[i][part] = tensor_pair<A>(tile_a, place.row + row + i * 16 + part % 2 * 8, term + part / 2 * 8);
            }
            UNROLL
            for (int j = 0; j < F::NI; j++)
            {
                UNROLL
                for (int part = 0; part < 2; part++) b[j][part] = tensor_pair<B>(tile_b, place.column + row + j * 8, term + part * 8);
            }
        }
        else
        {
            UNROLL
            for (int i = 0; i < F::MI; i++) tensor_a_tf32<A>(a[i], tile_a, place.row + i * 16, step, place.lane);
            UNROLL
            for (int j = 0; j < F::NI; j += 2) tensor_b_tf32<B>(b[j], b[j + 1], tile_b, place.column + j * 8, step, place.lane);
        }
        UNROLL
        for (int i = 0; i < F::MI; i++)
        {
            UNROLL
            for (int j = 0; j < F::NI; j++)
            {
                if (F::Bf16) mma_bf16(sums[i][j], a[i], b[j]);
                else mma_tf32(sums[i][j], a[i], b[j]);
            }
        }
    }
}

// Writes the tile, by way of shared memory, so that whole lines are written. `index`: null, or in shared memory the row of c of every row of the tile.
template <typename F>
DEVICE void gemm_write(TensorMethod<F>, const float (&sums)[F::MI][F::NI][4], const TensorPlace& place, float* shared, const GemmOutput& out, int row, int column, const int* index = nullptr)
{
    cp_async_wait<0>();
    syncthreads(); // the tiles are no longer read
    UNROLL
    for (int i = 0; i < F::MI; i++)
    {
        UNROLL
        for (int j = 0; j < F::NI; j++)
        {
            float* p = shared + (place.row + i * 16 + place.lane / 4) * F::OutStride + place.column + j * 8 + place.lane % 4 * 2;
            *reinterpret_cast<float2*>(p) = make_float2(sums[i][j][0], sums[i][j][1]);
            *reinterpret_cast<float2*>(p + 8 * F::OutStride) = make_float2(sums[i][j][2], sums[i][j][3]);
        }
    }
    syncthreads();
    UNROLL_BY(4)
    for (int chunk = thread_rank(); chunk < F::BM * F::BN / 4; chunk += F::Threads)
    {
        int r = row + chunk / (F::BN / 4);
        if (r >= out.m) continue;
        float4 x = *reinterpret_cast<const float4*>(shared + chunk / (F::BN / 4) * F::OutStride + chunk % (F::BN / 4) * 4);
        gemm_store(out, index ? index[r] : r, column + chunk % (F::BN / 4) * 4, x);
    }
}
