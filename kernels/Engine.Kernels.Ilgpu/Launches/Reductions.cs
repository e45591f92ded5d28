using Engine.Kernels.Ilgpu.Elementwise;
using Engine.Kernels.Ilgpu.Runtime;
using ILGPU;
using static Engine.Kernels.Ilgpu.Runtime.Argument;

namespace Engine.Kernels.Ilgpu.Launches;

/// <summary>How numbers are combined.</summary>
internal interface IReducer
{
    /// <summary>Of nothing.</summary>
    static abstract float Neutral { get; }

    /// <summary>Of two.</summary>
    static abstract float Combine(float a, float b);
}

internal readonly struct SumReducer : IReducer
{
    public static float Neutral => 0f;

    public static float Combine(float a, float b) => a + b;
}

internal readonly struct MaxReducer : IReducer
{
    public static float Neutral => float.NegativeInfinity;

    public static float Combine(float a, float b) => ScalarLanes.Max(ScalarLanes.Create(a), ScalarLanes.Create(b)).Float;
}

internal readonly struct MinReducer : IReducer
{
    public static float Neutral => float.PositiveInfinity;

    public static float Combine(float a, float b) => ScalarLanes.Min(ScalarLanes.Create(a), ScalarLanes.Create(b)).Float;
}

/// <summary>
/// Reductions along axes. A work-item has a piece of a row, which it combines in four parts in turn; pieces are combined alike until one is left. The order depends on the sizes alone, so the bits
/// are the same on every accelerator, with any size of groups.
/// </summary>
internal static class Reductions
{
    // Rows up to a length are one piece; of longer ones there are enough work-items for a GPU.
    private const int LongestPiece = 1024, Piece = 256;

    private static KernelSource Of(string name, params Type[] arguments) => KernelSource.Of(typeof(Reductions), name, arguments);

    public static KernelPlan Reduce(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind)
    {
        var reduce = (Reduce)op;
        var reducer = reduce.Kind switch { ReduceKind.Sum => typeof(SumReducer), ReduceKind.Max => typeof(MaxReducer), _ => typeof(MinReducer) };
        if (inputs[0].Elements == 0)
            return new("of nothing", [Movement.Fill(outputs[0], BitConverter.SingleToInt32Bits(reduce.Kind switch { ReduceKind.Sum => 0f, ReduceKind.Max => float.NegativeInfinity, _ => float.PositiveInfinity }), Operand(1))]);
        var scratch = new Scratch();
        var launches = new List<LaunchPlan>();
        var from = Operand(0);
        var passes = reduce.Passes(inputs[0].Shape);
        for (int i = 0; i < passes.Count; i++)
        {
            var (outer, size, inner) = passes[i];
            while (true)
            {
                long piece = size <= LongestPiece ? size : Piece, pieces = (size + piece - 1) / piece, items = outer * pieces * inner;
                var to = i == passes.Count - 1 && pieces == 1 ? Operand(1) : scratch.Take(4 * items);
                launches.Add(new(Of(nameof(Combine), reducer), items, [from, to, (int)inner, (int)size, (int)piece, (int)pieces]));
                (from, size) = (to, pieces);
                if (pieces == 1) break;
            }
        }
        return new("pieces of rows", launches.ToArray(), scratch.Bytes);
    }

    public static KernelPlan ArgReduce(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind)
    {
        var arg = (ArgReduce)op;
        var (_, size, inner) = Indexing.Around(inputs[0].Shape, arg.Axis);
        return new("a row a work-item", [new(Of(nameof(Position)), outputs[0].Elements, [Operand(0), Operand(1), (int)size, (int)inner, arg.Largest ? 1 : 0])]);
    }

    public static KernelPlan CumulativeSum(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind)
    {
        var sum = (CumulativeSum)op;
        var (outer, size, inner) = Indexing.Around(inputs[0].Shape, sum.Axis);
        return new("a row a work-item", [new(Of(inputs[0].DType == DType.I32 ? nameof(RunningInts) : nameof(RunningFloats)), outer * inner, [Operand(0), Operand(1), (int)size, (int)inner, sum.Exclusive ? 1 : 0, sum.Reverse ? 1 : 0])]);
    }

    // Device code; i is the work-item.

    private static void Combine<TReducer>(int i, ArrayView<float> x, ArrayView<float> y, int inner, int size, int piece, int pieces) where TReducer : struct, IReducer
    {
        int column = i % inner, part = i / inner % pieces, outer = i / inner / pieces;
        int first = part * piece, end = first + piece < size ? first + piece : size;
        int at = (outer * size + first) * inner + column;
        float s0 = TReducer.Neutral, s1 = s0, s2 = s0, s3 = s0;
        int k = first;
        for (; k + 4 <= end; k += 4)
        {
            s0 = TReducer.Combine(s0, x[at]);
            s1 = TReducer.Combine(s1, x[at + inner]);
            s2 = TReducer.Combine(s2, x[at + 2 * inner]);
            s3 = TReducer.Combine(s3, x[at + 3 * inner]);
            at += 4 * inner;
        }
        for (; k < end; k++)
        {
            s0 = TReducer.Combine(s0, x[at]);
            at += inner;
        }
        y[i] = TReducer.Combine(TReducer.Combine(s0, s1), TReducer.Combine(s2, s3));
    }

    private static void Position(int i, ArrayView<float> x, ArrayView<int> y, int size, int inner, int largest)
    {
        int start = i / inner * size * inner + i % inner, best = 0;
        float value = x[start];
        for (int k = 1; k < size; k++)
        {
            float other = x[start + k * inner];
            bool better = !ScalarFunctions.IsNaN(value) && (ScalarFunctions.IsNaN(other) || (largest != 0 ? other > value : other < value));
            best = better ? k : best;
            value = better ? other : value;
        }
        y[i] = best;
    }

    private static void RunningFloats(int i, ArrayView<float> x, ArrayView<float> y, int size, int inner, int exclusive, int reverse)
    {
        int start = i / inner * size * inner + i % inner;
        float sum = 0f;
        for (int step = 0; step < size; step++)
        {
            int at = start + (reverse != 0 ? size - 1 - step : step) * inner;
            float after = sum + x[at];
            y[at] = exclusive != 0 ? sum : after;
            sum = after;
        }
    }

    private static void RunningInts(int i, ArrayView<int> x, ArrayView<int> y, int size, int inner, int exclusive, int reverse)
    {
        int start = i / inner * size * inner + i % inner, sum = 0;
        for (int step = 0; step < size; step++)
        {
            int at = start + (reverse != 0 ? size - 1 - step : step) * inner;
            int after = sum + x[at];
            y[at] = exclusive != 0 ? sum : after;
            sum = after;
        }
    }
}
