// Times sgemm of an OpenBLAS library: openblas LIBRARY SAMPLES SHAPE... where a shape is MxKxN or BxMxKxN (B calls), with :tn or :nt behind it where a factor is stored transposed.
// Row-major, one thread. Where a product is one of a matrix and a vector, sgemv is timed too and the faster of the two is printed.
#include "peer.h"

enum { RowMajor = 101, NoTrans = 111, Trans = 112 };
typedef void (*Sgemm)(int, int, int, int, int, int, float, const float*, int, const float*, int, float, float*, int);
typedef void (*Sgemv)(int, int, int, int, float, const float*, int, const float*, int, float, float*, int);

int main(int count, char** arguments)
{
    if (count < 4) fail("usage: openblas LIBRARY SAMPLES SHAPE...");
    void* library = open_library(arguments[1]);
    auto sgemm = symbol<Sgemm>(library, "cblas_sgemm");
    auto sgemv = symbol<Sgemv>(library, "cblas_sgemv");
    symbol<void (*)(int)>(library, "openblas_set_num_threads")(1);
    const char* core = symbol<char* (*)()>(library, "openblas_get_corename")();
    const char* config = symbol<char* (*)()>(library, "openblas_get_config")();
    for (int i = 3; i < count; i++)
    {
        std::string text = arguments[i], shape = text.substr(0, text.find(':'));
        bool ta = text.find(":t") != std::string::npos, tb = text.size() > shape.size() && text.back() == 't';
        auto s = sizes(shape, 'x');
        if (s.size() == 3) s.insert(s.begin(), 1);
        if (s.size() != 4) fail(text + ": expected MxKxN or BxMxKxN");
        int batch = s[0], m = s[1], k = s[2], n = s[3];
        auto a = numbers((size_t)batch * m * k, 1), b = numbers((size_t)batch * k * n, 2);
        std::vector<float> c((size_t)batch * m * n);
        auto product = [&] {
            for (size_t at = 0; at < (size_t)batch; at++)
                sgemm(RowMajor, ta ? Trans : NoTrans, tb ? Trans : NoTrans, m, n, k, 1, &a[at * m * k], ta ? m : k, &b[at * k * n], tb ? k : n, 0, &c[at * m * n], n);
        };
        auto times = time_calls(atoi(arguments[2]), product);
        const char* function = "sgemm";
        if (m == 1 || n == 1)
        {
            // c = A b, or c' = B' a': the matrix as stored, transposed if what is needed is not what is stored.
            auto vector = [&] {
                for (size_t at = 0; at < (size_t)batch; at++)
                    if (n == 1) sgemv(RowMajor, ta ? Trans : NoTrans, ta ? k : m, ta ? m : k, 1, &a[at * m * k], ta ? m : k, &b[at * k], 1, 0, &c[at * m], 1);
                    else sgemv(RowMajor, tb ? NoTrans : Trans, tb ? n : k, tb ? k : n, 1, &b[at * k * n], tb ? k : n, &a[at * k], 1, 0, &c[at * n], 1);
            };
            std::vector<float> expected = c;
            vector();
            for (size_t j = 0; j < c.size(); j++)
                if (std::abs(c[j] - expected[j]) > 1e-4f * k) fail("sgemm and sgemv differ");
            auto faster = time_calls(atoi(arguments[2]), vector);
            if (at(faster, 0.5) < at(times, 0.5)) times = faster, function = "sgemv";
        }
        printf("{\"work\": \"gemm %s\", %s, \"gflops\": %.6g, \"function\": \"%s\", \"core\": \"%s\", \"version\": \"%s\"}\n", text.c_str(), spread(times).c_str(), 2.0 * batch * m * k * n / at(times, 0.5) / 1e9, function, core, config);
    }
}
