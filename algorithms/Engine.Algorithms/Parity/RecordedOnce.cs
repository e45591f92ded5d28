using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Interop;
using Engine.Interop.Safetensors;
using Engine.Kernels;

namespace Engine.Algorithms.Parity;

/// <summary>What a fixture records once: samples of the networks after the last update, or a computation without updates. Its inputs have no axis of updates.</summary>
internal sealed class RecordedOnce
{
    private const string Draw = "noise.sample_";

    private readonly Fixture _fixture;
    private readonly Dictionary<string, double[]> _feeds = [];

    private RecordedOnce(Fixture fixture) => _fixture = fixture;

    /// <summary>The graph: outputs by the names of what is expected.</summary>
    public Graph Graph { get; } = new();

    /// <summary>A computation.</summary>
    public static RecordedOnce Of(Fixture fixture, Computation computation)
    {
        var once = new RecordedOnce(fixture);
        // All of them, so that what is stated and not changed is compared as well.
        var inputs = fixture.Inputs.SelectMany(f => f.Tensors).ToDictionary(t => t.Name, t => once.Input(t));
        computation.Trace(new Computing(once.Graph, name => inputs.GetValueOrDefault(name) ?? throw once.Missing(name), fixture.HyperParameters));
        return once;
    }

    /// <summary>The samples of an algorithm, where the fixture has draws for them; else null.</summary>
    public static RecordedOnce? Of(Fixture fixture, Algorithm algorithm)
    {
        if (!fixture.Noise.Tensors.Any(t => t.Name.StartsWith(Draw, StringComparison.Ordinal))) return null;
        var once = new RecordedOnce(fixture);
        SafetensorsTensor Tensor(string name) => fixture.Noise.TryGet(Draw + name, out var tensor) ? tensor : throw once.Missing(Draw + name);
        int rows = fixture.Noise.TryGet(Draw + "state", out var state) ? state.Shape.Length == 1 ? 1 : (int)state.Shape[0] : (int)(fixture.Noise.TryGet(Draw + "initial", out var initial) ? initial : fixture.Noise.Tensors.First(t => t.Name.StartsWith(Draw, StringComparison.Ordinal))).Shape[0];
        algorithm.TraceSamples(new Sampling(once.Graph, rows, () => once.Input(Tensor("state")).Reshape(rows, -1), (name, shape) =>
        {
            var tensor = Tensor(name);
            var input = once.Input(tensor);
            return input.Shape.Elements == shape.Elements ? input.Reshape(shape) : throw new InteropFormatException(Path.Combine(fixture.Folder, "noise.safetensors"), -1, $"{tensor.Name} has shape {input.Shape}, expected the elements of {shape}");
        })
        { Numbers = name => fixture.HyperParameters[name] is System.Text.Json.Nodes.JsonArray list ? [.. list.Select(v => v!.GetValue<double>())] : throw once.Missing(name) });
        return once;
    }

    private InteropFormatException Missing(string name) => new(_fixture.Folder, -1, $"{name} is not fed");

    private Tensor Input(SafetensorsTensor tensor)
    {
        if (Graph.Inputs.TryGetValue(tensor.Name, out var known)) return known;
        _feeds[tensor.Name] = tensor.ToDoubles();
        return Graph.Input(tensor.Name, TensorType.Float(tensor.Shape.Select(s => (int)s).ToArray()));
    }

    /// <summary>In double precision, with the variables of the updates.</summary>
    /// <param name="updates">An interpreter that has run them; null: there are none.</param>
    public Func<string, double[]?> RunInterpreter(Interpreter<double>? updates)
    {
        var interpreter = new Interpreter<double>(Graph, updates);
        foreach (var (name, values) in _feeds) values.CopyTo(interpreter.Input(name).Floats, 0);
        interpreter.Run();
        return name => Graph.Outputs.ContainsKey(name) ? interpreter.Output(name).Floats : _feeds.GetValueOrDefault(name);
    }

    /// <summary>On a device.</summary>
    public Func<string, double[]?> RunDevice(State state)
    {
        using var program = new Program(Graph, state);
        foreach (var (name, values) in _feeds) program.Write(name, Array.ConvertAll(values, v => (float)v));
        program.Run();
        var results = Graph.Outputs.Keys.ToDictionary(name => name, name => Array.ConvertAll(program.Read(name), v => (double)v));
        return name => results.GetValueOrDefault(name) ?? _feeds.GetValueOrDefault(name);
    }
}
