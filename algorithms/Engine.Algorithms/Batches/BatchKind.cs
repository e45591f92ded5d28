using Engine.Autodiff;
using Engine.Kernels;

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

    /// <summary>Whether rewards and terminals are those of the drawn row, and of the rows after it, as they are in the table.</summary>
    public virtual bool KeepsRewards => false;

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

    /// <summary>Rows 0, 1, ... count - 1 steps later, I32 [B, count]; after the last transition of the trajectory that one again, where <c>Valid</c> is 0, else 1: F32 [B, count].</summary>
    public (Tensor At, Tensor Valid) Window(int count)
    {
        var steps = Graph.Iota(TensorType.Int([1, count]), 1);
        var left = Rows.Left(At).Expand(-1);
        return (Rows.After(At.Expand(-1), steps.Minimum(left - 1)), (steps < left).Cast(DType.F32));
    }
}
