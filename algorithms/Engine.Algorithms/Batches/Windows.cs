using Engine.Autodiff;

namespace Engine.Algorithms.Batches;

/// <summary>
/// Windows of h rows of one trajectory, from the drawn one on: every column [B, h, ...], <c>next_observations</c> [B, h, S] and <c>valid</c> [B, h]. After the trajectory's last transition that one is repeated with valid 0.
/// </summary>
/// <param name="Length">h, at least 1.</param>
public sealed record Windows(int Length) : BatchKind
{
    /// <inheritdoc/>
    public override IReadOnlyList<BatchColumn> Columns(IReadOnlyList<BatchColumn> row, Spaces spaces) =>
        [.. row.Concat(row.Where(c => c.Name == "observations").Select(c => c with { Name = "next_observations" })).Append(BatchColumn.Number("valid")).Select(c => c.Times(Length))];

    /// <inheritdoc/>
    public override Func<string, Tensor> Read(DrawnRows drawn)
    {
        var (at, valid) = drawn.Window(Length);
        return name => name switch
        {
            "next_observations" => drawn.Rows.Successor("observations", at),
            "valid" => valid,
            _ => drawn.Column(name, at),
        };
    }
}

/// <summary>
/// Whole trajectories: <see cref="Windows"/> that begin with the first row of the drawn row's trajectory, so that a trajectory is drawn in proportion to its transitions. Of a longer one the first rows. Rows of a buffer do not know where their
/// trajectory began; datasets do.
/// </summary>
/// <param name="Length">Rows, at least 1.</param>
public sealed record Episodes(int Length) : BatchKind
{
    /// <inheritdoc/>
    public override IReadOnlyList<BatchColumn> Columns(IReadOnlyList<BatchColumn> row, Spaces spaces) => new Windows(Length).Columns(row, spaces);

    /// <inheritdoc/>
    public override Func<string, Tensor> Read(DrawnRows drawn) => new Windows(Length).Read(drawn with { At = drawn.Rows.First(drawn.At) });
}
