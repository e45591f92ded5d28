using Engine.Autodiff;

namespace Engine.Algorithms.Batches;

/// <summary>
/// Single transitions, or what another kind makes of rows, with <c>returns_to_go</c> [B]: the discounted sum of the rewards from the row to the end of its trajectory. Where that was cut, by a time limit or by the data's end, the sum ends there.
/// </summary>
/// <param name="Discount">In [0, 1].</param>
/// <param name="Of">The other kind; null: <see cref="Transitions"/>.</param>
public sealed record ReturnsToGo(double Discount, BatchKind? Of = null) : BatchKind
{
    private BatchKind Plain => Of ?? new Transitions();

    /// <inheritdoc/>
    public override IReadOnlyList<BatchColumn> Columns(IReadOnlyList<BatchColumn> row, Spaces spaces) => [.. Plain.Columns(row, spaces), BatchColumn.Number("returns_to_go")];

    /// <inheritdoc/>
    public override bool KeepsRewards => Plain.KeepsRewards;

    /// <inheritdoc/>
    public override Func<string, Tensor> Read(DrawnRows drawn)
    {
        var plain = Plain.Read(drawn);
        return name => name == "returns_to_go" ? drawn.Rows.ReturnsToGo(drawn.At, Discount) : plain(name);
    }
}
