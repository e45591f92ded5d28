// Batched matrix products in float32 where there are few tiles: four threads share a sum, so that four times as many warps run.
#include "matmul_ffma.cuh"

MATMUL_FFMA(matmul_ffma_64x64_sliced, 256, 1, 64, 64, 8, 8, 4, 3, true, true)
MATMUL_FFMA(matmul_ffma_64x32_sliced, 128, 3, 64, 32, 8, 8, 4, 3, true, true)
MATMUL_FFMA(matmul_ffma_32x32_sliced, 128, 4, 32, 32, 8, 4, 4, 4, true, true)
MATMUL_FFMA(matmul_ffma_64x32_sliced_any, 128, 3, 64, 32, 8, 8, 4, 3, true, false)
MATMUL_FFMA(matmul_ffma_32x32_sliced_any, 128, 4, 32, 32, 8, 4, 4, 4, true, false)
