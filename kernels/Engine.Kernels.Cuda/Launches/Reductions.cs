using static Engine.Kernels.Cuda.Launches.Launch;

namespace Engine.Kernels.Cuda.Launches;

/// <summary>Ops that combine along axes: reduce_rows.cu, reduce_columns.cu, arg_reduce.cu, cumulative_sum.cu.</summary>
internal static class Reductions
{
    /// <summary>Longest rows that a thread, a warp and a block of 256 hold; rows.cuh has the order of their sums.</summary>
    public const int ThreadRow = 16, WarpRow = 1024, BlockRow = 8192;

    private const int Sum = 0, Max = 1, Min = 2;

    /// <summary>How columns are combined; a row's way depends on its length alone.</summary>
    public static readonly Choice ColumnKernels = new("REDUCE", "thread", "block", "vectors");

    // A column of at most so many rows is one thread's.
    private const int ThreadColumn = 32;

    /// <summary>A launch or more a pass.</summary>
    public static CudaKernel Reduce(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        if (outputs[0].Elements == 0) return Nothing;
        var reduce = (Reduce)op;
        int kind = reduce.Kind switch { ReduceKind.Sum => Sum, ReduceKind.Max => Max, _ => Min };
        var steps = new Steps();
        foreach (var (outer, size, inner) in reduce.Passes(inputs[0].Shape))
            if (inner == 1) steps.Rows(outer, size, kind);
            else steps.Columns(outer, size, inner, kind);
        return steps.Kernel();
    }

    /// <summary>A fused expression that is not computed in one launch: a launch or more a step into scratch memory, and at the end copies of what comes out, which may take the place of inputs. No pass makes one.</summary>
    public static CudaKernel FusedSteps(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        var fused = (Fused)op;
        var types = fused.Types(inputs);
        var places = new KernelArgument[types.Length];
        for (int i = 0; i < inputs.Length; i++) places[i] = Operand(i);
        var launches = new List<KernelLaunch>();
        var variants = new List<string>();
        long scratch = 0;
        for (int s = 0; s < fused.Steps.Count; s++)
        {
            int value = inputs.Length + s;
            places[value] = Reserve(types[value].Bytes);
            Add(fused.Steps[s].Op.IsAlias ? new Copy() : fused.Steps[s].Op, fused.Steps[s].Arguments.ToArray(), value, places[value]);
        }
        for (int i = 0; i < outputs.Length; i++) Add(new Copy(), [fused.Results[i]], fused.Results[i], Operand(inputs.Length + i));
        return new(string.Join("; ", variants.Distinct()), launches.ToArray(), scratch);

        KernelArgument Reserve(long bytes)
        {
            long at = scratch;
            scratch += (bytes + 255) / 256 * 256;
            return KernelArgument.Scratch(at);
        }

        void Add(Op step, int[] arguments, int value, KernelArgument result)
        {
            var made = CudaDevice.Kernel(step, Array.ConvertAll(arguments, a => types[a]), [types[value]], limits);
            long own = Reserve(made.ScratchBytes).Bits;
            variants.Add(made.Variant);
            KernelArgument Place(KernelArgument a) => a.Kind switch
            {
                ArgumentKind.Operand => a.Bits < arguments.Length ? places[arguments[a.Bits]] : result,
                ArgumentKind.Scratch => KernelArgument.Scratch(own + a.Bits),
                _ => a,
            };
            launches.AddRange(made.Launches.Select(l => l with { Arguments = Array.ConvertAll(l.Arguments, Place) }));
        }
    }

    /// <summary>Launches of which each reads what the one before wrote, in two halves of scratch in turn.</summary>
    private sealed class Steps
    {
        private readonly List<(string Function, Dim3 Grid, Dim3 Block, KernelArgument[] Numbers, long Elements)> _steps = [];
        private readonly List<string> _names = [];

        private void Add(string function, Dim3 grid, Dim3 block, long elements, params KernelArgument[] numbers)
        {
            _steps.Add((function, grid, block, numbers, elements));
            _names.Add(function["reduce_".Length..].Replace('_', ' '));
        }

        /// <summary>[rows, width] to [rows].</summary>
        public void Rows(long rows, long width, int kind)
        {
            if (width <= ThreadRow) Add("reduce_rows_thread", new(Blocks(rows, 128, "reduce_rows_thread")), new(128), rows, rows, (int)width, kind);
            else if (width <= WarpRow) Add("reduce_rows_warp", new(Blocks(rows, 4, "reduce_rows_warp")), new(128), rows, rows, (int)width, kind);
            else
            {
                int pieces = Size((width + BlockRow - 1) / BlockRow, "reduce");
                Add("reduce_rows_block", new(Blocks(rows * pieces, 1, "reduce_rows_block")), new(256), rows * pieces, width, pieces, kind);
                if (pieces > 1) Rows(rows, pieces, kind);
            }
        }

        /// <summary>[outer, reduced, inner] to [outer, inner].</summary>
        public void Columns(long outer, long reduced, long inner, int kind)
        {
            int number = ColumnKernels.Of(reduced <= ThreadColumn ? 0 : IsVector(2) ? 2 : 1, IsVector);
            if (number == 0)
            {
                Add("reduce_columns_thread", new(Blocks(outer * inner, Threads, "reduce_columns_thread")), new(Threads), outer * inner, outer, Size(reduced, "reduce"), inner, kind);
                return;
            }
            int columns = (int)Math.Min(32, PowerOfTwo(inner)), piece = 32 * 1024 / columns, pieces = Size((reduced + piece - 1) / piece, "reduce");
            if (pieces > 65535) throw new DeviceException($"reduce: {reduced} rows of {inner} columns are more than a launch takes");
            Dim3 grid = new(Blocks(inner, columns, "reduce_columns"), pieces, (int)Math.Min(outer, 65535));
            if (number == 2) Add("reduce_columns_vectors", grid, new(256), outer * pieces * inner, outer, Size(reduced, "reduce"), inner, kind);
            else Add("reduce_columns_block", grid, new(1024), outer * pieces * inner, outer, Size(reduced, "reduce"), inner, columns, kind);
            if (pieces > 1) Columns(outer, pieces, inner, kind);

            bool IsVector(int n) => n < 2 || (inner >= 32 && inner % 4 == 0);
        }

        public CudaKernel Kernel()
        {
            // What lies between two launches: every other one in the upper part.
            long[] halves = [0, 0];
            for (int i = 0; i < _steps.Count - 1; i++) halves[i % 2] = Math.Max(halves[i % 2], _steps[i].Elements);
            long upper = (4 * halves[0] + 255) / 256 * 256;
            var launches = new KernelLaunch[_steps.Count];
            for (int i = 0; i < launches.Length; i++)
            {
                var step = _steps[i];
                var from = i == 0 ? Operand(0) : KernelArgument.Scratch((i - 1) % 2 * upper);
                var to = i == launches.Length - 1 ? Operand(1) : KernelArgument.Scratch(i % 2 * upper);
                launches[i] = new(step.Function, step.Grid, step.Block, [from, to, .. step.Numbers]);
            }
            return new(string.Join(", ", _names), launches, upper + 4 * halves[1]);
        }
    }

    public static CudaKernel ArgReduce(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        if (outputs[0].Elements == 0) return Nothing;
        var (outer, size, inner) = Indexing.Around(inputs[0].Shape, ((ArgReduce)op).Axis);
        int sign = ((ArgReduce)op).Largest ? 1 : -1;
        if (inner == 1 && size > ThreadRow) return new("rows warp", [new("arg_reduce_warp", new(Blocks(outer, 4, "arg_reduce_warp")), new(128), [Operand(0), Operand(1), outer, size, sign])]);
        return new("elements", [Over(outer * inner, "arg_reduce_thread", Operand(0), Operand(1), outer, size, inner, sign)]);
    }

    public static CudaKernel CumulativeSum(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        if (outputs[0].Elements == 0) return Nothing;
        var sum = (CumulativeSum)op;
        var (outer, size, inner) = Indexing.Around(inputs[0].Shape, sum.Axis);
        return new("rows", [Over(outer * inner, inputs[0].DType == DType.I32 ? "cumulative_sum_int" : "cumulative_sum", Operand(0), Operand(1), outer, size, inner, sum.Exclusive ? 1 : 0, sum.Reverse ? 1 : 0)]);
    }
}
