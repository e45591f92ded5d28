namespace Engine.Algorithms.Policies;

/// <summary>
/// A policy for a host program. One thread at a time uses a session; different sessions run at the same time. A number of rows that is new costs about a millisecond once; after that a call allocates nothing.
/// </summary>
public sealed class PolicySession : IDisposable
{
    private readonly Policy _policy;
    private readonly Mode _mode;
    private readonly ulong _seed;
    private readonly PolicyActor?[] _actors;
    private readonly bool[] _fresh;

    internal PolicySession(Policy policy, int maxRows, Mode mode, ulong seed)
    {
        (_policy, MaxRows, _mode, _seed, _actors, _fresh) = (policy, maxRows, mode, seed, new PolicyActor?[maxRows + 1], new bool[maxRows]);
        Array.Fill(_fresh, true);
        For(maxRows);
    }

    /// <summary>Most rows of a call.</summary>
    public int MaxRows { get; }

    /// <summary>What it sees, does and is asked for.</summary>
    public Spaces Spaces => _policy.Spaces;

    private PolicyActor For(int rows) => _actors[rows] ??= _policy.Start(rows, _mode, _seed);

    /// <summary>Tells the policy what to do, from the next action on; this allocates. Memory and planned actions stay: <see cref="Begin(int)"/> forgets them.</summary>
    /// <exception cref="SettingsException">It takes no prompt, or the rows lack a column or have another shape.</exception>
    public void Prompt(PromptRows rows) => _policy.Prompt(rows);

    /// <summary>Says that an episode begins with the next observation, in all rows of the calls with so many rows: memory and planned actions are forgotten.</summary>
    public void Begin(int rows = 1) => For(Check(rows)).Begin(_fresh.AsSpan(0, rows));

    /// <summary>Says in which rows of the calls with so many rows an episode begins with the next observation.</summary>
    /// <param name="fresh">[rows]</param>
    public void Begin(ReadOnlySpan<bool> fresh) => For(Check(fresh.Length)).Begin(fresh);

    /// <summary>The next actions.</summary>
    /// <param name="observations">[rows, S]</param>
    /// <param name="actions">[rows, A] in the environment's units; of discrete actions [rows, 1], the index.</param>
    /// <param name="goals">[rows, G]; empty where there are no goals.</param>
    /// <exception cref="ArgumentException">The lengths do not fit.</exception>
    public void Act(ReadOnlySpan<float> observations, Span<float> actions, ReadOnlySpan<float> goals = default)
    {
        int size = Spaces.Observation.Size, rows = Check(observations.Length / size);
        if (observations.Length != rows * size) throw new ArgumentException($"observations have {observations.Length} numbers, expected a multiple of {size}");
        if (actions.Length != rows * Spaces.Action.Size) throw new ArgumentException($"actions have room for {actions.Length} numbers, expected {rows} x {Spaces.Action.Size}");
        if (goals.Length != rows * (Spaces.Goal?.Size ?? 0)) throw new ArgumentException($"goals have {goals.Length} numbers, expected {rows} x {Spaces.Goal?.Size ?? 0}");
        For(rows).Act(observations, goals, actions);
        if (Spaces.Action is ActionBounds bounds)
            for (int i = 0; i < actions.Length; i++) actions[i] = bounds.FromUnit(i % bounds.Size, actions[i]);
    }

    private int Check(int rows) => rows >= 1 && rows <= MaxRows ? rows : throw new ArgumentException($"{rows} rows, expected 1 to {MaxRows}");

    /// <inheritdoc/>
    public void Dispose() => _policy.Dispose();
}
