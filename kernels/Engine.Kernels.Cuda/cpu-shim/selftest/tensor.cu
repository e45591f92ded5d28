// Kernels for the self-test: asynchronous copies, ldmatrix and products of fragments.
#include "common.cuh"

// Copies tiles of 256 floats in two stages and adds them up. `mistake`: 1 forgets a wait, 2 a barrier after it, 3 the barrier before
// a stage is filled again.
DEVICE void pipeline(const float* x, float* y, int tiles, int mistake)
{
    SHARED(float, stage, [2][256]);
    int i = thread_rank();
    float sum = 0.0f;
    if (i < 64) cp_async<16>(&stage[0][4 * i], x + 4 * i);
    cp_async_commit();
    for (int t = 0; t < tiles; t++)
    {
        if (t + 1 < tiles && i < 64) cp_async<16>(&stage[(t + 1) & 1][4 * i], x + (t + 1) * 256 + 4 * i);
        cp_async_commit();
        if (mistake != 1) cp_async_wait<1>();
        if (mistake != 2) syncthreads();
        sum = sum + stage[t & 1][255 - i];
        if (mistake != 3) syncthreads();
    }
    y[i] = sum;
}

KERNEL(t_pipeline, (const float* x, float* y, int tiles)) { pipeline(x, y, tiles, 0); }
KERNEL(t_pipeline_no_wait, (const float* x, float* y, int tiles)) { pipeline(x, y, tiles, 1); }
KERNEL(t_pipeline_no_barrier, (const float* x, float* y, int tiles)) { pipeline(x, y, tiles, 2); }
KERNEL(t_pipeline_no_second_barrier, (const float* x, float* y, int tiles)) { pipeline(x, y, tiles, 3); }

KERNEL(t_copy_partial, (const float* x, float* y))
{
    SHARED(float, tile, [32 * 4]);
    SHARED(float, small, [32 * 2]);
    int i = thread_rank();
    cp_async<16>(tile + 4 * i, x + 4 * i, 4 * (i % 5));
    cp_async<8>(small + 2 * i, x + 2 * i, i % 2 ? 8 : 4);
    cp_async<4>(small + 2 * i, x + i, i == 3 ? 0 : 4);
    cp_async_commit();
    cp_async_wait<0>();
    for (int k = 0; k < 4; k++) y[4 * i + k] = tile[4 * i + k];
    for (int k = 0; k < 2; k++) y[128 + 2 * i + k] = small[2 * i + k];
}

KERNEL(t_copy_misaligned, (const float* x, float* y))
{
    SHARED(float, tile, [64]);
    cp_async<16>(tile + 1, x);
    y[0] = tile[0];
}

KERNEL(t_copy_outside, (const float* x, float* y))
{
    cp_async<16>(y, x);
    cp_async_commit();
    cp_async_wait<0>();
}

// One warp: 32 rows of 8 words of 16 bits as four matrices, plain and transposed.
KERNEL(t_ldmatrix, (const int* x, int* y))
{
    SHARED(int, tile, [32][4]);
    int i = thread_rank();
    for (int k = 0; k < 4; k++) tile[i][k] = x[4 * i + k];
    syncwarp();
    unsigned r[4];
    ldmatrix_x4(r, tile[i]);
    for (int k = 0; k < 4; k++) y[4 * i + k] = (int)r[k];
    ldmatrix_x4_trans(r, tile[i]);
    for (int k = 0; k < 4; k++) y[128 + 4 * i + k] = (int)r[k];
}

// c [16, 8] = c + a [16, 8] b [8, 8] by one warp.
KERNEL(t_mma_tf32, (const float* a, const float* b, float* c))
{
    int g = lane_index() / 4, t = lane_index() % 4;
    unsigned af[4] = {to_tf32(a[g * 8 + t]), to_tf32(a[(g + 8) * 8 + t]), to_tf32(a[g * 8 + t + 4]), to_tf32(a[(g + 8) * 8 + t + 4])};
    unsigned bf[2] = {to_tf32(b[t * 8 + g]), to_tf32(b[(t + 4) * 8 + g])};
    float cf[4] = {c[g * 8 + 2 * t], c[g * 8 + 2 * t + 1], c[(g + 8) * 8 + 2 * t], c[(g + 8) * 8 + 2 * t + 1]};
    mma_tf32(cf, af, bf);
    c[g * 8 + 2 * t] = cf[0], c[g * 8 + 2 * t + 1] = cf[1], c[(g + 8) * 8 + 2 * t] = cf[2], c[(g + 8) * 8 + 2 * t + 1] = cf[3];
}

// c [16, 8] = c + a [16, 16] b [16, 8] by one warp: a by ldmatrix, b by ldmatrix of its transposed rows.
KERNEL(t_mma_bf16, (const float* a, const float* b, float* c))
{
    SHARED(unsigned short, as, [16][16]);
    SHARED(unsigned short, bs, [16][8]);
    int i = thread_rank(), g = i / 4, t = i % 4;
    for (int k = i; k < 256; k += 32) as[k / 16][k % 16] = float_to_bf16(a[k]);
    for (int k = i; k < 128; k += 32) bs[k / 8][k % 8] = float_to_bf16(b[k]);
    syncthreads();
    unsigned af[4], bf[4];
    ldmatrix_x4(af, &as[i % 8 + 8 * (i / 8 % 2)][8 * (i / 16)]);
    ldmatrix_x4_trans(bf, &bs[i % 16][0]);
    float cf[4] = {c[g * 8 + 2 * t], c[g * 8 + 2 * t + 1], c[(g + 8) * 8 + 2 * t], c[(g + 8) * 8 + 2 * t + 1]};
    unsigned first[2] = {bf[0], bf[1]};
    mma_bf16(cf, af, first);
    c[g * 8 + 2 * t] = cf[0], c[g * 8 + 2 * t + 1] = cf[1], c[(g + 8) * 8 + 2 * t] = cf[2], c[(g + 8) * 8 + 2 * t + 1] = cf[3];
}

// Bits of single operations: none may be contracted.
KERNEL(t_arithmetic, (const float* x, float* y, int n))
{
    int i = (int)blockIdx.x * block_threads() + thread_rank();
    if (i >= n) return;
    float a = x[3 * i], b = x[3 * i + 1], c = x[3 * i + 2];
    y[6 * i] = a * b + c;
    y[6 * i + 1] = fmaf(a, b, c);
    y[6 * i + 2] = a / b;
    y[6 * i + 3] = sqrtf(fabsf(c));
    y[6 * i + 4] = rintf(a);
    y[6 * i + 5] = floorf(b);
}

// y [rows, columns] = a [rows, inner] b [inner, columns], sizes multiples of 64, 64 and 16; blocks of 256 threads.
KERNEL_BOUNDED(t_gemm, 256, 2, (const float* a, const float* b, float* y, int rows, int columns, int inner))
{
    SHARED(float, at, [16][64]);
    SHARED(float, bt, [16][64]);
    int i = thread_rank(), row0 = (int)blockIdx.y * 64, column0 = (int)blockIdx.x * 64, tr = i / 16 * 4, tc = i % 16 * 4;
    float sum[4][4] = {};
    (void)rows;
    for (int k0 = 0; k0 < inner; k0 += 16)
    {
        for (int e = i; e < 1024; e += 256) at[e % 16][e / 16] = a[(row0 + e / 16) * inner + k0 + e % 16];
        for (int e = i; e < 1024; e += 256) bt[e / 64][e % 64] = b[(k0 + e / 64) * columns + column0 + e % 64];
        syncthreads();
        UNROLL
        for (int k = 0; k < 16; k++)
        {
            UNROLL
            for (int r = 0; r < 4; r++)
                UNROLL
                for (int c = 0; c < 4; c++) sum[r][c] = fmaf(at[k][tr + r], bt[k][tc + c], sum[r][c]);
        }
        syncthreads();
    }
    for (int r = 0; r < 4; r++)
        for (int c = 0; c < 4; c++) y[(row0 + tr + r) * columns + column0 + tc + c] = sum[r][c];
}
