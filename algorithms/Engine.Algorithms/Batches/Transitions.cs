using Engine.Autodiff;

namespace Engine.Algorithms.Batches;

/// <summary>
/// Single transitions: the row's own columns [B, ...], <c>next_observations</c> [B, S], and <c>next_actions</c> [B, A], the data's action after them (0 where there is none).
/// </summary>
public sealed record Transitions : BatchKind
{
    private const string Next = "next_";

    /// <inheritdoc/>
    public override IReadOnlyList<BatchColumn> Columns(IReadOnlyList<BatchColumn> row, Spaces spaces) =>
        [.. row, .. row.Where(c => c.Name is "observations" or "actions").Select(c => c with { Name = Next + c.Name })];

    /// <inheritdoc/>
    public override bool KeepsRewards => true;

    /// <inheritdoc/>
    public override Func<string, Tensor> Read(DrawnRows drawn) => name => name switch
    {
        "next_observations" => drawn.Rows.Successor("observations", drawn.At),
        "next_actions" => drawn.Rows.Successor("actions", drawn.At),
        _ => drawn.Column(name),
    };
}
