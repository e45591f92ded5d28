using Engine.Algorithms.Batches;
using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Policies;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Interop.Safetensors;
using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Algorithms.Tests;

/// <summary>Several sources at once: half of a batch from data, half from a buffer that grows, and a table of another schema beside them; recorded batches with chunks and with several draws.</summary>
public sealed class LayerProbesSources : IDisposable
{
    private const int BatchSize = 16, OfflineRows = 50, HintRows = 12;

    private readonly string _folder = Directory.CreateTempSubdirectory("engine-probes").FullName;
    private static readonly Spaces Spaces = new(2, ActionBounds.Unit(1));

    static LayerProbesSources()
    {
        AlgorithmCatalogue.Register(AlgorithmEntry.Of<SourcesSettings>("probe-sources", "three sources", "none", (c, s) => new Mixed(c, s)));
        EnvironmentCatalogue.Register(new EnvironmentEntry("ProbeLine-v0", copies => new Line(copies)));
    }

    public void Dispose() => Directory.Delete(_folder, true);

    private static Dictionary<string, TrainingData> Data()
    {
        // Rows are numbered: -1, -2, ... of the data, 1000, 1001, ... of the hints, which have no rewards; every third of these has weight 0.
        var columns = new Dictionary<string, Array>
        {
            ["observations"] = Enumerable.Range(0, OfflineRows).SelectMany(i => new[] { -1f - i, 7 }).ToArray(),
            ["actions"] = new float[OfflineRows],
            ["rewards"] = Enumerable.Range(0, OfflineRows).Select(i => -1f - i).ToArray(),
            ["terminals"] = new float[OfflineRows],
        };
        var hints = new Dictionary<string, Array>
        {
            ["observations"] = Enumerable.Range(0, HintRows).SelectMany(i => new[] { 1000f + i, 7 }).ToArray(),
            ["weights"] = Enumerable.Range(0, HintRows).Select(i => i % 3 == 0 ? 0f : 1 + i).ToArray(),
            ["labels"] = Enumerable.Range(0, HintRows).Select(i => 100 * i).ToArray(),
        };
        return new()
        {
            ["offline"] = TransitionDataset.Of("recorded", Spaces, DataTable.Of(BatchColumn.Recorded(Spaces), name => columns[name], OfflineRows, null, _ => true, i => i % 10 != 9)),
            ["hints"] = TransitionDataset.Of("hints", Spaces, DataTable.Of([BatchColumn.Recorded(Spaces)[0], BatchColumn.Number("weights"), new("labels", DType.I32, Shape.Scalar)], name => hints[name], HintRows, null, _ => true, _ => false)),
        };
    }

    private static RunConfig Config(bool asksRewards = false) => new()
    {
        Algorithm = "probe-sources",
        Environment = "ProbeLine-v0",
        Datasets = new Dictionary<string, string> { ["offline"] = "recorded", ["hints"] = "hints" },
        Steps = 60,
        Seed = 3,
        Copies = 2,
        EvaluationEpisodes = 1,
        EvaluateEvery = 0,
        LogEvery = 1,
        Settings = new SourcesSettings { BatchSize = BatchSize, AsksRewards = asksRewards },
    };

    [Fact]
    public void Half_offline_half_online_and_hints_beside_them()
    {
        using var device = new CpuDevice(2);
        using var trainer = new Trainer(Config(), Data(), device, null);
        var (offline, online, hints) = (new HashSet<float>(), new HashSet<float>(), new HashSet<float>());
        trainer.Run(report =>
        {
            var (seen, rewards, next) = (trainer.State.Read("seen"), trainer.State.Read("seen.rewards"), trainer.State.Read("seen.next"));
            int written = 2 * report.Step;
            for (int row = 0; row < BatchSize; row++)
            {
                float number = seen[2 * row];
                Assert.Equal(rewards[row], number);
                if (row % 2 == 0)
                {
                    // The data's, every second row.
                    Assert.InRange(number, -OfflineRows, -1);
                    Assert.Equal((int)number % 10 == 0 ? number : number - 1, next[2 * row]);
                    offline.Add(number);
                }
                else
                {
                    // The buffer's: any of the newest 40 so far, no other.
                    Assert.InRange(number, Math.Max(0, written - 40), written - 1);
                    Assert.Equal(number + 0.5f, next[2 * row]);
                    online.Add(number);
                }
            }
            var (hinted, labels) = (trainer.State.Read("seen.hints"), trainer.State.ReadInts("seen.labels"));
            Assert.Equal(BatchSize / 4, labels.Length);
            for (int row = 0; row < labels.Length; row++)
            {
                Assert.Equal(100 * (int)(hinted[2 * row] - 1000), labels[row]);
                hints.Add(hinted[2 * row]);
            }
        }, CancellationToken.None);
        Assert.Equal((OfflineRows, HintRows - HintRows / 3), (offline.Count, hints.Count));
        Assert.DoesNotContain(1000f, hints);
        Assert.True(online.Count > 80, $"{online.Count} rows of the buffer");
    }

    [Fact]
    public void A_run_on_three_sources_is_resumed_exactly()
    {
        var whole = Probe.Train(Config(), Data(), Path.Combine(_folder, "whole"));
        Probe.Train(Config(), Data(), Path.Combine(_folder, "run"), stop: 31);
        whole.Same(Probe.Train(Config(), Data(), Path.Combine(_folder, "run"), resume: true, threads: 2));
    }

    [Fact]
    public void What_a_source_lacks_is_named()
    {
        using var device = new CpuDevice();
        var e = Assert.Throws<DatasetException>(() => new Trainer(Config(asksRewards: true), Data(), device, null));
        Assert.Equal("the batch hints has no column rewards; there are observations, weights, labels", e.Message);
        var data = Data();
        data.Remove("hints");
        Assert.Contains("--dataset hints=FILE", Assert.Throws<SettingsException>(() => new Trainer(Config(), data, device, null)).Message, StringComparison.Ordinal);
    }

    /// <summary>Chunks with their masks, and four draws by name: every recorded column arrives as it is, in float64 and on the device.</summary>
    [DataTheory]
    [InlineData("qc", "")]
    [InlineData("h2o", "real,sim,d_real,d_sim")]
    public void Recorded_columns_arrive_as_they_are(string name, string draws)
    {
        var file = SafetensorsFile.Read(SharedData.Path($"fixtures/{name}/batches.safetensors"));
        int updates = (int)file.Tensors[0].Shape[0], rows = (int)file.Tensors[0].Shape[1];
        using var device = new CpuDevice();
        using var state = new State(device);
        var spaces = new Spaces(11, ActionBounds.Unit(3));
        var columns = file.Tensors.Select(t => draws.Split(',').Where(d => d.Length > 0 && t.Name.StartsWith(d + "_", StringComparison.Ordinal)).Select(d => (Draw: d, Column: t.Name[(d.Length + 1)..])).FirstOrDefault(("", t.Name))).ToArray();
        var algorithm = new Sums(new AlgorithmContext(state, 0, spaces), new SourcesSettings { BatchSize = rows }, columns);
        var graph = new Graph();
        algorithm.TraceUpdate(algorithm.Stages[0], graph, new FedBatch(graph, algorithm.Stages[0], spaces, rows, "batch.").Read, 0);
        Assert.Equal(file.Tensors.Select(t => "batch." + t.Name).Order(StringComparer.Ordinal), graph.Inputs.Keys.Order(StringComparer.Ordinal));
        var exact = new Interpreter<double>(graph);
        using var program = new Program(graph, state);
        for (int update = 0; update < updates; update++)
        {
            double[] Part(SafetensorsTensor tensor) => tensor.ToDoubles().AsSpan(update * (int)(tensor.Shape.Aggregate(1L, (a, b) => a * b) / updates), (int)(tensor.Shape.Aggregate(1L, (a, b) => a * b) / updates)).ToArray();
            foreach (var tensor in file.Tensors)
            {
                Part(tensor).CopyTo(exact.Input("batch." + tensor.Name).Floats, 0);
                program.Write("batch." + tensor.Name, Array.ConvertAll(Part(tensor), v => (float)v));
            }
            exact.Run();
            program.Run();
            foreach (var tensor in file.Tensors)
            {
                double sum = Part(tensor).Select((v, i) => v * (1 + i)).Sum();
                Assert.Equal(sum, exact.Output(tensor.Name).Floats[0], 1e-9 * (1 + Math.Abs(sum)));
                Assert.Equal(sum, program.ReadScalar(tensor.Name), 1e-4 * (1 + Part(tensor).Select((v, i) => Math.Abs(v) * (1 + i)).Sum()));
            }
        }
    }

    public sealed record SourcesSettings : AlgorithmSettings
    {
        public bool AsksRewards { get; init; }
    }

    /// <summary>Keeps what it drew in variables.</summary>
    private sealed class Mixed : Algorithm
    {
        private readonly SourcesSettings _settings;
        private readonly Variable[] _seen;

        public Mixed(AlgorithmContext context, SourcesSettings settings) : base(context, settings)
        {
            _settings = settings;
            int rows = settings.BatchSize;
            _seen = [.. new (string Name, TensorType Type)[] { ("seen", TensorType.Float([rows, 2])), ("seen.rewards", TensorType.Float([rows])), ("seen.next", TensorType.Float([rows, 2])), ("seen.hints", TensorType.Float([rows / 4, 2])), ("seen.labels", TensorType.Int([rows / 4])) }.Select(v => context.State.AddZeros(v.Name, v.Type))];
        }

        public override IReadOnlyList<Stage> Stages =>
        [
            new("mixed", null, Update)
            {
                Draws = [new(new Transitions(), Share: 0.5), new(new Transitions(), Draw.Online, Share: 0.5), new(new Sequences(), "hints", "hints", 0.25, "weights")],
                Duties = [new Interact(Draw.Online, 40, mode: null)],
            },
        ];

        protected override void Update(Batch b)
        {
            var hints = b.Of("hints");
            foreach (var (variable, value) in _seen.Zip([b.Observations, b.Rewards, b.NextObservations, hints.Observations, hints["labels"]])) b.Graph.Assign(variable, value);
            if (_settings.AsksRewards) Report("asked", hints.Rewards.Sum());
        }

        protected override Tensor Act(Acting a) => a.Observations.Slice(-1, 0, 1) * 0;
    }

    private sealed class Sums(AlgorithmContext context, SourcesSettings settings, (string Draw, string Column)[] columns) : Algorithm(context, settings)
    {
        public override IReadOnlyList<Stage> Stages => [new("sums", null, Update) { Draws = columns.Select(c => c.Draw).Distinct().Select(d => d.Length == 0 ? new Draw(new Chunks(4)) : new Draw(new Transitions(), d, d)).ToArray() }];

        protected override void Update(Batch b)
        {
            foreach (var (draw, column) in columns)
            {
                var values = b.Of(draw)[column].Reshape(-1);
                Report(draw.Length == 0 ? column : $"{draw}_{column}", (values * (b.Graph.Iota(TensorType.Float(values.Shape)) + 1)).Sum());
            }
        }

        protected override Tensor Act(Acting a) => a.Observations;
    }

    /// <summary>Numbers its observations over all copies and episodes: 0, 1 in the first step of two copies, 2, 3 in the second. Seen after the step number n is n + 0.5.</summary>
    private sealed class Line(int copies) : IEnvironment
    {
        private readonly float[] _seen = new float[copies];
        private int _steps;

        public int Copies => copies;

        public int ObservationSize => 2;

        public ActionSpace ActionSpace { get; } = ActionBounds.Unit(1);

        public int MaxSteps => 1;

        public bool CanSave => true;

        public void Reset(int copy, PhiloxStream random) => _seen[copy] = _steps * copies + copy;

        public void Observe(Span<float> observations)
        {
            for (int i = 0; i < copies; i++) (observations[2 * i], observations[2 * i + 1]) = (_seen[i], 7);
        }

        public void Save(BinaryWriter to)
        {
            to.Write(_steps);
            foreach (float seen in _seen) to.Write(seen);
        }

        public void Load(BinaryReader from)
        {
            _steps = from.ReadInt32();
            for (int i = 0; i < copies; i++) _seen[i] = from.ReadSingle();
        }

        public void Step(ReadOnlySpan<float> actions, Span<float> rewards, Span<bool> terminals)
        {
            _steps++;
            for (int i = 0; i < copies; i++) (rewards[i], _seen[i]) = (_seen[i], _seen[i] + 0.5f);
        }
    }
}
