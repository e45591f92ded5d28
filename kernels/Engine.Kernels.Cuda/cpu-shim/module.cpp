// Modules: PTX text. Entries that this library holds run natively, the others are interpreted.
#include "driver.h"
#include <cstdio>
#include <cstring>

namespace engine_standin
{

static std::shared_ptr<Function> native_function(const engine_shim::Entry* entry)
{
    auto function = std::make_shared<Function>();
    function->name = entry->name;
    function->native = entry;
    function->threads = entry->threads;
    for (const char* kind = entry->kinds; *kind; kind++)
    {
        unsigned bytes = *kind == 'p' || *kind == 'l' ? 8 : 4, offset = (function->parameter_bytes + bytes - 1) / bytes * bytes;
        function->parameters.push_back({*kind, bytes, offset});
        function->parameter_bytes = offset + bytes;
    }
    return function;
}

// An entry without parameters only names the one that is meant.
static void check_parameters(const Function& native, const ptx::Entry& entry)
{
    if (entry.parameters.empty()) return;
    bool same = native.parameters.size() == entry.parameters.size();
    for (size_t i = 0; same && i < entry.parameters.size(); i++) same = native.parameters[i].bytes == entry.parameters[i].bytes;
    if (!same) throw ptx::Refusal{entry.line, "entry " + entry.name + " has other parameters than the source that this library was compiled with"};
}

static std::unique_ptr<Module> load(const std::string& text)
{
    auto module = std::make_unique<Module>();
    ptx::Text scanned = ptx::scan(text);
    if (scanned.version > 84) throw Error{UnsupportedPtxVersion, "PTX of version " + std::to_string(scanned.version / 10) + "." + std::to_string(scanned.version % 10)};
    if (scanned.target > engine_shim::architecture)
        throw ptx::Refusal{scanned.target_line, "target sm_" + std::to_string(scanned.target) + " on a device of sm_" + std::to_string(engine_shim::architecture)};
    module->version = scanned.version;
    for (auto& entry : scanned.entries)
    {
        std::shared_ptr<Function> function;
        if (auto native = engine_shim::Entry::find(entry.name.c_str()))
        {
            function = native_function(native);
            check_parameters(*function, entry);
        }
        else
        {
            if (entry.parameters.empty()) throw ptx::Refusal{entry.line, "entry " + entry.name + " has no parameters, and this library was compiled with no kernel of that name"};
            function = std::make_shared<Function>();
            function->name = entry.name;
            function->interpreted = ptx::compile(scanned, entry);
            if (entry.threads) function->threads = entry.threads;
            for (auto& parameter : entry.parameters) function->parameters.push_back({parameter.kind, parameter.bytes, parameter.offset});
            function->parameter_bytes = entry.parameter_bytes;
        }
        if (!module->functions.emplace(entry.name, function).second) throw ptx::Refusal{entry.line, "a second entry " + entry.name};
    }
    return module;
}

// Numbers of the options of cuModuleLoadDataEx.
enum { InfoLog = 3, InfoLogBytes = 4, ErrorLog = 5, ErrorLogBytes = 6 };

EXPORT int cuModuleLoadDataEx(void** module, const void* image, unsigned count, int* options, void** values)
{
    char* log = nullptr;
    size_t log_bytes = 0;
    for (unsigned i = 0; i < count && options && values; i++)
    {
        if (options[i] == ErrorLog) log = static_cast<char*>(values[i]);
        if (options[i] == ErrorLogBytes) log_bytes = (unsigned)reinterpret_cast<uint64_t>(values[i]);
        if (options[i] == InfoLog && values[i]) *static_cast<char*>(values[i]) = 0;
    }
    if (log && log_bytes) *log = 0;
    return call(Needs::Context, [&] {
        not_null(module);
        auto text = static_cast<const char*>(not_null(image));
        if (memcmp(text, "\x7f" "ELF", 4) == 0) throw Error{InvalidImage, "a compiled module: the stand-in takes PTX text only"};
        try
        {
            auto loaded = load(text);
            loaded->context = current_context();
            *module = state().modules.add(std::move(loaded));
        }
        catch (const ptx::Refusal& refusal)
        {
            std::string message = "PTX, line " + std::to_string(refusal.line) + ": " + refusal.text;
            if (log && log_bytes) snprintf(log, log_bytes, "%s", message.c_str());
            throw Error{InvalidPtx, message};
        }
    });
}

EXPORT int cuModuleUnload(void* module)
{
    return call(Needs::Context, [&] {
        Module* found = state().modules.check(module);
        for (auto& [name, function] : found->functions) state().functions.live.erase(function.get());
        state().modules.remove(found);
    });
}

EXPORT int cuModuleGetFunction(void** function, void* module, const char* name)
{
    return call(Needs::Context, [&] {
        not_null(function);
        Module* found = state().modules.check(module);
        auto place = found->functions.find(not_null(name));
        if (place == found->functions.end()) throw Error{NotFound, {}};
        state().functions.live.insert(place->second.get());
        *function = place->second.get();
    });
}

} // namespace engine_standin
