using Engine.Algorithms.Batches;
using Engine.Algorithms.Data;
using Engine.Algorithms.Policies;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.Tests;

/// <summary>An algorithm of three stages with updates, periods and duties of their own, the second without a traced update: resumed at every step.</summary>
public sealed class LayerProbesStages : IDisposable
{
    private const int First = 6, Second = 5, Third = 9, All = First + Second + Third;

    private readonly string _folder = Directory.CreateTempSubdirectory("engine-probes").FullName;
    private static readonly Dictionary<string, TrainingData> Data = new() { ["offline"] = TrainingData.Load("builtin:pendulum,rows=2000", "Pendulum-v1") };

    static LayerProbesStages()
    {
        AlgorithmCatalogue.Register(AlgorithmEntry.Of<StagedSettings>("probe-stages", "three stages", "none", (c, s) => new Staged(c, s)));
        AlgorithmCatalogue.Register(AlgorithmEntry.Of<StagedSettings>("probe-silent", "three stages whose duties report nothing", "none", (c, s) => new Staged(c, s, silent: true)));
    }

    public void Dispose() => Directory.Delete(_folder, true);

    private string In(string name) => Path.Combine(_folder, name);

    private static RunConfig Config(string algorithm = "probe-stages") => new() { Algorithm = algorithm, Dataset = "builtin:pendulum,rows=2000", Settings = new StagedSettings { BatchSize = 8 }, Seed = 3, LogEvery = 1, CheckpointEvery = 4 };

    [Theory]
    [InlineData("probe-stages")]
    [InlineData("probe-silent")]
    public void Resumed_at_every_step_it_is_the_whole_run(string algorithm)
    {
        var whole = Probe.Train(Config(algorithm), Data, In("whole"));
        Assert.Equal(All, whole.Step);
        for (int stop = 1; stop < All; stop++)
        {
            Probe.Train(Config(algorithm), Data, In($"{stop}"), stop: stop);
            whole.Same(Probe.Train(Config(algorithm), Data, In($"{stop}"), resume: true));
        }
        // Stopped again and again.
        for (int stop = 1; stop < All; stop++) Probe.Train(Config(algorithm), Data, In("often"), resume: stop > 1, stop: stop);
        whole.Same(Probe.Train(Config(algorithm), Data, In("often"), resume: true));
    }

    [Fact]
    public void Metrics_begin_with_their_stage()
    {
        Probe.Train(Config(), Data, In("run"));
        string[] Stages(params (string Name, int Steps)[] stages) => stages.SelectMany(s => Enumerable.Repeat(s.Name, s.Steps)).ToArray();
        Assert.Equal(Stages(("fit", First), ("search", Second), ("tune", Third)), Probe.Column(In("run"), "stage"));
        // fit_loss from the first step on, score and pushes of the host from those of the second, tune_loss from the third; "rare" every third update of it.
        foreach (var (name, first) in new[] { ("fit_loss", 0), ("score", First), ("tune_loss", First + Second), ("rare", First + Second + 2) })
        {
            var cells = Probe.Column(In("run"), name);
            Assert.All(cells[..first], c => Assert.Equal("", c));
            Assert.All(cells[first..], c => Assert.NotEqual("", c));
        }
        Assert.Equal(["11", "14", "17"], Probe.Column(In("run"), "pushed_at").Skip(First + Second).Distinct());
    }

    [Fact]
    public void Periods_and_duties_fall_on_their_steps()
    {
        Probe.Train(Config(), Data, check: trainer =>
        {
            // Updates of the first and the third stage; every second of the first moves the offset.
            Assert.Equal((First + Third, First / 2, Third / 3), (trainer.State.ReadInts("adam.step.all")[0], trainer.State.ReadInts("adam.step.offset")[0], trainer.State.ReadInts("adam.step.gain")[0]));
        });
    }

    public sealed record StagedSettings : AlgorithmSettings;

    private sealed class Staged : Algorithm
    {
        private static readonly Period Second = Period.Last(2), Rare = Period.Last(3);
        private readonly LinearLayer _layer, _offset, _gain;
        private readonly AdamOptimiser _all, _offsets, _gains;
        private readonly bool _silent;

        public Staged(AlgorithmContext context, StagedSettings settings, bool silent = false) : base(context, settings)
        {
            _silent = silent;
            LinearLayer Layer(string name) => new(Parameters[name], context.ObservationSize, context.ActionSize, Initialiser.UniformFanIn, Initialiser.UniformFanIn);
            (_layer, _offset, _gain) = (Layer("policy"), Layer("offset"), Layer("gain"));
            _all = new AdamOptimiser(context.State, "all", _layer, settings.Adam(1e-2));
            _offsets = new AdamOptimiser(context.State, "offset", _offset, settings.Adam(1e-2));
            _gains = new AdamOptimiser(context.State, "gain", _gain, settings.Adam(1e-2));
        }

        public override IReadOnlyList<Stage> Stages =>
        [
            new("fit", First, Fit) { Periods = [Second] },
            new("search", LayerProbesStages.Second, null) { Duties = [new Search(_layer.Weight, _silent)] },
            new("tune", Third, Tune) { Periods = [Rare], Draws = [new(new NStep(3, 0.9))], Duties = [new Push(_layer.Bias, _silent)] },
        ];

        private void Fit(Batch b)
        {
            var loss = (_layer.Apply(b.Observations) - b.Actions).Square().Mean();
            Report("fit_loss", loss);
            _all.Minimise(loss);
            if (Due(Second)) _offsets.Minimise((_offset.Apply(b.Observations) - _layer.Apply(b.Observations)).Abs().Mean());
        }

        private void Tune(Batch b)
        {
            var loss = (_layer.Apply(b.NextObservations) - b.Rewards.Expand(-1) * 0.01).Square().Mean() + b.Graph.Random.Normal("noise", []).Square() * 0.1;
            Report("tune_loss", loss);
            _all.Minimise(loss);
            if (!Due(Rare)) return;
            var rare = (_gain.Apply(b.Observations) * b["discounts"].Expand(-1)).Square().Mean();
            Report("rare", rare);
            _gains.Minimise(rare);
        }

        protected override Tensor Act(Acting a) => _layer.Apply(a.Observations).Tanh();
    }

    /// <summary>The host's work: tries a change of the weights and keeps the better; what it knows is not in the variables.</summary>
    private sealed class Search(Variable weights, bool silent) : IDuty
    {
        private ulong _tries;
        private double _best = double.PositiveInfinity;

        public IReadOnlyList<string> Metrics => silent ? [] : ["score"];

        public int Next(int step) => Every.Next(step, 1);

        public void Do(Trainer run)
        {
            var stream = new Kernels.PhiloxStream(run.Config.Seed, $"try[{_tries++}]");
            var tried = Array.ConvertAll(run.State.Read(weights.Name), w => w + (float)stream.NextUniform(-0.5, 0.5));
            double score = tried.Sum(w => Math.Abs(w - 0.3)) + 0.1 * (_tries % 2);
            if (score < _best) run.State.Write(weights.Name, tried);
            _best = Math.Min(score, _best);
            if (!silent) run.Report("score", _best);
        }

        public void Save(BinaryWriter to)
        {
            to.Write(_tries);
            to.Write(_best);
        }

        public void Load(BinaryReader from) => (_tries, _best) = (from.ReadUInt64(), from.ReadDouble());
    }

    /// <summary>Adds what it has counted to a bias at every third step of its stage.</summary>
    private sealed class Push(Variable bias, bool silent) : IDuty
    {
        private int _pushes;

        public IReadOnlyList<string> Metrics => silent ? [] : ["pushed_at"];

        public int Next(int step) => Every.Next(step, 3);

        public void Do(Trainer run)
        {
            run.State.Write(bias.Name, Array.ConvertAll(run.State.Read(bias.Name), b => b + 0.01f * ++_pushes));
            if (!silent) run.Report("pushed_at", run.Step);
        }

        public void Save(BinaryWriter to) => to.Write(_pushes);

        public void Load(BinaryReader from) => _pushes = from.ReadInt32();
    }
}
