using System.Globalization;
using System.Text;
using Engine.Kernels.Cpu;
using Engine.Kernels.Cuda.Launches;

namespace Engine.Kernels.Cuda.Elementwise;

/// <summary>How a fused expression is computed.</summary>
internal enum Way
{
    /// <summary>A thread an element, or four neighbours if there are many: what lies contiguously is then loaded and stored at once.</summary>
    Elements,
    /// <summary>A thread a short row: over the dimensions of an action, or over an ensemble.</summary>
    ThreadRows,
    /// <summary>A warp a row of neighbours: over a batch.</summary>
    WarpRows,
    /// <summary>A block a longer row of neighbours: over a batch and an ensemble.</summary>
    BlockRows,
}

/// <summary>
/// Elementwise ops, fused expressions and copies as PTX. The text depends on the ops and on all sizes but the leading one, so numbers of rows share it.
/// </summary>
internal static class PtxElementwise
{
    private const int Threads = 256, FewThreads = 128;

    // What a thread computes of a row is written out; a kernel takes 4 KB of parameters. Where there are many elements and nothing is reduced, a thread an element reads faster.
    private const int MostRepeated = 1 << 17, MostCombined = 16, MostWritten = 400, MostOperands = 64, WarpRow = Reductions.WarpRow, BlockRow = Reductions.BlockRow;

    /// <summary>Whether the op is one of these.</summary>
    public static bool Has(Op op, TensorType[] inputs) =>
        Array.TrueForAll(inputs, t => t.DType != DType.F64) && op switch
        {
            Unary or Binary or Compare or Logical or Select or Fma or Cast or Copy => true,
            Fused fused => FormOf(fused, inputs) is not null,
            _ => false,
        };

    /// <summary>How an expression is computed in one launch.</summary>
    /// <param name="Domain">How its values lie.</param>
    /// <param name="Way">What a thread computes.</param>
    /// <param name="IsWide">Whether indices need 64 bits.</param>
    private sealed record Form(FusedDomain Domain, Way Way, bool IsWide);

    /// <summary>The form of an expression; null: it is not computed in one launch.</summary>
    private static Form? FormOf(Fused op, TensorType[] inputs)
    {
        if (inputs.Length + op.Results.Count > MostOperands || FusedDomain.Of(op, inputs) is not { } domain) return null;
        // An input of which a part is read may be longer than all values.
        bool reduces = op.Steps.Any(s => s.Op is Reduce), wide = Math.Max(domain.Elements, inputs.Max(t => t.Elements)) > int.MaxValue - 4 * Threads;
        Way? way = domain.Reduced == 1 && !reduces ? Way.Elements
            : wide || (domain.Elements > MostRepeated && !reduces) ? null
            : domain.Reduced <= MostCombined ? domain.Reduced * op.Steps.Count <= MostWritten ? Way.ThreadRows : null
            : domain.Inner > 1 || !domain.OnePass ? null
            : domain.Reduced <= WarpRow ? Way.WarpRows
            : domain.Reduced <= BlockRow ? Way.BlockRows : null;
        return way is { } known ? new Form(domain, known, wide) : null;
    }

    /// <summary>The launch of an op at these types.</summary>
    public static CudaKernel Make(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        if (outputs[0].Elements == 0) return Launch.Nothing;
        var (domain, way, wide) = FormOf(Expression(op, inputs.Length), inputs)!;
        // Below this one element a thread keeps more multiprocessors busy.
        int lanes = way == Way.Elements && domain.Elements >= 4L * Threads * limits.Multiprocessors ? 4 : 1, threads = lanes == 4 || way == Way.BlockRows ? Threads : FewThreads;
        var (name, text) = Text(op, inputs, lanes, threads);
        long count = way == Way.Elements ? domain.Elements : domain.Rows;
        KernelArgument[] arguments = [.. Enumerable.Range(0, inputs.Length + outputs.Length).Select(KernelArgument.Operand), wide ? count : (int)count];
        int blocks = Launch.Blocks(count, way switch { Way.Elements => (long)lanes * threads, Way.ThreadRows => threads, Way.WarpRows => threads / 32, _ => 1 }, name);
        string variant = way switch { Way.Elements => lanes == 4 ? "ptx, 4 elements a thread" : "ptx", Way.ThreadRows => "ptx, a thread a row", Way.WarpRows => "ptx, a warp a row", _ => "ptx, a block a row" };
        return new CudaKernel(variant, [new KernelLaunch(name, new Dim3(blocks), new Dim3(threads), arguments, 0, text)]);
    }

    private static Fused Expression(Op op, int inputs) => op as Fused ?? new Fused(inputs, [new FusedStep(op is Copy ? new StopGradient() : op, Enumerable.Range(0, inputs).ToArray())]);

    /// <summary>A module with one function that takes the addresses of the inputs and of the outputs, and the number of elements or rows.</summary>
    internal static (string Name, string Text) Text(Op op, TensorType[] inputs, int lanes, int threads)
    {
        var expression = Expression(op, inputs.Length);
        var (domain, way, wide) = FormOf(expression, inputs)!;
        var writer = new PtxWriter();
        writer.Write(() => new PtxBody(writer, expression, inputs, domain, way is Way.WarpRows or Way.BlockRows ? 4 : lanes, threads, wide).Write(way));
        string[] parameters = [.. Enumerable.Range(0, inputs.Length).Select(i => $".param .u64 x{i}"), .. Enumerable.Range(0, expression.Results.Count).Select(i => $".param .u64 y{i}"), wide ? ".param .u64 n" : ".param .u32 n"];
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

    // Ops over lanes.

    /// <summary>An elementwise op on an element.</summary>
    public static PtxLanes Apply(Op op, DType type, PtxLanes[] x) => op switch
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
        if (kind == BinaryKind.FloorDivide) return PtxFunctions.FloorQuotient(x, y);
        var call = new BinaryCall { X = x, Y = y };
        BinaryLoops.FindInt(kind, ref call);
        return call.Result;
    }

    /// <summary>An op on two floats.</summary>
    public static PtxLanes Floats(BinaryKind kind, PtxLanes x, PtxLanes y)
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
