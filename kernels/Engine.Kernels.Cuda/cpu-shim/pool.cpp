// The processor's threads, which share the blocks of a launch.
#include "machine.h"
#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <numeric>
#include <thread>

namespace engine_shim
{

static uint64_t mix(uint64_t x)
{
    x += 0x9E3779B97F4A7C15ull;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ x >> 27) * 0x94D049BB133111EBull;
    return x ^ x >> 31;
}

Order::Order(uint64_t count, uint64_t salt) : count(count), step(1), start(0)
{
    uint64_t chosen = seed.load(std::memory_order_relaxed);
    if (chosen == 0 || count < 2) return;
    step = count - 1, start = count - 1;
    if (chosen == 1) return;
    start = mix(chosen ^ mix(salt)) % count;
    step = mix(start ^ mix(chosen + salt)) % count;
    while (std::gcd(step, count) != 1) step = (step + 1) % count;
}

uint64_t Order::operator()(uint64_t place) const { return (uint64_t)(((unsigned __int128)place * step + start) % count); }

void set_fault(Fault& fault, int code, const std::string& text)
{
    static std::mutex lock;
    std::lock_guard guard(lock);
    if (fault.code) return;
    fault.text = text;
    __atomic_store_n(&fault.code, code, __ATOMIC_RELEASE);
}

namespace
{

// The threads wait here between launches. It is never taken down: they run until the process ends.
struct Pool
{
    std::mutex lock;
    std::condition_variable begun, ended;
    const std::function<void()>* work = nullptr;
    uint64_t number = 0;
    int inside = 0;

    explicit Pool(int helpers)
    {
        for (int i = 0; i < helpers; i++) std::thread([this] { help(); }).detach();
    }

    void help()
    {
        uint64_t done = 0;
        std::unique_lock guard(lock);
        for (;;)
        {
            begun.wait(guard, [&] { return work && number != done; });
            done = number;
            auto own = work;
            inside++;
            guard.unlock();
            (*own)();
            guard.lock();
            if (--inside == 0) ended.notify_one();
        }
    }

    void run(const std::function<void()>& all)
    {
        {
            std::lock_guard guard(lock);
            work = &all;
            number++;
        }
        begun.notify_all();
        all();
        std::unique_lock guard(lock);
        work = nullptr;
        ended.wait(guard, [&] { return inside == 0; });
    }
};

int thread_count()
{
    if (const char* text = getenv("ENGINE_STANDIN_THREADS")) return std::clamp(atoi(text), 1, 256);
    return std::max(1, (int)std::thread::hardware_concurrency());
}

} // namespace

void spread(uint64_t count, Fault& fault, const std::function<void(uint64_t)>& body)
{
    static const int threads = thread_count();
    static auto pool = new Pool(threads - 1);
    Order order(count, 0x5EED);
    std::atomic<uint64_t> next{0};
    std::function<void()> work = [&] {
        for (;;)
        {
            uint64_t place = next.fetch_add(1, std::memory_order_relaxed);
            if (place >= count || __atomic_load_n(&fault.code, __ATOMIC_ACQUIRE)) return;
            body(order(place));
        }
    };
    if (count == 1 || threads == 1) work();
    else pool->run(work);
}

} // namespace engine_shim
