// Launches in a file: what record.cpp writes and replay.cpp reads. Numbers are those of this machine.
#pragma once
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace engine_standin
{

// Memory that a launch may touch: an operand, operands that overlap, or a whole allocation where operands were not annotated.
struct Region
{
    uint64_t start = 0;
    std::vector<unsigned char> before, after;
};

struct RecordedLaunch
{
    static constexpr uint32_t Mark = 0x314E4C45; // ELN1

    std::string function, kinds; // kinds of the parameters, as in calls.h
    uint32_t grid[3], block[3], dynamic_bytes, shared_limit, architecture;
    uint64_t seed;
    std::vector<uint64_t> values; // of the parameters
    std::vector<Region> regions;
};

// A file that is written or read field by field; both give false once something failed.
class RecordFile
{
public:
    RecordFile(const char* path, bool write) : file(fopen(path, write ? "wb" : "rb")), write(write) {}
    RecordFile(const RecordFile&) = delete;
    ~RecordFile()
    {
        if (file) fclose(file);
    }
    bool open() const { return file != nullptr; }
    long place() const { return ftell(file); }
    void go_to(long place) { fseek(file, place, SEEK_SET); }

    bool launch(RecordedLaunch& l)
    {
        uint32_t mark = RecordedLaunch::Mark;
        bool good = number(mark) && mark == RecordedLaunch::Mark && bytes(l.function) && bytes(l.kinds);
        for (auto field : {&l.grid, &l.block})
            for (auto& n : *field) good = good && number(n);
        good = good && number(l.dynamic_bytes) && number(l.shared_limit) && number(l.architecture) && number(l.seed) && count(l.values);
        for (auto& value : l.values) good = good && number(value);
        good = good && count(l.regions);
        for (auto& region : l.regions) good = good && number(region.start) && bytes(region.before) && bytes(region.after);
        if (good && write) fflush(file);
        return good;
    }

private:
    static constexpr uint64_t Most = (uint64_t)1 << 32;
    FILE* file;
    bool write;

    bool raw(void* data, size_t size) { return size == 0 || (write ? fwrite(data, size, 1, file) : fread(data, size, 1, file)) == 1; }
    template <typename T> bool number(T& value) { return raw(&value, sizeof value); }
    template <typename T> bool count(T& list)
    {
        uint64_t size = list.size();
        if (!number(size) || size > Most) return false;
        if (!write) list.resize(size);
        return true;
    }
    template <typename T> bool bytes(T& list) { return count(list) && raw(list.data(), list.size()); }
};

} // namespace engine_standin
