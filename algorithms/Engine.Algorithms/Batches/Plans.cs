using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Batches;

/// <summary>
/// What planners are trained on: <c>trajectories</c> [B, h, A + S], action and observation of the drawn row and those after it, zeros after the trajectory's end; <c>returns</c> [B], the discounted sum of the rewards from the drawn row on.
/// </summary>
/// <param name="Horizon">h, at least 1.</param>
/// <param name="Returns">Rewards that the sum has at most.</param>
/// <param name="Discount">Of a step.</param>
/// <param name="TerminationReward">Added to a reward that ends the task.</param>
public sealed record Plans(int Horizon, int Returns, double Discount, double TerminationReward) : BatchKind
{
    /// <inheritdoc/>
    public override IReadOnlyList<BatchColumn> Columns(IReadOnlyList<BatchColumn> row, Spaces spaces) =>
        [new("trajectories", DType.F32, [Horizon, spaces.Action.Size + spaces.Observation.Size]), BatchColumn.Number("returns")];

    /// <inheritdoc/>
    public override Func<string, Tensor> Read(DrawnRows drawn) => name =>
    {
        var (at, valid) = drawn.Window(name == "trajectories" ? Horizon : Returns);
        if (name == "trajectories") return Tensor.Concat(-1, drawn.Column("actions", at), drawn.Column("observations", at).Reshape(drawn.Count, Horizon, -1)) * valid.Expand(-1);
        var powers = drawn.Graph.Constant(TensorType.Float([Returns]), Enumerable.Range(0, Returns).Select(k => Math.Pow(Discount, k)).ToArray());
        return ((drawn.Column("rewards", at) + drawn.Column("terminals", at) * TerminationReward) * valid * powers).Sum(1);
    };
}
