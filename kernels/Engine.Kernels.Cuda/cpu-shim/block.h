// One thread of the processor and the block that it runs.
#pragma once
#include "machine.h"
#include <vector>

namespace engine_shim
{

constexpr int WarpSize = 32, MaxWarps = 32, MaxThreads = WarpSize * MaxWarps;
constexpr unsigned MaxStaticBytes = 48 * 1024, MaxSharedBytes = 232448;

struct Copy
{
    void* shared;
    const void* global;
    int bytes, valid;
    Copy(void* shared, const void* global, int bytes, int valid) : shared(shared), global(global), bytes(bytes), valid(valid) {}
};

enum class State { Ready, Block, Warp, Finished };

// A CUDA thread. Threads lie in the order in which they are begun, which is not that of their ranks.
struct Thread : ThreadView
{
    Fiber* fiber;
    int warp, place, lane; // place in the warp's order, number in the warp
    State state;
    int line;              // where it waits
    std::vector<Copy> copies;
    std::vector<size_t> groups; // ends of the committed groups in `copies`
};

struct Warp
{
    uint32_t ready; // by place: threads that could run but do not
    int size, arrived, line;
    WarpOperation operation;
    unsigned generation;
    Lane lanes[2][WarpSize];
};

// Guarded shared memory of a block.
class SharedMemory
{
public:
    SharedMemory();
    void begin(unsigned dynamic_bytes, unsigned limit);
    void* variable(const void* slot, unsigned bytes);
    void* dynamic() const { return dynamic_bytes ? dynamic_start : nullptr; }
    bool holds(const void* address, size_t bytes) const
    {
        auto p = static_cast<const unsigned char*>(address);
        return (dynamic_bytes && p >= dynamic_start && p + bytes <= dynamic_start + dynamic_bytes) || variable_holds(p, bytes);
    }
    static void poison(void* address, size_t bytes) { __builtin_memset(address, 0xFF, bytes); } // four such bytes are a NaN
    // Null, or what was written over.
    const char* damage() const;
    void end();

private:
    bool variable_holds(const unsigned char* p, size_t bytes) const;

    struct Variable { const void* slot; unsigned char* address; unsigned bytes; };
    unsigned char *variables, *dynamic_start, *dynamic_end;
    unsigned dynamic_bytes, limit, used, taken;
    std::vector<Variable> known;
};

class Worker : public BlockView // of the block that it runs
{
public:
    Worker();
    void run_block(const NativeLaunch& launch, Fault& fault, uint64_t number);

    void barrier(Thread* thread, int line);
    const Lane* exchange(Thread* thread, WarpOperation operation, const void* value, int bytes, int line);
    [[noreturn]] void leave(Thread* thread, int code, const std::string& text);
    Thread* take_next(Thread* after);
    static void fiber_body();

    SharedMemory shared;
    Fiber* running_stack() const { return static_cast<Thread*>(self)->fiber; }
    std::string where(const Thread* thread) const;

private:
    void arrange();
    void wait(Thread* thread, State state, int line);
    [[noreturn]] void stuck(Thread* thread);

    Thread threads[MaxThreads];
    Warp warps[MaxWarps];
    uint32_t ready_warps;
    int warp_count, thread_count, finished, arrived, barrier_line;
    uint64_t arranged_seed;
    Index arranged_size;
    Fiber main;
    Fiber* free_fibers;
    const NativeLaunch* launch;
    Fault* fault;
    bool left;
};

// Of this thread of the processor.
Worker& this_worker();
// The same inside of a kernel.
inline Worker& worker_of(const ThreadView* thread) { return *static_cast<Worker*>(thread->block); }

// What the last lane to come computes for its warp.
void finish_warp_operation(WarpOperation operation, Lane* lanes);

// Makes signals of bad addresses and divisions inside kernels into faults.
void catch_signals();

} // namespace engine_shim
