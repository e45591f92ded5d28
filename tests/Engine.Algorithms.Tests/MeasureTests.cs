using Engine.Algorithms.Data;
using Engine.Algorithms.Evaluation;
using Engine.Algorithms.Studies;
using Engine.Algorithms.Training;
using Engine.Kernels.Cpu;

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

    /// <summary>A reward of 2 a step for ever is worth 2 / (1 - discount), whatever is done; one that ends the task is worth 2.</summary>
    [Theory]
    [InlineData("bc", false, 20)]
    [InlineData("bc", true, 2)]
    [InlineData("discrete-bc", false, 20)]
    public void Fitted_values_are_those_of_a_constant_reward(string algorithm, bool ends, double expected)
    {
        const int Count = 400;
        bool discrete = algorithm != "bc";
        var random = new Kernels.PhiloxStream(1, "rows");
        var data = TransitionDataset.From(new Dataset
        {
            Source = "constant",
            Layout = "hand",
            ObservationSize = 2,
            ActionSize = 1,
            ActionSpace = discrete ? new DiscreteActions(3) : ActionBounds.Unit(1),
            Observations = Probe.Numbers(2 * Count, "seen"),
            Actions = Enumerable.Range(0, Count).Select(_ => discrete ? random.NextInt(3) : (float)random.NextUniform(-1, 1)).ToArray(),
            Rewards = Enumerable.Repeat(2f, Count).ToArray(),
            Terminals = Enumerable.Repeat(ends, Count).ToArray(),
            Timeouts = new bool[Count],
            Ends = Enumerable.Range(0, Count).Select(i => ends || i % 50 == 49).ToArray(),
        }, null);
        using var device = new CpuDevice();
        using var trainer = new Trainer(new RunConfig { Algorithm = algorithm, Settings = Probe.Settings(algorithm, ("hidden_sizes", "[8]")), Steps = 1 }, data, device, null);
        using var other = new CpuDevice();
        double value = FittedQ.Value(trainer.Policy, data, new FittedQSettings { HiddenSizes = [16], Steps = 3000, BatchSize = 32, Discount = 0.9, TargetUpdateRate = 0.05 }, 0, other);
        Assert.InRange(value, expected * 0.95, expected * 1.05);
    }

    [Fact]
    public void Rank_correlations()
    {
        Assert.Equal(1, Statistics.Spearman([1, 2, 3], [-5, 0, 100]), 12);
        Assert.Equal(-1, Statistics.Spearman([1, 2, 3], [9, 2, 1]), 12);
        // Ranks 0.5, 0.5, 2 and 0, 1, 2.
        Assert.Equal(1.5 / Math.Sqrt(1.5 * 2), Statistics.Spearman([4, 4, 7], [1, 2, 3]), 12);
    }

    [Fact]
    public void Correlations_over_datasets_are_checked()
    {
        string folder = Directory.CreateTempSubdirectory("engine-measures").FullName, file = Path.Combine(folder, "study.json");
        try
        {
            string Text(string correlation) => $$"""
                { "datasets": [{{string.Join(", ", new[] { "random", "medium", "expert" }.Select(q => $$"""{ "name": "{{q}}", "dataset": "builtin:cartpole-{{q}},rows=2000", "environment": "CartPole-v1" }"""))}}],
                  "measures": { "random": "builtin:cartpole-random,rows=2000,seed=1", "replay": "builtin:cartpole,rows=5000,seed=1", "online_return": 500 }, "correlations": ["{{correlation}}"],
                  "steps": 300, "evaluate_every": 300, "evaluation_episodes": 10, "seeds": [0], "algorithms": { "bc": { "algorithm": "discrete-bc", "hidden_sizes": [32], "batch_size": 64 } } }
                """;
            File.WriteAllText(file, Text("bc quality > 0.4"));
            var study = Study.Read(file);
            new StudyScheduler(study, Path.Combine(folder, "runs")).Run(1, _ => { }, CancellationToken.None);
            var table = new StudyTable(study, Path.Combine(folder, "runs"));
            Assert.True(table.Holds, table.ToMarkdown());
            Assert.Contains("| dataset | TQ | SACo | lSACo | bc |", table.ToMarkdown(), StringComparison.Ordinal);
            File.WriteAllText(file, Text("bc quality > 1"));
            Assert.False(new StudyTable(Study.Read(file), Path.Combine(folder, "runs")).Holds);
            File.WriteAllText(file, Text("bc size > 0.4"));
            Assert.Contains("quality|coverage|log_coverage", Assert.Throws<Interop.InteropFormatException>(() => Study.Read(file)).Message, StringComparison.Ordinal);
        }
        finally { Directory.Delete(folder, true); }
    }
}
