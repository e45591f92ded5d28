using Engine.Algorithms.Batches;
using Engine.Algorithms.Data;
using Engine.Algorithms.Policies;

namespace Engine.Algorithms.Training;

/// <summary>What the updates of a run draw from: datasets, without what is held out of them, and the buffers that are filled while it interacts.</summary>
internal sealed class RunSources : IDisposable
{
    private readonly Trainer _run;
    private readonly SortedDictionary<string, Rows> _sources = [];
    private readonly Dictionary<string, Collector> _collectors = [];
    private readonly Dictionary<string, TransitionDataset> _heldOut = [];
    private readonly Dictionary<string, TrainingData> _data = [];
    private readonly Dictionary<string, PromptRows> _prompts = [];

    /// <exception cref="SettingsException">A dataset is drawn by no stage.</exception>
    /// <exception cref="DatasetException">A dataset cannot be split, or what is held out does not fit.</exception>
    public RunSources(Trainer run, IReadOnlyList<Stage> stages)
    {
        _run = run;
        var config = run.Config;
        var evaluations = config.FurtherEvaluations().Select(e => e.Name).ToHashSet();
        foreach (var (name, data) in run.Datasets)
        {
            if (name == Draw.HeldOut) continue;
            if (evaluations.Contains(name))
            {
                if (data is not TransitionDataset rows) throw new DatasetException($"{data.Source}: a prompt is in memory as a whole, these rows are in shards");
                _prompts[name] = PromptRows.Of(SameActions(rows, run.Spaces.Action));
                continue;
            }
            _data[name] = data;
            if (config.HoldOut == 0) continue;
            if (data is not TransitionDataset whole) throw new DatasetException($"{data.Source}: nothing can be held out of data in shards; name held-out data, --dataset {Draw.HeldOut}=FILE");
            (_data[name], _heldOut[name]) = whole.Split(config.HoldOut, config.EvaluationSeed);
        }
        Choose(config);
        if (run.Datasets.TryGetValue(Draw.HeldOut, out var given)) _heldOut[Draw.Offline] = Given(given);
        foreach (var (name, data) in _data) _sources[name] = new ResidentRows(name, data, run.State, RewardTransform.Parse(config.Rewards), config.Seed, config.ShardUpdates);
        var drawn = stages.Where(s => s.Update is not null).SelectMany(s => s.Draws).Select(d => d.Source).ToHashSet();
        foreach (string name in _data.Keys)
            if (!drawn.Contains(name)) throw new SettingsException($"--dataset {name}={_data[name].Source}: {config.Algorithm} draws from {(drawn.Count == 0 ? "no dataset" : string.Join(", ", drawn))} and would not read it");
    }

    /// <summary>Trajectories that are trained on, and those whose actions are known, of the dataset without a name of its own.</summary>
    private void Choose(RunConfig config)
    {
        var (trained, known) = (TrajectoryChoice.Parse("trajectories", config.Trajectories), TrajectoryChoice.Parse("actions_of", config.ActionsOf));
        if (trained is null && known is null) return;
        string option = trained is null ? $"actions_of={config.ActionsOf}" : $"trajectories={config.Trajectories}";
        if (!_data.TryGetValue(Draw.Offline, out var data)) throw new SettingsException($"{option}: chooses trajectories of --dataset FILE, and there is none");
        if (data is not TransitionDataset rows) throw new DatasetException($"{data.Source}: {option} chooses trajectories of data in memory as a whole, these rows are in shards");
        if (trained is not null) rows = rows.Of(trained);
        if (known is not null)
        {
            rows = rows.WithActionsOf(known);
            if (_heldOut.TryGetValue(Draw.Offline, out var heldOut)) _heldOut[Draw.Offline] = heldOut.WithActionsOf(null);
        }
        _data[Draw.Offline] = rows;
    }

    /// <summary>Throws if actions were removed and no update asks which.</summary>
    /// <exception cref="SettingsException">It would learn from zeros.</exception>
    public void CheckActions()
    {
        if (_run.Config.ActionsOf is { Length: > 0 } known && _sources[Draw.Offline] is ResidentRows rows && !rows.Reads(TransitionDataset.Labelled))
            throw new SettingsException($"actions_of={known}: {_run.Config.Algorithm} does not ask which actions are known, and would learn from zeros");
    }

    private TransitionDataset Given(TrainingData heldOut)
    {
        if (heldOut is not TransitionDataset rows) throw new DatasetException($"{heldOut.Source}: held-out data are in memory as a whole, these are in shards");
        if (!_data.TryGetValue(Draw.Offline, out var data)) throw new SettingsException($"--dataset {Draw.HeldOut}={heldOut.Source}: held-out rows take the place of those of --dataset FILE, and there is none");
        return SameActions(rows, data.ActionSpace);
    }

    /// <summary>Rows whose actions mean what the run's do: -1 and 1 are the same bounds.</summary>
    private static TransitionDataset SameActions(TransitionDataset rows, ActionSpace actions) => rows.ActionSpace == actions ? rows
        : throw new DatasetException($"{rows.Source}: {rows.ActionSpace}, the run has {actions}; name the environment that says what they are (--env)");

    /// <summary>What is trained on, by source.</summary>
    public IReadOnlyDictionary<string, TrainingData> Data => _data;

    /// <summary>What is held out, by the source in whose place it is drawn.</summary>
    public IReadOnlyDictionary<string, TransitionDataset> HeldOutData => _heldOut;

    /// <summary>What tells the policy what to do in an evaluation, by its name.</summary>
    public IReadOnlyDictionary<string, PromptRows> Prompts => _prompts;

    /// <summary>The rows of a source.</summary>
    public Rows this[string name] => _sources.TryGetValue(name, out var rows) ? rows
        : throw new SettingsException($"{_run.Config.Algorithm} draws from the source {name}: {(name == Draw.Offline ? "--dataset FILE" : $"--dataset {name}=FILE")} is missing");

    /// <summary>The datasets of which two shards are resident.</summary>
    public IReadOnlyList<ResidentRows> Sharded => _sources.Values.OfType<ResidentRows>().Where(r => _data[r.Source].Shards > 1).ToArray();

    /// <summary>What fills the buffer of a source; made when it is first asked for.</summary>
    public Collector Collector(string source, int capacity)
    {
        if (_collectors.TryGetValue(source, out var known)) return known;
        var environment = _run.Environment ?? throw new SettingsException($"{_run.Config.Algorithm} interacts with an environment: name one with --env");
        if (_sources.ContainsKey(source)) throw new SettingsException($"{source} is a dataset and cannot be a buffer: give the dataset another name, --dataset NAME=FILE");
        var buffer = new ReplayBuffer(source, _run.State, _run.Spaces, capacity, _run.Config.Copies);
        _sources[source] = buffer;
        return _collectors[source] = new Collector(environment, buffer, _run);
    }

    /// <summary>Loads the shards that a step draws from.</summary>
    public void MakeResident(int step)
    {
        foreach (var rows in _sources.Values.OfType<ResidentRows>()) rows.MakeResident(step);
    }

    /// <summary>What fills the buffers.</summary>
    public IEnumerable<Collector> Collectors => _collectors.Values;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var collector in _collectors.Values) collector.Dispose();
    }
}
