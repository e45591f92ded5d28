using Engine.Algorithms.Batches;
using Engine.Algorithms.Data;
using Engine.Algorithms.Evaluation;
using Engine.Algorithms.Policies;
using Engine.Algorithms.Reporting;
using Engine.Algorithms.Studies;
using Engine.Algorithms.Training;
using Engine.Interop;
using Engine.Kernels.Cpu;

namespace Engine.Algorithms.Tests;

/// <summary>Evaluations by name: the run's environment, further ones, and losses on rows that are held out.</summary>
public sealed class EvaluationListTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("engine-evaluations").FullName;
    private static readonly TransitionDataset Pendulum = TransitionDataset.From(Dataset.Load("builtin:pendulum,rows=2000"), null);
    private static readonly TransitionDataset Others = TransitionDataset.From(Dataset.Load("builtin:pendulum,rows=600,seed=9"), null);

    public void Dispose() => Directory.Delete(_folder, true);

    private string In(string name) => Path.Combine(_folder, name);

    private static RunConfig Config(string algorithm, int steps = 20, string environment = "Pendulum-v1") => new()
    {
        Algorithm = algorithm,
        Dataset = "data",
        Environment = environment,
        Steps = steps,
        Seed = 3,
        EvaluationEpisodes = 3,
        LogEvery = 5,
        CheckpointEvery = 10,
        EvaluateEvery = 10,
        Settings = Probe.Settings(algorithm, ("hidden_sizes", "[16,16]"), ("batch_size", "32")),
    };

    private static Dictionary<string, TrainingData> Data(TrainingData data, TrainingData? heldOut = null)
    {
        var all = new Dictionary<string, TrainingData> { [Draw.Offline] = data };
        if (heldOut is not null) all[Draw.HeldOut] = heldOut;
        return all;
    }

    private byte[] LastCheckpoint(string run) => File.ReadAllBytes(Checkpoint.Find(In(run), "last").Path);

    [Fact]
    public void Further_environments_have_columns_of_their_own_and_change_nothing_else()
    {
        var maze = TransitionDataset.From(Dataset.Load("builtin:maze2d-umaze,rows=2000"), ActionBounds.Unit(2));
        var config = Config("gcbc", environment: "maze2d-umaze-goals-v1");
        Probe.Train(config, Data(maze), In("plain"));
        Probe.Train(config with { EvaluateOn = ["far=maze2d-medium-goals-v1", "maze2d-open-goals-v1"] }, Data(maze), In("run"));
        Assert.Equal(LastCheckpoint("plain"), LastCheckpoint("run"));
        string[] plain = Probe.Metrics(In("plain")), run = Probe.Metrics(In("run"));
        Assert.EndsWith(",return_mean,return_standard_error,return_normalized,success_mean,success_standard_error", plain[0], StringComparison.Ordinal);
        Assert.Equal(plain, run.Select((l, i) => l[..(i % 2 == 1 ? plain[i].Length : l.Split(',')[..plain[0].Split(',').Length].Sum(c => c.Length + 1) - 1)]));
        foreach (string name in new[] { "far.", "maze2d-open-goals-v1." })
            Assert.Contains($",{name}return_mean,{name}return_standard_error,{name}return_normalized,{name}success_mean,{name}success_standard_error", run[0], StringComparison.Ordinal);
        Assert.Equal([true, false, true, false], Probe.Column(In("run"), "far.return_mean").Select(c => c.Length == 0));

        using var device = new CpuDevice();
        var (result, step) = Evaluator.Run(In("run"), "maze2d-medium-goals-v1", 3, 0, device);
        Assert.Equal(20, step);
        Assert.Equal(result.Mean, double.Parse(Probe.Column(In("run"), "far.return_mean")[^1]), 1e-6);
        Assert.Equal(result.Measures["success"].Average(), double.Parse(Probe.Column(In("run"), "far.success_mean")[^1]), 1e-6);

        Report.WriteFor(In("run"));
        string page = File.ReadAllText(Path.Combine(In("run"), Report.FileName));
        foreach (string chart in new[] { "success", "far.return", "far.success" }) Assert.Contains($"<b>{chart}</b>", page, StringComparison.Ordinal);
        Assert.DoesNotContain("standard_error", page, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("x=Pendulum-v2", "environment Pendulum-v2 is unknown")]
    [InlineData("CartPole-v1", "it has 4 observations and 2 discrete actions, the run's policy 3 observations")]
    [InlineData("a b=Pendulum-v0", "letters, digits")]
    [InlineData("heldout=Pendulum-v0", "already")]
    public void Wrong_evaluations_are_refused(string text, string expected)
    {
        using var device = new CpuDevice();
        Assert.Contains(expected, Assert.Throws<SettingsException>(() => new Trainer(Config("bc") with { EvaluateOn = [text] }, Pendulum, device, null)).Message, StringComparison.Ordinal);
    }

    /// <summary>Algorithms with draws of their own, periods, and buffers of moments.</summary>
    [Theory]
    [InlineData("bc")]
    [InlineData("td3-bc")]
    [InlineData("edac")]
    [InlineData("cql")]
    [InlineData("flow-bc")]
    public void Held_out_losses_change_no_byte_of_the_checkpoint(string algorithm)
    {
        Probe.Train(Config(algorithm), Data(Pendulum), In("plain"));
        Probe.Train(Config(algorithm), Data(Pendulum, Others), In("run"), threads: 2);
        Assert.Equal(LastCheckpoint("plain"), LastCheckpoint("run"));
        foreach (string name in File.ReadLines(Path.Combine(In("plain"), "metrics.csv")).First().Split(',').Where(c => c != "steps_per_second"))
            Assert.Equal(Probe.Column(In("plain"), name), Probe.Column(In("run"), name));
        var names = File.ReadLines(Path.Combine(In("run"), "metrics.csv")).First().Split(',');
        // Whatever the updates report, of all periods.
        string[] reported = names[3..Array.IndexOf(names, "return_mean")];
        Assert.NotEmpty(reported);
        Assert.Equal(reported.Order(StringComparer.Ordinal), names.Where(n => n.StartsWith("heldout.", StringComparison.Ordinal)).Select(n => n["heldout.".Length..]).Order(StringComparer.Ordinal));
        foreach (string name in reported) Assert.True(double.IsFinite(double.Parse(Probe.Column(In("run"), "heldout." + name)[^1])), name);
    }

    /// <summary>Of the whole catalogue: what draws from data alone has them, what fills a buffer says so.</summary>
    [Fact]
    public void Every_offline_algorithm_has_held_out_losses()
    {
        using var device = new CpuDevice();
        int computed = 0;
        foreach (var entry in AlgorithmCatalogue.All.Where(a => a.Defaults.GetType().Assembly == typeof(Algorithm).Assembly))
        {
            var (config, data) = SampleRuns.Of(entry.Name);
            if (data.Count == 0) continue; // there is nothing to hold out
            try
            {
                // The last stage may draw from what is seen online, of which nothing is held out.
                using var trainer = new Trainer(config with { HoldOut = 0.2, LogEvery = 1, EvaluateEvery = entry.Name == "expo" ? 5 : 0 }, data, device, null);
                TrainingReport? last = null;
                trainer.Run(report => last = report.HeldOut.Count > 0 || last is null ? report : last, CancellationToken.None);
                // Of the stage that runs: what earlier stages reported is kept among the metrics, and what duties count is no loss.
                bool one = trainer.Stages.Count(s => s.Stage.Update is not null) == 1;
                Assert.Equal(last!.Metrics.Keys.Except(trainer.Stages.SelectMany(s => s.Stage.Duties).SelectMany(d => d.Metrics)).Where(m => one || last.HeldOut.ContainsKey(m)).Order(StringComparer.Ordinal), last.HeldOut.Keys.Order(StringComparer.Ordinal));
                Assert.NotEmpty(last.HeldOut);
                Assert.All(last.HeldOut, h => Assert.True(double.IsFinite(h.Value), $"{entry.Name}: {h}"));
                computed++;
            }
            catch (SettingsException e) { Assert.Contains(Draw.Online, e.Message, StringComparison.Ordinal); }
        }
        Assert.True(computed >= 14, $"{computed} algorithms");
    }

    [Theory]
    [InlineData("bc", false)]
    [InlineData("bc", true)]
    [InlineData("td3-bc", true)]
    public void A_run_with_evaluations_is_resumed_exactly(string algorithm, bool split)
    {
        var config = Config(algorithm) with { HoldOut = split ? 0.2 : 0, EvaluateOn = ["other=Pendulum-v0"] };
        var data = Data(Pendulum, split ? null : Others);
        var whole = Probe.Train(config, data, In("whole"));
        Probe.Train(config, data, In("run"), stop: 10);
        whole.Same(Probe.Train(config, data, In("run"), resume: true, threads: 2));
        Assert.Equal(LastCheckpoint("whole"), LastCheckpoint("run"));
    }

    [Fact]
    public void A_held_out_loss_is_the_loss_by_hand()
    {
        // 597 transitions are 3 batches of 199: each counts once.
        Assert.Equal(3 * 199, Others.Count);
        var config = Config("bc") with { Settings = Probe.Settings("bc", ("hidden_sizes", "[16,16]"), ("batch_size", "199")) };
        Probe.Train(config, Data(Pendulum, Others), In("run"));
        using var policy = Policy.Load(In("run"));
        var actor = policy.Start(Others.Count);
        var actions = new float[Others.Count];
        actor.Act(Others.Observations, [], actions);
        double loss = actions.Zip(Others.Actions, (a, b) => ((double)a - b) * (a - b)).Average();
        Assert.Equal(loss, double.Parse(Probe.Column(In("run"), "heldout.actor_loss")[^1]), 1e-6);
    }

    [Fact]
    public void A_held_out_accuracy_is_the_accuracy_by_hand()
    {
        var data = TransitionDataset.From(Dataset.Load("builtin:cartpole,rows=1500"), null);
        var config = Config("discrete-bc", environment: "CartPole-v1") with { HoldOut = 0.25 };
        var (kept, heldOut) = data.Split(0.25, config.EvaluationSeed);
        config = config with { Settings = Probe.Settings("discrete-bc", ("hidden_sizes", "[16,16]"), ("batch_size", heldOut.Count.ToString())) };
        Probe.Train(config, Data(data), In("run"), check: trainer => Assert.Equal(kept.ObservationStatistics().Mean.Select(v => (float)v), trainer.State.Read("normalizer.mean")));
        using var policy = Policy.Load(In("run"));
        var actor = policy.Start(heldOut.Count);
        var actions = new float[heldOut.Count];
        actor.Act(heldOut.Observations, [], actions);
        Assert.Equal(actions.Zip(heldOut.Actions, (a, b) => a == b ? 1.0 : 0).Average(), double.Parse(Probe.Column(In("run"), "heldout.accuracy")[^1]), 1e-6);
        Assert.NotEqual(Probe.Column(In("run"), "accuracy")[^1], Probe.Column(In("run"), "heldout.accuracy")[^1]);
    }

    [Fact]
    public void Whole_trajectories_are_held_out()
    {
        var spaces = new Spaces(1, ActionBounds.Unit(1));
        const int rows = 100;
        // Trajectories of 1, 2, 3, ... transitions, and the last cut off; a row's observation is its number.
        int[] last = Enumerable.Range(1, 14).Select(n => n * (n + 1) / 2 - 1).ToArray();
        var columns = new Dictionary<string, Array> { ["observations"] = Enumerable.Range(0, rows).Select(i => (float)i).ToArray(), ["labels"] = Enumerable.Range(0, rows).ToArray() };
        var data = TransitionDataset.Of("recorded", spaces, DataTable.Of([BatchColumn.Recorded(spaces)[0], new("labels", Kernels.DType.I32, Kernels.Shape.Scalar)], name => columns[name], rows, null, i => i < rows - 1, i => !last.Contains(i)));
        var (kept, heldOut) = data.Split(0.3, 7);
        Assert.Equal(data.Table.Ends.Distinct().Count(), kept.Table.Ends.Distinct().Count() + heldOut.Table.Ends.Distinct().Count());
        Assert.Equal((int)Math.Round(0.3 * data.Table.Ends.Distinct().Count()), heldOut.Table.Ends.Distinct().Count());
        int Trajectory(float row) => last.Count(l => l < row);
        Assert.Empty(kept.Observations.Select(Trajectory).Intersect(heldOut.Observations.Select(Trajectory)));
        Assert.Equal(data.Observations, kept.Observations.Concat(heldOut.Observations).Order());
        foreach (var part in new[] { kept, heldOut })
        {
            Assert.All(part.Table.Transitions, at => Assert.Equal(part.Table.Row("observations", at)[0], ((int[])part.Table["labels"])[at]));
            for (int at = 0; at < part.Table.Rows; at++) Assert.True(part.Table.Ends[at] == at || part.Table.Ends[at] == part.Table.Ends[at + 1]);
        }
        Assert.Equal(data.NextObservations.Order(), kept.NextObservations.Concat(heldOut.NextObservations).Order());
        Assert.Equal(heldOut.Observations, data.Split(0.3, 7).HeldOut.Observations);
        Assert.NotEqual(heldOut.Observations, data.Split(0.3, 8).HeldOut.Observations);
    }

    [Fact]
    public void What_cannot_be_held_out_is_said()
    {
        using var device = new CpuDevice();
        string Message(RunConfig config, Dictionary<string, TrainingData> data) => Assert.ThrowsAny<Exception>(() => new Trainer(config, data, device, null)).Message;
        var online = Config("bc") with { Algorithm = "rlpd", HoldOut = 0.1, Steps = 10_000, Settings = Probe.Settings("rlpd", ("hidden_sizes", "[16,16]")) };
        Assert.Contains("each of its stages draws from", Message(online, Data(Pendulum)), StringComparison.Ordinal);
        Assert.Contains("take the place", Message(Config("bc"), new() { [Draw.HeldOut] = Others }), StringComparison.Ordinal);
        var bounded = TransitionDataset.From(Dataset.Load("builtin:pendulum,rows=600"), new ActionBounds([-3], [3]));
        Assert.Contains("name the environment", Message(Config("bc"), Data(Pendulum, bounded)), StringComparison.Ordinal);
        Assert.Contains("give one of both", Message(Config("bc") with { HoldOut = 0.1, Datasets = new Dictionary<string, string> { ["heldout"] = "x" } }, Data(Pendulum, Others)), StringComparison.Ordinal);
        Assert.Contains("0 to 0.99", Message(Config("bc") with { HoldOut = 1 }, Data(Pendulum)), StringComparison.Ordinal);
    }

    [Fact]
    public void Studies_have_columns_intervals_and_checks_of_every_evaluation()
    {
        string file = In("study.json"), runs = In("runs");
        string Text(string check) => $$"""
            { "dataset": "builtin:pendulum,rows=1000", "environment": "Pendulum-v1", "steps": 20, "evaluate_every": 10, "evaluation_episodes": 2, "evaluate_on": "other=Pendulum-v0", "hold_out": 0.2,
              "seeds": [0, 1], "checks": ["{{check}}"], "algorithms": { "bc-0.5": { "algorithm": "bc", "hidden_sizes": [8], "batch_size": 8, "actor_learning_rate": 0.01 }, "still": { "algorithm": "bc", "hidden_sizes": [8], "batch_size": 8, "actor_learning_rate": 1e-9 } } }
            """;
        File.WriteAllText(file, Text("bcc.other.return > still.other.return"));
        Assert.Contains("bcc.other.return is none of the algorithms bc-0.5, still", Assert.Throws<InteropFormatException>(() => Study.Read(file)).Message, StringComparison.Ordinal);
        // The loss of what does not learn is the larger one.
        File.WriteAllText(file, Text("still.heldout.actor_loss > bc-0.5.heldout.actor_loss"));
        var study = Study.Read(file);
        Assert.Equal(("still", "bc-0.5", "heldout.actor_loss"), (study.Checks[0].Better, study.Checks[0].Other, study.Checks[0].Measure));
        new StudyScheduler(study, runs).Run(1, _ => { }, CancellationToken.None);
        var table = new StudyTable(study, runs);
        Assert.Contains("| other.return [95%] | heldout.actor_loss [95%] |", table.ToMarkdown(), StringComparison.Ordinal);
        Assert.True(table.Holds, table.ToMarkdown());
        File.WriteAllText(file, Text("still.other.return > -100000"));
        Assert.True(new StudyTable(Study.Read(file), runs).Holds);
        Report.Write([runs], In("page.html"));
        Assert.Contains("<b>heldout.actor_loss</b>", File.ReadAllText(In("page.html")), StringComparison.Ordinal);
    }

    [Fact]
    public void Studies_train_every_algorithm_with_every_switch()
    {
        string file = In("switches.json"), runs = In("switched");
        File.WriteAllText(file, """
            { "dataset": "builtin:pendulum,rows=1000", "environment": "Pendulum-v1", "steps": 4, "evaluate_every": 4, "evaluation_episodes": 2, "seeds": [0, 1], "behaviour": "builtin:pendulum-expert,rows=1000",
              "fitted_q": { "hidden_sizes": [8], "steps": 10 }, "switches": { "wide": { "hidden_sizes": [12] }, "quick": { "actor_learning_rate": 0.01, "steps": 8, "evaluate_every": 8 } },
              "algorithms": { "a": { "algorithm": "bc", "hidden_sizes": [8], "batch_size": 8 }, "td3-bc": { "hidden_sizes": [8], "batch_size": 8 } } }
            """);
        var study = Study.Read(file);
        Assert.Equal(["a", "a+wide", "a+quick", "td3-bc", "td3-bc+wide", "td3-bc+quick"], study.Entries.Select(e => e.Label).Distinct());
        Assert.All(study.Entries, e => Assert.Equal((e.Label.EndsWith("+quick", StringComparison.Ordinal) ? 8 : 4, e.Label.EndsWith("+wide", StringComparison.Ordinal) ? 12 : 8), (e.Config.Steps, ((VectorSettings)e.Config.Settings).HiddenSizes[0])));
        new StudyScheduler(study, runs).Run(1, _ => { }, CancellationToken.None);
        string table = new StudyTable(study, runs).ToMarkdown();
        Assert.Contains("| switch | a | td3-bc | all [95%] |", table, StringComparison.Ordinal);
        Assert.Contains("| quick | ", table, StringComparison.Ordinal);
        Assert.Contains("Below it: a, a+wide, a+quick, td3-bc, td3-bc+wide, td3-bc+quick.", table, StringComparison.Ordinal);
        Assert.Contains("Selection by fitted Q among 12 runs", table, StringComparison.Ordinal);
    }
}
