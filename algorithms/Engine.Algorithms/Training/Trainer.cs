using System.Diagnostics;
using Engine.Algorithms.Batches;
using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Evaluation;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Training;

/// <summary>What a training run says as it goes.</summary>
/// <param name="Step">Steps done.</param>
/// <param name="Stage">Name of the stage the last of them belongs to.</param>
/// <param name="StepsPerSecond">Since the last report.</param>
/// <param name="Metrics">Losses and metrics of the last update, by name; NaN: not computed yet.</param>
/// <param name="Losses">Names of those that are minimised.</param>
/// <param name="Evaluation">The evaluation made at this step, if one was.</param>
public sealed record TrainingReport(int Step, string Stage, double StepsPerSecond, IReadOnlyDictionary<string, float> Metrics, IReadOnlyList<string> Losses, EvaluationResult? Evaluation);

/// <summary>
/// Trains an algorithm: stage after stage, at each step one program in which rows are drawn, the batch gathered and every network moved. Between steps the host does its duties: those of the stage, evaluations, metrics, checkpoints.
/// </summary>
public sealed class Trainer : IDisposable
{
    private const int LongestSlice = 64; // steps until Ctrl+C is answered
    private const string MetricPrefix = "metrics.";

    private readonly RunFolder? _folder;
    private readonly StagePrograms[] _stages;
    private readonly int[] _begins; // the step at which each stage begins, and the end
    private readonly List<IDuty> _before = [], _after = [];
    private readonly SortedDictionary<string, Rows> _sources = [];
    private readonly Dictionary<string, Collector> _collectors = [];
    private readonly List<string> _metrics = [], _losses = [], _hostMetrics = [];
    private readonly Dictionary<string, float> _reported = [];
    private readonly NanGuard _guard;
    private readonly Variable _generator;
    private EvaluationResult? _evaluation;
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
        try
        {
            _generator = RandomDraws.AddState(State, config.Seed);
            _guard = new NanGuard(this);
            Algorithm = AlgorithmCatalogue.Find(config.Algorithm).Create(new AlgorithmContext(State, config.Seed, Spaces) { Copies = config.Copies }, config.Settings);
            var stages = Algorithm.Stages;
            _begins = Lengths(stages, config);
            Normalise();
            OpenSources(stages);
            foreach (var duty in stages.SelectMany(s => s.Duties))
            {
                duty.Prepare(this);
                _hostMetrics.AddRange(duty.Metrics.Except(_hostMetrics));
            }
            _stages = stages.Select(stage => new StagePrograms(stage, due => Compile(stage, due))).ToArray();
            Policy = new Policy(Algorithm, State);
            AddDuties();
            if (run is not null) _folder = new RunFolder(run, new RunInfo(config, datasets.ToDictionary(d => d.Key, d => d.Value.Fingerprint), Spaces), datasets, [.. _metrics, .. _hostMetrics], Environment is null ? [] : Measures, resume);
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
    public int Steps => _begins[^1];

    /// <summary>The stage of the next step; at the end the last.</summary>
    public Stage Stage => _stages[StageAt(Step)].Stage;

    /// <summary>The stages with their programs, for <c>Explain()</c>.</summary>
    public IReadOnlyList<StagePrograms> Stages => _stages;

    /// <summary>The programs of all updates.</summary>
    public IReadOnlyList<Program> UpdatePrograms => _stages.SelectMany(s => s.All).ToArray();

    /// <summary>The rows of a source.</summary>
    public Rows Source(string name) => _sources.TryGetValue(name, out var rows) ? rows
        : throw new SettingsException($"{Config.Algorithm} draws from the source {name}: {(name == Draw.Offline ? "--dataset FILE" : $"--dataset {name}=FILE")} is missing");

    /// <summary>What interacts with the environment and fills the buffer of a source; made when it is first asked for.</summary>
    /// <param name="source">Name of the source.</param>
    /// <param name="capacity">Rows of the buffer.</param>
    public Collector Collector(string source, int capacity)
    {
        if (_collectors.TryGetValue(source, out var known)) return known;
        var environment = Environment ?? throw new SettingsException($"{Config.Algorithm} interacts with an environment: name one with --env");
        if (_sources.ContainsKey(source)) throw new SettingsException($"{source} is a dataset and cannot be a buffer: give the dataset another name, --dataset NAME=FILE");
        var buffer = new ReplayBuffer(source, State, Spaces, capacity, Config.Copies);
        _sources[source] = buffer;
        return _collectors[source] = new Collector(environment, buffer, this);
    }

    /// <summary>Keeps a number for the next line of metrics: of a duty that names it among its <see cref="IDuty.Metrics"/>.</summary>
    public void Report(string name, double value) => _reported[name] = (float)value;

    private IReadOnlyList<string> Measures => Environment!.Create(1).Measures;

    private static int[] Lengths(IReadOnlyList<Stage> stages, RunConfig config)
    {
        if (stages.Count == 0) throw new InvalidOperationException($"{config.Algorithm} has no stages");
        var begins = new int[stages.Count + 1];
        int stated = stages.Sum(s => s.Steps ?? 0), open = stages.Count(s => s.Steps is null);
        if (open > 1) throw new InvalidOperationException($"{config.Algorithm}: {open} stages last for what is left of the run; one can");
        if (open == 1 && stated >= config.Steps) throw new SettingsException($"steps={config.Steps}: the stages {string.Join(", ", stages.Where(s => s.Steps is not null).Select(s => $"{s.Name} ({s.Steps})"))} leave nothing for {stages.First(s => s.Steps is null).Name}");
        for (int i = 0; i < stages.Count; i++) begins[i + 1] = begins[i] + (stages[i].Steps ?? config.Steps - stated);
        return begins;
    }

    private void Normalise()
    {
        if (!Algorithm.Normalizes || !State.Device.HoldsData) return;
        if (!Datasets.TryGetValue(Draw.Offline, out var data)) data = Datasets.Values.FirstOrDefault();
        if (data is null) throw new SettingsException("normalize_observations=true: statistics come from a dataset, and there is none; set it to false");
        var (mean, std) = data.ObservationStatistics();
        State.Write("normalizer.mean", Array.ConvertAll(mean, v => (float)v));
        State.Write("normalizer.std", Array.ConvertAll(std, v => (float)(v + ((VectorSettings)Config.Settings).NormalizerEpsilon)));
    }

    private void OpenSources(IReadOnlyList<Stage> stages)
    {
        foreach (var (name, data) in Datasets) _sources[name] = new ResidentRows(name, data, State, RewardTransform.Parse(Config.Rewards), Config.Seed, Config.ShardUpdates);
        var drawn = stages.Where(s => s.Update is not null).SelectMany(s => s.Draws).Select(d => d.Source).ToHashSet();
        foreach (string name in Datasets.Keys)
            if (!drawn.Contains(name)) throw new SettingsException($"--dataset {name}={Datasets[name].Source}: {Config.Algorithm} draws from {(drawn.Count == 0 ? "no dataset" : string.Join(", ", drawn))} and would not read it");
    }

    private Program Compile(Stage stage, uint due)
    {
        var graph = new Graph();
        graph.Random.Use(_generator);
        var batches = new DrawnBatches(graph, stage, Source, Spaces, Config.Settings.BatchSize);
        var update = graph.Read(_generator).Slice(0, 2, 1);
        Algorithm.TraceUpdate(stage, graph, batches.Read, due);
        graph.Random.Advance();
        _guard.Trace(graph, update);
        foreach (var (name, value) in graph.Outputs.ToArray())
        {
            // Kept as variables: what one program reports is still there after the update of another.
            string variable = MetricPrefix + name;
            if (!_metrics.Contains(name))
            {
                _metrics.Add(name);
                State.Add(variable, [1], new[] { float.NaN }, VariableKind.State);
            }
            if (graph.Watched.Contains(value) && !_losses.Contains(name)) _losses.Add(name);
            graph.Assign(State[variable], (value.Shape.Elements == 1 ? value : value.Mean()).Reshape(1));
        }
        return new Program(graph, State);
    }

    private void AddDuties()
    {
        var resident = _sources.Values.OfType<ResidentRows>().Where(r => Datasets[r.Source].Shards > 1).ToArray();
        if (resident.Length > 0) _before.Add(new SwapShards(resident, Config.ShardUpdates));
        IDuty? evaluate = Environment is null ? null : new Evaluate(Config, Steps);
        if (evaluate is not null) _after.Add(evaluate);
        _after.Add(new Log(Config, Steps, evaluate));
        _after.Add(new SaveCheckpoint(Config, Steps));
    }

    private int StageAt(int step)
    {
        int i = 0;
        while (i < _stages.Length - 1 && step >= _begins[i + 1]) i++;
        return i;
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
            int i = StageAt(Step), begin = _begins[i];
            var duties = _stages[i].Stage.Duties;
            int next = Math.Min(_begins[i + 1], Step + LongestSlice);
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

    internal void Evaluate()
    {
        _guard.Check();
        _evaluation = Evaluator.Run(Environment!, Policy.Start(Config.EvaluationEpisodes, Mode.Deterministic, Config.EvaluationSeed), Config.EvaluationSeed, State.Device.Threads);
    }

    internal void Log()
    {
        _guard.Check();
        var metrics = _metrics.ToDictionary(name => name, name => State.Read(MetricPrefix + name)[0]);
        foreach (string name in _hostMetrics) metrics[name] = _reported.GetValueOrDefault(name, float.NaN);
        var line = new TrainingReport(Step, _stages[StageAt(Step - 1)].Stage.Name, Rate(), metrics, _losses, _evaluation);
        _folder?.Append(line);
        if (_evaluation is { } result) _folder?.SaveIfBest(Step, State, new EvaluationSummary(result.Mean, result.NormalizedMean));
        _evaluation = null;
        _report?.Invoke(line);
        _guard.TakeSnapshot();
        (_reportedStep, _clock) = (Step, Stopwatch.StartNew());
    }

    /// <summary>Writes a checkpoint of the current step.</summary>
    public void Save()
    {
        if (_folder is null) return;
        foreach (var collector in _collectors.Values) collector.Buffer.SaveRows(_folder.Path);
        _folder.Save(Step, State, SaveHost);
        foreach (var collector in _collectors.Values) collector.Buffer.RemoveRows(_folder.Path);
    }

    private void SaveHost(BinaryWriter to)
    {
        foreach (string name in _hostMetrics) to.Write(_reported.GetValueOrDefault(name, float.NaN));
        foreach (var collector in _collectors.Values) collector.Save(to);
        foreach (var duty in _stages.SelectMany(s => s.Stage.Duties)) duty.Save(to);
    }

    private void Resume(string path, int step)
    {
        Checkpoint.Read(path, State);
        Step = step;
        MakeResident(step);
        foreach (var collector in _collectors.Values) collector.Buffer.LoadRows(_folder!.Path);
        Checkpoint.ReadHost(path, from =>
        {
            foreach (string name in _hostMetrics) _reported[name] = from.ReadSingle();
            foreach (var collector in _collectors.Values) collector.Load(from);
            foreach (var duty in _stages.SelectMany(s => s.Stage.Duties)) duty.Load(from);
        });
    }

    private void MakeResident(int step)
    {
        foreach (var rows in _sources.Values.OfType<ResidentRows>()) rows.MakeResident(step);
    }

    // ---- for the guard ----

    /// <summary>Updates done before a step.</summary>
    private int UpdatesBefore(int step)
    {
        int updates = 0;
        for (int i = 0; i < _stages.Length; i++)
            if (_stages[i].Stage.Update is not null) updates += Math.Clamp(step, _begins[i], _begins[i + 1]) - _begins[i];
        return updates;
    }

    /// <summary>Runs the steps from <paramref name="from"/> to update number <paramref name="update"/> again, with what was collected then, and returns the step and program of that update.</summary>
    internal (int Step, Program Program) Replay(int from, int update)
    {
        foreach (var collector in _collectors.Values) collector.Buffer.Rewind();
        MakeResident(from);
        for (int step = from; ; step++)
        {
            int i = StageAt(step);
            foreach (var collector in _collectors.Values) collector.Buffer.Replay(step);
            MakeResident(step);
            if (_stages[i].Stage.Update is null) continue;
            if (UpdatesBefore(step) == update) return (step, _stages[i].At(step - _begins[i]));
            _stages[i].Run(step - _begins[i], step - _begins[i] + 1);
        }
    }

    internal void MarkBuffers()
    {
        foreach (var collector in _collectors.Values) collector.Buffer.Mark();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Policy?.Dispose();
        foreach (var stage in _stages ?? []) stage.Dispose();
        foreach (var duty in (_stages ?? []).SelectMany(s => s.Stage.Duties).Distinct().OfType<IDisposable>()) duty.Dispose();
        foreach (var collector in _collectors.Values) collector.Dispose();
        State.Dispose();
        _folder?.Dispose();
    }
}
