// The machine behind calls.h: a launch's blocks are spread over the processor's threads; a block's CUDA threads are fibers of one of
// them. A fiber runs CUDA threads one after the other until one has to wait, so that a kernel without barriers is a plain loop.
#pragma once
#include "calls.h"
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace engine_shim
{

// The order of blocks, warps and lanes: 0 ascending, 1 descending, others at random, the same for the same seed.
extern std::atomic<uint64_t> seed;

// What went wrong in a launch: the first error of all its blocks.
struct Fault
{
    int code = 0; // of the driver's errors; 0: none
    std::string text;
};

// A launch of a function that this library holds.
struct NativeLaunch
{
    const Entry* entry;
    const unsigned char* const* values; // addresses of the parameters' values
    Index grid, block;
    unsigned dynamic_bytes;
    unsigned shared_limit; // of static and dynamic shared memory together
};

// Runs all blocks and waits for them. From one thread at a time.
Fault run(const NativeLaunch& launch);

// Calls body(i) for 0 <= i < count on the processor's threads, in the seed's order, until one sets the fault.
void spread(uint64_t count, Fault& fault, const std::function<void(uint64_t)>& body);

// Sets the fault if it is the first; thread-safe within a spread.
void set_fault(Fault& fault, int code, const std::string& text);

// A permutation of 0..count-1 by seed and salt; `place` is mapped to what comes at that place.
struct Order
{
    Order(uint64_t count, uint64_t salt);
    uint64_t operator()(uint64_t place) const;

private:
    uint64_t count, step, start;
};

// ---- Fibers

struct Fiber
{
    void* stack_pointer;
    unsigned char* stack; // lowest usable address
    size_t bytes;
    void* fake_stack; // of AddressSanitizer
    Fiber* next_free;
};

Fiber* create_fiber(void (*body)());
// Prepares a fiber that is not running to start its body anew.
void reset_fiber(Fiber* fiber, void (*body)());
// Saves this context in `from` and goes on in `to`.
void switch_fiber(Fiber* from, Fiber* to);
// The first thing a fiber's body calls.
void started_fiber();

// True while this thread of the processor runs a CUDA thread; then `fault` may be called.
inline bool inside_kernel() { return self != nullptr; }

} // namespace engine_shim
