// Initialisation, devices and contexts.
#include "driver.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace engine_standin
{

State& state()
{
    static auto only = new State; // never destroyed: threads may still call when the process ends
    return *only;
}

static thread_local Context* current = nullptr;

static bool alive(Context* context)
{
    for (auto* all : {&state().contexts, &state().made})
        for (auto& c : *all)
            if (c && c.get() == context) return true;
    return false;
}

Context* current_context() { return current; }

Status call(Needs needs, const std::function<void()>& body)
{
    auto& s = state();
    std::lock_guard guard(s.lock);
    try
    {
        if (needs != Needs::Nothing && !s.initialized) return NotInitialized;
        if (needs == Needs::Context)
        {
            if (!current) return InvalidContext;
            if (!alive(current)) return ContextIsDestroyed;
            if (current->sticky) return current->sticky;
        }
        body();
        return Success;
    }
    catch (const Error& error)
    {
        if (!error.text.empty()) fprintf(stderr, "stand-in: %s\n", error.text.c_str());
        return error.status;
    }
    catch (const std::bad_alloc&)
    {
        return OutOfMemory;
    }
    catch (const std::exception& error)
    {
        fprintf(stderr, "stand-in: %s\n", error.what());
        return Unknown;
    }
}

static uint64_t setting(const char* name, uint64_t otherwise)
{
    const char* text = getenv(name);
    if (!text || !*text) return otherwise;
    char* end;
    uint64_t value = strtoull(text, &end, 10);
    if (*end)
    {
        fprintf(stderr, "stand-in: %s=%s is not a number\n", name, text);
        abort();
    }
    return value;
}

static void set_multiprocessors(uint64_t count)
{
    if (count < 1 || count > 1024)
    {
        fprintf(stderr, "stand-in: %lld multiprocessors are not 1 to 1024\n", (long long)count);
        abort();
    }
    state().multiprocessors = (int)count;
}

int opt_in_shared_bytes()
{
    int a = engine_shim::architecture;
    return a < 80 ? 64 * 1024 : a < 90 ? 100 * 1024 : 227 * 1024;
}

static void check_device(int device)
{
    if (device < 0 || device >= state().devices) throw Error{InvalidDevice, {}};
}

EXPORT int cuInit(unsigned flags)
{
    auto& s = state();
    std::lock_guard guard(s.lock);
    if (flags) return InvalidValue;
    if (s.initialized) return Success;
    s.devices = (int)setting("ENGINE_STANDIN_DEVICES", 1);
    if (s.devices == 0) return NoDevice;
    s.memory = setting("ENGINE_STANDIN_MEMORY", s.memory);
    engine_shim::architecture = (int)setting("ENGINE_STANDIN_ARCH", 80);
    set_multiprocessors(setting("ENGINE_STANDIN_MULTIPROCESSORS", s.multiprocessors));
    engine_shim::seed = setting("ENGINE_STANDIN_SEED", 0);
    s.contexts.resize(s.devices);
    s.initialized = true;
    return Success;
}

EXPORT int cuDriverGetVersion(int* version)
{
    if (!version) return InvalidValue;
    *version = (int)setting("ENGINE_STANDIN_DRIVER", state().version);
    return Success;
}

EXPORT int cuDeviceGetCount(int* count)
{
    return call(Needs::Initialized, [&] { *not_null(count) = state().devices; });
}

EXPORT int cuDeviceGet(int* device, int ordinal)
{
    return call(Needs::Initialized, [&] { check_device(ordinal), *not_null(device) = ordinal; });
}

EXPORT int cuDeviceGetName(char* name, int bytes, int device)
{
    return call(Needs::Initialized, [&] {
        check_device(device);
        if (bytes < 1) throw Error{InvalidValue, {}};
        snprintf(not_null(name), bytes, "stand-in (processor)");
    });
}

EXPORT int cuDeviceGetAttribute(int* value, int attribute, int device)
{
    return call(Needs::Initialized, [&] {
        check_device(device);
        not_null(value);
        int a = engine_shim::architecture;
        switch (attribute)
        {
            case 1: case 2: case 3: *value = 1024; break;         // threads of a block, and in x and y
            case 4: *value = 64; break;                           // in z
            case 5: *value = 2147483647; break;                   // blocks of a grid in x
            case 6: case 7: *value = 65535; break;                // in y and z
            case 8: *value = 48 * 1024; break;                    // shared memory of a block
            case 9: *value = 64 * 1024; break;                    // constant memory
            case 10: *value = 32; break;                          // threads of a warp
            case 11: *value = 2147483647; break;                  // pitch
            case 12: case 82: *value = 65536; break;              // registers of a block, of a multiprocessor
            case 13: *value = 1000000; break;                     // clock, kHz
            case 14: *value = 512; break;                         // texture alignment
            case 15: *value = 0; break;                           // copies beside kernels
            case 16: *value = state().multiprocessors; break;     // multiprocessors
            case 17: *value = 0; break;                           // a kernel's time is limited
            case 18: *value = 1; break;                           // shares the host's memory
            case 19: *value = 1; break;                           // maps the host's memory
            case 20: *value = 0; break;                           // mode: default
            case 31: case 32: *value = 0; break;                  // concurrent kernels, error correction
            case 33: case 34: case 50: *value = 0; break;         // bus, device and domain
            case 35: *value = 0; break;                           // the other driver model of Windows
            case 36: *value = 1000000; break;                     // memory's clock, kHz
            case 37: *value = 64; break;                          // bits of the memory's bus
            case 38: *value = 1 << 20; break;                     // second cache
            case 39: *value = 2048; break;                        // threads of a multiprocessor
            case 40: *value = 0; break;                           // copy engines
            case 41: *value = 1; break;                           // unified addresses
            case 75: *value = a / 10; break;
            case 76: *value = a % 10; break;
            case 78: *value = 0; break;                           // priorities of streams
            case 81: *value = opt_in_shared_bytes() + 1024; break; // shared memory of a multiprocessor
            case 83: case 90: case 91: *value = 0; break;         // managed memory, preemption, the host's addresses of registered memory
            case 97: *value = opt_in_shared_bytes(); break;
            case 106: *value = 16; break;                         // blocks of a multiprocessor
            case 115: *value = 1; break;                          // memory pools
            default: throw Error{InvalidValue, "cuDeviceGetAttribute: attribute " + std::to_string(attribute) + " is not known here"};
        }
    });
}

EXPORT int cuDeviceTotalMem_v2(size_t* bytes, int device)
{
    return call(Needs::Initialized, [&] { check_device(device), *not_null(bytes) = state().memory; });
}

EXPORT int cuDevicePrimaryCtxRetain(void** context, int device)
{
    return call(Needs::Initialized, [&] {
        check_device(device);
        not_null(context);
        auto& own = state().contexts[device];
        if (!own) own = std::make_unique<Context>(), own->device = device;
        own->references++;
        *context = own.get();
    });
}

template <typename T> static void remove_of(Handles<T>& handles, Context* context)
{
    auto all = handles.live;
    for (T* object : all)
        if (object->context == context) handles.remove(object);
}

// A context goes, and with it all that was made in it.
static void clear(Context& context)
{
    auto& s = state();
    release_all(context);
    remove_of(s.streams, &context);
    remove_of(s.events, &context);
    remove_of(s.executables, &context);
    for (Module* module : s.modules.live)
        if (module->context == &context)
            for (auto& [name, function] : module->functions) s.functions.live.erase(function.get());
    remove_of(s.modules, &context);
}

EXPORT int cuDevicePrimaryCtxRelease_v2(int device)
{
    return call(Needs::Initialized, [&] {
        check_device(device);
        auto& own = state().contexts[device];
        if (!own) throw Error{InvalidContext, {}};
        if (--own->references > 0) return;
        clear(*own);
        own.reset();
    });
}

// The stand-in keeps no stack of contexts: a new one is the thread's, and a thread whose context is destroyed has none.
EXPORT int cuCtxCreate_v2(void** context, unsigned, int device)
{
    return call(Needs::Initialized, [&] {
        check_device(device);
        not_null(context);
        auto made = std::make_unique<Context>();
        made->device = device;
        *context = current = made.get();
        state().made.push_back(std::move(made));
    });
}

EXPORT int cuCtxDestroy_v2(void* context)
{
    return call(Needs::Initialized, [&] {
        auto& made = state().made;
        for (auto c = made.begin(); c != made.end(); ++c)
            if (c->get() == context)
            {
                clear(**c);
                made.erase(c);
                if (current == context) current = nullptr;
                return;
            }
        throw Error{InvalidContext, {}};
    });
}

// A processor has neither caches nor banks to configure: what is set is the default, 0.
static int configuration(int* value)
{
    return call(Needs::Context, [&] { *not_null(value) = 0; });
}

static int configure(int value)
{
    return call(Needs::Context, [&] {
        if (value) throw Error{NotSupported, "a configuration of caches or banks: the stand-in has the default alone"};
    });
}

EXPORT int cuCtxGetCacheConfig(int* value) { return configuration(value); }
EXPORT int cuCtxSetCacheConfig(int value) { return configure(value); }
EXPORT int cuCtxGetSharedMemConfig(int* value) { return configuration(value); }
EXPORT int cuCtxSetSharedMemConfig(int value) { return configure(value); }

EXPORT int cuCtxSetCurrent(void* context)
{
    return call(Needs::Initialized, [&] {
        if (context && !alive(static_cast<Context*>(context))) throw Error{InvalidContext, {}};
        current = static_cast<Context*>(context);
    });
}

EXPORT int cuCtxGetCurrent(void** context)
{
    return call(Needs::Initialized, [&] { *not_null(context) = current; });
}

EXPORT int cuCtxGetDevice(int* device)
{
    return call(Needs::Context, [&] { *not_null(device) = current->device; });
}

EXPORT int cuCtxSynchronize()
{
    return call(Needs::Context, [&] { check_synchronise("cuCtxSynchronize", *current, nullptr); });
}

// ---- Beyond the driver's functions: for tests

static thread_local std::vector<Range> annotated;

std::vector<Range> take_annotated()
{
    std::vector<Range> result;
    result.swap(annotated);
    return result;
}

// The next launch of this thread has an operand of so many bytes at this address. Once one is annotated, all of the launch must be:
// the interpreter refuses accesses outside of them, and a record holds them one by one.
EXPORT void standin_annotate(uint64_t address, uint64_t bytes) { annotated.push_back({address, (size_t)bytes}); }

EXPORT void standin_seed(uint64_t seed) { engine_shim::seed = seed; }

// The compute capability from now on.
EXPORT void standin_architecture(int architecture) { engine_shim::architecture = architecture; }

// How many multiprocessors a device has from now on.
EXPORT void standin_multiprocessors(int count)
{
    std::lock_guard guard(state().lock);
    set_multiprocessors((uint64_t)count);
}

// Kernels run (those of graphs included), graphs launched, waits of the host: since the process began.
EXPORT void standin_counts(uint64_t* launches, uint64_t* graph_launches, uint64_t* synchronisations)
{
    std::lock_guard guard(state().lock);
    *launches = state().launches;
    *graph_launches = state().graph_launches;
    *synchronisations = state().synchronisations;
}

} // namespace engine_standin
