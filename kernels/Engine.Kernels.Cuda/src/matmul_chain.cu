// Chains of products in float32. A block takes 20 rows, or 8: 8 columns of 10, or 4, of them are a thread's, and four threads share a sum, as in
// the sliced tiles of single products. Entries: forward (weights [k, n], bias, rectifier), backward (weights [n, k], mask), and that with a matrix for each row.
#include "gemm_ffma.cuh"
#include "matmul_chain.cuh"

template <int Rows, bool Backward_, bool Members_ = false> struct ChainFfma
{
    static constexpr bool Backward = Backward_, Members = Members_, Async = true;
    static constexpr int BM = Rows, BN = ChainWidth, TM = Rows / 2, TN = 8, Slices = 4, Stages = 2, Threads = 256;
    using Method = FfmaMethod<ChainFfma>;
    using Sums = float[TM][TN];
    using Place = FfmaPlace;
    // A warp is one row of threads: what it reads of the rows is one address.
    static constexpr int ThreadRows = 2, ThreadColumns = BN / TN, SliceThreads = ThreadRows * ThreadColumns, LaneColumns = 32, Unroll = 2;
    using A = ChainRows<BM, ChainWidth + 4>;
    using B = GemmTile<!Backward, BN, Threads, 2, 7, 0, true, false>;
};

template <typename F> DEVICE int chain_column(FfmaMethod<F>, const FfmaPlace& place) { return place.column * 4; }

// Where column j of the thread's sums of row i lies in a matrix of rows `stride` apart.
template <typename F> DEVICE float4* chain_place(float* p, int stride, const FfmaPlace& place, int i, int j)
{
    return reinterpret_cast<float4*>(p + gemm_row<typename F::A, F::TM>(place.row, i) * stride + gemm_row<typename F::B, F::TN>(place.column, j));
}

// The slices meet in two matrices, the rows and the tile that was read last: 1 and 3 are put there, 0 and 2 added to them, and then the two.
template <typename F>
DEVICE void chain_finish(FfmaMethod<F>, const float (&sums)[F::TM][F::TN], const FfmaPlace& place, float* rows, float* stage, const GemmOutput& out, const ChainPlace& block)
{
    float* p = place.slice < 2 ? rows : stage;
    int stride = place.slice < 2 ? F::A::Stride : F::BN;
    UNROLL
    for (int step = 1; step >= 0; step--)
    {
        if (place.slice % 2 == step)
        {
            UNROLL
            for (int i = 0; i < F::TM; i++)
            {
                UNROLL
                for (int j = 0; j < F::TN; j += 4)
                {
                    float4 x = make_float4(sums[i][j], sums[i][j + 1], sums[i][j + 2], sums[i][j + 3]);
                    float4* at = chain_place<F>(p, stride, place, i, j);
                    *at = step == 1 ? x : add(x, *at);
                }
            }
        }
        syncthreads();
    }
    UNROLL_BY(4)
    for (int i = thread_rank(); i < F::BM * (F::BN / 4); i += F::Threads)
    {
        int r = i / (F::BN / 4), column = i % (F::BN / 4) * 4;
        float4 x = add(*reinterpret_cast<const float4*>(rows + r * F::A::Stride + column), *reinterpret_cast<const float4*>(stage + r * F::BN + column));
        chain_put<F>(rows, out, block, r, column, x);
    }
}

KERNEL_BOUNDED(matmul_chain_20_forward, 256, 1, CHAIN_PARAMETERS) { matmul_chain<ChainFfma<20, false>>(CHAIN_OF_BLOCK); }
KERNEL_BOUNDED(matmul_chain_20_backward, 256, 1, CHAIN_PARAMETERS) { matmul_chain<ChainFfma<20, true>>(CHAIN_OF_BLOCK); }
KERNEL_BOUNDED(matmul_chain_8_forward, 256, 1, CHAIN_PARAMETERS) { matmul_chain<ChainFfma<8, false>>(CHAIN_OF_BLOCK); }
KERNEL_BOUNDED(matmul_chain_8_backward, 256, 1, CHAIN_PARAMETERS) { matmul_chain<ChainFfma<8, true>>(CHAIN_OF_BLOCK); }
KERNEL_BOUNDED(member_chain_8_backward, 256, 1, MEMBER_CHAIN_PARAMETERS) { member_chain<ChainFfma<8, true, true>>(MEMBER_CHAIN, member); }
