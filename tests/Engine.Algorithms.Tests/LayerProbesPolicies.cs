using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Evaluation;
using Engine.Algorithms.Flow;
using Engine.Algorithms.Policies;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cpu;
using Engine.Nn;

namespace Engine.Algorithms.Tests;

/// <summary>Policies that remember, plan, draw, choose and follow gradients: the same actions in evaluations, while interacting and in sessions.</summary>
public sealed class LayerProbesPolicies : IDisposable
{
    public enum PolicyKind { Gru, Plan, Denoise, BestOf8, Guided }

    private readonly string _folder = Directory.CreateTempSubdirectory("engine-probes").FullName;

    static LayerProbesPolicies()
    {
        AlgorithmCatalogue.Register(AlgorithmEntry.Of<PolicySettings>("probe-policies", "policies of many kinds", "none", (c, s) => new Acts(c, s)));
        EnvironmentCatalogue.Register(new EnvironmentEntry("ProbeShort-v0", copies => new Short(copies)));
    }

    public void Dispose() => Directory.Delete(_folder, true);

    public static TheoryData<PolicyKind, int> KindsAndRows
    {
        get
        {
            var all = new TheoryData<PolicyKind, int>();
            foreach (var kind in Enum.GetValues<PolicyKind>())
                foreach (int rows in new[] { 1, 64 }) all.Add(kind, rows);
            return all;
        }
    }

    public static TheoryData<PolicyKind> Kinds => [.. Enum.GetValues<PolicyKind>()];

    private static RunConfig Config(PolicyKind kind, int copies) => new()
    {
        Algorithm = "probe-policies",
        Environment = "ProbeShort-v0",
        Steps = 13,
        Seed = 3,
        Copies = copies,
        EvaluationEpisodes = 2,
        EvaluateEvery = 0,
        Settings = new PolicySettings { Kind = kind },
    };

    private static Trainer Make(PolicyKind kind, int copies, Device device, string? folder = null) => new(Config(kind, copies), new Dictionary<string, TrainingData>(), device, folder);

    /// <summary>In evaluations, in a session of the policy, in one of its run folder and in one of its policy folder.</summary>
    [Theory, MemberData(nameof(KindsAndRows))]
    public void Evaluator_and_sessions_act_alike(PolicyKind kind, int rows)
    {
        using var device = new CpuDevice(2);
        using var trainer = Make(kind, rows, device, _folder);
        trainer.Run(null, CancellationToken.None);
        using var loaded = Policy.Load(_folder);
        using var session = trainer.Policy.CreateSession(rows, seed: 5);
        using var other = loaded.CreateSession(64, threads: 1, seed: 5);
        loaded.Save(Path.Combine(_folder, "policy"));
        using var stored = Policy.Load(Path.Combine(_folder, "policy"));
        using var third = stored.CreateSession(64, seed: 5);
        var both = new Compared(trainer.Policy.Start(rows, seed: 5), (ActionBounds)trainer.Spaces.Action, session, other, third);
        Evaluator.Run(EnvironmentCatalogue.Find("ProbeShort-v0"), both, seed: 1);
        Assert.True(both.Calls >= 5);
    }

    /// <summary>The buffer has what the policy did: played again from the observations it is the same.</summary>
    [Theory, MemberData(nameof(KindsAndRows))]
    public void Interaction_acts_alike(PolicyKind kind, int rows)
    {
        using var device = new CpuDevice(2);
        using var trainer = Make(kind, rows, device);
        trainer.Run(null, CancellationToken.None);
        var (seen, done) = (trainer.State.Read("buffer.online.observations"), trainer.State.Read("buffer.online.actions"));
        var actor = trainer.Policy.Start(rows, Mode.Sample, trainer.Config.Seed);
        var actions = new float[rows * 2];
        for (int step = 0; step < trainer.Steps; step++)
        {
            actor.Begin(Enumerable.Repeat(step % Short.Steps == 0, rows).ToArray());
            actor.Act(seen.AsSpan(step * rows * 3, rows * 3), [], actions);
            Assert.Equal(actions, done[(step * rows * 2)..((step + 1) * rows * 2)]);
        }
    }

    /// <summary>Products of other sizes may sum in another order, so that one row and the first of 64 agree to 1e-5 and not to the bit.</summary>
    [Theory, MemberData(nameof(Kinds))]
    public void A_row_does_not_depend_on_the_rows_beside_it(PolicyKind kind)
    {
        using var device = new CpuDevice();
        using var trainer = Make(kind, 1, device);
        var (one, many) = (trainer.Policy.Start(1, seed: 5), trainer.Policy.Start(64, seed: 5));
        var (first, all) = (new float[2], new float[128]);
        for (int step = 0; step < 7; step++)
        {
            var seen = Probe.Numbers(64 * 3, $"seen[{step}]");
            one.Act(seen.AsSpan(0, 3), [], first);
            many.Act(seen, [], all);
            for (int i = 0; i < 2; i++) Assert.Equal(first[i], all[i], 1e-5f);
        }
    }

    [Theory, MemberData(nameof(Kinds))]
    public void A_fresh_episode_forgets_and_others_go_on(PolicyKind kind)
    {
        const int rows = 4;
        using var device = new CpuDevice();
        using var trainer = Make(kind, 1, device);
        var (plain, begun) = (trainer.Policy.Start(rows, seed: 5), trainer.Policy.Start(rows, seed: 5));
        var (a, b) = (new float[rows * 2], new float[rows * 2]);
        for (int step = 0; step < 4; step++)
        {
            // Of the plans of 2 the second action follows in step 3.
            if (step == 3) begun.Begin([true, false, true, false]);
            var seen = Probe.Numbers(rows * 3, $"seen[{step}]");
            plain.Act(seen, [], a);
            begun.Act(seen, [], b);
        }
        bool remembers = kind is PolicyKind.Gru or PolicyKind.Plan;
        for (int row = 0; row < rows; row++) Assert.Equal(row % 2 == 1 || !remembers, a.AsSpan(row * 2, 2).SequenceEqual(b.AsSpan(row * 2, 2)));
        if (kind != PolicyKind.Gru) return;
        // All that it knew is gone: as at the first action of all.
        var (anew, c) = (trainer.Policy.Start(rows, seed: 9), new float[rows * 2]);
        anew.Act(Probe.Numbers(rows * 3, "seen[3]"), [], c);
        Assert.Equal(c[..2], b[..2]);
    }

    [Theory, MemberData(nameof(Kinds))]
    public void A_saved_actor_goes_on(PolicyKind kind)
    {
        const int rows = 3;
        using var device = new CpuDevice();
        using var trainer = Make(kind, 1, device);
        for (int saved = 1; saved < 5; saved++)
        {
            var (actor, other) = (trainer.Policy.Start(rows, seed: 5), trainer.Policy.Start(rows, seed: 5));
            var (a, b) = (new float[rows * 2], new float[rows * 2]);
            for (int step = 0; step < 9; step++)
            {
                var seen = Probe.Numbers(rows * 3, $"seen[{step}]");
                if (step == 2) actor.Begin([false, true, false]);
                if (step == 2 && saved <= 2) other.Begin([false, true, false]);
                actor.Act(seen, [], a);
                if (step > saved)
                {
                    other.Act(seen, [], b);
                    Assert.Equal(a, b);
                }
                if (step != saved) continue;
                var bytes = new MemoryStream();
                actor.Save(new BinaryWriter(bytes));
                bytes.Position = 0;
                other.Load(new BinaryReader(bytes));
                Assert.Equal(bytes.Length, bytes.Position);
            }
        }
    }

    [Theory, MemberData(nameof(KindsAndRows))]
    public void A_session_that_is_warm_allocates_nothing(PolicyKind kind, int rows)
    {
        using var device = new CpuDevice();
        using var trainer = Make(kind, 1, device);
        using var session = trainer.Policy.CreateSession(rows);
        var (seen, actions) = (Probe.Numbers(rows * 3, "seen"), new float[rows * 2]);
        void Episode()
        {
            session.Begin(rows);
            for (int step = 0; step < 10; step++) session.Act(seen, actions);
        }
        for (int i = 0; i < 5; i++) Episode();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 20; i++) Episode();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    public sealed record PolicySettings : AlgorithmSettings
    {
        public PolicyKind Kind { get; init; }
    }

    /// <summary>Acts in one of many ways and learns nothing: its only stage fills a buffer.</summary>
    private sealed class Acts : Algorithm
    {
        private const int Memory = 8, Candidates = 8;
        private readonly PolicyKind _kind;
        private readonly Mlp _net, _critic;
        private readonly LinearLayer _gates, _candidate;
        private readonly FlowBc? _flow;

        public Acts(AlgorithmContext context, PolicySettings settings) : base(context, settings)
        {
            int s = context.ObservationSize, a = context.ActionSize;
            _kind = settings.Kind;
            var network = new MlpSettings { HiddenSizes = [16] };
            LinearLayer Layer(string name, int inputs, int outputs) => new(Parameters[name], inputs, outputs, Initialiser.Uniform(1), Initialiser.UniformFanIn);
            (_gates, _candidate) = (Layer("gates", s + Memory, 2 * Memory), Layer("candidate", s + Memory, Memory));
            _net = new Mlp(Parameters["net"], _kind switch { PolicyKind.Gru => Memory, PolicyKind.Denoise => s + a + 1, _ => s }, a, network);
            _critic = new Mlp(Parameters["critic"], s + a, 1, network);
            if (_kind == PolicyKind.Plan) _flow = new FlowBc(context, new FlowBcSettings { HiddenSizes = [16, 16], FlowSteps = 3, Chunk = 4, Execute = 2 });
        }

        public override IReadOnlyList<Stage> Stages => [new("collect", null, null) { Duties = [new Interact(Draw.Online, 1024)] }];

        public override (int Planned, int Executed) ActionHorizon => _flow?.ActionHorizon ?? (1, 1);

        protected override Tensor Act(Acting a) => _kind switch
        {
            PolicyKind.Gru => Gru(a),
            PolicyKind.Plan => _flow!.TracePolicy(a),
            PolicyKind.Denoise => Denoise(a),
            PolicyKind.BestOf8 => BestOf8(a),
            _ => Guided(a),
        };

        private Tensor Gru(Acting a)
        {
            var memory = a.Memory("gru", [Memory]);
            var gates = _gates.Apply(Tensor.Concat(-1, a.Observations, memory)).Sigmoid();
            var (reset, keep) = (gates.Slice(-1, 0, Memory), gates.Slice(-1, Memory, Memory));
            var candidate = _candidate.Apply(Tensor.Concat(-1, a.Observations, reset * memory)).Tanh();
            var next = keep * memory + (1 - keep) * candidate;
            a.Remember("gru", next);
            return _net.Apply(next).Tanh();
        }

        private Tensor Denoise(Acting a)
        {
            int size = Context.ActionSize;
            var x = a.Normal("start", size);
            for (int step = 5; step > 0; step--)
            {
                var time = a.Graph.Constant(TensorType.Float([a.Rows, 1]), step / 5.0);
                x = (x - 0.3 * _net.Apply(Tensor.Concat(-1, a.Observations, x, time))) * 0.9;
                if (step > 1) x += a.Normal($"step{step}", size) * (0.1 * step);
            }
            return x.Clip(-1, 1);
        }

        private Tensor BestOf8(Acting a)
        {
            int size = Context.ActionSize;
            var proposals = (_net.Apply(a.Observations).Expand(1) + a.Normal("proposals", Candidates, size)).Tanh();
            var values = Value(a.Observations.Expand(1).BroadcastTo([a.Rows, Candidates, Context.ObservationSize]), proposals);
            return (proposals * values.ArgMax(1).OneHot(Candidates).Expand(-1)).Sum(1);
        }

        private Tensor Guided(Acting a)
        {
            var action = _net.Apply(a.Observations).Tanh();
            for (int step = 0; step < 3; step++) action = (action + Gradients.Of(Value(a.Observations, action).Sum(), action)[0] * 0.5).Clip(-1, 1);
            return action;
        }

        private Tensor Value(Tensor observations, Tensor actions) => _critic.Apply(Tensor.Concat(-1, observations, actions)).Squeeze(-1);
    }

    /// <summary>Three numbers that two actions move; five steps.</summary>
    private sealed class Short(int copies) : StateEnvironment(copies, 3)
    {
        public const int Steps = 5;

        public override ActionSpace ActionSpace { get; } = new ActionBounds([-2, 0], [2, 3]);

        public override int MaxSteps => Steps;

        protected override void Reset(Span<double> s, PhiloxStream random) => Uniform(s, random, -1, 1);

        protected override (float Reward, bool Terminal) Step(Span<double> s, ReadOnlySpan<float> action)
        {
            (s[0], s[1], s[2]) = (0.9 * s[0] + 0.2 * action[0], 0.9 * s[1] + 0.1 * action[1], -s[2]);
            return ((float)s[0], false);
        }
    }
}
