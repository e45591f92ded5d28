// The entries that this library holds, by name, and their launches.
#include "block.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace engine_shim
{

static const Entry* entries = nullptr;

void Entry::add()
{
    if (const Entry* other = find(name))
    {
        fprintf(stderr, "stand-in: two entries have the name %s: in %s and in %s\n", name, other->file, file);
        abort();
    }
    next = entries;
    entries = this;
}

const Entry* Entry::find(const char* name)
{
    for (auto entry = entries; entry; entry = entry->next)
        if (strcmp(entry->name, name) == 0) return entry;
    return nullptr;
}

Fault run(const NativeLaunch& launch)
{
    Fault fault;
    spread((uint64_t)launch.grid.x * launch.grid.y * launch.grid.z, fault, [&](uint64_t block) { this_worker().run_block(launch, fault, block); });
    return fault;
}

} // namespace engine_shim
