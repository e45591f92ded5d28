// Asynchronous copies, ldmatrix, products of fragments, single operations.
#include "host.h"
#include <chrono>
#include <cmath>

static float rounded(float x, int bits)
{
    unsigned u;
    memcpy(&u, &x, 4);
    u &= ~((1u << bits) - 1);
    memcpy(&x, &u, 4);
    return x;
}

static std::vector<float> numbers(size_t count, uint64_t seed)
{
    Numbers source(seed);
    std::vector<float> x(count);
    for (auto& v : x) v = source.unit();
    return x;
}

static void pipelines()
{
    int tiles = 7;
    auto x = numbers(256 * tiles, 3);
    Buffer<float> from(x), to(256);
    auto wrong = [&](const char* name) {
        CHECK(launch(name, {}, {256}, 0, from.address, to.address, tiles) == 0);
        auto y = to.read();
        int count = 0;
        for (int i = 0; i < 256; i++)
        {
            float sum = 0;
            for (int t = 0; t < tiles; t++) sum += x[t * 256 + 255 - i];
            count += y[i] != sum;
        }
        return count;
    };
    with_seeds([&] {
        CHECK(wrong("t_pipeline") == 0);
        CHECK(wrong("t_pipeline_no_wait") > 0);
        CHECK(wrong("t_pipeline_no_barrier") > 0);
        CHECK(wrong("t_pipeline_no_second_barrier") > 0);
    });
}

static void copies()
{
    auto x = numbers(128, 4);
    Buffer<float> from(x), to(192);
    CHECK(launch("t_copy_partial", {}, {32}, 0, from.address, to.address) == 0);
    auto y = to.read();
    bool good = true;
    for (int i = 0; i < 32; i++)
    {
        for (int k = 0; k < 4; k++) good &= y[4 * i + k] == (k < i % 5 ? x[4 * i + k] : 0.0f);
        good &= y[128 + 2 * i] == (i == 3 ? 0.0f : x[i]); // the later of two copies to one place
        good &= y[129 + 2 * i] == (i % 2 ? x[2 * i + 1] : 0.0f);
    }
    CHECK(good);
    CHECK(launch("t_copy_misaligned", {}, {}, 0, from.address, to.address) == 716);
    renew();
    Buffer<float> a(x), b(16);
    CHECK(launch("t_copy_outside", {}, {}, 0, a.address, b.address) == 700);
    renew();
}

static void matrices()
{
    std::vector<int> x(128);
    for (int i = 0; i < 128; i++) x[i] = 2 * i | (2 * i + 1) << 16; // 16-bit element e of row r is 8 r + e
    Buffer<int> from(x), to(256);
    with_seeds([&] {
        CHECK(launch("t_ldmatrix", {}, {32}, 0, from.address, to.address) == 0);
        auto y = to.read();
        bool good = true;
        for (int lane = 0; lane < 32; lane++)
            for (int m = 0; m < 4; m++)
            {
                int row = lane / 4, column = 2 * (lane % 4), first = 64 * m + 8 * row + column, across = 64 * m + 8 * column + row;
                good &= y[4 * lane + m] == (first | (first + 1) << 16);
                good &= y[128 + 4 * lane + m] == (across | (across + 8) << 16);
            }
        CHECK(good);
    });
}

static void products()
{
    with_seeds([&] {
        auto a = numbers(256, 5), b = numbers(128, 6), c = numbers(128, 7);
        Buffer<float> ta(a), tb(b), tc(c), bc(c);
        CHECK(launch("t_mma_tf32", {}, {32}, 0, ta.address, tb.address, tc.address) == 0);
        CHECK(launch("t_mma_bf16", {}, {32}, 0, ta.address, tb.address, bc.address) == 0);
        auto tf = tc.read(), bf = bc.read();
        float worst_tf = 0, worst_bf = 0;
        for (int i = 0; i < 16; i++)
            for (int j = 0; j < 8; j++)
            {
                double sum = c[i * 8 + j], wide = sum;
                for (int k = 0; k < 8; k++) sum += (double)a[i * 8 + k] * b[k * 8 + j];
                for (int k = 0; k < 16; k++) wide += (double)a[i * 16 + k] * b[k * 8 + j];
                worst_tf = std::fmax(worst_tf, (float)std::fabs(tf[i * 8 + j] - sum));
                worst_bf = std::fmax(worst_bf, (float)std::fabs(bf[i * 8 + j] - wide));
            }
        CHECK(worst_tf < 3e-3f && worst_tf > 1e-5f); // rounded operands, and they are rounded
        CHECK(worst_bf < 3e-2f && worst_bf > 1e-3f);
    });
    // Operands that are exact in both types: the product is exact but for the sum's rounding.
    std::vector<float> a(256), b(128), c(128);
    Numbers source(8);
    for (auto& v : a) v = (float)(int)(source.word() % 255) - 127.0f;
    for (auto& v : b) v = (float)(int)(source.word() % 255) - 127.0f;
    for (auto& v : c) v = (float)(int)(source.word() % 255) - 127.0f;
    Buffer<float> ta(a), tb(b), tc(c), bc(c);
    CHECK(launch("t_mma_tf32", {}, {32}, 0, ta.address, tb.address, tc.address) == 0);
    CHECK(launch("t_mma_bf16", {}, {32}, 0, ta.address, tb.address, bc.address) == 0);
    auto tf = tc.read(), bf = bc.read();
    bool good = true;
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 8; j++)
        {
            double sum = c[i * 8 + j], wide = sum;
            for (int k = 0; k < 8; k++) sum += (double)a[i * 8 + k] * b[k * 8 + j];
            for (int k = 0; k < 16; k++) wide += (double)a[i * 16 + k] * b[k * 8 + j];
            good &= tf[i * 8 + j] == sum && bf[i * 8 + j] == wide;
        }
    CHECK(good);
    CHECK(rounded(1.5f, 13) == 1.5f);
}

static void arithmetic()
{
    int n = 3000;
    Numbers source(9);
    std::vector<float> x(3 * n);
    for (int i = 0; i < 3 * n; i++)
    {
        uint32_t bits = source.word();
        if (i % 7 == 0) bits &= 0x807FFFFFu; // denormal
        memcpy(&x[i], &bits, 4);
        if (i % 5 == 0) x[i] = source.unit() * 100.0f;
    }
    Buffer<float> from(x), to(6 * n);
    CHECK(launch("t_arithmetic", {12}, {256}, 0, from.address, to.address, n) == 0);
    auto y = to.read();
    int bad = 0;
    for (int i = 0; i < n; i++)
    {
        volatile float a = x[3 * i], b = x[3 * i + 1], c = x[3 * i + 2], product = a * b;
        float want[] = {product + c, std::fma((float)a, (float)b, (float)c), a / b, std::sqrt(std::fabs((float)c)), std::nearbyint((float)a), std::floor((float)b)};
        for (int k = 0; k < 6; k++) bad += !same(y[6 * i + k], want[k]);
    }
    CHECK(bad == 0);
}

static void gemm()
{
    int rows = 256, columns = 256, inner = 256;
    auto a = numbers((size_t)rows * inner, 10), b = numbers((size_t)inner * columns, 11);
    Buffer<float> x(a), w(b), y((size_t)rows * columns);
    auto start = std::chrono::steady_clock::now();
    int repeats = 10;
    for (int i = 0; i < repeats; i++) CHECK(launch("t_gemm", {(unsigned)columns / 64, (unsigned)rows / 64}, {256}, 0, x.address, w.address, y.address, rows, columns, inner) == 0);
    std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    auto r = y.read();
    int bad = 0;
    for (int i = 0; i < rows; i += 5)
        for (int j = 0; j < columns; j++)
        {
            float sum = 0;
            for (int k = 0; k < inner; k++) sum = std::fma(a[i * inner + k], b[k * columns + j], sum);
            bad += sum != r[i * columns + j];
        }
    CHECK(bad == 0);
    printf("gemm 256 x 256 x 256: %.2f GFLOP/s\n", 2.0 * rows * columns * inner * repeats / time.count() * 1e-9);
}

void test_tensor()
{
    pipelines();
    copies();
    matrices();
    products();
    arithmetic();
    gemm();
}
