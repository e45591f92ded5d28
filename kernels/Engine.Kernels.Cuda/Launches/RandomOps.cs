using static Engine.Kernels.Cuda.Launches.Launch;

namespace Engine.Kernels.Cuda.Launches;

/// <summary>Named draws: random.cu. The key is made on the device, for the seed lies there.</summary>
internal static class RandomOps
{
    public static CudaKernel Uniform(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) => Elements("random_uniform", (RandomOp)op, inputs);

    public static CudaKernel Normal(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) => Elements("random_normal", (RandomOp)op, inputs);

    public static CudaKernel Integer(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) => Elements("random_integer", (RandomOp)op, inputs);

    private static CudaKernel Elements(string function, RandomOp op, TensorType[] inputs)
    {
        if (op.To.Elements == 0) return Nothing;
        var (index, indexed) = Index(op, inputs);
        KernelArgument[] bound = op is RandomInteger ? [Operand(1)] : [];
        // A block of the generator is four words; few threads a block, for most draws are short.
        return new("philox", [new(function, new(Blocks(op.To.Elements, 4 * 64, function)), new(64),
            [Operand(0), .. bound, index, Operand(inputs.Length), op.To.Elements, (long)Philox.NameHash(op.Draw), indexed])]);
    }

    public static CudaKernel Permutation(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        if (outputs[0].Elements == 0) return Nothing;
        var random = (RandomOp)op;
        var (index, indexed) = Index(random, inputs);
        long name = (long)Philox.NameHash(random.Draw);
        int n = Size(random.To.Elements, "random_permutation"), padded = (int)Math.Max(4, PowerOfTwo(n));
        if (IndexOps.InSharedMemory(padded))
            return new("philox, shared memory", [new("random_permutation", new(1), new(Math.Clamp(padded / 2, 32, 1024)), [Operand(0), index, Operand(inputs.Length), n, padded, name, indexed], 8 * padded)]);
        padded = Math.Max(IndexOps.SortPiece, padded);
        return new("philox, pieces", [Over(padded / 4, "random_permutation_keys", Operand(0), index, KernelArgument.Scratch(), n, padded, name, indexed), .. IndexOps.SortKeys(1, padded),
            Over(n, "random_permutation_take", KernelArgument.Scratch(), Operand(inputs.Length), n)], 8L * padded);
    }

    /// <summary>The loop's index, if the draw is made in a loop; else any address.</summary>
    private static (KernelArgument, int) Index(RandomOp op, TensorType[] inputs) => inputs.Length > op.BaseInputs ? (Operand(op.BaseInputs), 1) : (Operand(0), 0);
}
