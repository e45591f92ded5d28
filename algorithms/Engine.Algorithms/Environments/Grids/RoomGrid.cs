using Engine.Kernels;

namespace Engine.Algorithms.Environments.Grids;

/// <summary>Levels of equal rooms in rows and columns, with doors between neighbours: MiniGrid's KeyCorridor and ObstructedMaze.</summary>
internal sealed class RoomGrid
{
    /// <summary>Cells on the side of an ObstructedMaze room, its walls included.</summary>
    internal const int Obstructed = 6;

    private static readonly (int X, int Y)[] Sides = [(1, 0), (0, 1), (-1, 0), (0, -1)]; // right, down, left, up

    private readonly GridLevel _level;
    private readonly PhiloxStream _random;
    private readonly int _size, _columns, _rows;
    private readonly (int X, int Y)[,,] _places; // where the door on a side would be
    private readonly bool[,,] _open; // whether there is one
    private readonly bool[,] _locked;

    private RoomGrid(GridLevel level, PhiloxStream random, int size, int columns, int rows)
    {
        (_level, _random, _size, _columns, _rows) = (level, random, size, columns, rows);
        (_places, _open, _locked) = (new (int, int)[columns, rows, 4], new bool[columns, rows, 4], new bool[columns, rows]);
        level.Begin(columns * (size - 1) + 1, rows * (size - 1) + 1);
        for (int j = 0; j < rows; j++)
            for (int i = 0; i < columns; i++)
            {
                var (x, y) = (i * (size - 1), j * (size - 1));
                level.Walls(x, y, size, size);
                if (i < columns - 1) _places[i, j, 0] = _places[i + 1, j, 2] = (x + size - 1, y + 1 + random.NextInt(size - 2));
                if (j < rows - 1) _places[i, j, 1] = _places[i, j + 1, 3] = (x + 1 + random.NextInt(size - 2), y + size - 1);
            }
        // Things are not put beside the agent, and it stands in the middle until it is placed.
        level.PutAgent(columns / 2 * (size - 1) + size / 2, rows / 2 * (size - 1) + size / 2, 0);
    }

    /// <summary>A corridor between two columns of rooms: the ball lies in a room on the right behind a locked door, the key in one on the left.</summary>
    internal static void KeyCorridor(GridLevel level, PhiloxStream random, int size, int rows)
    {
        var grid = new RoomGrid(level, random, size, 3, rows);
        for (int j = 1; j < rows; j++) grid.Join(1, j);
        int room = random.NextInt(rows);
        var door = grid.AddDoor(2, room, 2, (Colour)random.NextInt(6), locked: true);
        level.Target = Cell.Of(Kind.Ball, (Colour)random.NextInt(6));
        grid.Put(2, room, level.Target);
        grid.Put(0, random.NextInt(rows), Cell.Of(Kind.Key, door));
        grid.PutAgent(1, rows / 2);
        grid.ConnectAll();
    }

    /// <summary>Two rooms with a locked door, the key hidden in a box and the door blocked by a ball where asked for; a blue ball in the far one.</summary>
    internal static void OneDoor(GridLevel level, PhiloxStream random, bool hidden, bool blocked)
    {
        var grid = new RoomGrid(level, random, Obstructed, 2, 1);
        var colour = grid.Colours()[0];
        grid.AddLocked(0, 0, 0, colour, blocked);
        grid.PutKey(0, 0, colour, hidden);
        grid.PutTarget(1, 0);
        grid.PutAgent(0, 0);
    }

    /// <summary>Nine rooms: closed doors from the middle to some of its four neighbours, and locked ones from those to both corners beside them; a blue ball in a corner of a quarter that is used.</summary>
    internal static void Quarters(GridLevel level, PhiloxStream random, bool hidden, bool blocked, int quarters, (int Column, int Row) agent)
    {
        ReadOnlySpan<(int, int)> sides = [(2, 1), (1, 2), (0, 1), (1, 0)], corners = [(2, 0), (2, 2), (0, 2), (0, 0)];
        var grid = new RoomGrid(level, random, Obstructed, 3, 3);
        var colours = grid.Colours();
        for (int i = 0; i < quarters; i++)
        {
            grid.AddDoor(1, 1, i, colours[i], locked: false);
            // First both doors, then both keys, as in the package's v1: a ball may not take a key's place.
            foreach (int k in new[] { -1, 1 }) grid.AddLocked(sides[i].Item1, sides[i].Item2, (i + k + 4) % 4, colours[(i + k + 6) % 6], blocked);
            foreach (int k in new[] { -1, 1 }) grid.PutKey(sides[i].Item1, sides[i].Item2, colours[(i + k + 6) % 6], hidden);
        }
        var (column, row) = corners[random.NextInt(quarters)];
        grid.PutTarget(column, row);
        grid.PutAgent(agent.Column, agent.Row);
    }

    /// <summary>The six colours in random order.</summary>
    private Colour[] Colours()
    {
        Span<int> order = [0, 1, 2, 3, 4, 5];
        _random.Shuffle(order);
        return Array.ConvertAll(order.ToArray(), c => (Colour)c);
    }

    private void PutTarget(int column, int row)
    {
        _level.Target = Cell.Of(Kind.Ball, Colour.Blue);
        Put(column, row, _level.Target);
    }

    private (int X, int Y) Corner(int column, int row) => (column * (_size - 1), row * (_size - 1));

    /// <summary>Removes the wall between a room and the one above.</summary>
    private void Join(int column, int row)
    {
        var (x, y) = Corner(column, row);
        for (int i = 1; i < _size - 1; i++) _level[x + i, y] = Cell.Empty;
        _open[column, row, 3] = _open[column, row - 1, 1] = true;
    }

    private Colour AddDoor(int column, int row, int side, Colour colour, bool locked)
    {
        var (x, y) = _places[column, row, side];
        _level[x, y] = Cell.Door(colour, locked ? DoorState.Locked : DoorState.Closed);
        _open[column, row, side] = _open[column + Sides[side].X, row + Sides[side].Y, (side + 2) % 4] = true;
        _locked[column, row] = locked;
        return colour;
    }

    private void AddLocked(int column, int row, int side, Colour colour, bool blocked)
    {
        var (x, y) = _places[column, row, side];
        AddDoor(column, row, side, colour, locked: true);
        if (blocked) _level[x - Sides[side].X, y - Sides[side].Y] = Cell.Of(Kind.Ball, Colour.Green);
    }

    private void PutKey(int column, int row, Colour colour, bool hidden)
    {
        var key = Cell.Of(Kind.Key, colour);
        Put(column, row, hidden ? Cell.Box(Colour.Grey, key) : key);
    }

    private void Put(int column, int row, Cell thing)
    {
        var (left, top) = Corner(column, row);
        var (x, y) = _level.Free(_random, left, top, _size, _size, apart: 2);
        _level[x, y] = thing;
    }

    /// <summary>Puts the agent into a room, not in front of a thing or a door.</summary>
    private void PutAgent(int column, int row)
    {
        var (left, top) = Corner(column, row);
        Cell ahead;
        do
        {
            _level.Agent = -1;
            var (x, y) = _level.Free(_random, left, top, _size, _size);
            int direction = _random.NextInt(4);
            _level.PutAgent(x, y, direction);
            ahead = _level[x + Sides[direction].X, y + Sides[direction].Y];
        }
        while (ahead != Cell.Empty && ahead != Cell.Wall);
    }

    /// <summary>Adds closed doors at random until every room can be reached; rooms behind a locked door get none.</summary>
    private void ConnectAll()
    {
        while (Reached() < _columns * _rows)
        {
            int i = _random.NextInt(_columns), j = _random.NextInt(_rows), side = _random.NextInt(4);
            int x = i + Sides[side].X, y = j + Sides[side].Y;
            if ((uint)x >= (uint)_columns || (uint)y >= (uint)_rows || _open[i, j, side] || _locked[i, j] || _locked[x, y]) continue;
            AddDoor(i, j, side, (Colour)_random.NextInt(6), locked: false);
        }
    }

    private int Reached()
    {
        var seen = new bool[_columns, _rows];
        var open = new Stack<(int X, int Y)>([(1, 0)]); // the corridor, where the agent is
        int count = 0;
        while (open.TryPop(out var room))
        {
            if (seen[room.X, room.Y]) continue;
            seen[room.X, room.Y] = true;
            count++;
            for (int side = 0; side < 4; side++)
                if (_open[room.X, room.Y, side]) open.Push((room.X + Sides[side].X, room.Y + Sides[side].Y));
        }
        return count;
    }
}
