using System.Runtime.InteropServices;
using Engine.Autodiff.Passes;
using Engine.Kernels;
using Buffer = Engine.Kernels.Buffer;

namespace Engine.Autodiff;

/// <summary>
/// A graph compiled for the device of a <see cref="State"/>: a flat list of kernel calls on fixed addresses. <see cref="Run()"/> allocates nothing
/// and starts no thread. Programs that share a state take turns: one runs at a time.
/// </summary>
public sealed class Program : IDisposable
{
    private readonly State _state;
    private readonly MemoryPlan _memory;
    private readonly Executable _executable;
    private readonly Buffer _constants;
    private readonly Buffer _host;
    private readonly Dictionary<string, HostTensor> _inputs, _outputs;
    private readonly nint[] _slots;
    private int _runs;

    /// <summary>Compiles a graph.</summary>
    /// <param name="graph">What to compute; further nodes added later have no effect.</param>
    /// <param name="state">Holds every variable the graph names; its device runs the program.</param>
    /// <param name="options">Which passes run.</param>
    /// <exception cref="DeviceException">An op has neither a kernel nor a definition on the device.</exception>
    public Program(Graph graph, State state, CompileOptions? options = null)
    {
        options ??= new CompileOptions();
        _state = state;
        Source = graph;
        DebugOutput.Say(4, () => "graph before passes\n" + string.Join("\n", graph.Nodes));
        graph = Pass.RunAll(graph, state.Device, options);
        DebugOutput.Say(4, () => "graph after passes\n" + string.Join("\n", graph.Nodes));
        Compiled = graph;
        _memory = MemoryPlan.Of(graph, state.Device, options);

        foreach (var (name, tensor) in graph.Initial.Concat(graph.Assigned))
            if (state[name].Type != tensor.Type) throw new ShapeException($"variable {name} is {state[name].Type} in the state and {tensor.Type} in the graph");

        state.NeedArena(_memory.ArenaBytes);
        _constants = state.Device.Allocate(_memory.ConstantBytes);
        foreach (var (offset, constant) in _memory.Constants) _constants.Write(Bytes(constant), offset);
        _host = state.Device.Allocate(_memory.HostBytes);
        _inputs = _memory.Inputs.ToDictionary(i => i.Key, i => new HostTensor(i.Key, true, _host, i.Value));
        _outputs = _memory.Outputs.ToDictionary(o => o.Key, o => new HostTensor(o.Key, false, _host, o.Value));
        _slots = new nint[_memory.Plan.Slots];
        _slots[MemoryPlan.ConstantSlot] = _constants.Address;
        _slots[MemoryPlan.HostSlot] = _host.Address;
        // A variable keeps its buffer.
        for (int i = 0; i < _memory.VariableNames.Count; i++) _slots[MemoryPlan.FirstVariableSlot + i] = state.BufferOf(_memory.VariableNames[i]).Address;
        _executable = state.Device.Load(_memory.Plan);
        DebugOutput.Say(1, () => $"program on {state.Device.Name} ({state.Device.Description}): {Kernels(_memory.Plan.Instructions)} kernels of {Source.Nodes.Count} nodes, arena {_memory.ArenaBytes:N0} bytes");
        DebugOutput.Say(3, () => string.Join("\n", Lines(_memory.Plan.Instructions, "")));
    }

    /// <summary>Traces a function into a fresh graph and compiles it.</summary>
    public static Program Trace(State state, Action<Graph> trace, CompileOptions? options = null)
    {
        var graph = new Graph();
        trace(graph);
        return new Program(graph, state, options);
    }

    /// <summary>The graph as traced.</summary>
    public Graph Source { get; }

    /// <summary>The graph after the passes.</summary>
    public Graph Compiled { get; }

    /// <summary>Bytes of arena the program needs.</summary>
    public long ArenaBytes => _memory.ArenaBytes;

    /// <summary>Number of kernel calls, a loop's body counted once.</summary>
    public int KernelCount => Kernels(_memory.Plan.Instructions);

    /// <summary>What one run computes and moves.</summary>
    public ProgramCost Cost => _cost ??= ProgramCost.Of(Source, _memory.Plan);

    private ProgramCost? _cost;

    /// <summary>Runs once.</summary>
    public void Run()
    {
        Bind();
        // The third run: in the first two the kernels themselves are still being compiled and the caches are cold.
        if (DebugOutput.Level >= 2 && _runs < 3 && ++_runs == 3)
        {
            Console.Error.WriteLine(Report.Text(_executable.Profile(_slots), null));
            return;
        }
        _executable.Run(_slots);
    }

    /// <summary>Runs several times without the host in between.</summary>
    public void Run(int times)
    {
        for (int i = 0; i < times; i++) Run();
    }

    /// <summary>Runs once and prints the kernels in order: op, shapes, FLOPs, bytes, measured time, rates and share of the roofline.</summary>
    /// <param name="peak">The device's measured limits; null leaves the last column out.</param>
    /// <param name="runs">Runs to take the fastest of, kernel by kernel.</param>
    public string Explain(Roofline? peak = null, int runs = 5)
    {
        Bind();
        var best = _executable.Profile(_slots);
        for (int i = 1; i < runs; i++)
        {
            var times = _executable.Profile(_slots);
            for (int k = 0; k < best.Length; k++)
                if (times[k].Seconds < best[k].Seconds) best[k] = times[k];
        }
        return Report.Text(best, peak);
    }

    private void Bind()
    {
        nint arena = _state.Arena.Address; // the one that may have been replaced by a larger one
        if (_slots[MemoryPlan.ArenaSlot] != arena) _slots[MemoryPlan.ArenaSlot] = arena;
    }

    /// <summary>An input.</summary>
    /// <exception cref="KeyNotFoundException">There is none of that name.</exception>
    public HostTensor Input(string name) => Find(_inputs, name, "input");

    /// <summary>An output.</summary>
    /// <exception cref="KeyNotFoundException">There is none of that name.</exception>
    public HostTensor Output(string name) => Find(_outputs, name, "output");

    private static HostTensor Find(Dictionary<string, HostTensor> tensors, string name, string kind) =>
        tensors.TryGetValue(name, out var tensor) ? tensor : throw new KeyNotFoundException($"no {kind} {name}; there are {string.Join(", ", tensors.Keys)}");

    /// <summary>Writes a float input.</summary>
    public void Write(string input, ReadOnlySpan<float> values) => Input(input).Write(values);

    /// <summary>Writes an int input.</summary>
    public void Write(string input, ReadOnlySpan<int> values) => Input(input).Write(values);

    /// <summary>Writes an input of bytes, 0..255, or a boolean one, 0 or 1.</summary>
    public void Write(string input, ReadOnlySpan<byte> values) => Input(input).Write(values);

    /// <summary>Reads a float output of the last run.</summary>
    public void Read(string output, Span<float> destination) => Output(output).Read(destination);

    /// <summary>Reads an int output of the last run.</summary>
    public void Read(string output, Span<int> destination) => Output(output).Read(destination);

    /// <summary>Reads an output of bytes, 0..255, or a boolean one, 0 or 1, of the last run.</summary>
    public void Read(string output, Span<byte> destination) => Output(output).Read(destination);

    /// <summary>Reads a float output of the last run into a new array.</summary>
    public float[] Read(string output)
    {
        var values = new float[OutputType(output).Elements];
        Read(output, values);
        return values;
    }

    /// <summary>Reads an output of one float element, without allocating.</summary>
    public float ReadScalar(string output)
    {
        float value = 0;
        Read(output, MemoryMarshal.CreateSpan(ref value, 1));
        return value;
    }

    /// <summary>Type of an output.</summary>
    public TensorType OutputType(string name) => Output(name).Type;

    private static byte[] Bytes(Constant constant)
    {
        var type = constant.Type;
        var values = constant.Values.Span;
        var bytes = new byte[type.Bytes];
        for (int i = 0; i < type.Elements; i++)
        {
            double v = values[values.Length == 1 ? 0 : i];
            var at = bytes.AsSpan(i * type.DType.Bytes());
            switch (type.DType)
            {
                case DType.F32: MemoryMarshal.Write(at, (float)v); break;
                case DType.I32: MemoryMarshal.Write(at, (int)v); break;
                case DType.BF16: MemoryMarshal.Write(at, Bfloat16.FromSingle((float)v)); break;
                case DType.Bool: at[0] = v != 0 ? (byte)1 : (byte)0; break;
                case DType.U8: at[0] = UnsignedByte.FromDouble(v); break;
                default: throw new NotSupportedException($"constant of {type.DType}");
            }
        }
        return bytes;
    }

    private static int Kernels(Instruction[] instructions) => instructions.Sum(i => i is Loop loop ? Kernels(loop.Body) : 1);

    private static IEnumerable<string> Lines(Instruction[] instructions, string indent)
    {
        foreach (var instruction in instructions)
            if (instruction is Loop loop)
            {
                yield return $"{indent}repeat {loop.Max}{(loop.Count is null ? "" : " at most")}";
                foreach (string line in Lines(loop.Body, indent + "  ")) yield return line;
            }
            else if (instruction is KernelCall call)
                yield return $"{indent}{call.Op.Name} {string.Join(" ", call.Inputs.Select(Place))} -> {string.Join(" ", call.Outputs.Select(Place))}";
        static string Place(Operand o) => $"{o.Type}@{o.Slot}+{o.Offset}";
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _executable.Dispose();
        _constants.Dispose();
        _host.Dispose();
    }
}
