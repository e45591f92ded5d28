using System.Diagnostics;
using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Evaluation;
using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Training;

/// <summary>What a training run says as it goes.</summary>
/// <param name="Step">Updates done.</param>
/// <param name="StepsPerSecond">Since the last report.</param>
/// <param name="Metrics">Losses and metrics of the last update, by name.</param>
/// <param name="Evaluation">The evaluation made at this step, if one was.</param>
public sealed record TrainingReport(int Step, double StepsPerSecond, IReadOnlyDictionary<string, float> Metrics, EvaluationResult? Evaluation);

/// <summary>A loss became NaN or infinite.</summary>
public sealed class DivergedException(int step, string where) : Exception($"diverged at step {step}: {where}")
{
    /// <summary>The update, counted from 0.</summary>
    public int Step => step;
}

/// <summary>
/// Trains an algorithm on a dataset that lies on the device: one program an update, in which indices are drawn, the batch gathered and every network
/// moved; the host reads metrics at intervals, evaluates, and writes checkpoints.
/// </summary>
public sealed class Trainer : IDisposable
{
    private const string GuardName = "guard.step", MetricPrefix = "metrics.";

    private readonly RunConfig _config;
    private readonly TrainingData _dataset;
    private readonly RunFolder? _folder;
    private readonly State _state;
    private readonly Algorithm _algorithm;
    private readonly Program[] _phases;
    private readonly ResidentShards _shards;
    private readonly Policy? _policy;
    private readonly EnvironmentEntry? _environment;
    private readonly Dictionary<string, byte[]> _snapshot = [];
    private int _snapshotStep;

    /// <summary>Builds networks and programs.</summary>
    /// <param name="config">What to train.</param>
    /// <param name="dataset">On what.</param>
    /// <param name="device">Where. Its precision becomes the configuration's.</param>
    /// <param name="run">Folder for config.json, metrics.csv and checkpoints; null keeps nothing.</param>
    /// <param name="resume">Continue the newest checkpoint of that folder.</param>
    public Trainer(RunConfig config, TrainingData dataset, Device device, string? run, bool resume = false)
    {
        config.Validate();
        (_config, _dataset) = (config, dataset);
        _environment = config.Environment is { } id ? EnvironmentCatalogue.Find(id) : null;
        if (_environment?.Create(1) is { } probe && (probe.ObservationSize != dataset.ObservationSize || !Policy.Fits(probe.ActionSpace, dataset.ActionSpace)))
            throw new DatasetException($"{dataset.Source}: observations of {dataset.ObservationSize} and {dataset.ActionSpace}, environment {config.Environment} has {probe.ObservationSize} and {probe.ActionSpace}");

        device.Precision = config.Precision;
        _state = new State(device);
        var generator = RandomDraws.AddState(_state, config.Seed);
        _state.Add(GuardName, [1], new[] { -1 });
        _shards = new ResidentShards(dataset, _state, RewardTransform.Parse(config.Rewards), config.Seed, config.ShardUpdates);
        _algorithm = AlgorithmCatalogue.Find(config.Algorithm).Create(new AlgorithmContext(_state, config.Seed, dataset.ObservationSize, dataset.ActionSpace), config.Settings);
        if (_algorithm.Normalizes)
        {
            var (mean, std) = dataset.ObservationStatistics();
            _state.Write("normalizer.mean", Array.ConvertAll(mean, v => (float)v));
            _state.Write("normalizer.std", Array.ConvertAll(std, v => (float)(v + config.Settings.NormalizerEpsilon)));
        }
        foreach (string metric in _algorithm.Metrics) _state.Add(MetricPrefix + metric, [1], new[] { float.NaN }, VariableKind.State);
        _phases = Enumerable.Range(0, _algorithm.Phases).Select(phase => Program.Trace(_state, graph => TraceUpdate(graph, generator, phase))).ToArray();
        if (_environment is not null) _policy = new Policy(_algorithm, _state, dataset.ObservationSize, dataset.ActionSpace, config.EvaluationEpisodes);
        try
        {
            if (run is not null) _folder = new RunFolder(run, config, dataset, _algorithm.Metrics, resume);
            if (_folder?.ResumeFrom is { } checkpoint)
            {
                Checkpoint.Read(checkpoint.Path, _state);
                Step = checkpoint.Step;
            }
        }
        catch
        {
            Dispose();
            throw;
        }
        TakeSnapshot();
    }

    private void TraceUpdate(Graph graph, Variable generator, int phase)
    {
        graph.Random.Use(generator);
        var step = graph.Read(generator).Slice(0, 2, 1);
        var indices = _shards.Draw(graph, _config.Settings.BatchSize);
        Tensor Column(string name) => graph.Read(_state[ResidentShards.Prefix + name]).Gather(indices);
        _algorithm.TraceUpdate(new Batch(Column("observations"), Column("actions"), Column("rewards"), Column("next_observations"), Column("terminals")), phase);
        graph.Random.Advance();

        // x - x is 0 for every finite x and NaN otherwise: the first step with a bad loss stays in the guard.
        var guard = graph.Read(_state[GuardName]);
        var losses = graph.Outputs.Where(o => o.Key.EndsWith("_loss", StringComparison.Ordinal)).Select(o => o.Value.Reshape(Shape.Scalar)).Aggregate((a, b) => a + b);
        var bad = (losses - losses).NotEqualTo(graph.Constant(0));
        graph.Assign(_state[GuardName], Tensor.Select(bad & (guard < 0), step, guard));
        // Kept as variables: what one phase reports is still there after an update of another.
        foreach (string metric in _algorithm.Metrics)
            if (graph.Outputs.TryGetValue(metric, out var value)) graph.Assign(_state[MetricPrefix + metric], value.Reshape(1));
    }

    /// <summary>Runs updates from number <paramref name="from"/> to before <paramref name="to"/>, each the program of its phase.</summary>
    private void RunUpdates(int from, int to)
    {
        for (int step = from; step < to;)
        {
            int phase = _algorithm.PhaseOf(step), end = step + 1, swap = _shards.MakeResident(step);
            while (end < to && end < swap && _algorithm.PhaseOf(end) == phase) end++;
            _phases[phase].Run(end - step);
            step = end;
        }
    }

    /// <summary>Updates done so far.</summary>
    public int Step { get; private set; }

    /// <summary>The policy as it stands; null without an environment.</summary>
    public Policy? Policy => _policy;

    /// <summary>All variables.</summary>
    public State State => _state;

    /// <summary>The update's program for each of the algorithm's phases, for <c>Explain()</c>.</summary>
    public IReadOnlyList<Program> UpdatePrograms => _phases;

    /// <summary>Trains until the configured number of updates. When stopped early, a checkpoint of where it stands is written.</summary>
    /// <exception cref="DivergedException">A loss is NaN or infinite.</exception>
    /// <exception cref="OperationCanceledException">Stopped; the checkpoint has been written.</exception>
    /// <param name="report">Told of every line of metrics and every evaluation.</param>
    /// <param name="stop">Stops after at most 64 updates.</param>
    /// <param name="progress">Told of the updates done and their rate, between reports too.</param>
    public void Run(Action<TrainingReport>? report, CancellationToken stop, Action<int, double>? progress = null)
    {
        var clock = Stopwatch.StartNew();
        int reportedStep = Step;
        while (Step < _config.Steps)
        {
            if (stop.IsCancellationRequested)
            {
                Save();
                throw new OperationCanceledException(stop);
            }
            // Short enough that Ctrl+C is answered soon, cut at everything the host wants to do.
            int next = new[] { _config.Steps, Next(_config.LogEvery), Next(_config.CheckpointEvery), _config.EvaluateEvery > 0 ? Next(_config.EvaluateEvery) : int.MaxValue, Step + 64 }.Min();
            RunUpdates(Step, next);
            Step = next;
            progress?.Invoke(Step, (Step - reportedStep) / Math.Max(1e-9, clock.Elapsed.TotalSeconds));
            bool last = Step == _config.Steps, evaluate = _policy is not null && (last || (_config.EvaluateEvery > 0 && Step % _config.EvaluateEvery == 0));
            if (last || evaluate || Step % _config.LogEvery == 0)
            {
                CheckGuard();
                double rate = (Step - reportedStep) / Math.Max(1e-9, clock.Elapsed.TotalSeconds);
                var metrics = _algorithm.Metrics.ToDictionary(name => name, name => _state.Read(MetricPrefix + name)[0]);
                var result = evaluate ? Evaluator.Run(_environment!, _policy!.Act, _config.EvaluationEpisodes, _config.EvaluationSeed, _state.Device.Threads) : null;
                var line = new TrainingReport(Step, rate, metrics, result);
                _folder?.Append(line);
                if (result is not null) _folder?.SaveIfBest(Step, _state, new EvaluationSummary(result.Mean, result.NormalizedMean));
                report?.Invoke(line);
                TakeSnapshot();
                (reportedStep, clock) = (Step, Stopwatch.StartNew());
            }
            if (last || Step % _config.CheckpointEvery == 0) Save();
        }
    }

    private int Next(int interval) => (Step / interval + 1) * interval;

    // ---- NaN guard ----

    private void CheckGuard()
    {
        int bad = _state.ReadInts(GuardName)[0];
        if (bad < 0) return;
        // Back to the last good point, forward to the bad step, and that one node by node.
        foreach (var (name, bytes) in _snapshot) _state.WriteBytes(name, bytes);
        RunUpdates(_snapshotStep, bad);
        var source = _phases[_algorithm.PhaseOf(bad)].Source;
        var interpreter = new Interpreter<float>(source) { FindNonFinite = true };
        interpreter.Load(_state);
        interpreter.Run();
        var losses = source.Outputs.Keys.Where(m => m.EndsWith("_loss", StringComparison.Ordinal)).Select(m => $"{m}={interpreter.Output(m)[0]:G4}");
        throw new DivergedException(bad, $"{string.Join(", ", losses)}; first op with a non-finite result: {interpreter.FirstNonFinite ?? "none in the reference code"}");
    }

    private void TakeSnapshot()
    {
        foreach (var variable in _state.Variables)
            if (variable.Kind != VariableKind.Data) _snapshot[variable.Name] = _state.ReadBytes(variable.Name);
        _snapshotStep = Step;
    }

    /// <summary>Writes a checkpoint of the current step.</summary>
    public void Save()
    {
        _folder?.Save(Step, _state);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _policy?.Dispose();
        foreach (var program in _phases) program.Dispose();
        _state.Dispose();
        _folder?.Dispose();
    }
}
