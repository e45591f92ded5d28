using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Training;
using Engine.Kernels;

namespace Engine.Algorithms.Tests;

/// <summary>Agents that learn from scratch by interacting: stopped in the middle of an episode, killed, resumed.</summary>
public sealed class LayerProbesOnline : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("engine-probes").FullName;
    private static readonly Dictionary<string, TrainingData> Offline = new() { ["offline"] = TrainingData.Load("builtin:pendulum,rows=2000", "Pendulum-v1") };

    static LayerProbesOnline() => EnvironmentCatalogue.Register(new EnvironmentEntry("ProbeForgetful-v0", copies => new Forgetful(copies)));

    public void Dispose() => Directory.Delete(_folder, true);

    private string In(string name) => Path.Combine(_folder, name);

    /// <summary>210 steps of four copies with uniform actions, so that the second episodes have begun, then updates.</summary>
    private static RunConfig Config(string algorithm, int ratio, int capacity, string environment = "Pendulum-v1")
    {
        var settings = new[] { ("hidden_sizes", "[16,16]"), ("batch_size", "40"), ("update_ratio", $"{ratio}"), ("start_steps", "840"), ("buffer_capacity", $"{capacity}") };
        return new()
        {
            Algorithm = algorithm,
            Environment = environment,
            Dataset = algorithm == "rlpd" ? "builtin:pendulum,rows=2000" : null,
            Steps = 322,
            Seed = 3,
            Copies = 4,
            EvaluationEpisodes = 2,
            EvaluateEvery = 0,
            LogEvery = 7,
            CheckpointEvery = 50,
            Settings = Probe.Settings(algorithm, algorithm == "rlpd" ? [.. settings, ("critics", "3"), ("utd_ratio", "2")] : settings),
        };
    }

    [Theory]
    [InlineData("sac", 1, 10_000)]
    [InlineData("sac", 4, 10_000)]
    [InlineData("sac", 1, 100)]
    [InlineData("rlpd", 1, 10_000)]
    [InlineData("rlpd", 4, 100)]
    public void Stopped_in_the_middle_of_an_episode_it_goes_on_byte_for_byte(string algorithm, int ratio, int capacity)
    {
        var config = Config(algorithm, ratio, capacity);
        var data = algorithm == "rlpd" ? Offline : null;
        var whole = Probe.Train(config, data, In("whole"));
        whole.Same(Probe.Train(config, data, In("threads"), threads: 2));
        // In the stage of uniform actions, in the first episodes; among the updates, in the second.
        foreach (int stop in new[] { 154, 245 })
            foreach (int threads in new[] { 1, 2 })
            {
                string run = In($"stop-{stop}-{threads}");
                Assert.Equal(stop, Probe.Train(config, data, run, stop: stop, threads: 3 - threads).Step);
                whole.Same(Probe.Train(config, data, run, resume: true, threads: threads));
            }
        // Fewer steps first: that run has a last line of its own.
        Probe.Train(config with { Steps = 290 }, data, In("fewer"));
        whole.Same(Probe.Train(config, data, In("fewer"), resume: true), metrics: false);
        // Killed twice between checkpoints.
        Probe.Train(config, data, In("killed"), kill: 245);
        Probe.Train(config, data, In("killed"), resume: true, kill: 280);
        whole.Same(Probe.Train(config, data, In("killed"), resume: true));
        Assert.Equal("online", Probe.Column(In("killed"), "stage")[^1]);
    }

    [Fact]
    public void An_environment_that_cannot_save_is_refused_unless_episodes_may_begin_anew()
    {
        var config = Config("sac", 1, 10_000, "ProbeForgetful-v0");
        Probe.Train(config, folder: In("run"), stop: 245);
        var e = Assert.Throws<SettingsException>(() => Probe.Train(config, folder: In("run"), resume: true));
        Assert.Contains("ProbeForgetful-v0 cannot save its state", e.Message, StringComparison.Ordinal);
        Assert.Contains("--restart-episodes", e.Message, StringComparison.Ordinal);
        // Rows of the episodes that were cut are a trajectory of their own, also after another stop.
        int cut = (210 + (245 - 210 + 3) / 4) * 4;
        int[] Ends(Trainer trainer) => trainer.State.ReadInts("buffer.online.end");
        config = config with { RestartEpisodes = true };
        int[] first = [], second = [];
        Probe.Train(config, folder: In("run"), resume: true, stop: 259, check: t => first = Ends(t));
        Assert.Equal(Enumerable.Range(cut - 4, 4), first[(cut - 4)..cut]);
        Assert.Equal([-1, -1, -1, -1], first[cut..(cut + 4)]);
        Probe.Train(config, folder: In("run"), resume: true, check: t => second = Ends(t));
        Assert.Equal(first[..cut], second[..cut]);
        Assert.Equal(322, Probe.Train(config, folder: In("run"), resume: true).Step);
    }

    /// <summary>Pendulum, but for the states of its copies, which it keeps to itself.</summary>
    private sealed class Forgetful(int copies) : IEnvironment
    {
        private readonly Pendulum _task = new(copies, clipFirst: true);

        public int Copies => copies;

        public int ObservationSize => 3;

        public ActionSpace ActionSpace => _task.ActionSpace;

        public int MaxSteps => _task.MaxSteps;

        public void Reset(int copy, PhiloxStream random) => _task.Reset(copy, random);

        public void Observe(Span<float> observations) => _task.Observe(observations);

        public void Step(ReadOnlySpan<float> actions, Span<float> rewards, Span<bool> terminals) => _task.Step(actions, rewards, terminals);
    }
}
