using Engine.Algorithms.Environments;
using Engine.Kernels;

namespace Engine.Algorithms.Tests;

public class GoalPointMazeTests
{
    // Gymnasium-Robotics' own maps (1 is a wall) and what its formulae make of them: cell (i, j) has its middle at ((j + 0.5) - W/2, H/2 - (i + 0.5)).
    private static readonly Dictionary<string, (string Map, int Steps)> Tasks = new()
    {
        ["UMaze"] = ("11111/10001/11101/10001/11111", 300),
        ["Open"] = ("1111111/1000001/1000001/1000001/1111111", 300),
        ["Medium"] = ("11111111/10011001/10010001/11000111/10010001/10100101/10001001/11111111", 600),
        ["Large"] = ("111111111111/100001000001/101101010101/100000010001/101111011101/100101000001/110101010111/100100010001/111111111111", 800),
    };

    private static (char Kind, double FromMiddleX, double FromMiddleY) Cell(string[] rows, double x, double y)
    {
        double width = rows[0].Length, height = rows.Length;
        int i = (int)Math.Floor(height / 2 - y), j = (int)Math.Floor(x + width / 2);
        return (rows[i][j], x - (j + 0.5 - width / 2), y - (height / 2 - (i + 0.5)));
    }

    /// <summary>Metres from a point to the nearest wall; 0 inside one.</summary>
    private static double FromWall(string[] rows, double x, double y)
    {
        double nearest = double.PositiveInfinity, width = rows[0].Length, height = rows.Length;
        for (int i = 0; i < rows.Length; i++)
            for (int j = 0; j < rows[0].Length; j++)
            {
                if (rows[i][j] != '1') continue;
                double dx = Math.Max(0, Math.Abs(x - (j + 0.5 - width / 2)) - 0.5), dy = Math.Max(0, Math.Abs(y - (height / 2 - (i + 0.5))) - 0.5);
                nearest = Math.Min(nearest, Math.Sqrt(dx * dx + dy * dy));
            }
        return nearest;
    }

    [Theory]
    [InlineData("UMaze")]
    [InlineData("Open")]
    [InlineData("Medium")]
    [InlineData("Large")]
    public void Starts_goals_walls_and_rewards_are_those_of_the_package(string name)
    {
        string[] rows = Tasks[name].Map.Split('/');
        var (sparse, dense) = ((GoalPointMaze)EnvironmentCatalogue.Find($"PointMaze_{name}-v3").Create(300), (GoalPointMaze)EnvironmentCatalogue.Find($"PointMaze_{name}Dense-v3").Create(300));
        Assert.Equal((Tasks[name].Steps, Tasks[name].Steps), (sparse.MaxSteps, dense.MaxSteps));
        var (cells, goals) = (new HashSet<(int, int)>(), new HashSet<(int, int)>());
        for (int i = 0; i < 300; i++)
        {
            foreach (var environment in new[] { sparse, dense }) environment.Reset(i, new PhiloxStream((ulong)i, "start"));
            double[] s = sparse.State(i).ToArray();
            Assert.Equal((0, 0), (s[2], s[3]));
            foreach (int at in new[] { 0, 4 })
            {
                var (kind, dx, dy) = Cell(rows, s[at], s[at + 1]);
                Assert.Equal('0', kind);
                Assert.True(Math.Abs(dx) <= 0.25 && Math.Abs(dy) <= 0.25);
                (at == 0 ? cells : goals).Add(((int)Math.Floor(s[at]), (int)Math.Floor(s[at + 1] + 0.5 * (rows.Length % 2))));
            }
            var (_, startX, startY) = Cell(rows, s[0], s[1]);
            Assert.True(Math.Sqrt(Math.Pow(s[0] - startX - s[4], 2) + Math.Pow(s[1] - startY - s[5], 2)) > 0.5);
        }
        int free = Tasks[name].Map.Count(c => c == '0');
        Assert.True(cells.Count >= free * 0.9 && goals.Count >= free * 0.9);

        var random = new PhiloxStream(9, name);
        float[] actions = new float[600], rewards = new float[300], denseRewards = new float[300], observations = new float[8 * 300];
        var terminals = new bool[300];
        int inside = 0;
        double furthest = 0, deepest = 0;
        for (int t = 0; t < 300; t++)
        {
            if (t % 20 == 0)
                for (int k = 0; k < actions.Length; k++) actions[k] = (float)random.NextUniform(-1.2, 1.2);
            sparse.Step(actions, rewards, terminals);
            dense.Step(actions, denseRewards, terminals);
            sparse.Observe(observations);
            for (int i = 0; i < 300; i++)
            {
                double[] s = sparse.State(i).ToArray();
                double distance = Math.Sqrt(Math.Pow(s[0] - s[4], 2) + Math.Pow(s[1] - s[5], 2));
                Assert.Equal(distance <= 0.45 ? 1 : 0, rewards[i]);
                Assert.Equal(Math.Exp(-distance), denseRewards[i], 1e-6);
                if (rewards[i] == 1) inside++;
                Assert.False(terminals[i]);
                Assert.Equal(new[] { s[0], s[1], s[4], s[5], s[0], s[1], s[2], s[3] }.Select(v => (float)v), observations[(8 * i)..(8 * i + 8)]);
                deepest = Math.Max(deepest, 0.1 - FromWall(rows, s[0], s[1]));
                furthest = Math.Max(furthest, Math.Abs(s[0]));
            }
        }
        Assert.True(deepest is > 0 and < 0.06, $"the ball sinks {deepest} m into a wall");
        Assert.True(inside > 0 && furthest > rows[0].Length / 2.0 - 1.3, "the balls should reach goals and the outer walls");
    }

    [Fact]
    public void It_moves_as_the_same_ball_does_in_maze2d()
    {
        // World coordinates of maze2d are 1.2 more than its own and have the middle of cell (i, j) at (i + 1, j + 1); x and y change places, and y points up.
        foreach (var maze in Maze.All)
        {
            var (goal, ball) = (new GoalPointMaze(1, maze, false, ContactPreset.MuJoCo222), new PointMass(maze, ContactPreset.MuJoCo222));
            var random = new PhiloxStream(1, maze.Name);
            goal.Reset(0, random);
            var (rewards, terminals, action) = (new float[1], new bool[1], new float[2]);
            int touching = 0;
            double worst = 0;
            for (int t = 0; t < 5000; t++)
            {
                if (t % 25 == 0) (action[0], action[1]) = ((float)random.NextUniform(-1, 1), (float)random.NextUniform(-1, 1));
                double[] s = goal.State(0).ToArray();
                double down = maze.Rows / 2.0 + 0.5 - s[1] - 1.2, right = s[0] + maze.Columns / 2.0 + 0.5 - 1.2, speedDown = -s[3], speedRight = s[2];
                if (ball.Step(ref down, ref right, ref speedDown, ref speedRight, -action[1], action[0]) > 0) touching++;
                goal.Step(action, rewards, terminals);
                s = goal.State(0).ToArray();
                double[] expected = [right + 1.2 - 0.5 - maze.Columns / 2.0, maze.Rows / 2.0 + 0.5 - 1.2 - down, speedRight, -speedDown];
                for (int j = 0; j < 4; j++) worst = Math.Max(worst, Math.Abs(expected[j] - s[j]));
            }
            Assert.True(touching > 500 && worst < 1e-11, $"{maze.Name}: {touching} steps in contact, differs by {worst}");
        }
    }
}
