using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Training;
using Engine.Kernels.Cpu;

namespace Engine.Algorithms.Tests;

/// <summary>Experts that are asked, and what OAP makes of their answers.</summary>
public sealed class PreferenceTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("engine-oap").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    [Fact]
    public void An_expert_finds_the_state_and_knows_the_better_action()
    {
        var entry = EnvironmentCatalogue.Find("Pendulum-v1");
        var environment = (StateEnvironment)entry.Create(1);
        Span<float> seen = stackalloc float[3];
        environment.State(0)[0] = 0.3;
        environment.State(0)[1] = -0.7;
        environment.Observe(seen);
        entry.Expert!.StateOf(seen, environment.State(0));
        Assert.Equal(0.3, environment.State(0)[0], 6);
        Assert.Equal(-0.7, environment.State(0)[1], 6);
        // Near upright and falling to the left, a push to the right holds it.
        double Value(float action, ReadOnlySpan<float> at) => entry.Expert.Value(environment, at, [action], 50, 0.99);
        Assert.True(Value(-2, seen) > Value(2, seen) + 0.1, $"{Value(-2, seen)} {Value(2, seen)}");
        // The first reward is of the state before the step: -(angle² + 0.1 speed² + 0.001 torque²).
        Assert.Equal(-(0.09 + 0.049 + 0.001), entry.Expert.Value(environment, seen, [1f], 1, 0.99), 6);
    }

    private static RunConfig Config(string environment = "Pendulum-v1", params (string, string)[] settings) => new()
    {
        Algorithm = "oap",
        Environment = environment,
        Steps = 20,
        LogEvery = 5,
        CheckpointEvery = 5,
        EvaluateEvery = 0,
        EvaluationEpisodes = 1,
        Settings = Probe.Settings("oap", [("hidden_sizes", "[16]"), ("batch_size", "16"), ("questions", "50"), ("questions_at_once", "20"), ("question_every", "4"), .. settings]),
    };

    private static Dictionary<string, TrainingData> Data => new() { ["offline"] = TrainingData.Load("builtin:pendulum,rows=1000", "Pendulum-v1") };

    [Fact]
    public void Questions_end_with_their_number_and_a_resumed_run_asks_the_same()
    {
        var whole = Probe.Train(Config(), Data, Path.Combine(_folder, "whole"), check: trainer =>
        {
            Assert.Equal([50], trainer.State.ReadInts("preference.count"));
            var answers = trainer.State.Read("preference.answers");
            Assert.All(Enumerable.Range(0, 50), i => Assert.True(answers[6 * i + 5] is 0 or 1 && Math.Abs(answers[6 * i + 4]) <= 1 && answers[6 * i + 2] != 0));
            Assert.Contains(Enumerable.Range(0, 50), i => answers[6 * i + 5] == 1);
            Assert.Contains(Enumerable.Range(0, 50), i => answers[6 * i + 5] == 0);
        });
        string half = Path.Combine(_folder, "half");
        Probe.Train(Config(), Data, half, stop: 5);
        Probe.Train(Config(), Data, half, resume: true).Same(whole);
    }

    [Fact]
    public void A_task_without_an_expert_is_refused()
    {
        using var device = new CpuDevice();
        var data = new Dictionary<string, TrainingData> { ["offline"] = TrainingData.Load("builtin:mountaincar-continuous,rows=1000", "MountainCarContinuous-v0") };
        Assert.Contains("MountainCarContinuous-v0 has none; Pendulum-v1", Assert.Throws<SettingsException>(() => new Trainer(Config("MountainCarContinuous-v0"), data, device, null)).Message, StringComparison.Ordinal);
    }
}
