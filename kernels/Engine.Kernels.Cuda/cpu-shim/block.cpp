// Runs a block: its threads in turn until each waits or ends, barriers, and what is wrong when nobody can go on.
#include "block.h"
#include <cstdio>
#include <cstring>

namespace engine_shim
{

__thread ThreadView* self __attribute__((tls_model("initial-exec"))) = nullptr;
int architecture = 80;
std::atomic<uint64_t> seed{0};

Worker& this_worker()
{
    static thread_local Worker* worker = nullptr;
    if (!worker) worker = new Worker; // lives as long as the process: fibers refer to it
    return *worker;
}

Worker::Worker() : arranged_seed(~0ull), arranged_size{0, 0, 0}, main{}, free_fibers(nullptr)
{
    catch_signals();
    for (auto& thread : threads) thread.block = this;
    for (auto& warp : warps) warp.generation = 0;
}

// Gives the threads their ranks in the seed's order.
void Worker::arrange()
{
    uint64_t chosen = seed.load(std::memory_order_relaxed);
    bool random = chosen > 1;
    if (!random && chosen == arranged_seed && memcmp(&size, &arranged_size, sizeof size) == 0) return;
    arranged_seed = chosen;
    arranged_size = size;
    thread_count = (int)(size.x * size.y * size.z);
    warp_count = (thread_count + WarpSize - 1) / WarpSize;
    uint64_t salt = ((uint64_t)index.z * 65537 + index.y) * 65539 + index.x;
    Order warp_order(warp_count, salt);
    for (int w = 0; w < warp_count; w++)
    {
        int number = (int)warp_order(w), first = number * WarpSize;
        warps[w].size = std::min(WarpSize, thread_count - first);
        Order lane_order(warps[w].size, salt * 37 + number + 1);
        for (int place = 0; place < warps[w].size; place++)
        {
            Thread& thread = threads[w * WarpSize + place];
            thread.warp = w;
            thread.place = place;
            thread.lane = (int)lane_order(place);
            unsigned rank = first + thread.lane;
            thread.index = {rank % size.x, rank / size.x % size.y, rank / size.x / size.y};
        }
    }
}

void Worker::run_block(const NativeLaunch& launched, Fault& launch_fault, uint64_t number)
{
    launch = &launched;
    fault = &launch_fault;
    grid = launch->grid;
    size = launch->block;
    index = {(unsigned)(number % grid.x), (unsigned)(number / grid.x % grid.y), (unsigned)(number / grid.x / grid.y)};
    arrange();
    finished = arrived = 0;
    left = false;
    ready_warps = warp_count == MaxWarps ? ~0u : (1u << warp_count) - 1;
    for (int w = 0; w < warp_count; w++)
    {
        warps[w].ready = warps[w].size == WarpSize ? ~0u : (1u << warps[w].size) - 1;
        warps[w].arrived = 0;
        for (int place = 0; place < warps[w].size; place++)
        {
            Thread& thread = threads[w * WarpSize + place];
            thread.fiber = nullptr;
            thread.state = State::Ready;
            thread.copies.clear();
            thread.groups.clear();
        }
    }
    shared.begin(launch->dynamic_bytes, launch->shared_limit);
    Thread* first = take_next(&threads[0]);
    first->fiber = free_fibers ? free_fibers : create_fiber(fiber_body);
    if (free_fibers) free_fibers = free_fibers->next_free;
    self = first;
    switch_fiber(&main, first->fiber);
    self = nullptr;
    if (left)
    {
        // The stacks of threads that did not end are used anew.
        for (int w = 0; w < warp_count; w++)
            for (int place = 0; place < warps[w].size; place++)
                if (Fiber* fiber = threads[w * WarpSize + place].fiber)
                {
                    reset_fiber(fiber, fiber_body);
                    fiber->next_free = free_fibers;
                    free_fibers = fiber;
                }
    }
    else if (const char* damage = shared.damage())
        set_fault(*fault, 700, std::string(launch->entry->name) + ": " + damage);
    shared.end();
}

void Worker::fiber_body()
{
    started_fiber();
    Worker& worker = this_worker();
    for (;;)
    {
        auto thread = static_cast<Thread*>(self);
        Fiber* own = thread->fiber;
        Fiber* next = nullptr;
        while (!next)
        {
            worker.launch->entry->call(worker.launch->entry->function, worker.launch->values);
            thread->state = State::Finished;
            if (++worker.finished == worker.thread_count)
            {
                thread->fiber = nullptr;
                next = &worker.main;
                break;
            }
            Thread* follower = worker.take_next(thread);
            thread->fiber = nullptr;
            self = thread = follower;
            if (follower->fiber) next = follower->fiber;
            else follower->fiber = own;
        }
        own->next_free = worker.free_fibers;
        worker.free_fibers = own;
        switch_fiber(own, next);
    }
}

// A thread that can run, of the same warp if there is one.
Thread* Worker::take_next(Thread* after)
{
    int w = after->warp;
    if (!warps[w].ready)
    {
        if (!ready_warps) stuck(after);
        w = __builtin_ctz(ready_warps);
    }
    int place = __builtin_ctz(warps[w].ready);
    warps[w].ready &= warps[w].ready - 1;
    if (!warps[w].ready) ready_warps &= ~(1u << w);
    return &threads[w * WarpSize + place];
}

void Worker::wait(Thread* thread, State state, int line)
{
    thread->state = state;
    thread->line = line;
    Thread* next = take_next(thread);
    if (!next->fiber)
    {
        next->fiber = free_fibers ? free_fibers : create_fiber(fiber_body);
        if (free_fibers) free_fibers = free_fibers->next_free;
    }
    self = next;
    switch_fiber(thread->fiber, next->fiber);
    thread->state = State::Ready;
}

void Worker::barrier(Thread* thread, int line)
{
    if (arrived == 0) barrier_line = line;
    else if (barrier_line != line)
        leave(thread, 719, "threads of a block meet at syncthreads of different lines, " + std::to_string(barrier_line) + " and " + std::to_string(line));
    if (finished) leave(thread, 719, "syncthreads at line " + std::to_string(line) + " after threads of the block have ended");
    if (++arrived < thread_count) return wait(thread, State::Block, line);
    arrived = 0;
    for (int w = 0; w < warp_count; w++)
    {
        warps[w].ready = warps[w].size == WarpSize ? ~0u : (1u << warps[w].size) - 1;
        ready_warps |= 1u << w;
    }
    Warp& own = warps[thread->warp];
    own.ready &= ~(1u << thread->place);
    if (!own.ready) ready_warps &= ~(1u << thread->warp);
}

const Lane* Worker::exchange(Thread* thread, WarpOperation operation, const void* value, int bytes, int line)
{
    Warp& warp = warps[thread->warp];
    Lane* lanes = warp.lanes[warp.generation & 1];
    if (warp.size != WarpSize) leave(thread, 719, "an operation of a warp at line " + std::to_string(line) + " in a warp of " + std::to_string(warp.size) + " threads");
    if (warp.arrived == 0) warp.operation = operation, warp.line = line;
    else if (warp.operation != operation || warp.line != line)
        leave(thread, 719, "threads of a warp meet at operations of different lines, " + std::to_string(warp.line) + " and " + std::to_string(line));
    if (bytes == 4) memcpy(lanes[thread->lane].bytes, value, 4);
    else if (bytes == 8) memcpy(lanes[thread->lane].bytes, value, 8);
    else if (bytes) memcpy(lanes[thread->lane].bytes, value, bytes);
    if (++warp.arrived < WarpSize)
    {
        wait(thread, State::Warp, line);
        return lanes;
    }
    warp.arrived = 0;
    warp.generation++;
    finish_warp_operation(operation, lanes);
    warp.ready = ~(1u << thread->place);
    ready_warps |= 1u << thread->warp;
    return lanes;
}

std::string Worker::where(const Thread* thread) const
{
    auto text = [](Index i) { return "(" + std::to_string(i.x) + ", " + std::to_string(i.y) + ", " + std::to_string(i.z) + ")"; };
    return std::string(launch->entry->name) + ", block " + text(index) + ", thread " + text(thread->index) + ": ";
}

// Nobody can go on and not all have ended: they wait for different things.
void Worker::stuck(Thread* thread)
{
    int block = 0, warp = 0, block_line = 0, warp_line = 0;
    for (int i = 0; i < warp_count; i++)
        for (int place = 0; place < warps[i].size; place++)
        {
            Thread& t = threads[i * WarpSize + place];
            if (t.state == State::Block) block++, block_line = t.line;
            if (t.state == State::Warp) warp++, warp_line = t.line;
        }
    std::string text = "divergence: of " + std::to_string(thread_count) + " threads " + std::to_string(finished) + " have ended";
    if (block) text += ", " + std::to_string(block) + " wait at syncthreads of line " + std::to_string(block_line);
    if (warp) text += ", " + std::to_string(warp) + " at an operation of their warp, for example of line " + std::to_string(warp_line);
    leave(thread, 719, text);
}

void Worker::leave(Thread* thread, int code, const std::string& text)
{
    set_fault(*fault, code, where(thread) + text);
    left = true;
    Fiber* fiber = thread->fiber;
    switch_fiber(fiber, &main);
    __builtin_unreachable();
}

// ---- What kernels call

void fault(const char* what, int code)
{
    worker_of(self).leave(static_cast<Thread*>(self), code, what);
}

void block_barrier(int line)
{
    worker_of(self).barrier(static_cast<Thread*>(self), line);
}

const Lane* warp_exchange(WarpOperation operation, const void* value, int bytes, int line)
{
    return worker_of(self).exchange(static_cast<Thread*>(self), operation, value, bytes, line);
}

int own_lane() { return static_cast<Thread*>(self)->lane; }

void* shared_variable(const void* slot, unsigned bytes) { return worker_of(self).shared.variable(slot, bytes); }

void* shared_dynamic()
{
    void* memory = worker_of(self).shared.dynamic();
    if (!memory) fault("dynamic shared memory in a launch that gives none");
    return memory;
}

static void copy(const Copy& c)
{
    auto to = static_cast<unsigned char*>(c.shared);
    if (c.valid == 16) memcpy(to, c.global, 16);
    else
    {
        memcpy(to, c.global, c.valid);
        memset(to + c.valid, 0, c.bytes - c.valid);
    }
}

// The copy is made when it is waited for; until then what was there is no longer, so that who still reads it shows.
void copy_async(void* shared, const void* global, int bytes, int valid)
{
    auto thread = static_cast<Thread*>(self);
    if ((reinterpret_cast<uintptr_t>(shared) | reinterpret_cast<uintptr_t>(global)) & (bytes - 1)) fault("cp_async of an address that is not a multiple of its size", 716);
    if (valid < 0 || valid > bytes || valid % 4) fault("cp_async of a count of bytes that is negative, above its size or not a multiple of 4");
    if (!worker_of(thread).shared.holds(shared, bytes)) fault("cp_async to an address outside of shared memory", 700);
    if (architecture < 80) return copy({shared, global, bytes, valid});
    if (bytes == 16) SharedMemory::poison(shared, 16);
    else SharedMemory::poison(shared, bytes);
    thread->copies.emplace_back(shared, global, bytes, valid);
}

void copy_async_commit()
{
    if (architecture < 80) return;
    auto thread = static_cast<Thread*>(self);
    thread->groups.push_back(thread->copies.size());
}

void copy_async_wait(int pending)
{
    auto thread = static_cast<Thread*>(self);
    if (thread->groups.size() <= (size_t)pending) return;
    size_t groups = thread->groups.size() - pending, end = thread->groups[groups - 1];
    for (size_t i = 0; i < end; i++) copy(thread->copies[i]);
    thread->copies.erase(thread->copies.begin(), thread->copies.begin() + end);
    thread->groups.erase(thread->groups.begin(), thread->groups.begin() + groups);
    for (auto& group : thread->groups) group -= end;
}

} // namespace engine_shim
