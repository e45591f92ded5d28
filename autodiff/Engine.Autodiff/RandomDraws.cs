using Engine.Kernels;

namespace Engine.Autodiff;

/// <summary>
/// Named draws of a graph: <c>random.Normal("actor", shape)</c> is Philox(seed, name; step, loop index, element). The generator's state
/// is a variable, so it is in checkpoints; <see cref="Advance"/> moves to the next step. A graph that replays recorded draws feeds
/// them as inputs <c>noise.NAME</c> instead.
/// </summary>
public sealed class RandomDraws
{
    private readonly Graph _root;
    private Variable? _state;
    private bool _fed;

    internal RandomDraws(Graph graph) => _root = graph.Root;

    /// <summary>The name of the generator's state.</summary>
    public const string StateName = "random.state";

    /// <summary>Adds the generator's state: seed low, seed high, step.</summary>
    public static Variable AddState(State state, ulong seed) =>
        state.Add(StateName, [3], new[] { (int)(uint)seed, (int)(uint)(seed >> 32), 0 }, VariableKind.State);

    /// <summary>Uses this generator state for the graph's draws.</summary>
    public void Use(Variable state) => _state = state;

    /// <summary>From now on draws are inputs named <c>noise.NAME</c>: the host must feed every one of them.</summary>
    public void Feed() => _fed = true;

    /// <summary>Whether draws are fed.</summary>
    public bool IsFed => _fed;

    /// <summary>Gives the state its next step, so that the next run draws other numbers.</summary>
    public void Advance()
    {
        if (_fed) return;
        var state = _root.Read(State);
        _root.Assign(State, state + _root.Constant(TensorType.Int([3]), 0, 0, 1));
    }

    private Variable State => _state ?? throw new InvalidOperationException("a draw needs the generator's state: call graph.Random.Use(RandomDraws.AddState(state, seed)) first");

    /// <summary>Standard normals.</summary>
    public Tensor Normal(string name, Shape shape) => Normal(_root, name, shape);

    /// <summary>Standard normals, drawn anew in every step of the loop whose body the graph is.</summary>
    public Tensor Normal(Graph graph, string name, Shape shape) => Draw(graph, name, TensorType.Float(shape), new RandomNormal(name, shape));

    /// <summary>Uniform in [0, 1).</summary>
    public Tensor Uniform(string name, Shape shape) => Uniform(_root, name, shape);

    /// <summary>Uniform in [low, high), recorded draws too.</summary>
    public Tensor Uniform(string name, Shape shape, double low, double high) => _fed ? Uniform(name, shape) : Uniform(name, shape) * (high - low) + low;

    /// <summary>Uniform in [0, 1), drawn anew in every step of the loop whose body the graph is.</summary>
    public Tensor Uniform(Graph graph, string name, Shape shape) => Draw(graph, name, TensorType.Float(shape), new RandomUniform(name, shape));

    /// <summary>Integers in [0, bound); the bound is an I32 scalar, so that it may change between runs.</summary>
    public Tensor Integer(string name, Shape shape, Tensor bound) => Draw(bound.Graph, name, TensorType.Int(shape), new RandomInteger(name, shape), bound);

    /// <summary>A permutation of 0..n-1.</summary>
    public Tensor Permutation(string name, int n) => Draw(_root, name, TensorType.Int([n]), new RandomPermutation(name, [n]));

    /// <summary>In each of so many rows <paramref name="count"/> different integers of 0 to <paramref name="of"/> - 1, in any order: I32 [rows, count].</summary>
    public Tensor Choice(string name, int rows, int count, int of)
    {
        if (count < 1 || count > of) throw new ArgumentOutOfRangeException(nameof(count), count, $"expected 1 to {of}");
        if (!_fed) return Uniform(name, [rows, of]).Sort().Positions.Slice(1, 0, count);
        _root.RegisterDraw(name);
        return _root.Input("noise." + name, TensorType.Int([rows, count]));
    }

    /// <summary>A class per row of logits [..., K], by the largest of logits + Gumbel noise (Gumbel 1954): I32 [...].</summary>
    public Tensor Categorical(string name, Tensor logits)
    {
        var uniform = Uniform(logits.Graph, name, logits.Shape);
        return (logits - (-(uniform + Tiny).Log()).Log()).ArgMax(-1);
    }

    // Half a step of the uniform grid: keeps both logarithms finite without moving any probability by more than 2^-25.
    private const double Tiny = 1.0 / (1 << 25);

    private Tensor Draw(Graph graph, string name, TensorType type, Op op, params Tensor[] inputs)
    {
        graph.RegisterDraw(name);
        if (_fed) return graph.Depth == 0 ? graph.Input("noise." + name, type) : throw new NotSupportedException($"draw {name} inside a loop cannot be fed");
        var all = new List<Tensor> { graph.Read(State) };
        all.AddRange(inputs);
        if (graph.DrawIndex() is { } index) all.Add(index);
        return graph.Add(op, all.ToArray())[0];
    }
}
