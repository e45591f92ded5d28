namespace Engine.Algorithms.Environments.Grids;

/// <summary>What a cell of a grid holds, with MiniGrid's numbers.</summary>
public enum Kind
{
    /// <summary>Not in view, or behind a wall.</summary>
    Unseen = 0,
    /// <summary>Nothing.</summary>
    Empty = 1,
    /// <summary>A wall.</summary>
    Wall = 2,
    /// <summary>A door: open, closed or locked.</summary>
    Door = 4,
    /// <summary>A key: opens locked doors of its colour.</summary>
    Key = 5,
    /// <summary>A ball.</summary>
    Ball = 6,
    /// <summary>A box: opening it leaves what is inside.</summary>
    Box = 7,
    /// <summary>The square that ends an episode.</summary>
    Goal = 8,
}

/// <summary>Colours, with MiniGrid's numbers.</summary>
public enum Colour
{
    /// <summary>Red.</summary>
    Red = 0,
    /// <summary>Green.</summary>
    Green = 1,
    /// <summary>Blue.</summary>
    Blue = 2,
    /// <summary>Purple.</summary>
    Purple = 3,
    /// <summary>Yellow.</summary>
    Yellow = 4,
    /// <summary>Grey.</summary>
    Grey = 5,
}

/// <summary>How far open a door is, with MiniGrid's numbers.</summary>
public enum DoorState
{
    /// <summary>One may pass and see through it.</summary>
    Open = 0,
    /// <summary>To be toggled.</summary>
    Closed = 1,
    /// <summary>To be toggled with a key of its colour in hand.</summary>
    Locked = 2,
}

/// <summary>A cell in 16 bits: kind (4), colour (3), state of a door (2), what a box holds (kind less 4: 2, colour: 3), and whether one cannot see through it (1). The low nine bits are what is observed.</summary>
public readonly record struct Cell(ushort Bits)
{
    private const int ColourAt = 4, StateAt = 7, InsideAt = 9, InsideColourAt = 11;

    /// <summary>The bit of what blocks the view.</summary>
    internal const int OpaqueAt = 15;

    /// <summary>The bits that are observed.</summary>
    internal const int Observed = (1 << InsideAt) - 1;

    /// <summary>Nothing.</summary>
    public static Cell Empty => new((ushort)Kind.Empty);

    /// <summary>A wall.</summary>
    public static Cell Wall => new((ushort)((int)Kind.Wall | (int)Colour.Grey << ColourAt | 1 << OpaqueAt));

    /// <summary>The goal's square.</summary>
    public static Cell Goal => Of(Kind.Goal, Colour.Green);

    /// <summary>A key, a ball or an empty box.</summary>
    public static Cell Of(Kind kind, Colour colour) => new((ushort)((int)kind | (int)colour << ColourAt));

    /// <summary>A box that holds a key or a ball.</summary>
    public static Cell Box(Colour colour, Cell inside) => new((ushort)((int)Kind.Box | (int)colour << ColourAt | ((int)inside.Kind - 4) << InsideAt | (int)inside.Colour << InsideColourAt));

    /// <summary>A door.</summary>
    public static Cell Door(Colour colour, DoorState state) =>
        new((ushort)((int)Kind.Door | (int)colour << ColourAt | (int)state << StateAt | (state == DoorState.Open ? 0 : 1 << OpaqueAt)));

    /// <summary>What it is.</summary>
    public Kind Kind => (Kind)(Bits & 15);

    /// <summary>Its colour; 0 of nothing.</summary>
    public Colour Colour => (Colour)(Bits >> ColourAt & 7);

    /// <summary>Of a door; 0 of anything else.</summary>
    public DoorState State => (DoorState)(Bits >> StateAt & 3);

    /// <summary>What opening a box leaves.</summary>
    public Cell Inside => (Bits >> InsideAt & 3) is var kind and > 0 ? Of((Kind)(kind + 4), (Colour)(Bits >> InsideColourAt & 7)) : Empty;

    /// <summary>Whether one cannot see what lies behind: walls, and doors that are not open.</summary>
    public bool Opaque => Bits >> OpaqueAt != 0;

    /// <summary>Whether one may stand there: nothing, an open door, the goal.</summary>
    public bool Passable => Kind is Kind.Empty or Kind.Goal || (Kind == Kind.Door && State == DoorState.Open);

    /// <summary>Whether it can be taken in hand: keys, balls, boxes.</summary>
    public bool Portable => Kind is Kind.Key or Kind.Ball or Kind.Box;

    /// <summary>Two characters, as MiniGrid prints a grid: WG a wall, DR, LR and __ a red door that is closed, locked, open, KY a yellow key, AB a blue ball, BP a purple box, GG the goal.</summary>
    public override string ToString() => Kind switch
    {
        Kind.Empty => "  ",
        Kind.Door when State == DoorState.Open => "__",
        Kind.Door when State == DoorState.Locked => "L" + Colour.ToString()[0],
        Kind.Wall => "WG",
        Kind.Door => "D" + Colour.ToString()[0],
        Kind.Key => "K" + Colour.ToString()[0],
        Kind.Ball => "A" + Colour.ToString()[0],
        Kind.Box => "B" + Colour.ToString()[0],
        Kind.Goal => "GG",
        _ => "??",
    };

    /// <summary>Reads what <see cref="ToString"/> writes; an open door of unknown colour is yellow. Grey is written like green, and read as green but for walls.</summary>
    /// <exception cref="FormatException">It is none of these.</exception>
    public static Cell Parse(string text)
    {
        if (text == "  ") return Empty;
        if (text == "__") return Door(Colour.Yellow, DoorState.Open);
        if (text == "WG") return Wall;
        var colour = text[1] switch { 'R' => Colour.Red, 'G' => Colour.Green, 'B' => Colour.Blue, 'P' => Colour.Purple, 'Y' => Colour.Yellow, _ => throw Unknown(text) };
        return text[0] switch
        {
            'D' => Door(colour, DoorState.Closed),
            'L' => Door(colour, DoorState.Locked),
            'K' => Of(Kind.Key, colour),
            'A' => Of(Kind.Ball, colour),
            'B' => Of(Kind.Box, colour),
            'G' when colour == Colour.Green => Goal,
            _ => throw Unknown(text),
        };
    }

    private static FormatException Unknown(string text) => new($"\"{text}\" is no cell of a grid");
}
