// Kernel launches.
#include "driver.h"
#include "record.h"
#include <cstdio>
#include <cstring>

namespace engine_standin
{

void run_launch(const Launch& launch, Context& context)
{
    state().launches++;
    engine_shim::Fault fault;
    if (launch.function->native)
    {
        std::vector<const unsigned char*> values;
        for (auto& parameter : launch.function->parameters) values.push_back(launch.parameters.data() + parameter.offset);
        auto record = record_before(launch);
        fault = engine_shim::run({launch.function->native, values.data(), launch.grid, launch.block, launch.shared_bytes, (unsigned)launch.shared_limit});
        if (!fault.code) record_after(std::move(record));
    }
    else fault = ptx::run(*launch.function->interpreted, launch);
    if (!fault.code) return;
    auto status = (Status)fault.code;
    if (status != InvalidValue) context.sticky = status;
    throw Error{status, fault.text};
}

EXPORT int cuLaunchKernel(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z,
    unsigned shared_bytes, void* stream, void** parameters, void** extra)
{
    return call(Needs::Context, [&] {
        std::vector<Range> operands = take_annotated();
        Function* found = state().functions.check(function);
        auto refuse = [&](const std::string& why) { throw Error{InvalidValue, "launch of " + found->name + ": " + why}; };
        if (!grid_x || !grid_y || !grid_z || !block_x || !block_y || !block_z) refuse("a grid or block of size 0");
        if (grid_x > 2147483647u || grid_y > 65535 || grid_z > 65535) refuse("a grid of more than 2147483647 x 65535 x 65535 blocks");
        if (block_x > 1024 || block_y > 1024 || block_z > 64 || (uint64_t)block_x * block_y * block_z > 1024) refuse("a block of more than 1024 threads, or of more than 64 in z");
        if ((int)(block_x * block_y * block_z) > found->threads) refuse("a block of more than the " + std::to_string(found->threads) + " threads that the entry is bounded to");
        if (shared_bytes > (unsigned)found->dynamic_limit) refuse(std::to_string(shared_bytes) + " bytes of dynamic shared memory, above the limit of " + std::to_string(found->dynamic_limit));
        if (extra) throw Error{NotSupported, "launch of " + found->name + ": parameters by `extra` are not supported"};
        if (!parameters && !found->parameters.empty()) refuse("no parameters");
        Launch launch{nullptr, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes, found->opted_in ? opt_in_shared_bytes() : 48 * 1024, {}, std::move(operands)};
        for (Module* module : state().modules.live)
        {
            auto own = module->functions.find(found->name);
            if (own != module->functions.end() && own->second.get() == found) launch.function = own->second;
        }
        launch.parameters.resize(found->parameter_bytes + 8);
        for (size_t i = 0; i < found->parameters.size(); i++)
        {
            if (!parameters[i]) refuse("parameter " + std::to_string(i) + " is null");
            memcpy(launch.parameters.data() + found->parameters[i].offset, parameters[i], found->parameters[i].bytes);
        }
        submit(stream, [launch](Context& context) { run_launch(launch, context); });
    });
}

EXPORT int cuFuncSetAttribute(void* function, int attribute, int value)
{
    return call(Needs::Context, [&] {
        Function* found = state().functions.check(function);
        if (attribute == 8)
        {
            if (value < 0 || value > opt_in_shared_bytes()) throw Error{InvalidValue, "cuFuncSetAttribute: " + std::to_string(value) + " bytes of shared memory, of which there are " + std::to_string(opt_in_shared_bytes())};
            found->dynamic_limit = value;
            found->opted_in = true;
        }
        else if (attribute == 9)
        {
            if (value < -1 || value > 100) throw Error{InvalidValue, {}};
        }
        else throw Error{InvalidValue, {}};
    });
}

EXPORT int cuFuncGetAttribute(int* value, int attribute, void* function)
{
    return call(Needs::Context, [&] {
        Function* found = state().functions.check(function);
        not_null(value);
        switch (attribute)
        {
            case 0: *value = found->threads; break;
            case 1: case 2: case 3: *value = 0; break; // static shared, constant and local memory: unknown here
            case 4: *value = 32; break;                // registers
            case 5: case 6: *value = engine_shim::architecture; break;
            case 7: *value = 0; break;
            case 8: *value = found->dynamic_limit; break;
            case 9: *value = -1; break;
            default: throw Error{InvalidValue, {}};
        }
    });
}

} // namespace engine_standin
