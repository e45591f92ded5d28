namespace Engine.Algorithms.Environments.Grids;

/// <summary>
/// A policy that knows the whole level and brings about what a task asks for, by short ways that are not always the shortest: walks towards the goal or the target; fetches keys of locked doors, opens boxes that hold
/// them, and takes away what blocks the way. All it remembers is where to put down what it carries, so it goes on from any state. <see cref="GridAction.Done"/> where it knows no way.
/// </summary>
public sealed class GridPlanner
{
    private const int LockedCost = 60, BlockedCost = 30, BesideDoorCost = 10, MaxErrands = 12;

    private readonly PriorityQueue<int, int> _open = new();
    private int[] _cost = [], _from = [];
    private readonly HashSet<int> _keepFree = []; // the ways of what is to be done after the errand
    private ushort[] _cells = [];
    private int _stride, _start, _place = -1;
    private Cell _carried;

    /// <summary>The next action for a copy of a world.</summary>
    public GridAction Act(GridWorld world, int copy)
    {
        (_cells, _stride, int agent, int direction, _carried, var target) = world.Look(copy);
        if (_carried.Bits == 0) (_carried, _place) = (Cell.Empty, -1);
        _start = agent * 4 + direction;
        _keepFree.Clear();
        int goal = Array.IndexOf(_cells, (target.Bits == 0 ? Cell.Goal : target).Bits);
        return goal < 0 ? GridAction.Done : Reach(goal, target.Bits == 0 ? GridAction.Forward : GridAction.Take, MaxErrands);
    }

    private int Ahead(int pose) => pose / 4 + (pose % 4) switch { 0 => 1, 1 => _stride, 2 => -1, _ => -_stride };

    /// <summary>The first action on the way to a cell, where the last one is given; or of the errand that has to be done before.</summary>
    private GridAction Reach(int cell, GridAction last, int errands)
    {
        if (errands == 0) return GridAction.Done;
        Search(cell);
        var path = Path(pose => Ahead(pose) == cell);
        if (path.Count == 0) return GridAction.Done;
        for (int i = 0; i < path.Count - 1; i++)
        {
            int next = path[i + 1] / 4;
            var on = new Cell(_cells[next]);
            if (next == path[i] / 4 || Cost(on) < BlockedCost) continue;
            // The first thing in the way.
            _keepFree.UnionWith(path.Select(pose => pose / 4));
            if (on.Portable) return Reach(next, GridAction.Take, errands - 1);
            var key = Cell.Of(Kind.Key, on.Colour);
            int lying = Array.IndexOf(_cells, key.Bits);
            if (lying >= 0) return Reach(lying, GridAction.Take, errands - 1);
            int box = Array.FindIndex(_cells, c => new Cell(c) is { Kind: Kind.Box } b && b.Inside == key);
            if (box >= 0) return Reach(box, GridAction.Toggle, errands - 1);
            return _carried.Kind == Kind.Box ? PutDown(path, cell) : GridAction.Done;
        }
        // A key stays in hand up to the last locked door.
        bool locked = path.Exists(pose => new Cell(_cells[pose / 4]) is { Kind: Kind.Door, State: DoorState.Locked });
        if (last == GridAction.Take && _carried != Cell.Empty && !locked) return PutDown(path, cell);
        return First(path, last);
    }

    /// <summary>Puts down what is carried where it is not in the way, and not beside a door if that can be avoided.</summary>
    private GridAction PutDown(List<int> path, int cell)
    {
        var way = path.ConvertAll(pose => pose / 4);
        Search(-1);
        if (_place >= 0 && (_place >= _cost.Length || _cost[_place] >= BlockedCost || _cells[Ahead(_place)] != Cell.Empty.Bits)) _place = -1;
        int least = int.MaxValue;
        for (int pose = 0; pose < _cost.Length && (_place < 0 || least < int.MaxValue); pose++)
        {
            int ahead = _cost[pose] < BlockedCost ? Ahead(pose) : -1;
            if (ahead < 0 || ahead == cell || _cells[ahead] != Cell.Empty.Bits) continue;
            // From a place on the way, what lies behind is free.
            if (way.LastIndexOf(ahead) > way.LastIndexOf(pose / 4)) continue;
            int cost = _cost[pose] + (_keepFree.Contains(ahead) ? BlockedCost : 0);
            foreach (int side in new[] { 1, -1, _stride, -_stride })
                if (new Cell(_cells[ahead + side]).Kind == Kind.Door) cost += BesideDoorCost;
            if (cost < least) (_place, least) = (pose, cost);
        }
        return _place < 0 ? GridAction.Done : First(Path(pose => pose == _place), GridAction.Drop);
    }

    /// <summary>The first action of a path; where it has one pose, the last action.</summary>
    private GridAction First(List<int> path, GridAction last)
    {
        if (path.Count == 1) return last == GridAction.Forward && !new Cell(_cells[Ahead(path[0])]).Passable ? GridAction.Toggle : last;
        int turn = (path[1] - path[0]) & 3;
        if (path[0] / 4 == path[1] / 4) return turn == 1 ? GridAction.Right : GridAction.Left;
        return new Cell(_cells[path[1] / 4]).Passable ? GridAction.Forward : GridAction.Toggle;
    }

    /// <summary>Steps that a cell costs besides the one onto it; a door is opened first, and things in the way are avoided while there is another.</summary>
    private int Cost(Cell cell) => cell.Kind switch
    {
        Kind.Door => cell.State switch { DoorState.Open => 0, DoorState.Closed => 1, _ => _carried == Cell.Of(Kind.Key, cell.Colour) ? 1 : LockedCost },
        Kind.Key or Kind.Ball or Kind.Box => BlockedCost,
        _ => 0,
    };

    /// <summary>Costs of all poses (cell, direction) from the present one, up to the first that faces a cell (-1: all).</summary>
    private void Search(int cell)
    {
        if (_cost.Length != _cells.Length * 4) (_cost, _from) = (new int[_cells.Length * 4], new int[_cells.Length * 4]);
        Array.Fill(_cost, int.MaxValue);
        _open.Clear();
        _cost[_start] = 0;
        _from[_start] = -1;
        _open.Enqueue(_start, 0);
        while (_open.TryDequeue(out int pose, out int cost))
        {
            if (cost > _cost[pose]) continue;
            if (Ahead(pose) == cell) return;
            Try(pose & ~3 | pose + 1 & 3, cost + 1);
            Try(pose & ~3 | pose + 3 & 3, cost + 1);
            var ahead = new Cell(_cells[Ahead(pose)]);
            if (ahead.Kind != Kind.Wall) Try(Ahead(pose) * 4 + (pose & 3), cost + 1 + Cost(ahead));

            void Try(int to, int total)
            {
                if (total >= _cost[to]) return;
                (_cost[to], _from[to]) = (total, pose);
                _open.Enqueue(to, total);
            }
        }
    }

    /// <summary>The poses from the present one to the cheapest that will do; none if there is none.</summary>
    private List<int> Path(Predicate<int> will)
    {
        int best = -1;
        for (int pose = 0; pose < _cost.Length; pose++)
            if (_cost[pose] < int.MaxValue && (best < 0 || _cost[pose] < _cost[best]) && Inside(pose) && will(pose)) best = pose;
        var path = new List<int>();
        for (int pose = best; pose >= 0; pose = _from[pose]) path.Add(pose);
        path.Reverse();
        return path;
    }

    private bool Inside(int pose) => _cells[pose / 4] != Cell.Wall.Bits;
}
