// The entries of a tile in float32, one for every transposition: nn is a b, tn is a^T b, nt is a b^T, tt is a^T b^T.
#pragma once
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
