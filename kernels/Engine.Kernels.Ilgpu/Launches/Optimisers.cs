using Engine.Kernels.Ilgpu.Runtime;
using ILGPU;
using static Engine.Kernels.Ilgpu.Runtime.Argument;

namespace Engine.Kernels.Ilgpu.Launches;

/// <summary>Optimisers' steps in one pass over a parameter, in the order of their definitions.</summary>
internal static class Optimisers
{
    public static KernelPlan Adam(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind) =>
        new("an element a work-item", [new(KernelSource.Of(typeof(Optimisers), nameof(AdamStep)), outputs[0].Elements, [.. Enumerable.Range(0, 10).Select(i => Operand(i)), .. Numbers((Adam)op)])]);

    /// <summary>A launch a parameter, which moves its slow copy too.</summary>
    public static KernelPlan AdamGroup(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind)
    {
        var group = (AdamGroup)op;
        var source = KernelSource.Of(typeof(Optimisers), group.Target is null ? nameof(AdamStep) : nameof(AdamPolyakStep));
        var launches = new LaunchPlan[group.Count];
        for (int p = 0; p < launches.Length; p++)
        {
            int input = p * group.Stride, scalar = group.Count * group.Stride, output = inputs.Length + p * (group.Stride - 1);
            Argument[] operands = [.. Enumerable.Range(input, 4).Concat(Enumerable.Range(scalar, 3)).Concat(Enumerable.Range(output, 3)).Select(i => Operand(i))];
            launches[p] = new(source, inputs[input].Elements, group.Target is not { } target ? [.. operands, .. Numbers(group.Step)]
                : [.. operands, Operand(input + 4), Operand(output + 3), .. Numbers(group.Step), (float)(1 - target.Rate), (float)target.Rate]);
        }
        return new("a launch a parameter", launches);
    }

    private static Argument[] Numbers(Adam adam) => [(float)adam.Beta1, (float)(1 - adam.Beta1), (float)adam.Beta2, (float)(1 - adam.Beta2), (float)adam.Epsilon];

    public static KernelPlan Polyak(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind)
    {
        double rate = ((Polyak)op).Rate;
        return new("an element a work-item", [new(KernelSource.Of(typeof(Optimisers), nameof(PolyakStep)), outputs[0].Elements, [Operand(0), Operand(1), Operand(2), (float)(1 - rate), (float)rate])]);
    }

    // Device code; i is the work-item.

    private static void AdamStep(int i, ArrayView<float> p, ArrayView<float> m, ArrayView<float> v, ArrayView<float> g, ArrayView<float> step, ArrayView<float> correction, ArrayView<float> decay,
        ArrayView<float> p2, ArrayView<float> m2, ArrayView<float> v2, float b1, float c1, float b2, float c2, float epsilon)
    {
        float gradient = g[i];
        float first = m[i] * b1 + gradient * c1;
        float second = v[i] * b2 + gradient * gradient * c2;
        first = first < Kernels.Adam.SmallestFirstMoment && first > -Kernels.Adam.SmallestFirstMoment ? 0f : first;
        second = second < Kernels.Adam.SmallestSecondMoment ? 0f : second;
        float root = MathF.Sqrt(second) * correction[0] + epsilon;
        p2[i] = p[i] * decay[0] - first * step[0] / root;
        m2[i] = first;
        v2[i] = second;
    }

    private static void AdamPolyakStep(int i, ArrayView<float> p, ArrayView<float> m, ArrayView<float> v, ArrayView<float> g, ArrayView<float> step, ArrayView<float> correction, ArrayView<float> decay,
        ArrayView<float> p2, ArrayView<float> m2, ArrayView<float> v2, ArrayView<float> t, ArrayView<float> t2, float b1, float c1, float b2, float c2, float epsilon, float keep, float rate)
    {
        AdamStep(i, p, m, v, g, step, correction, decay, p2, m2, v2, b1, c1, b2, c2, epsilon);
        t2[i] = t[i] * keep + p2[i] * rate;
    }

    private static void PolyakStep(int i, ArrayView<float> target, ArrayView<float> online, ArrayView<float> y, float keep, float rate) => y[i] = target[i] * keep + online[i] * rate;
}
