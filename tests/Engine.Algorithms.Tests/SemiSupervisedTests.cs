using Engine.Algorithms.Data;
using Engine.Algorithms.Studies;
using Engine.Algorithms.Training;
using Engine.Kernels.Cpu;

namespace Engine.Algorithms.Tests;

/// <summary>Choices of trajectories, methods that are parts of others, and what an inverse model makes of trajectories without actions.</summary>
public sealed class SemiSupervisedTests
{
    private static readonly TransitionDataset Data = (TransitionDataset)TrainingData.Load("builtin:pendulum,rows=2000", "Pendulum-v1");

    private static double[] ReturnsOf(TransitionDataset data, double discount = 1) => data.Table.Firsts().Distinct().Select(at => (double)data.Table.ReturnsToGo((float[])data.Table["rewards"], discount)[at]).ToArray();

    [Theory]
    [InlineData("best=0.3", 3, true, 1)]
    [InlineData("worst=2", 2, false, 1)]
    [InlineData("best=0.01", 1, true, 1)]
    [InlineData("worst=0.5,discount=0.9", 5, false, 0.9)]
    public void Trajectories_are_chosen_by_their_returns(string text, int count, bool best, double discount)
    {
        var chosen = ReturnsOf(Data.Of(TrajectoryChoice.Parse("trajectories", text)!), discount);
        var sorted = ReturnsOf(Data, discount).Order().ToArray();
        Assert.Equal(10, sorted.Length);
        Assert.Equal(best ? sorted[^count..] : sorted[..count], chosen.Order());
    }

    [Theory]
    [InlineData("best")]
    [InlineData("best=0")]
    [InlineData("best=1.5")]
    [InlineData("good=3")]
    [InlineData("best=3,discount=2")]
    [InlineData("best=3,discount=0.9,discount=0.9")]
    public void Other_choices_are_refused(string text) => Assert.Contains($"trajectories={text}", Assert.Throws<SettingsException>(() => TrajectoryChoice.Parse("trajectories", text)).Message, StringComparison.Ordinal);

    [Fact]
    public void There_must_be_as_many_trajectories() => Assert.Contains("has 10 trajectories", Assert.Throws<DatasetException>(() => Data.Of(new TrajectoryChoice(true, 11))).Message, StringComparison.Ordinal);

    [Fact]
    public void Removed_actions_are_zero_and_say_so()
    {
        var some = Data.WithActionsOf(new TrajectoryChoice(false, 4));
        var (labelled, actions, all) = ((float[])some.Table["labelled"], (float[])some.Table["actions"], (float[])Data.Table["actions"]);
        Assert.Equal(4 * 199, some.Table.Transitions.Count(row => labelled[row] == 1));
        for (int row = 0; row < labelled.Length; row++) Assert.Equal(labelled[row] == 1 ? all[row] : 0, actions[row]);
        Assert.All((float[])Data.WithActionsOf(null).Table["labelled"], v => Assert.Equal(1, v));
    }

    private static RunConfig Config(string algorithm, string? actionsOf, int steps, params (string, string)[] settings) => new()
    {
        Algorithm = algorithm,
        Environment = "Pendulum-v1",
        Steps = steps,
        EvaluateEvery = 0,
        EvaluationEpisodes = 1,
        ActionsOf = actionsOf,
        Settings = Probe.Settings(algorithm, settings),
    };

    [Fact]
    public void A_method_that_does_not_ask_is_not_trained_on_removed_actions()
    {
        using var device = new CpuDevice();
        var e = Assert.Throws<SettingsException>(() => new Trainer(Config("bc", "worst=2", 5, ("hidden_sizes", "[8]")), Data, device, null));
        Assert.Contains("actions_of=worst=2: bc does not ask", e.Message, StringComparison.Ordinal);
        Assert.Contains("labelled", Assert.Throws<DatasetException>(() => new Trainer(Config("ss-orl", null, 10, ("hidden_sizes", "[8]"), ("inverse_steps", "5")), Data, device, null)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_inverse_model_learns_the_actions_that_are_known()
    {
        double Error(int updates)
        {
            using var device = new CpuDevice();
            double error = 0;
            var config = Config("ss-orl", "worst=5", updates + 10, ("hidden_sizes", "[32,32]"), ("inverse_steps", $"{updates}"), ("learning_rate", "3e-3"), ("base", "bc"), ("base.hidden_sizes", "[8]"));
            using var trainer = new Trainer(config with { LogEvery = updates + 10 }, Data, device, null);
            trainer.Run(report => error = report.Metrics["inverse_error"], CancellationToken.None);
            return error;
        }
        Assert.True(Error(1) > 0.5);
        Assert.InRange(Error(2000), 0, 0.1);
    }

    [Fact]
    public void Parts_have_settings_of_their_own_in_files_and_names()
    {
        var settings = Probe.Settings("ss-orl", ("base", "iql"), ("base.expectile", "0.9"), ("base.hidden_sizes", "16"));
        var json = SettingsJson.ToJson(settings);
        Assert.Equal("iql", (string?)json["base"]!["algorithm"]);
        Assert.Equal(0.9, (double)json["base"]!["expectile"]!);
        Assert.Equal(json.ToJsonString(), SettingsJson.ToJson(SettingsJson.With(AlgorithmCatalogue.Find("ss-orl").Defaults, json)).ToJsonString());
        void Fails(string expected, string name, string value) => Assert.Contains(expected, Assert.Throws<SettingsException>(() => Probe.Settings("ss-orl", (name, value))).Message, StringComparison.Ordinal);
        Fails("batch_size of td3-bc: it is set for the whole method", "base.batch_size", "3");
        Fails("hyper-parameter expectile is unknown", "base.expectile", "0.9");
        Fails("algorithm ikl is unknown", "base", "ikl");
        Fails("alpha", "base.alpha", "-1");
        Fails("base", "base", "7");
    }

    [Fact]
    public void Checks_have_a_side_and_a_share()
    {
        string[] labels = ["a", "b"];
        (double Bound, double Limit, bool Holds) Of(string text, double a, double b) => StudyCheck.Parse(text, labels).Evaluate((label, _) => label == "a" ? [a, a] : [b, b]);
        Assert.Equal((3, 0, true), Of("a > b", 5, 2));
        Assert.Equal((-3, 0, false), Of("a < b", 5, 2));
        Assert.Equal((2, 0, true), Of("a < 7", 5, 2));
        Assert.True(Of("a >= b -100 90%", -9, 0) is { Limit: > -10.001 and < -9.999, Holds: true });
        Assert.False(Of("a >= b -100", -9, 0).Holds);
        foreach (string wrong in new[] { "a < b 3", "a >= b", "a >= b 3 4", "a >= b 3 150%", "a >= 3 4", "a = b" }) Assert.Throws<SettingsException>(() => StudyCheck.Parse(wrong, labels));
    }
}
