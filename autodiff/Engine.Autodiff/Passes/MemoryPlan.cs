using Engine.Kernels;

namespace Engine.Autodiff.Passes;

/// <summary>
/// Gives every value of a graph its storage and the kernels their order: the trace's. Values share one arena by liveness; an elementwise
/// op writes over an input whose last reader it is; an update (of rows of a table) that cannot is a copy and an update in place; a slice that is one aligned run of its source is read where it lies; a variable's
/// new value is written in place when the old one has no later reader, else moved there at the end. A loop's body is planned the same
/// way, its carried values being its variables.
/// </summary>
internal sealed class MemoryPlan
{
    public const int ArenaSlot = 0, ConstantSlot = 1, HostSlot = 2, FirstVariableSlot = 3;
    private const long Alignment = 64;

    private readonly Device _device;
    private readonly bool _inPlace, _reuse;
    private readonly Dictionary<string, (int Slot, TensorType Type)> _variables = [];

    private MemoryPlan(Device device, CompileOptions options) => (_device, _inPlace, _reuse) = (device, options.Runs(Pass.InPlace.Name), options.Runs(Pass.ReuseMemory.Name));

    /// <summary>The finished plan.</summary>
    public Plan Plan { get; private set; } = null!;

    /// <summary>Bytes of the arena.</summary>
    public long ArenaBytes { get; private set; }

    /// <summary>The constants and where they lie.</summary>
    public List<(long Offset, Constant Constant)> Constants { get; } = [];

    /// <summary>Bytes of the constants.</summary>
    public long ConstantBytes { get; private set; }

    /// <summary>Bytes of inputs and outputs.</summary>
    public long HostBytes { get; private set; }

    /// <summary>Where inputs lie.</summary>
    public Dictionary<string, Operand> Inputs { get; } = [];

    /// <summary>Where outputs lie.</summary>
    public Dictionary<string, Operand> Outputs { get; } = [];

    /// <summary>Names of the variables, in slot order from <see cref="FirstVariableSlot"/>.</summary>
    public List<string> VariableNames { get; } = [];

    public static MemoryPlan Of(Graph graph, Device device, CompileOptions options)
    {
        var plan = new MemoryPlan(device, options);
        plan.Build(graph);
        return plan;
    }

    /// <summary>The offset in bytes of a slice that is a view of its source (contiguous and aligned); null if the node is none.</summary>
    public static long? RunStart(Node node)
    {
        if (node.Op is not Slice slice) return null;
        return slice.RunStart(node.Inputs[0].Shape) is { } first && first * node.Inputs[0].Type.DType.Bytes() is var start && start % Alignment == 0 ? start : null;
    }

    private void Build(Graph graph)
    {
        var block = new Block(this, graph, ArenaSlot);
        foreach (var (name, tensor) in graph.Inputs)
            block.Place(tensor, Inputs[name] = HostOperand(tensor.Type));
        foreach (var (name, tensor) in graph.Initial) block.Place(tensor, VariableOperand(name, tensor.Type));
        var cells = graph.Assigned.Select(a => new Cell(graph.Initial.GetValueOrDefault(a.Key), a.Value, VariableOperand(a.Key, a.Value.Type))).ToArray();
        foreach (var (name, tensor) in graph.Outputs) Outputs[name] = HostOperand(tensor.Type);
        var outputs = graph.Outputs.Select(o => (o.Value, Outputs[o.Key])).ToArray();
        block.Run(cells, outputs);
        ArenaBytes = block.Bytes;
        Plan = new Plan(block.Instructions.ToArray(), FirstVariableSlot + VariableNames.Count);
    }

    private Operand HostOperand(TensorType type)
    {
        var operand = new Operand(HostSlot, HostBytes, type);
        HostBytes += Align(type.Bytes);
        return operand;
    }

    private Operand VariableOperand(string name, TensorType type)
    {
        if (!_variables.TryGetValue(name, out var known))
        {
            _variables[name] = known = (FirstVariableSlot + VariableNames.Count, type);
            VariableNames.Add(name);
        }
        return new Operand(known.Slot, 0, type);
    }

    private Operand ConstantOperand(Constant constant)
    {
        var operand = new Operand(ConstantSlot, ConstantBytes, constant.Type);
        Constants.Add((ConstantBytes, constant));
        ConstantBytes += Align(constant.Type.Bytes);
        return operand;
    }

    private static long Align(long bytes) => (Math.Max(bytes, 1) + Alignment - 1) / Alignment * Alignment;

    private int _nextArena;

    /// <summary>A name for a loop body's arena until it has a place in the arena around it.</summary>
    private int NewArena() => --_nextArena;

    /// <summary>Storage whose content changes once per run (a variable) or per step (a carried value).</summary>
    /// <param name="Before">The tensor of the old content; null if it is not read.</param>
    /// <param name="After">The tensor of the new content.</param>
    /// <param name="Storage">Where.</param>
    private sealed record Cell(Tensor? Before, Tensor After, Operand Storage);

    /// <summary>Plans one graph: the program's, or a loop's body.</summary>
    private sealed class Block(MemoryPlan owner, Graph graph, int arena)
    {
        private const int Never = int.MaxValue;

        private readonly Dictionary<Tensor, Operand> _storage = [];
        private readonly Dictionary<Tensor, Tensor> _root = [];
        private readonly Dictionary<Tensor, long> _start = []; // offset in bytes of a view in its root
        private readonly Dictionary<Tensor, int> _lastUse = [];
        private readonly Dictionary<Tensor, Operand> _wanted = []; // root -> the storage that it should be computed in
        private readonly HashSet<Tensor> _inArena = [];
        private readonly Allocator _allocator = new();
        private readonly Dictionary<Tensor, Tensor> _old = []; // root of a cell's new content -> root of the old
        private readonly Waits? _waits = owner._device.Concurrent ? new Waits(graph.Nodes.Count) : null;

        public List<Instruction> Instructions { get; } = [];

        public long Bytes => _allocator.Peak;

        public void Place(Tensor tensor, Operand operand) => _storage[tensor] = operand;

        public void Run(Cell[] cells, (Tensor Value, Operand Storage)[] outputs, Operand? stackIndex = null)
        {
            foreach (var node in graph.Nodes)
                foreach (var output in node.Outputs)
                    FindRoot(node, output);
            foreach (var node in graph.Nodes)
                foreach (var input in node.Inputs) _lastUse[_root[input]] = node.Id;

            ChoosePlaces(cells, outputs, stackIndex is not null);
            foreach (var node in graph.Nodes) Emit(node);
            Finish(cells, outputs, stackIndex);
        }

        private void FindRoot(Node node, Tensor output)
        {
            _root[output] = output;
            if (StartInInput(node) is not { } start) return;
            _root[output] = _root[node.Inputs[0]];
            start += _start.GetValueOrDefault(node.Inputs[0]);
            if (start > 0) _start[output] = start;
        }

        /// <summary>The offset in bytes of an output that is a view of its input; null if it has storage of its own.</summary>
        private long? StartInInput(Node node)
        {
            if (node.Op.IsAlias) return 0;
            return owner._inPlace ? RunStart(node) : null;
        }

        private bool IsWhole(Tensor tensor) => _root[tensor].Type.Bytes == tensor.Type.Bytes;

        private Operand At(Tensor tensor)
        {
            var storage = _storage[_root[tensor]];
            return storage with { Offset = storage.Offset + _start.GetValueOrDefault(tensor), Type = tensor.Type };
        }

        /// <summary>Decides which values are computed in their final storage (a variable, an output) instead of being copied there at the end.</summary>
        private void ChoosePlaces(Cell[] cells, (Tensor Value, Operand Storage)[] outputs, bool stacked)
        {
            var kept = new HashSet<Tensor>(); // roots that are live at the end
            foreach (var (value, _) in outputs) kept.Add(_root[value]);
            foreach (var cell in cells) kept.Add(_root[cell.After]);

            foreach (var cell in cells)
            {
                var root = _root[cell.After];
                if (!owner._inPlace || !IsWhole(cell.After) || !Computed(root) || _wanted.ContainsKey(root)) continue;
                if (cell.Before is { } before)
                {
                    // The old version must be dead when the new one is written, or its last reader be the writer, working in place.
                    if (kept.Contains(before)) continue;
                    int last = _lastUse.GetValueOrDefault(before, -1), written = root.Node.Id;
                    if (last > written || (last == written && !MayOverwrite(root.Node, root.Index, before))) continue;
                }
                _wanted[root] = cell.Storage;
                if (cell.Before is { } old) _old[root] = _root[old];
                ChooseSources(root, cell, kept);
            }
            if (!stacked)
                foreach (var (value, storage) in outputs)
                    if (IsWhole(value) && Computed(_root[value]) && !_wanted.ContainsKey(_root[value])) _wanted[_root[value]] = storage;
            foreach (var root in kept) _lastUse[root] = Never;
        }

        /// <summary>What an update replaces elements of is computed in the update's own place where it can be, so that several updates of one variable are all in place.</summary>
        private void ChooseSources(Tensor root, Cell cell, HashSet<Tensor> kept)
        {
            while (root.Node.Op.IsUpdate)
            {
                var source = _root[root.Node.Inputs[0]];
                if (!Computed(source) || !IsWhole(root.Node.Inputs[0]) || source.Type.Bytes != root.Type.Bytes || kept.Contains(source) || _wanted.ContainsKey(source)) return;
                if (_lastUse[source] != root.Node.Id || !MayOverwrite(root.Node, root.Index, source)) return;
                if (cell.Before is { } before)
                {
                    int last = _lastUse.GetValueOrDefault(before, -1), written = source.Node.Id;
                    if (last > written || (last == written && !MayOverwrite(source.Node, source.Index, before))) return;
                    _old[source] = _root[before];
                }
                _wanted[source] = cell.Storage;
                _old[root] = source;
                root = source;
            }
        }

        private static bool Computed(Tensor root) => root.Node.Op is not Leaf and not Repeat;

        /// <summary>Whether the node may compute output <paramref name="output"/> in place in <paramref name="root"/>, whichever of its inputs are views of that.</summary>
        private bool MayOverwrite(Node node, int output, Tensor root)
        {
            bool any = false;
            for (int i = 0; i < node.Inputs.Length; i++)
            {
                if (_root[node.Inputs[i]] != root) continue;
                any = true;
                if (!node.Op.CanOverwrite(i, output, node.InputTypes, node.OutputTypes)) return false;
                if (node.Inputs[i].Type != node.Outputs[output].Type) return false;
            }
            return any;
        }

        private void Emit(Node node)
        {
            foreach (var input in node.Inputs) _waits?.Read(node, _root[input]);
            foreach (var output in node.Outputs) _waits?.Write(node, _root[output]);
            switch (node.Op)
            {
                case Constant constant:
                    Place(node.Outputs[0], owner.ConstantOperand(constant));
                    return;
                case Leaf:
                    if (!_storage.ContainsKey(node.Outputs[0])) throw new InvalidOperationException($"leaf {node} has no storage");
                    return;
                case Repeat repeat:
                    _waits?.WaitForAll(node);
                    EmitLoop(node, repeat);
                    break;
                default:
                    if (_root[node.Outputs[0]] != node.Outputs[0]) break;
                    if (!owner._device.Implements(node.Op, node.InputTypes, node.OutputTypes)) throw new DeviceException($"op {node.Op.Name} is not implemented on device {owner._device.Name} ({node})");
                    var taken = new HashSet<Tensor>();
                    foreach (var output in node.Outputs) PlaceOutput(node, output, taken);
                    var inputs = Array.ConvertAll(node.Inputs, At);
                    var outputs = Array.ConvertAll(node.Outputs, At);
                    if (node.Op.IsUpdate && inputs[0] != outputs[0])
                    {
                        Move(inputs[0], outputs[0]);
                        inputs[0] = outputs[0];
                    }
                    Instructions.Add(new KernelCall(node.Op, inputs, outputs));
                    break;
            }
            if (!owner._reuse) return;
            foreach (var input in node.Inputs) ReleaseIfDead(_root[input], node.Id);
            foreach (var output in node.Outputs) ReleaseIfDead(_root[output], node.Id);
        }

        private void PlaceOutput(Node node, Tensor output, HashSet<Tensor> taken)
        {
            if (_wanted.TryGetValue(output, out var wanted))
            {
                if (_old.TryGetValue(output, out var old)) _waits?.WaitForUsers(node, old);
                Place(output, wanted with { Type = output.Type });
                return;
            }
            if (owner._inPlace)
                foreach (var input in node.Inputs)
                {
                    var root = _root[input];
                    if (!_inArena.Contains(root) || _lastUse[root] != node.Id || taken.Contains(root) || root.Type.Bytes != output.Type.Bytes || !MayOverwrite(node, output.Index, root)) continue;
                    if (_waits?.Allows(node, output.Type.Bytes, _waits.Users(root)) == false) continue;
                    taken.Add(root);
                    _waits?.WaitForUsers(node, root);
                    Place(output, _storage[root] with { Type = output.Type });
                    _inArena.Remove(root); // the memory now belongs to the output
                    _inArena.Add(output);
                    return;
                }
            Allocate(node, output);
        }

        private void Allocate(Node node, Tensor output)
        {
            long bytes = Align(output.Type.Bytes);
            Place(output, new Operand(arena, _allocator.Allocate(bytes, _waits is null ? null : users => _waits.Allows(node, bytes, users)), output.Type));
            _inArena.Add(output);
        }

        private void ReleaseIfDead(Tensor root, int now)
        {
            if (_lastUse.GetValueOrDefault(root, now) > now || !_inArena.Remove(root)) return;
            _allocator.Free(_storage[root].Offset, Align(root.Type.Bytes), _waits?.Users(root));
        }

        private void EmitLoop(Node node, Repeat repeat)
        {
            int at = repeat.Counted ? 1 : 0;
            foreach (var output in node.Outputs) Allocate(node, output);
            for (int i = 0; i < repeat.CarriedCount; i++) Move(At(node.Inputs[at + i]), At(node.Outputs[i]));
            if (repeat.Counted)
                for (int s = repeat.CarriedCount; s < node.Outputs.Length; s++)
                {
                    var type = node.Outputs[s].Type;
                    var zero = owner.ConstantOperand(new Constant(new TensorType(type.DType, Shape.Scalar), new Numbers([0])));
                    Instructions.Add(new KernelCall(new Broadcast(type.Shape), [zero], [At(node.Outputs[s])]));
                }

            var body = node.Body!;
            int inner = owner.NewArena();
            var block = new Block(owner, body, inner);
            var index = new Operand(inner, block._allocator.Allocate(Alignment), TensorType.Int(Shape.Scalar));
            var cells = new Cell?[repeat.CarriedCount];
            foreach (var leaf in body.Nodes)
                switch (leaf.Op)
                {
                    case RepeatIndex: block.Place(leaf.Outputs[0], index); break;
                    case Capture capture: block.Place(leaf.Outputs[0], At(node.Inputs[at + repeat.CarriedCount + capture.Index])); break;
                    case Carried carried:
                        var storage = At(node.Outputs[carried.Index]);
                        block.Place(leaf.Outputs[0], storage);
                        cells[carried.Index] = new Cell(leaf.Outputs[0], body.Results[carried.Index], storage);
                        break;
                }
            block.Run(cells.Select(c => c!).ToArray(),
                body.Results.Skip(repeat.CarriedCount).Select((value, s) => (value, At(node.Outputs[repeat.CarriedCount + s]))).ToArray(), index);

            long place = _allocator.Allocate(Align(block.Bytes));
            var moved = block.Instructions.Select(i => Relocate(i, inner, place)).ToArray();
            Instructions.Add(new Loop(repeat.Max, repeat.Counted ? At(node.Inputs[0]) : null, Relocate(index, inner, place), moved));
            if (owner._reuse) _allocator.Free(place, Align(block.Bytes), _waits?.Only(node));
        }

        private Instruction Relocate(Instruction instruction, int from, long place) => instruction switch
        {
            KernelCall call => call with { Inputs = Array.ConvertAll(call.Inputs, o => Relocate(o, from, place)), Outputs = Array.ConvertAll(call.Outputs, o => Relocate(o, from, place)) },
            Loop loop => loop with
            {
                Count = loop.Count is { } count ? Relocate(count, from, place) : null,
                Index = Relocate(loop.Index, from, place),
                Body = Array.ConvertAll(loop.Body, i => Relocate(i, from, place)),
            },
            _ => instruction,
        };

        private Operand Relocate(Operand operand, int from, long place) =>
            operand.Slot == from ? operand with { Slot = arena, Offset = operand.Offset + place } : operand;

        /// <summary>Copies what was not computed in its final storage: outputs first, then variables as a parallel copy, staged in the arena where one reads another.</summary>
        private void Finish(Cell[] cells, (Tensor Value, Operand Storage)[] outputs, Operand? stackIndex)
        {
            foreach (var (value, storage) in outputs)
                if (stackIndex is { } index)
                    Instructions.Add(new KernelCall(new StoreRow(storage.Type.Shape[0]), [At(value), index], [storage]));
                else if (At(value) != storage) Move(At(value), storage);

            var moves = cells.Select(c => (From: At(c.After), To: c.Storage)).Where(m => m.From.Slot != m.To.Slot || m.From.Offset != m.To.Offset).ToArray();
            bool IsCell(Operand o) => cells.Any(c => c.Storage.Slot == o.Slot && c.Storage.Offset < o.Offset + o.Type.Bytes && o.Offset < c.Storage.Offset + c.Storage.Type.Bytes);
            for (int i = 0; i < moves.Length; i++)
            {
                if (!IsCell(moves[i].From)) continue;
                var staged = new Operand(arena, _allocator.Allocate(Align(moves[i].From.Type.Bytes)), moves[i].From.Type);
                Move(moves[i].From, staged);
                moves[i].From = staged;
            }
            foreach (var (from, to) in moves) Move(from, to);
        }

        private void Move(Operand from, Operand to) => Instructions.Add(new KernelCall(new Copy(), [from], [to with { Type = from.Type }]));
    }

    /// <summary>A best-fit allocator of an arena: the smallest free gap that fits, else the end.</summary>
    private sealed class Allocator
    {
        private readonly List<Gap> _gaps = []; // by offset; neighbours differ in their users
        private long _end;

        /// <param name="Offset">Where it begins.</param>
        /// <param name="Size">How long it is.</param>
        /// <param name="Users">The nodes that used the memory last; null: irrelevant, as kernels run in order.</param>
        private readonly record struct Gap(long Offset, long Size, ulong[]? Users)
        {
            public long End => Offset + Size;
        }

        public long Peak { get; private set; }

        /// <param name="size">Bytes.</param>
        /// <param name="allows">Whether memory with these last users will do; null: any.</param>
        public long Allocate(long size, Func<ulong[]?, bool>? allows = null)
        {
            // Runs of neighbouring gaps that will do; the smallest that is long enough.
            int best = -1, bestCount = 0;
            long bestSize = long.MaxValue;
            for (int i = 0; i < _gaps.Count;)
            {
                int from = i;
                long total = 0;
                while (i < _gaps.Count && (i == from || _gaps[i].Offset == _gaps[i - 1].End) && (allows is null || allows(_gaps[i].Users))) total += _gaps[i++].Size;
                if (total >= size && total < bestSize) (best, bestCount, bestSize) = (from, i - from, total);
                if (i == from) i++;
            }
            if (best < 0)
            {
                long offset = _end;
                _end += size;
                Peak = Math.Max(Peak, _end);
                return offset;
            }
            var (at, left) = (_gaps[best].Offset, size);
            for (int k = 0; k < bestCount && left > 0; k++)
            {
                var gap = _gaps[best];
                if (gap.Size <= left) _gaps.RemoveAt(best);
                else _gaps[best] = new Gap(gap.Offset + left, gap.Size - left, gap.Users);
                left -= Math.Min(left, gap.Size);
            }
            return at;
        }

        public void Free(long offset, long size, ulong[]? users = null)
        {
            int i = _gaps.FindIndex(g => g.Offset > offset);
            if (i < 0) i = _gaps.Count;
            if (i < _gaps.Count && offset + size == _gaps[i].Offset && Same(users, _gaps[i].Users))
            {
                size += _gaps[i].Size;
                _gaps.RemoveAt(i);
            }
            if (i > 0 && _gaps[i - 1].End == offset && Same(users, _gaps[i - 1].Users))
            {
                (offset, size) = (_gaps[i - 1].Offset, size + _gaps[i - 1].Size);
                _gaps.RemoveAt(--i);
            }
            if (offset + size == _end && users is null) _end = offset;
            else _gaps.Insert(i, new Gap(offset, size, users));
        }

        private static bool Same(ulong[]? a, ulong[]? b) => a is null ? b is null : b is not null && a.AsSpan().SequenceEqual(b);
    }
}
