// What a warp computes together: ballots, matrices from shared memory, products of fragments in the layouts of the PTX manual.
#include "block.h"
#include <cstring>

namespace engine_shim
{

static void finish_ballot(Lane* lanes)
{
    unsigned bits = 0;
    for (int i = 0; i < WarpSize; i++) bits |= (unsigned)(lanes[i].bytes[0] != 0) << i;
    memcpy(lanes[0].bytes + 4, &bits, 4);
}

// Lane i gave the address of row i % 8 of matrix i / 8.
static void finish_load_matrix(Lane* lanes)
{
    struct Given { const unsigned short* row; bool transposed; } given[WarpSize];
    for (int i = 0; i < WarpSize; i++) memcpy(&given[i], lanes[i].bytes, sizeof given[i]);
    for (int i = 0; i < WarpSize; i++)
    {
        unsigned short pair[4][2];
        for (int m = 0; m < 4; m++)
            for (int e = 0; e < 2; e++)
            {
                int row = i / 4, column = 2 * (i % 4) + e;
                pair[m][e] = given[i].transposed ? given[8 * m + column].row[row] : given[8 * m + row].row[column];
            }
        memcpy(lanes[i].bytes, pair, sizeof pair);
    }
}

typedef float Row __attribute__((vector_size(32)));

// c += a b for a 16 x Depth, b Depth x 8. Products of tf32 and of bfloat16 are exact in float; the sum is rounded after each, in
// ascending order of the inner index. (What a tensor core rounds in between is not documented.)
template <int Depth> static void multiply(Lane* lanes, const float (&a)[16][Depth], const float (&b)[Depth][8])
{
    float c[16][8];
    for (int i = 0; i < WarpSize; i++)
    {
        float own[4];
        memcpy(own, lanes[i].bytes, sizeof own);
        for (int e = 0; e < 4; e++) c[i / 4 + 8 * (e / 2)][2 * (i % 4) + e % 2] = own[e];
    }
    for (int row = 0; row < 16; row++)
    {
        Row sum, column;
        memcpy(&sum, c[row], sizeof sum);
        for (int k = 0; k < Depth; k++)
        {
            memcpy(&column, b[k], sizeof column);
            sum += a[row][k] * column;
        }
        memcpy(c[row], &sum, sizeof sum);
    }
    for (int i = 0; i < WarpSize; i++)
    {
        float own[4];
        for (int e = 0; e < 4; e++) own[e] = c[i / 4 + 8 * (e / 2)][2 * (i % 4) + e % 2];
        memcpy(lanes[i].bytes, own, sizeof own);
    }
}

static float from_bits(unsigned bits)
{
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

static void finish_tf32(Lane* lanes)
{
    float a[16][8], b[8][8];
    for (int i = 0; i < WarpSize; i++)
    {
        Fragments given;
        memcpy(&given, lanes[i].bytes, sizeof given);
        int group = i / 4, t = i % 4;
        for (int e = 0; e < 4; e++) a[group + 8 * (e % 2)][t + 4 * (e / 2)] = from_bits(given.a[e] & 0xFFFFE000u);
        for (int e = 0; e < 2; e++) b[t + 4 * e][group] = from_bits(given.b[e] & 0xFFFFE000u);
    }
    multiply(lanes, a, b);
}

static void finish_bf16(Lane* lanes)
{
    float a[16][16], b[16][8];
    for (int i = 0; i < WarpSize; i++)
    {
        Fragments given;
        memcpy(&given, lanes[i].bytes, sizeof given);
        int group = i / 4, t = i % 4;
        for (int e = 0; e < 8; e++) a[group + 8 * (e / 2 % 2)][2 * t + e % 2 + 8 * (e / 4)] = from_bits(given.a[e / 2] >> 16 * (e % 2) << 16);
        for (int e = 0; e < 4; e++) b[2 * t + e % 2 + 8 * (e / 2)][group] = from_bits(given.b[e / 2] >> 16 * (e % 2) << 16);
    }
    multiply(lanes, a, b);
}

void finish_warp_operation(WarpOperation operation, Lane* lanes)
{
    switch (operation)
    {
        case WarpOperation::Barrier:
        case WarpOperation::Shuffle: break;
        case WarpOperation::Ballot: finish_ballot(lanes); break;
        case WarpOperation::LoadMatrix: finish_load_matrix(lanes); break;
        case WarpOperation::MultiplyTf32:
        case WarpOperation::MultiplyBf16:
            if (architecture < 80) fault("a tensor core product below compute capability 8.0 (trap)");
            if (operation == WarpOperation::MultiplyTf32) finish_tf32(lanes);
            else finish_bf16(lanes);
            break;
    }
}

void load_matrices(unsigned* words, const void* row, bool transposed, int line)
{
    struct { const void* row; bool transposed; } given{row, transposed};
    if (reinterpret_cast<uintptr_t>(row) % 16) fault("ldmatrix of an address that is not a multiple of 16", 716);
    if (!worker_of(self).shared.holds(row, 16)) fault("ldmatrix of an address outside of shared memory", 700);
    memcpy(words, warp_exchange(WarpOperation::LoadMatrix, &given, sizeof given, line)[own_lane()].bytes, 16);
}

} // namespace engine_shim
