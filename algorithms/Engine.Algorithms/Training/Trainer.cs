using System.Diagnostics;
using Engine.Algorithms.Batches;
using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Training;

/// <summary>
/// Trains an algorithm: stage after stage, at each step one program in which rows are drawn, the batch gathered and every network moved. Between steps the host does its duties: those of the stage, evaluations, metrics, checkpoints.
/// </summary>
public sealed class Trainer : IDisposable
{
    private const int LongestSlice = 64; // steps until Ctrl+C is answered

    private readonly RunFolder? _folder;
    private readonly StagePrograms[] _stages;
    private readonly Timeline _timeline = null!;
    private readonly List<IDuty> _before = [], _after = [];
    private readonly RunSources _sources = null!;
    private readonly RunMetrics _metrics;
    private readonly RunEvaluations _evaluations = null!;
    private readonly NanGuard _guard;
    private readonly Variable _generator;
    private bool _evaluate; // with the next line of metrics
    private Action<TrainingReport>? _report;
    private Stopwatch _clock = Stopwatch.StartNew();
    private int _reportedStep;

    /// <summary>Trains on one dataset.</summary>
    /// <param name="config">What to train.</param>
    /// <param name="dataset">On what: the source "offline".</param>
    /// <param name="device">Where. Its precision becomes the configuration's.</param>
    /// <param name="run">Folder for config.json, metrics.csv and checkpoints; null keeps nothing.</param>
    /// <param name="resume">Continue the newest checkpoint of that folder.</param>
    public Trainer(RunConfig config, TrainingData dataset, Device device, string? run, bool resume = false)
        : this(config, new Dictionary<string, TrainingData> { [Draw.Offline] = dataset }, device, run, resume) { }

    /// <summary>Trains on several datasets, or none.</summary>
    /// <param name="config">What to train.</param>
    /// <param name="datasets">By the names of their sources.</param>
    /// <param name="device">Where. Its precision becomes the configuration's.</param>
    /// <param name="run">Folder for config.json, metrics.csv and checkpoints; null keeps nothing.</param>
    /// <param name="resume">Continue the newest checkpoint of that folder.</param>
    public Trainer(RunConfig config, IReadOnlyDictionary<string, TrainingData> datasets, Device device, string? run, bool resume = false)
    {
        config.Validate();
        (Config, Datasets) = (config, datasets);
        Environment = config.Environment is { } id ? EnvironmentCatalogue.Find(id) : null;
        Spaces = RunSpaces.Of(config, datasets, Environment);
        device.Precision = config.Precision;
        State = new State(device);
        _metrics = new RunMetrics(State);
        try
        {
            _generator = RandomDraws.AddState(State, config.Seed);
            _guard = new NanGuard(this);
            Algorithm = AlgorithmCatalogue.Find(config.Algorithm).Create(new AlgorithmContext(State, config.Seed, Spaces) { Copies = config.Copies }, config.Settings);
            var stages = Algorithm.Stages;
            _timeline = new Timeline(stages, config);
            _sources = new RunSources(this, stages);
            Normalise();
            foreach (var duty in stages.SelectMany(s => s.Duties))
            {
                duty.Prepare(this);
                _metrics.Add(duty);
            }
            _stages = stages.Select(stage => new StagePrograms(stage, due => Compile(stage, due))).ToArray();
            _sources.CheckActions();
            Policy = new Policy(Algorithm, State);
            _evaluations = new RunEvaluations(this, _stages, _sources);
            AddDuties();
            if (run is not null) _folder = new RunFolder(run, new RunInfo(config, datasets.ToDictionary(d => d.Key, d => d.Value.Fingerprint), Spaces), datasets, _metrics.Names, _evaluations.Columns, resume);
            if (_folder?.ResumeFrom is { } checkpoint) Resume(checkpoint.Path, checkpoint.Step);
            _guard.TakeSnapshot();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>What is trained.</summary>
    public RunConfig Config { get; }

    /// <summary>On what, by source.</summary>
    public IReadOnlyDictionary<string, TrainingData> Datasets { get; }

    /// <summary>What is evaluated on and interacted with; null without one.</summary>
    public EnvironmentEntry? Environment { get; }

    /// <summary>What is seen, done and asked for.</summary>
    public Spaces Spaces { get; }

    /// <summary>All variables.</summary>
    public State State { get; }

    /// <summary>The networks.</summary>
    public Algorithm Algorithm { get; } = null!;

    /// <summary>The policy as it stands.</summary>
    public Policy Policy { get; } = null!;

    /// <summary>Steps done so far.</summary>
    public int Step { get; private set; }

    /// <summary>Steps of all stages.</summary>
    public int Steps => _timeline.Steps;

    /// <summary>The stage of the next step; at the end the last.</summary>
    public Stage Stage => _stages[_timeline.At(Step)].Stage;

    /// <summary>The stages with their programs, for <c>Explain()</c>.</summary>
    public IReadOnlyList<StagePrograms> Stages => _stages;

    /// <summary>The programs of all updates.</summary>
    public IReadOnlyList<Program> UpdatePrograms => _stages.SelectMany(s => s.All).ToArray();

    /// <summary>The rows of a source.</summary>
    public Rows Source(string name) => _sources[name];

    /// <summary>The dataset of a source as it is trained on: without what is held out, with the trajectories that are chosen.</summary>
    public TrainingData Data(string source) => _sources.Data.TryGetValue(source, out var data) ? data : throw new SettingsException($"{Config.Algorithm} reads the dataset {source}, and there is none");

    /// <summary>What interacts with the environment and fills the buffer of a source; made when it is first asked for.</summary>
    /// <param name="source">Name of the source.</param>
    /// <param name="capacity">Rows of the buffer.</param>
    public Collector Collector(string source, int capacity) => _sources.Collector(source, capacity);

    /// <summary>Keeps a number for the next line of metrics: of a duty that names it among its <see cref="IDuty.Metrics"/>.</summary>
    public void Report(string name, double value) => _metrics.Report(name, value);

    private void Normalise()
    {
        if (!Algorithm.Normalizes || !State.Device.HoldsData) return;
        if (!_sources.Data.TryGetValue(Draw.Offline, out var data)) data = _sources.Data.Values.FirstOrDefault();
        if (data is null) throw new SettingsException("normalize_observations=true: statistics come from a dataset, and there is none; set it to false");
        var (mean, std) = data.ObservationStatistics();
        State.Write("normalizer.mean", Array.ConvertAll(mean, v => (float)v));
        State.Write("normalizer.std", Array.ConvertAll(std, v => (float)(v + ((VectorSettings)Config.Settings).NormalizerEpsilon)));
    }

    private Program Compile(Stage stage, uint due)
    {
        var graph = new Graph();
        graph.Random.Use(_generator);
        var batches = new DrawnBatches(graph, stage, Source, Spaces, Config.Settings.BatchSize);
        var update = graph.Read(_generator).Slice(0, 2, 1);
        Algorithm.TraceUpdate(stage, graph, batches.Read, due, batches.Drawn);
        graph.Random.Advance();
        _guard.Trace(graph, update);
        _metrics.Trace(graph);
        return new Program(graph, State);
    }

    private void AddDuties()
    {
        if (_sources.Sharded is { Count: > 0 } sharded) _before.Add(new SwapShards(sharded, Config.ShardUpdates));
        IDuty? evaluate = _evaluations.Any ? new Evaluate(Config, Steps) : null;
        if (evaluate is not null) _after.Add(evaluate);
        _after.Add(new Log(Config, Steps, evaluate));
        _after.Add(new SaveCheckpoint(Config, Steps));
    }

    /// <summary>Trains until the end. When stopped early, a checkpoint of where it stands is written.</summary>
    /// <exception cref="DivergedException">A loss is NaN or infinite.</exception>
    /// <exception cref="OperationCanceledException">Stopped; the checkpoint has been written.</exception>
    /// <param name="report">Told of every line of metrics and every evaluation.</param>
    /// <param name="stop">Stops after at most 64 steps.</param>
    /// <param name="progress">Told of the steps done and their rate, between reports too.</param>
    public void Run(Action<TrainingReport>? report, CancellationToken stop, Action<int, double>? progress = null)
    {
        (_report, _clock, _reportedStep) = (report, Stopwatch.StartNew(), Step);
        int reported = Step;
        while (Step < Steps)
        {
            if (stop.IsCancellationRequested)
            {
                Save();
                throw new OperationCanceledException(stop);
            }
            int i = _timeline.At(Step), begin = _timeline.Begin(i);
            var duties = _stages[i].Stage.Duties;
            int next = Math.Min(_timeline.Begin(i + 1), Step + LongestSlice);
            foreach (var duty in _before) next = Prepare(duty, 0, next);
            foreach (var duty in duties) next = Prepare(duty, begin, next);
            foreach (var duty in _after) next = Math.Min(next, duty.Next(Step));
            _stages[i].Run(Step - begin, next - begin);
            int previous = Step;
            Step = next;
            if (progress is not null && (Step - reported >= LongestSlice || Step == Steps)) progress(reported = Step, Rate());
            foreach (var duty in _after)
                if (duty.Next(previous) == Step) duty.Do(this);
        }

        int Prepare(IDuty duty, int begin, int next)
        {
            if (duty.Next(Step - begin - 1) == Step - begin) duty.Do(this);
            int due = duty.Next(Step - begin);
            return due == int.MaxValue ? next : Math.Min(next, begin + due);
        }
    }

    private double Rate() => (Step - _reportedStep) / Math.Max(1e-9, _clock.Elapsed.TotalSeconds);

    internal void Evaluate() => _evaluate = true; // Log, which is due whenever this is, makes the line

    internal void Log()
    {
        _guard.Check();
        double rate = Rate();
        var stage = _stages[_timeline.At(Step - 1)].Stage;
        var line = new TrainingReport(Step, stage.Name, rate, _metrics.Read(), _metrics.Losses, null);
        if (_evaluate) line = _evaluations.Into(line, stage);
        _evaluate = false;
        _folder?.Append(line);
        if (line.Evaluation is { } result) _folder?.SaveIfBest(Step, State, new EvaluationSummary(result.Mean, result.NormalizedMean));
        _report?.Invoke(line);
        _guard.TakeSnapshot();
        (_reportedStep, _clock) = (Step, Stopwatch.StartNew());
    }

    /// <summary>Writes a checkpoint of the current step.</summary>
    public void Save()
    {
        if (_folder is null) return;
        foreach (var collector in _sources.Collectors) collector.Buffer.SaveRows(_folder.Path);
        _folder.Save(Step, State, SaveHost);
        foreach (var collector in _sources.Collectors) collector.Buffer.RemoveRows(_folder.Path);
    }

    private void SaveHost(BinaryWriter to)
    {
        _metrics.Save(to);
        foreach (var collector in _sources.Collectors) collector.Save(to);
        foreach (var duty in _stages.SelectMany(s => s.Stage.Duties)) duty.Save(to);
    }

    private void Resume(string path, int step)
    {
        Checkpoint.Read(path, State);
        Step = step;
        _sources.MakeResident(step);
        foreach (var collector in _sources.Collectors) collector.Buffer.LoadRows(_folder!.Path);
        Checkpoint.ReadHost(path, from =>
        {
            _metrics.Load(from);
            foreach (var collector in _sources.Collectors) collector.Load(from);
            foreach (var duty in _stages.SelectMany(s => s.Stage.Duties)) duty.Load(from);
        });
    }

    // ---- for the guard ----

    /// <summary>Runs the steps from <paramref name="from"/> to update number <paramref name="update"/> again, with what was collected then, and returns the step and program of that update.</summary>
    internal (int Step, Program Program) Replay(int from, int update)
    {
        foreach (var collector in _sources.Collectors) collector.Buffer.Rewind();
        _sources.MakeResident(from);
        for (int step = from; ; step++)
        {
            int i = _timeline.At(step);
            foreach (var collector in _sources.Collectors) collector.Buffer.Replay(step);
            _sources.MakeResident(step);
            if (_stages[i].Stage.Update is null) continue;
            if (_timeline.UpdatesBefore(step) == update) return (step, _stages[i].At(step - _timeline.Begin(i)));
            _stages[i].Run(step - _timeline.Begin(i), step - _timeline.Begin(i) + 1);
        }
    }

    internal void MarkBuffers()
    {
        foreach (var collector in _sources.Collectors) collector.Buffer.Mark();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Policy?.Dispose();
        foreach (var stage in _stages ?? []) stage.Dispose();
        foreach (var duty in (_stages ?? []).SelectMany(s => s.Stage.Duties).Distinct().OfType<IDisposable>()) duty.Dispose();
        _evaluations?.Dispose();
        _sources?.Dispose();
        State.Dispose();
        _folder?.Dispose();
    }
}
