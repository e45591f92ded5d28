// The stand-in for the driver's library: what its functions share. Streams run what they are given at once, in the calling thread;
// one lock guards everything.
#pragma once
#include "machine.h"
#include "ptx.h"
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace engine_standin
{

using engine_shim::Index;

enum Status
{
    Success = 0, InvalidValue = 1, OutOfMemory = 2, NotInitialized = 3, NoDevice = 100, InvalidDevice = 101, InvalidImage = 200, InvalidContext = 201,
    InvalidPtx = 218, UnsupportedPtxVersion = 222, InvalidHandle = 400, NotFound = 500, NotReady = 600, IllegalAddress = 700,
    LaunchOutOfResources = 701, ContextIsDestroyed = 709, MisalignedAddress = 716, LaunchFailed = 719, NotSupported = 801,
    CaptureUnsupported = 900, CaptureInvalidated = 901, CaptureImplicit = 906, Unknown = 999,
};

// An error of an API call: printed when it is more than a code.
struct Error
{
    Status status;
    std::string text;
};

struct Context
{
    int device = 0, references = 0;
    Status sticky = Success; // after a kernel failed every call gives this, until the context is destroyed
    size_t used = 0;
};

struct Allocation
{
    uint64_t start;
    size_t bytes, padded; // padded: with the guard bytes behind
    void* map;
    size_t map_bytes;
    Context* context;     // null: pinned memory of the host
};

struct Range { uint64_t start; size_t bytes; };

struct Parameter { char kind; unsigned bytes, offset; }; // kind: p pointer, i, l, f; b: 32 or 64 bits of unknown kind

struct Function
{
    std::string name;
    const engine_shim::Entry* native = nullptr;
    std::shared_ptr<const ptx::Kernel> interpreted;
    std::vector<Parameter> parameters;
    unsigned parameter_bytes = 0;
    int threads = 1024;
    int dynamic_limit = 48 * 1024; // of dynamic shared memory, as cuFuncSetAttribute leaves it
    bool opted_in = false;         // by cuFuncSetAttribute: static and dynamic together may be more than 48 KB
};

struct Module
{
    std::map<std::string, std::shared_ptr<Function>> functions;
    int version = 0;
    Context* context = nullptr;
};

struct Launch
{
    std::shared_ptr<Function> function;
    Index grid, block;
    unsigned shared_bytes;
    int shared_limit;
    std::vector<unsigned char> parameters;
    std::vector<Range> operands; // as annotated; empty: unknown
};

using Action = std::function<void(Context&)>;

struct Graph
{
    struct Node
    {
        Action action;
        std::vector<size_t> dependencies;
        void* handle;
    };
    std::vector<Node> nodes;
    void add(Action action, std::vector<size_t> dependencies);
    void run(Context& context) const;
};

struct Stream
{
    Context* context = nullptr;
    bool blocking = true;
    std::unique_ptr<Graph> capture;
    bool invalidated = false;
    int mode = 0;
    uint64_t capture_number = 0;
};

struct Event
{
    Context* context = nullptr;
    bool timing = true, recorded = false, captured = false;
    double milliseconds = 0;
};

// Handles given out and not yet taken back.
template <typename T> struct Handles
{
    std::set<T*> live;
    T* add(std::unique_ptr<T> object) { return *live.insert(object.release()).first; }
    T* check(void* handle) const
    {
        auto object = static_cast<T*>(handle);
        if (!live.count(object)) throw Error{InvalidHandle, {}};
        return object;
    }
    void remove(T* object)
    {
        live.erase(object);
        delete object;
    }
};

struct State
{
    std::recursive_mutex lock;
    bool initialized = false;
    int devices = 1, version = 12040, multiprocessors = 8;
    size_t memory = (size_t)4 << 30;
    std::vector<std::unique_ptr<Context>> contexts; // the primary ones, by device; null when nobody holds one
    std::vector<std::unique_ptr<Context>> made;     // by cuCtxCreate
    std::map<uint64_t, Allocation> allocations;
    Handles<Stream> streams;
    Handles<Event> events;
    Handles<Module> modules;
    Handles<Function> functions;                    // registered by modules; owned by them
    Handles<Graph> graphs;
    struct Executable { Graph graph; Context* context; };
    Handles<Executable> executables;
    uint64_t launches = 0, graph_launches = 0, synchronisations = 0;
};

State& state();
int opt_in_shared_bytes();

// ---- Memory (memory.cpp)

const Allocation* find_allocation(uint64_t address, size_t bytes);
uint64_t allocate(Context& context, size_t bytes);
void release(uint64_t address, Context* context);
void release_all(Context& context);
void check_guards();

// ---- Streams (stream.cpp)

// Null and the handles 1 and 2 are the default stream: gives null.
Stream* find_stream(void* handle);
// Runs the action, or records it if the stream is being captured.
void submit(void* stream, Action action);
void check_synchronise(const char* what, Context& context, Stream* stream);

// ---- Launches (launch.cpp)

void run_launch(const Launch& launch, Context& context);

// ---- Records (record.cpp)

struct RecordedLaunch;
// Null unless launches are recorded and this one is a new one.
std::unique_ptr<RecordedLaunch> record_before(const Launch& launch);
void record_after(std::unique_ptr<RecordedLaunch> record);

// ---- Calls

enum class Needs { Nothing, Initialized, Context };

Context* current_context();

// What this thread annotated since its last launch, which is forgotten.
std::vector<Range> take_annotated();

// Runs the body of a driver's function: checks what it needs and turns errors into codes.
Status call(Needs needs, const std::function<void()>& body);

template <typename T> T* not_null(T* pointer)
{
    if (!pointer) throw Error{InvalidValue, {}};
    return pointer;
}

} // namespace engine_standin
