using Engine.Autodiff;

namespace Engine.Algorithms.Batches;

/// <summary>
/// Chunks of h actions (Li et al. 2025, "Reinforcement Learning with Action Chunking"): <c>observations</c> [B, S] of the first row, <c>actions</c> [B, h, A], <c>rewards</c>, <c>terminals</c> and <c>valid</c> [B, h],
/// <c>next_observations</c> [B, S] after the last row of the chunk that the trajectory still has. After that row <c>valid</c>, actions and rewards are 0, and terminals are 1 if it ended the task. The other columns are the first row's.
/// </summary>
/// <param name="Length">h, at least 1.</param>
public sealed record Chunks(int Length) : BatchKind
{
    /// <inheritdoc/>
    public override IReadOnlyList<BatchColumn> Columns(IReadOnlyList<BatchColumn> row, Spaces spaces) =>
    [
        .. row.Select(c => c.Name is "actions" or "rewards" or "terminals" ? c.Times(Length) : c),
        .. row.Where(c => c.Name == "observations").Select(c => c with { Name = "next_observations" }), BatchColumn.Number("valid").Times(Length),
    ];

    /// <inheritdoc/>
    public override bool KeepsRewards => true;

    /// <inheritdoc/>
    public override Func<string, Tensor> Read(DrawnRows drawn)
    {
        var (at, valid) = drawn.Window(Length);
        return name => name switch
        {
            "next_observations" => drawn.Rows.Successor("observations", at.At(1, Length - 1)),
            "valid" => valid,
            "actions" => drawn.Column(name, at) * valid.Expand(-1),
            "rewards" => drawn.Column(name, at) * valid,
            "terminals" => drawn.Column(name, at),
            _ => drawn.Column(name),
        };
    }
}
