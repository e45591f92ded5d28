using Engine.Algorithms.Data;
using Engine.Algorithms.Evaluation;

namespace Engine.Algorithms.Tests;

/// <summary>Measures and estimates on data small enough to compute by hand.</summary>
public sealed class MeasureTests
{
    private static Dataset Rows(string name, float[] observations, float[] actions, float[] rewards, params int[] ends) => new()
    {
        Source = name,
        Layout = "hand",
        ObservationSize = 1,
        ActionSize = 1,
        ActionSpace = new DiscreteActions(2),
        Observations = observations,
        Actions = actions,
        Rewards = rewards,
        Terminals = new bool[actions.Length],
        Timeouts = new bool[actions.Length],
        Ends = Enumerable.Range(0, actions.Length).Select(i => ends.Contains(i)).ToArray(),
    };

    [Fact]
    public void Quality_and_coverage_of_a_few_rows()
    {
        // Edges at 0, 1, ... 99, so that a state's bin is its integer part and one more.
        var replay = Rows("replay", [0, 0.5f, 1, 50, 99, 99], [0, 0, 0, 1, 1, 0], [0, 1, 2, 3, 4, 5], 2, 5);
        var random = Rows("random", [0, 1], [0, 1], [1, 1], 0, 1);
        // 0 and 0.9 with action 0 are one pair, with action 1 another; -7 lies below the first edge, 120 in the last bin with 99.
        var data = Rows("data", [0, 0.9f, 0, -7, 120, 99], [0, 0, 1, 0, 1, 1], [2, 3, 4, 0, 0, 0], 1, 5);
        var measures = DatasetMeasures.Of(data, random, replay, 9);
        // Returns 5 and 4, of the random policy 1 and 1: (4.5 - 1) / (9 - 1).
        Assert.Equal(3.5 / 8, measures.Quality, 12);
        // Replay: (1,0), (2,0), (51,1), (100,1), (100,0).
        Assert.Equal(4.0 / 5, measures.Coverage, 12);
        Assert.Equal(Math.Log(4) / Math.Log(5), measures.LogCoverage, 12);
        // Of itself it covers all, whatever its quality.
        Assert.Equal(1, DatasetMeasures.Of(replay, random, replay, 9).Coverage);
    }

    [Fact]
    public void Ratios_weigh_trajectories_of_several_lengths()
    {
        var estimates = ImportanceSampling.Of([[2, 0.5], [0.5]], [[1, 4], [6]], 0.5);
        // Whole ratios 1 and 0.5, returns 3 and 6.
        Assert.Equal((3 + 3) / 2.0, estimates.Ordinary, 12);
        Assert.Equal(6 / 1.5, estimates.Weighted, 12);
        // First step 2 * 1 + 0.5 * 6, second 1 * 2, whose weight the ended trajectory's 0.5 joins.
        Assert.Equal((5 + 2) / 2.0, estimates.PerDecision, 12);
        Assert.Equal(5 / 2.5 + 2 / 1.5, estimates.WeightedPerDecision, 12);
        Assert.Equal(1.5 * 1.5 / 1.25, estimates.EffectiveSampleSize, 12);
    }
}
