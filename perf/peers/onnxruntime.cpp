// Times a perceptron at one observation in ONNX Runtime: onnxruntime LIBRARY CALLS SIZES, such as 17-256-256-6. Linear layers with rectifiers between them and tanh behind the last, one thread,
// all graph optimisations, input and output in bound buffers. Both ways to run are timed, an IoBinding and values made once; the faster is printed. The result is checked.
// The model is encoded here: a protocol buffer is a list of (field number, bytes or integer).
#include "peer.h"
#include <cmath>

struct Message
{
    std::string bytes;
    void varint(uint64_t v)
    {
        for (; v > 127; v >>= 7) bytes += (char)((v & 127) | 128);
        bytes += (char)v;
    }
    Message& integer(int field, uint64_t v) { varint(field << 3); varint(v); return *this; }
    Message& text(int field, const std::string& s) { varint(field << 3 | 2); varint(s.size()); bytes += s; return *this; }
    Message& part(int field, const Message& m) { return text(field, m.bytes); }
};

// The field numbers are those of onnx.proto: TensorProto, NodeProto, ValueInfoProto, GraphProto, ModelProto.
static Message tensor(const std::string& name, std::vector<int> shape, const std::vector<float>& values)
{
    Message m;
    for (int d : shape) m.integer(1, d);
    return m.integer(2, 1).text(8, name).text(9, std::string((const char*)values.data(), values.size() * 4));
}

static Message node(const char* op, std::vector<std::string> inputs, const std::string& output)
{
    Message m;
    for (auto& i : inputs) m.text(1, i);
    return m.text(2, output).text(4, op);
}

static Message value(const char* name, int size)
{
    Message shape = Message().part(1, Message().integer(1, 1)).part(1, Message().integer(1, size));
    return Message().text(1, name).part(2, Message().part(1, Message().integer(1, 1).part(2, shape)));
}

// Places in the table of functions of the C API, which only ever grows at its end.
enum
{
    GetErrorMessage = 2, CreateEnv = 3, CreateSessionFromArray = 8, Run = 9, CreateSessionOptions = 10, SetGraphOptimizationLevel = 23, SetIntraOpNumThreads = 24, SetInterOpNumThreads = 25,
    CreateTensorWithData = 49, CreateCpuMemoryInfo = 69, RunWithBinding = 133, CreateIoBinding = 134, BindInput = 136, BindOutput = 137,
};
struct Base { void** (*api)(uint32_t version); const char* (*version)(); };
static void** api;

template <class... T> void call(int function, T... arguments)
{
    if (void* status = reinterpret_cast<void* (*)(T...)>(api[function])(arguments...)) fail(reinterpret_cast<const char* (*)(void*)>(api[GetErrorMessage])(status));
}

int main(int count, char** arguments)
{
    if (count != 4) fail("usage: onnxruntime LIBRARY CALLS SIZES");
    auto base = symbol<Base* (*)()>(open_library(arguments[1]), "OrtGetApiBase")();
    if (!(api = base->api(17))) fail("ONNX Runtime older than 1.17");
    int calls = std::max(atoi(arguments[2]), 100);
    auto s = sizes(arguments[3], '-');
    if (s.size() < 2) fail("expected sizes such as 17-256-256-6");

    std::vector<std::vector<float>> weights, biases;
    Message graph;
    std::string last = "x";
    int layers = (int)s.size() - 1;
    for (int i = 0; i < layers; i++)
    {
        std::string n = std::to_string(i), w = "w" + n, b = "b" + n, h = "h" + n, y = i + 1 < layers ? "y" + n : "y";
        float scale = 1 / std::sqrt((float)s[i]);
        weights.push_back(numbers((size_t)s[i] * s[i + 1], 2 * i, scale));
        biases.push_back(numbers(s[i + 1], 2 * i + 1, scale));
        graph.part(1, node("Gemm", { last, w, b }, h)).part(1, node(i + 1 < layers ? "Relu" : "Tanh", { h }, y));
        graph.part(5, tensor(w, { s[i], s[i + 1] }, weights[i])).part(5, tensor(b, { s[i + 1] }, biases[i]));
        last = y;
    }
    graph.text(2, "policy").part(11, value("x", s[0])).part(12, value("y", s[layers]));
    std::string model = Message().integer(1, 8).part(7, graph).part(8, Message().text(1, "").integer(2, 13)).bytes;

    void *env, *options, *session, *memory, *binding, *x_value, *y_value;
    call(CreateEnv, 3, "engine", &env);
    call(CreateSessionOptions, &options);
    call(SetGraphOptimizationLevel, options, 99);
    call(SetIntraOpNumThreads, options, 1);
    call(SetInterOpNumThreads, options, 1);
    call(CreateSessionFromArray, env, (const void*)model.data(), model.size(), options, &session);
    call(CreateCpuMemoryInfo, 0, 0, &memory);
    std::vector<float> x = numbers(s[0], 99), y(s[layers]);
    int64_t x_shape[] = { 1, s[0] }, y_shape[] = { 1, s[layers] };
    call(CreateTensorWithData, memory, (void*)x.data(), x.size() * 4, (const int64_t*)x_shape, (size_t)2, 1, &x_value);
    call(CreateTensorWithData, memory, (void*)y.data(), y.size() * 4, (const int64_t*)y_shape, (size_t)2, 1, &y_value);
    call(CreateIoBinding, session, &binding);
    call(BindInput, binding, "x", (const void*)x_value);
    call(BindOutput, binding, "y", (const void*)y_value);
    const char *x_name = "x", *y_name = "y";
    auto bound = [&] { call(RunWithBinding, session, (const void*)nullptr, (const void*)binding); };
    auto plain = [&] { call(Run, session, (const void*)nullptr, (const char* const*)&x_name, (const void* const*)&x_value, (size_t)1, (const char* const*)&y_name, (size_t)1, &y_value); };

    std::vector<double> h(x.begin(), x.end());
    for (int i = 0; i < layers; i++)
    {
        std::vector<double> next(biases[i].begin(), biases[i].end());
        for (int p = 0; p < s[i]; p++)
            for (int q = 0; q < s[i + 1]; q++) next[q] += h[p] * weights[i][(size_t)p * s[i + 1] + q];
        for (double& v : next) v = i + 1 < layers ? std::max(v, 0.0) : std::tanh(v);
        h = next;
    }
    for (int way = 0; way < 2; way++)
    {
        std::fill(y.begin(), y.end(), 0);
        way == 0 ? bound() : plain();
        for (size_t i = 0; i < y.size(); i++)
            if (!(std::abs(y[i] - h[i]) < 1e-4)) fail("the result is wrong");
    }

    std::string line;
    double fastest = 1e9;
    for (int way = 0; way < 2; way++)
    {
        std::vector<double> times(calls);
        for (int i = -calls / 5; i < calls; i++)
        {
            x[(unsigned)i % x.size()] = i % 100 * 0.01f;
            double start = seconds();
            way == 0 ? bound() : plain();
            if (i >= 0) times[i] = seconds() - start;
        }
        std::sort(times.begin(), times.end());
        if (at(times, 0.5) >= fastest) continue;
        fastest = at(times, 0.5);
        char text[300];
        snprintf(text, sizeof text, "{\"work\": \"policy %s\", \"latency\": {\"calls\": %d, \"p50\": %.6g, \"p99\": %.6g, \"p999\": %.6g}, \"way\": \"%s\", \"version\": \"ONNX Runtime %s\"}",
                 arguments[3], calls, fastest, at(times, 0.99), at(times, 0.999), way == 0 ? "binding" : "values", base->version());
        line = text;
    }
    puts(line.c_str());
}
