using Engine.Kernels;

namespace Engine.Algorithms.Environments.Grids;

/// <summary>What can be done, with MiniGrid's numbers.</summary>
public enum GridAction
{
    /// <summary>Turns left.</summary>
    Left = 0,
    /// <summary>Turns right.</summary>
    Right = 1,
    /// <summary>Steps ahead, where one may stand.</summary>
    Forward = 2,
    /// <summary>Takes what lies ahead, with an empty hand.</summary>
    Take = 3,
    /// <summary>Puts it down ahead, where there is nothing.</summary>
    Drop = 4,
    /// <summary>Opens or closes the door ahead, unlocks it, or opens a box.</summary>
    Toggle = 5,
    /// <summary>Nothing.</summary>
    Done = 6,
}

/// <summary>
/// MiniGrid's worlds (Chevalier-Boisvert et al. 2023): rooms, doors, keys, balls and boxes, seen in part (<see cref="ObservationSize"/> 147 = 7 x 7 x 3, the package's <c>image</c>), seven actions. Reward 1 - 0.9 t / T
/// for reaching the goal or taking the target at step t of at most T, and the end of the episode; else 0. Measure <c>success</c>. Every episode has a level of its own, which a number makes: equal
/// numbers and actions give equal bits. The rules are the package's; the levels are drawn from Engine's streams, so its own seeds give others.
/// </summary>
/// <param name="copies">Copies stepped together.</param>
/// <param name="task">Which levels.</param>
public sealed class GridWorld(int copies, GridTask task) : IEnvironment
{
    private readonly GridLevel _scratch = new();
    private readonly Copy[] _copies = Enumerable.Range(0, copies).Select(_ => new Copy()).ToArray();

    private sealed class Copy
    {
        public ushort[] Cells = [];
        public int Stride, Agent, Direction, Steps;
        public uint Level;
        public Cell Target, Carried;
        public bool Success;
    }

    /// <inheritdoc/>
    public int Copies => copies;

    /// <inheritdoc/>
    public int ObservationSize => GridView.Numbers;

    /// <inheritdoc/>
    public ActionSpace ActionSpace { get; } = new DiscreteActions(7);

    /// <inheritdoc/>
    public int MaxSteps => task.MaxSteps;

    /// <inheritdoc/>
    public IReadOnlyList<string> Measures { get; } = ["success"];

    /// <inheritdoc/>
    public bool CanSave => true;

    /// <summary>The number of a copy's level.</summary>
    public uint Level(int copy) => _copies[copy].Level;

    /// <summary>What the agent of a copy carries; the default: nothing.</summary>
    public Cell Carried(int copy) => _copies[copy].Carried;

    /// <inheritdoc/>
    public void Reset(int copy, PhiloxStream random) => Start(copy, random.NextUInt());

    /// <summary>Begins an episode in a level by its number.</summary>
    public void Start(int copy, uint level)
    {
        task.Make(_scratch, new PhiloxStream(level, task.Id));
        Start(copy, _scratch);
        _copies[copy].Level = level;
    }

    /// <summary>Begins an episode in a given level.</summary>
    public void Start(int copy, GridLevel level)
    {
        var c = _copies[copy];
        if (c.Cells.Length != level.Cells.Length) c.Cells = new ushort[level.Cells.Length];
        level.Cells.CopyTo(c.Cells);
        (c.Stride, c.Agent, c.Direction, c.Steps, c.Level, c.Target, c.Carried, c.Success) = (level.Stride, level.Agent, level.Direction, 0, 0, level.Target, default, false);
    }

    /// <summary>What a copy looks like now, as a level.</summary>
    public GridLevel Snapshot(int copy)
    {
        var c = _copies[copy];
        var level = new GridLevel();
        level.Begin(c.Stride - 2 * GridLevel.Margin, c.Cells.Length / c.Stride - 2 * GridLevel.Margin);
        c.Cells.CopyTo(level.Cells);
        (level.Agent, level.Direction, level.Target) = (c.Agent, c.Direction, c.Target);
        return level;
    }

    /// <summary>The cells of a copy and where its agent is, for planners.</summary>
    internal (ushort[] Cells, int Stride, int Agent, int Direction, Cell Carried, Cell Target) Look(int copy)
    {
        var c = _copies[copy];
        return (c.Cells, c.Stride, c.Agent, c.Direction, c.Carried, c.Target);
    }

    /// <inheritdoc/>
    public void Observe(Span<float> observations)
    {
        for (int i = 0; i < copies; i++)
        {
            var c = _copies[i];
            GridView.Write(c.Cells, c.Stride, c.Agent, c.Direction, c.Carried, observations.Slice(i * GridView.Numbers, GridView.Numbers));
        }
    }

    /// <inheritdoc/>
    public void Measure(Span<float> values)
    {
        for (int i = 0; i < copies; i++) values[i] = _copies[i].Success ? 1 : 0;
    }

    /// <inheritdoc/>
    public void Step(ReadOnlySpan<float> actions, Span<float> rewards, Span<bool> terminals)
    {
        for (int i = 0; i < copies; i++)
        {
            var c = _copies[i];
            terminals[i] = Act(c, (GridAction)actions[i]);
            c.Success |= terminals[i];
            rewards[i] = terminals[i] ? (float)(1 - 0.9 * ((double)c.Steps / task.MaxSteps)) : 0;
        }
    }

    /// <summary>Applies an action; true if the task is done.</summary>
    private static bool Act(Copy c, GridAction action)
    {
        c.Steps++;
        ref ushort at = ref c.Cells[c.Agent + c.Direction switch { 0 => 1, 1 => c.Stride, 2 => -1, _ => -c.Stride }];
        var ahead = new Cell(at);
        switch (action)
        {
            case GridAction.Left:
                c.Direction = (c.Direction + 3) & 3;
                break;
            case GridAction.Right:
                c.Direction = (c.Direction + 1) & 3;
                break;
            case GridAction.Forward when ahead.Passable:
                c.Agent += c.Direction switch { 0 => 1, 1 => c.Stride, 2 => -1, _ => -c.Stride };
                return ahead.Kind == Kind.Goal;
            case GridAction.Take when ahead.Portable && c.Carried.Bits == 0:
                (c.Carried, at) = (ahead, Cell.Empty.Bits);
                return ahead == c.Target;
            case GridAction.Drop when ahead == Cell.Empty && c.Carried.Bits != 0:
                (at, c.Carried) = (c.Carried.Bits, default);
                break;
            case GridAction.Toggle when ahead.Kind == Kind.Box:
                at = ahead.Inside.Bits;
                break;
            case GridAction.Toggle when ahead.Kind == Kind.Door && (ahead.State != DoorState.Locked || c.Carried == Cell.Of(Kind.Key, ahead.Colour)):
                at = Cell.Door(ahead.Colour, ahead.State == DoorState.Open ? DoorState.Closed : DoorState.Open).Bits;
                break;
        }
        return false;
    }

    /// <inheritdoc/>
    public void Save(BinaryWriter to)
    {
        foreach (var c in _copies)
        {
            to.Write(c.Cells.Length);
            foreach (ushort cell in c.Cells) to.Write(cell);
            foreach (int number in new[] { c.Stride, c.Agent, c.Direction, c.Steps }) to.Write(number);
            to.Write(c.Level);
            to.Write(c.Target.Bits);
            to.Write(c.Carried.Bits);
            to.Write(c.Success);
        }
    }

    /// <inheritdoc/>
    public void Load(BinaryReader from)
    {
        foreach (var c in _copies)
        {
            c.Cells = new ushort[from.ReadInt32()];
            for (int i = 0; i < c.Cells.Length; i++) c.Cells[i] = from.ReadUInt16();
            (c.Stride, c.Agent, c.Direction, c.Steps) = (from.ReadInt32(), from.ReadInt32(), from.ReadInt32(), from.ReadInt32());
            (c.Level, c.Target, c.Carried, c.Success) = (from.ReadUInt32(), new Cell(from.ReadUInt16()), new Cell(from.ReadUInt16()), from.ReadBoolean());
        }
    }
}
