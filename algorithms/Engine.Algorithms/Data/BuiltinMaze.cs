using Engine.Algorithms.Environments;
using Engine.Kernels;

namespace Engine.Algorithms.Data;

/// <summary>
/// <c>builtin:maze2d-*</c>: D4RL's recipe. A waypoint controller drives the ball to one random goal after the other in a single endless trajectory; the rewards are those of the
/// task's fixed goal. Unlike D4RL's own files a row after a change of goal shows the newest state. <c>builtin:maze2d-*-navigate</c> is for tasks with goals, as OGBench's sets of that name: trajectories of 1,000 rows that pass
/// several goals one after the other, with D4RL's noise on every action, so that the way to a later state is seldom the shortest.
/// </summary>
public static class BuiltinMaze
{
    private const int NavigateRows = 1000;
    private const double NavigateNoise = 0.5; // D4RL's generate_maze2d_datasets.py --noisy

    /// <summary>The dataset; equal seed and size give equal rows, and more rows begin with the same ones.</summary>
    /// <param name="maze">The map.</param>
    /// <param name="dense">Which reward.</param>
    /// <param name="rows">How many.</param>
    /// <param name="seed">Of starts, targets and noise.</param>
    /// <param name="navigate">In trajectories with noise that pass several goals.</param>
    /// <param name="expert">In episodes from random starts to the task's own goal, where the ball stays until time is up.</param>
    /// <param name="columns">Of an expert with noise whose episodes begin in cells of these columns; null: without, anywhere.</param>
    public static Dataset Make(Maze maze, bool dense, int rows, ulong seed, bool navigate = false, bool expert = false, (int First, int Last)? columns = null)
    {
        var random = new PhiloxStream(seed, $"builtin:maze2d-{maze.Name}");
        var controller = new WaypointController(maze, random);
        var ball = new PointMass(maze, ContactPreset.MuJoCo222);
        var (observations, actions, rewards, timeouts) = (new float[4 * rows], new float[2 * rows], new float[rows], new bool[rows]);
        var target = Target();
        Span<double> s = stackalloc double[4];
        PointMaze.Start(maze, s, random, columns);
        int time = 0;
        for (int t = 0; t < rows; t++)
        {
            var (ax, ay, solved) = controller.Act(s[0], s[1], s[2], s[3], target.X, target.Y);
            bool done = expert ? time >= maze.MaxSteps - 1 : solved || time >= maze.MaxSteps;
            if (navigate || columns is not null) (ax, ay) = (Math.Clamp(ax + NavigateNoise * random.NextNormal(), -1, 1), Math.Clamp(ay + NavigateNoise * random.NextNormal(), -1, 1));
            for (int j = 0; j < 4; j++) observations[4 * t + j] = (float)s[j];
            (actions[2 * t], actions[2 * t + 1]) = ((float)ax, (float)ay);
            rewards[t] = PointMaze.Reward(maze, dense, observations[4 * t], observations[4 * t + 1]);
            timeouts[t] = navigate ? (t + 1) % NavigateRows == 0 : done;
            // The recorded action is what the simulator gets, so that the rows can be replayed.
            ball.Step(ref s[0], ref s[1], ref s[2], ref s[3], actions[2 * t], actions[2 * t + 1]);
            time = done ? 0 : time + 1;
            if (done) target = Target();
            if (!expert || !done) continue;
            PointMaze.Start(maze, s, random, columns);
            controller = new WaypointController(maze, random);
        }
        var ends = (bool[])timeouts.Clone();
        ends[^1] = true;
        string name = $"maze2d-{maze.Name}{(dense ? "-dense" : navigate ? "-navigate" : expert ? "-expert" : "")}";
        return new Dataset
        {
            Source = "builtin:" + name,
            Layout = "builtin",
            ObservationSize = 4,
            ActionSize = 2,
            ActionSpace = ActionBounds.Unit(2),
            Observations = observations,
            Actions = actions,
            Rewards = rewards,
            Terminals = new bool[rows],
            Timeouts = timeouts,
            Ends = ends,
            Environment = navigate ? $"maze2d-{maze.Name}-goals-v1" : $"maze2d-{maze.Name}{(dense ? "-dense" : "")}" + (maze.Name == "open" ? "-v0" : "-v1"),
        };

        (double X, double Y) Target()
        {
            if (expert) return maze.Goal;
            var (row, column) = maze.Free[random.NextInt(maze.Free.Count)];
            return (row + random.NextUniform(-0.1, 0.1), column + random.NextUniform(-0.1, 0.1));
        }
    }

    /// <summary>Plans over cells, then steers to one waypoint after the other (D4RL's waypoint_controller and q_iteration; docs/environments.md).</summary>
    private sealed class WaypointController(Maze maze, PhiloxStream random)
    {
        private const double Proportional = 10, Derivative = -1, Threshold = 0.1;
        private const int Sweeps = 50, MaxMoves = 100;
        private static readonly (int Row, int Column)[] Moves = [(0, 0), (0, -1), (0, 1), (-1, 0), (1, 0)];

        private readonly Dictionary<int, int[]> _policies = [];
        private readonly List<(double X, double Y)> _waypoints = [];
        private (int Row, int Column) _goal;
        private (double X, double Y) _previous;
        private int _next;

        /// <summary>An action within ±1 at a position and velocity, on the way to the cell of a target; and whether that cell's coordinate is reached.</summary>
        public (double X, double Y, bool Solved) Act(double x, double y, double vx, double vy, double targetX, double targetY)
        {
            if (_goal != Cell(targetX, targetY)) Plan(Cell(x, y), Cell(targetX, targetY));
            bool slow = Distance(_previous.X - x, _previous.Y - y) < Threshold;
            bool solved = slow && Distance(x - _goal.Row, y - _goal.Column) < Threshold;
            var w = solved ? _goal : _waypoints[_next];
            double ax = Math.Clamp(Proportional * (w.X - x) + Derivative * vx, -1, 1), ay = Math.Clamp(Proportional * (w.Y - y) + Derivative * vy, -1, 1);
            if (!solved && slow && Distance(x - w.X, y - w.Y) < Threshold) _next++;
            _previous = (x, y);
            return (ax, ay, solved);
        }

        private static double Distance(double x, double y) => Math.Sqrt(x * x + y * y);

        private static (int Row, int Column) Cell(double x, double y) => ((int)Math.Round(x), (int)Math.Round(y));

        private void Plan((int Row, int Column) start, (int Row, int Column) goal)
        {
            int target = Index(goal), state = Index(start);
            if (!_policies.TryGetValue(target, out int[]? policy)) _policies[target] = policy = Greedy(target);
            _waypoints.Clear();
            for (int move = 0; move < MaxMoves; move++)
            {
                state = Next(state, policy[state]);
                if (state == target)
                {
                    _waypoints.Add(goal);
                    break;
                }
                // Integer coordinates lie 0.2 off the middle of a cell; the noise only points there.
                _waypoints.Add((state / maze.Columns - 0.2 * random.NextUnit(), state % maze.Columns - 0.2 * random.NextUnit()));
            }
            (_goal, _next, _previous) = (goal, 0, start);
        }

        private int Index((int Row, int Column) cell) => cell.Row * maze.Columns + cell.Column;

        private int Next(int state, int move)
        {
            int row = state / maze.Columns + Moves[move].Row, column = state % maze.Columns + Moves[move].Column;
            return (uint)row >= (uint)maze.Rows || (uint)column >= (uint)maze.Columns || maze.IsWall(row, column) ? state : row * maze.Columns + column;
        }

        /// <summary>The best move of every cell after 50 sweeps of value iteration, ties to the first move.</summary>
        private int[] Greedy(int goal)
        {
            int cells = maze.Rows * maze.Columns;
            var value = new double[cells];
            var q = new double[cells * Moves.Length];
            for (int sweep = 0; sweep < Sweeps; sweep++)
            {
                for (int s = 0; s < cells; s++)
                    for (int b = 0; b < Moves.Length; b++) q[s * Moves.Length + b] = (s == goal ? 1 : 0) + 0.99 * value[Next(s, b)];
                for (int s = 0; s < cells; s++) value[s] = q.AsSpan(s * Moves.Length, Moves.Length).ToArray().Max();
            }
            return Enumerable.Range(0, cells).Select(s =>
            {
                int best = 0;
                for (int b = 1; b < Moves.Length; b++)
                    if (q[s * Moves.Length + b] > q[s * Moves.Length + best]) best = b;
                return best;
            }).ToArray();
        }
    }
}
