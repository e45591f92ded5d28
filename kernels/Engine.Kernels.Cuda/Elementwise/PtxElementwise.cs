using System.Globalization;
using System.Text;
using Engine.Kernels.Cpu;

namespace Engine.Kernels.Cuda.Elementwise;

/// <summary>
/// Elementwise ops, fused expressions and copies as PTX. A thread computes one element, or four neighbours if there are many: what lies contiguously is then loaded and stored at once, and
/// what repeats is loaded once. The text depends on the ops and on all sizes but the leading one, so numbers of rows share it.
/// </summary>
internal static partial class PtxElementwise
{
    private const int Threads = 256, FewThreads = 128;

    /// <summary>Whether the op is one of these.</summary>
    public static bool Has(Op op, TensorType[] inputs) =>
        op is Unary or Binary or Compare or Logical or Select or Fma or Cast or FusedElementwise or Copy && Array.TrueForAll(inputs, t => t.DType != DType.F64);

    /// <summary>The launch of an op at these types.</summary>
    public static CudaKernel Make(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        long elements = outputs[0].Elements;
        if (elements == 0) return new CudaKernel("no elements", []);
        // Below this one element a thread keeps more multiprocessors busy.
        int lanes = elements >= 4L * Threads * limits.Multiprocessors ? 4 : 1, threads = lanes == 4 ? Threads : FewThreads;
        var (name, text) = Text(op, inputs, outputs[0], lanes, threads);
        var arguments = new KernelArgument[inputs.Length + 2];
        for (int i = 0; i <= inputs.Length; i++) arguments[i] = KernelArgument.Operand(i);
        arguments[^1] = IsWide(elements) ? elements : (int)elements;
        long blocks = (elements + (long)lanes * threads - 1) / ((long)lanes * threads);
        if (blocks > int.MaxValue) throw new DeviceException($"op {op.Name}: {elements} elements are more than a launch takes");
        return new CudaKernel(lanes == 4 ? "ptx, 4 elements a thread" : "ptx", [new KernelLaunch(name, new Dim3((int)blocks), new Dim3(threads), arguments, 0, text)]);
    }

    /// <summary>Whether indices need 64 bits.</summary>
    private static bool IsWide(long elements) => elements > int.MaxValue - 4 * Threads;

    /// <summary>A module with one function that takes the addresses of the inputs and of the output, and the number of elements.</summary>
    internal static (string Name, string Text) Text(Op op, TensorType[] inputs, TensorType output, int lanes, int threads)
    {
        bool wide = IsWide(output.Elements);
        var writer = new PtxWriter();
        writer.Write(() => new Body(writer, op, inputs, output, lanes, threads, wide).Write());
        string[] parameters = [.. Enumerable.Range(0, inputs.Length).Select(i => $".param .u64 x{i}"), ".param .u64 y", wide ? ".param .u64 n" : ".param .u32 n"];
        return Named(op, writer.Function(Unnamed, parameters, threads));
    }

    private const string Unnamed = "NAME";

    /// <summary>The module of a function that is still unnamed.</summary>
    private static (string Name, string Text) Named(Op op, string function)
    {
        string name = NameOf(op, function);
        return (name, PtxWriter.Header + "\n" + function.Replace($".entry {Unnamed}(", $".entry {name}(", StringComparison.Ordinal));
    }

    /// <summary>What is computed, readable in a profiler, and a hash of the text, so that different texts have different names.</summary>
    private static string NameOf(Op op, string text)
    {
        var name = new StringBuilder("elementwise_");
        foreach (char c in op.Name) name.Append(char.IsAsciiLetterOrDigit(c) ? c : '_');
        if (name.Length > 48) name.Length = 48;
        ulong hash = 14695981039346656037; // FNV-1a
        foreach (char c in text) hash = (hash ^ c) * 1099511628211;
        return name.Append(CultureInfo.InvariantCulture, $"_{hash:x16}").ToString();
    }

    /// <summary>Writes one function.</summary>
    private sealed partial class Body(PtxWriter text, Op op, TensorType[] inputs, TensorType output, int lanes, int threads, bool wide)
    {
        private readonly FusedElementwise _expression = op as FusedElementwise ?? new FusedElementwise(inputs.Length, [new FusedStep(op is Copy ? new StopGradient() : op, Enumerable.Range(0, inputs.Length).ToArray())]);
        private readonly Dictionary<(string View, int Lane), PtxLanes> _loaded = [];
        private TensorType[] _types = [];
        private string[] _addresses = [];
        private string _size = "";

        /// <summary>An input and the axes along which it is walked, innermost first: their sizes, and the input's strides.</summary>
        private sealed record View(int Input, long[] Sizes, long[] Strides)
        {
            /// <summary>Equal for equal views.</summary>
            public string Key { get; } = $"{Input}: {string.Join(' ', Sizes)}, {string.Join(' ', Strides)}";
        }

        public void Write()
        {
            _types = _expression.Types(inputs);
            _addresses = Enumerable.Range(0, inputs.Length + 1).Select(i => Address(i < inputs.Length ? $"x{i}" : "y")).ToArray();
            _size = wide ? text.Long("ld.param.u64", "[n]") : text.Word("ld.param.u32", "[n]");
            string first = FirstElement();
            string unsigned = wide ? "u64" : "u32";
            text.Line($"@{text.Predicate($"setp.ge.{unsigned}", $"{first}, {_size}")} ret");
            if (lanes == 1)
            {
                Element(first);
                text.Line("ret");
                return;
            }
            if (output.Elements % lanes != 0)
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
            Vector(first);
            text.Line("ret");
        }

        private string Address(string parameter) => text.Long("cvta.to.global.u64", text.Long("ld.param.u64", $"[{parameter}]"));

        private string FirstElement()
        {
            string block = text.Word("mov.u32", "%ctaid.x"), thread = text.Word("mov.u32", "%tid.x");
            if (!wide)
            {
                string index = text.Word("mad.lo.u32", $"{block}, {threads}, {thread}");
                return lanes == 1 ? index : text.Word("shl.b32", $"{index}, 2");
            }
            string whole = text.Long("add.u64", $"{text.Long("mul.wide.u32", $"{block}, {threads}")}, {text.Long("cvt.u64.u32", thread)}");
            return lanes == 1 ? whole : text.Long("shl.b64", $"{whole}, 2");
        }

        /// <summary>One element.</summary>
        private void Element(string index)
        {
            _loaded.Clear();
            Store([Compute(view => Load(view, index, 0))], index);
        }

        /// <summary>Four neighbours; all inputs are read before the output, which may be one of them, is written.</summary>
        private void Vector(string first)
        {
            _loaded.Clear();
            var results = new PtxLanes[lanes];
            for (int lane = 0; lane < lanes; lane++)
            {
                int at = lane;
                results[lane] = Compute(view => LoadVector(view, first, at));
            }
            Store(results, first);
        }

        /// <summary>Runs the steps on one element.</summary>
        private PtxLanes Compute(Func<View, PtxLanes> load)
        {
            int count = _expression.InputCount;
            var values = new PtxLanes[count + _expression.Steps.Count];
            for (int s = 0; s < _expression.Steps.Count; s++)
            {
                var (step, numbers) = _expression.Steps[s];
                var shape = _types[count + s].Shape;
                var arguments = Array.ConvertAll(numbers.ToArray(), a => a < count ? load(Seen(a, shape)) : values[a]);
                values[count + s] = step.IsElementwise ? Apply(step, _types[numbers[0]].DType, arguments) : arguments[0];
            }
            return values[^1];
        }

        // Loads and stores.

        private PtxLanes Load(View view, string index, int lane)
        {
            if (_loaded.TryGetValue((view.Key, lane), out var known)) return known;
            string at = Add(index, lane);
            string register = text.NewWord();
            text.Line($"ld.global.{Memory(inputs[view.Input].DType)} {register}, [{At(view, at)}]");
            return _loaded[(view.Key, lane)] = Loaded(view, register);
        }

        private PtxLanes LoadVector(View view, string first, int lane)
        {
            if (_loaded.TryGetValue((view.Key, lane), out var known)) return known;
            if (view.Sizes.Length > 1 && view.Sizes[0] % lanes != 0) return Load(view, first, lane);
            if (view.Strides[0] == 0)
            {
                var value = Load(view, first, 0);
                for (int i = 0; i < lanes; i++) _loaded[(view.Key, i)] = value;
                return value;
            }
            // Neighbours in a row that begins at a multiple of their number: so are the strides, for the input is as long there.
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

        private void Store(PtxLanes[] results, string index)
        {
            var registers = Array.ConvertAll(results, r => output.DType switch
            {
                DType.Bool => text.Word("selp.b32", $"1, 0, {r.Mask}"),
                DType.BF16 => text.Word("shr.u32", $"{r.Register}, 16"),
                _ => r.Register,
            });
            string memory = Memory(output.DType), address = Place(_addresses[^1], index, output.DType.Bytes());
            text.Line(results.Length == 1 ? $"st.global.{memory} [{address}], {registers[0]}" : $"st.global.v{results.Length}.{memory} [{address}], {{{string.Join(", ", registers)}}}");
        }

        private static string Memory(DType type) => type switch { DType.Bool => "u8", DType.BF16 => "u16", _ => "b32" };

        // Indices.

        /// <summary>An input under a shape; axes that it traverses alike are merged.</summary>
        private View Seen(int input, Shape target)
        {
            var shape = inputs[input].Shape;
            if (shape.Elements == target.Elements) return new View(input, [target.Elements], [1]);
            var strides = shape.BroadcastStrides(target);
            var sizes = new List<long>();
            var merged = new List<long>();
            for (int axis = target.Rank - 1; axis >= 0; axis--)
            {
                int size = target[axis];
                if (size == 1) continue;
                if (sizes.Count > 0 && strides[axis] == merged[^1] * sizes[^1]) sizes[^1] *= size;
                else
                {
                    sizes.Add(size);
                    merged.Add(strides[axis]);
                }
            }
            return new View(input, sizes.ToArray(), merged.ToArray());
        }

        private string At(View view, string index)
        {
            long[] sizes = view.Sizes, strides = view.Strides;
            int last = Array.FindLastIndex(strides, s => s != 0), bytes = inputs[view.Input].DType.Bytes();
            if (last < 0) return _addresses[view.Input];
            string? offset = null;
            for (int k = 0; k <= last; k++)
            {
                // The outermost axis needs no remainder, so the text does not depend on its size.
                bool outermost = k == sizes.Length - 1;
                string next = outermost ? "" : Quotient(index, sizes[k]);
                if (strides[k] != 0)
                {
                    string coordinate = outermost ? index : Subtract(index, Multiply(next, sizes[k]));
                    string term = Multiply(coordinate, strides[k]);
                    offset = offset is null ? term : wide ? text.Long("add.u64", $"{offset}, {term}") : text.Word("add.u32", $"{offset}, {term}");
                }
                index = next;
            }
            return Place(_addresses[view.Input], offset!, bytes);
        }

        private string Place(string address, string offset, int bytes) => wide ? text.Long("mad.lo.u64", $"{offset}, {bytes}, {address}") : text.Long("mad.wide.u32", $"{offset}, {bytes}, {address}");

        private string Add(string index, int by) => by == 0 ? index : wide ? text.Long("add.u64", $"{index}, {by}") : text.Word("add.u32", $"{index}, {by}");

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

    // Ops over lanes.

    private static PtxLanes Apply(Op op, DType type, PtxLanes[] x) => op switch
    {
        Unary unary => type == DType.I32 ? Ints(unary.Kind, x[0]) : Floats(unary.Kind, x[0]),
        Binary binary => type == DType.I32 ? Ints(binary.Kind, x[0], x[1]) : Floats(binary.Kind, x[0], x[1]),
        Compare compare => Comparison(compare.Kind, type, x[0], x[1]),
        Logical logical => logical.Kind switch { LogicalKind.And => x[0] & x[1], LogicalKind.Or => x[0] | x[1], _ => x[0] ^ x[1] },
        Select => PtxLanes.Select(x[0], x[1], x[2]),
        Fma => PtxLanes.Fma(x[0], x[1], x[2]),
        Cast cast => Converted(type, cast.To, x[0]),
        _ => throw new DeviceException($"op {op.Name} is not implemented on device cuda"),
    };

    private static PtxLanes Ints(UnaryKind kind, PtxLanes x)
    {
        var negative = PtxLanes.SubtractInt(PtxLanes.Create(0), x);
        return kind == UnaryKind.Negate ? negative : PtxLanes.MaxInt(x, negative);
    }

    private static PtxLanes Floats(UnaryKind kind, PtxLanes x)
    {
        var call = new UnaryCall { X = x };
        UnaryLoops.Find(kind, ref call);
        return call.Result;
    }

    private static PtxLanes Ints(BinaryKind kind, PtxLanes x, PtxLanes y)
    {
        if (kind == BinaryKind.Divide) return PtxFunctions.Quotient(x, y);
        if (kind == BinaryKind.Modulo) return PtxFunctions.Remainder(x, y);
        var call = new BinaryCall { X = x, Y = y };
        BinaryLoops.FindInt(kind, ref call);
        return call.Result;
    }

    private static PtxLanes Floats(BinaryKind kind, PtxLanes x, PtxLanes y)
    {
        if (kind == BinaryKind.Power) return PtxFunctions.Power(x, y);
        var call = new BinaryCall { X = x, Y = y };
        BinaryLoops.FindFloat(kind, ref call);
        return call.Result;
    }

    private static PtxLanes Comparison(CompareKind kind, DType type, PtxLanes x, PtxLanes y)
    {
        var call = new BinaryCall { X = x, Y = y };
        if (type == DType.I32) CompareLoops.FindInt(kind, ref call);
        else CompareLoops.FindFloat(kind, ref call);
        return call.Result;
    }

    private static PtxLanes Converted(DType from, DType to, PtxLanes x)
    {
        if (from == to) return x;
        var call = new ConversionCall { X = x };
        CastLoops.Find(from, to, ref call);
        // Storing a bfloat16 leaves the lower bits out; between two steps that must be done by hand.
        return to == DType.BF16 ? call.Result & PtxLanes.Create(unchecked((int)0xFFFF0000)) : call.Result;
    }

    private struct UnaryCall : IUnaryUser
    {
        public PtxLanes X, Result;

        public void Use<F>() where F : IUnaryFunction => Result = F.Invoke(X);
    }

    private struct BinaryCall : IBinaryUser
    {
        public PtxLanes X, Y, Result;

        public void Use<F>() where F : IBinaryFunction => Result = F.Invoke(X, Y);
    }

    private struct ConversionCall : IConversionUser
    {
        public PtxLanes X, Result;

        public void Use<F>() where F : IConversion => Result = F.Invoke(X);
    }
}
