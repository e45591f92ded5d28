// Chains of products on tensor cores: a block's eight warps share the columns, or columns and rows.
#pragma once
#include "gemm_tensor.cuh"
#include "matmul_chain.cuh"

template <bool Bf16_, int Rows, int WM_, int WN_, int Stages_, bool Backward_, bool Members_ = false> struct ChainTensor
{
    static constexpr bool Bf16 = Bf16_, Backward = Backward_, Members = Members_, Async = true;
    static constexpr int BM = Rows, BN = ChainWidth, WM = WM_, WN = WN_, Stages = Stages_, Threads = 256, MI = WM / 16, NI = WN / 8;
    using Method = TensorMethod<ChainTensor>;
    using Sums = float[MI][NI][4];
    using Place = TensorPlace;
    // Rows lie 4 banks apart, so that eight that ldmatrix reads do not meet; 8 for BFloat16, which reads pairs.
    using A = ChainRows<BM, ChainWidth + (Bf16 ? 8 : 4)>;
    using B = GemmTile<!Backward, BN, Threads, 0, Bf16 ? 0 : 7, Bf16 ? (Backward ? 8 : 4) : (Backward ? 0 : 8), true, false>;
    static_assert((BM / WM) * (BN / WN) * 32 == Threads, "eight warps");
};

template <typename F> DEVICE int chain_column(TensorMethod<F>, const TensorPlace& place) { return place.column; }

// The sums take the place of the rows.
template <typename F>
DEVICE void chain_finish(TensorMethod<F>, const float (&sums)[F::MI][F::NI][4], const TensorPlace& place, float* rows, float*, const GemmOutput& out, const ChainPlace& block)
{
    UNROLL
    for (int i = 0; i < F::MI; i++)
    {
        UNROLL
        for (int j = 0; j < F::NI; j++)
        {
            float* p = rows + (place.row + i * 16 + place.lane / 4) * F::A::Stride + place.column + j * 8 + place.lane % 4 * 2;
            *reinterpret_cast<float2*>(p) = make_float2(sums[i][j][0], sums[i][j][1]);
            *reinterpret_cast<float2*>(p + 8 * F::A::Stride) = make_float2(sums[i][j][2], sums[i][j][3]);
        }
    }
    syncthreads();
    UNROLL_BY(4)
    for (int i = thread_rank(); i < F::BM * (F::BN / 4); i += F::Threads)
    {
        int r = i / (F::BN / 4), column = i % (F::BN / 4) * 4;
        chain_put<F>(rows, out, block, r, column, *reinterpret_cast<const float4*>(rows + r * F::A::Stride + column));
    }
}

#define MATMUL_CHAIN_TENSOR(name, bf16, rows, wm, wn, stages)                                                                                               \
    KERNEL_BOUNDED(name##_##rows##_forward, 256, 1, CHAIN_PARAMETERS) { matmul_chain<ChainTensor<bf16, rows, wm, wn, stages, false>>(CHAIN_OF_BLOCK); }     \
    KERNEL_BOUNDED(name##_##rows##_backward, 256, 1, CHAIN_PARAMETERS) { matmul_chain<ChainTensor<bf16, rows, wm, wn, stages, true>>(CHAIN_OF_BLOCK); }
