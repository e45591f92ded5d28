using Engine.Algorithms.Environments;
using Engine.Algorithms.Environments.Grids;
using Engine.Kernels;

namespace Engine.Algorithms.Tests;

public class GridTests
{
    private static readonly GridTask Small = GridTask.All.First(t => t.Id == "MiniGrid-DoorKey-5x5-v0");

    public static TheoryData<string> Ids => new(GridTask.All.Select(t => t.Id));

    private static GridTask Find(string id) => GridTask.All.First(t => t.Id == id);

    private static GridWorld In(string map, Cell target = default)
    {
        var world = new GridWorld(1, Small);
        world.Start(0, GridLevel.Parse(map, target));
        return world;
    }

    private static (float Reward, bool Terminal) Do(GridWorld world, params GridAction[] actions)
    {
        var (reward, terminal) = (new float[1], new bool[1]);
        foreach (var action in actions)
        {
            Assert.False(terminal[0]);
            world.Step([(float)action], reward, terminal);
        }
        return (reward[0], terminal[0]);
    }

    [Fact]
    public void Turning_and_walking_follow_the_rules()
    {
        var world = In("WGWGWGWG\nWG>>  WG\nWG  GGWG\nWGWGWGWG");
        Do(world, GridAction.Forward);
        Assert.Equal("WGWGWGWG\nWG  >>WG\nWG  GGWG\nWGWGWGWG", world.Snapshot(0).ToString());
        Do(world, GridAction.Forward, GridAction.Left, GridAction.Forward); // walls stop it
        Assert.Equal("WGWGWGWG\nWG  ^^WG\nWG  GGWG\nWGWGWGWG", world.Snapshot(0).ToString());
        Do(world, GridAction.Left, GridAction.Left, GridAction.Right, GridAction.Right, GridAction.Done, GridAction.Right, GridAction.Right);
        Assert.Equal("WGWGWGWG\nWG  VVWG\nWG  GGWG\nWGWGWGWG", world.Snapshot(0).ToString());
        // The twelfth of at most 250 steps.
        Assert.Equal(((float)(1 - 0.9 * (12 / 250.0)), true), Do(world, GridAction.Forward));
        var success = new float[1];
        world.Measure(success);
        Assert.Equal(1, success[0]);
    }

    [Fact]
    public void Doors_open_close_and_lock()
    {
        var world = In("WGWGWGWGWG\nWG>>DR  WG\nWGWGWGWGWG");
        Do(world, GridAction.Forward);
        Assert.Contains(">>DR", world.Snapshot(0).ToString(), StringComparison.Ordinal);
        Do(world, GridAction.Toggle);
        Assert.Equal(Cell.Door(Colour.Red, DoorState.Open), world.Snapshot(0)[2, 1]);
        Do(world, GridAction.Toggle);
        Assert.Equal(Cell.Door(Colour.Red, DoorState.Closed), world.Snapshot(0)[2, 1]);
        Do(world, GridAction.Toggle, GridAction.Forward, GridAction.Forward);
        Assert.Contains("__>>", world.Snapshot(0).ToString(), StringComparison.Ordinal);

        // Locked: only a key of its colour opens it, stays in hand, and closing does not lock it again.
        world = In("WGWGWGWGWGWG\nWGKB>>LYKYWG\nWGWGWGWGWGWG");
        Do(world, GridAction.Toggle, GridAction.Left, GridAction.Left, GridAction.Take, GridAction.Right, GridAction.Right, GridAction.Toggle);
        Assert.Equal(Cell.Door(Colour.Yellow, DoorState.Locked), world.Snapshot(0)[3, 1]);
        world = In("WGWGWGWGWGWG\nWGKY>>LYKBWG\nWGWGWGWGWGWG");
        Do(world, GridAction.Left, GridAction.Left, GridAction.Take, GridAction.Right, GridAction.Right, GridAction.Toggle);
        Assert.Equal(Cell.Door(Colour.Yellow, DoorState.Open), world.Snapshot(0)[3, 1]);
        Assert.Equal(Cell.Of(Kind.Key, Colour.Yellow), world.Carried(0));
        Do(world, GridAction.Toggle);
        Assert.Equal(Cell.Door(Colour.Yellow, DoorState.Closed), world.Snapshot(0)[3, 1]);
    }

    [Fact]
    public void Things_are_taken_one_at_a_time_and_put_down_on_nothing()
    {
        var world = In("WGWGWGWGWG\nWG  >>KRWG\nWG  AGBPWG\nWGWGWGWGWG");
        Do(world, GridAction.Drop, GridAction.Forward, GridAction.Take); // an empty hand drops nothing, a key stops it
        Assert.Equal("WGWGWGWGWG\nWG  >>  WG\nWG  AGBPWG\nWGWGWGWGWG", world.Snapshot(0).ToString());
        Do(world, GridAction.Right, GridAction.Take, GridAction.Drop); // the hand is full, the ball is in the way
        Assert.Equal("WGWGWGWGWG\nWG  VV  WG\nWG  AGBPWG\nWGWGWGWGWG", world.Snapshot(0).ToString());
        Do(world, GridAction.Right, GridAction.Drop);
        Assert.Equal("WGWGWGWGWG\nWGKR<<  WG\nWG  AGBPWG\nWGWGWGWGWG", world.Snapshot(0).ToString());
        Assert.Equal(default, world.Carried(0));
        Do(world, GridAction.Left, GridAction.Take, GridAction.Drop); // a ball may be taken and put back
        Assert.Equal("WGWGWGWGWG\nWGKRVV  WG\nWG  AGBPWG\nWGWGWGWGWG", world.Snapshot(0).ToString());
    }

    [Fact]
    public void Boxes_hold_keys_and_targets_end_the_episode()
    {
        var level = GridLevel.Parse("WGWGWGWG\nWG>>BPWG\nWGABAGWG\nWGWGWGWG", Cell.Of(Kind.Ball, Colour.Blue));
        level[2, 1] = Cell.Box(Colour.Grey, Cell.Of(Kind.Key, Colour.Purple));
        var world = new GridWorld(1, Small);
        world.Start(0, level);
        Do(world, GridAction.Toggle);
        Assert.Equal(Cell.Of(Kind.Key, Colour.Purple), world.Snapshot(0)[2, 1]);
        Do(world, GridAction.Take, GridAction.Right);
        Assert.Equal((0f, false), Do(world, GridAction.Take)); // not with a full hand
        Do(world, GridAction.Left, GridAction.Drop, GridAction.Right);
        Assert.Equal(((float)(1 - 0.9 * (8 / 250.0)), true), Do(world, GridAction.Take));
        // A box may be carried with what it holds; an empty one is gone when opened.
        world.Start(0, level);
        Do(world, GridAction.Take, GridAction.Drop, GridAction.Toggle);
        Assert.Equal(Cell.Of(Kind.Key, Colour.Purple), world.Snapshot(0)[2, 1]);
        world = In("WGWGWGWG\nWG>>BPWG\nWGWGWGWG");
        Do(world, GridAction.Toggle);
        Assert.Equal(Cell.Empty, world.Snapshot(0)[2, 1]);
    }

    [Fact]
    public void The_view_looks_ahead_and_ends_at_walls_and_doors()
    {
        // Facing right: up in the view is right in the map, the view's right is down.
        var world = In("WGWGWGWGWGWG\nWG>>  DRGGWG\nWGKY  WG  WG\nWGWGWGWGWGWG");
        var view = new float[147];
        world.Observe(view);
        Assert.Equal((Kind.Empty, Colour.Red), At(3, 6)); // itself
        Assert.Equal((Kind.Empty, Colour.Red), At(3, 5));
        Assert.Equal((Kind.Door, Colour.Red), At(3, 4));
        Assert.Equal((float)DoorState.Closed, view[(3 * 7 + 4) * 3 + 2]);
        Assert.Equal((Kind.Unseen, Colour.Red), At(3, 3)); // the goal behind the door
        Assert.Equal((Kind.Key, Colour.Yellow), At(4, 6));
        Assert.Equal((Kind.Wall, Colour.Grey), At(2, 5));
        Assert.Equal((Kind.Wall, Colour.Grey), At(4, 4));
        Do(world, GridAction.Forward, GridAction.Toggle);
        world.Observe(view);
        Assert.Equal((Kind.Goal, Colour.Green), At(3, 4));
        // What is carried shows on its own cell.
        Do(world, GridAction.Right, GridAction.Right, GridAction.Forward, GridAction.Left, GridAction.Take);
        world.Observe(view);
        Assert.Equal((Kind.Key, Colour.Yellow), At(3, 6));

        (Kind, Colour) At(int x, int y) => ((Kind)view[(x * 7 + y) * 3], (Colour)view[(x * 7 + y) * 3 + 1]);
    }

    /// <summary>The package's view, cell by cell: coordinates by projection, sight by its two passes over each row.</summary>
    [Theory, MemberData(nameof(Ids))]
    public void Views_agree_with_a_slow_independent_one(string id)
    {
        var world = new GridWorld(1, Find(id));
        var random = new PhiloxStream(5, id);
        var (reward, terminal, view) = (new float[1], new bool[1], new float[147]);
        for (int t = 0; t < 3000; t++)
        {
            if (t % 100 == 0 || terminal[0]) world.Reset(0, random);
            world.Observe(view);
            Assert.Equal(Slow(world), view);
            world.Step([random.NextInt(8) is var a && a > 6 ? 2 : a], reward, terminal);
        }

        static float[] Slow(GridWorld world)
        {
            var level = world.Snapshot(0);
            var (ax, ay) = (level.Agent % level.Stride - GridLevel.Margin, level.Agent / level.Stride - GridLevel.Margin);
            (int X, int Y)[] vectors = [(1, 0), (0, 1), (-1, 0), (0, -1)];
            var (dx, dy) = vectors[level.Direction];
            var (rx, ry) = (-dy, dx);
            var cells = new Cell[7, 7];
            for (int i = 0; i < 7; i++)
                for (int j = 0; j < 7; j++)
                {
                    int x = ax + dx * (6 - j) + rx * (i - 3), y = ay + dy * (6 - j) + ry * (i - 3);
                    cells[i, j] = x < 0 || y < 0 || x >= level.Width || y >= level.Height ? Cell.Wall : level[x, y];
                }
            var seen = new bool[7, 7];
            seen[3, 6] = true;
            for (int j = 6; j >= 0; j--)
            {
                for (int i = 0; i < 6; i++) Spread(i, j, 1);
                for (int i = 6; i > 0; i--) Spread(i, j, -1);
            }
            var view = new List<float>();
            for (int i = 0; i < 7; i++)
                for (int j = 0; j < 7; j++)
                {
                    var cell = (i, j) == (3, 6) ? world.Carried(0) is { Bits: > 0 } carried ? carried : Cell.Empty : cells[i, j];
                    view.AddRange(seen[i, j] ? [(float)cell.Kind, (float)cell.Colour, (float)cell.State] : [0, 0, 0]);
                }
            return view.ToArray();

            void Spread(int i, int j, int to)
            {
                if (!seen[i, j] || cells[i, j].Kind == Kind.Wall || (cells[i, j].Kind == Kind.Door && cells[i, j].State != DoorState.Open)) return;
                seen[i + to, j] = true;
                if (j > 0) seen[i + to, j - 1] = seen[i, j - 1] = true;
            }
        }
    }

    [Theory, MemberData(nameof(Ids))]
    public void Levels_come_from_their_number_and_can_be_solved(string id)
    {
        var task = Find(id);
        var (world, again, planner) = (new GridWorld(1, task), new GridWorld(1, task), new GridPlanner());
        var (reward, terminal, success) = (new float[1], new bool[1], new float[1]);
        var seen = new HashSet<string>();
        int levels = id.Contains("Full", StringComparison.Ordinal) || id.Contains("2Q", StringComparison.Ordinal) ? 40 : 150;
        for (uint number = 0; number < levels; number++)
        {
            world.Start(0, number);
            again.Start(0, number);
            string map = world.Snapshot(0).ToString();
            Assert.Equal(map, again.Snapshot(0).ToString());
            Assert.Equal(number, world.Level(0));
            seen.Add(map);
            terminal[0] = false;
            for (int t = 0; t < task.MaxSteps && !terminal[0]; t++) world.Step([(float)planner.Act(world, 0)], reward, terminal);
            Assert.True(terminal[0], $"level {number} is not solved in {task.MaxSteps} steps:\n{map}\n\n{world.Snapshot(0)}");
            world.Measure(success);
            Assert.Equal(1, success[0]);
            Assert.InRange(reward[0], 0.1f, 1f);
        }
        Assert.True(seen.Count > levels / 4, $"{seen.Count} of {levels} levels differ");
    }

    /// <summary>A third of the actions are at random, and the planner goes on from wherever that leads.</summary>
    [Theory, MemberData(nameof(Ids))]
    public void The_planner_goes_on_from_anywhere(string id)
    {
        var task = Find(id);
        var (world, planner, random) = (new GridWorld(1, task), new GridPlanner(), new PhiloxStream(9, id));
        var (reward, terminal) = (new float[1], new bool[1]);
        int solved = 0;
        const int episodes = 40;
        for (uint number = 0; number < episodes; number++)
        {
            world.Start(0, number);
            terminal[0] = false;
            for (int t = 0; t < task.MaxSteps && !terminal[0]; t++) world.Step([random.NextInt(3) == 0 ? random.NextInt(7) : (float)planner.Act(world, 0)], reward, terminal);
            if (terminal[0]) solved++;
        }
        Assert.True(solved >= episodes * 0.8, $"{solved} of {episodes}");
    }

    [Fact]
    public void Levels_are_as_the_families_say()
    {
        foreach (var task in GridTask.All)
        {
            var level = new GridLevel();
            for (uint number = 0; number < 50; number++)
            {
                task.Make(level, new PhiloxStream(number, task.Id));
                var cells = level.Cells.ToArray().Select(c => new Cell(c)).ToArray();
                int Count(Kind kind, DoorState state = 0) => cells.Count(c => c.Kind == kind && c.State == state);
                int hidden = cells.Count(c => c.Kind == Kind.Box && c.Inside.Kind == Kind.Key), closed = Count(Kind.Door, DoorState.Closed), locked = Count(Kind.Door, DoorState.Locked);
                Assert.Equal(0, Count(Kind.Door));
                Assert.Equal(Cell.Empty.Bits, level.Cells[level.Agent]);
                string name = task.Id.Split('-')[1];
                if (name == "DoorKey") Assert.Equal((1, 1, 1, 0), (locked, Count(Kind.Key), Count(Kind.Goal), closed));
                if (name == "MultiRoom") Assert.Equal((task.MaxSteps / 20 - 1, 0, 1), (closed, locked, Count(Kind.Goal)));
                if (name.StartsWith("KeyCorridor", StringComparison.Ordinal)) Assert.Equal((1, 1, 1), (locked, Count(Kind.Key), cells.Count(c => c == level.Target)));
                if (name != "ObstructedMaze") continue;
                Assert.Equal(1, cells.Count(c => c == level.Target));
                var (doors, boxes, balls, between) = task.Id.Split('-')[2] switch
                {
                    "1Dl" => (1, 0, 0, 0),
                    "1Dlh" => (1, 1, 0, 0),
                    "1Dlhb" => (1, 1, 1, 0),
                    "2Dl" => (2, 0, 0, 1),
                    "2Dlh" => (2, 2, 0, 1),
                    "2Dlhb" or "1Q" => (2, 2, 2, 1),
                    "2Q" => (4, 4, 4, 2),
                    _ => (8, 8, 8, 4),
                };
                Assert.Equal((doors, boxes, balls, between, doors - boxes), (locked, hidden, Count(Kind.Ball) - 1, closed, Count(Kind.Key)));
            }
        }
    }

    [Fact]
    public void A_batch_is_its_copies_alone_and_saved_states_go_on_alike()
    {
        foreach (string id in new[] { "MiniGrid-DoorKey-8x8-v0", "MiniGrid-MultiRoom-N4-S5-v1", "MiniGrid-KeyCorridorS4R3-v0", "MiniGrid-ObstructedMaze-1Dlhb-v0" })
        {
            const int copies = 5;
            var together = new GridWorld(copies, Find(id));
            var alone = Enumerable.Range(0, copies).Select(_ => new GridWorld(1, Find(id))).ToArray();
            var random = new PhiloxStream(3, "actions");
            var (rewards, terminals, seen, actions) = (new float[copies], new bool[copies], new float[copies * 147], new float[copies]);
            var (reward, terminal, one) = (new float[1], new bool[1], new float[147]);
            IEnvironment? resumed = null;
            for (int t = 0; t < 1000; t++)
            {
                for (int i = 0; i < copies; i++)
                    if (t == 0 || terminals[i] || t % 250 == 0)
                    {
                        together.Reset(i, new PhiloxStream((ulong)t, $"start[{i}]"));
                        alone[i].Reset(0, new PhiloxStream((ulong)t, $"start[{i}]"));
                        resumed?.Reset(i, new PhiloxStream((ulong)t, $"start[{i}]"));
                    }
                for (int i = 0; i < copies; i++) actions[i] = random.NextInt(7);
                together.Step(actions, rewards, terminals);
                together.Observe(seen);
                for (int i = 0; i < copies; i++)
                {
                    alone[i].Step(actions.AsSpan(i, 1), reward, terminal);
                    alone[i].Observe(one);
                    Assert.Equal((rewards[i], terminals[i]), (reward[0], terminal[0]));
                    Assert.True(one.AsSpan().SequenceEqual(seen.AsSpan(i * 147, 147)));
                }
                if (resumed is not null)
                {
                    var (r, d, s) = (new float[copies], new bool[copies], new float[copies * 147]);
                    resumed.Step(actions, r, d);
                    resumed.Observe(s);
                    Assert.Equal(rewards, r);
                    Assert.Equal(seen, s);
                }
                if (t != 333) continue;
                using var stream = new MemoryStream();
                using var writer = new BinaryWriter(stream);
                together.Save(writer);
                stream.Position = 0;
                resumed = new GridWorld(copies, Find(id));
                using var reader = new BinaryReader(stream);
                resumed.Load(reader);
                Assert.Equal(stream.Length, stream.Position);
            }
        }
    }
}
