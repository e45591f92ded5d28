// Indexes, barriers, warps, atomics, shared memory; and that mistakes are caught.
#include "host.h"
#include <algorithm>
#include <cmath>
#include <numeric>

static void indexes()
{
    Buffer<int> y(2 * 6 * 50);
    CHECK(launch("t_index", {4, 3, 1}, {16, 2, 2}, 0, y.address, 50) == 0);
    auto r = y.read();
    bool good = true;
    for (int z = 0; z < 2; z++)
        for (int row = 0; row < 6; row++)
            for (int x = 0; x < 50; x++) good &= r[(z * 6 + row) * 50 + x] == x + 1000 * row + 100000 * z;
    CHECK(good);
    Buffer<long long> p(4);
    Buffer<int> d({7, 8});
    float c = 1.5f;
    int bits;
    memcpy(&bits, &c, 4);
    CHECK(launch("t_parameters", {}, {}, 0, p.address, -3, 1ll << 40, c, d.address) == 0);
    CHECK(p.read() == std::vector<long long>{-3, 1ll << 40, bits, 8});
}

static void barriers()
{
    std::vector<float> x(256 * 20);
    std::iota(x.begin(), x.end(), 1.0f);
    Buffer<float> from(x), to(x.size());
    auto wrong = [&](const char* name) {
        CHECK(cuMemsetD32Async(to.address, 0, to.count, nullptr) == 0);
        CHECK(launch(name, {20}, {256}, 0, from.address, to.address) == 0);
        auto y = to.read();
        int count = 0;
        for (size_t i = 0; i < y.size(); i++) count += y[i] != x[i / 256 * 256 + 255 - i % 256];
        return count;
    };
    with_seeds([&] { CHECK(wrong("t_reverse") == 0); });
    with_seeds([&] { CHECK(wrong("t_reverse_unsynchronised") > 0); });
    int n = 5000;
    Buffer<float> a(std::vector<float>(x.begin(), x.begin() + n)), b(n);
    CHECK(launch("t_dynamic", {}, {96}, n * 4, a.address, b.address, n) == 0);
    auto y = b.read();
    bool good = true;
    for (int i = 0; i < n; i++) good &= y[i] == x[n - 1 - i] * 12.0f + 0.5f;
    CHECK(good);
    Buffer<float> poison(64);
    CHECK(launch("t_poison", {50}, {32}, 128, poison.address) == 0);
    auto p = poison.read();
    CHECK(std::all_of(p.begin(), p.end(), [](float v) { return v != v; }));
    Buffer<int> deep(1024);
    CHECK(launch("t_deep", {30}, {1024}, 0, deep.address, 5) == 0);
    CHECK(deep.read()[1023] == 10);
}

static void warps()
{
    Buffer<int> y(64 * 8);
    with_seeds([&] {
        CHECK(launch("t_shuffles", {}, {64}, 0, y.address) == 0);
        auto r = y.read();
        unsigned third = 0;
        for (int i = 0; i < 32; i += 3) third |= 1u << i;
        int most = 0;
        for (int i = 0; i < 32; i++) most = std::max(most, i ^ 21);
        bool good = true;
        for (int t = 0; t < 64; t++)
        {
            int lane = t % 32, *own = &r[t * 8];
            good &= own[0] == 100 + (lane ^ 5) && own[1] == 100 + (lane + 3 < 32 ? lane + 3 : lane) && own[2] == 100 + (lane >= 3 ? lane - 3 : lane);
            good &= own[3] == 100 + (lane * 7 & 31) && own[4] == (int)third && own[5] == 4 * (lane ^ 16) + 1 && own[6] == 496 && own[7] == most;
        }
        CHECK(good);
    });
    Numbers numbers(1);
    std::vector<float> x(3000);
    for (auto& v : x) v = numbers.unit();
    Buffer<float> from(x), to(3);
    std::vector<float> first;
    with_seeds([&] {
        CHECK(launch("t_block_reduce", {}, {192}, 0, from.address, to.address, 3000) == 0);
        auto r = to.read();
        if (first.empty()) first = r;
        CHECK(r == first); // whatever the order of threads
    });
    double sum = 0;
    for (float v : x) sum += v;
    CHECK(std::fabs(first[0] - sum) < 1e-4 && first[1] == *std::max_element(x.begin(), x.end()));
}

static void atomics()
{
    std::vector<int> x(10000);
    Numbers numbers(2);
    for (auto& v : x) v = (int)(numbers.word() % 1000) - 500;
    Buffer<int> from(x);
    int bits = 0;
    for (int v : x) bits |= 1 << (v & 31);
    with_seeds([&] {
        Buffer<int> y({0, -100000, 100000, 0, 0, 0, 0});
        CHECK(launch("t_atomics", {79}, {128}, 0, y.address, from.address, 10000) == 0);
        CHECK(y.read() == std::vector<int>{std::accumulate(x.begin(), x.end(), 0), *std::max_element(x.begin(), x.end()), *std::min_element(x.begin(), x.end()), bits, 1, 1, 77});
        Buffer<int> counter(std::vector<int>{0}), partial(500), sum(std::vector<int>{0});
        CHECK(launch("t_last_block", {500}, {64}, 0, counter.address, partial.address, sum.address) == 0);
        CHECK(sum.read()[0] == 500 * 501 / 2);
    });
}

// Each is caught with its code, in every order, and the context is dead until it is made anew.
static void mistakes()
{
    struct { const char* name; Size block; unsigned shared; int code; } cases[] = {
        {"t_divergent_exit", {64}, 0, 719}, {"t_divergent_barriers", {64}, 0, 719}, {"t_divergent_mix", {64}, 0, 719},
        {"t_divergent_shuffle", {64}, 0, 719}, {"t_divergent_exit", {1024}, 0, 719},
    };
    for (auto& c : cases)
        with_seeds([&] {
            Buffer<float> y(1024);
            CHECK(launch(c.name, {3}, c.block, c.shared, y.address) == c.code);
            CHECK(cuCtxSynchronize() == c.code);
            renew();
        });
    {
        // A warp operation in a warp of fewer than 32 threads.
        Buffer<int> y(64 * 8);
        CHECK(launch("t_shuffles", {}, {40}, 0, y.address) == 719);
        renew();
    }
    // Beyond an allocation: by a page, and by a few bytes within its padding, found when the host waits.
    for (int offset : {1 << 20, -(1 << 20), 0})
    {
        Buffer<float> y(1000);
        CHECK(launch("t_out_of_bounds", {8}, {128}, 0, y.address, 1000, offset) == (offset ? 700 : 0));
        if (offset) renew();
    }
    for (int offset : {1, -1})
    {
        Buffer<float> y(1100); // leaves place in its pages before and after
        CHECK(launch("t_out_of_bounds", {9}, {128}, 0, y.address, 1100, offset) == 0);
        CHECK(cuCtxSynchronize() == 700);
        renew();
    }
    for (int n : {31, 32, -1, 36})
    {
        Buffer<float> y(1);
        CHECK(launch("t_shared_overrun", {}, {}, 0, y.address, n) == (n == 31 ? 0 : 700));
        if (n != 31) renew();
    }
    for (int n : {99, 100, -1, 5000})
    {
        Buffer<float> y(1);
        CHECK(launch("t_dynamic_overrun", {}, {}, 400, y.address, n) == (n == 99 ? 0 : 700));
        if (n != 99) renew();
    }
    Buffer<float> y(64);
    CHECK(launch("t_dynamic_overrun", {}, {}, 0, y.address, 0) == 719); // no dynamic shared memory given
    renew();
    Buffer<int> quotient(1);
    CHECK(launch("t_static_too_large", {}, {}, 0, quotient.address) == 1);
    CHECK(launch("t_divide", {}, {}, 0, quotient.address, 7, 2) == 0 && quotient.read()[0] == 3);
    CHECK(launch("t_divide", {}, {}, 0, quotient.address, 7, 0) == 719);
    renew();
}

void test_threads()
{
    indexes();
    barriers();
    warps();
    atomics();
    mistakes();
}
