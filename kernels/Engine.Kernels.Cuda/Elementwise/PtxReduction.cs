using Engine.Kernels.Cuda.Launches;

namespace Engine.Kernels.Cuda.Elementwise;

/// <summary>Reductions of fused expressions in which a thread computes all that it combines: short rows, as over the dimensions of an action, and short columns, as over an ensemble.</summary>
internal static partial class PtxElementwise
{
    // Everything that a thread computes is written out.
    private const int MostCombined = 16, MostSteps = 128;

    /// <summary>The values as [outer, reduced, inner]; null: the reduced axes are not neighbours.</summary>
    private static (long Outer, long Reduced, long Inner)? Middle(Reduce reduction, Shape values)
    {
        long outer = 1, reduced = 1, inner = 1;
        bool begun = false;
        for (int axis = 0; axis < values.Rank; axis++)
        {
            int size = values[axis];
            if (size == 1) continue;
            if (!reduction.Axes.Contains(axis))
            {
                if (begun) inner *= size;
                else outer *= size;
            }
            else if (inner > 1) return null;
            else
            {
                begun = true;
                reduced *= size;
            }
        }
        return (outer, reduced, inner);
    }

    /// <summary>Whether a thread computes what it combines.</summary>
    public static bool Combines(FusedReduce op, TensorType[] inputs)
    {
        var values = op.Producer.Infer(inputs)[0];
        return values.DType == DType.F32 && Has(op.Producer, inputs) && Middle(op.Reduction, values.Shape) is { Reduced: > 0 and <= MostCombined } middle
            && middle.Reduced * op.Producer.Steps.Count <= MostSteps && !IsWide(values.Elements);
    }

    /// <summary>One launch: a thread a result.</summary>
    public static CudaKernel Make(FusedReduce op, TensorType[] inputs)
    {
        var values = op.Producer.Infer(inputs)[0];
        var (outer, reduced, inner) = Middle(op.Reduction, values.Shape)!.Value;
        if (outer * inner == 0) return Launch.Nothing;
        var writer = new PtxWriter();
        writer.Write(() => new Body(writer, op.Producer, inputs, values, 1, FewThreads, false).WriteReduction(op.Reduction.Kind, (int)reduced, (int)inner, op.Store));
        int operands = inputs.Length + (op.Store ? 2 : 1);
        string[] parameters = [.. Enumerable.Range(0, inputs.Length).Select(i => $".param .u64 x{i}"), .. op.Store ? [".param .u64 y"] : Array.Empty<string>(), ".param .u64 z", ".param .u32 n"];
        var (name, text) = Named(op, writer.Function(Unnamed, parameters, FewThreads));
        return new("ptx, a thread a result", [new(name, new(Launch.Blocks(outer * inner, FewThreads, name)), new(FewThreads),
            [.. Enumerable.Range(0, operands).Select(i => KernelArgument.Operand(i)), (int)(outer * inner)], 0, text)]);
    }

    private sealed partial class Body
    {
        /// <summary>The function: the combined results in z, the values in y if they are to be stored. The order of sums is rows.cuh's for rows, one after another for columns.</summary>
        public void WriteReduction(ReduceKind kind, int reduced, int inner, bool store)
        {
            _types = _expression.Types(inputs);
            _addresses = [.. Enumerable.Range(0, inputs.Length).Select(i => Address($"x{i}")), store ? Address("y") : ""];
            _size = text.Word("ld.param.u32", "[n]");
            string thread = FirstElement();
            text.Line($"@{text.Predicate("setp.ge.u32", $"{thread}, {_size}")} ret");
            string first = inner == 1 ? Multiply(thread, reduced) : text.Word("mad.lo.u32", $"{Quotient(thread, inner)}, {(reduced - 1) * inner}, {thread}");
            // All loads come before the first store.
            var values = Enumerable.Range(0, reduced).Select(r => Compute(view => Load(view, first, r * inner))).ToArray();
            if (store)
                for (int r = 0; r < reduced; r++) Store([values[r]], Add(first, r * inner));
            var parts = new PtxLanes[inner == 1 && kind == ReduceKind.Sum ? 4 : 1];
            Array.Fill(parts, PtxLanes.Create(kind switch { ReduceKind.Sum => 0f, ReduceKind.Max => float.NegativeInfinity, _ => float.PositiveInfinity }));
            for (int r = 0; r < reduced; r++) parts[r % parts.Length] = Combined(kind, parts[r % parts.Length], values[r]);
            var result = parts.Length == 1 ? parts[0] : (parts[0] + parts[1]) + (parts[2] + parts[3]);
            text.Line($"st.global.b32 [{Place(Address("z"), thread, 4)}], {result.Register}");
            text.Line("ret");
        }

        private static PtxLanes Combined(ReduceKind kind, PtxLanes a, PtxLanes b) =>
            Floats(kind switch { ReduceKind.Sum => BinaryKind.Add, ReduceKind.Max => BinaryKind.Maximum, _ => BinaryKind.Minimum }, a, b);
    }
}
