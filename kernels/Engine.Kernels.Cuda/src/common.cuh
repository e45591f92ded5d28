// What every kernel includes, and the only thing: the form of an entry, shared memory, warp and block operations, asynchronous
// copies, tensor core products, and functions whose results have the bits of the processor's.
//
// Compiles with NVRTC and nvcc, with clang (-x cuda -nocudainc -nocudalib), and with a C++17 compiler for the processor, where
// cpu-shim/shim.h gives the bodies. No system header on a GPU. Threads of a block are counted x first, then y, then z; a warp is
// 32 that follow one another. Operations of a warp need all its 32 threads, those of a block all its threads.
#pragma once

#if defined(__CUDACC__) || defined(__CUDA__)
#define ENGINE_GPU 1
#endif

#ifdef ENGINE_GPU

#if defined(__clang__) && !defined(__CUDACC_RTC__)
#define __device__ __attribute__((device))
#define __global__ __attribute__((global))
#define __shared__ __attribute__((shared))
#define __constant__ __attribute__((constant))
#define __forceinline__ __inline__ __attribute__((always_inline))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
struct EngineIndex { unsigned x, y, z; };
#define threadIdx (EngineIndex{(unsigned)__nvvm_read_ptx_sreg_tid_x(), (unsigned)__nvvm_read_ptx_sreg_tid_y(), (unsigned)__nvvm_read_ptx_sreg_tid_z()})
#define blockIdx (EngineIndex{(unsigned)__nvvm_read_ptx_sreg_ctaid_x(), (unsigned)__nvvm_read_ptx_sreg_ctaid_y(), (unsigned)__nvvm_read_ptx_sreg_ctaid_z()})
#define blockDim (EngineIndex{(unsigned)__nvvm_read_ptx_sreg_ntid_x(), (unsigned)__nvvm_read_ptx_sreg_ntid_y(), (unsigned)__nvvm_read_ptx_sreg_ntid_z()})
#define gridDim (EngineIndex{(unsigned)__nvvm_read_ptx_sreg_nctaid_x(), (unsigned)__nvvm_read_ptx_sreg_nctaid_y(), (unsigned)__nvvm_read_ptx_sreg_nctaid_z()})
#define ENGINE_OWN_BUILTINS 1
#endif

// A function that kernels call.
#define DEVICE static __device__ __forceinline__
// An entry: KERNEL(name, (parameters)) { body }. Parameters are pointers, int, long long and float.
#define KERNEL(name, parameters) extern "C" __global__ void name parameters
// The same for at most `threads` a block, of which `blocks` shall fit on a multiprocessor: bounds its registers.
#define KERNEL_BOUNDED(name, threads, blocks, parameters) extern "C" __global__ void __launch_bounds__(threads, blocks) name parameters
// Static shared memory, SHARED(float, tile, [32][33]); aligned to 16 bytes. Its content is undefined at first.
#define SHARED(type, name, dimensions) __shared__ __attribute__((aligned(16))) type name dimensions
// A pointer to the dynamic shared memory of the launch, aligned to 128 bytes.
#define DYNAMIC_SHARED(type, name)                                                       \
    extern __shared__ __attribute__((aligned(128))) unsigned char engine_dynamic_shared[]; \
    type* name = reinterpret_cast<type*>(engine_dynamic_shared)
// A table: CONSTANT(float, table, [3]) = {1, 2, 3};
#define CONSTANT(type, name, dimensions) static __device__ __constant__ const type name dimensions
#define UNROLL _Pragma("unroll")
// Unrolls a loop that many times; a constant.
#define ENGINE_PRAGMA(text) _Pragma(#text)
#define UNROLL_BY(times) ENGINE_PRAGMA(unroll times)

#ifdef ENGINE_OWN_BUILTINS
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
DEVICE float sqrtf(float x) { return __nvvm_sqrt_rn_f(x); }
DEVICE double sqrt(double x) { return __nvvm_sqrt_rn_d(x); }
DEVICE float fabsf(float x) { return __builtin_fabsf(x); }
DEVICE float floorf(float x) { return __builtin_floorf(x); }
DEVICE float rintf(float x) { return __builtin_rintf(x); }
DEVICE int min(int a, int b) { return b < a ? b : a; }
DEVICE int max(int a, int b) { return a < b ? b : a; }
DEVICE unsigned min(unsigned a, unsigned b) { return b < a ? b : a; }
DEVICE unsigned max(unsigned a, unsigned b) { return a < b ? b : a; }
DEVICE long long min(long long a, long long b) { return b < a ? b : a; }
DEVICE long long max(long long a, long long b) { return a < b ? b : a; }
DEVICE int as_int(float x) { return __builtin_bit_cast(int, x); }
DEVICE float as_float(int x) { return __builtin_bit_cast(float, x); }
DEVICE long long as_long(double x) { return __builtin_bit_cast(long long, x); }
DEVICE double as_double(long long x) { return __builtin_bit_cast(double, x); }
#else
DEVICE int as_int(float x) { return __float_as_int(x); }
DEVICE float as_float(int x) { return __int_as_float(x); }
DEVICE long long as_long(double x) { return __double_as_longlong(x); }
DEVICE double as_double(long long x) { return __longlong_as_double(x); }
#endif

// ---- Synchronisation

// All threads of the block, with what they wrote to memory.
DEVICE void syncthreads()
{
    __syncthreads();
}

// All threads of the warp, with what they wrote to memory.
DEVICE void syncwarp()
{
#ifdef ENGINE_OWN_BUILTINS
    __nvvm_bar_warp_sync(0xFFFFFFFFu);
#else
    __syncwarp();
#endif
}

// What this thread wrote before is seen by all blocks before what it writes after.
DEVICE void thread_fence()
{
    asm volatile("membar.gl;" ::: "memory");
}

// ---- Warp shuffles: of types of 4 and 8 bytes

#ifdef ENGINE_OWN_BUILTINS
#define ENGINE_SHUFFLE(name, builtin, clamp)                                                                          \
    template <typename T> DEVICE T name(T value, int lane)                                                            \
    {                                                                                                                 \
        static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a shuffle moves 4 or 8 bytes");                              \
        int words[sizeof(T) / 4];                                                                                     \
        __builtin_memcpy(words, &value, sizeof(T));                                                                   \
        for (int i = 0; i < (int)(sizeof(T) / 4); i++) words[i] = builtin(0xFFFFFFFFu, words[i], lane, clamp);        \
        __builtin_memcpy(&value, words, sizeof(T));                                                                   \
        return value;                                                                                                 \
    }
ENGINE_SHUFFLE(shuffle_xor, __nvvm_shfl_sync_bfly_i32, 31)
ENGINE_SHUFFLE(shuffle_down, __nvvm_shfl_sync_down_i32, 31)
ENGINE_SHUFFLE(shuffle_up, __nvvm_shfl_sync_up_i32, 0)
ENGINE_SHUFFLE(shuffle_idx, __nvvm_shfl_sync_idx_i32, 31)
#undef ENGINE_SHUFFLE
DEVICE unsigned ballot(bool predicate) { return __nvvm_vote_ballot_sync(0xFFFFFFFFu, predicate); }
#else
// The value of lane (own lane ^ mask).
template <typename T> DEVICE T shuffle_xor(T value, int mask) { return __shfl_xor_sync(0xFFFFFFFFu, value, mask); }
// The value of lane (own lane + delta), the own value where there is none.
template <typename T> DEVICE T shuffle_down(T value, int delta) { return __shfl_down_sync(0xFFFFFFFFu, value, delta); }
// The value of lane (own lane - delta), the own value where there is none.
template <typename T> DEVICE T shuffle_up(T value, int delta) { return __shfl_up_sync(0xFFFFFFFFu, value, delta); }
// The value of the lane given.
template <typename T> DEVICE T shuffle_idx(T value, int lane) { return __shfl_sync(0xFFFFFFFFu, value, lane); }
// Bit i is what lane i gave.
DEVICE unsigned ballot(bool predicate) { return __ballot_sync(0xFFFFFFFFu, predicate); }
#endif

// ---- Atomics, of integers only: sums of floats must not depend on the order of threads. All give what was there before.

DEVICE int atomic_add(int* p, int value)
{
    int old;
    asm volatile("atom.add.s32 %0, [%1], %2;" : "=r"(old) : "l"(p), "r"(value) : "memory");
    return old;
}

DEVICE int atomic_max(int* p, int value)
{
    int old;
    asm volatile("atom.max.s32 %0, [%1], %2;" : "=r"(old) : "l"(p), "r"(value) : "memory");
    return old;
}

DEVICE int atomic_min(int* p, int value)
{
    int old;
    asm volatile("atom.min.s32 %0, [%1], %2;" : "=r"(old) : "l"(p), "r"(value) : "memory");
    return old;
}

DEVICE int atomic_or(int* p, int value)
{
    int old;
    asm volatile("atom.or.b32 %0, [%1], %2;" : "=r"(old) : "l"(p), "r"(value) : "memory");
    return old;
}

DEVICE int atomic_exchange(int* p, int value)
{
    int old;
    asm volatile("atom.exch.b32 %0, [%1], %2;" : "=r"(old) : "l"(p), "r"(value) : "memory");
    return old;
}

DEVICE int atomic_cas(int* p, int expected, int value)
{
    int old;
    asm volatile("atom.cas.b32 %0, [%1], %2, %3;" : "=r"(old) : "l"(p), "r"(expected), "r"(value) : "memory");
    return old;
}

// ---- Asynchronous copies from global to shared memory, compute capability 8.0 (before: copied at once)

DEVICE unsigned shared_address(const void* shared)
{
    unsigned address;
    asm("{ .reg .u64 wide; cvta.to.shared.u64 wide, %1; cvt.u32.u64 %0, wide; }" : "=r"(address) : "l"(shared));
    return address;
}

// A place in shared memory: shared_place(p) is found once and moved by bytes, where finding it anew for every copy would cost as much as the copy.
typedef unsigned SharedPlace;
DEVICE SharedPlace shared_place(const void* shared) { return shared_address(shared); }

// Copies `valid` bytes (a multiple of 4) and fills up to Bytes with zeros. Both addresses are multiples of Bytes; with valid = 0
// the global one is not read, but must be a valid address all the same.
template <int Bytes> DEVICE void cp_async(SharedPlace shared, const void* global, int valid = Bytes)
{
    static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16, "cp.async copies 4, 8 or 16 bytes");
#if __CUDA_ARCH__ >= 800
    if (Bytes == 16) asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(global), "r"(valid) : "memory");
    else asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared), "l"(global), "n"(Bytes), "r"(valid) : "memory");
#else
    for (int i = 0; i < Bytes / 4; i++)
        asm volatile("st.shared.b32 [%0], %1;" ::"r"(shared + 4 * i), "r"(4 * i < valid ? static_cast<const int*>(global)[i] : 0) : "memory");
#endif
}

template <int Bytes> DEVICE void cp_async(void* shared, const void* global, int valid = Bytes) { cp_async<Bytes>(shared_place(shared), global, valid); }

// Closes a group of the copies that this thread began.
DEVICE void cp_async_commit()
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most Pending groups of this thread are under way. Other threads see what was copied after a syncthreads.
template <int Pending> DEVICE void cp_async_wait()
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
#endif
}

// ---- Tensor cores. Before compute capability 8.0 the products trap: the launches choose other kernels.

// Four 8x8 matrices of 16-bit elements: lane i gives the address (16 bytes aligned) of row i % 8 of matrix i / 8, and gets in r[m]
// the elements 2 (lane % 4) and the next of row lane / 4 of matrix m.
DEVICE void ldmatrix_x4(unsigned (&r)[4], SharedPlace shared_row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_row) : "memory");
}

DEVICE void ldmatrix_x4(unsigned (&r)[4], const void* shared_row) { ldmatrix_x4(r, shared_place(shared_row)); }

// The same of the matrices transposed.
DEVICE void ldmatrix_x4_trans(unsigned (&r)[4], SharedPlace shared_row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_row) : "memory");
}

DEVICE void ldmatrix_x4_trans(unsigned (&r)[4], const void* shared_row) { ldmatrix_x4_trans(r, shared_place(shared_row)); }

// c += a b for a 16x8, b 8x8, c 16x8. With g = lane / 4, t = lane % 4: a holds (row g, column t), (g + 8, t), (g, t + 4),
// (g + 8, t + 4); b (row t, column g), (t + 4, g); c (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1).
// Elements are floats of which the lower 13 bits are ignored: see to_tf32.
DEVICE void mma_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2])
{
#if __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    (void)c, (void)a, (void)b;
    asm volatile("trap;");
#endif
}

// c += a b for a 16x16, b 16x8, c 16x8. Each word holds two bfloat16, the first in the lower half: a (row g, columns 2t, 2t + 1),
// (g + 8, 2t ..), (g, 2t + 8 ..), (g + 8, 2t + 8 ..); b (rows 2t, 2t + 1, column g), (2t + 8 .., g); c as above.
DEVICE void mma_bf16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2])
{
#if __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    (void)c, (void)a, (void)b;
    asm volatile("trap;");
#endif
}

#else // the processor
#include "shim.h"
#define UNROLL_BY(times)
typedef unsigned char* SharedPlace;
DEVICE SharedPlace shared_place(const void* shared) { return static_cast<unsigned char*>(const_cast<void*>(shared)); }
#endif

// ---- From here on the same text for the GPU and the processor

// The thread's number in its block, its lane in its warp, its warp in the block, and the threads of the block.
DEVICE int thread_rank() { return (int)((threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x); }
DEVICE int lane_index() { return thread_rank() & 31; }
DEVICE int warp_index() { return thread_rank() >> 5; }
DEVICE int block_threads() { return (int)(blockDim.x * blockDim.y * blockDim.z); }

// IEEE 754-2019 maximum and minimum: NaN if either is, +0 above -0.
DEVICE float maximum(float a, float b)
{
    if (a != a) return a;
    if (a == b) return as_float(as_int(a) & as_int(b));
    return a > b ? a : b;
}

DEVICE float minimum(float a, float b)
{
    if (a != a) return a;
    if (a == b) return as_float(as_int(a) | as_int(b));
    return a < b ? a : b;
}

DEVICE int maximum(int a, int b) { return a > b ? a : b; }
DEVICE int minimum(int a, int b) { return a < b ? a : b; }

// ---- Reductions of a warp and of a block in a fixed order; all threads get the result. A block has a multiple of 32 threads.

template <typename T> DEVICE T warp_sum(T value)
{
    UNROLL
    for (int mask = 16; mask > 0; mask >>= 1) value = value + shuffle_xor(value, mask);
    return value;
}

template <typename T> DEVICE T warp_max(T value)
{
    UNROLL
    for (int mask = 16; mask > 0; mask >>= 1) value = maximum(value, shuffle_xor(value, mask));
    return value;
}

template <typename T> DEVICE T warp_min(T value)
{
    UNROLL
    for (int mask = 16; mask > 0; mask >>= 1) value = minimum(value, shuffle_xor(value, mask));
    return value;
}

// Results of the warps, in shared memory between the two steps of a block's reduction. Several calls may follow one another.
template <typename T> DEVICE T engine_warp_partial(T value, T outside)
{
    SHARED(T, partial, [32]);
    syncthreads(); // an earlier call's results are read by now
    if (lane_index() == 0) partial[warp_index()] = value;
    syncthreads();
    return lane_index() < (block_threads() + 31) / 32 ? partial[lane_index()] : outside;
}

template <typename T> DEVICE T block_sum(T value)
{
    value = warp_sum(value);
    return block_threads() <= 32 ? value : warp_sum(engine_warp_partial<T>(value, T(0)));
}

template <typename T> DEVICE T block_max(T value)
{
    value = warp_max(value);
    return block_threads() <= 32 ? value : warp_max(engine_warp_partial<T>(value, value));
}

template <typename T> DEVICE T block_min(T value)
{
    value = warp_min(value);
    return block_threads() <= 32 ? value : warp_min(engine_warp_partial<T>(value, value));
}

// ---- Conversions

// The nearest bfloat16, halves to even; large numbers round to infinity, NaN stays a quiet NaN of its sign.
DEVICE unsigned short float_to_bf16(float x)
{
    unsigned bits = (unsigned)as_int(x);
    bits = x == x ? bits + (0x7FFFu + (bits >> 16 & 1u)) : bits | 0x00400000u;
    return (unsigned short)(bits >> 16);
}

DEVICE float bf16_to_float(unsigned short x) { return as_float((int)((unsigned)x << 16)); }

// Two as one word, the first in the lower half.
DEVICE unsigned pack_bf16(float low, float high) { return (unsigned)float_to_bf16(low) | (unsigned)float_to_bf16(high) << 16; }

// The same for mma_bf16: a NaN is any NaN.
DEVICE unsigned to_bf16_pair(float low, float high)
{
#if defined(ENGINE_GPU) && __CUDA_ARCH__ >= 800
    unsigned result;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
    return result;
#else
    return pack_bf16(low, high);
#endif
}

// The nearest float with 10 bits of fraction, halves away from zero (cvt.rna.tf32): what mma_tf32 takes. x - as_float(to_tf32(x)) is exact.
DEVICE unsigned to_tf32(float x)
{
#if defined(ENGINE_GPU) && __CUDA_ARCH__ >= 800
    unsigned result;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(result) : "f"(x));
    return result;
#else
    unsigned bits = (unsigned)as_int(x);
    if ((bits & 0x7F800000u) == 0x7F800000u) return bits & 0x7FFFFFu ? 0x7FFFFFFFu : bits;
    return (bits + 0x1000u) & 0xFFFFE000u;
#endif
}

// The same for mma_tf32, cheaper: the lower bits, which it ignores, are left as they come out.
DEVICE unsigned to_tf32_operand(float x)
{
    unsigned bits = (unsigned)as_int(x);
#ifdef ENGINE_GPU
    asm("{ .reg .pred finite; .reg .f32 size; abs.f32 size, %1; setp.lt.f32 finite, size, 0f7F800000; @finite add.u32 %0, %0, 4096; }" : "+r"(bits) : "f"(x));
    return bits;
#else
    return (bits & 0x7F800000u) == 0x7F800000u ? bits : bits + 0x1000u;
#endif
}

// The upper word of a product of words.
DEVICE unsigned multiply_high(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }

// ---- Functions of floats: the polynomials of Cpu/Elementwise/VectorMath, operation by operation, so with the same bits

DEVICE float engine_power_of_two(int n) { return as_float((int)((unsigned)n << 23) + 0x3F800000); }

DEVICE float engine_with_sign(float magnitude, float sign) { return as_float(as_int(magnitude) | (as_int(sign) & (int)0x80000000)); }

DEVICE float engine_exp(float x)
{
    x = x < -105.0f ? -105.0f : x;
    x = 89.0f < x ? 89.0f : x;
    float shifted = fmaf(x, 1.442695041f, 12582912.0f), n = shifted - 12582912.0f;
    float r = fmaf(n, -0.693145752f, x);
    r = fmaf(n, -1.42860677e-6f, r);
    float p = fmaf(1.37805939e-3f, r, 8.37312452e-3f);
    p = fmaf(p, r, 4.16695364e-2f);
    p = fmaf(p, r, 1.66664720e-1f);
    p = fmaf(p, r, 4.99999851e-1f);
    p = fmaf(p, r, 1.0f);
    p = fmaf(p, r, 1.0f);
    int exponent = (int)((unsigned)as_int(shifted) - 0x4B400000u), half = exponent >> 1;
    return p * engine_power_of_two(half) * engine_power_of_two(exponent - half);
}

DEVICE float engine_expm1(float x)
{
    float bounded = x < -18.0f ? -18.0f : x;
    bounded = 89.0f < bounded ? 89.0f : bounded;
    float shifted = fmaf(bounded, 1.442695041f, 12582912.0f), n = shifted - 12582912.0f;
    float r = fmaf(n, -0.693145752f, bounded);
    r = fmaf(n, -1.42860677e-6f, r);
    float p = fmaf(1.97350979e-4f, r, 1.39309070e-3f);
    p = fmaf(p, r, 8.33343994e-3f);
    p = fmaf(p, r, 4.16668020e-2f);
    p = fmaf(p, r, 1.66666716e-1f);
    p = fmaf(p, r, 4.99999970e-1f);
    p = fmaf(p, r * r, r);
    float scale = engine_power_of_two((int)((unsigned)as_int(shifted) - 0x4B400000u) - 1);
    float result = fmaf(scale, p, scale - 0.5f);
    result = n == 0.0f ? p : result + result;
    return x == 0.0f ? x : result;
}

DEVICE float engine_sigmoid(float x)
{
    float e = engine_exp(0.0f - fabsf(x));
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

DEVICE float engine_tanh(float x)
{
    float a = fabsf(x), square = a * a;
    float p = fmaf(-5.70498872745e-3f, square, 2.06390887954e-2f);
    p = fmaf(p, square, -5.37397155531e-2f);
    p = fmaf(p, square, 1.33314422036e-1f);
    p = fmaf(p, square, -3.33332819422e-1f);
    float small = fmaf(p * square, a, a);
    float large = 1.0f - 2.0f / (engine_exp(a + a) + 1.0f);
    return engine_with_sign(a < 0.625f ? small : large, x);
}

DEVICE float engine_erf(float x)
{
    float a = fabsf(x);
    a = 4.0f < a ? 4.0f : a;
    float s = a * a;
    float r = fmaf(-1.72853470e-5f, a, 3.83197126e-4f), u = fmaf(-3.88396438e-3f, a, 2.42546219e-2f);
    r = fmaf(r, s, u);
    r = fmaf(r, a, -1.06777877e-1f);
    r = fmaf(r, a, -6.34846687e-1f);
    r = fmaf(r, a, -1.28717512e-1f);
    r = fmaf(r, a, 0.0f - a);
    float large = 1.0f - engine_exp(r);
    float p = fmaf(-5.96761703e-4f, s, 4.99119423e-3f);
    p = fmaf(p, s, -2.67681349e-2f);
    p = fmaf(p, s, 1.12819925e-1f);
    p = fmaf(p, s, -3.76125336e-1f);
    p = fmaf(p, s, 1.28379166e-1f);
    float small = fmaf(p, a, a);
    return engine_with_sign(0.927734375f < a ? large : small, x);
}

// log(1 + f) for f in [-1/3, 1/3].
DEVICE float engine_log_of_sum(float f)
{
    float s = f * f;
    float r = fmaf(-0.130310059f, s, -0.121483512f), t = fmaf(0.140869141f, s, 0.139814854f);
    r = fmaf(r, s, -0.166846126f);
    t = fmaf(t, s, 0.200120345f);
    r = fmaf(r, s, -0.249996200f);
    r = fmaf(t, f, r);
    r = fmaf(r, f, 0.333331972f);
    r = fmaf(r, f, -0.5f);
    return fmaf(r, s, f);
}

// -inf where the argument is 0, NaN below, x itself (inf or NaN) above all finite numbers.
DEVICE float engine_log_limits(float result, float argument, float x)
{
    if (0.0f < argument && argument < as_float(0x7F800000)) return result;
    if (argument == 0.0f) return as_float((int)0xFF800000);
    return argument < 0.0f ? as_float((int)0xFFC00000) : x;
}

// The exponent of x against [2/3, 4/3), in the place of a float's exponent.
DEVICE int engine_log_exponent(float x) { return (int)(((unsigned)as_int(x) - 0x3F2AAAABu) & 0xFF800000u); }

DEVICE float engine_log(float x)
{
    bool denormal = x < 1.17549435e-38f;
    float scaled = denormal ? x * 8388608.0f : x;
    int e = engine_log_exponent(scaled);
    float f = as_float((int)((unsigned)as_int(scaled) - (unsigned)e)) - 1.0f;
    float exponent = fmaf((float)e, 1.1920929e-7f, denormal ? -23.0f : 0.0f);
    return engine_log_limits(fmaf(exponent, 0.693147182f, engine_log_of_sum(f)), x, x);
}

DEVICE float engine_log1p(float x)
{
    float sum = x + 1.0f;
    int e = engine_log_exponent(sum);
    float f = as_float((int)((unsigned)as_int(x) - (unsigned)e)) + fmaf(0.25f, as_float((int)(0x40800000u - (unsigned)e)), -1.0f);
    float r = fmaf((float)e * 1.1920929e-7f, 0.693147182f, engine_log_of_sum(f));
    return x == 0.0f ? x : engine_log_limits(r, sum, x);
}

DEVICE float engine_softplus(float x) { return (x <= 0.0f ? 0.0f : x) + engine_log1p(engine_exp(0.0f - fabsf(x))); }

// ---- Random numbers: Philox4x32-10 as in Philox.cs

// Four random words of the counter, in its place, under a key.
DEVICE void philox(unsigned (&counter)[4], unsigned key0, unsigned key1)
{
    for (int round = 0; round < 10; round++)
    {
        unsigned long long p0 = 0xD2511F53ull * counter[0], p1 = 0xCD9E8D57ull * counter[2];
        unsigned c1 = counter[1], c3 = counter[3];
        counter[0] = (unsigned)(p1 >> 32) ^ c1 ^ key0;
        counter[1] = (unsigned)p1;
        counter[2] = (unsigned)(p0 >> 32) ^ c3 ^ key1;
        counter[3] = (unsigned)p0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

// A number in [0, 1), a multiple of 2^-24.
DEVICE float philox_unit(unsigned x) { return (float)(x >> 8) * (1.0f / 16777216.0f); }

// An integer in [0, bound).
DEVICE int philox_integer(unsigned x, int bound) { return (int)multiply_high(x, (unsigned)bound); }

// Natural logarithm of a positive normal number; at most 1 ulp. With x = 2^e (1 + f) and s = f / (2 + f),
// log(1 + f) = 2 (s + s^3/3 + s^5/5 + ...), of which f is taken out so that the quotient's rounding hardly counts.
DEVICE double engine_log_double(double x)
{
    long long bits = as_long(x) - 0x3FE6A09E667F3BCDll; // sqrt(1/2)
    int e = (int)(bits >> 52);
    double f = as_double(as_long(x) - (long long)((unsigned long long)(long long)e << 52)) - 1.0;
    double s = f / (2.0 + f), z = s * s;
    double r = 2.0 / 23.0;
    r = fma(r, z, 2.0 / 21.0);
    r = fma(r, z, 2.0 / 19.0);
    r = fma(r, z, 2.0 / 17.0);
    r = fma(r, z, 2.0 / 15.0);
    r = fma(r, z, 2.0 / 13.0);
    r = fma(r, z, 2.0 / 11.0);
    r = fma(r, z, 2.0 / 9.0);
    r = fma(r, z, 2.0 / 7.0);
    r = fma(r, z, 2.0 / 5.0);
    r = fma(r, z, 2.0 / 3.0);
    double half_square = 0.5 * f * f, n = (double)e;
    double low = fma(s, half_square + z * r, n * 1.90821492927058770002e-10);
    return fma(n, 6.93147180369123816490e-01, f - (half_square - low));
}

// Sine and cosine of x in [0, 2 pi]; at most 1 ulp.
DEVICE void engine_sincos_double(double x, double& sine, double& cosine)
{
    int quarter = (int)(x * 6.36619772367581382433e-01 + 0.5);
    double n = (double)quarter;
    double r = fma(n, -1.57079632679489655800e+00, x);
    r = fma(n, -6.12323399573676603587e-17, r);
    double z = r * r;
    double p = 1.0 / 355687428096000.0;
    p = fma(p, z, -1.0 / 1307674368000.0);
    p = fma(p, z, 1.0 / 6227020800.0);
    p = fma(p, z, -1.0 / 39916800.0);
    p = fma(p, z, 1.0 / 362880.0);
    p = fma(p, z, -1.0 / 5040.0);
    p = fma(p, z, 1.0 / 120.0);
    p = fma(p, z, -1.0 / 6.0);
    double s = fma(p * z, r, r);
    double q = -1.0 / 6402373705728000.0;
    q = fma(q, z, 1.0 / 20922789888000.0);
    q = fma(q, z, -1.0 / 87178291200.0);
    q = fma(q, z, 1.0 / 479001600.0);
    q = fma(q, z, -1.0 / 3628800.0);
    q = fma(q, z, 1.0 / 40320.0);
    q = fma(q, z, -1.0 / 720.0);
    q = fma(q, z, 1.0 / 24.0);
    double half = 0.5 * z, high = 1.0 - half;
    double c = high + ((1.0 - high) - half + z * z * q);
    bool odd = quarter & 1;
    sine = odd ? c : s;
    cosine = odd ? s : c;
    if (quarter & 2) sine = -sine;
    if ((quarter + 1) & 2) cosine = -cosine;
}

// Two independent standard normals from two words (Box and Muller), in double as Philox.cs.
DEVICE void philox_normal_pair(unsigned x, unsigned y, float& a, float& b)
{
    double radius = sqrt(-2.0 * engine_log_double(((double)x + 1.0) * (1.0 / 4294967296.0)));
    double sine, cosine;
    engine_sincos_double(6.283185307179586 * ((double)y * (1.0 / 4294967296.0)), sine, cosine);
    a = (float)(radius * cosine);
    b = (float)(radius * sine);
}
