// What the peers written in C++ share: they time as `engine bench` does and print one JSON object a line.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>
#include <dlfcn.h>

inline double seconds()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

[[noreturn]] inline void fail(const std::string& message)
{
    fprintf(stderr, "%s\n", message.c_str());
    exit(2);
}

inline void* open_library(const char* path)
{
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) fail(std::string("cannot load ") + path + ": " + dlerror());
    return library;
}

template <class F> F symbol(void* library, const char* name)
{
    void* address = dlsym(library, name);
    if (!address) fail(std::string("the library has no ") + name);
    return reinterpret_cast<F>(address);
}

// Sizes in a text such as 256x23x256.
inline std::vector<int> sizes(const std::string& text, char separator)
{
    std::vector<int> values;
    for (size_t at = 0; at <= text.size();)
    {
        size_t end = std::min(text.find(separator, at), text.size());
        values.push_back(atoi(text.substr(at, end - at).c_str()));
        if (values.back() <= 0) fail(text + ": expected sizes above 0");
        at = end + 1;
    }
    return values;
}

// The same made-up numbers in [-scale, scale) every time.
inline std::vector<float> numbers(size_t n, uint64_t seed, float scale = 1)
{
    std::vector<float> values(n);
    uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
    for (float& v : values)
    {
        state = state * 6364136223846793005u + 1442695040888963407u;
        v = scale * ((float)(state >> 40) / (1 << 23) - 1);
    }
    return values;
}

// Seconds a call, sorted: so many samples, each of as many calls as take 2 ms, after five calls to warm up.
template <class F> std::vector<double> time_calls(int samples, F call)
{
    auto sample = [&](long calls) {
        double start = seconds();
        for (long i = 0; i < calls; i++) call();
        return (seconds() - start) / calls;
    };
    sample(5);
    long calls = 1;
    while (sample(calls) * calls < 0.002) calls *= 2;
    std::vector<double> times;
    for (int i = 0; i < samples; i++) times.push_back(sample(calls));
    std::sort(times.begin(), times.end());
    return times;
}

inline double at(const std::vector<double>& sorted, double share)
{
    return sorted[std::min(sorted.size() - 1, (size_t)(share * sorted.size()))];
}

inline std::string spread(const std::vector<double>& times)
{
    char text[200];
    snprintf(text, sizeof text, "\"seconds\": %.6g, \"seconds_10\": %.6g, \"seconds_90\": %.6g, \"samples\": %zu", at(times, 0.5), at(times, 0.1), at(times, 0.9), times.size());
    return text;
}
