using static Engine.Kernels.Cuda.Launches.Launch;

namespace Engine.Kernels.Cuda.Launches;

/// <summary>Steps of optimisers, in one pass over the parameters: adam.cu, polyak.cu.</summary>
internal static class Optimisers
{
    private const int ElementsPerBlock = 1024, ParametersPerLaunch = 16;

    /// <summary>How the step of several parameters is made.</summary>
    public static readonly Choice GroupKernels = new("ADAM", "a launch a parameter", "group");

    public static CudaKernel Adam(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        long n = inputs[0].Elements;
        return n == 0 ? Nothing : new("four elements a thread", [Step((Adam)op, n, Enumerable.Range(0, 10).Select(i => Operand(i)))]);
    }

    /// <summary>The step of one parameter: addresses of it, its moments, its gradient, the three scalars and the three results.</summary>
    private static KernelLaunch Step(Adam op, long n, IEnumerable<KernelArgument> addresses) => new("adam", new(Blocks(n, ElementsPerBlock, "adam")), new(256), [.. addresses, n, .. Numbers(op)]);

    private static KernelLaunch Move(Polyak op, long n, int target, int online, int result) =>
        Over(n, "polyak", Operand(target), Operand(online), Operand(result), n, (float)(1 - op.Rate), (float)op.Rate);

    public static CudaKernel AdamGroup(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        var group = (AdamGroup)op;
        int[] parameters = Enumerable.Range(0, group.Count).Where(i => inputs[i * group.Stride].Elements > 0).ToArray();
        var launches = new List<KernelLaunch>();
        if (GroupKernels.Of(1) == 0)
        {
            foreach (int i in parameters)
            {
                int input = i * group.Stride, output = inputs.Length + i * (group.Stride - 1);
                long n = inputs[input].Elements;
                launches.Add(Step(group.Step, n, new[] { input, input + 1, input + 2, input + 3, inputs.Length - 3, inputs.Length - 2, inputs.Length - 1, output, output + 1, output + 2 }.Select(j => Operand(j))));
                if (group.Target is { } target) launches.Add(Move(target, n, input + 4, output, output + 3));
            }
            return new(GroupKernels[0], launches.ToArray());
        }
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
            launches.Add(new("adam_group", new(blocks), new(256), [.. arguments, .. Enumerable.Range(inputs.Length - 3, 3).Select(j => Operand(j)), .. Numbers(group.Step), group.Target is null ? 0 : 1, keep, rate]));
        }
        return new(GroupKernels[1], launches.ToArray());
    }

    private static KernelArgument[] Numbers(Adam op) => [(float)op.Beta1, (float)(1 - op.Beta1), (float)op.Beta2, (float)(1 - op.Beta2), (float)op.Epsilon];

    public static CudaKernel Polyak(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) =>
        outputs[0].Elements == 0 ? Nothing : new("elements", [Move((Polyak)op, outputs[0].Elements, 0, 1, 2)]);
}
