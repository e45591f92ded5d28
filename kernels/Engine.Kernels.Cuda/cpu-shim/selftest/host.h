// The self-test's side of the driver: the library loaded by its path as a program would, buffers, launches, and a count of checks.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

struct Size { unsigned x = 1, y = 1, z = 1; };

// Every function of the library that is used, by the names of the driver without cu.
#define DRIVER_FUNCTIONS(F)                                                                                                        \
    F(cuInit, (unsigned)) F(cuDriverGetVersion, (int*)) F(cuDeviceGetCount, (int*)) F(cuDeviceGet, (int*, int))                    \
    F(cuDeviceGetName, (char*, int, int)) F(cuDeviceGetAttribute, (int*, int, int)) F(cuDeviceTotalMem_v2, (size_t*, int))         \
    F(cuDevicePrimaryCtxRetain, (void**, int)) F(cuDevicePrimaryCtxRelease_v2, (int)) F(cuCtxSetCurrent, (void*))                  \
    F(cuCtxGetCurrent, (void**)) F(cuCtxGetDevice, (int*)) F(cuCtxSynchronize, ()) F(cuMemGetInfo_v2, (size_t*, size_t*))          \
    F(cuCtxCreate_v2, (void**, unsigned, int)) F(cuCtxDestroy_v2, (void*)) F(cuCtxGetCacheConfig, (int*))                          \
    F(cuCtxSetCacheConfig, (int)) F(cuCtxGetSharedMemConfig, (int*)) F(cuCtxSetSharedMemConfig, (int))                             \
    F(cuMemcpyAsync, (uint64_t, uint64_t, size_t, void*))                                                                          \
    F(cuMemAllocAsync, (uint64_t*, size_t, void*)) F(cuMemFreeAsync, (uint64_t, void*)) F(cuMemAlloc_v2, (uint64_t*, size_t))      \
    F(cuMemFree_v2, (uint64_t)) F(cuDeviceGetDefaultMemPool, (void**, int)) F(cuMemPoolSetAttribute, (void*, int, void*))          \
    F(cuMemPoolTrimTo, (void*, size_t)) F(cuMemHostAlloc, (void**, size_t, unsigned)) F(cuMemFreeHost, (void*))                    \
    F(cuMemcpyHtoDAsync_v2, (uint64_t, const void*, size_t, void*)) F(cuMemcpyDtoHAsync_v2, (void*, uint64_t, size_t, void*))      \
    F(cuMemcpyDtoDAsync_v2, (uint64_t, uint64_t, size_t, void*)) F(cuMemsetD8Async, (uint64_t, unsigned char, size_t, void*))      \
    F(cuMemsetD32Async, (uint64_t, unsigned, size_t, void*)) F(cuStreamCreate, (void**, unsigned)) F(cuStreamDestroy_v2, (void*))  \
    F(cuStreamSynchronize, (void*)) F(cuStreamBeginCapture_v2, (void*, int)) F(cuStreamEndCapture, (void*, void**))                \
    F(cuStreamGetCaptureInfo_v2, (void*, int*, uint64_t*, void**, void***, size_t*)) F(cuEventCreate, (void**, unsigned))          \
    F(cuEventDestroy_v2, (void*)) F(cuEventRecord, (void*, void*)) F(cuEventSynchronize, (void*))                                  \
    F(cuEventElapsedTime, (float*, void*, void*)) F(cuModuleLoadDataEx, (void**, const void*, unsigned, int*, void**))             \
    F(cuModuleUnload, (void*)) F(cuModuleGetFunction, (void**, void*, const char*)) F(cuFuncSetAttribute, (void*, int, int))       \
    F(cuFuncGetAttribute, (int*, int, void*))                                                                                      \
    F(cuLaunchKernel, (void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**))        \
    F(cuGraphCreate, (void**, unsigned)) F(cuGraphAddChildGraphNode, (void**, void*, void* const*, size_t, void*))                 \
    F(cuGraphInstantiateWithFlags, (void**, void*, unsigned long long)) F(cuGraphLaunch, (void*, void*))                           \
    F(cuGraphExecDestroy, (void*)) F(cuGraphDestroy, (void*)) F(cuGraphGetNodes, (void*, void**, size_t*))                         \
    F(cuGetErrorName, (int, const char**)) F(cuGetErrorString, (int, const char**)) F(standin_annotate, (uint64_t, uint64_t))      \
    F(standin_seed, (uint64_t)) F(standin_architecture, (int)) F(standin_multiprocessors, (int)) F(standin_counts, (uint64_t*, uint64_t*, uint64_t*))

#define DECLARE(name, parameters) extern int(*name) parameters;
DRIVER_FUNCTIONS(DECLARE)
#undef DECLARE

// Loads the library; ends the process if that fails.
void open_library(const char* path);
// The context and its stream anew: after an error that stays.
void renew();
extern void *context, *stream;

extern int checks, failures;
void check(bool good, const char* what, const char* file, int line);
#define CHECK(...) check((__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)

// Memory of the device that holds a vector.
template <typename T> struct Buffer
{
    uint64_t address = 0;
    size_t count;
    explicit Buffer(const std::vector<T>& values) : count(values.size())
    {
        CHECK(cuMemAllocAsync(&address, count * sizeof(T), nullptr) == 0);
        CHECK(cuMemcpyHtoDAsync_v2(address, values.data(), count * sizeof(T), nullptr) == 0);
    }
    explicit Buffer(size_t count) : Buffer(std::vector<T>(count)) {}
    Buffer(const Buffer&) = delete;
    ~Buffer() { cuMemFreeAsync(address, nullptr); }
    std::vector<T> read() const
    {
        std::vector<T> values(count);
        CHECK(cuMemcpyDtoHAsync_v2(values.data(), address, count * sizeof(T), nullptr) == 0);
        return values;
    }
};

// A function that the library was compiled with.
void* function(const char* name);

template <typename... T> int launch_function(void* f, Size grid, Size block, unsigned shared, void* on, T... arguments)
{
    void* addresses[] = {&arguments..., nullptr};
    return cuLaunchKernel(f, grid.x, grid.y, grid.z, block.x, block.y, block.z, shared, on, addresses, nullptr);
}

// Launches a native entry on the default stream. Arguments have the parameters' types; addresses are uint64_t.
template <typename... T> int launch(const char* name, Size grid, Size block, unsigned shared, T... arguments)
{
    return launch_function(function(name), grid, block, shared, nullptr, arguments...);
}

// Calls with several orders of threads and blocks.
void with_seeds(const std::function<void()>& body);

// Numbers of a fixed sequence, uniform in [-1, 1).
struct Numbers
{
    uint64_t state;
    explicit Numbers(uint64_t seed) : state(seed * 2862933555777941757ull + 3037000493ull) {}
    uint32_t word()
    {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        return (uint32_t)(state >> 32);
    }
    float unit() { return (float)(int32_t)word() * (1.0f / 2147483648.0f); }
};

// Bits of both are the same, or both are NaN.
inline bool same(float a, float b) { return memcmp(&a, &b, 4) == 0 || (a != a && b != b); }

void test_threads();
void test_tensor();
// Before anything is launched, for the test of the driver.
void catch_host_signals();
void test_driver();
void test_ptx();

// Launches that ENGINE_STANDIN_RECORD shall hold: "good" ones, or one that accesses memory "beyond" an operand, "before" it, or "shared" memory
// beyond a variable.
void record(const std::string& kind);
