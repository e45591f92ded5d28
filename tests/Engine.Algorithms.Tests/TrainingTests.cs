using Engine.Algorithms.Data;
using Engine.Algorithms.QEnsembles;
using Engine.Algorithms.Batches;
using Engine.Algorithms.Studies;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Kernels.Cpu;

namespace Engine.Algorithms.Tests;

public sealed class TrainingTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("engine-training").FullName;
    private static readonly TransitionDataset Data = TransitionDataset.From(Dataset.Load("builtin:pendulum"), null);

    public void Dispose() => Directory.Delete(_folder, true);

    private static RunConfig Config(string algorithm, int steps, params (string, string)[] settings) => new()
    {
        Algorithm = algorithm,
        Dataset = "builtin:pendulum",
        Environment = "Pendulum-v1",
        Steps = steps,
        Seed = 3,
        EvaluationEpisodes = 5,
        LogEvery = 7,
        CheckpointEvery = 10,
        EvaluateEvery = 0,
        Settings = SettingsJson.With(AlgorithmCatalogue.Find(algorithm).Defaults, new[] { ("hidden_sizes", "[16,16]"), ("batch_size", "32") }.Concat(settings).Select(s => KeyValuePair.Create(s.Item1, SettingsJson.ParseValue(s.Item2)))),
    };

    private static byte[] Parameters(State state) => state.Variables.Where(v => v.Kind != VariableKind.Data).SelectMany(v => state.ReadBytes(v.Name)).ToArray();

    private byte[] Train(RunConfig config, string? run = null, bool resume = false, int threads = 1)
    {
        using var device = new CpuDevice(threads);
        using var trainer = new Trainer(config, Data, device, run is null ? null : Path.Combine(_folder, run), resume);
        trainer.Run(null, CancellationToken.None);
        return Parameters(trainer.State);
    }

    [Theory]
    [InlineData("bc")]
    [InlineData("sac-n")]
    [InlineData("edac")]
    [InlineData("lb-sac")]
    [InlineData("td3-bc")]
    [InlineData("iql")]
    [InlineData("awac")]
    public void Resuming_continues_byte_for_byte(string algorithm)
    {
        var whole = Train(Config(algorithm, 20));
        Train(Config(algorithm, 10), "half");
        // A fresh trainer has nothing but the folder, as a new process has (EndToEndTests starts one).
        Assert.Equal(whole, Train(Config(algorithm, 20), "half", resume: true));
    }

    [Theory]
    [InlineData("sac-n")]
    [InlineData("edac")]
    public void Threads_do_not_change_a_byte(string algorithm)
    {
        var config = Config(algorithm, 12, ("hidden_sizes", "[64,64]"), ("batch_size", "300"));
        Assert.Equal(Train(config), Train(config, threads: 2));
    }

    [Theory]
    [InlineData("bc")]
    [InlineData("edac")]
    [InlineData("lb-sac")]
    public void A_thousand_updates_with_metrics_read_at_intervals_allocate_nothing(string algorithm)
    {
        using var device = new CpuDevice(2);
        using var trainer = new Trainer(Config(algorithm, 10), Data, device, null);
        var program = trainer.UpdatePrograms[0];
        program.Run(50);
        _ = program.ReadScalar("actor_loss");
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
        {
            program.Run();
            if (i % 100 == 0) _ = program.ReadScalar("actor_loss");
        }
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void Periods_are_programs_of_their_own_and_keep_what_they_report()
    {
        using var device = new CpuDevice();
        using var trainer = new Trainer(Config("td3-bc", 9, ("policy_freq", "3")), Data, device, null);
        var seen = new List<(int Step, float ActorLoss)>();
        float before = trainer.State.Read("actor.layer0.bias")[0];
        // Reports at 7 and 9 (log_every 7); updates 2, 5 and 8 move the policy, number 6 does not: its loss is that of update 5.
        trainer.Run(report => seen.Add((report.Step, report.Metrics["actor_loss"])), CancellationToken.None);
        Assert.Equal([7, 9], seen.Select(s => s.Step));
        Assert.All(seen, s => Assert.True(float.IsFinite(s.ActorLoss)));
        Assert.NotEqual(seen[0].ActorLoss, seen[1].ActorLoss);
        Assert.NotEqual(before, trainer.State.Read("actor.layer0.bias")[0]);
        Assert.Equal((9, 3), (trainer.State.ReadInts("adam.step.critics")[0], trainer.State.ReadInts("adam.step.actor")[0]));
    }

    [Fact]
    public void A_study_goes_on_after_an_interruption_and_makes_a_table()
    {
        string file = Path.Combine(_folder, "study.json"), runs = Path.Combine(_folder, "runs");
        File.WriteAllText(file, """
            { "dataset": "builtin:pendulum", "environment": "Pendulum-v1", "steps": 30, "evaluate_every": 10, "evaluation_episodes": 2, "final_episodes": 3, "threshold": -2000,
              "seeds": [0, 1], "algorithms": { "bc": { "hidden_sizes": [8], "batch_size": 8 }, "wide": { "algorithm": "bc", "hidden_sizes": [16], "batch_size": 8 } } }
            """);
        var study = Study.Read(file);
        var scheduler = new StudyScheduler(study, runs);
        using var stop = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => scheduler.Run(1, line => { if (line.Contains("bc-seed1", StringComparison.Ordinal)) stop.Cancel(); }, stop.Token));
        Directory.CreateDirectory(Path.Combine(runs, "wide-seed1"));
        File.WriteAllText(Path.Combine(runs, "wide-seed1", "metrics.csv"), "killed before the first checkpoint");
        var done = new List<string>();
        scheduler.Run(2, line => { lock (done) done.Add(line); }, CancellationToken.None);
        Assert.StartsWith("2 of 4 runs", done[0], StringComparison.Ordinal);
        string table = new StudyTable(study, runs).ToMarkdown();
        Assert.Contains("| wide |", table, StringComparison.Ordinal);
        Assert.Contains("10 / 10", table, StringComparison.Ordinal);
        Assert.DoesNotContain("| - |", table, StringComparison.Ordinal);
    }

    [Fact]
    public void Seeds_change_the_run_and_equal_seeds_do_not()
    {
        Assert.Equal(Train(Config("sac-n", 5)), Train(Config("sac-n", 5)));
        Assert.NotEqual(Train(Config("sac-n", 5)), Train(Config("sac-n", 5) with { Seed = 4 }));
    }

    [Fact]
    public void The_authors_update_order_differs_from_corls()
    {
        Assert.NotEqual(Train(Config("sac-n", 3)), Train(Config("sac-n", 3, ("update_order", "authors"))));
    }

    /// <summary>The table of docs/initialisers.md, for S = 17, A = 6 and hidden layers of 256.</summary>
    [Theory]
    [InlineData(EnsembleInit.Authors, 0.2085, 0.0625, 0.1, 3e-3, 3e-3, 0.0625, 1e-3)]
    [InlineData(EnsembleInit.Corl, 0.0625, 0.0625, 0.1, 3e-3, 3e-3, 0.2425, 1e-3)]
    [InlineData(EnsembleInit.LbSac, 0.0625, 0.0625, 0.0625, 1, 1, 0.2425, 0.0625)]
    public void Initial_values_have_the_bounds_of_their_preset(EnsembleInit init, double critic0, double critic1, double criticBias, double last, double lastBias, double actor0, double head)
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        _ = new SacN(new AlgorithmContext(state, 1, new Spaces(17, ActionBounds.Unit(6))), new SacNSettings { Init = init, Critics = 50, HiddenSizes = [256, 256, 256] });
        void Bound(string name, double bound)
        {
            double largest = state.Read(name).Max(v => Math.Abs((double)v));
            Assert.True(largest <= bound * 1.0001 && largest > bound * 0.9, $"{name}: {largest} against a bound of {bound}");
        }
        Bound("critics.layer0.weight", critic0);
        Bound("critics.layer1.weight", critic1);
        Bound("critics.layer1.bias", criticBias);
        Bound("critics.layer3.weight", last);
        Bound("critics.layer3.bias", lastBias);
        Bound("actor.layer0.weight", actor0);
        Bound("actor.mean.weight", head);
        Assert.Equal(state.Read("critics.layer1.weight"), state.Read("target_critics.layer1.weight"));
    }

    /// <summary>The authors' order: every loss from the parameters before the update. One update by hand with the interpreter.</summary>
    [Fact]
    public void In_the_authors_order_the_critic_target_uses_the_old_actor_and_temperature()
    {
        using var device = new CpuDevice();
        double[] Losses(string order, double actorRate)
        {
            using var state = new State(device);
            var settings = (SacNSettings)Config("sac-n", 1, ("update_order", order), ("actor_learning_rate", actorRate.ToString()), ("temperature_learning_rate", actorRate.ToString())).Settings;
            var algorithm = new SacN(new AlgorithmContext(state, 1, new Spaces(3, ActionBounds.Unit(1))), settings);
            var generator = RandomDraws.AddState(state, 1);
            using var program = Program.Trace(state, g =>
            {
                g.Random.Use(generator);
                algorithm.TraceUpdate(algorithm.Stages[0], g, new FedBatch(g, algorithm.Stages[0], algorithm.Context.Spaces, 32, "").Read, 0);
            });
            program.Write("observations", Data.Observations.AsSpan(0, 96));
            program.Write("actions", Data.Actions.AsSpan(0, 32));
            program.Write("rewards", Data.Rewards.AsSpan(0, 32));
            program.Write("next_observations", Data.NextObservations.AsSpan(0, 96));
            program.Write("terminals", Data.Terminals.AsSpan(0, 32));
            program.Run();
            return [program.ReadScalar("critic_loss"), program.ReadScalar("actor_loss")];
        }
        Assert.Equal(Losses("authors", 1e-3), Losses("authors", 0.5));
        Assert.NotEqual(Losses("corl", 1e-3)[0], Losses("corl", 0.5)[0]);
    }

    [Fact]
    public void A_diverging_run_stops_and_names_step_loss_and_op()
    {
        var poisoned = TransitionDataset.From(BuiltinPendulum.Make(20) with { Rewards = Enumerable.Repeat(3e38f, 4000).ToArray() }, null);
        using var device = new CpuDevice();
        using var trainer = new Trainer(Config("sac-n", 50), poisoned, device, null);
        var e = Assert.Throws<DivergedException>(() => trainer.Run(null, CancellationToken.None));
        Assert.Equal(0, e.Step);
        Assert.Contains("critic_loss", e.Message, StringComparison.Ordinal);
        Assert.Contains("square", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Stopping_saves_where_it_stands()
    {
        using var stop = new CancellationTokenSource();
        using (var device = new CpuDevice())
        using (var trainer = new Trainer(Config("bc", 10_000), Data, device, Path.Combine(_folder, "stopped")))
            Assert.Throws<OperationCanceledException>(() => trainer.Run(r => { if (r.Step > 100) stop.Cancel(); }, stop.Token));
        int step = Checkpoint.List(Path.Combine(_folder, "stopped"))[0].Step;
        Assert.InRange(step, 100, 200);
        Assert.Equal(Train(Config("bc", 300)), Train(Config("bc", 300), "stopped", resume: true));
    }

    [Fact]
    public void Folders_are_protected()
    {
        Train(Config("bc", 10), "run");
        Assert.Contains("holds a run already", Assert.Throws<SettingsException>(() => Train(Config("bc", 10), "run")).Message, StringComparison.Ordinal);
        using var device = new CpuDevice();
        var other = TransitionDataset.From(Dataset.Load("builtin:pendulum,seed=9"), null);
        Assert.Contains("has changed", Assert.Throws<DatasetException>(() => new Trainer(Config("bc", 20), other, device, Path.Combine(_folder, "run"), resume: true)).Message, StringComparison.Ordinal);
        using var first = new Trainer(Config("bc", 20), Data, device, Path.Combine(_folder, "busy"));
        Assert.Contains("another process", Assert.Throws<SettingsException>(() => new Trainer(Config("bc", 20), Data, device, Path.Combine(_folder, "busy"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Metrics_are_written_line_by_line_and_not_twice_after_a_resume()
    {
        Train(Config("edac", 20), "a");
        Train(Config("edac", 10), "b");
        Train(Config("edac", 20), "b", resume: true);
        string[] Steps(string run) => File.ReadAllLines(Path.Combine(_folder, run, "metrics.csv")).Skip(1).Select(l => l.Split(',')[0]).ToArray();
        Assert.Equal(["7", "14", "20"], Steps("a"));
        Assert.Equal(["7", "10", "14", "20"], Steps("b"));
        Assert.Contains("diversity_loss", File.ReadLines(Path.Combine(_folder, "a", "metrics.csv")).First(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("critics", "0", "at least 1")]
    [InlineData("critics", "many", "expected a value like 10")]
    [InlineData("discount", "1.5", "0 to 1")]
    [InlineData("hidden_sizes", "[]", "at least one number")]
    [InlineData("update_order", "\"random\"", "corl or authors")]
    [InlineData("activation", "\"rleu\"", "relu")]
    [InlineData("crtics", "5", "critics")]
    [InlineData("log_std_min", "3", "log_std_max")]
    public void Wrong_hyper_parameters_are_refused(string name, string value, string expected) =>
        Assert.Contains(expected, Assert.Throws<SettingsException>(() => Config("sac-n", 1, (name, value))).Message, StringComparison.Ordinal);

    [Fact]
    public void Settings_survive_the_configuration_file()
    {
        var config = Config("lb-sac", 10, ("base_learning_rate", "0.001"), ("target_entropy", "-0.5"));
        Train(config, "config");
        var (read, fingerprints, spaces) = RunInfo.Read(Path.Combine(_folder, "config"));
        Assert.Equal(SettingsJson.ToJson(config.Settings).ToJsonString(), SettingsJson.ToJson(read.Settings).ToJsonString());
        Assert.Equal((Data.Fingerprint, 3), (fingerprints["offline"], spaces.Observation.Size));
        Assert.Equal(Kernels.Precision.Float32, read.Precision);
        Assert.Contains("\"precision\": \"bfloat16\"", (config with { Precision = Kernels.Precision.BFloat16 }).ToJson().ToJsonString(new() { WriteIndented = true }), StringComparison.Ordinal);
        Assert.Equal(new ActionBounds([-2], [2]), spaces.Action);
        var scaled = ((LbSacSettings)read.Settings).Scaled();
        Assert.Equal(0.001 * Math.Sqrt(32 / 256.0), scaled.ActorLearningRate, 1e-12);
    }
}
