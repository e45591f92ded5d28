// Runs recorded launches anew under AddressSanitizer: replay FILE. Every region of memory is an allocation of its exact size, so that
// an access beyond it is found; what comes out must have the bits of the record. ENGINE_STANDIN_SEED replaces the recorded orders.
#include "machine.h"
#include "record.h"
#include <cstdlib>
#include <cstring>
#include <new>
#include <sanitizer/asan_interface.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace engine_standin;

// Where the regions lie now. They keep their places within 256 bytes, and end where their allocation does.
static std::vector<unsigned char*> place(const RecordedLaunch& record)
{
    std::vector<unsigned char*> result;
    for (auto& region : record.regions)
    {
        size_t before = region.start % 256;
        void* memory = nullptr;
        if (posix_memalign(&memory, 256, before + region.before.size()) != 0) abort();
        ASAN_POISON_MEMORY_REGION(memory, before);
        auto start = static_cast<unsigned char*>(memory) + before;
        memcpy(start, region.before.data(), region.before.size());
        result.push_back(start);
    }
    return result;
}

static int replay(const RecordedLaunch& record)
{
    auto entry = engine_shim::Entry::find(record.function.c_str());
    if (!entry || record.kinds != entry->kinds || record.values.size() != record.kinds.size())
    {
        printf("%s: this program was not compiled with that kernel\n", record.function.c_str());
        return 1;
    }
    auto places = place(record);
    std::vector<uint64_t> values = record.values;
    std::vector<const unsigned char*> addresses;
    for (size_t i = 0; i < values.size(); i++)
    {
        if (record.kinds[i] == 'p')
        {
            uint64_t old = values[i];
            values[i] = 0; // an address outside of all regions, as of an operand without elements: must not be used
            for (size_t r = 0; r < places.size(); r++)
                if (old >= record.regions[r].start && old - record.regions[r].start < record.regions[r].before.size())
                    values[i] = reinterpret_cast<uint64_t>(places[r] + (old - record.regions[r].start));
        }
        addresses.push_back(reinterpret_cast<const unsigned char*>(&values[i]));
    }
    const char* seed = getenv("ENGINE_STANDIN_SEED");
    engine_shim::seed = seed ? strtoull(seed, nullptr, 10) : record.seed;
    engine_shim::architecture = (int)record.architecture;
    engine_shim::Fault fault = engine_shim::run({entry, addresses.data(), {record.grid[0], record.grid[1], record.grid[2]}, {record.block[0], record.block[1], record.block[2]},
        record.dynamic_bytes, record.shared_limit});
    if (fault.code)
    {
        printf("%s: error %d: %s\n", record.function.c_str(), fault.code, fault.text.c_str());
        return 1;
    }
    for (size_t r = 0; r < places.size(); r++)
    {
        auto& after = record.regions[r].after;
        if (memcmp(places[r], after.data(), after.size()) == 0) continue;
        size_t at = 0;
        while (places[r][at] == after[at]) at++;
        printf("%s: region %zu of %zu bytes differs from the record at byte %zu\n", record.function.c_str(), r, after.size(), at);
        return 1;
    }
    for (size_t r = 0; r < places.size(); r++) free(places[r] - record.regions[r].start % 256);
    return 0;
}

// What the process that replays tells the one that waits for it, since an error ends it.
struct Progress
{
    long next; // place in the file of the launch that follows the one under way
    int launches, failed;
    bool running;
    char launch[256];
};

static void replay_from(const char* path, long place, Progress& progress)
{
    RecordFile file(path, false);
    file.go_to(place);
    for (RecordedLaunch record; file.launch(record); record = {})
    {
        progress.next = file.place();
        progress.launches++;
        snprintf(progress.launch, sizeof progress.launch, "%s, grid %u x %u x %u, block %u x %u x %u", record.function.c_str(), record.grid[0], record.grid[1], record.grid[2], record.block[0],
            record.block[1], record.block[2]);
        progress.running = true;
        if (replay(record) != 0) progress.failed++;
        progress.running = false;
    }
}

int main(int count, char** arguments)
{
    if (count != 2)
    {
        fprintf(stderr, "usage: replay FILE\n");
        return 2;
    }
    if (!RecordFile(arguments[1], false).open())
    {
        perror(arguments[1]);
        return 2;
    }
    void* shared = mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) abort();
    auto& progress = *new (shared) Progress{};
    do
    {
        progress.running = false;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0)
        {
            replay_from(arguments[1], progress.next, progress);
            fflush(stdout);
            _exit(0);
        }
        int status = 1;
        if (child < 0 || waitpid(child, &status, 0) != child)
        {
            perror("replay");
            return 2;
        }
        if (status != 0 && !progress.running) return 2; // not by a launch
        if (!progress.running) break;
        progress.failed++;
        printf("FAILED: %s\n", progress.launch);
    } while (true);
    printf("%d launches replayed, %d failed\n", progress.launches, progress.failed);
    return progress.failed || progress.launches == 0 ? 1 : 0;
}
