// Batched matrix products in float32, tile by tile; what follows the sums is in gemm.cuh. An entry for every tile and transposition: nn is
// a b, tn is a^T b, nt is a b^T, tt is a^T b^T.
#include "gemm_ffma.cuh"
#include "matmul.cuh"

// name: threads a block, blocks a multiprocessor; rows and columns of the tile and of a thread, slices, stages, asynchronous copies, whole lines.
#define MATMUL_FFMA_ONE(name, threads, blocks, ta, tb, bm, bn, tm, tn, slices, stages, async, whole) \
    KERNEL_BOUNDED(name, threads, blocks, GEMM_PARAMETERS) { matmul<Ffma<bm, bn, tm, tn, slices, stages, ta, tb, async, whole>, ta, tb> GEMM_ARGUMENTS; }
#define MATMUL_FFMA(name, threads, blocks, ...)                              \
    MATMUL_FFMA_ONE(name##_nn, threads, blocks, false, false, __VA_ARGS__)   \
    MATMUL_FFMA_ONE(name##_nt, threads, blocks, false, true, __VA_ARGS__)    \
    MATMUL_FFMA_ONE(name##_tn, threads, blocks, true, false, __VA_ARGS__)    \
    MATMUL_FFMA_ONE(name##_tt, threads, blocks, true, true, __VA_ARGS__)

// For all shapes and devices: by way of registers.
MATMUL_FFMA(matmul_ffma_any, 128, 3, 64, 64, 8, 4, 1, 2, false, false)
// Whole lines.
MATMUL_FFMA(matmul_ffma_128x128, 256, 1, 128, 128, 8, 8, 1, 3, true, true)
MATMUL_FFMA(matmul_ffma_128x64, 128, 3, 128, 64, 8, 8, 1, 3, true, true)
MATMUL_FFMA(matmul_ffma_64x64, 64, 5, 64, 64, 8, 8, 1, 3, true, true)
// In four slices, for few tiles.
MATMUL_FFMA(matmul_ffma_64x64_sliced, 256, 1, 64, 64, 8, 8, 4, 3, true, true)
MATMUL_FFMA(matmul_ffma_64x32_sliced, 128, 3, 64, 32, 8, 8, 4, 3, true, true)
MATMUL_FFMA(matmul_ffma_32x32_sliced, 128, 4, 32, 32, 8, 4, 4, 4, true, true)
MATMUL_FFMA(matmul_ffma_64x32_sliced_any, 128, 3, 64, 32, 8, 8, 4, 3, true, false)
MATMUL_FFMA(matmul_ffma_32x32_sliced_any, 128, 4, 32, 32, 8, 4, 4, 4, true, false)
