using System.Text;
using Engine.Kernels;

namespace Engine.Algorithms.Environments.Grids;

/// <summary>A level: the cells, where the agent starts and what it is to take. Around the grid lies a margin of walls as wide as the view, so that looking beyond the edge needs no check.</summary>
public sealed class GridLevel
{
    /// <summary>Cells around the grid.</summary>
    internal const int Margin = GridView.Size - 1;

    /// <summary>Width and height at most.</summary>
    public const int Largest = 25;

    private ushort[] _cells = [];

    /// <summary>Cells from left to right.</summary>
    public int Width { get; private set; }

    /// <summary>Cells from top to bottom.</summary>
    public int Height { get; private set; }

    /// <summary>Cells from one row to the next in <see cref="Cells"/>.</summary>
    internal int Stride => Width + 2 * Margin;

    /// <summary>With the margin, row by row.</summary>
    internal Span<ushort> Cells => _cells.AsSpan(0, Stride * (Height + 2 * Margin));

    /// <summary>Where the agent is, in <see cref="Cells"/>; -1: nowhere yet.</summary>
    internal int Agent { get; set; }

    /// <summary>0 right, 1 down, 2 left, 3 up.</summary>
    public int Direction { get; set; }

    /// <summary>Taking this ends the episode; the default: reaching the goal's square does.</summary>
    public Cell Target { get; set; }

    /// <summary>A cell.</summary>
    public Cell this[int x, int y]
    {
        get => new(_cells[At(x, y)]);
        set => _cells[At(x, y)] = value.Bits;
    }

    /// <summary>Makes it an empty grid of a size.</summary>
    public void Begin(int width, int height)
    {
        (Width, Height, Agent, Direction, Target) = (width, height, -1, 0, default);
        int size = Stride * (height + 2 * Margin);
        if (_cells.Length < size) _cells = new ushort[size];
        Cells.Fill(Cell.Wall.Bits);
        for (int y = 0; y < height; y++) _cells.AsSpan(At(0, y), width).Fill(Cell.Empty.Bits);
    }

    /// <summary>The place of a cell in <see cref="Cells"/>.</summary>
    internal int At(int x, int y) => (y + Margin) * Stride + x + Margin;

    /// <summary>The walls of a room, its corner at (x, y).</summary>
    public void Walls(int x, int y, int width, int height)
    {
        for (int i = 0; i < width; i++) this[x + i, y] = this[x + i, y + height - 1] = Cell.Wall;
        for (int j = 0; j < height; j++) this[x, y + j] = this[x + width - 1, y + j] = Cell.Wall;
    }

    /// <summary>Puts the agent on a cell.</summary>
    public void PutAgent(int x, int y, int direction) => (Agent, Direction) = (At(x, y), direction);

    /// <summary>A random empty cell of a rectangle without the agent, as often drawn anew as need be.</summary>
    /// <param name="random">Draws it.</param>
    /// <param name="x">Left.</param>
    /// <param name="y">Top.</param>
    /// <param name="width">Columns.</param>
    /// <param name="height">Rows.</param>
    /// <param name="apart">Least distance from the agent, in steps.</param>
    /// <exception cref="InvalidOperationException">There is none in 10,000 draws.</exception>
    public (int X, int Y) Free(PhiloxStream random, int x, int y, int width, int height, int apart = 1)
    {
        int agentX = Agent % Stride - Margin, agentY = Agent / Stride - Margin;
        for (int draw = 0; draw < 10_000; draw++)
        {
            int i = x + random.NextInt(width), j = y + random.NextInt(height);
            if (this[i, j] == Cell.Empty && (Agent < 0 || Math.Abs(i - agentX) + Math.Abs(j - agentY) >= apart)) return (i, j);
        }
        throw new InvalidOperationException($"no free cell in the rectangle ({x}, {y}, {width}, {height})");
    }

    /// <summary>The grid as MiniGrid prints it, two characters a cell, with &gt;&gt;, VV, &lt;&lt; or ^^ for the agent.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        for (int y = 0; y < Height; y++)
        {
            for (int x = 0; x < Width; x++) text.Append(At(x, y) == Agent ? new string(">V<^"[Direction], 2) : this[x, y].ToString());
            if (y < Height - 1) text.Append('\n');
        }
        return text.ToString();
    }

    /// <summary>Reads what <see cref="ToString"/> writes.</summary>
    /// <exception cref="FormatException">A cell is unknown, or there is no agent.</exception>
    public static GridLevel Parse(string text, Cell target = default)
    {
        string[] rows = text.Split('\n');
        var level = new GridLevel();
        level.Begin(rows[0].Length / 2, rows.Length);
        level.Target = target;
        for (int y = 0; y < rows.Length; y++)
            for (int x = 0; x < level.Width; x++)
            {
                string cell = rows[y][(2 * x)..(2 * x + 2)];
                if (cell[0] == cell[1] && ">V<^".IndexOf(cell[0], StringComparison.Ordinal) is var direction and >= 0) level.PutAgent(x, y, direction);
                else level[x, y] = Cell.Parse(cell);
            }
        return level.Agent >= 0 ? level : throw new FormatException("the grid has no agent");
    }
}
