using Engine.Algorithms.Batches;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Policies;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cpu;
using Engine.Nn;

namespace Engine.Algorithms.Tests;

/// <summary>Buffers that grow past their capacity, and the guard that goes back in them.</summary>
public sealed class LayerProbesBuffer
{
    static LayerProbesBuffer()
    {
        AlgorithmCatalogue.Register(AlgorithmEntry.Of<BadSettings>("probe-bad", "a loss that is not a number at one update", "none", (c, s) => new Bad(c, s)));
        EnvironmentCatalogue.Register(new EnvironmentEntry("ProbeCount-v0", copies => new Count(copies)));
    }

    [Fact]
    public void Programs_compiled_once_draw_the_newest_rows_of_a_ring_that_grows()
    {
        const int copies = 3, capacity = 30;
        using var device = new CpuDevice();
        using var state = new State(device);
        var spaces = new Spaces(2, ActionBounds.Unit(1));
        using var buffer = new ReplayBuffer("online", state, spaces, capacity, copies);
        var generator = RandomDraws.AddState(state, 1);
        using var draw = Program.Trace(state, g =>
        {
            g.Random.Use(generator);
            var at = buffer.Draw(g, "batch", 400, null);
            var read = new Transitions().Read(new DrawnRows(buffer, at, spaces, "batch"));
            foreach (string name in new[] { "observations", "rewards", "next_observations" }) g.Output(name, read(name));
            g.Random.Advance();
        });
        for (int step = 0; step < 40; step++)
        {
            float[] numbers = Enumerable.Range(step * copies, copies).Select(i => (float)i).ToArray();
            buffer.Append(step, numbers.SelectMany(n => new[] { n, -n }).ToArray(), new float[copies], numbers, new float[copies], numbers.SelectMany(n => new[] { n + 0.5f, 1 }).ToArray(), [step % 7 == 6, step % 5 == 4, false]);
            draw.Run();
            var drawn = draw.Read("rewards");
            int written = (step + 1) * copies, oldest = Math.Max(0, written - capacity);
            // 400 of at most 30 rows: each of them is drawn (chance of a miss below 1e-4 a step), and no other.
            Assert.Equal(Enumerable.Range(oldest, written - oldest).Select(i => (float)i), drawn.Distinct().Order());
            Assert.Equal(drawn.SelectMany(n => new[] { n, -n }), draw.Read("observations"));
            Assert.Equal(drawn.SelectMany(n => new[] { n + 0.5f, 1 }), draw.Read("next_observations"));
        }
    }

    [Fact]
    public void A_row_appended_to_a_million_leaves_the_others_untouched()
    {
        const int capacity = 1_000_000, size = 11;
        using var device = new CpuDevice(2);
        using var state = new State(device);
        using var buffer = new ReplayBuffer("online", state, new Spaces(size, ActionBounds.Unit(1)), capacity, 1);
        var filled = Probe.Numbers(capacity * size, "rows");
        state.Write("buffer.online.observations", filled);
        state.Write("buffer.online.written", [2 * capacity - 2]);
        for (int i = 0; i < 3; i++)
        {
            var row = Enumerable.Range(0, size).Select(k => 10f * (i + 1) + k).ToArray();
            buffer.Append(0, row, [1], [2], [0], row, [false]);
            row.CopyTo(filled, (capacity - 2 + i) % capacity * size);
        }
        Assert.True(filled.AsSpan().SequenceEqual(state.Read("buffer.online.observations")));
        Assert.Equal(2 * capacity + 1, state.ReadInts("buffer.online.written")[0]);
        Assert.Equal([0, 2, 2, 2], new[] { 1, 0, capacity - 2, capacity - 1 }.Select(r => (int)state.Read("buffer.online.rewards")[r]));
    }

    /// <summary>Episodes of all lengths, so that some end after the mark and make room before the way back.</summary>
    [Theory, InlineData(1), InlineData(3)]
    public void Going_back_and_forward_leaves_every_table_as_it_was(int copies)
    {
        const int capacity = 36;
        using var device = new CpuDevice();
        using var state = new State(device);
        using var buffer = new ReplayBuffer("online", state, new Spaces(2, ActionBounds.Unit(1)), capacity, copies);
        var random = new PhiloxStream(8, "rounds");
        byte[][] Tables(int rows) => state.Variables.Where(v => v.Type.Shape[0] == capacity).Select(v => state.ReadBytes(v.Name).AsSpan(0, (int)(v.Type.Bytes / capacity * rows)).ToArray()).ToArray();
        for (int round = 0, step = 0; round < 60; round++)
        {
            buffer.Mark();
            var (before, written, from, size) = (Tables(buffer.Size), state.ReadInts("buffer.online.written"), step, buffer.Size);
            for (int appends = random.NextInt(capacity / copies + 1); appends > 0; appends--)
            {
                float[] numbers = Enumerable.Range(0, copies).Select(i => step * 10f + i).ToArray();
                buffer.Append(step++, [.. numbers, .. numbers], numbers, numbers, numbers, [.. numbers, .. numbers], numbers.Select(_ => random.NextInt(9) == 0).ToArray());
            }
            var after = Tables(capacity);
            var count = buffer.Written;
            buffer.Rewind();
            Assert.Equal(before, Tables(size));
            state.Write("buffer.online.written", written);
            for (int again = from; again < step; again++) buffer.Replay(again);
            Assert.Equal(after, Tables(capacity));
            Assert.Equal(count, buffer.Written);
        }
    }

    /// <summary>
    /// The update that goes wrong reports the sum of what it drew, and of how far its windows reach; the guard's message, made by going back to the last line of metrics and forward again, must have the same number.
    /// </summary>
    [Theory]
    [InlineData(60, 7, 141)]
    [InlineData(60, 7, 150)]
    [InlineData(40, 9, 133)]
    [InlineData(500, 20, 77)]
    public void The_guard_finds_the_update_and_its_batch_after_the_ring_has_wrapped(int capacity, int logEvery, int bad)
    {
        RunConfig Config(int update) => new()
        {
            Algorithm = "probe-bad",
            Environment = "ProbeCount-v0",
            Steps = 200,
            Seed = 3,
            Copies = 2,
            EvaluationEpisodes = 1,
            EvaluateEvery = 0,
            LogEvery = logEvery,
            Settings = new BadSettings { BatchSize = 16, BufferCapacity = capacity, BadUpdate = update },
        };
        // What the update drew, of a run in which nothing goes wrong.
        float drawn = float.NaN;
        using (var device = new CpuDevice())
        using (var trainer = new Trainer(Config(-1) with { LogEvery = 1 }, new Dictionary<string, Data.TrainingData>(), device, null))
            trainer.Run(r => { if (r.Step == bad + 1) drawn = r.Metrics["drawn"]; }, CancellationToken.None);
        using var device2 = new CpuDevice();
        using var diverging = new Trainer(Config(bad), new Dictionary<string, Data.TrainingData>(), device2, null);
        var e = Assert.Throws<DivergedException>(() => diverging.Run(null, CancellationToken.None));
        Assert.Equal(bad, e.Step);
        Assert.Contains("bad_loss=NaN", e.Message, StringComparison.Ordinal);
        Assert.Contains("log", e.Message, StringComparison.Ordinal);
        Assert.True(float.IsFinite(drawn));
        Assert.Contains($"drawn={drawn:G4}", e.Message, StringComparison.Ordinal);
    }

    public sealed record BadSettings : AlgorithmSettings
    {
        public int BufferCapacity { get; init; } = 60;

        public int BadUpdate { get; init; }
    }

    private sealed class Bad : Algorithm
    {
        private readonly BadSettings _settings;
        private readonly LinearLayer _layer;
        private readonly AdamOptimiser _optimiser;
        private readonly Variable _updates;

        public Bad(AlgorithmContext context, BadSettings settings) : base(context, settings)
        {
            _settings = settings;
            _layer = new LinearLayer(Parameters["policy"], context.ObservationSize, context.ActionSize, Initialiser.UniformFanIn, Initialiser.UniformFanIn);
            _optimiser = new AdamOptimiser(context.State, "policy", _layer, settings.Adam(1e-3));
            _updates = context.State.AddZeros("updates", TensorType.Float([1]), VariableKind.State);
        }

        public override IReadOnlyList<Stage> Stages => [new("online", null, Update) { Draws = [new(new NStep(4, 1), Draw.Online)], Duties = [new Interact(Draw.Online, _settings.BufferCapacity)] }];

        protected override void Update(Batch b)
        {
            var update = b.Graph.Read(_updates);
            // Rows, their order and the lengths of their windows: watched, so that the guard names it. Small, so that four digits tell much.
            var order = b.Graph.Iota(TensorType.Float([_settings.BatchSize])) + 1;
            var drawn = (b.Rewards * order + b["steps"] * order.Square()).Modulo(8.125).Sum();
            Report("drawn", drawn);
            b.Graph.Watch(drawn);
            // The logarithm of a negative number at one update.
            var sign = (update - _settings.BadUpdate).Abs().Minimum(1).Reshape(Shape.Scalar) * 2 - 1;
            var loss = (sign + _layer.Apply(b.Observations).Square().Mean() * 1e-6).Log().Square();
            Report("bad_loss", loss);
            _optimiser.Minimise(loss);
            b.Graph.Assign(_updates, update + 1);
        }

        protected override Tensor Act(Acting a) => _layer.Apply(a.Observations).Tanh() + a.Normal("push", Context.ActionSize) * 0.3;
    }

    /// <summary>Counts up; the reward is the number, the action moves what is seen, and episodes have 9 steps.</summary>
    private sealed class Count(int copies) : StateEnvironment(copies, 2)
    {
        public override ActionSpace ActionSpace { get; } = ActionBounds.Unit(1);

        public override int MaxSteps => 9;

        protected override void Reset(Span<double> s, PhiloxStream random) => (s[0], s[1]) = (random.NextUniform(0, 4), 0);

        protected override (float Reward, bool Terminal) Step(Span<double> s, ReadOnlySpan<float> action)
        {
            s[0] += 0.37;
            s[1] = action[0];
            return ((float)s[0], s[0] > 5);
        }
    }
}
