using System.Globalization;
using Engine.Algorithms.Environments;
using Engine.Interop;

namespace Engine.Algorithms.Data;

/// <summary>A dataset made in process.</summary>
/// <param name="Name">After <c>builtin:</c>.</param>
/// <param name="Summary">One line.</param>
/// <param name="Environment">Where to evaluate.</param>
/// <param name="Rows">Unless another number is asked for.</param>
/// <param name="Make">Rows, seed and quality (null: the usual one) to data.</param>
public sealed record BuiltinDataset(string Name, string Summary, string Environment, int Rows, Func<int, ulong, string?, Dataset> Make)
{
    /// <summary>What <c>quality=</c> may be; empty: there is one quality only.</summary>
    public IReadOnlyList<string> Qualities { get; init; } = [];

    /// <summary>How to ask for it.</summary>
    public string Usage => $"builtin:{Name}{(Qualities.Count > 0 ? "[,quality=Q]" : "")}[,rows=N][,seed=S]";
}

/// <summary>The datasets made in process: <c>builtin:NAME[,quality=Q][,rows=N][,seed=S]</c>.</summary>
public static class BuiltinDatasets
{
    private const string Prefix = "builtin:";

    /// <summary>All, in the order they are listed.</summary>
    public static IReadOnlyList<BuiltinDataset> All { get; } =
    [
        new("pendulum", "swing-up controllers from capable to useless, a fifth of the episodes random", "Pendulum-v1", 100_000,
            (rows, seed, quality) => quality is null ? BuiltinPendulum.MakeRows(rows, seed, BuiltinPendulum.Behaviour.Mixed) : BuiltinGraded.Pendulum(rows, seed, quality)) { Qualities = BuiltinGraded.Qualities },
        new("pendulum-expert", "the capable controller with a little noise", "Pendulum-v1", 100_000, (rows, seed, _) => BuiltinPendulum.MakeRows(rows, seed, BuiltinPendulum.Behaviour.Expert)),
        new("pendulum-medium", "the controller with half its gain or more, a bias and noise", "Pendulum-v1", 100_000, (rows, seed, _) => BuiltinPendulum.MakeRows(rows, seed, BuiltinPendulum.Behaviour.Medium)),
        new("pendulum-medium-mean", "the same without the noise: what its policy means to do", "Pendulum-v1", 100_000, (rows, seed, _) => BuiltinPendulum.MakeRows(rows, seed, BuiltinPendulum.Behaviour.MediumMean)),
        new("pendulum-random", "uniform torques", "Pendulum-v1", 100_000, (rows, seed, _) => BuiltinPendulum.MakeRows(rows, seed, BuiltinPendulum.Behaviour.Useless)),
        new("cartpole", "a balancing rule from good to useless, a fifth of the episodes random", "CartPole-v1", 100_000,
            (rows, seed, quality) => quality is null ? BuiltinControl.CartPole(rows, seed) : BuiltinGraded.CartPole(rows, seed, quality)) { Qualities = BuiltinGraded.Qualities },
        new("cartpole-expert", "the balancing rule", "CartPole-v1", 100_000, (rows, seed, _) => BuiltinControl.CartPole(rows, seed, 0, 0, 0, 0)),
        new("cartpole-medium", "the rule, disturbed, a third to a half of the actions random", "CartPole-v1", 100_000, (rows, seed, _) => BuiltinControl.CartPole(rows, seed, 0, 0.33, 0.5, 0.5)),
        new("cartpole-random", "random actions", "CartPole-v1", 100_000, (rows, seed, _) => BuiltinControl.CartPole(rows, seed, 1, 1, 1, 0)),
        new("mountaincar-continuous", "pushes along the velocity, from strong to too weak, a fifth of the episodes random", "MountainCarContinuous-v0", 100_000, (rows, seed, _) => BuiltinControl.MountainCarContinuous(rows, seed)),
        new("two-modes", "demonstrations of both right actions, half each, with a little noise", "TwoModes-v1", 10_000, (rows, seed, _) => BuiltinControl.TwoModes(rows, seed)),
        .. Maze.All.SelectMany(maze => new[] { false, true }.Select(dense => new BuiltinDataset($"maze2d-{maze.Name}{(dense ? "-dense" : "")}",
            $"waypoint controller on its way to random goals of the {maze.Name} maze, {(dense ? "dense" : "sparse")} reward", $"maze2d-{maze.Name}{(dense ? "-dense" : "")}-{(maze.Name == "open" ? "v0" : "v1")}",
            1_000_000, (rows, seed, _) => BuiltinMaze.Make(maze, dense, rows, seed)))),
        .. Maze.All.Select(maze => new BuiltinDataset($"maze2d-{maze.Name}-expert", $"waypoint controller from random starts to the task's goal in the {maze.Name} maze, in whole episodes", $"maze2d-{maze.Name}-{(maze.Name == "open" ? "v0" : "v1")}",
            100 * maze.MaxSteps, (rows, seed, _) => BuiltinMaze.Make(maze, false, rows, seed, expert: true))),
        .. new[] { ("left", PointMaze.Left), ("right", PointMaze.Right) }.Select(part => new BuiltinDataset($"maze2d-open-{part.Item1}", $"waypoint controller with noise, from starts in the {part.Item1} of the open maze to the goal", $"maze2d-open-{part.Item1}-v0",
            30_000, (rows, seed, _) => BuiltinMaze.Make(Maze.All.First(m => m.Name == "open"), false, rows, seed, expert: true, columns: part.Item2))),
        .. Maze.All.Select(maze => new BuiltinDataset($"maze2d-{maze.Name}-navigate", $"the same with noise, in trajectories that pass several goals of the {maze.Name} maze", $"maze2d-{maze.Name}-goals-v1",
            1_000_000, (rows, seed, _) => BuiltinMaze.Make(maze, false, rows, seed, navigate: true))),
        .. BuiltinGraded.Grids(),
    ];

    /// <summary>Whether a source names one.</summary>
    public static bool Names(string source) => source.StartsWith(Prefix, StringComparison.Ordinal);

    /// <summary>The entry a source names.</summary>
    /// <exception cref="DatasetException">Unknown.</exception>
    public static BuiltinDataset Find(string source)
    {
        string name = source[Prefix.Length..].Split(',')[0];
        return All.FirstOrDefault(d => d.Name == name) ?? throw new DatasetException($"{source}: unknown built-in dataset; {NearNames.Describe(name, All.Select(d => d.Name))}");
    }

    /// <summary>Makes the dataset a source names.</summary>
    /// <exception cref="DatasetException">Unknown, or a number is out of range.</exception>
    public static Dataset Load(string source)
    {
        var entry = Find(source);
        int rows = entry.Rows;
        ulong seed = 0;
        string? quality = null;
        var given = new HashSet<string>();
        foreach (string part in source.Split(',').Skip(1))
        {
            var (key, value) = part.IndexOf('=', StringComparison.Ordinal) is var at and > 0 ? (part[..at], part[(at + 1)..]) : (part, "");
            if (!given.Add(key)) throw new DatasetException($"{source}: {key} is given twice");
            bool good = key switch
            {
                "rows" => int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out rows) && rows is >= 2 and <= 100_000_000,
                "seed" => ulong.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out seed),
                "quality" when entry.Qualities.Count > 0 => entry.Qualities.Contains(quality = value),
                _ => throw new DatasetException($"{source}: {key} is unknown; expected {entry.Usage}"),
            };
            if (!good) throw new DatasetException($"{source}: {part}: expected {key switch { "rows" => "rows=2 to rows=100000000", "seed" => "seed=0 or a larger whole number", _ => "quality=" + string.Join(", ", entry.Qualities) }}");
        }
        return entry.Make(rows, seed, quality) with { Source = source, Environment = entry.Environment };
    }
}
