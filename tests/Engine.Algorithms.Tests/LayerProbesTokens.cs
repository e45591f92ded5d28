using Engine.Algorithms.Batches;
using Engine.Algorithms.Data;
using Engine.Algorithms.Policies;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cpu;
using Engine.Nn;

namespace Engine.Algorithms.Tests;

/// <summary>A table of token sequences and a duty that decodes 16 tokens with a cache, verifies them on the host and hands them to the update.</summary>
public sealed class LayerProbesTokens : IDisposable
{
    private const int Length = 17, Vocabulary = 7, Width = 16, Sequences = 60, Decoded = 16, Prompts = 5;

    private readonly string _folder = Directory.CreateTempSubdirectory("engine-probes").FullName;
    private static readonly Spaces Spaces = new(new TokenSpace(Length, Vocabulary), new DiscreteActions(Vocabulary));

    static LayerProbesTokens() => AlgorithmCatalogue.Register(AlgorithmEntry.Of<TokenSettings>("probe-tokens", "counting, token by token", "none", (c, s) => new Counting(c, s), discrete: true));

    public void Dispose() => Directory.Delete(_folder, true);

    /// <summary>Sequences that count up, of several lengths, padded with 0 where the mask is 0.</summary>
    private static Dictionary<string, TrainingData> Data()
    {
        var (tokens, masks) = (new int[Sequences * Length], new float[Sequences * Length]);
        for (int i = 0; i < Sequences; i++)
        {
            int used = Length - i % 4;
            for (int t = 0; t < used; t++) (tokens[i * Length + t], masks[i * Length + t]) = (Right(i % Vocabulary, t), 1);
        }
        return new() { ["offline"] = TransitionDataset.Of("tokens", Spaces, DataTable.Of([new("observations", DType.I32, [Length]), new("mask", DType.F32, [Length])], name => name == "mask" ? masks : tokens, Sequences, null, _ => true, _ => false)) };
    }

    private static int Right(int first, int at) => (first + at) % Vocabulary;

    private static RunConfig Config(int steps) => new()
    {
        Algorithm = "probe-tokens",
        Dataset = "tokens",
        Steps = steps,
        Seed = 3,
        LogEvery = 10,
        CheckpointEvery = 50,
        Settings = new TokenSettings { BatchSize = 16 },
    };

    [Fact]
    public void A_duty_decodes_with_a_cache_and_verifies()
    {
        using var device = new CpuDevice(2);
        using var trainer = new Trainer(Config(300), Data(), device, null);
        Assert.Equal(DType.I32, trainer.State["data.offline.observations"].Type.DType);
        var verified = new List<float>();
        trainer.Run(r => verified.Add(r.Metrics["verified"]), CancellationToken.None);
        Assert.InRange(verified[0], 0, 0.7f);
        Assert.InRange(verified[^1], 0.9f, 1);
        Assert.True(float.IsFinite(trainer.State.Read("metrics.praise_loss")[0]));
        // The next token by the policy, which has no cache.
        var seen = Enumerable.Range(0, Length).Select(t => (float)Right(4, t)).ToArray();
        Assert.Equal(Right(4, Length), (int)trainer.Policy.Act(seen)[0]);
    }

    /// <summary>The tokens are those that a loop over whole sequences finds, in float64 and without a cache.</summary>
    [Fact]
    public void The_cache_changes_no_token()
    {
        using var device = new CpuDevice();
        using var trainer = new Trainer(Config(20), Data(), device, null);
        trainer.Run(null, CancellationToken.None);
        var duty = (Decode)trainer.Stages[0].Stage.Duties[0];
        duty.Do(trainer);
        var graph = new Graph();
        graph.Output("logits", ((Counting)trainer.Algorithm).Logits(graph.Input("tokens", TensorType.Int([Prompts, Length]))));
        var exact = new Interpreter<double>(graph);
        exact.Load(trainer.State);
        var tokens = exact.Input("tokens").Ints;
        for (int i = 0; i < Prompts; i++) tokens[i * Length] = i;
        for (int t = 0; t < Decoded; t++)
        {
            exact.Run();
            for (int i = 0; i < Prompts; i++)
            {
                var logits = exact.Output("logits").Floats.AsSpan((i * Length + t) * Vocabulary, Vocabulary).ToArray();
                tokens[i * Length + t + 1] = Array.IndexOf(logits, logits.Max());
            }
        }
        Assert.Equal(tokens, trainer.State.ReadInts("decode.tokens"));
    }

    [Fact]
    public void A_run_that_decodes_is_resumed_exactly()
    {
        var whole = Probe.Train(Config(100), Data(), Path.Combine(_folder, "whole"));
        Probe.Train(Config(100), Data(), Path.Combine(_folder, "run"), stop: 70);
        whole.Same(Probe.Train(Config(100), Data(), Path.Combine(_folder, "run"), resume: true, threads: 2));
    }

    public sealed record TokenSettings : AlgorithmSettings;

    /// <summary>A decoder of one layer and one head; it learns the table's tokens, and what it decoded itself as far as that was right.</summary>
    private sealed class Counting : Algorithm
    {
        private readonly Variable _tokens, _right;
        private readonly AdamOptimiser _optimiser;

        public Counting(AlgorithmContext context, TokenSettings settings) : base(context, settings)
        {
            LinearLayer Layer(string name, int inputs, int outputs) => new(Parameters[name], inputs, outputs, Initialiser.UniformFanIn, Initialiser.UniformFanIn);
            Variable Table(string name, int rows) => Parameters.Parameter(name, [rows, Width], Initialiser.Normal(0.3), Width, Width);
            (Embedding, Position) = (Table("token", Vocabulary), Table("position", Length));
            (Query, Key, Value, Out) = (Layer("query", Width, Width), Layer("key", Width, Width), Layer("value", Width, Width), Layer("out", 2 * Width, Vocabulary));
            _optimiser = new AdamOptimiser(context.State, "decoder", [Embedding, Position, .. new[] { Query, Key, Value, Out }.SelectMany(l => l.Parameters)], settings.Adam(1e-2));
            _tokens = context.State.AddZeros("decode.tokens", TensorType.Int([Prompts, Length]));
            _right = context.State.AddZeros("decode.right", TensorType.Float([Prompts, Length - 1]));
        }

        public Variable Embedding { get; }

        public Variable Position { get; }

        public LinearLayer Query { get; }

        public LinearLayer Key { get; }

        public LinearLayer Value { get; }

        public LinearLayer Out { get; }

        public override IReadOnlyList<Stage> Stages => [new("train", null, Update) { Draws = [new(new Sequences())], Duties = [new Decode(this)] }];

        protected override void Update(Batch b)
        {
            var loss = Loss(b.Observations, b["mask"].Slice(1, 1, Length - 1));
            Report("token_loss", loss);
            var praise = Loss(b.Graph.Read(_tokens), b.Graph.Read(_right));
            Report("praise_loss", praise);
            _optimiser.Minimise(loss + praise * 0.1);
        }

        /// <summary>Of sequences I32 [B, L] the mean of minus the selected log-probabilities of their tokens but the first, weighted [B, L - 1].</summary>
        private Tensor Loss(Tensor tokens, Tensor weights)
        {
            var selected = Logits(tokens).LogSoftmax().Slice(1, 0, Length - 1) * tokens.Slice(1, 1, Length - 1).OneHot(Vocabulary);
            return -(selected.Sum(2) * weights).Sum() / (weights.Sum() + 1e-6);
        }

        /// <summary>Logits of the token after each: I32 [B, L] to [B, L, V].</summary>
        public Tensor Logits(Tensor tokens)
        {
            var x = Embed(tokens, tokens.Graph.Iota(TensorType.Int([1, Length]), 1));
            var later = (tokens.Graph.Iota(TensorType.Int([Length, Length]), 1) > tokens.Graph.Iota(TensorType.Int([Length, Length]), 0)).Cast(DType.F32);
            var shares = (Query.Apply(x).MatMul(Key.Apply(x), transposeOther: true) * (1 / Math.Sqrt(Width)) - later.Expand(0) * 1e9).Softmax();
            return Out.Apply(Tensor.Concat(-1, shares.MatMul(Value.Apply(x)), x));
        }

        public Tensor Embed(Tensor tokens, Tensor at) => tokens.Graph.Read(Embedding).Gather(tokens) + tokens.Graph.Read(Position).Gather(at);

        protected override Tensor Act(Acting a) => Logits(a.Observations.Cast(DType.I32)).At(1, Length - 1).ArgMax(1).Cast(DType.F32).Reshape(a.Rows, 1);
    }

    /// <summary>Before every tenth update: decodes 16 tokens after each prompt with a program that keeps keys and values in variables, and looks at what came.</summary>
    private sealed class Decode(Counting model) : IDuty, IDisposable
    {
        private Program? _next;

        public IReadOnlyList<string> Metrics => ["verified"];

        public int Next(int step) => Every.Next(step, 10);

        public void Prepare(Trainer run)
        {
            var state = run.State;
            Variable keys = state.AddZeros("decode.keys", TensorType.Float([Prompts * Decoded, Width])), values = state.AddZeros("decode.values", TensorType.Float([Prompts * Decoded, Width])), at = state.AddZeros("decode.at", TensorType.Int([1]));
            var tokens = state["decode.tokens"];
            _next = state.Compile(graph =>
            {
                var (now, known) = (graph.Read(at), graph.Read(tokens).Reshape(-1));
                var row = graph.Iota(TensorType.Int([Prompts]));
                var x = model.Embed(known.Gather(row * Length + now), now);
                Tensor Cached(Variable cache, LinearLayer layer)
                {
                    graph.Assign(cache, graph.Read(cache).SetRows(row * Decoded + now, layer.Apply(x)));
                    return graph.Read(cache).Reshape(Prompts, Decoded, Width);
                }
                var later = (graph.Iota(TensorType.Int([1, Decoded]), 1) > now.Expand(0)).Cast(DType.F32);
                var shares = ((model.Query.Apply(x).Expand(1) * Cached(keys, model.Key)).Sum(2) * (1 / Math.Sqrt(Width)) - later * 1e9).Softmax();
                var logits = model.Out.Apply(Tensor.Concat(-1, (shares.Expand(2) * Cached(values, model.Value)).Sum(1), x));
                graph.Assign(tokens, known.SetRows(row * Length + now + 1, logits.ArgMax(1)).Reshape(Prompts, Length));
                graph.Assign(at, now + 1);
            });
        }

        public void Do(Trainer run)
        {
            var tokens = new int[Prompts * Length];
            for (int i = 0; i < Prompts; i++) tokens[i * Length] = i;
            run.State.Write("decode.tokens", tokens);
            run.State.Write("decode.at", [0]);
            _next!.Run(Decoded);
            tokens = run.State.ReadInts("decode.tokens");
            var right = new float[Prompts * Decoded];
            for (int i = 0; i < right.Length; i++) right[i] = tokens[i / Decoded * Length + i % Decoded + 1] == Right(i / Decoded, i % Decoded + 1) ? 1 : 0;
            run.State.Write("decode.right", right);
            run.Report("verified", right.Average());
        }

        public void Dispose() => _next?.Dispose();
    }
}
