using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Algorithms.Policies;

/// <summary>The policy of an algorithm: a program for every number of rows and mode that is asked for, compiled when it first is (about a millisecond). <see cref="Start"/> makes what acts.</summary>
public sealed class Policy : IDisposable
{
    private readonly PolicySource _source;
    private readonly State _state;
    private readonly Dictionary<(int Rows, Mode Mode), PolicyProgram> _programs = [];
    private readonly List<IDisposable> _owned = [];
    private PolicyActor? _single;

    /// <summary>The policy of an algorithm whose parameters are in the state.</summary>
    public Policy(Algorithm algorithm, State state) : this(PolicySource.Of(algorithm), state) { }

    private Policy(PolicySource source, State state) => (_source, _state) = (source, state);

    /// <summary>Loads a policy from a policy folder, which needs no code of its algorithm, or from a run folder: just the variables that it reads.</summary>
    /// <param name="folder">A policy folder made by <see cref="Save"/> or <c>engine export</c>; a run folder made by <c>engine train</c> or a <see cref="Trainer"/>.</param>
    /// <param name="checkpoint">Of a run: last, best, or the number of a step that is kept. A policy folder has one set of weights, which is its last.</param>
    /// <param name="device">Where it runs; null: the CPU with one thread, owned by the policy.</param>
    /// <exception cref="Interop.InteropFormatException">The folder is neither, has no such checkpoint, or is damaged.</exception>
    public static Policy Load(string folder, string checkpoint = "last", Device? device = null)
    {
        var (source, variables, weights) = PolicyFolder.Is(folder) ? PolicyFolder.Read(folder, checkpoint) : PolicySource.OfRun(folder, checkpoint);
        var own = device is null ? new CpuDevice() : null;
        var state = new State(device ?? own!);
        var policy = new Policy(source, state) { _owned = { state } };
        if (own is not null) policy._owned.Add(own);
        try
        {
            Checkpoint.Add(weights, variables, state);
            return policy;
        }
        catch
        {
            policy.Dispose();
            throw;
        }
    }

    /// <summary>What it sees, does and is asked for.</summary>
    public Spaces Spaces => _source.Spaces;

    /// <summary>Name of the algorithm that trained it; null of a policy that is being trained.</summary>
    public string? Algorithm => _source.Algorithm;

    /// <summary>Update its weights are from; 0 of a policy that is being trained.</summary>
    public int Step => _source.Step;

    /// <summary>Environment the run was evaluated on, if any.</summary>
    public string? Environment => _source.Environment;

    /// <summary>Writes a policy folder: graphs, just the variables that they read, and what a host must know. It appears when it is complete, and takes the place of a policy folder of that name.</summary>
    /// <param name="folder">To make; a folder that holds something else is refused.</param>
    /// <param name="rows">The numbers of rows it is for; null: any. A policy that computes something else for more rows, and not the same for each, must name them.</param>
    /// <returns>The variables in it.</returns>
    /// <exception cref="SettingsException">The folder holds something else, a number of rows is below 1, or the policy cannot be for any number of rows.</exception>
    public IReadOnlyList<Variable> Save(string folder, IReadOnlyCollection<int>? rows = null) => PolicyFolder.Write(folder, _source, _state, rows);

    /// <summary>The program for exactly so many rows, to explain, to count or to run by hand.</summary>
    /// <param name="rows">At least 1.</param>
    /// <param name="mode">How it acts.</param>
    /// <exception cref="SettingsException">The policy folder is not for that number of rows; the message names those it is for.</exception>
    public PolicyProgram For(int rows, Mode mode = Mode.Deterministic)
    {
        if (rows < 1) throw new ArgumentOutOfRangeException(nameof(rows), rows, "expected at least 1 row");
        if (_programs.TryGetValue((rows, mode), out var known)) return known;
        return _programs[(rows, mode)] = new PolicyProgram(_source.Graphs(rows, mode), _source, _state);
    }

    /// <summary>Tells the policy what to do (<see cref="Algorithm.Prompt"/>): all that acts with it does so from the next action on, what is planned or remembered aside. Sessions are told themselves.</summary>
    /// <exception cref="SettingsException">It takes no prompt, comes from a policy folder, which holds none, or the rows lack a column or have another shape.</exception>
    public void Prompt(PromptRows rows) => Policies.Prompt.Give(Promptable(), _state, rows);

    /// <summary>The algorithm whose prompt it takes.</summary>
    internal Algorithm Promptable()
    {
        var algorithm = _source.Code ?? throw new SettingsException("a policy folder does what it was told when it was saved: a prompt needs the run");
        return algorithm.Prompt is null ? throw new SettingsException($"the policy of {algorithm.GetType().Name} takes no prompt") : algorithm;
    }

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
        foreach (string name in _source.Graphs(maxRows, mode).Graph.Initial.Keys.Union(_source.PromptVariables))
        {
            state.AddZeros(name, _state[name].Type, _state[name].Kind);
            state.WriteBytes(name, _state.ReadBytes(name));
        }
        return new PolicySession(new Policy(_source, state) { _owned = { state, device } }, maxRows, mode, seed);
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
