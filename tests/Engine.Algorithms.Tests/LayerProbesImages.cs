using Engine.Algorithms.Batches;
using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Policies;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cpu;
using Engine.Nn;

namespace Engine.Algorithms.Tests;

/// <summary>Images of bytes: from a table and from a buffer, moved at random in the traced update.</summary>
public sealed class LayerProbesImages : IDisposable
{
    private const int Size = 8, Pixels = Size * Size, Pad = 2, Rows = 40;

    private readonly string _folder = Directory.CreateTempSubdirectory("engine-probes").FullName;
    private static readonly Spaces Spaces = new(new ImageSpace(Size, Size, 1), ActionBounds.Unit(1));

    static LayerProbesImages()
    {
        AlgorithmCatalogue.Register(AlgorithmEntry.Of<ImageSettings>("probe-images", "images moved at random", "none", (c, s) => new Images(c, s)));
        EnvironmentCatalogue.Register(new EnvironmentEntry("ProbeImages-v0", copies => new Screen(copies)));
    }

    public void Dispose() => Directory.Delete(_folder, true);

    private static byte Pixel(int row, int at) => (byte)(row * 31 + at * 7 + row * at);

    private static Dictionary<string, TrainingData> Data()
    {
        var columns = new Dictionary<string, Array>
        {
            ["observations"] = Enumerable.Range(0, Rows * Pixels).Select(i => Pixel(i / Pixels, i % Pixels)).ToArray(),
            ["actions"] = Probe.Numbers(Rows, "actions"),
            ["rewards"] = Enumerable.Range(0, Rows).Select(i => (float)i).ToArray(),
            ["terminals"] = new float[Rows],
        };
        return new() { ["offline"] = TransitionDataset.Of("images", Spaces, DataTable.Of(BatchColumn.Recorded(Spaces), name => columns[name], Rows, null, i => i % 10 != 9, i => i % 10 != 9)) };
    }

    private static RunConfig Config(bool online) => new()
    {
        Algorithm = "probe-images",
        Datasets = online ? new Dictionary<string, string>() : new Dictionary<string, string> { ["offline"] = "images" },
        Environment = online ? "ProbeImages-v0" : null,
        Steps = 30,
        Seed = 3,
        LogEvery = 1,
        CheckpointEvery = 8,
        EvaluationEpisodes = 2,
        EvaluateEvery = 0,
        Copies = online ? 2 : 1,
        Settings = new ImageSettings { BatchSize = 12, Online = online },
    };

    [Theory, InlineData(false), InlineData(true)]
    public void Images_are_stored_as_bytes_and_moved_in_the_update(bool online)
    {
        using var device = new CpuDevice(2);
        using var trainer = new Trainer(Config(online), online ? [] : Data(), device, null);
        Assert.Equal(DType.U8, trainer.State[online ? "buffer.online.observations" : "data.offline.observations"].Type.DType);
        var shifts = new HashSet<(int, int)>();
        trainer.Run(_ =>
        {
            var (rows, offsets) = (trainer.State.Read("rows"), trainer.State.ReadInts("offsets"));
            byte[] seen = trainer.State.ReadBytes("seen"), moved = trainer.State.ReadBytes("moved"), next = trainer.State.ReadBytes("next");
            for (int row = 0; row < rows.Length; row++)
            {
                shifts.Add((offsets[2 * row], offsets[2 * row + 1]));
                for (int at = 0; at < Pixels; at++)
                {
                    Assert.Equal(Pixel((int)rows[row], at), seen[row * Pixels + at]);
                    Assert.Equal(Pixel((int)rows[row] + 1, at), next[row * Pixels + at]);
                    int y = Math.Clamp(at / Size + offsets[2 * row] - Pad, 0, Size - 1), x = Math.Clamp(at % Size + offsets[2 * row + 1] - Pad, 0, Size - 1);
                    Assert.Equal(seen[row * Pixels + y * Size + x], moved[row * Pixels + at]);
                }
            }
        }, CancellationToken.None);
        Assert.Equal((2 * Pad + 1) * (2 * Pad + 1), shifts.Count);
    }

    [Theory, InlineData(false), InlineData(true)]
    public void Runs_on_images_are_resumed_and_their_policies_loaded(bool online)
    {
        var data = online ? [] : Data();
        string run = Path.Combine(_folder, "run");
        var whole = Probe.Train(Config(online), data, Path.Combine(_folder, "whole"));
        Probe.Train(Config(online), data, run, stop: 13);
        var image = Enumerable.Range(0, Pixels).Select(at => (float)Pixel(3, at)).ToArray();
        float[] action = [];
        whole.Same(Probe.Train(Config(online), data, run, resume: true, threads: 2, check: t => action = t.Policy.Act(image)));
        using var policy = Policy.Load(run);
        Assert.Equal(Spaces.Observation, policy.Spaces.Observation);
        Assert.Equal(action, policy.Act(image));
    }

    public sealed record ImageSettings : AlgorithmSettings
    {
        public bool Online { get; init; }
    }

    private sealed class Images : Algorithm
    {
        private readonly ImageSettings _settings;
        private readonly Mlp _net;
        private readonly AdamOptimiser _optimiser;
        private readonly Variable _rows, _offsets, _seen, _moved, _next;

        public Images(AlgorithmContext context, ImageSettings settings) : base(context, settings)
        {
            _settings = settings;
            _net = new Mlp(Parameters["net"], context.ObservationSize, context.ActionSize, new MlpSettings { HiddenSizes = [16] });
            _optimiser = new AdamOptimiser(context.State, "net", _net, settings.Adam(1e-3));
            var bytes = TensorType.Byte([settings.BatchSize, .. context.Spaces.Observation.Shape]);
            Variable Kept(string name, TensorType type) => context.State.AddZeros(name, type);
            (_rows, _offsets, _seen, _moved, _next) = (Kept("rows", TensorType.Float([settings.BatchSize])), Kept("offsets", TensorType.Int([settings.BatchSize, 2])), Kept("seen", bytes), Kept("moved", bytes), Kept("next", bytes));
        }

        public override IReadOnlyList<Stage> Stages => _settings.Online
            ? [new("online", null, Update) { Draws = [new(new Transitions(), Draw.Online)], Duties = [new Interact(Draw.Online, 16)] }]
            : [new("offline", null, Update)];

        protected override void Update(Batch b)
        {
            var graph = b.Graph;
            var offsets = graph.Random.Integer("shift", [_settings.BatchSize, 2], graph.Constant(TensorType.Int(Shape.Scalar), 2 * Pad + 1));
            var moved = Augmentations.RandomShift(b.Observations, offsets, Pad);
            foreach (var (variable, value) in new[] { (_rows, b.Rewards), (_offsets, offsets), (_seen, b.Observations), (_moved, moved), (_next, b.NextObservations) }) graph.Assign(variable, value);
            var loss = (Policy(moved.Cast(DType.F32)) - b.Actions).Square().Mean();
            Report("loss", loss);
            _optimiser.Minimise(loss);
        }

        private Tensor Policy(Tensor images) => _net.Apply(images.Reshape(images.Shape[0], -1) * (1.0 / 255)).Tanh();

        protected override Tensor Act(Acting a) => Policy(a.Observations);
    }

    /// <summary>Shows image n of copy after copy, then n + 1; the reward is n.</summary>
    private sealed class Screen(int copies) : IEnvironment
    {
        private readonly int[] _shown = new int[copies];

        public int Copies => copies;

        public int ObservationSize => Pixels;

        public ActionSpace ActionSpace => LayerProbesImages.Spaces.Action;

        public Spaces Spaces => LayerProbesImages.Spaces;

        public int MaxSteps => 6;

        public bool CanSave => true;

        public void Reset(int copy, PhiloxStream random) => _shown[copy] = (int)(random.NextUniform(0, 1) * 50);

        public void Observe(Span<float> observations)
        {
            for (int i = 0; i < observations.Length; i++) observations[i] = Pixel(_shown[i / Pixels], i % Pixels);
        }

        public void Save(BinaryWriter to)
        {
            foreach (int shown in _shown) to.Write(shown);
        }

        public void Load(BinaryReader from)
        {
            for (int i = 0; i < copies; i++) _shown[i] = from.ReadInt32();
        }

        public void Step(ReadOnlySpan<float> actions, Span<float> rewards, Span<bool> terminals)
        {
            for (int i = 0; i < copies; i++) rewards[i] = _shown[i]++;
        }
    }
}
