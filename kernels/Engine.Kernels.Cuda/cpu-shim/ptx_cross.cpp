// What crosses threads in the interpreter: shuffles, barriers, and shared memory.
#include "driver.h"
#include "ptx_code.h"
#include <cstring>

namespace engine_standin::ptx
{

namespace
{

constexpr int Warp = 32, Several = -2;

// Why a thread of those that run together takes no part.
std::string absence(const Frame& frame, int lane)
{
    if (frame.now.mask[lane]) return "is left out by the guard";
    for (auto& group : frame.waiting)
        if (group.mask[lane]) return "waits before line " + std::to_string(frame.kernel->blocks[group.block].line);
    return "has ended";
}

unsigned threads_of(const Frame& frame) { return frame.launch->block.x * frame.launch->block.y * frame.launch->block.z; }

void run_shuffle(Frame& frame, const Step& step, unsigned char* to)
{
    if (threads_of(frame) % Warp) throw RunError{LaunchFailed, "shfl.sync in a block of " + std::to_string(threads_of(frame)) + " threads, which is no multiple of 32"};
    uint32_t given[Lanes];
    memcpy(given, frame.file + step.a, sizeof given);
    auto d = reinterpret_cast<uint32_t*>(to);
    for (int warp = 0; warp < frame.count; warp += Warp)
    {
        int present = 0, missing = -1;
        for (int i = warp; i < warp + Warp; i++)
            if (frame.takes_part(i)) present++;
            else if (missing < 0) missing = i;
        if (!present) continue;
        if (missing >= 0)
            throw RunError{LaunchFailed, "shfl.sync with " + std::to_string(present) + " of the 32 threads of its warp: this one " + absence(frame, missing), missing};
        for (int i = 0; i < Warp; i++) d[warp + i] = given[warp + (i ^ (int)step.offset)];
    }
}

void run_barrier(Frame& frame, const Step&, unsigned char*)
{
    unsigned threads = threads_of(frame);
    if (threads > Lanes) throw RunError{LaunchFailed, "bar.sync in a block of " + std::to_string(threads) + " threads: the interpreter runs at most " + std::to_string(Lanes) + " at once"};
    int present = 0, missing = -1;
    for (int i = 0; i < frame.count; i++)
        if (frame.takes_part(i)) present++;
        else if (missing < 0) missing = i;
    if (missing >= 0)
        throw RunError{LaunchFailed, "bar.sync with " + std::to_string(present) + " of the block's " + std::to_string(threads) + " threads: this one " + absence(frame, missing), missing};
    frame.interval++;
}

// ---- Shared memory

// The word at a thread's address.
SharedWord& word_at(Frame& frame, const Step& step, int lane)
{
    int64_t address = (int64_t)reinterpret_cast<const uint32_t*>(frame.file + step.a)[lane] + step.offset;
    if (address % 4) throw RunError{MisalignedAddress, "an address in shared memory that is not a multiple of 4", lane};
    auto& variables = frame.kernel->variables;
    int64_t nearest = (address + VariableBytes / 2) / VariableBytes - 1;
    if (address < 0 || nearest < 0 || nearest >= (int64_t)variables.size())
        throw RunError{IllegalAddress, "4 bytes at " + std::to_string(address) + " of shared memory are not inside a variable", lane};
    auto& variable = variables[(size_t)nearest];
    int64_t offset = address - shared_address((int)nearest);
    if (offset < 0 || offset >= 4 * (int64_t)variable.words)
        throw RunError{IllegalAddress, "4 bytes at " + variable.name + (offset < 0 ? "" : "+") + std::to_string(offset) + " are not inside its " + std::to_string(4 * variable.words), lane};
    return frame.shared[variable.first + offset / 4];
}

[[noreturn]] void race(int lane, const char* does, const char* did, int other)
{
    std::string who = other == Several ? "several others" : "the thread of rank " + std::to_string(other);
    throw RunError{LaunchFailed, std::string(does) + " a word of shared memory that " + who + " " + did + " since the last bar.sync", lane};
}

void run_load_shared(Frame& frame, const Step& step, unsigned char* to)
{
    auto d = reinterpret_cast<uint32_t*>(to);
    for (int i = 0; i < frame.count; i++)
    {
        if (!frame.takes_part(i)) continue;
        SharedWord& word = word_at(frame, step, i);
        int rank = frame.first + i;
        if (word.written == frame.interval && word.writer != rank) race(i, "reads", "wrote", word.writer);
        word.reader = word.read == frame.interval && word.reader != rank ? Several : rank;
        word.read = frame.interval;
        d[i] = word.value;
    }
}

void run_store_shared(Frame& frame, const Step& step, unsigned char*)
{
    auto from = reinterpret_cast<const uint32_t*>(frame.file + step.b);
    for (int i = 0; i < frame.count; i++)
    {
        if (!frame.takes_part(i)) continue;
        SharedWord& word = word_at(frame, step, i);
        int rank = frame.first + i;
        bool again = word.written == frame.interval && word.writer != rank;
        if (again && word.value != from[i]) race(i, "writes", "wrote otherwise", word.writer);
        if (word.read == frame.interval && word.reader != rank) race(i, "writes", "read", word.reader);
        word = {from[i], frame.interval, word.read, again ? Several : rank, word.reader};
    }
}

} // namespace

const Handler shuffle = run_shuffle, barrier = run_barrier, load_shared = run_load_shared, store_shared = run_store_shared;

} // namespace engine_standin::ptx
