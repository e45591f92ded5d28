using Engine.Algorithms.Batches;
using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Policies;

/// <summary>How a policy acts.</summary>
public enum Mode
{
    /// <summary>The best it knows: the mode of a distribution. A policy that must draw (diffusion, flows) draws all the same.</summary>
    Deterministic,
    /// <summary>A draw of its distribution, as for collecting experience.</summary>
    Sample,
}

/// <summary>
/// What a policy is asked while it is traced: observations and goals of so many rows (copies of the task), how to act, draws, and memory that lasts from one action to the next of an episode. Every row draws from a stream of its own, so that
/// its actions do not depend on the rows beside it.
/// </summary>
public sealed class Acting
{
    private readonly List<PolicyDraw> _draws = [];
    private readonly List<PolicyMemory> _memory = [];
    private readonly Tensor? _goals;

    internal Acting(Graph graph, int rows, Spaces spaces, Mode mode)
    {
        (Graph, Rows, Mode) = (graph, rows, mode);
        Observations = graph.Input("observations", TensorType.Float([rows, .. spaces.Observation.Shape]));
        _goals = spaces.Goal is { } goal ? graph.Input("goals", TensorType.Float([rows, .. goal.Shape])) : null;
    }

    private Acting(Acting raw, Func<ColumnRole, Tensor, Tensor> normalise)
    {
        (Graph, Rows, Mode, _draws, _memory) = (raw.Graph, raw.Rows, raw.Mode, raw._draws, raw._memory);
        Observations = normalise(ColumnRole.Observation, raw.Observations);
        _goals = raw._goals is null ? null : normalise(ColumnRole.Goal, raw._goals);
    }

    internal Acting Normalised(Func<ColumnRole, Tensor, Tensor> normalise) => new(this, normalise);

    internal IReadOnlyList<PolicyDraw> Draws => _draws;

    internal IReadOnlyList<PolicyMemory> Memories => _memory;

    /// <summary>The policy's graph.</summary>
    public Graph Graph { get; }

    /// <summary>Rows that act together.</summary>
    public int Rows { get; }

    /// <summary>How to act.</summary>
    public Mode Mode { get; }

    /// <summary>[rows, S], as numbers of type F32 whatever the space; normalised where the algorithm normalises.</summary>
    public Tensor Observations { get; }

    /// <summary>[rows, G]</summary>
    /// <exception cref="SettingsException">The task has no goals.</exception>
    public Tensor Goals => _goals ?? throw new SettingsException("the policy asks for goals, and the task has none");

    /// <summary>Standard normals [rows, ...].</summary>
    /// <param name="name">Of the draw, one a policy.</param>
    /// <param name="shape">Of a row.</param>
    public Tensor Normal(string name, params int[] shape) => Draw(name, shape, normal: true);

    /// <summary>Numbers uniform in [0, 1), [rows, ...].</summary>
    /// <param name="name">Of the draw, one a policy.</param>
    /// <param name="shape">Of a row.</param>
    public Tensor Uniform(string name, params int[] shape) => Draw(name, shape, normal: false);

    private Tensor Draw(string name, int[] shape, bool normal)
    {
        var tensor = Graph.Input(PolicyDraw.Prefix + name, TensorType.Float([Rows, .. shape]));
        _draws.Add(new PolicyDraw(name, normal, (int)(tensor.Shape.Elements / Rows)));
        return tensor;
    }

    /// <summary>What the policy remembered at its last action in the episode [rows, ...]; at the first one <paramref name="initial"/>.</summary>
    public Tensor Memory(string name, int[] shape, double initial = 0)
    {
        var tensor = Graph.Input(PolicyMemory.Prefix + name, TensorType.Float([Rows, .. shape]));
        _memory.Add(new PolicyMemory(name, (float)initial, (int)(tensor.Shape.Elements / Rows)));
        return tensor;
    }

    /// <summary>What is to be remembered until the next action, of the shape of <see cref="Memory"/>.</summary>
    public void Remember(string name, Tensor value)
    {
        if (!_memory.Exists(m => m.Name == name)) throw new InvalidOperationException($"memory {name} is written and never read: ask for Memory(\"{name}\", ...) first");
        Graph.Output(PolicyMemory.Prefix + name, value);
    }
}

/// <summary>A draw of a policy, made by the host for each row.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Normal">Standard normal, else uniform in [0, 1).</param>
/// <param name="Width">Numbers a row.</param>
public sealed record PolicyDraw(string Name, bool Normal, int Width)
{
    internal const string Prefix = "noise.";
}

/// <summary>Something a policy remembers.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Initial">Value when an episode begins.</param>
/// <param name="Width">Numbers a row.</param>
public sealed record PolicyMemory(string Name, float Initial, int Width)
{
    internal const string Prefix = "memory.";
}
