using static Engine.Kernels.Cuda.Launches.Launch;
using static Engine.Kernels.Cuda.Launches.Reductions;

namespace Engine.Kernels.Cuda.Launches;

/// <summary>Composites that go along rows: softmax.cu, log_sum_exp.cu, layer_norm.cu. A row is a thread's, a warp's or a block's, as it is when it is summed (rows.cuh).</summary>
internal static class Composites
{
    // Sums of pieces that a block keeps in shared memory.
    private const int Pieces = 1024;

    /// <summary>Who has a row: always a block that reads it several times, or as many threads as hold it in registers.</summary>
    public static readonly Choice RowKernels = new("ROWS", "block", "team");

    /// <summary>Whether the rows are not longer than a kernel takes; longer ones run by the definition.</summary>
    public static bool Takes(Op op, TensorType[] inputs, TensorType[] outputs) => inputs[0].Shape[^1] <= Pieces * BlockRow;

    public static CudaKernel Softmax(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) => Rows("softmax", inputs[0], [Operand(0), Operand(1)]);

    public static CudaKernel LogSumExp(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) => Rows("log_sum_exp", inputs[0], [Operand(0), Operand(1)]);

    public static CudaKernel LayerNorm(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) =>
        Rows("layer_norm", inputs[0], [Operand(0), Operand(1), Operand(2), Operand(3)], (float)(1.0 / inputs[0].Shape[^1]), (float)((LayerNorm)op).Epsilon);

    public static CudaKernel LayerNormGradient(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) =>
        Rows("layer_norm_gradient", inputs[0], [Operand(0), Operand(1), Operand(2), Operand(3), Operand(4)], (float)(1.0 / inputs[0].Shape[^1]), (float)((LayerNormGradient)op).Epsilon);

    private static CudaKernel Rows(string name, TensorType input, KernelArgument[] operands, params KernelArgument[] numbers)
    {
        int width = input.Shape[^1];
        long rows = input.Shape.Without(-1).Elements;
        if (rows == 0 || (width == 0 && name != "log_sum_exp")) return Nothing;
        var (team, perBlock, threads) = RowKernels.Of(1) == 0 ? ("long", 1, 256) : width <= ThreadRow ? ("thread", 64, 64) : width <= WarpRow ? ("warp", 4, 128) : width <= BlockRow ? ("block", 1, 256) : ("long", 1, 256);
        string function = $"{name}_{team}";
        return new($"a {(team == "long" ? "block" : team)} a row", [new(function, new(Blocks(rows, perBlock, function)), new(threads), [.. operands, rows, width, .. numbers])]);
    }
}
