using Engine.Kernels;

namespace Engine.Algorithms.Environments;

/// <summary>
/// Gymnasium-Robotics' PointMaze v3: maze2d's ball in the world's frame (the maze's middle is the origin, x along its columns, y up), on its way to a goal that is drawn for every episode and stays.
/// State (x, y, vx, vy, goal x, goal y); observation (x, y, goal x, goal y, x, y, vx, vy), which is that package's dictionary (achieved_goal, desired_goal, observation) flattened in the order of
/// its keys, as Gymnasium's wrapper and the Minari reader do; action in [-1, 1]². Reward of the state after the step: 1 within 0.45 m of the goal (sparse), or exp(-distance) (dense). No terminals.
/// </summary>
/// <param name="copies">Copies stepped together.</param>
/// <param name="maze">The map; its own goal is a free cell like the others.</param>
/// <param name="dense">Which reward.</param>
/// <param name="contacts">Which MuJoCo.</param>
public sealed class GoalPointMaze(int copies, Maze maze, bool dense, ContactPreset contacts) : StateEnvironment(copies, 6)
{
    private const double Noise = 0.25, Reached = 0.45, Apart = 0.5, MiddleOfCell = 0.2;

    private readonly PointMass _ball = new(maze, contacts);

    /// <inheritdoc/>
    public override int ObservationSize => 8;

    /// <inheritdoc/>
    public override ActionSpace ActionSpace { get; } = ActionBounds.Unit(2);

    /// <inheritdoc/>
    public override int MaxSteps => maze.Name == "open" ? 300 : maze.MaxSteps;

    /// <inheritdoc/>
    protected override void Reset(Span<double> s, PhiloxStream random)
    {
        s.Clear();
        (s[4], s[5]) = Middle(random);
        (s[4], s[5]) = (s[4] + random.NextUniform(-Noise, Noise), s[5] + random.NextUniform(-Noise, Noise));
        do (s[0], s[1]) = Middle(random);
        while (Distance(s) <= Apart);
        (s[0], s[1]) = (s[0] + random.NextUniform(-Noise, Noise), s[1] + random.NextUniform(-Noise, Noise));
    }

    /// <inheritdoc/>
    protected override void Observe(ReadOnlySpan<double> s, Span<float> observation)
    {
        ReadOnlySpan<int> order = [0, 1, 4, 5, 0, 1, 2, 3];
        for (int i = 0; i < order.Length; i++) observation[i] = (float)s[order[i]];
    }

    /// <inheritdoc/>
    protected override (float Reward, bool Terminal) Step(Span<double> s, ReadOnlySpan<float> action)
    {
        // The ball's first coordinate runs along the maze's rows, downwards.
        double top = maze.Rows / 2.0 - 0.5 - MiddleOfCell, left = maze.Columns / 2.0 - 0.5 - MiddleOfCell;
        double down = top - s[1], right = left + s[0], speedDown = -s[3], speedRight = s[2];
        _ball.Step(ref down, ref right, ref speedDown, ref speedRight, -action[1], action[0]);
        (s[0], s[1], s[2], s[3]) = (right - left, top - down, speedRight, -speedDown);
        double distance = Distance(s);
        return (dense ? (float)Math.Exp(-distance) : distance <= Reached ? 1 : 0, false);
    }

    /// <summary>The middle of a random free cell.</summary>
    private (double X, double Y) Middle(PhiloxStream random)
    {
        var (row, column) = maze.Free[random.NextInt(maze.Free.Count)];
        return (column + 0.5 - maze.Columns / 2.0, maze.Rows / 2.0 - row - 0.5);
    }

    private static double Distance(ReadOnlySpan<double> s) => Math.Sqrt((s[0] - s[4]) * (s[0] - s[4]) + (s[1] - s[5]) * (s[1] - s[5]));

    /// <summary>PointMaze_UMaze-v3, PointMaze_UMazeDense-v3 and so on, with the contacts of MuJoCo 3.3.8. They have no reference returns.</summary>
    internal static IEnumerable<EnvironmentEntry> Entries()
    {
        foreach (var maze in Maze.All)
            foreach (bool dense in new[] { false, true })
            {
                string name = maze.Name == "umaze" ? "UMaze" : char.ToUpperInvariant(maze.Name[0]) + maze.Name[1..];
                yield return new EnvironmentEntry($"PointMaze_{name}{(dense ? "Dense" : "")}-v3", copies => new GoalPointMaze(copies, maze, dense, ContactPreset.MuJoCo338));
            }
    }
}
