using Engine.Algorithms.Batches;
using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Evaluation;
using Engine.Algorithms.Policies;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Algorithms.Tests;

/// <summary>A policy that is told its task by rows with rewards: two prompts are two behaviours, the same in evaluations, interaction and sessions.</summary>
public sealed class PromptTests : IDisposable
{
    private const int Rows = 40, Steps = 6;

    private readonly string _folder = Directory.CreateTempSubdirectory("engine-prompts").FullName;
    private static readonly Spaces Plane = new(2, new ActionBounds([-2, -2], [2, 2]));
    private static readonly double[] Right = [1, 0], Up = [0, 0.5];

    static PromptTests()
    {
        AlgorithmCatalogue.Register(AlgorithmEntry.Of<LinearSettings>("probe-prompt", "successor features", "none", (c, s) => new LinearTasks(c, s)));
        EnvironmentCatalogue.Register(new EnvironmentEntry("ProbeRight-v0", copies => new Walk(copies, Right)));
        EnvironmentCatalogue.Register(new EnvironmentEntry("ProbeUp-v0", copies => new Walk(copies, Up)));
    }

    public void Dispose() => Directory.Delete(_folder, true);

    private string In(string name) => Path.Combine(_folder, name);

    /// <summary>Rows whose rewards are a task's.</summary>
    private static TransitionDataset Labelled(double[] task)
    {
        var seen = Probe.Numbers(2 * Rows, "prompt");
        var columns = new Dictionary<string, Array>
        {
            ["observations"] = seen,
            ["actions"] = new float[2 * Rows],
            ["rewards"] = Enumerable.Range(0, Rows).Select(i => (float)(seen[2 * i] * task[0] + seen[2 * i + 1] * task[1])).ToArray(),
            ["terminals"] = new float[Rows],
        };
        return TransitionDataset.Of("labelled", Plane, DataTable.Of(BatchColumn.Recorded(Plane), name => columns[name], Rows, null, _ => true, _ => true));
    }

    private static RunConfig Config(params string[] evaluateOn) => new()
    {
        Algorithm = "probe-prompt",
        Environment = "ProbeRight-v0",
        Steps = 12,
        Seed = 3,
        Copies = 2,
        EvaluationEpisodes = 4,
        EvaluateEvery = 6,
        LogEvery = 3,
        CheckpointEvery = 6,
        EvaluateOn = evaluateOn,
        Settings = new LinearSettings { BatchSize = 8 },
    };

    [Fact]
    public void Two_prompts_are_two_behaviours_and_sessions_act_as_evaluations_do()
    {
        using var device = new CpuDevice();
        using var trainer = new Trainer(Config(), new Dictionary<string, TrainingData>(), device, _folder);
        trainer.Run(null, CancellationToken.None);
        using var loaded = Policy.Load(_folder);
        foreach (int rows in new[] { 1, 64 })
        {
            using var session = trainer.Policy.CreateSession(rows);
            using var other = loaded.CreateSession(64, threads: 1);
            var returns = new List<(double Right, double Up)>();
            foreach (var rowsOfTask in new[] { Labelled(Right), Labelled(Up) })
            {
                var prompt = PromptRows.Of(rowsOfTask);
                trainer.Policy.Prompt(prompt);
                loaded.Prompt(prompt);
                session.Prompt(prompt);
                other.Prompt(prompt);
                double Return(string environment) => Evaluator.Run(EnvironmentCatalogue.Find(environment), new Compared(trainer.Policy.Start(rows), (ActionBounds)Plane.Action, session, other), seed: 1).Mean;
                returns.Add((Return("ProbeRight-v0"), Return("ProbeUp-v0")));
                Assert.Equal(returns[^1].Up, Evaluator.Run(EnvironmentCatalogue.Find("ProbeUp-v0"), loaded.Start(rows), seed: 1).Mean);
            }
            Assert.True(returns[0].Right > returns[1].Right + 1 && returns[1].Up > returns[0].Up + 1, string.Join(", ", returns));
        }
    }

    [Fact]
    public void Interaction_acts_as_the_prompt_says()
    {
        foreach (double[] task in new[] { Right, Up })
        {
            using var device = new CpuDevice();
            using var trainer = new Trainer(Config(), new Dictionary<string, TrainingData>(), device, null);
            var prompt = PromptRows.Of(Labelled(task));
            trainer.Policy.Prompt(prompt);
            trainer.Run(null, CancellationToken.None);
            var (seen, done) = (trainer.State.Read("buffer.online.observations"), trainer.State.Read("buffer.online.actions"));
            using var session = trainer.Policy.CreateSession(2);
            var actions = new float[4];
            for (int step = 0; step < trainer.Steps; step++)
            {
                session.Act(seen.AsSpan(step * 4, 4), actions);
                for (int i = 0; i < 4; i++) Assert.Equal(actions[i], ((ActionBounds)Plane.Action).FromUnit(i % 2, done[step * 4 + i]));
            }
            // Along the task: the other component is what is left of 0.01 observations.
            Assert.True(Math.Abs(done[0]) > 0.1 == (task == Right) && Math.Abs(done[1]) > 0.1 == (task == Up), $"{done[0]}, {done[1]}");
        }
    }

    [Fact]
    public void The_conditioning_is_the_regression_by_hand()
    {
        using var device = new CpuDevice();
        using var trainer = new Trainer(Config(), new Dictionary<string, TrainingData>(), device, null);
        // Rewards with a part that no task explains.
        var noise = Probe.Numbers(Rows, "noise");
        var data = Labelled([0.3, -0.7]);
        float[] rewards = data.Rewards.Zip(noise, (r, n) => r + n).ToArray();
        trainer.Policy.Prompt(new PromptRows(Rows, new Dictionary<string, float[]> { ["observations"] = data.Observations, ["rewards"] = rewards, ["unread"] = [] }));
        double[] features = trainer.State.Read("features").Select(f => (double)f).ToArray();
        double a = LinearTasks.Ridge, b = 0, d = LinearTasks.Ridge, p = 0, q = 0;
        for (int i = 0; i < Rows; i++)
        {
            double x = data.Observations[2 * i] * features[0], y = data.Observations[2 * i + 1] * features[1];
            (a, b, d, p, q) = (a + x * x, b + x * y, d + y * y, p + x * rewards[i], q + y * rewards[i]);
        }
        double determinant = a * d - b * b;
        float[] z = trainer.State.Read("task");
        Assert.Equal((d * p - b * q) / determinant, z[0], 1e-5);
        Assert.Equal((a * q - b * p) / determinant, z[1], 1e-5);
    }

    [Fact]
    public void Evaluations_by_task_prompt_the_policy_and_leave_training_alone()
    {
        var prompts = new Dictionary<string, TrainingData> { ["right"] = Labelled(Right), ["up"] = Labelled(Up) };
        var config = Config("right=ProbeRight-v0", "up=ProbeUp-v0", "unprompted=ProbeUp-v0");
        Probe.Train(Config(), null, In("plain"));
        var whole = Probe.Train(config, prompts, In("whole"));
        Assert.Equal(File.ReadAllBytes(Checkpoint.Find(In("plain"), "last").Path), File.ReadAllBytes(Checkpoint.Find(In("whole"), "last").Path));
        Probe.Train(config, prompts, In("run"), stop: 6);
        whole.Same(Probe.Train(config, prompts, In("run"), resume: true, threads: 2));
        using var policy = Policy.Load(In("whole"));
        foreach (var (name, environment) in new[] { ("right", "ProbeRight-v0"), ("up", "ProbeUp-v0") })
        {
            policy.Prompt(PromptRows.Of((TransitionDataset)prompts[name]));
            double mean = Evaluator.Run(EnvironmentCatalogue.Find(environment), policy.Start(4), 0).Mean;
            Assert.Equal(mean, double.Parse(Probe.Column(In("whole"), name + ".return_mean")[^1]), 1e-6);
            Assert.NotEqual(Probe.Column(In("whole"), "unprompted.return_mean")[^1], Probe.Column(In("whole"), name + ".return_mean")[^1]);
        }
    }

    [Fact]
    public void A_policy_folder_keeps_what_it_was_told()
    {
        Probe.Train(Config(), null, In("run"));
        using var policy = Policy.Load(In("run"));
        policy.Prompt(PromptRows.Of(Labelled(Up)));
        policy.Save(In("policy"));
        using var saved = Policy.Load(In("policy"));
        float[] seen = [0.3f, -0.2f];
        Assert.Equal(policy.Act(seen), saved.Act(seen));
        Assert.NotEqual(policy.Act(seen)[0], policy.Act(seen)[1]);
        using var session = saved.CreateSession();
        Assert.Contains("a prompt needs the run", Assert.Throws<SettingsException>(() => session.Prompt(PromptRows.Of(Labelled(Right)))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_prompt_is_read_from_a_file()
    {
        Probe.Train(Config(), null, In("run"));
        var data = Labelled(Up);
        string file = In("prompt.csv");
        File.WriteAllLines(file, [.. new[] { "observation_0,observation_1,action_0,action_1,reward,terminal" }, .. Enumerable.Range(0, Rows).Select(i => FormattableString.Invariant($"{data.Observations[2 * i]:R},{data.Observations[2 * i + 1]:R},0,0,{data.Rewards[i]:R},{(i == Rows - 1 ? 1 : 0)}"))]);
        using var device = new CpuDevice();
        var (told, _) = Evaluator.Run(In("run"), "ProbeUp-v0", 4, 0, device, prompt: file);
        var (untold, _) = Evaluator.Run(In("run"), "ProbeUp-v0", 4, 0, device);
        using var policy = Policy.Load(In("run"));
        policy.Prompt(PromptRows.Of(data));
        Assert.Equal(Evaluator.Run(EnvironmentCatalogue.Find("ProbeUp-v0"), policy.Start(4), 0).Mean, told.Mean, 1e-4);
        Assert.True(told.Mean > untold.Mean + 1);
    }

    [Fact]
    public void Of_a_large_dataset_rows_are_evenly_spread()
    {
        const int many = 25_000;
        var columns = new Dictionary<string, Array> { ["observations"] = Enumerable.Range(0, many).Select(i => (float)i).ToArray() };
        var spaces = new Spaces(1, ActionBounds.Unit(1));
        var rows = PromptRows.Of(TransitionDataset.Of("many", spaces, DataTable.Of([BatchColumn.Recorded(spaces)[0]], name => columns[name], many, null, _ => true, _ => true)));
        float[] seen = rows.Of(BatchColumn.Recorded(spaces)[0]);
        Assert.Equal((10_000, 10_000, 0, 24_997), (rows.Count, seen.Length, (int)seen[0], (int)seen[^1]));
        Assert.All(seen.Zip(seen.Skip(1)), p => Assert.InRange(p.Second - p.First, 2, 3));
        float[] next = rows.Of(new BatchColumn("next_observations", DType.F32, [1]));
        Assert.Equal(seen.Select(v => v + 1).Take(100), next.Take(100));
    }

    [Fact]
    public void What_is_wrong_with_a_prompt_is_said()
    {
        using var device = new CpuDevice();
        using var trainer = new Trainer(Config(), new Dictionary<string, TrainingData>(), device, null);
        using var session = trainer.Policy.CreateSession();
        Assert.Equal("the prompt has no column observations", Assert.Throws<SettingsException>(() => session.Prompt(PromptRows.Goal([1, 2]))).Message);
        var wrong = new PromptRows(3, new Dictionary<string, float[]> { ["observations"] = new float[6], ["rewards"] = new float[2] });
        Assert.Equal("the prompt's column rewards has 2 numbers, expected 3 rows of 1", Assert.Throws<SettingsException>(() => session.Prompt(wrong)).Message);
        using var other = new Trainer(SampleRuns.Of("bc").Config, SampleRuns.Of("bc").Data, device, null);
        Assert.Equal("the policy of Bc takes no prompt", Assert.Throws<SettingsException>(() => other.Policy.Prompt(PromptRows.Goal([1]))).Message);
        // One that no method takes is an error before the first update.
        var data = new Dictionary<string, TrainingData>(SampleRuns.Of("bc").Data);
        data["far"] = data[Draw.Offline];
        Assert.Contains("takes no prompt", Assert.Throws<SettingsException>(() => new Trainer(SampleRuns.Of("bc").Config with { EvaluateOn = ["far=Pendulum-v0"] }, data, device, null)).Message, StringComparison.Ordinal);
    }

    public sealed record LinearSettings : AlgorithmSettings;

    /// <summary>Rewards are linear in features of the observation; the policy walks along the task's weights.</summary>
    private sealed class LinearTasks : Algorithm
    {
        public const double Ridge = 1e-3;

        private readonly Variable _features, _task;

        public LinearTasks(AlgorithmContext context, LinearSettings settings) : base(context, settings)
        {
            // Read by the prompt alone.
            _features = context.State.Add("features", [2], new[] { 2f, 0.5f });
            _task = context.State.AddZeros("task", TensorType.Float([1, 2]));
        }

        public override IReadOnlyList<Stage> Stages => [new("collect", null, null) { Duties = [new Interact(Draw.Online, 64)] }];

        public override Prompt? Prompt => new(Infer);

        /// <summary>z = (X'X + ridge)^-1 X'r, of two features.</summary>
        private void Infer(Batch b)
        {
            var x = b.Observations * b.Graph.Read(_features);
            var (first, second) = (x.At(1, 0), x.At(1, 1));
            Tensor a = first.Square().Sum() + Ridge, mixed = (first * second).Sum(), d = second.Square().Sum() + Ridge, p = (first * b.Rewards).Sum(), q = (second * b.Rewards).Sum();
            var determinant = a * d - mixed * mixed;
            b.Graph.Assign(_task, Tensor.Concat(0, ((d * p - mixed * q) / determinant).Reshape(1), ((a * q - mixed * p) / determinant).Reshape(1)).Reshape(1, 2));
        }

        protected override Tensor Act(Acting a) => (a.Graph.Read(_task) - a.Observations * 0.01).Clip(-1, 1);
    }

    /// <summary>A point in the plane that actions move; the reward is linear in where it is.</summary>
    private sealed class Walk(int copies, double[] task) : StateEnvironment(copies, 2)
    {
        public override ActionSpace ActionSpace => Plane.Action;

        public override int MaxSteps => Steps;

        protected override void Reset(Span<double> s, PhiloxStream random) => Uniform(s, random, -1, 1);

        protected override (float Reward, bool Terminal) Step(Span<double> s, ReadOnlySpan<float> action)
        {
            (s[0], s[1]) = (s[0] + 0.5 * action[0], s[1] + 0.5 * action[1]);
            return ((float)(task[0] * s[0] + task[1] * s[1]), false);
        }
    }
}
