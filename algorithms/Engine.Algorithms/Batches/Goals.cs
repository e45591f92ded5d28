using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Batches;

/// <summary>What goals are: shares that sum to 1. A goal is what a state has reached (Andrychowicz et al. 2017, "Hindsight Experience Replay"; the mix of Park et al. 2024, "OGBench").</summary>
/// <param name="Own">Share of the row's own state.</param>
/// <param name="Future">Share of states after it in the same trajectory, that seen last included.</param>
/// <param name="Random">Share of the states of rows drawn from the whole table.</param>
/// <param name="Discount">The distance to a future state is geometric, k with a chance of (1 - discount) discount^(k-1), or what is left of the trajectory if that is less. Null: it is uniform in 1 to what is left.</param>
public sealed record GoalMix(double Own, double Future, double Random, double? Discount)
{
    /// <summary>Throws unless the shares are shares.</summary>
    /// <exception cref="SettingsException">One is negative, they do not sum to 1, or the discount is not between 0 and 1.</exception>
    public void Validate()
    {
        if (Own < 0 || Future < 0 || Random < 0 || !(Math.Abs(Own + Future + Random - 1) <= 1e-6)) throw new SettingsException(FormattableString.Invariant($"shares of goals own={Own}, future={Future}, random={Random}: expected numbers that are at least 0 and sum to 1"));
        if (Discount is { } d && !(d > 0 && d < 1)) throw new SettingsException(FormattableString.Invariant($"discount of goals {d}: expected above 0 and below 1"));
    }

    /// <summary>A number of steps that no trajectory has.</summary>
    internal const int Never = 1 << 30;

    /// <summary>Draws goals [B, G], and how many steps later the row's trajectory is there, I32 [B]: <see cref="Never"/> of goals drawn at random.</summary>
    internal (Tensor Goals, Tensor Steps) Draw(DrawnRows drawn)
    {
        Validate();
        var (rows, goal) = (drawn.Rows, drawn.Spaces.RequiredGoal);
        Tensor? choice = null;
        Tensor Choice() => choice ??= drawn.Uniform("choice", drawn.Count);
        var steps = drawn.Graph.Constant(TensorType.Int([drawn.Count]), 0);
        if (Future > 0)
        {
            steps = Distance(drawn.Uniform("distance", drawn.Count), rows.Left(drawn.At));
            if (Own > 0) steps = Tensor.Select(Choice() < Own, steps * 0, steps);
        }
        var reached = goal.Of(rows.Later("observations", drawn.At, steps));
        if (Random == 0) return (reached, steps);
        var other = goal.Of(drawn.Column("observations", rows.Draw(drawn.Graph, $"{drawn.Label}.other", drawn.Count, null)));
        var never = drawn.Graph.Constant(TensorType.Int([drawn.Count]), Never);
        if (Random == 1) return (other, never);
        var own = Choice() < Own + Future;
        return (Tensor.Select(own.Expand(-1), reached, other), Tensor.Select(own, steps, never));
    }

    /// <summary>Steps from 1 to what is left, from numbers uniform in [0, 1).</summary>
    private Tensor Distance(Tensor uniform, Tensor left) =>
        1 + (Discount is { } discount ? ((1 - uniform).Log() * (1 / Math.Log(discount))).Floor().Cast(DType.I32) : (uniform * left.Cast(DType.F32)).Floor().Cast(DType.I32)).Minimum(left - 1);
}

/// <summary><see cref="Transitions"/> with goals: <c>goals</c> [B, G], never across trajectories unless drawn at random, and <c>at_goal</c> [B], 1 where the row's observation has reached its goal, all components equal.</summary>
/// <param name="Mix">What goals are.</param>
public sealed record Goals(GoalMix Mix) : BatchKind
{
    /// <inheritdoc/>
    public override IReadOnlyList<BatchColumn> Columns(IReadOnlyList<BatchColumn> row, Spaces spaces) =>
        [.. new Transitions().Columns(row, spaces), new("goals", DType.F32, spaces.RequiredGoal.Shape, ColumnRole.Goal), BatchColumn.Number("at_goal")];

    /// <inheritdoc/>
    public override Func<string, Tensor> Read(DrawnRows drawn)
    {
        var (transitions, goal) = (new Transitions().Read(drawn), drawn.Spaces.RequiredGoal);
        var goals = Mix.Draw(drawn).Goals;
        return name => name switch
        {
            "goals" => goals,
            "at_goal" => goal.Reached(drawn.Column("observations"), goals),
            _ => transitions(name),
        };
    }
}
