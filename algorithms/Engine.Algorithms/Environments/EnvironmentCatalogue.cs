using Engine.Interop;

namespace Engine.Algorithms.Environments;

/// <summary>A task by name.</summary>
/// <param name="Id">As in Gymnasium.</param>
/// <param name="Create">Makes that many copies.</param>
/// <param name="ReferenceMin">Return that counts as 0 of the normalised score; null without one.</param>
/// <param name="ReferenceMax">Return that counts as 100.</param>
public sealed record EnvironmentEntry(string Id, Func<int, IEnvironment> Create, double? ReferenceMin = null, double? ReferenceMax = null)
{
    /// <summary>Someone who knows the task, to ask; null: nobody. Copies of the environment are <see cref="StateEnvironment"/>s then.</summary>
    public TaskExpert? Expert { get; init; }
}

/// <summary>The environments Engine can evaluate on.</summary>
public static class EnvironmentCatalogue
{
    private static readonly Lock Writing = new();
    private static volatile EnvironmentEntry[] _entries = // replaced as a whole, so that others may read meanwhile
    [
        new("Pendulum-v1", copies => new Pendulum(copies, clipFirst: true), -1230, -150) { Expert = new TaskExpert.OfPendulum() },
        new("Pendulum-v0", copies => new Pendulum(copies, clipFirst: false), -1230, -150) { Expert = new TaskExpert.OfPendulum() },
        new("CartPole-v1", copies => new CartPole(copies, 500), 22, 500),
        new("CartPole-v0", copies => new CartPole(copies, 200), 22, 200),
        new("MountainCar-v0", copies => new MountainCar(copies), -200, -110),
        new("MountainCarContinuous-v0", copies => new MountainCarContinuous(copies), -33, 90),
        new("Acrobot-v1", copies => new Acrobot(copies), -500, -100),
        new("TwoModes-v1", copies => new TwoModes(copies), 0, 1),
        .. PointMaze.Entries(),
        .. GoalPointMaze.Entries(),
        .. GoalMaze.Entries(),
        .. Grids.GridTask.Entries(),
    ];

    /// <summary>All known.</summary>
    public static IReadOnlyList<EnvironmentEntry> All => _entries;

    /// <summary>Adds a custom one; one of the same name makes room.</summary>
    public static void Register(EnvironmentEntry entry)
    {
        lock (Writing) _entries = [.. _entries.Where(e => e.Id != entry.Id), entry];
    }

    /// <summary>The environment of that name.</summary>
    /// <exception cref="SettingsException">There is none.</exception>
    public static EnvironmentEntry Find(string id) => All.FirstOrDefault(e => e.Id == id)
        ?? throw new SettingsException($"environment {id} is unknown; {NearNames.Describe(id, All.Select(e => e.Id))}");
}
