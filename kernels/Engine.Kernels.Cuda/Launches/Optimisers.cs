using static Engine.Kernels.Cuda.Launches.Launch;

namespace Engine.Kernels.Cuda.Launches;

/// <summary>Steps of optimisers, in one pass over the parameters: adam.cu, polyak.cu.</summary>
internal static class Optimisers
{
    private const int ElementsPerBlock = 1024, ParametersPerLaunch = 8;

    public static CudaKernel Adam(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        long n = inputs[0].Elements;
        if (n == 0) return Nothing;
        return new("four elements a thread", [new("adam", new(Blocks(n, ElementsPerBlock, "adam")), new(256),
            [.. Enumerable.Range(0, 8).Select(i => Operand(i)), n, .. Numbers((Adam)op)])]);
    }

    public static CudaKernel AdamGroup(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        var group = (AdamGroup)op;
        int[] parameters = Enumerable.Range(0, group.Count).Where(i => inputs[i * group.Stride].Elements > 0).ToArray();
        var launches = new List<KernelLaunch>();
        foreach (int[] some in parameters.Chunk(ParametersPerLaunch))
        {
            var arguments = new List<KernelArgument>();
            int blocks = 0;
            for (int k = 0; k < ParametersPerLaunch; k++)
            {
                // What is left over begins after the last block.
                int i = some[Math.Min(k, some.Length - 1)], input = i * group.Stride, output = inputs.Length + i * (group.Stride - 1);
                long n = inputs[input].Elements;
                for (int j = 0; j < 4; j++) arguments.Add(Operand(input + j));
                arguments.Add(Operand(group.Target is null ? input : input + 4));
                for (int j = 0; j < 3; j++) arguments.Add(Operand(output + j));
                arguments.Add(Operand(group.Target is null ? output : output + 3));
                arguments.Add(n);
                arguments.Add(k < some.Length ? blocks : int.MaxValue);
                if (k < some.Length) blocks = checked(blocks + Blocks(n, ElementsPerBlock, "adam_group"));
            }
            float rate = (float)(group.Target?.Rate ?? 0), keep = (float)(1 - (group.Target?.Rate ?? 0));
            launches.Add(new("adam_group", new(blocks), new(256), [.. arguments, Operand(inputs.Length - 1), .. Numbers(group.Step), group.Target is null ? 0 : 1, keep, rate]));
        }
        return new("four elements a thread", launches.ToArray());
    }

    private static KernelArgument[] Numbers(Adam op) => [(float)op.Beta1, (float)(1 - op.Beta1), (float)op.Beta2, (float)(1 - op.Beta2), (float)op.Epsilon];

    public static CudaKernel Polyak(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        double rate = ((Polyak)op).Rate;
        return outputs[0].Elements == 0 ? Nothing : new("elements", [Over(outputs[0].Elements, "polyak", Operand(0), Operand(1), Operand(2), outputs[0].Elements, (float)(1 - rate), (float)rate)]);
    }
}
