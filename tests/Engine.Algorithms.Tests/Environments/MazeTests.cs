using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Interop.Numpy;
using Engine.Kernels;

namespace Engine.Algorithms.Tests;

public class MazeTests
{
    [DataTheory]
    [InlineData("umaze")]
    [InlineData("medium")]
    [InlineData("large")]
    public void Steps_equal_MuJoCo_also_in_contact(string name)
    {
        using var golden = NpzFile.Open(SharedData.Path("data/golden/maze2d_f64.npz"));
        double[] Column(string key) => golden.Read($"{name}_{key}").ToDoubles();
        var (states, actions, next, contacts) = (Column("state"), Column("action"), Column("next_state"), Column("contacts"));
        var ball = new PointMass(Maze.All.Single(m => m.Name == name), ContactPreset.MuJoCo222);
        double worst = 0;
        int touching = 0;
        for (int i = 0; i < contacts.Length; i++)
        {
            var s = states.AsSpan(4 * i, 4);
            int active = ball.Step(ref s[0], ref s[1], ref s[2], ref s[3], actions[2 * i], actions[2 * i + 1]);
            Assert.Equal((int)contacts[i], active);
            if (active > 0) touching++;
            for (int j = 0; j < 4; j++) worst = Math.Max(worst, Math.Abs(s[j] - next[4 * i + j]));
        }
        Assert.True(touching >= 1000 && worst < 1e-12, $"{touching} steps in contact, errs by {worst}");

        double[] path = Column("rollout_states"), pushes = Column("rollout_actions"), at = path[..4];
        for (int t = 0; t < 600; t++)
        {
            ball.Step(ref at[0], ref at[1], ref at[2], ref at[3], pushes[2 * t], pushes[2 * t + 1]);
            for (int j = 0; j < 4; j++) Assert.Equal(path[4 * (t + 1) + j], at[j], 1e-8);
        }
    }

    [DataTheory]
    [InlineData("umaze")]
    [InlineData("medium")]
    public void Rows_of_the_files_follow_from_each_other(string name)
    {
        var data = Dataset.Load(SharedData.Path($"data/generated-d4rl-like/maze2d-{name}-sparse.hdf5"));
        var maze = Maze.All.Single(m => m.Name == name);
        var ball = new PointMass(maze, ContactPreset.MuJoCo222);
        double worst = 0;
        for (int i = 0; i + 1 < data.Count; i++)
        {
            double x = data.Observations[4 * i], y = data.Observations[4 * i + 1], vx = data.Observations[4 * i + 2], vy = data.Observations[4 * i + 3];
            Assert.Equal(PointMaze.Reward(maze, false, x, y), data.Rewards[i]);
            ball.Step(ref x, ref y, ref vx, ref vy, data.Actions[2 * i], data.Actions[2 * i + 1]);
            double[] predicted = [x, y, vx, vy];
            for (int j = 0; j < 4; j++) worst = Math.Max(worst, Math.Abs(predicted[j] - data.Observations[4 * (i + 1) + j]));
        }
        Assert.True(worst < 1e-6, $"errs by {worst}");
    }

    [Fact]
    public void Random_pushes_keep_the_ball_inside_under_every_preset()
    {
        foreach (var contacts in new[] { ContactPreset.MuJoCo222, ContactPreset.MuJoCo338, ContactPreset.MuJoCo314 })
            foreach (var maze in Maze.All)
            {
                var ball = new PointMass(maze, contacts);
                var random = new PhiloxStream(4, maze.Name);
                double x = maze.Goal.Row, y = maze.Goal.Column, vx = 0, vy = 0, ax = 0, ay = 0, nearest = 1, fastest = 0;
                int touching = 0;
                var cells = new HashSet<(int, int)>();
                for (int t = 0; t < 100_000; t++)
                {
                    if (t % 25 == 0) (ax, ay) = (random.NextUniform(-1, 1), random.NextUniform(-1, 1));
                    if (ball.Step(ref x, ref y, ref vx, ref vy, ax, ay) > 0) touching++;
                    var (row, column) = ((int)Math.Floor(x + 0.7), (int)Math.Floor(y + 0.7));
                    cells.Add((row, column));
                    Assert.False(maze.IsWall(row, column), $"{maze.Name}: inside a wall at {x}, {y}");
                    for (int i = row - 1; i <= row + 1; i++)
                        for (int j = column - 1; j <= column + 1; j++)
                        {
                            if (!maze.IsWall(i, j)) continue;
                            double dx = Math.Max(0, Math.Abs(x + 1.2 - (i + 1)) - 0.5), dy = Math.Max(0, Math.Abs(y + 1.2 - (j + 1)) - 0.5);
                            nearest = Math.Min(nearest, Math.Sqrt(dx * dx + dy * dy));
                        }
                    fastest = Math.Max(fastest, Math.Max(Math.Abs(vx), Math.Abs(vy)));
                }
                // Walls are soft: at 5 m/s the ball sinks in by some 0.07 of its 0.1 m. The speed is clipped before a step, not after it.
                Assert.True(nearest is > 0.02 and < 0.1, $"{maze.Name}: {nearest} m from a wall");
                Assert.InRange(fastest, 3, 7);
                Assert.True(touching > 5000 && maze.Free.All(cells.Contains) && cells.Count == maze.Free.Count, $"{maze.Name}: {touching} steps in contact, {cells.Count} cells");
            }
    }

    [Fact]
    public void Mirrored_pushes_move_the_ball_along_the_mirrored_path()
    {
        // umaze is its own mirror image from top to bottom, open also from left to right.
        foreach (var contacts in new[] { ContactPreset.MuJoCo222, ContactPreset.MuJoCo338, ContactPreset.MuJoCo314 })
            foreach (var (maze, alongRows) in new[] { (Maze.All[0], true), (Maze.All[3], true), (Maze.All[3], false) })
            {
                var ball = new PointMass(maze, contacts);
                var random = new PhiloxStream(6, maze.Name);
                double size = alongRows ? maze.Rows : maze.Columns, sum = size + 1 - 2 * 1.2, worst = 0; // the middle of the world is at (size + 1) / 2
                double x = 3, y = 3, vx = 0, vy = 0, ax = 0, ay = 0;
                int touching = 0;
                for (int t = 0; t < 20_000; t++)
                {
                    if (t % 25 == 0) (ax, ay) = (random.NextUniform(-1, 1), random.NextUniform(-1, 1));
                    var (mx, my, mvx, mvy) = alongRows ? (sum - x, y, -vx, vy) : (x, sum - y, vx, -vy);
                    int active = ball.Step(ref x, ref y, ref vx, ref vy, ax, ay);
                    if (active > 0) touching++;
                    int mirrored = ball.Step(ref mx, ref my, ref mvx, ref mvy, alongRows ? -ax : ax, alongRows ? ay : -ay);
                    var (ex, ey, evx, evy) = alongRows ? (sum - mx, my, -mvx, mvy) : (mx, sum - my, mvx, -mvy);
                    foreach (double error in new[] { ex - x, ey - y, evx - vx, evy - vy }) worst = Math.Max(worst, Math.Abs(error));
                    Assert.Equal(active, mirrored);
                }
                Assert.True(touching > 2000 && worst < 1e-11, $"{maze.Name}: {touching} steps in contact, differs by {worst}");
            }
    }

    [Fact]
    public void A_ball_that_nobody_pushes_gains_no_speed_from_the_walls()
    {
        foreach (var contacts in new[] { ContactPreset.MuJoCo222, ContactPreset.MuJoCo338, ContactPreset.MuJoCo314 })
            foreach (var maze in Maze.All)
            {
                var ball = new PointMass(maze, contacts);
                var random = new PhiloxStream(7, maze.Name);
                int bounces = 0;
                for (int run = 0; run < 300; run++)
                {
                    var (row, column) = maze.Free[random.NextInt(maze.Free.Count)];
                    double x = row - 0.2, y = column - 0.2, vx = random.NextUniform(-5, 5), vy = random.NextUniform(-5, 5), speed = Math.Sqrt(vx * vx + vy * vy);
                    bool touched = false;
                    for (int t = 0; t < 200; t++)
                    {
                        if (ball.Step(ref x, ref y, ref vx, ref vy, 0, 0) > 0)
                        {
                            touched = true;
                            continue;
                        }
                        double now = Math.Sqrt(vx * vx + vy * vy);
                        Assert.True(now < speed, $"{maze.Name}: {speed} m/s, then {now}");
                        if (touched) bounces++;
                        (speed, touched) = (now, false);
                    }
                }
                Assert.True(bounces > 300);
            }
    }

    [Fact]
    public void Presets_differ_where_a_wall_pushes_and_only_there()
    {
        var maze = Maze.All[0];
        (double, double) After(ContactPreset contacts, double x)
        {
            var ball = new PointMass(maze, contacts);
            double y = 1, vx = -1, vy = 0;
            ball.Step(ref x, ref y, ref vx, ref vy, -1, 0);
            return (x, vx);
        }
        // Against the wall at low x, the face of which is at q = 0.3 - 1.2 + 0.5 ... the ball's play ends at 0.4.
        Assert.NotEqual(After(ContactPreset.MuJoCo222, 0.395), After(ContactPreset.MuJoCo338, 0.395));
        Assert.NotEqual(After(ContactPreset.MuJoCo338, 0.403), After(ContactPreset.MuJoCo314, 0.403)); // between the margins
        Assert.Equal(After(ContactPreset.MuJoCo222, 0.6), After(ContactPreset.MuJoCo314, 0.6));
    }

    [Theory]
    [InlineData("umaze", 0.066, 0.080, 60, 80)]
    [InlineData("medium", 0.015, 0.032, 140, 175)]
    public void Builtin_data_have_the_statistics_of_the_recipe(string name, double low, double high, int shortest, int longest)
    {
        var data = Dataset.Load($"builtin:maze2d-{name},rows=100000");
        Assert.Equal($"maze2d-{name}-v1", data.Environment);
        Assert.InRange(data.Rewards.Average(), low, high);
        var lengths = new List<int>();
        int length = 0;
        foreach (bool end in data.Timeouts)
        {
            length++;
            if (!end) continue;
            lengths.Add(length);
            length = 0;
        }
        lengths.Sort();
        Assert.InRange(lengths[lengths.Count / 2], shortest, longest);
        Assert.All(data.Terminals, Assert.False);

        // The rows are the physics, no row touches a wall, and no step is longer than the controller can make it.
        var ball = new PointMass(Maze.All.Single(m => m.Name == name), ContactPreset.MuJoCo222);
        for (int i = 0; i + 1 < 20_000; i++)
        {
            double x = data.Observations[4 * i], y = data.Observations[4 * i + 1], vx = data.Observations[4 * i + 2], vy = data.Observations[4 * i + 3];
            Assert.Equal(0, ball.Step(ref x, ref y, ref vx, ref vy, data.Actions[2 * i], data.Actions[2 * i + 1]));
            Assert.Equal(x, data.Observations[4 * (i + 1)], 1e-6);
            Assert.InRange(Math.Abs(data.Observations[4 * (i + 1)] - data.Observations[4 * i]), 0, 0.0525);
        }
    }

    [Fact]
    public void Builtin_data_begin_alike_whatever_their_size_and_differ_by_seed()
    {
        Dataset a = Dataset.Load("builtin:maze2d-large,rows=3000"), b = Dataset.Load("builtin:maze2d-large,rows=2000"), c = Dataset.Load("builtin:maze2d-large,rows=3000,seed=1");
        Assert.Equal(a.Observations[..8000], b.Observations);
        Assert.NotEqual(a.Observations, c.Observations);
        Assert.Equal(Dataset.Load("builtin:maze2d-large,rows=3000").Actions, a.Actions);
        Assert.Contains(Dataset.Load("builtin:maze2d-large-dense,rows=3000").Rewards, r => r is > 0 and < 1);
    }
}
