using Engine.Algorithms.Batches;

namespace Engine.Algorithms.GoalConditioned;

/// <summary>What methods need whose goals are drawn from the data.</summary>
public abstract record GoalSettings : ContinuousSettings
{
    /// <summary>Two hidden layers.</summary>
    protected GoalSettings() => HiddenSizes = [256, 256];

    /// <summary>Share of goals that are the row's own state.</summary>
    [Within(0, 1)]
    public double OwnGoals { get; init; }

    /// <summary>Share of goals that are a later state of the same trajectory.</summary>
    [Within(0, 1)]
    public double FutureGoals { get; init; } = 1;

    /// <summary>Share of goals that are the state of any row.</summary>
    [Within(0, 1)]
    public double RandomGoals { get; init; }

    /// <summary>A later state is so many steps ahead, k with a chance of (1 - goal_discount) goal_discount^(k-1); null: any of them alike.</summary>
    [Between(0, 1)]
    public double? GoalDiscount { get; init; }

    /// <summary>What goals are.</summary>
    public GoalMix Mix() => new(OwnGoals, FutureGoals, RandomGoals, GoalDiscount);

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Mix().Validate();
    }
}
