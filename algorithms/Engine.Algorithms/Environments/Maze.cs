namespace Engine.Algorithms.Environments;

/// <summary>A grid of walls (#), free cells (O) and one goal (G), as D4RL writes it: rows from top to bottom, which is the x axis; columns are the y axis.</summary>
public sealed class Maze
{
    private readonly string[] _rows;

    /// <summary>Reads a map whose rows are separated by slashes.</summary>
    public Maze(string name, string map, int maxSteps)
    {
        (Name, MaxSteps, _rows) = (name, maxSteps, map.Split('/'));
        for (int i = 0; i < Rows; i++)
            for (int j = 0; j < Columns; j++)
            {
                if (_rows[i][j] == 'O') Free.Add((i, j));
                if (_rows[i][j] == 'G') Goal = (i, j);
            }
        Free.Add(Goal);
    }

    /// <summary>umaze, medium, large and open.</summary>
    public static IReadOnlyList<Maze> All { get; } =
    [
        new("umaze", "#####/#GOO#/###O#/#OOO#/#####", 300),
        new("medium", "########/#OO##OO#/#OO#OOO#/##OOO###/#OO#OOO#/#O#OO#O#/#OOO#OG#/########", 600),
        new("large", "############/#OOOO#OOOOO#/#O##O#O#O#O#/#OOOOOO#OOO#/#O####O###O#/#OO#O#OOOOO#/##O#O#O#O###/#OO#OOO#OGO#/############", 800),
        new("open", "#######/#OOOOO#/#OOGOO#/#OOOOO#/#######", 150),
    ];

    /// <summary>Its name.</summary>
    public string Name { get; }

    /// <summary>Steps of an episode.</summary>
    public int MaxSteps { get; }

    /// <summary>Number of rows.</summary>
    public int Rows => _rows.Length;

    /// <summary>Number of columns.</summary>
    public int Columns => _rows[0].Length;

    /// <summary>The goal's cell; its coordinate is the position that counts.</summary>
    public (int Row, int Column) Goal { get; }

    /// <summary>The free cells by row and column, then the goal's: what a random cell is drawn from.</summary>
    public List<(int Row, int Column)> Free { get; } = [];

    /// <summary>Whether a cell is a wall; beyond the map there is nothing.</summary>
    public bool IsWall(int row, int column) => (uint)row < (uint)Rows && (uint)column < (uint)Columns && _rows[row][column] == '#';
}
