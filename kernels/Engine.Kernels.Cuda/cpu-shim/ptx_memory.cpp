// Loads and stores of the interpreter. Threads that follow one another mostly use addresses that do: then one check and one copy.
#include "driver.h"
#include "ptx_code.h"
#include <cstring>

namespace engine_standin::ptx
{

void check_access(Frame& frame, uint64_t address, uint64_t bytes)
{
    if (address >= frame.low && address < frame.high && bytes <= frame.high - address) return;
    auto inside = [&](uint64_t start, uint64_t length) {
        if (address < start || address - start > length || bytes > length - (address - start)) return false;
        frame.low = start;
        frame.high = start + length;
        return true;
    };
    for (auto& operand : frame.launch->operands)
        if (inside(operand.start, operand.bytes)) return;
    if (frame.launch->operands.empty())
    {
        const Allocation* found = find_allocation(address, bytes);
        if (found && inside(found->start, found->bytes)) return;
    }
    char text[128];
    snprintf(text, sizeof text, "%llu bytes at 0x%llx are not inside %s", (unsigned long long)bytes, (unsigned long long)address,
        frame.launch->operands.empty() ? "an allocation" : "one of the launch's operands");
    throw RunError{IllegalAddress, text};
}

namespace
{

enum class Pattern { Consecutive, Equal, Any };

Pattern pattern_of(const uint64_t* address, int count, uint64_t stride)
{
    uint64_t first = address[0], off = 0, differ = 0;
    for (int i = 0; i < count; i++) off |= address[i] ^ (first + (uint64_t)i * stride);
    if (!off) return Pattern::Consecutive;
    for (int i = 0; i < count; i++) differ |= address[i] ^ first;
    return differ ? Pattern::Any : Pattern::Equal;
}

void check_aligned(uint64_t address, uint64_t bytes)
{
    if (address % bytes) throw RunError{MisalignedAddress, "an address that is not a multiple of the access' " + std::to_string(bytes) + " bytes"};
}

template <typename T, int Count> void load(Frame& frame, const Step& step, unsigned char* to)
{
    constexpr uint64_t stride = sizeof(T) * Count;
    auto address = reinterpret_cast<const uint64_t*>(frame.file + step.a);
    uint32_t* d[Count] = {reinterpret_cast<uint32_t*>(to)};
    for (int k = 1; k < Count; k++) d[k] = reinterpret_cast<uint32_t*>(frame.file + step.more[k - 1]);
    uint64_t offset = (uint64_t)step.offset;
    Pattern pattern = frame.mask ? Pattern::Any : pattern_of(address, frame.active, stride);
    if (pattern != Pattern::Any)
    {
        uint64_t first = address[0] + offset;
        check_aligned(first, stride);
        check_access(frame, first, pattern == Pattern::Equal ? stride : stride * (uint64_t)frame.active);
        auto from = reinterpret_cast<const T*>(first);
        int n = frame.active;
        if (pattern == Pattern::Equal)
            for (int k = 0; k < Count; k++)
                for (int i = 0; i < n; i++) d[k][i] = from[k];
        else
            for (int k = 0; k < Count; k++)
#pragma GCC ivdep
                for (int i = 0; i < n; i++) d[k][i] = from[i * Count + k];
        return;
    }
    for (int i = 0; i < frame.active; i++)
    {
        if (frame.mask && !frame.mask[i]) continue;
        uint64_t at = address[i] + offset;
        check_aligned(at, stride);
        check_access(frame, at, stride);
        T value[Count];
        memcpy(value, reinterpret_cast<const void*>(at), stride);
        for (int k = 0; k < Count; k++) d[k][i] = value[k];
    }
}

template <typename T, int Count> void store(Frame& frame, const Step& step, unsigned char*)
{
    constexpr uint64_t stride = sizeof(T) * Count;
    auto address = reinterpret_cast<const uint64_t*>(frame.file + step.a);
    const uint32_t* s[Count] = {reinterpret_cast<const uint32_t*>(frame.file + step.b)};
    for (int k = 1; k < Count; k++) s[k] = reinterpret_cast<const uint32_t*>(frame.file + step.more[k - 1]);
    uint64_t offset = (uint64_t)step.offset;
    if (!frame.mask && pattern_of(address, frame.active, stride) == Pattern::Consecutive)
    {
        uint64_t first = address[0] + offset;
        check_aligned(first, stride);
        check_access(frame, first, stride * (uint64_t)frame.active);
        auto to = reinterpret_cast<T*>(first);
        int n = frame.active;
        for (int k = 0; k < Count; k++)
#pragma GCC ivdep
            for (int i = 0; i < n; i++) to[i * Count + k] = (T)s[k][i];
        return;
    }
    for (int i = 0; i < frame.active; i++)
    {
        if (frame.mask && !frame.mask[i]) continue;
        uint64_t at = address[i] + offset;
        check_aligned(at, stride);
        check_access(frame, at, stride);
        T value[Count];
        for (int k = 0; k < Count; k++) value[k] = (T)s[k][i];
        memcpy(reinterpret_cast<void*>(at), value, stride);
    }
}

template <typename T> Handler load_of(int count) { return count == 1 ? &load<T, 1> : count == 2 ? &load<T, 2> : &load<T, 4>; }
template <typename T> Handler store_of(int count) { return count == 1 ? &store<T, 1> : count == 2 ? &store<T, 2> : &store<T, 4>; }

} // namespace

Handler load_handler(unsigned bytes, int count) { return bytes == 1 ? load_of<uint8_t>(count) : bytes == 2 ? load_of<uint16_t>(count) : load_of<uint32_t>(count); }
Handler store_handler(unsigned bytes, int count) { return bytes == 1 ? store_of<uint8_t>(count) : bytes == 2 ? store_of<uint16_t>(count) : store_of<uint32_t>(count); }

} // namespace engine_standin::ptx
