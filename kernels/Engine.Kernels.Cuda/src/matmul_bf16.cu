// Batched matrix products with operands rounded to BFloat16. Entries as in matmul_ffma.cu.
#include "gemm_tensor.cuh"
#include "matmul.cuh"

// name: threads a block, blocks a multiprocessor; rows and columns of the tile and of a warp, stages, whole lines.
#define MATMUL_BF16_ONE(name, threads, blocks, ta, tb, bm, bn, wm, wn, stages, whole) \
    KERNEL_BOUNDED(name, threads, blocks, GEMM_PARAMETERS) { matmul<Tensor<true, bm, bn, wm, wn, stages, ta, tb, whole>, ta, tb> GEMM_ARGUMENTS; }
#define MATMUL_BF16(name, threads, blocks, ...)                              \
    MATMUL_BF16_ONE(name##_nn, threads, blocks, false, false, __VA_ARGS__)   \
    MATMUL_BF16_ONE(name##_nt, threads, blocks, false, true, __VA_ARGS__)    \
    MATMUL_BF16_ONE(name##_tn, threads, blocks, true, false, __VA_ARGS__)    \
    MATMUL_BF16_ONE(name##_tt, threads, blocks, true, true, __VA_ARGS__)

MATMUL_BF16(matmul_bf16_256x128, 256, 1, 256, 128, 64, 64, 3, true)
MATMUL_BF16(matmul_bf16_128x128, 128, 2, 128, 128, 64, 64, 3, true)
MATMUL_BF16(matmul_bf16_128x64, 128, 2, 128, 64, 64, 32, 3, true)
MATMUL_BF16(matmul_bf16_64x64, 128, 3, 64, 64, 32, 32, 4, true)
MATMUL_BF16(matmul_bf16_32x32, 128, 4, 32, 32, 16, 16, 4, true)
MATMUL_BF16(matmul_bf16_64x64_any, 128, 3, 64, 64, 32, 32, 4, false)
MATMUL_BF16(matmul_bf16_32x32_any, 128, 4, 32, 32, 16, 16, 4, false)
