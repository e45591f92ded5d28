// Batched matrix products in float32, tile by tile, whose threads take whole sums; what follows the sums is in gemm.cuh.
#include "matmul_ffma.cuh"

// For all shapes and devices: by way of registers.
MATMUL_FFMA(matmul_ffma_any, 128, 3, 64, 64, 8, 4, 1, 2, false, false)
// Whole lines.
MATMUL_FFMA(matmul_ffma_128x128, 256, 1, 128, 128, 8, 8, 1, 3, true, true)
MATMUL_FFMA(matmul_ffma_128x64, 128, 3, 128, 64, 8, 8, 1, 3, true, true)
MATMUL_FFMA(matmul_ffma_64x64, 64, 5, 64, 64, 8, 8, 1, 3, true, true)
