// The driver's functions: what they give and what they refuse.
#include "host.h"
#include <setjmp.h>
#include <signal.h>
#include <thread>

static void devices()
{
    int count = 0, device = -1, version = 0, value = 0;
    CHECK(cuDeviceGetCount(&count) == 0 && count == 1);
    CHECK(cuDeviceGet(&device, 0) == 0 && device == 0);
    CHECK(cuDeviceGet(&device, 1) == 101 && cuDeviceGetCount(nullptr) == 1);
    CHECK(cuDriverGetVersion(&version) == 0 && version >= 11000);
    char name[64];
    CHECK(cuDeviceGetName(name, sizeof name, 0) == 0 && std::string(name) == "stand-in (processor)");
    for (auto [attribute, expected] : {std::pair{75, 8}, {76, 0}, {16, 8}, {97, 102400}, {1, 1024}, {10, 32}, {8, 49152}}) CHECK(cuDeviceGetAttribute(&value, attribute, 0) == 0 && value == expected);
    // As an H200.
    standin_architecture(90), standin_multiprocessors(132);
    for (auto [attribute, expected] : {std::pair{75, 9}, {76, 0}, {16, 132}, {97, 232448}}) CHECK(cuDeviceGetAttribute(&value, attribute, 0) == 0 && value == expected);
    standin_architecture(80), standin_multiprocessors(8);
    CHECK(cuDeviceGetAttribute(&value, 9999, 0) == 1 && cuDeviceGetAttribute(&value, 75, 3) == 101);
    size_t bytes = 0;
    CHECK(cuDeviceTotalMem_v2(&bytes, 0) == 0 && bytes == 64 << 20);
    void* current = nullptr;
    CHECK(cuCtxGetCurrent(&current) == 0 && current == context && cuCtxGetDevice(&device) == 0 && device == 0);
    int other = 0;
    std::thread([&] { other = cuCtxSynchronize(); }).join();
    CHECK(other == 201); // no context is current in another thread
    const char *error = nullptr, *text = nullptr;
    CHECK(cuGetErrorName(2, &error) == 0 && std::string(error) == "CUDA_ERROR_OUT_OF_MEMORY" && cuGetErrorString(2, &text) == 0 && std::string(text) == "out of memory");
    CHECK(cuGetErrorName(123456, &error) == 1 && error == nullptr);
    CHECK(cuCtxSetCurrent(&count) == 201);
    for (int known : {83, 90, 91}) CHECK(cuDeviceGetAttribute(&value, known, 0) == 0 && value == 0);
}

// What a host that makes its own context has of it, and what is gone with it.
static void contexts()
{
    void *own = nullptr, *second = nullptr, *current = nullptr, *made = nullptr;
    int value = 7;
    uint64_t a = 0;
    CHECK(cuCtxCreate_v2(&own, 0, 1) == 101 && cuCtxCreate_v2(&own, 0, 0) == 0 && own != context && cuCtxGetCurrent(&current) == 0 && current == own && cuCtxCreate_v2(&second, 0, 0) == 0 && second != own && cuCtxSetCurrent(own) == 0);
    CHECK(cuCtxGetCacheConfig(&value) == 0 && value == 0 && cuCtxSetCacheConfig(0) == 0 && cuCtxSetCacheConfig(1) == 801 && cuCtxGetSharedMemConfig(&value) == 0 && value == 0 && cuCtxSetSharedMemConfig(0) == 0 && cuCtxSetSharedMemConfig(2) == 801);
    CHECK(cuStreamCreate(&made, 1) == 0 && cuMemAlloc_v2(&a, 100) == 0);
    float x[25], y[25] = {};
    for (int i = 0; i < 25; i++) x[i] = (float)i;
    auto host = [](float* p) { return reinterpret_cast<uint64_t>(p); };
    CHECK(cuMemcpyAsync(a, host(x), 100, made) == 0 && cuMemcpyAsync(a + 4, a, 96, made) == 0 && cuMemcpyAsync(host(y), a, 100, nullptr) == 0 && y[0] == 0 && y[1] == 0 && y[2] == 1 && y[24] == 23);
    CHECK(cuMemcpyAsync(a, host(x), 101, made) == 1 && cuMemcpyAsync(host(y), a + 4, 100, made) == 1 && cuMemcpyAsync(0, a, 4, made) == 1 && cuMemcpyAsync(a, host(x), 0, made) == 0);
    CHECK(cuMemcpyAsync(a, host(x), 4, stream) == 201); // a stream of another context
    CHECK(cuCtxDestroy_v2(second) == 0 && cuCtxGetCurrent(&current) == 0 && current == own && cuCtxDestroy_v2(own) == 0 && cuCtxDestroy_v2(own) == 201 && cuCtxDestroy_v2(context) == 201);
    CHECK(cuCtxGetCurrent(&current) == 0 && current == nullptr && cuCtxSetCurrent(own) == 201 && cuCtxSetCurrent(context) == 0 && cuStreamDestroy_v2(made) == 400 && cuMemFree_v2(a) == 1);
}

static void memory()
{
    uint64_t a = 0, b = 0;
    size_t free_bytes, total, again;
    CHECK(cuMemGetInfo_v2(&free_bytes, &total) == 0 && total == 64 << 20);
    CHECK(cuMemAlloc_v2(&a, 0) == 1 && cuMemAllocAsync(&a, (size_t)1 << 50, stream) == 2);
    CHECK(cuMemAllocAsync(&a, 40 << 20, stream) == 0 && cuMemAlloc_v2(&b, 40 << 20) == 2);
    CHECK(cuMemGetInfo_v2(&again, &total) == 0 && again == free_bytes - (40 << 20));
    CHECK(a % 256 == 0 && cuMemFreeAsync(a + 256, stream) == 1 && cuMemFreeAsync(a, stream) == 0 && cuMemFreeAsync(a, stream) == 1);
    CHECK(cuMemAlloc_v2(&a, 1000) == 0 && cuMemAlloc_v2(&b, 1001) == 0 && a % 256 == 0 && b % 256 == 0);
    std::vector<unsigned char> x(1000), y(1000);
    for (int i = 0; i < 1000; i++) x[i] = (unsigned char)(i * 7);
    CHECK(cuMemcpyDtoHAsync_v2(y.data(), a, 1000, stream) == 0 && y[0] == 255 && y[999] == 255); // undefined at first
    CHECK(cuMemcpyHtoDAsync_v2(a, x.data(), 1000, stream) == 0 && cuMemcpyDtoDAsync_v2(b + 1, a, 1000, stream) == 0 && cuMemcpyDtoHAsync_v2(y.data(), b + 1, 1000, stream) == 0 && x == y);
    CHECK(cuMemcpyHtoDAsync_v2(a + 1, x.data(), 1000, stream) == 1 && cuMemcpyDtoHAsync_v2(y.data(), a - 1, 2, stream) == 1 && cuMemcpyHtoDAsync_v2(a, nullptr, 4, stream) == 1);
    CHECK(cuMemcpyDtoDAsync_v2(b, a, 1001, stream) == 1 && cuMemcpyDtoDAsync_v2(a, a + 10, 100, stream) == 1 && cuMemcpyHtoDAsync_v2(12345, x.data(), 1, stream) == 1);
    CHECK(cuMemsetD8Async(a, 3, 1000, stream) == 0 && cuMemsetD32Async(a + 4, 0x01020304, 2, stream) == 0 && cuMemsetD32Async(a + 2, 0, 1, stream) == 1 && cuMemsetD8Async(a, 0, 1001, stream) == 1);
    CHECK(cuMemcpyDtoHAsync_v2(y.data(), a, 1000, stream) == 0 && y[3] == 3 && y[4] == 4 && y[11] == 1 && y[12] == 3);
    void* pool = nullptr;
    uint64_t threshold = ~0ull;
    CHECK(cuDeviceGetDefaultMemPool(&pool, 0) == 0 && cuMemPoolSetAttribute(pool, 4, &threshold) == 0 && cuMemPoolTrimTo(pool, 0) == 0 && cuMemPoolTrimTo(&a, 0) == 1);
    void* host = nullptr;
    CHECK(cuMemHostAlloc(&host, 5000, 0) == 0 && cuMemcpyDtoHAsync_v2(host, a, 1000, stream) == 0 && static_cast<char*>(host)[4] == 4 && cuMemFreeHost(host) == 0 && cuMemFreeHost(host) == 1);
    CHECK(cuMemFree_v2(a) == 0 && cuMemFree_v2(b) == 0 && cuMemFree_v2(0) == 0);
    CHECK(cuMemGetInfo_v2(&again, &total) == 0 && again == free_bytes);
    // A kernel that uses what was freed.
    CHECK(cuMemAlloc_v2(&a, 4000) == 0 && cuMemFree_v2(a) == 0);
    CHECK(launch("t_out_of_bounds", {1}, {32}, 0, a, 32, 0) == 700 && cuMemAlloc_v2(&a, 8) == 700);
    renew();
    CHECK(cuMemAlloc_v2(&a, 8) == 0 && cuMemFree_v2(a) == 0);
}

static void launches()
{
    Buffer<float> y(4096);
    void* f = function("t_bounded");
    int value = 0;
    CHECK(cuFuncGetAttribute(&value, 0, f) == 0 && value == 64 && cuFuncGetAttribute(&value, 0, function("t_index")) == 0 && value == 1024);
    auto with = [&](Size grid, Size block, unsigned shared) { return launch_function(function("t_index"), grid, block, shared, nullptr, y.address, 0); };
    CHECK(with({}, {}, 0) == 0 && with({1, 65535, 1}, {}, 0) == 0 && with({}, {4, 4, 64}, 0) == 0);
    CHECK(with({0}, {}, 0) == 1 && with({}, {0}, 0) == 1 && with({1, 65536, 1}, {}, 0) == 1 && with({1, 1, 65536}, {}, 0) == 1 && with({}, {1025}, 0) == 1 && with({}, {32, 33}, 0) == 1 && with({}, {1, 1, 65}, 0) == 1);
    CHECK(launch_function(f, {}, {64}, 0, nullptr, y.address) == 0 && launch_function(f, {}, {65}, 0, nullptr, y.address) == 1);
    CHECK(launch_function(nullptr, {}, {64}, 0, nullptr, y.address) == 400 && launch_function(f, {}, {64}, 0, &y, y.address) == 400);
    CHECK(cuLaunchKernel(f, 1, 1, 1, 64, 1, 1, 0, nullptr, nullptr, nullptr) == 1);
    void* dynamic = function("t_dynamic_overrun");
    CHECK(launch_function(dynamic, {}, {}, 49152, nullptr, y.address, 0) == 0 && launch_function(dynamic, {}, {}, 49153, nullptr, y.address, 0) == 1);
    CHECK(cuFuncSetAttribute(dynamic, 8, 102401) == 1 && cuFuncSetAttribute(dynamic, 8, 102400) == 0 && cuFuncGetAttribute(&value, 8, dynamic) == 0 && value == 102400);
    CHECK(launch_function(dynamic, {}, {}, 102400, nullptr, y.address, 25599) == 0 && launch_function(dynamic, {}, {}, 102401, nullptr, y.address, 0) == 1);
    void* both = function("t_static_and_dynamic"); // 16 bytes of static shared memory
    CHECK(launch_function(both, {}, {}, 49152 - 16, nullptr, y.address) == 0 && launch_function(both, {}, {}, 49152, nullptr, y.address) == 1);
    CHECK(cuFuncSetAttribute(both, 8, 49152) == 0 && launch_function(both, {}, {}, 49152, nullptr, y.address) == 0);
    CHECK(cuFuncSetAttribute(both, 8, 102400) == 0 && launch_function(both, {}, {}, 102400 - 16, nullptr, y.address) == 0 && launch_function(both, {}, {}, 102400, nullptr, y.address) == 1);
    // Modules: parameters that differ from the source, missing functions, use after unloading.
    void *module, *found;
    const char* head = ".version 7.0\n.target sm_80\n.address_size 64\n";
    std::string good = std::string(head) + ".visible .entry t_index(\n\t.param .u64 .ptr .align 1 a,\n\t.param .u32 b\n)\n.maxntid 64, 1, 1\n{\n\tany text { with braces }\n}\n";
    CHECK(cuModuleLoadDataEx(&module, good.c_str(), 0, nullptr, nullptr) == 0 && cuModuleGetFunction(&found, module, "t_index") == 0 && cuModuleGetFunction(&dynamic, module, "t_reverse") == 500);
    CHECK(launch_function(found, {}, {}, 0, nullptr, y.address, 1) == 0 && cuModuleUnload(module) == 0 && launch_function(found, {}, {}, 0, nullptr, y.address, 1) == 400 && cuModuleUnload(module) == 400);
    std::string bad = std::string(head) + ".visible .entry t_index(.param .u64 a, .param .u64 b)\n{\nret;\n}\n", missing = std::string(head) + ".visible .entry t_none()\n{\nret;\n}\n";
    CHECK(cuModuleLoadDataEx(&module, bad.c_str(), 0, nullptr, nullptr) == 218 && cuModuleLoadDataEx(&module, missing.c_str(), 0, nullptr, nullptr) == 218);
}

static void captures()
{
    int n = 256;
    Buffer<float> a(n);
    uint64_t fresh;
    CHECK(cuMemAlloc_v2(&fresh, 4 * n) == 0);
    void *graph, *reverse = function("t_reverse");
    auto reversed = [&](uint64_t from, uint64_t to) { return launch_function(reverse, {1}, {256}, 0, stream, from, to); };
    CHECK(cuStreamBeginCapture_v2(stream, 2) == 0 && cuStreamBeginCapture_v2(stream, 2) == 1 && cuStreamBeginCapture_v2(nullptr, 2) == 900);
    int status = 0;
    uint64_t number = 0;
    CHECK(cuStreamGetCaptureInfo_v2(stream, &status, &number, nullptr, nullptr, nullptr) == 0 && status == 1 && number > 0);
    CHECK(reversed(a.address, fresh) == 0);
    float first = 0;
    CHECK(cuMemcpyDtoHAsync_v2(&first, fresh, 4, nullptr) == 0 && first != first); // nothing ran: it is undefined still, which is NaN
    CHECK(cuMemAllocAsync(&number, 8, stream) == 900);
    CHECK(cuMemAlloc_v2(&number, 8) == 0 && cuMemFree_v2(number) == 0); // relaxed
    CHECK(cuStreamEndCapture(stream, &graph) == 0 && cuStreamEndCapture(stream, &graph) == 1 && cuMemFree_v2(fresh) == 0);
}

static void graphs()
{
    int n = 256;
    std::vector<float> x(n);
    for (int i = 0; i < n; i++) x[i] = (float)i;
    Buffer<float> a(x), b(n), c(n);
    void *graph, *executable, *reverse = function("t_reverse");
    auto reversed = [&](uint64_t from, uint64_t to) { return launch_function(reverse, {1}, {256}, 0, stream, from, to); };
    uint64_t before[3], after[3];
    CHECK(cuStreamBeginCapture_v2(stream, 2) == 0 && reversed(a.address, b.address) == 0 && reversed(b.address, c.address) == 0);
    CHECK(cuMemcpyDtoDAsync_v2(a.address, c.address + 4, 4 * 255, stream) == 0 && cuMemsetD32Async(a.address + 4 * 255, 0x3F800000, 1, stream) == 0 && cuStreamEndCapture(stream, &graph) == 0);
    size_t count = 0;
    CHECK(cuGraphGetNodes(graph, nullptr, &count) == 0 && count == 4);
    CHECK(cuGraphInstantiateWithFlags(&executable, graph, 0) == 0 && cuGraphDestroy(graph) == 0 && cuGraphDestroy(graph) == 400);
    standin_counts(&before[0], &before[1], &before[2]);
    with_seeds([&] { CHECK(cuGraphLaunch(executable, stream) == 0); }); // each shifts a by one
    standin_counts(&after[0], &after[1], &after[2]);
    CHECK(after[0] - before[0] == 10 && after[1] - before[1] == 5 && after[2] == before[2]);
    auto r = a.read();
    CHECK(r[0] == 5.0f && r[250] == 255.0f && r[251] == 1.0f && r[255] == 1.0f);
    CHECK(cuGraphExecDestroy(executable) == 0 && cuGraphLaunch(executable, stream) == 400);
}

// A loop as a chain of child graphs, which are copied when they are added.
static void child_graphs()
{
    Buffer<int> counter(std::vector<int>{0, -1000, 1000, 0, 0, 0, 0}), one(std::vector<int>{3});
    void *body, *whole, *executable, *node = nullptr, *atomics = function("t_atomics");
    CHECK(cuStreamBeginCapture_v2(stream, 2) == 0 && launch_function(atomics, {1}, {32}, 0, stream, counter.address, one.address, 1) == 0 && cuStreamEndCapture(stream, &body) == 0);
    CHECK(cuGraphCreate(&whole, 0) == 0);
    for (int i = 0; i < 7; i++)
    {
        void* last = node;
        CHECK(cuGraphAddChildGraphNode(&node, whole, &last, last != nullptr, body) == 0);
    }
    void* unknown = &body;
    CHECK(cuGraphAddChildGraphNode(&node, whole, &unknown, 1, body) == 1 && cuGraphAddChildGraphNode(&node, whole, nullptr, 0, whole) == 1);
    CHECK(cuGraphDestroy(body) == 0 && cuGraphInstantiateWithFlags(&executable, whole, 0) == 0);
    CHECK(cuGraphLaunch(executable, stream) == 0 && cuGraphLaunch(executable, nullptr) == 0 && counter.read()[0] == 42);
    // A graph launched in a capture becomes a child.
    void *outer, *outer_executable;
    CHECK(cuStreamBeginCapture_v2(stream, 2) == 0 && cuGraphLaunch(executable, stream) == 0 && cuStreamEndCapture(stream, &outer) == 0 && counter.read()[0] == 42);
    CHECK(cuGraphInstantiateWithFlags(&outer_executable, outer, 0) == 0 && cuGraphExecDestroy(executable) == 0 && cuGraphLaunch(outer_executable, stream) == 0 && counter.read()[0] == 63);
    CHECK(cuGraphExecDestroy(outer_executable) == 0 && cuGraphDestroy(outer) == 0 && cuGraphDestroy(whole) == 0);
    // Independent nodes run in an order of the seed: that shows a dependency that is missing.
    Buffer<int> value(std::vector<int>{0});
    CHECK(cuGraphCreate(&whole, 0) == 0);
    for (unsigned i = 1; i <= 8; i++)
    {
        CHECK(cuStreamBeginCapture_v2(stream, 2) == 0 && cuMemsetD32Async(value.address, i, 1, stream) == 0 && cuStreamEndCapture(stream, &body) == 0);
        CHECK(cuGraphAddChildGraphNode(&node, whole, nullptr, 0, body) == 0 && cuGraphDestroy(body) == 0);
    }
    CHECK(cuGraphInstantiateWithFlags(&executable, whole, 0) == 0);
    bool varies = false;
    with_seeds([&] { CHECK(cuGraphLaunch(executable, stream) == 0); varies |= value.read()[0] != 8; });
    CHECK(varies);
    CHECK(cuGraphExecDestroy(executable) == 0 && cuGraphDestroy(whole) == 0);
}

static void captures_refuse()
{
    void *graph, *blocking;
    uint64_t a;
    CHECK(cuStreamBeginCapture_v2(stream, 2) == 0 && cuStreamSynchronize(stream) == 900 && cuMemsetD32Async(4, 0, 0, stream) == 0);
    CHECK(cuStreamEndCapture(stream, &graph) == 901 && graph == nullptr);
    CHECK(cuStreamBeginCapture_v2(stream, 0) == 0 && cuMemAlloc_v2(&a, 8) == 900 && cuStreamEndCapture(stream, &graph) == 901);
    CHECK(cuStreamBeginCapture_v2(stream, 2) == 0 && cuCtxSynchronize() == 0 && cuStreamEndCapture(stream, &graph) == 0 && cuGraphDestroy(graph) == 0);
    CHECK(cuStreamCreate(&blocking, 0) == 0 && cuMemAlloc_v2(&a, 8) == 0 && cuStreamBeginCapture_v2(blocking, 2) == 0);
    CHECK(cuMemsetD32Async(a, 0, 1, nullptr) == 906 && cuStreamEndCapture(blocking, &graph) == 901 && cuMemsetD32Async(a, 0, 1, nullptr) == 0);
    CHECK(cuMemFree_v2(a) == 0 && cuStreamDestroy_v2(blocking) == 0 && cuStreamDestroy_v2(blocking) == 400 && cuStreamSynchronize(blocking) == 400);
}

static void events()
{
    void *first, *last, *untimed;
    float time = -1;
    CHECK(cuEventCreate(&first, 0) == 0 && cuEventCreate(&last, 0) == 0 && cuEventCreate(&untimed, 2) == 0);
    CHECK(cuEventElapsedTime(&time, first, last) == 400);
    CHECK(cuEventRecord(first, stream) == 0 && cuEventRecord(last, stream) == 0 && cuEventRecord(untimed, stream) == 0 && cuEventSynchronize(last) == 0);
    CHECK(cuEventElapsedTime(&time, first, last) == 0 && time >= 0 && time < 1000 && cuEventElapsedTime(&time, first, untimed) == 400);
    CHECK(cuEventDestroy_v2(first) == 0 && cuEventDestroy_v2(first) == 400 && cuEventRecord(first, stream) == 400 && cuEventDestroy_v2(last) == 0 && cuEventDestroy_v2(untimed) == 0);
}

// Several threads of the host use the same context.
static void host_threads()
{
    std::vector<float> x(256 * 8);
    for (size_t i = 0; i < x.size(); i++) x[i] = (float)i;
    bool good[4] = {};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([&, t] {
            good[t] = cuCtxSetCurrent(context) == 0;
            uint64_t a, b;
            std::vector<float> y(x.size());
            for (int repeat = 0; repeat < 20 && good[t]; repeat++)
            {
                good[t] &= cuMemAllocAsync(&a, 4 * x.size(), nullptr) == 0 && cuMemAllocAsync(&b, 4 * x.size(), nullptr) == 0 && cuMemcpyHtoDAsync_v2(a, x.data(), 4 * x.size(), nullptr) == 0;
                void* f;
                void* module;
                good[t] &= cuModuleLoadDataEx(&module, ".version 6.5\n.target sm_75\n.visible .entry t_reverse()\n{\nret;\n}\n", 0, nullptr, nullptr) == 0 && cuModuleGetFunction(&f, module, "t_reverse") == 0;
                good[t] &= launch_function(f, {8}, {256}, 0, nullptr, a, b) == 0 && cuMemcpyDtoHAsync_v2(y.data(), b, 4 * x.size(), nullptr) == 0;
                for (size_t i = 0; i < x.size(); i++) good[t] &= y[i] == x[i / 256 * 256 + 255 - i % 256];
                good[t] &= cuMemFreeAsync(a, nullptr) == 0 && cuMemFreeAsync(b, nullptr) == 0 && cuModuleUnload(module) == 0;
            }
        });
    for (auto& thread : threads) thread.join();
    CHECK(good[0] && good[1] && good[2] && good[3]);
}

// Signals that are not a kernel's go to the handler that was there before, on the stack that it expects.
static sigjmp_buf back;
static bool own_stack;

static void on_signal(int)
{
    stack_t other;
    own_stack = sigaltstack(nullptr, &other) == 0 && !(other.ss_flags & SS_ONSTACK);
    siglongjmp(back, 1);
}

static void host_signals()
{
    uint64_t zero = 0;
    CHECK(launch("t_divide", {}, {}, 0, zero, 1, 1) == 700); // the library has its handlers by now
    renew();
    for (int number : {SIGSEGV, SIGFPE})
    {
        own_stack = false;
        if (sigsetjmp(back, 1) == 0) raise(number);
        CHECK(own_stack);
    }
}

void catch_host_signals()
{
    struct sigaction action = {};
    action.sa_handler = on_signal;
    for (int number : {SIGSEGV, SIGFPE}) sigaction(number, &action, nullptr);
}

void test_driver()
{
    host_signals();
    devices();
    contexts();
    memory();
    launches();
    captures();
    graphs();
    child_graphs();
    captures_refuse();
    events();
    host_threads();
    // Releasing the context takes all that it holds.
    uint64_t a;
    CHECK(cuMemAlloc_v2(&a, 60 << 20) == 0);
    CHECK(cuDevicePrimaryCtxRelease_v2(0) == 0 && cuMemAlloc_v2(&a, 8) == 709 && cuDevicePrimaryCtxRelease_v2(0) == 201);
    renew();
    CHECK(cuMemAlloc_v2(&a, 60 << 20) == 0 && cuMemFree_v2(a) == 0);
}
