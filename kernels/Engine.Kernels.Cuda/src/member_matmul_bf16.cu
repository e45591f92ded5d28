// Products of rows with a matrix each, factors rounded to BFloat16. Entries as in member_matmul.cu.
#include "gemm_tensor.cuh"
#include "member_matmul.cuh"

#define MEMBER_BF16_ONE(name, threads, blocks, tb, bm, bn, wm, wn, stages, whole) \
    KERNEL_BOUNDED(name, threads, blocks, MEMBER_PARAMETERS) { member_matmul<Tensor<true, bm, bn, wm, wn, stages, false, tb, whole, true>, tb> MEMBER_ARGUMENTS; }
#define MEMBER_BF16(name, threads, blocks, ...)                        \
    MEMBER_BF16_ONE(name##_n, threads, blocks, false, __VA_ARGS__)     \
    MEMBER_BF16_ONE(name##_t, threads, blocks, true, __VA_ARGS__)

MEMBER_BF16(member_matmul_bf16_64x64, 128, 3, 64, 64, 32, 32, 4, true)
MEMBER_BF16(member_matmul_bf16_32x32, 128, 4, 32, 32, 16, 16, 4, true)
MEMBER_BF16(member_matmul_bf16_64x64_any, 128, 3, 64, 64, 32, 32, 4, false)
MEMBER_BF16(member_matmul_bf16_32x32_any, 128, 4, 32, 32, 16, 16, 4, false)
