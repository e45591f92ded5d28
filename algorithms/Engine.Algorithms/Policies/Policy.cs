using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Algorithms.Policies;

/// <summary>The policy of an algorithm: a program for every number of rows and mode that is asked for, compiled when it first is (about a millisecond). <see cref="Start"/> makes what acts.</summary>
public sealed class Policy : IDisposable
{
    private readonly Algorithm _algorithm;
    private readonly State _state;
    private readonly Dictionary<(int Rows, Mode Mode), PolicyProgram> _programs = [];
    private readonly List<IDisposable> _owned = [];
    private PolicyActor? _single;

    /// <summary>The policy of an algorithm whose parameters are in the state.</summary>
    public Policy(Algorithm algorithm, State state) => (_algorithm, _state, Spaces) = (algorithm, state, algorithm.Context.Spaces);

    /// <summary>Loads the policy of a run folder: just the variables that it reads.</summary>
    /// <param name="run">Made by <c>engine train</c> or a <see cref="Trainer"/>.</param>
    /// <param name="checkpoint">last, best, or the number of a step that is kept.</param>
    /// <param name="device">Where it runs; null: the CPU with one thread, owned by the policy.</param>
    /// <exception cref="Interop.InteropFormatException">The folder is not a run, or has no such checkpoint.</exception>
    public static Policy Load(string run, string checkpoint = "last", Device? device = null)
    {
        var about = RunInfo.Read(run);
        var (step, path) = Checkpoint.Find(run, checkpoint);
        var entry = AlgorithmCatalogue.Find(about.Config.Algorithm);
        // Critics and optimisers are declared and take no memory; what the traced policy reads is what is loaded.
        using var declaring = new DeclaringDevice();
        var declared = new State(declaring);
        var algorithm = entry.Create(new AlgorithmContext(declared, about.Config.Seed, about.Spaces), about.Config.Settings);
        var own = device is null ? new CpuDevice() : null;
        var state = new State(device ?? own!);
        var needed = PolicyProgram.Trace(algorithm, about.Spaces, 1, Mode.Sample).Graph.Initial.Keys.Union(PolicyProgram.Trace(algorithm, about.Spaces, 1, Mode.Deterministic).Graph.Initial.Keys).Union(Policies.Prompt.Variables(algorithm)).ToHashSet();
        foreach (var variable in declared.Variables)
            if (needed.Contains(variable.Name)) state.AddZeros(variable.Name, variable.Type, variable.Kind);
        Checkpoint.Read(path, state);
        var policy = new Policy(algorithm, state) { Step = step, Environment = about.Config.Environment };
        policy._owned.Add(state);
        if (own is not null) policy._owned.Add(own);
        return policy;
    }

    /// <summary>What it sees, does and is asked for.</summary>
    public Spaces Spaces { get; }

    /// <summary>Update its weights are from; 0 of a policy that is being trained.</summary>
    public int Step { get; private init; }

    /// <summary>Environment the run was evaluated on, if any.</summary>
    public string? Environment { get; private init; }

    /// <summary>The program for exactly so many rows, to explain, to count or to run by hand.</summary>
    /// <param name="rows">At least 1.</param>
    /// <param name="mode">How it acts.</param>
    public PolicyProgram For(int rows, Mode mode = Mode.Deterministic)
    {
        if (rows < 1) throw new ArgumentOutOfRangeException(nameof(rows), rows, "expected at least 1 row");
        if (_programs.TryGetValue((rows, mode), out var known)) return known;
        var (graph, acting) = PolicyProgram.Trace(_algorithm, Spaces, rows, mode);
        return _programs[(rows, mode)] = new PolicyProgram(new Program(graph, _state), acting, Spaces, _algorithm.ActionHorizon);
    }

    /// <summary>Tells the policy what to do (<see cref="Algorithm.Prompt"/>): all that acts with it does so from the next action on, what is planned or remembered aside. Sessions are told themselves.</summary>
    /// <exception cref="SettingsException">It takes no prompt, or the rows lack a column or have another shape.</exception>
    public void Prompt(PromptRows rows) => Policies.Prompt.Give(_algorithm, _state, rows);

    /// <summary>An actor for so many copies of the task.</summary>
    /// <param name="rows">At least 1.</param>
    /// <param name="mode">How it acts.</param>
    /// <param name="seed">Of its draws, which no other draws depend on.</param>
    public PolicyActor Start(int rows, Mode mode = Mode.Deterministic, ulong seed = 0) => new(For(rows, mode), seed);

    /// <summary>A policy of its own to act with in a host program: its memory, its thread, no allocation once warm. Several sessions may run at the same time.</summary>
    /// <param name="maxRows">Most observations in one call.</param>
    /// <param name="threads">Threads that compute beside the caller's; 0: the caller's alone.</param>
    /// <param name="mode">How it acts.</param>
    /// <param name="seed">Of its draws.</param>
    public PolicySession CreateSession(int maxRows = 1, int threads = 0, Mode mode = Mode.Deterministic, ulong seed = 0)
    {
        if (maxRows < 1) throw new ArgumentOutOfRangeException(nameof(maxRows), maxRows, "expected at least 1 row");
        var device = new CpuDevice(threads + 1);
        var state = new State(device);
        foreach (string name in For(1, mode).Program.Source.Initial.Keys.Union(Policies.Prompt.Variables(_algorithm)))
        {
            state.AddZeros(name, _state[name].Type, _state[name].Kind);
            state.WriteBytes(name, _state.ReadBytes(name));
        }
        return new PolicySession(new Policy(_algorithm, state) { Step = Step, Environment = Environment, _owned = { state, device } }, maxRows, mode, seed);
    }

    /// <summary>The action at one observation [S], in the environment's units (the index of a discrete action), as if an episode began with it.</summary>
    public float[] Act(ReadOnlySpan<float> observation, ReadOnlySpan<float> goal = default)
    {
        _single ??= Start(1);
        var actions = new float[Spaces.Action.Size];
        _single.Begin([true]);
        _single.Act(observation, goal, actions);
        if (Spaces.Action is ActionBounds bounds)
            for (int i = 0; i < actions.Length; i++) actions[i] = bounds.FromUnit(i, actions[i]);
        return actions;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var program in _programs.Values) program.Program.Dispose();
        foreach (var owned in _owned) owned.Dispose();
    }
}
