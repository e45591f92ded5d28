using Engine.Kernels;

namespace Engine.Algorithms.Environments;

/// <summary>
/// maze2d's ball asked to reach a place that is drawn for every episode: the task of goal-conditioned policies, on the same dynamics, observations (x, y, vx, vy) and actions as <see cref="PointMaze"/>, so that its data fit. The goal (x, y) is a
/// free cell, up to 0.1 m from its coordinate, another cell than the start. Reward 1 and the end of the episode within 0.5 m of the goal, else 0; measure <c>success</c>: whether it was reached.
/// </summary>
/// <param name="copies">Copies stepped together.</param>
/// <param name="maze">The map.</param>
/// <param name="contacts">Which MuJoCo.</param>
public sealed class GoalMaze(int copies, Maze maze, ContactPreset contacts) : StateEnvironment(copies, 7)
{
    private const double Reached = 0.5, Noise = 0.1;

    private readonly PointMass _ball = new(maze, contacts);

    /// <inheritdoc/>
    public override int ObservationSize => 4;

    /// <inheritdoc/>
    public override ActionSpace ActionSpace { get; } = ActionBounds.Unit(2);

    /// <inheritdoc/>
    public override Spaces Spaces { get; } = new(4, ActionBounds.Unit(2), new GoalSpace(0, 1));

    /// <inheritdoc/>
    public override IReadOnlyList<string> Measures { get; } = ["success"];

    /// <inheritdoc/>
    public override int MaxSteps => maze.MaxSteps;

    /// <inheritdoc/>
    protected override void Reset(Span<double> s, PhiloxStream random)
    {
        PointMaze.Start(maze, s[..4], random);
        var (startRow, startColumn) = ((int)Math.Round(s[0]), (int)Math.Round(s[1]));
        (int Row, int Column) goal;
        do goal = maze.Free[random.NextInt(maze.Free.Count)];
        while (goal == (startRow, startColumn));
        (s[4], s[5], s[6]) = (goal.Row + random.NextUniform(-Noise, Noise), goal.Column + random.NextUniform(-Noise, Noise), 0);
    }

    /// <inheritdoc/>
    protected override void Observe(ReadOnlySpan<double> s, Span<float> observation)
    {
        for (int i = 0; i < 4; i++) observation[i] = (float)s[i];
    }

    /// <inheritdoc/>
    protected override void Goal(ReadOnlySpan<double> s, Span<float> goal) => (goal[0], goal[1]) = ((float)s[4], (float)s[5]);

    /// <inheritdoc/>
    protected override void Measure(ReadOnlySpan<double> s, Span<float> values) => values[0] = (float)s[6];

    /// <inheritdoc/>
    protected override (float Reward, bool Terminal) Step(Span<double> s, ReadOnlySpan<float> action)
    {
        _ball.Step(ref s[0], ref s[1], ref s[2], ref s[3], action[0], action[1]);
        if ((s[0] - s[4]) * (s[0] - s[4]) + (s[1] - s[5]) * (s[1] - s[5]) > Reached * Reached) return (0, false);
        s[6] = 1;
        return (1, true);
    }

    /// <summary>maze2d-umaze-goals-v1 and so on; 100 of the normalised score is to reach every goal.</summary>
    internal static IEnumerable<EnvironmentEntry> Entries() =>
        Maze.All.Select(maze => new EnvironmentEntry($"maze2d-{maze.Name}-goals-v1", copies => new GoalMaze(copies, maze, ContactPreset.MuJoCo222), 0, 1));
}
