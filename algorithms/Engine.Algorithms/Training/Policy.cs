using Engine.Algorithms.Environments;
using Engine.Algorithms.Evaluation;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Algorithms.Training;

/// <summary>The deterministic policy of an algorithm: a program for every number of rows that is asked for, compiled when it first is (about a millisecond).</summary>
public sealed class Policy : IDisposable
{
    private readonly Algorithm _algorithm;
    private readonly State _state;
    private readonly Dictionary<int, Program> _programs = [];
    private readonly List<IDisposable> _owned = [];
    private Program? _last;
    private int _lastRows;

    /// <summary>Compiles the policy of an algorithm whose parameters are in the state.</summary>
    public Policy(Algorithm algorithm, State state, int observationSize, ActionSpace actionSpace, int maxRows)
    {
        (_algorithm, _state, ObservationSize, ActionSpace, MaxRows) = (algorithm, state, observationSize, actionSpace, maxRows);
        For(maxRows);
    }

    /// <summary>The program for exactly so many rows.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not 1 to <see cref="MaxRows"/>.</exception>
    public Program For(int rows)
    {
        if (rows == _lastRows) return _last!;
        if (rows < 1 || rows > MaxRows) throw new ArgumentOutOfRangeException(nameof(rows), rows, $"expected 1 to {MaxRows} rows");
        if (!_programs.TryGetValue(rows, out var program)) _programs[rows] = program = Compile(rows);
        (_last, _lastRows) = (program, rows);
        return program;
    }

    // By itself: a closure over `rows` would be allocated by every call of For.
    private Program Compile(int rows) =>
        Program.Trace(_state, graph => graph.Output("actions", _algorithm.TracePolicy(graph.Input("observations", TensorType.Float([rows, ObservationSize])))));

    /// <summary>Loads the policy of a run folder.</summary>
    /// <param name="run">Made by <c>engine train</c> or a <see cref="Trainer"/>.</param>
    /// <param name="checkpoint">last, best, or the number of a step that is kept.</param>
    /// <param name="maxRows">Most observations in one call.</param>
    /// <param name="device">Where it runs; null: the CPU with one thread, owned by the policy.</param>
    /// <exception cref="Interop.InteropFormatException">The folder is not a run, or has no such checkpoint.</exception>
    public static Policy Load(string run, string checkpoint = "last", int maxRows = 1, Device? device = null)
    {
        var (config, _, space, size) = RunConfig.Read(run);
        var (step, path) = Checkpoint.Find(run, checkpoint);
        var own = device is null ? new CpuDevice() : null;
        var state = new State(device ?? own!);
        var algorithm = AlgorithmCatalogue.Find(config.Algorithm).Create(new AlgorithmContext(state, config.Seed, size, space), config.Settings);
        Checkpoint.Read(path, state);
        var policy = new Policy(algorithm, state, size, space, maxRows) { Step = step, Environment = config.Environment };
        policy._owned.Add(state);
        if (own is not null) policy._owned.Add(own);
        return policy;
    }

    /// <summary>Most rows of one call.</summary>
    public int MaxRows { get; }

    /// <summary>S.</summary>
    public int ObservationSize { get; }

    /// <summary>What an action is.</summary>
    public ActionSpace ActionSpace { get; }

    /// <summary>Update its weights are from; 0 of a policy that is being trained.</summary>
    public int Step { get; private init; }

    /// <summary>Environment the run was evaluated on, if any.</summary>
    public string? Environment { get; private init; }

    /// <summary>Observations [rows, S] to actions [rows, A] in [-1, 1]; of discrete actions [rows, 1], the index. Allocates nothing.</summary>
    public void Act(ReadOnlySpan<float> observations, int rows, Span<float> actions)
    {
        var program = For(rows);
        program.Write("observations", observations);
        program.Run();
        program.Read("actions", actions);
    }

    /// <summary>The action at one observation [S], in the environment's units (the index of a discrete action).</summary>
    public float[] Act(ReadOnlySpan<float> observation)
    {
        var actions = new float[ActionSpace.Size];
        Act(observation, 1, actions);
        if (ActionSpace is ActionBounds bounds)
            for (int i = 0; i < actions.Length; i++) actions[i] = bounds.FromUnit(i, actions[i]);
        return actions;
    }

    /// <summary>Evaluates a checkpoint of a run folder.</summary>
    /// <exception cref="Interop.InteropFormatException">The folder is not a run, or has no such checkpoint.</exception>
    public static (EvaluationResult Result, int Step) Evaluate(string run, string? environment, int episodes, ulong seed, Device device, string checkpoint = "last")
    {
        using var policy = Load(run, checkpoint, episodes, device);
        string id = environment ?? policy.Environment ?? throw new SettingsException("this run has no environment: name one with --env");
        var entry = EnvironmentCatalogue.Find(id);
        var probe = entry.Create(1);
        if (probe.ObservationSize != policy.ObservationSize || !Fits(probe.ActionSpace, policy.ActionSpace))
            throw new SettingsException($"environment {id} has {probe.ObservationSize} observations and {probe.ActionSpace}, the run's policy {policy.ObservationSize} and {policy.ActionSpace}");
        return (Evaluator.Run(entry, policy.Act, episodes, seed, device?.Threads ?? 1), policy.Step);
    }

    /// <summary>Whether a policy for one space can act in the other: as many discrete actions, or as many continuous components.</summary>
    internal static bool Fits(ActionSpace one, ActionSpace other) => (one, other) switch
    {
        (DiscreteActions a, DiscreteActions b) => a.Count == b.Count,
        (ActionBounds a, ActionBounds b) => a.Size == b.Size,
        _ => false,
    };

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var program in _programs.Values) program.Dispose();
        foreach (var owned in _owned) owned.Dispose();
    }
}
