using System.Globalization;

namespace Engine.Kernels.Cuda.Elementwise;

/// <summary>Writes the function of a fused expression: what is loaded, computed and stored by a thread. PtxRows.cs has the ways that reduce.</summary>
internal sealed partial class PtxBody(PtxWriter text, Fused expression, TensorType[] inputs, FusedDomain domain, int lanes, int threads, bool wide)
{
    private readonly TensorType[] _types = expression.Types(inputs);
    private readonly PtxLanes[][] _values = new PtxLanes[inputs.Length + expression.Steps.Count][]; // one for each element that a thread has at a time, or one
    private readonly Dictionary<(string View, int Lane), PtxLanes> _loaded = [];
    private string[] _addresses = [];
    private string _size = "";

    /// <summary>An input and the axes along which it is walked, innermost first: their sizes, and the input's strides.</summary>
    private sealed record View(int Input, Extent Extent, long[] Sizes, long[] Strides, long Start = 0)
    {
        /// <summary>Equal for equal views.</summary>
        public string Key { get; } = $"{Input} {Extent}: {string.Join(' ', Sizes)}, {string.Join(' ', Strides)} from {Start}";
    }

    /// <summary>Writes it.</summary>
    public void Write(Way way)
    {
        _addresses = Enumerable.Range(0, inputs.Length + expression.Results.Count).Select(i => Address(i < inputs.Length ? $"x{i}" : $"y{i - inputs.Length}")).ToArray();
        _size = wide ? text.Long("ld.param.u64", "[n]") : text.Word("ld.param.u32", "[n]");
        switch (way)
        {
            case Way.Elements: Elements(); break;
            case Way.ThreadRows: ThreadRows(); break;
            case Way.WarpRows: TeamRows(Warp); break;
            default: TeamRows(threads); break;
        }
    }

    /// <summary>The steps of an extent, of those that are late or are not.</summary>
    private int[] Steps(Extent extent, bool? late = null) =>
        [.. Enumerable.Range(inputs.Length, expression.Steps.Count).Where(v => domain.Extents[v] == extent && (late is null || domain.IsLate[v] == late))];

    // A thread an element, or four neighbours.

    private void Elements()
    {
        string first = ThreadNumber();
        if (lanes == 4) first = wide ? text.Long("shl.b64", $"{first}, 2") : text.Word("shl.b32", $"{first}, 2");
        string unsigned = wide ? "u64" : "u32";
        text.Line($"@{text.Predicate($"setp.ge.{unsigned}", $"{first}, {_size}")} ret");
        Ones(late: false);
        StoreOnes(first, unsigned);
        if (lanes == 1)
        {
            Element(first);
            text.Line("ret");
            return;
        }
        if (domain.Elements % lanes != 0)
        {
            // The last thread has less than a whole vector.
            string full = text.NewLabel(), again = text.NewLabel(), index = wide ? text.NewLong() : text.NewWord();
            text.Line($"@{text.Predicate($"setp.le.{unsigned}", $"{Add(first, lanes)}, {_size}")} bra {full}");
            text.Line($"mov.{(wide ? "b64" : "b32")} {index}, {first}");
            text.Label(again);
            text.Block(() =>
            {
                Element(index);
                text.Line($"add.{unsigned} {index}, {index}, 1");
                text.Line($"@{text.Predicate($"setp.lt.{unsigned}", $"{index}, {_size}")} bra {again}");
            }, forget: true);
            text.Line("ret");
            text.Label(full);
        }
        // Four neighbours; all inputs are read before the outputs, which may be some of them, are written.
        _loaded.Clear();
        Evaluate(Steps(Extent.Whole), lanes, (view, lane) => LoadVector(view, first, lane));
        StoreAll(Extent.Whole, first);
        text.Line("ret");
    }

    private void Element(string index)
    {
        _loaded.Clear();
        Evaluate(Steps(Extent.Whole), 1, (view, _) => Load(view, index, 0));
        StoreAll(Extent.Whole, index);
    }

    private string Address(string parameter) => text.Long("cvta.to.global.u64", text.Long("ld.param.u64", $"[{parameter}]"));

    private string ThreadNumber()
    {
        string block = text.Word("mov.u32", "%ctaid.x"), thread = text.Word("mov.u32", "%tid.x");
        return wide ? text.Long("add.u64", $"{text.Long("mul.wide.u32", $"{block}, {threads}")}, {text.Long("cvt.u64.u32", thread)}") : text.Word("mad.lo.u32", $"{block}, {threads}, {thread}");
    }

    // Steps.

    /// <summary>Runs steps on so many elements.</summary>
    /// <param name="steps">The numbers of their values.</param>
    /// <param name="count">Elements.</param>
    /// <param name="load">Gives an input's element.</param>
    private void Evaluate(int[] steps, int count, Func<View, int, PtxLanes> load)
    {
        foreach (int v in steps)
        {
            var (step, numbers) = expression.Steps[v - inputs.Length];
            var results = new PtxLanes[count];
            for (int j = 0; j < count; j++)
            {
                int at = j;
                var arguments = Array.ConvertAll(numbers.ToArray(), a => Argument(a, v, at, load));
                results[j] = step.IsElementwise ? PtxElementwise.Apply(step, _types[numbers[0]].DType, arguments) : arguments[0];
            }
            _values[v] = results;
        }
    }

    private PtxLanes Argument(int value, int of, int lane, Func<View, int, PtxLanes> load) =>
        value < inputs.Length ? load(Seen(value, of), lane) : _values[value][Math.Min(lane, _values[value].Length - 1)];

    // Loads and stores.

    /// <summary>An element of an input.</summary>
    private PtxLanes Load(View view, string index, int offset)
    {
        if (_loaded.TryGetValue((view.Key, offset), out var known)) return known;
        string register = text.NewWord();
        text.Line($"ld.global.{Memory(inputs[view.Input].DType)} {register}, [{At(view, view.Extent == Extent.One ? "" : Add(index, offset))}]");
        return _loaded[(view.Key, offset)] = Loaded(view, register);
    }

    /// <summary>One of four neighbours, which are loaded at once where they lie beside one another.</summary>
    private PtxLanes LoadVector(View view, string first, int lane)
    {
        if (_loaded.TryGetValue((view.Key, lane), out var known)) return known;
        if (view.Extent == Extent.One) return Load(view, first, 0);
        if (view.Sizes.Length > 1 && view.Sizes[0] % lanes != 0) return Load(view, first, lane);
        if (view.Strides[0] == 0)
        {
            var value = Load(view, first, 0);
            for (int i = 0; i < lanes; i++) _loaded[(view.Key, i)] = value;
            return value;
        }
        // Neighbours in a row that begins at a multiple of their number: so are the strides, for the input is as long there, unless it is a part of something longer.
        if (view.Strides[0] != 1 || view.Start % lanes != 0 || view.Strides.Any(s => s > 1 && s % lanes != 0)) return Load(view, first, lane);
        var registers = Enumerable.Range(0, lanes).Select(_ => text.NewWord()).ToArray();
        text.Line($"ld.global.v{lanes}.{Memory(inputs[view.Input].DType)} {{{string.Join(", ", registers)}}}, [{At(view, first)}]");
        for (int i = 0; i < lanes; i++) _loaded[(view.Key, i)] = Loaded(view, registers[i]);
        return _loaded[(view.Key, lane)];
    }

    private PtxLanes Loaded(View view, string register) => inputs[view.Input].DType switch
    {
        DType.Bool => PtxLanes.OfPredicate(text.Predicate("setp.ne.s32", $"{register}, 0")),
        DType.BF16 => PtxLanes.ShiftLeft(PtxLanes.OfWord(register), 16),
        _ => PtxLanes.OfWord(register),
    };

    /// <summary>Stores the results of an extent, neighbours from an element on.</summary>
    private void StoreAll(Extent extent, string index)
    {
        for (int i = 0; i < expression.Results.Count; i++)
            if (domain.Extents[expression.Results[i]] == extent) Store(i, _values[expression.Results[i]], index);
    }

    /// <summary>Computes the scalars, which all rows share.</summary>
    private void Ones(bool late) => Evaluate(Steps(Extent.One, late), 1, (view, _) => Load(view, "", 0));

    /// <summary>Stores the scalar results, by the thread whose number is 0 alone.</summary>
    private void StoreOnes(string number, string unsigned = "u32")
    {
        if (!expression.Results.Any(v => domain.Extents[v] == Extent.One)) return;
        string others = text.NewLabel();
        text.Line($"@{text.Predicate($"setp.ne.{unsigned}", $"{number}, 0")} bra {others}");
        text.Block(() =>
        {
            Ones(late: true);
            StoreAll(Extent.One, "");
        });
        text.Label(others);
    }

    private void Store(int result, PtxLanes[] values, string index)
    {
        var type = _types[expression.Results[result]].DType;
        var registers = Array.ConvertAll(values, v => type switch
        {
            DType.Bool => text.Word("selp.b32", $"1, 0, {v.Mask}"),
            DType.BF16 => text.Word("shr.u32", $"{v.Register}, 16"),
            _ => v.Register,
        });
        string address = _addresses[inputs.Length + result];
        if (index.Length > 0) address = Place(address, index, type.Bytes());
        text.Line(values.Length == 1 ? $"st.global.{Memory(type)} [{address}], {registers[0]}" : $"st.global.v{values.Length}.{Memory(type)} [{address}], {{{string.Join(", ", registers)}}}");
    }

    private static string Memory(DType type) => type switch { DType.Bool or DType.U8 => "u8", DType.BF16 => "u16", _ => "b32" };

    // Indices.

    /// <summary>An input as a step sees it; axes that it traverses alike are merged.</summary>
    private View Seen(int input, int by)
    {
        Shape shape = inputs[input].Shape, target = _types[by].Shape;
        var extent = domain.Extents[by];
        if (expression.OpOf(by) is Slice slice)
        {
            var (along, start) = slice.Layout(shape);
            var (sliceSizes, sliceStrides) = FusedDomain.Walk(target, along);
            return new View(input, extent, sliceSizes, sliceStrides, start);
        }
        if (extent == Extent.One) return new View(input, extent, [], []);
        if (shape.Elements == target.Elements) return new View(input, extent, [target.Elements], [1]);
        var (sizes, strides) = FusedDomain.Walk(shape, target);
        return new View(input, extent, sizes, strides);
    }

    private string At(View view, string index)
    {
        long[] sizes = view.Sizes, strides = view.Strides;
        int last = Array.FindLastIndex(strides, s => s != 0), bytes = inputs[view.Input].DType.Bytes();
        string? offset = view.Start == 0 ? null : view.Start.ToString(CultureInfo.InvariantCulture);
        if (last < 0) return offset is null ? _addresses[view.Input] : text.Long("add.u64", $"{_addresses[view.Input]}, {view.Start * bytes}");
        for (int k = 0; k <= last; k++)
        {
            // The outermost axis needs no remainder, so the text does not depend on its size.
            bool outermost = k == sizes.Length - 1;
            string next = outermost ? "" : Quotient(index, sizes[k]);
            if (strides[k] != 0)
            {
                string coordinate = outermost ? index : Subtract(index, Multiply(next, sizes[k]));
                string term = Multiply(coordinate, strides[k]);
                offset = offset is null ? term : wide ? text.Long("add.u64", $"{term}, {offset}") : text.Word("add.u32", $"{term}, {offset}");
            }
            index = next;
        }
        return Place(_addresses[view.Input], offset!, bytes);
    }

    private string Place(string address, string offset, int bytes) => wide ? text.Long("mad.lo.u64", $"{offset}, {bytes}, {address}") : text.Long("mad.wide.u32", $"{offset}, {bytes}, {address}");

    private string Add(string index, long by) => by == 0 ? index : wide ? text.Long("add.u64", $"{index}, {by}") : text.Word("add.u32", $"{index}, {by}");

    private string Subtract(string a, string b) => wide ? text.Long("sub.u64", $"{a}, {b}") : text.Word("sub.u32", $"{a}, {b}");

    private string Multiply(string a, long by) => by == 1 ? a : wide ? text.Long("mul.lo.u64", $"{a}, {by}") : text.Word("mul.lo.u32", $"{a}, {by}");

    /// <summary>index / size. Of 31-bit numbers, the upper half of a product with 2^(31+s) / size rounded up, 2^s being the next power of two: exact, because what rounding adds is at most 2^s.</summary>
    private string Quotient(string index, long size)
    {
        if (wide) return text.Long("div.u64", $"{index}, {size}");
        int s = 64 - (int)long.LeadingZeroCount(size - 1);
        if (long.IsPow2(size)) return text.Word("shr.u32", $"{index}, {s}");
        ulong factor = ((ulong)1 << (31 + s)) / (ulong)size + 1;
        return text.Word("shr.u32", $"{text.Word("mul.hi.u32", $"{index}, {factor}")}, {s - 1}");
    }
}
