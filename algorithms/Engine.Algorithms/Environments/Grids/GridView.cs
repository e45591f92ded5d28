namespace Engine.Algorithms.Environments.Grids;

/// <summary>
/// What the agent sees: 7 x 7 cells, itself in the middle of the last row and looking up, each as (kind, colour, state of a door), column by column as MiniGrid's <c>image</c>. Cells that a wall or
/// a door hides are (0, 0, 0); its own cell shows what it carries.
/// </summary>
internal static class GridView
{
    /// <summary>Cells on a side.</summary>
    internal const int Size = 7;

    /// <summary>Numbers in a view.</summary>
    internal const int Numbers = Size * Size * 3;

    private const int Row = (1 << Size) - 1, Middle = Size / 2;

    /// <summary>For the cells of a row that are seen from the row below (high seven bits of the index) and those that one can see through (low seven bits): the cells that are seen (low seven bits),
    /// and those of the next row (high seven).</summary>
    private static readonly ushort[] Seen = Enumerable.Range(0, 1 << 2 * Size).Select(i => Spread(i >> Size, i & Row)).ToArray();

    /// <summary>MiniGrid's rule: sight spreads from a cell that is seen and not opaque to its neighbours of the row, and to the next row straight and slanting the same way; first to the right, then to the left.</summary>
    private static ushort Spread(int seen, int clear)
    {
        int above = 0;
        for (int i = 0; i < Size - 1; i++)
            if ((seen & clear & 1 << i) != 0) (seen, above) = (seen | 2 << i, above | 3 << i);
        for (int i = Size - 1; i > 0; i--)
            if ((seen & clear & 1 << i) != 0) (seen, above) = (seen | 1 << i - 1, above | 3 << i - 1);
        return (ushort)(seen | above << Size);
    }

    /// <summary>Writes the view of an agent.</summary>
    internal static void Write(ReadOnlySpan<ushort> cells, int stride, int agent, int direction, Cell carried, Span<float> view)
    {
        view = view[..Numbers];
        view.Clear();
        ReadOnlySpan<int> steps = [1, stride, -1, -stride];
        int ahead = steps[direction], right = steps[(direction + 1) & 3], seen = 1 << Middle;
        for (int y = Size - 1; y >= 0 && seen != 0; y--)
        {
            int at = agent + ahead * (Size - 1 - y) - Middle * right, clear = Row;
            for (int x = 0; x < Size; x++) clear &= ~(cells[at + x * right] >> Cell.OpaqueAt << x);
            int found = Seen[seen << Size | clear];
            for (int x = 0; x < Size; x++)
                if ((found >> x & 1) != 0) Put(view, x, y, new Cell(cells[at + x * right]));
            seen = found >> Size;
        }
        Put(view, Middle, Size - 1, carried.Bits == 0 ? Cell.Empty : carried);
    }

    private static void Put(Span<float> view, int x, int y, Cell cell)
    {
        var to = view.Slice((x * Size + y) * 3, 3);
        (to[0], to[1], to[2]) = ((float)cell.Kind, (float)cell.Colour, (float)cell.State);
    }
}
