using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Batches;

/// <summary>
/// Another kind's batch of single transitions with the states around each: <c>states</c> [B, past + 2, S], those before the row, its own and the next one, with zeros before the trajectory's first; the same of the next row as <c>next_states</c>, and
/// <c>has_next</c> [B], 0 where there is none and next_states are the row's own. <c>labelled</c> and <c>next_labelled</c> [B] say whether the actions of both are known, where the data have that column.
/// </summary>
/// <param name="Past">States before the row's own, at least 0.</param>
/// <param name="Kind">The other kind.</param>
public sealed record Neighbours(int Past, BatchKind Kind) : BatchKind
{
    private const string Labelled = Data.TransitionDataset.Labelled;

    /// <inheritdoc/>
    public override IReadOnlyList<BatchColumn> Columns(IReadOnlyList<BatchColumn> row, Spaces spaces)
    {
        var states = row.First(c => c.Name == "observations").Times(Past + 2);
        return [.. Kind.Columns(row, spaces), states with { Name = "states" }, states with { Name = "next_states" }, BatchColumn.Number("has_next"), .. row.Where(c => c.Name == Labelled).Select(c => c with { Name = "next_" + Labelled })];
    }

    /// <inheritdoc/>
    public override Func<string, Tensor> Read(DrawnRows drawn)
    {
        var rows = drawn.Rows;
        var other = Kind.Read(drawn);
        var more = (rows.Left(drawn.At) > 1).Cast(DType.I32);
        var next = rows.After(drawn.At, more);
        Tensor States(Tensor at)
        {
            var places = at.Expand(-1) + drawn.Graph.Iota(TensorType.Int([1, Past + 1]), 1) - Past;
            var first = rows.First(at).Expand(-1);
            var seen = drawn.Column("observations", places.Maximum(first)) * (places >= first).Cast(DType.F32).Expand(-1);
            return Tensor.Concat(1, seen, rows.Successor("observations", at).Expand(1));
        }
        return name => name switch
        {
            "states" => States(drawn.At),
            "next_states" => States(next),
            "has_next" => more.Cast(DType.F32),
            "next_" + Labelled => drawn.Column(Labelled, next),
            _ => other(name),
        };
    }
}
