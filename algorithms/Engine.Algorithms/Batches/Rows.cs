using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Batches;

/// <summary>
/// A table of recorded rows on the device: a dataset (<see cref="ResidentRows"/>) or a ring that grows (<see cref="ReplayBuffer"/>). Rows of one trajectory follow one another. How many there are is a device integer,
/// so that a program need not be compiled anew when there are more.
/// </summary>
public abstract class Rows
{
    /// <summary>The source's name.</summary>
    public abstract string Source { get; }

    /// <summary>The columns.</summary>
    public abstract IReadOnlyList<BatchColumn> Columns { get; }

    /// <summary>Number of transitions: an I32 scalar.</summary>
    public abstract Tensor Count(Graph graph);

    /// <summary>The rows of transitions 0 to Count - 1: I32 [...] to I32 [...].</summary>
    public abstract Tensor Transition(Tensor number);

    /// <summary>The row so many steps later in the same trajectory, which must have it: I32 [...].</summary>
    /// <param name="at">Rows, I32 [...].</param>
    /// <param name="steps">Steps, I32 of a shape that broadcasts against it.</param>
    public abstract Tensor After(Tensor at, Tensor steps);

    /// <summary>Rows from one step of a trajectory to the next, modulo those of the table.</summary>
    public virtual int Stride => 1;

    /// <summary>Transitions from a row to the end of its trajectory, its own included: I32 [...], at least 1 of a transition's row.</summary>
    public abstract Tensor Left(Tensor at);

    /// <summary>A column of what follows a row's transition, such as the next observation; of the row after the last transition what is known of it.</summary>
    /// <param name="name">Name of the column.</param>
    /// <param name="at">Rows of transitions, I32 [...].</param>
    public abstract Tensor Successor(string name, Tensor at);

    /// <summary>A column so many steps later in the same trajectory; of the row after the last transition what is known of it.</summary>
    /// <param name="name">Name of the column.</param>
    /// <param name="at">Rows of transitions, I32 [...].</param>
    /// <param name="steps">I32 of the same shape, 0 to <see cref="Left"/>.</param>
    public virtual Tensor Later(string name, Tensor at, Tensor steps)
    {
        var now = Table(at.Graph, name).Gather(at);
        var later = Successor(name, After(at, (steps - 1).Maximum(0)));
        Shape rows = [.. steps.Shape, .. Enumerable.Repeat(1, now.Shape.Rank - steps.Shape.Rank)];
        // Bytes cannot be selected: as numbers they can.
        var (type, wide) = (now.Type.DType, now.Type.DType == DType.U8 ? DType.I32 : now.Type.DType);
        return Tensor.Select((steps > 0).Reshape(rows), later.Cast(wide), now.Cast(wide)).Cast(type);
    }

    /// <summary>The first row of a row's trajectory: I32 [...].</summary>
    /// <exception cref="SettingsException">Such rows do not know it.</exception>
    public virtual Tensor First(Tensor at) => throw new SettingsException($"rows of {Source} do not know where their trajectory began: whole episodes are of datasets");

    /// <summary>The discounted sum of the rewards from a row's transition to the end of its trajectory: I32 [...] to F32 [...].</summary>
    /// <exception cref="SettingsException">Such rows do not know it.</exception>
    public virtual Tensor ReturnsToGo(Tensor at, double discount) => throw new SettingsException($"rows of {Source} do not know what they will have earned when their trajectory ends: returns to go are of datasets");

    /// <summary>A whole column, to gather from: [R, ...].</summary>
    /// <exception cref="DatasetException">There is none of that name.</exception>
    public abstract Tensor Table(Graph graph, string name);

    /// <summary>Draws transitions, all alike or weighted by a column: their rows, I32 [count].</summary>
    public virtual Tensor Draw(Graph graph, string draw, int count, string? weight)
    {
        if (weight is not null) throw new SettingsException($"rows of {Source} cannot be weighted by {weight}: weights are of datasets in memory");
        return Transition(graph.Random.Integer(draw, [count], Count(graph)));
    }

    /// <summary>The column of that name.</summary>
    protected BatchColumn Find(string name) => Columns.FirstOrDefault(c => c.Name == name)
        ?? throw new DatasetException($"{Source}: no column {name}; there are {string.Join(", ", Columns.Select(c => c.Name))}");

    /// <summary>An I32 number.</summary>
    protected static Tensor Int(Graph graph, int value) => graph.Constant(TensorType.Int(Shape.Scalar), value);
}
