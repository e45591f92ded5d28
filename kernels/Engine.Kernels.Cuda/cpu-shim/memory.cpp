// Memory of the device: each allocation between wide gaps that trap, filled with NaN, with guard bytes where it does not fill its pages.
#include "driver.h"
#include <cstdlib>
#include <cstring>
#include <deque>
#include <sys/mman.h>

namespace engine_standin
{

constexpr size_t PageBytes = 4096, Granule = 256, GapBytes = 16 << 20, KeptRanges = 4096;
constexpr unsigned char GuardByte = 0xB5, PoisonByte = 0xFF;

// Freed ranges, still reserved: who uses one traps instead of finding another allocation.
static std::deque<std::pair<void*, size_t>> freed;

const Allocation* find_allocation(uint64_t address, size_t bytes)
{
    auto& all = state().allocations;
    auto after = all.upper_bound(address);
    if (after == all.begin()) return nullptr;
    const Allocation& found = std::prev(after)->second;
    return address - found.start <= found.bytes && bytes <= found.bytes - (address - found.start) ? &found : nullptr;
}

uint64_t allocate(Context& context, size_t bytes)
{
    if (bytes == 0) throw Error{InvalidValue, {}};
    auto& s = state();
    if (bytes > s.memory || context.used + bytes > s.memory) throw Error{OutOfMemory, {}};
    size_t padded = (bytes + Granule - 1) / Granule * Granule, pages = (padded + PageBytes - 1) / PageBytes * PageBytes, whole = pages + 2 * GapBytes;
    void* map = mmap(nullptr, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) throw Error{OutOfMemory, {}};
    auto first = static_cast<unsigned char*>(map) + GapBytes;
    if (mprotect(first, pages, PROT_READ | PROT_WRITE) != 0)
    {
        munmap(map, whole);
        throw Error{OutOfMemory, {}};
    }
    unsigned char* start = first + pages - padded;
    memset(first, GuardByte, start - first);
    memset(start, PoisonByte, bytes);
    memset(start + bytes, GuardByte, padded - bytes);
    auto address = reinterpret_cast<uint64_t>(start);
    s.allocations[address] = {address, bytes, padded, map, whole, &context};
    context.used += bytes;
    return address;
}

static bool damaged(const Allocation& a)
{
    // All bytes are the first and that is a guard's.
    auto whole = [](const unsigned char* from, const unsigned char* to) { return from == to || (*from == GuardByte && memcmp(from, from + 1, to - from - 1) == 0); };
    auto start = reinterpret_cast<const unsigned char*>(a.start);
    auto first = static_cast<const unsigned char*>(a.map) + GapBytes;
    return !whole(std::max(first, start - Granule), start) || !whole(start + a.bytes, start + a.padded);
}

static void report(const Allocation& a)
{
    if (!a.context || !damaged(a)) return;
    a.context->sticky = IllegalAddress;
    throw Error{IllegalAddress, "a kernel wrote beyond an allocation of " + std::to_string(a.bytes) + " bytes"};
}

void check_guards()
{
    for (auto& [start, allocation] : state().allocations) report(allocation);
}

static void drop(const Allocation& a)
{
    if (!a.context)
    {
        free(a.map);
        return;
    }
    a.context->used -= a.bytes;
    mmap(a.map, a.map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    freed.emplace_back(a.map, a.map_bytes);
    if (freed.size() <= KeptRanges) return;
    munmap(freed.front().first, freed.front().second);
    freed.pop_front();
}

void release(uint64_t address, Context* context)
{
    auto& all = state().allocations;
    auto found = all.find(address);
    if (found == all.end() || found->second.context != context) throw Error{InvalidValue, {}};
    Allocation allocation = found->second;
    all.erase(found);
    bool bad = allocation.context && damaged(allocation);
    drop(allocation);
    if (bad)
    {
        context->sticky = IllegalAddress;
        throw Error{IllegalAddress, "a kernel wrote beyond an allocation of " + std::to_string(allocation.bytes) + " bytes"};
    }
}

void release_all(Context& context)
{
    auto& all = state().allocations;
    for (auto a = all.begin(); a != all.end();)
        if (a->second.context == &context) drop(a->second), a = all.erase(a);
        else ++a;
}

static void check_range(const char* what, uint64_t address, size_t bytes)
{
    const Allocation* found = find_allocation(address, bytes);
    if (!found || !found->context) throw Error{InvalidValue, std::string(what) + ": the range of " + std::to_string(bytes) + " bytes is not inside an allocation"};
}

static void refuse_in_capture(const char* what)
{
    for (Stream* stream : state().streams.live)
        if (stream->capture && stream->mode != 2)
        {
            stream->invalidated = true;
            throw Error{CaptureUnsupported, std::string(what) + " during a capture that is not in relaxed mode"};
        }
}

EXPORT int cuMemGetInfo_v2(size_t* free_bytes, size_t* total)
{
    return call(Needs::Context, [&] {
        *not_null(total) = state().memory;
        *not_null(free_bytes) = state().memory - current_context()->used;
    });
}

EXPORT int cuMemAlloc_v2(uint64_t* address, size_t bytes)
{
    return call(Needs::Context, [&] {
        refuse_in_capture("cuMemAlloc");
        *not_null(address) = allocate(*current_context(), bytes);
    });
}

EXPORT int cuMemFree_v2(uint64_t address)
{
    return call(Needs::Context, [&] {
        refuse_in_capture("cuMemFree");
        if (address) release(address, current_context());
    });
}

static void refuse_captured(const char* what, void* handle)
{
    Stream* stream = find_stream(handle);
    if (stream && stream->capture) throw Error{CaptureUnsupported, std::string(what) + " on a stream that is being captured: the stand-in records no allocations"};
}

EXPORT int cuMemAllocAsync(uint64_t* address, size_t bytes, void* stream)
{
    return call(Needs::Context, [&] {
        refuse_captured("cuMemAllocAsync", stream);
        *not_null(address) = allocate(*current_context(), bytes);
    });
}

EXPORT int cuMemFreeAsync(uint64_t address, void* stream)
{
    return call(Needs::Context, [&] {
        refuse_captured("cuMemFreeAsync", stream);
        release(address, current_context());
    });
}

// A pool is its device's context, of which nothing is kept: what is freed is free.
EXPORT int cuDeviceGetDefaultMemPool(void** pool, int device)
{
    return call(Needs::Initialized, [&] {
        if (device < 0 || device >= state().devices) throw Error{InvalidDevice, {}};
        *not_null(pool) = &state().contexts[device];
    });
}

static void check_pool(void* pool)
{
    for (auto& context : state().contexts)
        if (pool == &context) return;
    throw Error{InvalidValue, {}};
}

EXPORT int cuMemPoolSetAttribute(void* pool, int attribute, void* value)
{
    return call(Needs::Initialized, [&] {
        check_pool(pool);
        not_null(value);
        if (attribute < 1 || attribute > 8) throw Error{InvalidValue, {}};
    });
}

EXPORT int cuMemPoolTrimTo(void* pool, size_t)
{
    return call(Needs::Initialized, [&] { check_pool(pool); });
}

EXPORT int cuMemHostAlloc(void** pointer, size_t bytes, unsigned flags)
{
    return call(Needs::Context, [&] {
        if (bytes == 0 || flags > 7) throw Error{InvalidValue, {}};
        void* memory = aligned_alloc(PageBytes, (bytes + PageBytes - 1) / PageBytes * PageBytes);
        if (!memory) throw Error{OutOfMemory, {}};
        memset(memory, PoisonByte, bytes);
        auto address = reinterpret_cast<uint64_t>(memory);
        state().allocations[address] = {address, bytes, bytes, memory, bytes, nullptr};
        *not_null(pointer) = memory;
    });
}

EXPORT int cuMemFreeHost(void* pointer)
{
    return call(Needs::Context, [&] { release(reinterpret_cast<uint64_t>(pointer), nullptr); });
}

EXPORT int cuMemcpyHtoDAsync_v2(uint64_t to, const void* from, size_t bytes, void* stream)
{
    return call(Needs::Context, [&] {
        if (bytes == 0) return;
        not_null(from);
        check_range("cuMemcpyHtoDAsync", to, bytes);
        submit(stream, [=](Context&) {
            check_range("a copy to the device", to, bytes);
            memcpy(reinterpret_cast<void*>(to), from, bytes);
        });
    });
}

EXPORT int cuMemcpyDtoHAsync_v2(void* to, uint64_t from, size_t bytes, void* stream)
{
    return call(Needs::Context, [&] {
        if (bytes == 0) return;
        not_null(to);
        check_range("cuMemcpyDtoHAsync", from, bytes);
        submit(stream, [=](Context&) {
            check_range("a copy to the host", from, bytes);
            memcpy(to, reinterpret_cast<const void*>(from), bytes);
        });
    });
}

EXPORT int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void* stream)
{
    return call(Needs::Context, [&] {
        if (bytes == 0) return;
        check_range("cuMemcpyDtoDAsync", to, bytes);
        check_range("cuMemcpyDtoDAsync", from, bytes);
        if (to < from + bytes && from < to + bytes) throw Error{InvalidValue, "cuMemcpyDtoDAsync: the ranges overlap (what is copied is undefined)"};
        submit(stream, [=](Context&) {
            check_range("a copy on the device", to, bytes);
            check_range("a copy on the device", from, bytes);
            memcpy(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
        });
    });
}

// Either address may be the host's, which is told by its lying in no allocation.
EXPORT int cuMemcpyAsync(uint64_t to, uint64_t from, size_t bytes, void* stream)
{
    return call(Needs::Context, [&] {
        if (bytes == 0) return;
        auto check = [=](const char* what) {
            for (uint64_t address : {to, from})
                if (!address) throw Error{InvalidValue, {}};
                else if (find_allocation(address, 0) && !find_allocation(address, bytes))
                    throw Error{InvalidValue, std::string(what) + ": the range of " + std::to_string(bytes) + " bytes is not inside an allocation"};
        };
        check("cuMemcpyAsync");
        submit(stream, [=](Context&) {
            check("a copy");
            memmove(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
        });
    });
}

EXPORT int cuMemsetD8Async(uint64_t to, unsigned char value, size_t count, void* stream)
{
    return call(Needs::Context, [&] {
        if (count == 0) return;
        check_range("cuMemsetD8Async", to, count);
        submit(stream, [=](Context&) {
            check_range("a fill", to, count);
            memset(reinterpret_cast<void*>(to), value, count);
        });
    });
}

EXPORT int cuMemsetD32Async(uint64_t to, unsigned value, size_t count, void* stream)
{
    return call(Needs::Context, [&] {
        if (count == 0) return;
        if (to % 4 || count > SIZE_MAX / 4) throw Error{InvalidValue, {}};
        check_range("cuMemsetD32Async", to, 4 * count);
        submit(stream, [=](Context&) {
            check_range("a fill", to, 4 * count);
            auto words = reinterpret_cast<unsigned*>(to);
            for (size_t i = 0; i < count; i++) words[i] = value;
        });
    });
}

} // namespace engine_standin
