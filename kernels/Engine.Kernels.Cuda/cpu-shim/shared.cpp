// A block's shared memory: poisoned with NaN, every variable between guard words, the dynamic part against a gap that traps.
#include "block.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

namespace engine_shim
{

constexpr unsigned GuardBytes = 64, GapBytes = 1 << 20, ArenaBytes = 1 << 19;
constexpr unsigned char GuardByte = 0xA7;

static unsigned char* map_between_traps(size_t bytes)
{
    void* memory = mmap(nullptr, bytes + 2 * GapBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    auto start = static_cast<unsigned char*>(memory) + GapBytes;
    if (memory == MAP_FAILED || mprotect(start, bytes, PROT_READ | PROT_WRITE) != 0)
    {
        perror("stand-in: no memory for shared memory");
        abort();
    }
    ASAN_POISON_MEMORY_REGION(start, bytes);
    return start;
}

SharedMemory::SharedMemory() : variables(map_between_traps(ArenaBytes)), dynamic_start(nullptr), dynamic_end(map_between_traps(ArenaBytes) + ArenaBytes),
    dynamic_bytes(0), limit(0), used(0), taken(0) {}

void SharedMemory::begin(unsigned bytes, unsigned most)
{
    dynamic_bytes = bytes;
    limit = most;
    used = taken = 0;
    known.clear();
    if (!bytes) return;
    dynamic_start = dynamic_end - (bytes + 127) / 128 * 128;
    ASAN_UNPOISON_MEMORY_REGION(dynamic_start - GuardBytes, dynamic_end - dynamic_start + GuardBytes);
    memset(dynamic_start - GuardBytes, GuardByte, GuardBytes);
    poison(dynamic_start, bytes);
    memset(dynamic_start + bytes, GuardByte, dynamic_end - dynamic_start - bytes);
    ASAN_POISON_MEMORY_REGION(dynamic_start - GuardBytes, GuardBytes);
    ASAN_POISON_MEMORY_REGION(dynamic_start + bytes, dynamic_end - dynamic_start - bytes);
}

void* SharedMemory::variable(const void* slot, unsigned bytes)
{
    for (auto& variable : known)
        if (variable.slot == slot) return variable.address;
    used += (bytes + 15) / 16 * 16;
    if (used > MaxStaticBytes) fault("more than 48 KB of static shared memory", 1);
    if (used + dynamic_bytes > limit)
    {
        char text[128];
        snprintf(text, sizeof text, "%u bytes of static and %u of dynamic shared memory, of %u that the launch may use", used, dynamic_bytes, limit);
        fault(text, 1);
    }
    // Aligned to 16 bytes and to no more.
    unsigned start = (taken + GuardBytes + 31) / 32 * 32 + 16;
    unsigned char* address = variables + start;
    taken = start + (bytes + 15) / 16 * 16;
    ASAN_UNPOISON_MEMORY_REGION(address - GuardBytes, bytes + 2 * GuardBytes);
    memset(address - GuardBytes, GuardByte, GuardBytes);
    poison(address, bytes);
    memset(address + bytes, GuardByte, GuardBytes);
    ASAN_POISON_MEMORY_REGION(address - GuardBytes, GuardBytes);
    ASAN_POISON_MEMORY_REGION(address + bytes, GuardBytes);
    known.push_back({slot, address, bytes});
    return address;
}

bool SharedMemory::variable_holds(const unsigned char* p, size_t bytes) const
{
    for (auto& variable : known)
        if (p >= variable.address && p + bytes <= variable.address + variable.bytes) return true;
    return false;
}

const char* SharedMemory::damage() const
{
#if !defined(__SANITIZE_ADDRESS__)
    // All bytes are the first and that is a guard's.
    auto whole = [](const unsigned char* from, const unsigned char* to) { return from == to || (*from == GuardByte && memcmp(from, from + 1, to - from - 1) == 0); };
    for (auto& variable : known)
        if (!whole(variable.address - GuardBytes, variable.address) || !whole(variable.address + variable.bytes, variable.address + variable.bytes + GuardBytes))
            return "a write beyond a variable in shared memory";
    if (dynamic_bytes && (!whole(dynamic_start - GuardBytes, dynamic_start) || !whole(dynamic_start + dynamic_bytes, dynamic_end)))
        return "a write beyond the dynamic shared memory";
#endif
    return nullptr;
}

void SharedMemory::end()
{
#if defined(__SANITIZE_ADDRESS__)
    for (auto& variable : known) ASAN_POISON_MEMORY_REGION(variable.address, variable.bytes);
    if (dynamic_bytes) ASAN_POISON_MEMORY_REGION(dynamic_start, dynamic_bytes);
#endif
}

} // namespace engine_shim
