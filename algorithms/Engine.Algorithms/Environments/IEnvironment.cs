using Engine.Interop;
using Engine.Kernels;

namespace Engine.Algorithms.Environments;

/// <summary>
/// A batch of independent copies of a task, stepped together so that one policy call serves all of them. A custom environment implements this interface
/// and registers itself in <see cref="EnvironmentCatalogue"/>. One instance is used by one thread at a time; different instances may be stepped at the same time.
/// </summary>
public interface IEnvironment
{
    /// <summary>Number of copies.</summary>
    int Copies { get; }

    /// <summary>S, numbers in an observation.</summary>
    int ObservationSize { get; }

    /// <summary>What an action is: <see cref="ActionBounds"/> of continuous components, or <see cref="DiscreteActions"/>.</summary>
    ActionSpace ActionSpace { get; }

    /// <summary>Steps after which an episode is cut off (a time limit, not a terminal).</summary>
    int MaxSteps { get; }

    /// <summary>Begins a new episode in one copy, its start state drawn from the stream.</summary>
    void Reset(int copy, PhiloxStream random);

    /// <summary>Observations of all copies, row-major [Copies, S].</summary>
    void Observe(Span<float> observations);

    /// <summary>Steps every copy.</summary>
    /// <param name="actions">[Copies, A] in the environment's units, beyond the bounds clipped as the task defines; of discrete actions [Copies], the index as a number.</param>
    /// <param name="rewards">[Copies]</param>
    /// <param name="terminals">[Copies], true where the task has ended. Such a copy must be reset before its next step counts.</param>
    void Step(ReadOnlySpan<float> actions, Span<float> rewards, Span<bool> terminals);
}

/// <summary>What an action is. Datasets, policies and environments agree on it before anything is trained.</summary>
public abstract record ActionSpace
{
    /// <summary>Numbers in a stored action: A of continuous actions, 1 (the index) of discrete ones.</summary>
    public abstract int Size { get; }
}

/// <summary>One of a fixed number of actions, stored as its index.</summary>
/// <param name="Count">At least 2; indices are 0 to Count - 1.</param>
public sealed record DiscreteActions(int Count) : ActionSpace
{
    /// <inheritdoc/>
    public override int Size => 1;

    /// <inheritdoc/>
    public override string ToString() => $"{Count} discrete actions";
}

/// <summary>Continuous actions: lowest and highest value of each component.</summary>
/// <param name="Low">[A]</param>
/// <param name="High">[A], each above Low.</param>
public sealed record ActionBounds(float[] Low, float[] High) : ActionSpace
{
    /// <summary>A.</summary>
    public override int Size => Low.Length;

    /// <inheritdoc/>
    public override string ToString() => $"{Size} action{(Size == 1 ? "" : "s")} in [{string.Join(", ", Low)}] to [{string.Join(", ", High)}]";

    /// <summary>Equal when all bounds are.</summary>
    public bool Equals(ActionBounds? other) => other is not null && Low.AsSpan().SequenceEqual(other.Low) && High.AsSpan().SequenceEqual(other.High);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Size, Low[0], High[0]);

    /// <summary>[-1, 1] in every component.</summary>
    public static ActionBounds Unit(int size) => new(Enumerable.Repeat(-1f, size).ToArray(), Enumerable.Repeat(1f, size).ToArray());

    /// <summary>From [-1, 1] to the environment's units.</summary>
    public float FromUnit(int component, float action) => Low[component] + (Math.Clamp(action, -1, 1) + 1) * 0.5f * (High[component] - Low[component]);

    /// <summary>From the environment's units to [-1, 1], not clipped.</summary>
    public float ToUnit(int component, float action) => (action - Low[component]) / (High[component] - Low[component]) * 2 - 1;
}

/// <summary>A task by name.</summary>
/// <param name="Id">As in Gymnasium.</param>
/// <param name="Create">Makes that many copies.</param>
/// <param name="ReferenceMin">Return that counts as 0 of the normalised score; null without one.</param>
/// <param name="ReferenceMax">Return that counts as 100.</param>
public sealed record EnvironmentEntry(string Id, Func<int, IEnvironment> Create, double? ReferenceMin = null, double? ReferenceMax = null);

/// <summary>The environments Engine can evaluate on.</summary>
public static class EnvironmentCatalogue
{
    private static readonly List<EnvironmentEntry> Entries =
    [
        new("Pendulum-v1", copies => new Pendulum(copies, clipFirst: true), -1230, -150),
        new("Pendulum-v0", copies => new Pendulum(copies, clipFirst: false), -1230, -150),
        new("CartPole-v1", copies => new CartPole(copies, 500), 22, 500),
        new("CartPole-v0", copies => new CartPole(copies, 200), 22, 200),
        new("MountainCar-v0", copies => new MountainCar(copies), -200, -110),
        new("MountainCarContinuous-v0", copies => new MountainCarContinuous(copies), -33, 90),
        new("Acrobot-v1", copies => new Acrobot(copies), -500, -100),
        .. PointMaze.Entries(),
        .. GoalPointMaze.Entries(),
    ];

    /// <summary>All known.</summary>
    public static IReadOnlyList<EnvironmentEntry> All => Entries;

    /// <summary>Adds a custom one.</summary>
    public static void Register(EnvironmentEntry entry) => Entries.Add(entry);

    /// <summary>The environment of that name.</summary>
    /// <exception cref="SettingsException">There is none.</exception>
    public static EnvironmentEntry Find(string id) => Entries.FirstOrDefault(e => e.Id == id)
        ?? throw new SettingsException($"environment {id} is unknown; {NearNames.Describe(id, Entries.Select(e => e.Id))}");
}
