// Streams, their capture, and events.
#include "driver.h"
#include <chrono>

namespace engine_standin
{

constexpr uint64_t LastSpecial = 2; // the handles 1 and 2 are the default stream, the old one and that of each thread

Stream* find_stream(void* handle)
{
    if (reinterpret_cast<uint64_t>(handle) <= LastSpecial) return nullptr;
    return state().streams.check(handle);
}

void submit(void* handle, Action action)
{
    Stream* stream = find_stream(handle);
    if (!stream)
    {
        // The default stream waits for all streams that block, which a stream that is being captured cannot.
        for (Stream* other : state().streams.live)
            if (other->capture && other->blocking)
            {
                other->invalidated = true;
                throw Error{CaptureImplicit, "the default stream is used while a stream that blocks it is being captured"};
            }
        return action(*current_context());
    }
    if (stream->context != current_context()) throw Error{InvalidContext, "a stream of another context"};
    if (!stream->capture) return action(*stream->context);
    if (stream->invalidated) throw Error{CaptureInvalidated, {}};
    size_t count = stream->capture->nodes.size();
    stream->capture->add(std::move(action), count ? std::vector<size_t>{count - 1} : std::vector<size_t>{});
}

void check_synchronise(const char* what, Context& context, Stream* stream)
{
    for (Stream* other : state().streams.live)
        if (other->capture && other->context == &context && (other == stream || (!stream && other->mode != 2)))
        {
            other->invalidated = true;
            throw Error{CaptureUnsupported, std::string(what) + " while a stream is being captured"};
        }
    state().synchronisations++;
    check_guards();
}

EXPORT int cuStreamCreate(void** stream, unsigned flags)
{
    return call(Needs::Context, [&] {
        if (flags > 1) throw Error{InvalidValue, {}};
        auto made = std::make_unique<Stream>();
        made->context = current_context();
        made->blocking = flags == 0;
        *not_null(stream) = state().streams.add(std::move(made));
    });
}

EXPORT int cuStreamDestroy_v2(void* stream)
{
    return call(Needs::Context, [&] { state().streams.remove(state().streams.check(stream)); });
}

EXPORT int cuStreamSynchronize(void* stream)
{
    return call(Needs::Context, [&] {
        Stream* found = find_stream(stream);
        check_synchronise("cuStreamSynchronize", *current_context(), found);
    });
}

EXPORT int cuStreamBeginCapture_v2(void* stream, int mode)
{
    return call(Needs::Context, [&] {
        Stream* found = find_stream(stream);
        if (!found) throw Error{CaptureUnsupported, "the default stream cannot be captured"};
        if (mode < 0 || mode > 2 || found->capture) throw Error{InvalidValue, {}};
        static uint64_t number = 0;
        found->capture = std::make_unique<Graph>();
        found->invalidated = false;
        found->mode = mode;
        found->capture_number = ++number;
    });
}

EXPORT int cuStreamEndCapture(void* stream, void** graph)
{
    return call(Needs::Context, [&] {
        not_null(graph);
        Stream* found = find_stream(stream);
        if (!found || !found->capture) throw Error{InvalidValue, {}};
        auto captured = std::move(found->capture);
        *graph = nullptr;
        if (found->invalidated) throw Error{CaptureInvalidated, {}};
        *graph = state().graphs.add(std::move(captured));
    });
}

EXPORT int cuStreamGetCaptureInfo_v2(void* stream, int* status, uint64_t* number, void** graph, void*** dependencies, size_t* count)
{
    return call(Needs::Context, [&] {
        Stream* found = find_stream(stream);
        bool active = found && found->capture;
        *not_null(status) = !active ? 0 : found->invalidated ? 2 : 1;
        if (number) *number = active ? found->capture_number : 0;
        if (graph || dependencies) throw Error{NotSupported, "cuStreamGetCaptureInfo: the stand-in gives neither graph nor dependencies"};
        if (count) *count = active && !found->capture->nodes.empty();
    });
}

EXPORT int cuEventCreate(void** event, unsigned flags)
{
    return call(Needs::Context, [&] {
        if (flags > 7) throw Error{InvalidValue, {}};
        auto made = std::make_unique<Event>();
        made->context = current_context();
        made->timing = !(flags & 2);
        *not_null(event) = state().events.add(std::move(made));
    });
}

EXPORT int cuEventDestroy_v2(void* event)
{
    return call(Needs::Context, [&] { state().events.remove(state().events.check(event)); });
}

EXPORT int cuEventRecord(void* event, void* stream)
{
    return call(Needs::Context, [&] {
        Event* found = state().events.check(event);
        Stream* on = find_stream(stream);
        if (found->context != current_context() || (on && on->context != current_context())) throw Error{InvalidHandle, {}};
        found->captured = on && on->capture; // then it is a mark in the graph and has no time
        found->recorded = true;
        found->milliseconds = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
    });
}

EXPORT int cuEventSynchronize(void* event)
{
    return call(Needs::Context, [&] {
        Event* found = state().events.check(event);
        if (found->captured) throw Error{CaptureUnsupported, "cuEventSynchronize of an event recorded in a capture"};
        state().synchronisations++;
        check_guards();
    });
}

EXPORT int cuEventElapsedTime(float* milliseconds, void* start, void* end)
{
    return call(Needs::Context, [&] {
        Event *first = state().events.check(start), *last = state().events.check(end);
        for (Event* event : {first, last})
            if (!event->timing || !event->recorded || event->captured) throw Error{InvalidHandle, {}};
        *not_null(milliseconds) = (float)(last->milliseconds - first->milliseconds);
    });
}

} // namespace engine_standin
