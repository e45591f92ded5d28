// The body of a batched matrix product by tiles of method F. Grid: tiles of c, those of a row first; batches; parts of the sums.
#pragma once
#include "gemm.cuh"

template <typename F, bool TransposeA, bool TransposeB> DEVICE void matmul GEMM_PARAMETERS
{
    DYNAMIC_SHARED(float, shared);
    int columns = (n + F::BN - 1) / F::BN, down = (int)blockIdx.x / columns;
    int row = down * F::BM, column = ((int)blockIdx.x - down * columns) * F::BN;
    typename F::Sums sums;
    typename F::Place place = gemm_place(typename F::Method());
    Gemm g = gemm_of_block GEMM_ARGUMENTS;
    gemm_sum<F>(sums, place, shared, gemm_operand(g.a, m, TransposeA ? m : k), gemm_operand(g.b, n, TransposeB ? k : n), row, column, g.from, g.to);
    gemm_write(typename F::Method(), sums, place, shared, gemm_output_of_block GEMM_ARGUMENTS, row, column);
}
