using Engine.Kernels;

namespace Engine.Algorithms.Environments.Grids;

/// <summary>A family of levels.</summary>
/// <param name="Id">As in MiniGrid.</param>
/// <param name="MaxSteps">Steps of an episode.</param>
/// <param name="Make">Draws a level.</param>
public sealed record GridTask(string Id, int MaxSteps, Action<GridLevel, PhiloxStream> Make)
{
    /// <summary>Columns and rows of a MultiRoom grid.</summary>
    private const int MultiRoomSize = GridLevel.Largest;

    /// <summary>All that are offered, easier ones of a family first.</summary>
    public static IReadOnlyList<GridTask> All { get; } =
    [
        .. new[] { 5, 6, 8, 16 }.Select(size => new GridTask($"MiniGrid-DoorKey-{size}x{size}-v0", 10 * size * size, (level, random) => DoorKey(level, random, size))),
        Rooms("N2-S4-v0", 2, 4), Rooms("N4-S5-v0", 6, 5), Rooms("N4-S5-v1", 4, 5), Rooms("N6-v0", 6, 10), // the package's N4-S5-v0 has six rooms
        .. new[] { (3, 1), (3, 2), (3, 3), (4, 3), (5, 3), (6, 3) }.Select(c =>
            new GridTask($"MiniGrid-KeyCorridorS{c.Item1}R{c.Item2}-v0", 30 * c.Item1 * c.Item1, (level, random) => RoomGrid.KeyCorridor(level, random, c.Item1, c.Item2))),
        .. new[] { ("1Dl-v0", false, false), ("1Dlh-v0", true, false), ("1Dlhb-v0", true, true) }.Select(c => Obstructed(c.Item1, 2, (level, random) => RoomGrid.OneDoor(level, random, c.Item2, c.Item3))),
        .. new[] { ("2Dl-v0", false, false), ("2Dlh-v0", true, false), ("2Dlhb-v1", true, true) }.Select(c => Obstructed(c.Item1, 4, (level, random) => RoomGrid.Quarters(level, random, c.Item2, c.Item3, 1, (2, 1)))),
        Obstructed("1Q-v1", 5, (level, random) => RoomGrid.Quarters(level, random, true, true, 1, (1, 1))),
        Obstructed("2Q-v1", 11, (level, random) => RoomGrid.Quarters(level, random, true, true, 2, (1, 1))),
        Obstructed("Full-v1", 25, (level, random) => RoomGrid.Quarters(level, random, true, true, 4, (1, 1))),
    ];

    /// <summary>The environments.</summary>
    internal static IEnumerable<EnvironmentEntry> Entries() => All.Select(task => new EnvironmentEntry(task.Id, copies => new GridWorld(copies, task), 0, 1));

    private static GridTask Rooms(string name, int rooms, int largest) => new("MiniGrid-MultiRoom-" + name, 20 * rooms, (level, random) => MultiRoom(level, random, rooms, largest));

    private static GridTask Obstructed(string name, int rooms, Action<GridLevel, PhiloxStream> make) => new("MiniGrid-ObstructedMaze-" + name, 4 * rooms * RoomGrid.Obstructed * RoomGrid.Obstructed, make);

    /// <summary>Two rooms, a locked door between them, its key in the left one with the agent, the goal in the far corner of the right one.</summary>
    private static void DoorKey(GridLevel level, PhiloxStream random, int size)
    {
        level.Begin(size, size);
        level.Walls(0, 0, size, size);
        level[size - 2, size - 2] = Cell.Goal;
        int wall = 2 + random.NextInt(size - 4);
        for (int y = 0; y < size; y++) level[wall, y] = Cell.Wall;
        var (x, y0) = level.Free(random, 0, 0, wall, size);
        level.PutAgent(x, y0, random.NextInt(4));
        level[wall, 1 + random.NextInt(size - 3)] = Cell.Door(Colour.Yellow, DoorState.Locked);
        var key = level.Free(random, 0, 0, wall, size);
        level[key.X, key.Y] = Cell.Of(Kind.Key, Colour.Yellow);
    }

    private readonly record struct Room(int X, int Y, int Width, int Height, (int X, int Y) Door);

    /// <summary>A chain of rooms of 4 to <paramref name="largest"/> cells, a closed door from each to the next, the agent in the first and the goal in the last.</summary>
    private static void MultiRoom(GridLevel level, PhiloxStream random, int rooms, int largest)
    {
        List<Room> best = [], chain = [];
        while (best.Count < rooms)
        {
            chain.Clear();
            Place(chain, random, rooms, largest, 2, (random.NextInt(MultiRoomSize - 2), random.NextInt(MultiRoomSize - 2)));
            if (chain.Count > best.Count) (best, chain) = (chain, best);
        }
        level.Begin(MultiRoomSize, MultiRoomSize);
        int last = -1;
        for (int i = 0; i < best.Count; i++)
        {
            var room = best[i];
            level.Walls(room.X, room.Y, room.Width, room.Height);
            if (i == 0) continue;
            int colour = random.NextInt(last < 0 ? 6 : 5); // another one than the last door's
            if (last >= 0 && colour >= last) colour++;
            last = colour;
            level[room.Door.X, room.Door.Y] = Cell.Door((Colour)colour, DoorState.Closed);
        }
        var (x, y) = level.Free(random, best[0].X, best[0].Y, best[0].Width, best[0].Height);
        level.PutAgent(x, y, random.NextInt(4));
        var goal = level.Free(random, best[^1].X, best[^1].Y, best[^1].Width, best[^1].Height);
        level[goal.X, goal.Y] = Cell.Goal;
    }

    /// <summary>Puts a room behind a door, on whose wall (0 right, 1 bottom, 2 left, 3 top of the new room) that lies, then tries eight times to put the next one behind it. False: there is no place for it.</summary>
    private static bool Place(List<Room> chain, PhiloxStream random, int left, int largest, int wall, (int X, int Y) door)
    {
        int width = 4 + random.NextInt(largest - 3), height = 4 + random.NextInt(largest - 3);
        var (x, y) = (chain.Count, wall) switch
        {
            (0, _) => door,
            (_, 0) => (door.X - width + 1, door.Y - height + 2 + random.NextInt(height - 2)),
            (_, 1) => (door.X - width + 2 + random.NextInt(width - 2), door.Y - height + 1),
            (_, 2) => (door.X, door.Y - height + 2 + random.NextInt(height - 2)),
            _ => (door.X - width + 2 + random.NextInt(width - 2), door.Y),
        };
        if (x < 0 || y < 0 || x + width > MultiRoomSize || y + height >= MultiRoomSize) return false;
        // The last room shares a wall with this one.
        for (int i = 0; i < chain.Count - 1; i++)
            if (x + width >= chain[i].X && chain[i].X + chain[i].Width > x && y + height >= chain[i].Y && chain[i].Y + chain[i].Height > y) return false;
        chain.Add(new Room(x, y, width, height, door));
        if (left == 1) return true;
        for (int attempt = 0; attempt < 8; attempt++)
        {
            int exit = random.NextInt(3);
            if (exit >= wall) exit++;
            var next = exit switch
            {
                0 => (x + width - 1, y + 1 + random.NextInt(height - 2)),
                1 => (x + 1 + random.NextInt(width - 2), y + height - 1),
                2 => (x, y + 1 + random.NextInt(height - 2)),
                _ => (x + 1 + random.NextInt(width - 2), y),
            };
            if (Place(chain, random, left - 1, largest, (exit + 2) % 4, next)) break;
        }
        return true;
    }
}
