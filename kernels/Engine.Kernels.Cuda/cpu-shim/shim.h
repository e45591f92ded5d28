// The processor's side of common.cuh: what kernels see. No system header, and only the functions that common.cuh gives on a GPU,
// so that a kernel that compiles here uses nothing that is missing there.
#pragma once
#include "calls.h"

#define DEVICE __attribute__((unused, always_inline)) static inline
#define KERNEL(name, parameters) KERNEL_BOUNDED(name, 1024, 1, parameters)
#define KERNEL_BOUNDED(name, threads, blocks, parameters)                                  \
    static void name parameters;                                                           \
    static const engine_shim::Entry engine_entry_##name(#name, __FILE__, name, threads);   \
    static void name parameters
#define SHARED(type, name, dimensions)                                                     \
    static const char engine_slot_##name = 0;                                              \
    using engine_type_##name = type dimensions;                                            \
    engine_type_##name& name = *static_cast<engine_type_##name*>(engine_shim::shared_variable(&engine_slot_##name, sizeof(engine_type_##name)))
#define DYNAMIC_SHARED(type, name) type* name = static_cast<type*>(engine_shim::shared_dynamic())
#define CONSTANT(type, name, dimensions) static const type name dimensions
#define UNROLL _Pragma("GCC unroll 1") // not at all: unrolled loops are slower to compile and to run here

#define threadIdx (engine_shim::self->index)
#define blockIdx (engine_shim::self->block->index)
#define blockDim (engine_shim::self->block->size)
#define gridDim (engine_shim::self->block->grid)

struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
DEVICE float2 make_float2(float x, float y) { return {x, y}; }
DEVICE float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
DEVICE int2 make_int2(int x, int y) { return {x, y}; }
DEVICE int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
DEVICE uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
DEVICE uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
DEVICE float fmaf(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
DEVICE double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
DEVICE float sqrtf(float x) { return __builtin_sqrtf(x); }
DEVICE double sqrt(double x) { return __builtin_sqrt(x); }
DEVICE float fabsf(float x) { return __builtin_fabsf(x); }
DEVICE float floorf(float x) { return __builtin_floorf(x); }
DEVICE float rintf(float x) { return __builtin_rintf(x); }
DEVICE int min(int a, int b) { return b < a ? b : a; }
DEVICE int max(int a, int b) { return a < b ? b : a; }
DEVICE unsigned min(unsigned a, unsigned b) { return b < a ? b : a; }
DEVICE unsigned max(unsigned a, unsigned b) { return a < b ? b : a; }
DEVICE long long min(long long a, long long b) { return b < a ? b : a; }
DEVICE long long max(long long a, long long b) { return a < b ? b : a; }
template <typename To, typename From> DEVICE To engine_bits(From x)
{
    To result;
    static_assert(sizeof(To) == sizeof(From), "bits of the same number");
    __builtin_memcpy(&result, &x, sizeof(To));
    return result;
}
DEVICE int as_int(float x) { return engine_bits<int>(x); }
DEVICE float as_float(int x) { return engine_bits<float>(x); }
DEVICE long long as_long(double x) { return engine_bits<long long>(x); }
DEVICE double as_double(long long x) { return engine_bits<double>(x); }

DEVICE void syncthreads(int line = __builtin_LINE()) { engine_shim::block_barrier(line); }
DEVICE void syncwarp(int line = __builtin_LINE()) { engine_shim::warp_exchange(engine_shim::WarpOperation::Barrier, nullptr, 0, line); }
DEVICE void thread_fence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

namespace engine_shim
{
template <typename T> DEVICE T shuffle(T value, int source, int distance, int line)
{
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a shuffle moves 4 or 8 bytes");
    if (distance < 0 || distance > 31) fault("a shuffle's lane, mask or distance is not in 0..31");
    const Lane* lanes = warp_exchange(WarpOperation::Shuffle, &value, sizeof(T), line);
    if (source < 0 || source > 31) return value;
    __builtin_memcpy(&value, lanes[source].bytes, sizeof(T));
    return value;
}
} // namespace engine_shim

template <typename T> DEVICE T shuffle_xor(T value, int mask, int line = __builtin_LINE()) { return engine_shim::shuffle(value, engine_shim::own_lane() ^ mask, mask, line); }
template <typename T> DEVICE T shuffle_down(T value, int delta, int line = __builtin_LINE()) { return engine_shim::shuffle(value, engine_shim::own_lane() + delta, delta, line); }
template <typename T> DEVICE T shuffle_up(T value, int delta, int line = __builtin_LINE()) { return engine_shim::shuffle(value, engine_shim::own_lane() - delta, delta, line); }
template <typename T> DEVICE T shuffle_idx(T value, int lane, int line = __builtin_LINE()) { return engine_shim::shuffle(value, lane, lane, line); }

DEVICE unsigned ballot(bool predicate, int line = __builtin_LINE())
{
    const engine_shim::Lane* lanes = engine_shim::warp_exchange(engine_shim::WarpOperation::Ballot, &predicate, 1, line);
    unsigned result;
    __builtin_memcpy(&result, lanes[0].bytes + 4, 4);
    return result;
}

DEVICE int atomic_add(int* p, int value) { return (int)__atomic_fetch_add((unsigned*)p, (unsigned)value, __ATOMIC_RELAXED); }
DEVICE int atomic_or(int* p, int value) { return __atomic_fetch_or(p, value, __ATOMIC_RELAXED); }
DEVICE int atomic_exchange(int* p, int value) { return __atomic_exchange_n(p, value, __ATOMIC_RELAXED); }
DEVICE int atomic_cas(int* p, int expected, int value)
{
    __atomic_compare_exchange_n(p, &expected, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return expected;
}
DEVICE int atomic_max(int* p, int value)
{
    int old = __atomic_load_n(p, __ATOMIC_RELAXED);
    while (old < value && !__atomic_compare_exchange_n(p, &old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    return old;
}
DEVICE int atomic_min(int* p, int value)
{
    int old = __atomic_load_n(p, __ATOMIC_RELAXED);
    while (value < old && !__atomic_compare_exchange_n(p, &old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    return old;
}

template <int Bytes> DEVICE void cp_async(void* shared, const void* global, int valid = Bytes)
{
    static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16, "cp.async copies 4, 8 or 16 bytes");
    engine_shim::copy_async(shared, global, Bytes, valid);
}
DEVICE void cp_async_commit() { engine_shim::copy_async_commit(); }
template <int Pending> DEVICE void cp_async_wait() { engine_shim::copy_async_wait(Pending); }

DEVICE void ldmatrix_x4(unsigned (&r)[4], const void* shared_row, int line = __builtin_LINE()) { engine_shim::load_matrices(r, shared_row, false, line); }
DEVICE void ldmatrix_x4_trans(unsigned (&r)[4], const void* shared_row, int line = __builtin_LINE()) { engine_shim::load_matrices(r, shared_row, true, line); }

namespace engine_shim
{
DEVICE void multiply(WarpOperation operation, float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2], int line)
{
    Fragments given;
    __builtin_memcpy(given.c, c, sizeof c);
    __builtin_memcpy(given.a, a, sizeof a);
    __builtin_memcpy(given.b, b, sizeof b);
    __builtin_memcpy(c, warp_exchange(operation, &given, sizeof given, line)[own_lane()].bytes, sizeof c);
}
} // namespace engine_shim

DEVICE void mma_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2], int line = __builtin_LINE())
{
    engine_shim::multiply(engine_shim::WarpOperation::MultiplyTf32, c, a, b, line);
}
DEVICE void mma_bf16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2], int line = __builtin_LINE())
{
    engine_shim::multiply(engine_shim::WarpOperation::MultiplyBf16, c, a, b, line);
}
