using Engine.Kernels;

namespace Engine.Algorithms.Environments;

/// <summary>
/// D4RL's maze2d: steer a ball to a fixed goal; the episode goes on there until its time is up. Observation (x, y, vx, vy), action in [-1, 1]², reward of the state after the step:
/// 1 within 0.5 m of the goal (sparse), or exp(-distance) (dense). State in float64.
/// </summary>
/// <param name="copies">Copies stepped together.</param>
/// <param name="maze">The map.</param>
/// <param name="dense">Which reward.</param>
/// <param name="contacts">Which MuJoCo.</param>
/// <param name="columns">Episodes begin in cells of these columns; null: anywhere.</param>
public sealed class PointMaze(int copies, Maze maze, bool dense, ContactPreset contacts, (int First, int Last)? columns = null) : StateEnvironment(copies, 4)
{
    private readonly PointMass _ball = new(maze, contacts);

    /// <inheritdoc/>
    public override ActionSpace ActionSpace { get; } = ActionBounds.Unit(2);

    /// <inheritdoc/>
    public override int MaxSteps => maze.MaxSteps;

    /// <inheritdoc/>
    protected override void Reset(Span<double> s, PhiloxStream random) => Start(maze, s, random, columns);

    /// <summary>A random free cell, up to 0.1 m from its coordinate, with a small velocity.</summary>
    internal static void Start(Maze maze, Span<double> s, PhiloxStream random, (int First, int Last)? columns = null)
    {
        var free = columns is { } c ? maze.Free.FindAll(cell => cell.Column >= c.First && cell.Column <= c.Last) : maze.Free;
        var (row, column) = free[random.NextInt(free.Count)];
        s[0] = row + random.NextUniform(-0.1, 0.1);
        s[1] = column + random.NextUniform(-0.1, 0.1);
        s[2] = 0.1 * random.NextNormal();
        s[3] = 0.1 * random.NextNormal();
    }

    /// <inheritdoc/>
    protected override (float Reward, bool Terminal) Step(Span<double> s, ReadOnlySpan<float> action)
    {
        _ball.Step(ref s[0], ref s[1], ref s[2], ref s[3], action[0], action[1]);
        return (Reward(maze, dense, s[0], s[1]), false);
    }

    /// <summary>The reward at a position.</summary>
    public static float Reward(Maze maze, bool dense, double x, double y)
    {
        double distance = Math.Sqrt((x - maze.Goal.Row) * (x - maze.Goal.Row) + (y - maze.Goal.Column) * (y - maze.Goal.Column));
        return dense ? (float)Math.Exp(-distance) : distance <= 0.5 ? 1 : 0;
    }

    /// <summary>Columns of the open maze's parts from which episodes of maze2d-open-left-v0 and -right-v0 begin; the goal lies in the right one.</summary>
    internal static readonly (int, int) Left = (1, 1), Right = (3, 5);

    /// <summary>D4RL's tasks with its reference returns, and the parts of the open one.</summary>
    internal static IEnumerable<EnvironmentEntry> Entries()
    {
        var open = Maze.All.First(m => m.Name == "open");
        foreach (var (part, columns) in new[] { ("left", Left), ("right", Right) })
            yield return new EnvironmentEntry($"maze2d-open-{part}-v0", copies => new PointMaze(copies, open, false, ContactPreset.MuJoCo222, columns), NormalizedScores.D4rl("maze2d-open-v0")!.Value.Min, NormalizedScores.D4rl("maze2d-open-v0")!.Value.Max);
        foreach (var maze in Maze.All)
            foreach (bool dense in new[] { false, true })
            {
                string id = $"maze2d-{maze.Name}{(dense ? "-dense" : "")}-{(maze.Name == "open" ? "v0" : "v1")}";
                var (low, high) = NormalizedScores.D4rl(id)!.Value;
                yield return new EnvironmentEntry(id, copies => new PointMaze(copies, maze, dense, ContactPreset.MuJoCo222), low, high);
            }
    }
}
