// Graphs: nodes that run in any order that their dependencies allow; the seed chooses among them.
#include "driver.h"
#include <algorithm>

namespace engine_standin
{

void Graph::add(Action action, std::vector<size_t> dependencies)
{
    static uint64_t handles = 0;
    nodes.push_back({std::move(action), std::move(dependencies), reinterpret_cast<void*>(16 * ++handles)});
}

void Graph::run(Context& context) const
{
    std::vector<size_t> waiting(nodes.size()), ready;
    std::vector<std::vector<size_t>> followers(nodes.size());
    for (size_t i = 0; i < nodes.size(); i++)
    {
        waiting[i] = nodes[i].dependencies.size();
        for (size_t d : nodes[i].dependencies) followers[d].push_back(i);
        if (waiting[i] == 0) ready.push_back(i);
    }
    for (size_t done = 0; !ready.empty(); done++)
    {
        size_t place = engine_shim::Order(ready.size(), done)(0), node = ready[place];
        ready.erase(ready.begin() + (long)place);
        nodes[node].action(context);
        for (size_t f : followers[node])
            if (--waiting[f] == 0) ready.push_back(f);
    }
}

EXPORT int cuGraphCreate(void** graph, unsigned flags)
{
    return call(Needs::Context, [&] {
        if (flags) throw Error{InvalidValue, {}};
        *not_null(graph) = state().graphs.add(std::make_unique<Graph>());
    });
}

EXPORT int cuGraphAddChildGraphNode(void** node, void* graph, void* const* dependencies, size_t count, void* child)
{
    return call(Needs::Context, [&] {
        not_null(node);
        Graph *parent = state().graphs.check(graph), *given = state().graphs.check(child);
        if (parent == given || (count && !dependencies)) throw Error{InvalidValue, {}};
        std::vector<size_t> indexes;
        for (size_t i = 0; i < count; i++)
        {
            auto found = std::find_if(parent->nodes.begin(), parent->nodes.end(), [&](auto& n) { return n.handle == dependencies[i]; });
            size_t index = (size_t)(found - parent->nodes.begin());
            if (found == parent->nodes.end() || std::count(indexes.begin(), indexes.end(), index)) throw Error{InvalidValue, {}};
            indexes.push_back(index);
        }
        auto copy = std::make_shared<Graph>(*given); // later changes of the child do not count
        parent->add([copy](Context& context) { copy->run(context); }, std::move(indexes));
        *node = parent->nodes.back().handle;
    });
}

EXPORT int cuGraphGetNodes(void* graph, void** nodes, size_t* count)
{
    return call(Needs::Context, [&] {
        Graph* found = state().graphs.check(graph);
        not_null(count);
        if (nodes)
            for (size_t i = 0; i < *count; i++) nodes[i] = i < found->nodes.size() ? found->nodes[i].handle : nullptr;
        *count = nodes ? std::min(*count, found->nodes.size()) : found->nodes.size();
    });
}

EXPORT int cuGraphInstantiateWithFlags(void** executable, void* graph, unsigned long long flags)
{
    return call(Needs::Context, [&] {
        if (flags & ~0xFull) throw Error{InvalidValue, {}};
        Graph* found = state().graphs.check(graph);
        auto made = std::make_unique<State::Executable>();
        made->graph = *found;
        made->context = current_context();
        *not_null(executable) = state().executables.add(std::move(made));
    });
}

EXPORT int cuGraphLaunch(void* executable, void* stream)
{
    return call(Needs::Context, [&] {
        auto found = state().executables.check(executable);
        if (found->context != current_context()) throw Error{InvalidContext, {}};
        state().graph_launches++;
        Stream* on = find_stream(stream);
        if (on && on->capture)
        {
            auto copy = std::make_shared<Graph>(found->graph);
            submit(stream, [copy](Context& context) { copy->run(context); });
        }
        else submit(stream, [found](Context& context) { found->graph.run(context); });
    });
}

EXPORT int cuGraphExecDestroy(void* executable)
{
    return call(Needs::Context, [&] { state().executables.remove(state().executables.check(executable)); });
}

EXPORT int cuGraphDestroy(void* graph)
{
    return call(Needs::Context, [&] { state().graphs.remove(state().graphs.check(graph)); });
}

} // namespace engine_standin
