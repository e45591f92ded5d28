// Runs compiled PTX: up to 256 threads of a block at once. Threads that a branch parts run in groups, that of the earliest block
// of the text first, and join where they meet.
#include "driver.h"
#include "ptx_code.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace engine_standin::ptx
{

namespace
{

// The registers and the shared memory of a thread of the processor, and for which launch their constants are filled.
struct File
{
    unsigned char* memory = nullptr;
    size_t bytes = 0;
    uint64_t launch = 0;
    std::vector<SharedWord> shared;
    ~File() { free(memory); }
};

void fill(unsigned char* to, int64_t value, bool wide)
{
    if (wide) std::fill_n(reinterpret_cast<int64_t*>(to), Lanes, value);
    else std::fill_n(reinterpret_cast<uint32_t*>(to), Lanes, (uint32_t)value);
}

unsigned part(const Index& index, int64_t axis) { return axis == 0 ? index.x : axis == 1 ? index.y : index.z; }

struct Runner
{
    const Kernel& kernel;
    const Launch& launch;
    const Index block;
    Frame frame;
    Group& now = frame.now;
    std::vector<Group>& waiting = frame.waiting;

    // Shared memory is NaN at first.
    Runner(const Kernel& kernel, const Launch& launch, File& file, const Index& block) : kernel(kernel), launch(launch), block(block)
    {
        frame.file = file.memory;
        frame.kernel = &kernel;
        frame.launch = &launch;
        frame.mask = nullptr;
        file.shared.assign(kernel.shared_words, {~0u, 0, 0, -1, -1});
        frame.shared = file.shared.data();
    }

    Index thread(unsigned rank) const { return {rank % launch.block.x, rank / launch.block.x % launch.block.y, rank / launch.block.x / launch.block.y}; }

    void fill_constants()
    {
        for (auto& [constant, place] : kernel.constants)
        {
            int64_t value = constant.value;
            if (constant.kind == Constant::Parameter)
            {
                const unsigned char* from = launch.parameters.data() + constant.value;
                value = 0;
                memcpy(&value, from, constant.wide ? 8 : 4);
            }
            else if (constant.kind == Constant::BlockSize) value = part(launch.block, constant.value);
            else if (constant.kind == Constant::GridSize) value = part(launch.grid, constant.value);
            else if (constant.kind != Constant::Literal) continue;
            fill(frame.file + place, value, constant.wide);
        }
    }

    void fill_block()
    {
        for (auto& [constant, place] : kernel.constants)
            if (constant.kind == Constant::BlockIndex) fill(frame.file + place, part(block, constant.value), false);
    }

    void fill_threads(unsigned first)
    {
        for (auto& [constant, place] : kernel.constants)
        {
            if (constant.kind != Constant::ThreadIndex && constant.kind != Constant::LaneIndex) continue;
            auto to = reinterpret_cast<uint32_t*>(frame.file + place);
            for (unsigned i = 0; i < Lanes; i++) to[i] = constant.kind == Constant::LaneIndex ? i % 32 : part(thread(first + i), constant.value);
        }
    }

    const uint32_t* predicate(int place) const { return reinterpret_cast<const uint32_t*>(frame.file + place); }

    // All threads of the group have the mask of the first ones: memory is accessed without it.
    void find_prefix()
    {
        int count = 0;
        while (count < frame.lanes && now.mask[count]) count++;
        bool prefix = std::all_of(now.mask.begin() + count, now.mask.end(), [](uint32_t m) { return !m; });
        frame.active = prefix ? count : frame.lanes;
        frame.mask = prefix ? nullptr : now.mask.data();
    }

    void run_masked(const Step& step)
    {
        if (step.guard < 0 && waiting.empty()) return step.run(frame, step, frame.file + step.to);
        Mask mask = now.mask;
        uint32_t any = 0;
        if (step.guard >= 0)
        {
            const uint32_t* p = predicate(step.guard);
            uint32_t flip = step.negated ? ~0u : 0;
            for (int i = 0; i < Lanes; i++) mask[i] &= p[i] ^ flip;
        }
        for (uint32_t m : mask) any |= m;
        if (!any) return;
        if (step.masked)
        {
            const uint32_t* before = frame.mask;
            int active = frame.active;
            frame.mask = mask.data();
            frame.active = frame.lanes;
            step.run(frame, step, frame.file + step.to);
            frame.mask = before;
            frame.active = active;
            return;
        }
        unsigned char* scratch = frame.file + kernel.scratch;
        step.run(frame, step, scratch);
        if (step.wide) blend<uint64_t>(frame.file + step.to, scratch, mask);
        else blend<uint32_t>(frame.file + step.to, scratch, mask);
    }

    template <typename T> void blend(unsigned char* to, const unsigned char* from, const Mask& mask) const
    {
        auto d = reinterpret_cast<T*>(to);
        auto s = reinterpret_cast<const T*>(from);
        for (int i = 0; i < frame.lanes; i++) d[i] = mask[i] ? s[i] : d[i];
    }

    // Where the group goes at the end of its block; false if all its threads have ended.
    bool leave(const Block& block)
    {
        if (block.target == -1) now.block = block.next;
        else if (block.guard < 0)
        {
            if (block.target == Block::Return) return false;
            now.block = block.target;
        }
        else
        {
            const uint32_t* p = predicate(block.guard);
            uint32_t flip = block.negated ? ~0u : 0, some = 0, others = 0;
            Group taken;
            for (int i = 0; i < Lanes; i++)
            {
                uint32_t m = now.mask[i];
                taken.mask[i] = m & (p[i] ^ flip);
                some |= taken.mask[i];
                others |= m & ~taken.mask[i];
            }
            if (!others)
            {
                if (block.target == Block::Return) return false;
                now.block = block.target;
            }
            else
            {
                now.block = block.next;
                if (some)
                {
                    for (int i = 0; i < Lanes; i++) now.mask[i] &= ~taken.mask[i];
                    taken.block = block.target;
                    if (block.target != Block::Return) waiting.push_back(taken);
                    find_prefix();
                }
            }
        }
        return true;
    }

    // The group whose block is the earliest goes on, with all that are at the same.
    void choose(bool alive)
    {
        if (alive) waiting.push_back(now);
        auto first = std::min_element(waiting.begin(), waiting.end(), [](auto& a, auto& b) { return a.block < b.block; });
        now = *first;
        waiting.erase(first);
        for (size_t i = 0; i < waiting.size();)
        {
            if (waiting[i].block != now.block)
            {
                i++;
                continue;
            }
            for (int k = 0; k < Lanes; k++) now.mask[k] |= waiting[i].mask[k];
            waiting.erase(waiting.begin() + (long)i);
        }
        find_prefix();
    }

    void run_threads(unsigned first, int count)
    {
        frame.first = (int)first;
        frame.count = count;
        frame.lanes = (count + 15) / 16 * 16;
        frame.active = count;
        frame.mask = nullptr;
        now.block = 0;
        for (int i = 0; i < Lanes; i++) now.mask[i] = i < count ? ~0u : 0;
        waiting.clear();
        const Step* step = nullptr;
        try
        {
            for (;;)
            {
                const Block& block = kernel.blocks[now.block];
                const Step* end = kernel.steps.data() + block.end;
                bool plain = waiting.empty();
                for (step = kernel.steps.data() + block.begin; step < end; step++)
                    if (plain && step->guard < 0) step->run(frame, *step, frame.file + step->to);
                    else run_masked(*step);
                bool alive = leave(block);
                if (!alive && waiting.empty()) return;
                if (!waiting.empty()) choose(alive);
            }
        }
        catch (RunError& error)
        {
            auto text = [](Index i) { return "(" + std::to_string(i.x) + ", " + std::to_string(i.y) + ", " + std::to_string(i.z) + ")"; };
            std::string where = error.lane < 0 ? "" : ", block " + text(block) + ", thread " + text(thread(first + (unsigned)error.lane));
            error.text = kernel.name + ", line " + std::to_string(step->line) + " of the PTX" + where + ": " + error.text;
            throw;
        }
    }
};

} // namespace

engine_shim::Fault run(const Kernel& kernel, const Launch& launch)
{
    static std::atomic<uint64_t> launches{0};
    uint64_t number = ++launches;
    engine_shim::Fault fault;
    auto& grid = launch.grid;
    unsigned threads = launch.block.x * launch.block.y * launch.block.z, shared_bytes = 4 * kernel.shared_words;
    if (shared_bytes + launch.shared_bytes > (unsigned)launch.shared_limit)
        engine_shim::set_fault(fault, InvalidValue, kernel.name + ": " + std::to_string(shared_bytes) + " bytes of static and " + std::to_string(launch.shared_bytes) + " of dynamic shared memory, of " + std::to_string(launch.shared_limit) + " that the launch may use");
    if (fault.code) return fault;
    engine_shim::spread((uint64_t)grid.x * grid.y * grid.z, fault, [&](uint64_t i) {
        static thread_local File file;
        if (file.bytes < kernel.file_bytes)
        {
            free(file.memory);
            file.memory = static_cast<unsigned char*>(aligned_alloc(64, kernel.file_bytes));
            file.bytes = file.memory ? kernel.file_bytes : 0;
            file.launch = 0;
            if (!file.memory) return engine_shim::set_fault(fault, OutOfMemory, kernel.name + ": no memory for the registers");
        }
        Runner runner(kernel, launch, file, {(unsigned)(i % grid.x), (unsigned)(i / grid.x % grid.y), (unsigned)(i / grid.x / grid.y)});
        bool first = file.launch != number;
        if (first) runner.fill_constants();
        runner.fill_block();
        try
        {
            for (unsigned start = 0; start < threads; start += Lanes)
            {
                if (first || threads > Lanes) runner.fill_threads(start);
                runner.run_threads(start, (int)std::min<unsigned>(Lanes, threads - start));
            }
        }
        catch (const RunError& error)
        {
            engine_shim::set_fault(fault, error.code, error.text);
        }
        file.launch = number;
    });
    return fault;
}

} // namespace engine_standin::ptx
