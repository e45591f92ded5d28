// The self-test of the shim and of the stand-in driver: main LIBRARY, where the library was built with the kernels of this folder.
#include "host.h"
#include <chrono>
#include <cstdlib>
#include <dlfcn.h>

#define DEFINE(name, parameters) int(*name) parameters;
DRIVER_FUNCTIONS(DEFINE)
#undef DEFINE

void *context, *stream;
int checks, failures;

void check(bool good, const char* what, const char* file, int line)
{
    checks++;
    if (good) return;
    if (failures++ < 50) fprintf(stderr, "%s:%d: FAILED: %s\n", file, line, what);
}

static void need(bool good, const char* what)
{
    if (good) return;
    fprintf(stderr, "selftest: %s\n", what);
    exit(2);
}

void renew()
{
    cuDevicePrimaryCtxRelease_v2(0);
    need(cuDevicePrimaryCtxRetain(&context, 0) == 0 && cuCtxSetCurrent(context) == 0, "no context");
    need(cuStreamCreate(&stream, 1) == 0, "no stream");
}

void open_library(const char* path)
{
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) fprintf(stderr, "%s\n", dlerror());
    need(library, "the library does not load");
#define LOAD(name, parameters)                                   \
    name = reinterpret_cast<int(*) parameters>(dlsym(library, #name)); \
    need(name, "the library lacks " #name);
    DRIVER_FUNCTIONS(LOAD)
#undef LOAD
}

void* function(const char* name)
{
    void *module, *found = nullptr;
    std::string text = std::string(".version 6.5\n.target sm_75\n.address_size 64\n.visible .entry ") + name + "()\n{\n\tret;\n}\n";
    CHECK(cuModuleLoadDataEx(&module, text.c_str(), 0, nullptr, nullptr) == 0);
    CHECK(cuModuleGetFunction(&found, module, name) == 0);
    return found;
}

void with_seeds(const std::function<void()>& body)
{
    for (uint64_t seed : {0, 1, 2, 3, 12345})
    {
        standin_seed(seed);
        body();
    }
    standin_seed(0);
}

// What the environment says of the device; each in a process of its own.
static void environment(const std::string& kind)
{
    int value = 0;
    if (kind == "no-device")
    {
        CHECK(cuInit(0) == 100 && cuDeviceGetCount(&value) == 3);
        return;
    }
    CHECK(cuInit(0) == 0 && cuDriverGetVersion(&value) == 0 && value == 11040 && cuDeviceGetCount(&value) == 0 && value == 2);
    void *first, *second;
    CHECK(cuDevicePrimaryCtxRetain(&first, 0) == 0 && cuDevicePrimaryCtxRetain(&second, 1) == 0 && first != second && cuCtxSetCurrent(second) == 0 && cuCtxGetDevice(&value) == 0 && value == 1);
    CHECK(cuDeviceGetAttribute(&value, 75, 1) == 0 && value == 7 && cuDeviceGetAttribute(&value, 97, 1) == 0 && value == 65536 && cuDeviceGetAttribute(&value, 16, 1) == 0 && value == 132);
    // Before compute capability 8.0 asynchronous copies are made at once, and products trap.
    std::vector<float> x(256 * 3, 1.0f);
    Buffer<float> from(x), to(256), a(x), b(x), c(x);
    CHECK(launch("t_pipeline_no_wait", {}, {256}, 0, from.address, to.address, 3) == 0 && to.read()[255] == 3.0f);
    CHECK(launch("t_mma_tf32", {}, {32}, 0, a.address, b.address, c.address) == 719);
    CHECK(cuCtxSetCurrent(first) == 0 && cuCtxSynchronize() == 0); // the other context lives
}

int main(int count, char** arguments)
{
    need(count == 2 || count == 3, "usage: selftest LIBRARY [what to record]");
    setenv("ENGINE_STANDIN_MEMORY", "67108864", 1);
    open_library(arguments[1]);
    if (count == 3 && getenv("ENGINE_STANDIN_DEVICES"))
    {
        environment(arguments[2]);
        return failures ? 1 : 0;
    }
    int version;
    CHECK(cuDeviceGetCount(&version) == 3); // not initialised
    need(cuInit(0) == 0, "cuInit");
    catch_host_signals();
    renew();
    if (count == 3)
    {
        record(arguments[2]);
        return failures ? 1 : 0;
    }
    struct { const char* name; void (*run)(); } parts[] = {{"threads", test_threads}, {"tensor", test_tensor}, {"driver", test_driver}, {"ptx", test_ptx}};
    for (auto& part : parts)
    {
        int before = checks, failed = failures;
        auto start = std::chrono::steady_clock::now();
        part.run();
        std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
        printf("%s: %d checks, %d failed (%.2f s)\n", part.name, checks - before, failures - failed, time.count());
    }
    return failures ? 1 : 0;
}
