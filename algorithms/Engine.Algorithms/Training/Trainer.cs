using System.Diagnostics;
using System.Text;
using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Evaluation;
using Engine.Autodiff;
using Engine.Interop;
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
    private readonly string? _run;
    private readonly State _state;
    private readonly Algorithm _algorithm;
    private readonly Program[] _phases;
    private readonly ResidentShards _shards;
    private readonly Policy? _policy;
    private readonly EnvironmentEntry? _environment;
    private readonly Dictionary<string, byte[]> _snapshot = [];
    private FileStream? _lock;
    private int _snapshotStep;
    private string[] _rows = [];

    /// <summary>Builds networks and programs.</summary>
    /// <param name="config">What to train.</param>
    /// <param name="dataset">On what.</param>
    /// <param name="device">Where.</param>
    /// <param name="run">Folder for config.json, metrics.csv and checkpoints; null keeps nothing.</param>
    /// <param name="resume">Continue the newest checkpoint of that folder.</param>
    public Trainer(RunConfig config, TrainingData dataset, Device device, string? run, bool resume = false)
    {
        config.Validate();
        (_config, _dataset, _run) = (config, dataset, run);
        _environment = config.Environment is { } id ? EnvironmentCatalogue.Find(id) : null;
        if (_environment?.Create(1) is { } probe && (probe.ObservationSize != dataset.ObservationSize || !Policy.Fits(probe.ActionSpace, dataset.ActionSpace)))
            throw new DatasetException($"{dataset.Source}: observations of {dataset.ObservationSize} and {dataset.ActionSpace}, environment {config.Environment} has {probe.ObservationSize} and {probe.ActionSpace}");

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
        if (_environment is not null) _policy = new Policy(_algorithm, _state, dataset.ObservationSize, config.EvaluationEpisodes);
        try
        {
            if (run is not null) OpenFolder(run, resume);
        }
        catch
        {
            Dispose(); // the folder's lock above all
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
                var result = evaluate ? Evaluator.Run(_environment!, _policy!.Act, _config.EvaluationEpisodes, _config.EvaluationSeed, CancellationToken.None) : null;
                var line = new TrainingReport(Step, rate, metrics, result);
                Append(line);
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

    // ---- the run's folder ----

    private string MetricsPath => Path.Combine(_run!, "metrics.csv");

    private void OpenFolder(string run, bool resume)
    {
        Directory.CreateDirectory(run);
        try { _lock = new FileStream(Path.Combine(run, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose); }
        catch (IOException) { throw new SettingsException($"{run}: another process is training in this folder"); }
        AtomicFile.RemoveStale(run);
        if (Directory.Exists(Checkpoint.Folder(run))) AtomicFile.RemoveStale(Checkpoint.Folder(run));
        var newest = Checkpoint.List(run);
        if (!resume && (newest.Count > 0 || File.Exists(MetricsPath))) throw new SettingsException($"{run}: holds a run already; continue it with --resume {run}, or choose another --out");
        string header = "step,steps_per_second," + string.Join(",", _algorithm.Metrics) + ",return_mean,return_standard_error,return_normalized";
        if (resume)
        {
            if (newest.Count == 0) throw new InteropFormatException(Checkpoint.Folder(run), -1, "no checkpoint to resume from");
            var (_, fingerprint, _, _) = RunConfig.Read(run);
            if (fingerprint != _dataset.Fingerprint) throw new DatasetException($"{_dataset.Source}: the dataset has changed since the checkpoint (fingerprint {_dataset.Fingerprint[..12]}, the run's is {fingerprint[..Math.Min(12, fingerprint.Length)]})");
            Checkpoint.Read(newest[0].Path, _state);
            Step = newest[0].Step;
            // Lines after the checkpoint will be written again.
            if (File.Exists(MetricsPath)) _rows = File.ReadAllLines(MetricsPath).Skip(1).Where(l => int.TryParse(l.Split(',')[0], out int step) && step <= Step).ToArray();
        }
        AtomicFile.Write(Path.Combine(run, "config.json"), s => s.Write(Encoding.UTF8.GetBytes(_config.ToJson(_dataset.Fingerprint, _dataset.ActionSpace, _dataset.ObservationSize))));
        AtomicFile.Write(MetricsPath, s => s.Write(Encoding.UTF8.GetBytes(string.Join("\n", new[] { header }.Concat(_rows)) + "\n")));
    }

    private void Append(TrainingReport line)
    {
        if (_run is null) return;
        var cells = new List<string> { line.Step.ToString(), line.StepsPerSecond.ToString("F1") };
        cells.AddRange(_algorithm.Metrics.Select(m => line.Metrics[m].ToString("G9")));
        cells.AddRange(line.Evaluation is { } e ? [e.Mean.ToString("G9"), e.StandardError.ToString("G6"), e.NormalizedMean?.ToString("G6") ?? ""] : ["", "", ""]);
        File.AppendAllText(MetricsPath, string.Join(",", cells) + "\n");
    }

    /// <summary>Writes a checkpoint of the current step.</summary>
    public void Save()
    {
        if (_run is not null) Checkpoint.Write(_run, Step, _state);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _policy?.Dispose();
        foreach (var program in _phases) program.Dispose();
        _state.Dispose();
        _lock?.Dispose();
    }
}
