using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Batches;

/// <summary>
/// Transitions over up to h steps (Sutton 1988), n of them: h, or as many as the trajectory still has. <c>rewards</c> is their discounted sum, <c>next_observations</c> and <c>next_actions</c> are those after them, <c>terminals</c> is whether
/// the last of them ended the task, <c>discounts</c> is discount^n, 0 after an end: what the value of the next observation is multiplied by; <c>steps</c> is n. The other columns are the first row's. With h = 1 these are <see cref="Transitions"/>.
/// </summary>
/// <param name="Horizon">h, at least 1.</param>
/// <param name="Discount">Of a step.</param>
public sealed record NStep(int Horizon, double Discount) : BatchKind
{
    /// <inheritdoc/>
    public override IReadOnlyList<BatchColumn> Columns(IReadOnlyList<BatchColumn> row, Spaces spaces) =>
        [.. new Transitions().Columns(row, spaces), BatchColumn.Number("discounts"), BatchColumn.Number("steps")];

    /// <inheritdoc/>
    public override Func<string, Tensor> Read(DrawnRows drawn)
    {
        var (graph, rows) = (drawn.Graph, drawn.Rows);
        var (at, valid) = drawn.Window(Horizon);
        var steps = rows.Left(drawn.At).Minimum(Horizon);
        var last = rows.After(drawn.At, steps - 1);
        // discount^k, k = 0 to h: a table, so that every row has the same numbers.
        var powers = graph.Constant(TensorType.Float([Horizon + 1]), Enumerable.Range(0, Horizon + 1).Select(k => Math.Pow(Discount, k)).ToArray());
        return name => name switch
        {
            "rewards" => (drawn.Column(name, at) * valid * powers.Slice(0, 0, Horizon)).Sum(1),
            "next_observations" => rows.Successor("observations", last),
            "next_actions" => rows.Successor("actions", last),
            "terminals" => drawn.Column(name, last),
            "discounts" => powers.Gather(steps) * (1 - drawn.Column("terminals", last)),
            "steps" => steps.Cast(DType.F32),
            _ => drawn.Column(name),
        };
    }
}
