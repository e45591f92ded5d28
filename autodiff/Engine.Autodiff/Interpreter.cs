using System.Numerics;
using Engine.Kernels;

namespace Engine.Autodiff;

/// <summary>
/// Runs a graph node by node on the reference code, without passes, in float32 or float64: the oracle of every pass and device, and a debugger
/// (<see cref="Tensor.Print"/>, <see cref="FirstNonFinite"/>). Composites run by their definitions.
/// </summary>
/// <typeparam name="T">float or double.</typeparam>
public sealed class Interpreter<T> where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    private readonly Graph _graph;
    private readonly bool[] _needed;
    private readonly Dictionary<Graph, bool[]> _bodyNeeded = [];
    private readonly Dictionary<Node, (Graph Graph, Tensor[] Inputs, Tensor[] Outputs)> _definitions = [];
    private readonly Dictionary<string, ReferenceTensor<T>> _inputs = [];
    private readonly Dictionary<string, ReferenceTensor<T>> _variables;
    private readonly Dictionary<string, ReferenceTensor<T>> _outputs = [];

    /// <summary>An interpreter with variables of its own.</summary>
    /// <param name="graph">What to run.</param>
    /// <param name="variables">Shares the variables of another interpreter (several graphs of one model), or null for fresh ones.</param>
    public Interpreter(Graph graph, Interpreter<T>? variables = null)
    {
        _graph = graph;
        _variables = variables?._variables ?? [];
        _needed = Needed(graph, graph.Outputs.Values.Concat(graph.Assigned.Values));
    }

    /// <summary>Whether to look for the first op that makes a NaN or an infinity out of finite inputs.</summary>
    public bool FindNonFinite { get; set; }

    /// <summary>The first such node of the last run, described; null if there was none.</summary>
    public string? FirstNonFinite { get; private set; }

    /// <summary>A variable's value; created as zeros when first asked for.</summary>
    public ReferenceTensor<T> Variable(string name, TensorType type) =>
        _variables.TryGetValue(name, out var known) ? known : _variables[name] = new ReferenceTensor<T>(type);

    /// <summary>An input's value, to be filled by the caller.</summary>
    public ReferenceTensor<T> Input(string name)
    {
        if (!_graph.Inputs.TryGetValue(name, out var tensor)) throw new KeyNotFoundException($"no input {name}; there are {string.Join(", ", _graph.Inputs.Keys)}");
        return _inputs.TryGetValue(name, out var known) ? known : _inputs[name] = new ReferenceTensor<T>(tensor.Type);
    }

    /// <summary>An output of the last run.</summary>
    public ReferenceTensor<T> Output(string name) => _outputs.TryGetValue(name, out var value) ? value : throw new KeyNotFoundException($"no output {name}");

    /// <summary>Copies every variable of a state that the graph reads.</summary>
    public void Load(State state)
    {
        foreach (var (name, tensor) in _graph.Initial)
        {
            var target = Variable(name, tensor.Type);
            if (tensor.Type.DType == DType.I32) state.ReadInts(name).CopyTo(target.Ints, 0);
            else if (tensor.Type.DType == DType.F32) Array.ConvertAll(state.Read(name), T.CreateTruncating).CopyTo(target.Floats, 0);
            else if (tensor.Type.DType is DType.Bool or DType.U8) state.ReadBytes(name).CopyTo(target.Bytes, 0);
            else throw new NotSupportedException($"variable {name} of type {tensor.Type.DType} in the interpreter");
        }
    }

    /// <summary>Runs the graph once.</summary>
    public void Run()
    {
        FirstNonFinite = null;
        var values = new Dictionary<Tensor, ReferenceTensor<T>>();
        RunNodes(_graph, _needed, values, node => node.Op switch
        {
            Input input => _inputs.TryGetValue(input.Label, out var given) ? given : throw new InvalidOperationException($"input {input.Label} was not given"),
            VariableRead read => Variable(read.Path, read.Type),
            _ => null,
        });
        foreach (var (name, tensor) in _graph.Outputs) _outputs[name] = Clone(values[tensor]);
        var assigned = _graph.Assigned.ToDictionary(a => a.Key, a => Clone(values[a.Value]));
        foreach (var (name, value) in assigned) _variables[name] = value;
    }

    private static ReferenceTensor<T> Clone(ReferenceTensor<T> source)
    {
        var copy = new ReferenceTensor<T>(source.Type);
        copy.CopyFrom(source);
        return copy;
    }

    private static bool[] Needed(Graph graph, IEnumerable<Tensor> roots)
    {
        var needed = new bool[graph.Nodes.Count];
        foreach (var root in roots) needed[root.Node.Id] = true;
        for (int id = needed.Length - 1; id >= 0; id--)
            if (needed[id])
                foreach (var input in graph.Nodes[id].Inputs) needed[input.Node.Id] = true;
        return needed;
    }

    private void RunNodes(Graph graph, bool[] needed, Dictionary<Tensor, ReferenceTensor<T>> values, Func<Node, ReferenceTensor<T>?> leaf)
    {
        for (int id = 0; id < needed.Length; id++)
        {
            if (!needed[id]) continue;
            var node = graph.Nodes[id];
            if (leaf(node) is { } given)
            {
                values[node.Outputs[0]] = given;
                continue;
            }
            var inputs = Array.ConvertAll(node.Inputs, t => values[t]);
            var outputs = node.Op is Repeat repeat ? RunLoop(node, repeat, inputs)
                : node.Op is Composite composite ? RunDefinition(node, composite, inputs)
                : RunOp(node, inputs);
            for (int o = 0; o < outputs.Length; o++) values[node.Outputs[o]] = outputs[o];
            if (FindNonFinite && FirstNonFinite is null && !Finite(outputs) && Finite(inputs)) FirstNonFinite = node.ToString();
        }
    }

    private static bool Finite(ReferenceTensor<T>[] tensors) =>
        Array.TrueForAll(tensors, t => !t.Type.DType.IsFloat() || Array.TrueForAll(t.Floats, T.IsFinite));

    private static ReferenceTensor<T>[] RunOp(Node node, ReferenceTensor<T>[] inputs)
    {
        var outputs = Array.ConvertAll(node.Outputs, t => new ReferenceTensor<T>(t.Type));
        node.Op.Reference(inputs, outputs);
        return outputs;
    }

    private ReferenceTensor<T>[] RunDefinition(Node node, Composite composite, ReferenceTensor<T>[] inputs)
    {
        if (!_definitions.TryGetValue(node, out var definition))
        {
            var graph = new Graph();
            var leaves = node.InputTypes.Select((t, i) => graph.Input(i.ToString(), t)).ToArray();
            _definitions[node] = definition = (graph, leaves, CompositeDefinitions.Expand(composite, leaves));
        }
        var values = new Dictionary<Tensor, ReferenceTensor<T>>();
        var needed = Needed(definition.Graph, definition.Outputs);
        RunNodes(definition.Graph, needed, values, n => n.Op is Input ? inputs[Array.IndexOf(definition.Inputs, n.Outputs[0])] : null);
        return Array.ConvertAll(definition.Outputs, t => values[t]);
    }

    private ReferenceTensor<T>[] RunLoop(Node node, Repeat repeat, ReferenceTensor<T>[] inputs)
    {
        var body = node.Body!;
        if (!_bodyNeeded.TryGetValue(body, out var needed)) _bodyNeeded[body] = needed = Needed(body, body.Results);
        int at = repeat.Counted ? 1 : 0;
        int count = repeat.Counted ? inputs[0].Ints[0] : repeat.Max;
        if ((uint)count > (uint)repeat.Max) throw new ArgumentOutOfRangeException(nameof(node), $"repeat: count {count} is outside 0..{repeat.Max}");
        var carried = inputs[at..(at + repeat.CarriedCount)];
        var captured = inputs[(at + repeat.CarriedCount)..];
        var stacked = node.Outputs[repeat.CarriedCount..].Select(t => new ReferenceTensor<T>(t.Type)).ToArray();
        var index = new ReferenceTensor<T>(TensorType.Int(Shape.Scalar));
        for (int step = 0; step < count; step++)
        {
            index.Ints[0] = step;
            var values = new Dictionary<Tensor, ReferenceTensor<T>>();
            RunNodes(body, needed, values, n => n.Op switch
            {
                Carried c => carried[c.Index],
                Capture c => captured[c.Index],
                RepeatIndex => index,
                _ => null,
            });
            carried = body.Results.Take(repeat.CarriedCount).Select(t => values[t]).ToArray();
            for (int s = 0; s < stacked.Length; s++)
            {
                var row = values[body.Results[repeat.CarriedCount + s]];
                long n = row.Type.Elements;
                for (long i = 0; i < n; i++)
                    if (row.Type.DType.IsFloat()) stacked[s].Floats[step * n + i] = row.Floats[i];
                    else stacked[s].Set(step * n + i, row[i]);
            }
        }
        return [.. carried, .. stacked];
    }
}
