// ENGINE_STANDIN_RECORD=FILE writes native launches there, with the memory that they may touch before and after: the first of
// each function, grid, block, numbers and sizes of operands.
#include "record.h"
#include "driver.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace engine_standin
{

namespace
{

struct Recorder
{
    std::unique_ptr<RecordFile> file;
    std::set<std::string> known;

    Recorder()
    {
        const char* path = getenv("ENGINE_STANDIN_RECORD");
        if (!path || !*path) return;
        file = std::make_unique<RecordFile>(path, true);
        if (file->open()) return;
        fprintf(stderr, "stand-in: ENGINE_STANDIN_RECORD=%s cannot be written\n", path);
        abort();
    }
};

Recorder& recorder()
{
    static auto only = new Recorder;
    return *only;
}

// Ranges that overlap are one region: the launch may use them as one.
std::vector<Range> regions_of(const Launch& launch)
{
    std::vector<Range> ranges = launch.operands;
    if (ranges.empty())
        for (auto& parameter : launch.function->parameters)
        {
            if (parameter.kind != 'p') continue;
            uint64_t address;
            memcpy(&address, launch.parameters.data() + parameter.offset, 8);
            if (const Allocation* found = find_allocation(address, 0)) ranges.push_back({found->start, found->bytes});
        }
    std::sort(ranges.begin(), ranges.end(), [](auto& a, auto& b) { return a.start != b.start ? a.start < b.start : a.bytes > b.bytes; });
    std::vector<Range> result;
    for (auto& range : ranges)
    {
        if (range.bytes == 0) continue;
        if (!result.empty() && range.start < result.back().start + result.back().bytes)
            result.back().bytes = std::max(result.back().bytes, (size_t)(range.start + range.bytes - result.back().start));
        else result.push_back(range);
    }
    return result;
}

std::vector<unsigned char> content(const Range& range)
{
    if (!find_allocation(range.start, range.bytes)) throw Error{InvalidValue, "an annotated operand of " + std::to_string(range.bytes) + " bytes is not inside an allocation"};
    auto start = reinterpret_cast<const unsigned char*>(range.start);
    return {start, start + range.bytes};
}

} // namespace

std::unique_ptr<RecordedLaunch> record_before(const Launch& launch)
{
    auto& own = recorder();
    if (!own.file || !launch.function->native) return nullptr;
    auto record = std::make_unique<RecordedLaunch>();
    auto& entry = *launch.function->native;
    record->function = entry.name;
    record->kinds = entry.kinds;
    uint32_t sizes[] = {launch.grid.x, launch.grid.y, launch.grid.z, launch.block.x, launch.block.y, launch.block.z};
    memcpy(record->grid, sizes, 12);
    memcpy(record->block, sizes + 3, 12);
    record->dynamic_bytes = launch.shared_bytes;
    record->shared_limit = (uint32_t)launch.shared_limit;
    record->architecture = (uint32_t)engine_shim::architecture;
    record->seed = engine_shim::seed;
    std::string key = record->function + std::string(reinterpret_cast<char*>(sizes), sizeof sizes) + std::to_string(launch.shared_bytes);
    for (auto& parameter : launch.function->parameters)
    {
        uint64_t value = 0;
        memcpy(&value, launch.parameters.data() + parameter.offset, parameter.bytes);
        record->values.push_back(value);
        if (parameter.kind != 'p') key += "," + std::to_string(value);
    }
    auto ranges = regions_of(launch);
    for (auto& range : ranges) key += ";" + std::to_string(range.bytes);
    if (!own.known.insert(key).second) return nullptr;
    for (auto& range : ranges) record->regions.push_back({range.start, content(range), {}});
    return record;
}

void record_after(std::unique_ptr<RecordedLaunch> record)
{
    if (!record) return;
    for (auto& region : record->regions) region.after = content({region.start, region.before.size()});
    if (!recorder().file->launch(*record)) throw Error{Unknown, "the record of launches cannot be written"};
}

} // namespace engine_standin
