using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Batches;

/// <summary>
/// <see cref="Chunks"/> of h actions on the way to goals (Li et al. 2025, "Decoupled Q-Chunking"; reference: ColinQiyangLi/dqc): <c>goals</c> [B, G] and, with n the smallest of h, the steps that the trajectory still has and those to the goal,
/// <c>backup_steps</c> [B] = n, <c>next_observations</c> n steps later, <c>rewards</c> [B] = discount^n where the goal is reached in fewer than h steps, else 0, and <c>masks</c> [B] = 0 there, else 1.
/// </summary>
/// <param name="Length">h, at least 1.</param>
/// <param name="Mix">What goals are.</param>
/// <param name="Discount">Of a step.</param>
public sealed record GoalChunks(int Length, GoalMix Mix, double Discount) : BatchKind
{
    /// <inheritdoc/>
    public override IReadOnlyList<BatchColumn> Columns(IReadOnlyList<BatchColumn> row, Spaces spaces) =>
    [
        .. new Chunks(Length).Columns(row, spaces).Where(c => c.Name != "rewards"), BatchColumn.Number("rewards"),
        new("goals", DType.F32, spaces.RequiredGoal.Shape, ColumnRole.Goal), BatchColumn.Number("backup_steps"), BatchColumn.Number("masks"),
    ];

    /// <inheritdoc/>
    public override Func<string, Tensor> Read(DrawnRows drawn)
    {
        var (chunks, rows) = (new Chunks(Length).Read(drawn), drawn.Rows);
        var (goals, steps) = Mix.Draw(drawn);
        var reached = (steps < Length).Cast(DType.F32);
        var backup = steps.Minimum(Length).Minimum(rows.Left(drawn.At));
        return name => name switch
        {
            "goals" => goals,
            "backup_steps" => backup.Cast(DType.F32),
            "next_observations" => rows.Later("observations", drawn.At, backup),
            "rewards" => (backup.Cast(DType.F32) * Math.Log(Discount)).Exp() * reached,
            "masks" => 1 - reached,
            _ => chunks(name),
        };
    }
}
