using Engine.Autodiff;

namespace Engine.Algorithms.Batches;

/// <summary>
/// How drawn rows become a batch: a traced function of a table and row numbers to columns. A kind of a user's own derives from this; nothing else has to know it.
/// </summary>
public abstract record BatchKind
{
    /// <summary>The columns it makes, besides those of the rows themselves.</summary>
    /// <param name="row">Columns of a row of the source.</param>
    /// <param name="spaces">What is seen, done and asked for.</param>
    public abstract IReadOnlyList<BatchColumn> Columns(IReadOnlyList<BatchColumn> row, Spaces spaces);

    /// <summary>Traces the batch: a function from a column's name to its tensor [B, ...], called at most once a column.</summary>
    /// <param name="drawn">Table, rows and further draws.</param>
    public abstract Func<string, Tensor> Read(DrawnRows drawn);
}

/// <summary>Rows that were drawn for a batch.</summary>
/// <param name="Rows">The table.</param>
/// <param name="At">Their numbers, I32 [B].</param>
/// <param name="Spaces">What is seen, done and asked for.</param>
/// <param name="Label">In front of the names of further draws.</param>
public sealed record DrawnRows(Rows Rows, Tensor At, Spaces Spaces, string Label)
{
    /// <summary>The graph.</summary>
    public Graph Graph => At.Graph;

    /// <summary>Rows of the batch.</summary>
    public int Count => At.Shape[0];

    /// <summary>A column at rows I32 [...]: [..., row's shape]; by default the drawn rows.</summary>
    public Tensor Column(string name, Tensor? at = null) => Rows.Table(Graph, name).Gather(at ?? At);

    /// <summary>Numbers in [0, 1), F32 of that shape, drawn anew for every batch.</summary>
    public Tensor Uniform(string name, params int[] shape) => Graph.Random.Uniform($"{Label}.{name}", shape);

    /// <summary>The goal that rows I32 [...] have reached: [..., G].</summary>
    /// <exception cref="SettingsException">The task has no goals.</exception>
    public Tensor GoalAt(Tensor at)
    {
        var goal = Spaces.Goal ?? throw new SettingsException("this batch needs goals, and the task has none: choose an environment with goals, or name the goal's components of the observation (--goal 0,1)");
        var observations = Column("observations", at);
        int size = Spaces.Observation.Size;
        if (goal.Components.SequenceEqual(Enumerable.Range(0, size))) return observations;
        return Tensor.Concat(-1, goal.Components.Select(c => observations.Slice(-1, c, 1)).ToArray());
    }
}
