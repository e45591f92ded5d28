using System.Runtime.CompilerServices;

namespace Engine.Kernels.Cpu;

/// <summary>
/// An elementwise op, or a fused expression of several: all steps on one tile of the output after the other, so that what lies between the steps stays in the
/// first-level cache; or as one loop compiled for the expression. Every step runs the function its op runs by itself; an element's result does not depend on where a tile begins, so fusing
/// changes no bit.
/// </summary>
internal sealed unsafe class ElementwiseKernel : CpuKernel
{
    // Half of a first-level cache of 32 KiB for what lies between the steps; inputs and the output stream through the rest.
    private const int ScratchBudget = 16 * 1024;
    private const int SmallestTile = 256;

    /// <summary>Rows from this length on are not copied together: a tile then lies within one.</summary>
    private const int LongRow = 256;

    /// <summary>Where a step finds an argument.</summary>
    /// <param name="Input">Number of the input; -1: the result of another step.</param>
    /// <param name="Maker">That step's number.</param>
    /// <param name="Slot">Scratch of that result, or of the copy of an input whose elements do not lie one after another; -1: none.</param>
    /// <param name="Rows">How the input repeats; null: not at all.</param>
    /// <param name="Type">Of an element.</param>
    private readonly record struct Argument(int Input, int Maker, int Slot, BroadcastRows? Rows, DType Type)
    {
        public int Size { get; } = Type.Bytes();
    }

    /// <param name="Op">What it computes.</param>
    /// <param name="Arguments">On what.</param>
    /// <param name="Slot">Scratch of the result; -1: the output.</param>
    /// <param name="Type">Of an element of the result.</param>
    private sealed record Step(Op Op, Argument[] Arguments, int Slot, DType Type)
    {
        public ElementLoop Loop { get; } = ElementLoops.Of(Op, Arguments[0].Type);

        public int Size { get; } = Type.Bytes();
    }

    private readonly long _total;
    private readonly Step[] _steps;
    private readonly int _outputSize;
    private int _slots, _tile;
    private CompiledLoop? _loop;
    private Argument[] _operands = []; // of the compiled loop
    private readonly long _row; // tiles end where such a row ends
    private readonly int _inputs;

    public ElementwiseKernel(Op op, TensorType[] inputs, TensorType output)
    {
        var expression = op as Fused ?? new Fused(inputs.Length, [new FusedStep(op, Enumerable.Range(0, inputs.Length).ToArray())]);
        (_total, _outputSize, _inputs) = (output.Elements, output.DType.Bytes(), inputs.Length);
        var types = expression.Types(inputs);
        _row = LongestRow(expression, types, output.Elements);
        (_steps, _slots) = Schedule(expression, types);
        Chunks = ChunksFor(_total);
        SetTile();
    }

    public override string Variant => (_loop is null ? "vector" : "compiled") + (_slots == 0 ? "" : $", tiles of {_tile}");

    public override long CompilableElements => _steps.Length > 1 ? _total : 0;

    /// <summary>Makes one loop of the steps where there are several and it can be had.</summary>
    public override void Compile()
    {
        if (CompilableElements == 0) return;
        // What is copied for one step may be read by others too, so all copies exist at once: an argument's slot only says whether it is copied.
        static Argument Read(Argument a) => a with { Slot = Math.Min(a.Slot, 0) };
        var operands = _steps.SelectMany(s => s.Arguments).Where(a => a.Input >= 0).Select(Read).Distinct().ToArray();
        var described = Array.ConvertAll(operands, o => new LoopOperand(o.Type, o is { Slot: < 0, Rows: { } rows } && rows.InnerStrides[0] == 0));
        int Value(Argument a) => a.Input < 0 ? operands.Length + a.Maker : Array.IndexOf(operands, Read(a));
        _loop = CompiledLoop.Of(described, Array.ConvertAll(_steps, s => new LoopStep(s.Op, s.Arguments[0].Type, s.Type, Array.ConvertAll(s.Arguments, Value))));
        if (_loop is null) return;
        _slots = 0;
        _operands = Array.ConvertAll(operands, o => o.Slot < 0 ? o : o with { Slot = _slots++ });
        SetTile();
    }

    private void SetTile()
    {
        _tile = _slots == 0 ? ElementsPerChunk : Math.Max(SmallestTile, ScratchBudget / sizeof(float) / _slots / 64 * 64);
        ScratchBytes = (long)_slots * _tile * sizeof(float);
    }

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        long from = (long)chunk * ElementsPerChunk;
        Run(operands, (byte*)operands[_inputs], from, Math.Min(_total, from + ElementsPerChunk), scratch);
    }

    /// <summary>Computes elements [from, to); element 0 would lie at <paramref name="output"/>.</summary>
    public void Run(void** inputs, byte* output, long from, long to, byte* scratch)
    {
        for (long at = from; at < to;)
        {
            long end = Math.Min(to, at + _tile);
            if (_row > 0) end = Math.Min(end, (at / _row + 1) * _row);
            if (_loop is null) Tile(inputs, output, at, (int)(end - at), scratch);
            else CompiledTile(_loop, inputs, output, at, (int)(end - at), scratch);
            at = end;
        }
    }

    private void CompiledTile(CompiledLoop loop, void** inputs, byte* output, long at, int n, byte* scratch)
    {
        byte** operands = stackalloc byte*[_operands.Length + 1];
        for (int i = 0; i < _operands.Length; i++) operands[i] = _operands[i].Slot < 0 ? (byte*)Place(_operands[i], inputs, at, n, scratch, out _) : Copy(_operands[i], inputs, at, n, scratch);
        operands[_operands.Length] = output + at * _outputSize;
        loop.Run(operands, n);
    }

    private void Tile(void** inputs, byte* output, long at, int n, byte* scratch)
    {
        void** operands = stackalloc void*[4];
        foreach (var step in _steps)
        {
            int repeats = 0;
            var arguments = step.Arguments;
            for (int i = 0; i < arguments.Length; i++)
            {
                operands[i] = Place(arguments[i], inputs, at, n, scratch, out bool repeated);
                if (repeated) repeats |= 1 << i;
            }
            byte* to = step.Slot < 0 ? output + at * _outputSize : Slot(scratch, step.Slot);
            operands[arguments.Length] = to;
            if (repeats != (1 << arguments.Length) - 1) step.Loop(operands, repeats, n);
            else
            {
                step.Loop(operands, 0, 1);
                Fill(to, to, step.Size, n);
            }
        }
    }

    private byte* Slot(byte* scratch, int slot) => scratch + (long)slot * _tile * sizeof(float);

    private void* Place(in Argument argument, void** inputs, long at, int n, byte* scratch, out bool repeated)
    {
        repeated = false;
        if (argument.Input < 0) return Slot(scratch, argument.Slot);
        byte* from = (byte*)inputs[argument.Input];
        if (argument.Rows is not { } rows) return from + at * argument.Size;
        long row = at / rows.Inner, column = at - row * rows.Inner, stride = rows.InnerStrides[0];
        if (column + n > rows.Inner) return Copy(argument, inputs, at, n, scratch);
        repeated = stride == 0;
        return from + (rows.Offset(0, row) + column * stride) * argument.Size;
    }

    /// <summary>Elements of an input that repeats, one after another.</summary>
    private byte* Copy(in Argument argument, void** inputs, long at, int n, byte* scratch)
    {
        var rows = argument.Rows!;
        long row = at / rows.Inner, column = at - row * rows.Inner, stride = rows.InnerStrides[0];
        byte* from = (byte*)inputs[argument.Input], copy = Slot(scratch, argument.Slot);
        for (int done = 0; done < n; row++, column = 0)
        {
            int length = (int)Math.Min(rows.Inner - column, n - done);
            byte* source = from + (rows.Offset(0, row) + column * stride) * argument.Size, target = copy + (long)done * argument.Size;
            if (stride == 0) Fill(target, source, argument.Size, length);
            else Unsafe.CopyBlockUnaligned(target, source, (uint)(length * argument.Size));
            done += length;
        }
        return copy;
    }

    private static void Fill(byte* target, byte* value, int size, int n)
    {
        if (size == 4) new Span<int>(target, n).Fill(*(int*)value);
        else if (size == 2) new Span<short>(target, n).Fill(*(short*)value);
        else new Span<byte>(target, n).Fill(*value);
    }

    /// <summary>How an input is read by a step, if not one element after the other.</summary>
    private static BroadcastRows? RowsOf(Shape input, Shape target) => input.Elements == target.Elements ? null : new BroadcastRows(target, input);

    private static long LongestRow(Fused expression, TensorType[] types, long total)
    {
        long longest = 0;
        for (int s = 0; s < expression.Steps.Count; s++)
            foreach (int argument in expression.Steps[s].Arguments.Span)
                if (argument < expression.InputCount && RowsOf(types[argument].Shape, types[expression.InputCount + s].Shape) is { } rows && rows.Inner >= LongRow && rows.Inner < total)
                    longest = Math.Max(longest, rows.Inner);
        return longest;
    }

    /// <summary>Gives every value that lies between two steps a piece of scratch, which the next may take once it has been read for the last time.</summary>
    private (Step[] Steps, int Slots) Schedule(Fused expression, TensorType[] types)
    {
        int inputs = expression.InputCount, count = expression.Steps.Count;
        // Aliases and broadcasts compute nothing: a value is an input seen under a shape, or the result of a step.
        var root = Enumerable.Range(0, inputs + count).ToArray();
        var rows = new BroadcastRows?[inputs + count]; // of a view that repeats elements
        for (int s = 0; s < count; s++)
        {
            var (op, arguments) = expression.Steps[s];
            if (op.IsElementwise) continue;
            int from = arguments[0], value = inputs + s;
            root[value] = root[from];
            rows[value] = rows[from] ?? (from < inputs ? RowsOf(types[from].Shape, types[value].Shape) : null);
        }
        int last = root[^1];
        if (last < inputs) throw new InvalidOperationException($"{expression} computes nothing");

        var lastUse = new int[inputs + count];
        for (int s = 0; s < count; s++)
            foreach (int argument in expression.Steps[s].Arguments.Span) lastUse[root[argument]] = Math.Max(lastUse[root[argument]], s);

        var inputRows = new Dictionary<(int, Shape), BroadcastRows?>();
        BroadcastRows? InputRows(int input, Shape target) => inputRows.TryGetValue((input, target), out var known) ? known : inputRows[(input, target)] = RowsOf(types[input].Shape, target);

        var free = new Stack<int>();
        var makers = new int[inputs + count]; // the step that makes a value
        int slots = 0;
        var slot = new int[inputs + count];
        Array.Fill(slot, -1);
        var steps = new List<Step>();
        int Take() => free.Count > 0 ? free.Pop() : slots++;
        for (int s = 0; s < count; s++)
        {
            var (op, numbers) = expression.Steps[s];
            if (!op.IsElementwise) continue;
            int value = inputs + s, size = types[value].DType.Bytes();
            makers[value] = steps.Count;
            var copies = new List<int>();
            var arguments = new Argument[numbers.Count];
            for (int i = 0; i < arguments.Length; i++)
            {
                int from = root[numbers[i]];
                var type = types[numbers[i]].DType;
                if (from >= inputs)
                {
                    arguments[i] = new Argument(-1, makers[from], slot[from], null, type);
                    continue;
                }
                var repeated = rows[numbers[i]] ?? (numbers[i] < inputs ? InputRows(numbers[i], types[value].Shape) : null);
                int copy = -1;
                // A tile may reach over the end of a row unless tiles end there.
                if (repeated is not null && repeated.Inner < _total && (_row == 0 || repeated.Inner % _row != 0)) copies.Add(copy = Take());
                arguments[i] = new Argument(from, -1, copy, repeated, type);
            }
            // A result may be written over a value of its size whose last reader this is, never over one of another size.
            bool output = value == last;
            var dying = numbers.ToArray().Select(a => root[a]).Distinct().Where(a => a >= inputs && lastUse[a] == s).ToArray();
            foreach (int a in dying)
                if (types[a].DType.Bytes() == size) free.Push(slot[a]);
            if (!output) slot[value] = Take();
            foreach (int a in dying)
                if (types[a].DType.Bytes() != size) free.Push(slot[a]);
            foreach (int copy in copies) free.Push(copy);
            steps.Add(new Step(op, arguments, slot[value], types[value].DType));
            if (output) break; // of the rest nothing comes out
        }
        return (steps.ToArray(), slots);
    }
}
