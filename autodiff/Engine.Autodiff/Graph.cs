using Engine.Kernels;

namespace Engine.Autodiff;

/// <summary>
/// An append-only list of nodes, each one op on earlier tensors, with shapes known. Tracing a model appends nodes; gradients append more;
/// a <see cref="Program"/> compiles the list. A loop's body is a graph of its own whose parent is the graph around it; values of
/// the parent used in the body are captured when they are used.
/// </summary>
public sealed class Graph
{
    private readonly List<Node> _nodes = [];
    private readonly Dictionary<string, Tensor> _inputs = [];
    private readonly Dictionary<string, Tensor> _outputs = [];
    private readonly Dictionary<string, Tensor> _initial = [];
    private readonly Dictionary<string, Tensor> _assigned = [];
    private readonly Dictionary<Tensor, Tensor> _captures = [];
    private readonly List<Tensor> _captured = [];
    private readonly HashSet<string> _draws = [];
    private readonly Stack<string> _scopes = [];
    private Tensor? _step;
    private int _repeatMax;

    /// <summary>An empty graph.</summary>
    public Graph() { }

    private Graph(Graph parent) => Parent = parent;

    /// <summary>The graph around a loop's body; null for a program's graph.</summary>
    public Graph? Parent { get; }

    /// <summary>All nodes, inputs before users.</summary>
    public IReadOnlyList<Node> Nodes => _nodes;

    /// <summary>Values the host writes, by name.</summary>
    public IReadOnlyDictionary<string, Tensor> Inputs => _inputs;

    /// <summary>Values the host reads, by name.</summary>
    public IReadOnlyDictionary<string, Tensor> Outputs => _outputs;

    /// <summary>Variables as the run begins, by name: those that are read.</summary>
    public IReadOnlyDictionary<string, Tensor> Initial => _initial;

    /// <summary>Variables as the run ends, by name: those that are assigned.</summary>
    public IReadOnlyDictionary<string, Tensor> Assigned => _assigned;

    /// <summary>Scalars that must stay finite, in the order they were watched: losses.</summary>
    public IReadOnlyList<Tensor> Watched => _watched;

    /// <summary>Says that a scalar must stay finite: an optimiser its loss.</summary>
    public void Watch(Tensor loss)
    {
        if (Parent is null && !_watched.Contains(loss)) _watched.Add(loss);
    }

    private readonly List<Tensor> _watched = [];

    /// <summary>In a loop's body: the parent's tensors in the order of the body's Capture nodes.</summary>
    public IReadOnlyList<Tensor> Captured => _captured;

    /// <summary>In a loop's body, after tracing: the carried values of the next step, then the per-step outputs.</summary>
    public IReadOnlyList<Tensor> Results { get; private set; } = [];

    /// <summary>How draws are made; see <see cref="RandomDraws"/>.</summary>
    public RandomDraws Random => Root._random ??= new RandomDraws(this);

    private RandomDraws? _random;

    internal Graph Root => Parent?.Root ?? this;

    internal int Depth => Parent is null ? 0 : Parent.Depth + 1;

    /// <summary>The step number (I32 scalar) of the loop whose body this is.</summary>
    public Tensor Step => Parent is null ? throw new InvalidOperationException("only a loop's body has a step number") : _step!;

    /// <summary>Appends an op. The inputs may belong to graphs around this one.</summary>
    /// <exception cref="ShapeException">The inputs do not fit the op.</exception>
    public Tensor[] Add(Op op, params ReadOnlySpan<Tensor> inputs)
    {
        var own = new Tensor[inputs.Length];
        var types = new TensorType[inputs.Length];
        for (int i = 0; i < own.Length; i++)
        {
            own[i] = Import(inputs[i]);
            types[i] = own[i].Type;
        }
        return Append(op, own, op.Infer(types), null).Outputs;
    }

    /// <summary>Appends an op with one output to the innermost graph of its inputs.</summary>
    public static Tensor Apply(Op op, params ReadOnlySpan<Tensor> inputs) => Innermost(inputs).Add(op, inputs)[0];

    /// <summary>The innermost of the graphs the tensors belong to.</summary>
    public static Graph Innermost(ReadOnlySpan<Tensor> tensors)
    {
        var graph = tensors[0].Graph;
        foreach (var tensor in tensors)
            if (tensor.Graph.Depth > graph.Depth) graph = tensor.Graph;
        return graph;
    }

    private Node Append(Op op, Tensor[] inputs, TensorType[] types, Graph? body)
    {
        var node = new Node(this, _nodes.Count, op, inputs, types, body, ScopeName);
        _nodes.Add(node);
        return node;
    }

    private string ScopeName => _scopes.Count > 0 ? _scopes.Peek() : Parent?.ScopeName ?? "";

    /// <summary>Names the nodes added until the result is disposed: <c>Explain()</c> and the NaN report show it.</summary>
    public IDisposable Scope(string name)
    {
        _scopes.Push(ScopeName.Length > 0 ? $"{ScopeName}/{name}" : name);
        return new ScopeEnd(_scopes);
    }

    private sealed class ScopeEnd(Stack<string> scopes) : IDisposable
    {
        public void Dispose() => scopes.Pop();
    }

    /// <summary>The tensor as seen from this graph: itself, or a capture of a value of the graph around.</summary>
    internal Tensor Import(Tensor tensor)
    {
        if (tensor.Graph == this) return tensor;
        if (Parent is null) throw new InvalidOperationException("a tensor of another graph, or of a loop's body, was used outside of it; a loop's results come out as carried values or stacked outputs");
        if (_captures.TryGetValue(tensor, out var known)) return known;
        var outer = Parent.Import(tensor);
        if (_captures.TryGetValue(outer, out known)) return _captures[tensor] = known;
        var capture = Append(new Capture(_captured.Count, outer.Type), [], [outer.Type], null).Outputs[0];
        _captured.Add(outer);
        return _captures[tensor] = _captures[outer] = capture;
    }

    /// <summary>A scalar constant.</summary>
    public Tensor Constant(double value) => Constant(TensorType.Float(Shape.Scalar), value);

    /// <summary>A constant of any type: one number for all elements, or one per element.</summary>
    public Tensor Constant(TensorType type, params double[] values) => Add(new Constant(type, new Numbers(values)))[0];

    /// <summary>The index along an axis.</summary>
    public Tensor Iota(TensorType type, int axis = 0) => Add(new Iota(type, axis))[0];

    /// <summary>A value the host writes before a run.</summary>
    public Tensor Input(string name, TensorType type)
    {
        if (Parent is not null) return Import(Root.Input(name, type));
        if (_inputs.ContainsKey(name)) throw new ArgumentException($"input {name} exists already");
        return _inputs[name] = Append(new Input(name, type), [], [type], null).Outputs[0];
    }

    /// <summary>Keeps a value for the host to read after a run.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="value">The value.</param>
    /// <param name="replace">Takes the place of one of that name; else that is an error.</param>
    public void Output(string name, Tensor value, bool replace = false)
    {
        if (Parent is not null) throw new InvalidOperationException($"output {name}: a loop's body has no outputs of its own; stack the value");
        if (replace) _outputs[name] = Import(value);
        else if (!_outputs.TryAdd(name, Import(value))) throw new ArgumentException($"output {name} exists already");
    }

    /// <summary>The newest version of a variable.</summary>
    public Tensor Read(Variable variable)
    {
        if (Parent is not null) return Import(Root.Read(variable));
        if (_assigned.TryGetValue(variable.Name, out var newest)) return newest;
        return ReadInitial(variable.Name, variable.Type);
    }

    internal Tensor ReadInitial(string name, TensorType type)
    {
        if (_initial.TryGetValue(name, out var known))
            return known.Type == type ? known : throw new ShapeException($"variable {name} is {known.Type} here and {type} there");
        return _initial[name] = Append(new VariableRead(name, type), [], [type], null).Outputs[0];
    }

    /// <summary>Whether assignments are dropped, so that every read gives what a variable is as the run begins: an update's losses without the update.</summary>
    public bool Frozen { get; init; }

    /// <summary>Gives a variable a new version. Tensors read before keep the old one.</summary>
    public void Assign(Variable variable, Tensor value) => AssignByName(variable.Name, variable.Type, value);

    internal void AssignByName(string name, TensorType type, Tensor value)
    {
        if (Parent is not null) throw new InvalidOperationException($"variable {name} cannot be assigned in a loop's body; carry it");
        value = Import(value);
        if (value.Type != type) throw new ShapeException($"variable {name} is {type} and cannot become {value.Type}");
        if (!Frozen) _assigned[name] = value;
    }

    internal void RegisterDraw(string name)
    {
        if (!Root._draws.Add(name)) throw new ArgumentException($"draw {name} exists already: two draws of one name would be the same numbers");
    }

    /// <summary>In nested loops: outer step * inner maximum + inner step, so that no two draws share a counter; null outside loops.</summary>
    internal Tensor? DrawIndex()
    {
        if (Parent is null) return null;
        return Parent.DrawIndex() is { } outer ? outer * Constant(TensorType.Int(Shape.Scalar), _repeatMax) + Step : Step;
    }

    /// <summary>A loop of a fixed number of steps, traced and compiled once.</summary>
    /// <param name="count">Steps.</param>
    /// <param name="carried">Values before the first step.</param>
    /// <param name="body">Given the body's graph and the carried values, returns the carried values of the next step and
    /// the values to stack.</param>
    /// <returns>The carried values after the last step, and the stacked outputs [count, ...].</returns>
    public (Tensor[] Carried, Tensor[] Stacked) Repeat(int count, Tensor[] carried, Func<Graph, Tensor[], (Tensor[] Next, Tensor[] Stacked)> body) =>
        Repeat(null, count, carried, body);

    /// <summary>A loop whose number of steps (I32 scalar, 0..max) is known when it runs. Stacked rows from the count on are 0.</summary>
    public (Tensor[] Carried, Tensor[] Stacked) Repeat(Tensor? count, int max, Tensor[] carried, Func<Graph, Tensor[], (Tensor[] Next, Tensor[] Stacked)> body)
    {
        if (max < 0) throw new ArgumentOutOfRangeException(nameof(max), max, "a loop cannot have a negative number of steps");
        if (count is not null && (count.Type.DType != DType.I32 || count.Shape.Elements != 1)) throw new ShapeException($"repeat: the count must be one I32, not {count.Type}");
        var inner = new Graph(this) { _repeatMax = max };
        inner._step = inner.Add(new RepeatIndex())[0];
        carried = (Tensor[])carried.Clone();
        var start = new Tensor[carried.Length];
        for (int i = 0; i < start.Length; i++)
        {
            carried[i] = Import(carried[i]);
            start[i] = inner.Append(new Carried(i, carried[i].Type), [], [carried[i].Type], null).Outputs[0];
        }
        var (next, stacked) = body(inner, start);
        if (next.Length != carried.Length) throw new ShapeException($"repeat: {carried.Length} carried values went in, {next.Length} came out");
        for (int i = 0; i < next.Length; i++)
        {
            next[i] = inner.Import(next[i]);
            if (next[i].Type != carried[i].Type) throw new ShapeException($"repeat: carried value {i} is {carried[i].Type} and became {next[i].Type}");
        }
        stacked = Array.ConvertAll(stacked, inner.Import);
        inner.Results = [.. next, .. stacked];

        var inputs = new List<Tensor>();
        if (count is not null) inputs.Add(Import(count));
        inputs.AddRange(carried);
        inputs.AddRange(inner._captured);
        TensorType[] types = [.. next.Select(t => t.Type), .. stacked.Select(t => new TensorType(t.Type.DType, t.Shape.Insert(0, max)))];
        var outputs = Append(new Repeat(max, next.Length, stacked.Length, count is not null), inputs.ToArray(), types, inner).Outputs;
        return (outputs[..next.Length], outputs[next.Length..]);
    }

    /// <summary>Appends a node as it stands in another graph, its inputs and body already translated: for passes and files.</summary>
    internal Node AppendTranslated(Op op, Tensor[] inputs, TensorType[] types, Graph? body, string scope)
    {
        var node = new Node(this, _nodes.Count, op, inputs, types, body, scope);
        _nodes.Add(node);
        switch (op)
        {
            case Input input: _inputs[input.Label] = node.Outputs[0]; break;
            case VariableRead read: _initial[read.Path] = node.Outputs[0]; break;
            case RepeatIndex: _step = node.Outputs[0]; break;
        }
        return node;
    }

    /// <summary>A body for a translated loop.</summary>
    internal Graph NewBody(int max) => new(this) { _repeatMax = max };

    internal void SetBody(IEnumerable<Tensor> captured, IReadOnlyList<Tensor> results)
    {
        _captured.AddRange(captured);
        Results = results;
    }

    internal void SetOutput(string name, Tensor value) => _outputs[name] = value;

    internal void SetAssigned(string name, Tensor value) => _assigned[name] = value;
}

/// <summary>One op in a graph.</summary>
public sealed class Node
{
    internal Node(Graph graph, int id, Op op, Tensor[] inputs, TensorType[] types, Graph? body, string scope)
    {
        (Graph, Id, Op, Inputs, Body, Scope) = (graph, id, op, inputs, body, scope);
        Outputs = new Tensor[types.Length];
        for (int i = 0; i < types.Length; i++) Outputs[i] = new Tensor(this, i, types[i]);
    }

    /// <summary>The graph it belongs to.</summary>
    public Graph Graph { get; }

    /// <summary>Position in the graph.</summary>
    public int Id { get; }

    /// <summary>What it does.</summary>
    public Op Op { get; }

    /// <summary>On what.</summary>
    public Tensor[] Inputs { get; }

    /// <summary>What comes out.</summary>
    public Tensor[] Outputs { get; }

    /// <summary>The body, if this is a loop.</summary>
    public Graph? Body { get; }

    /// <summary>Where it was traced.</summary>
    public string Scope { get; }

    internal TensorType[] InputTypes => Array.ConvertAll(Inputs, t => t.Type);

    internal TensorType[] OutputTypes => Array.ConvertAll(Outputs, t => t.Type);

    /// <inheritdoc/>
    public override string ToString() =>
        $"%{Id} = {Op.Name}({string.Join(", ", Inputs.Select(t => t.ToString()))}) : {string.Join(", ", Outputs.Select(t => t.Type))}{(Scope.Length > 0 ? $"  [{Scope}]" : "")}";
}
