using Engine.Kernels.Ilgpu.Runtime;
using ILGPU;
using static Engine.Kernels.Ilgpu.Runtime.Argument;

namespace Engine.Kernels.Ilgpu.Launches;

/// <summary>Optimisers' steps in one pass over a parameter, in the order of their definitions.</summary>
internal static class Optimisers
{
    public static KernelPlan Adam(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind)
    {
        var adam = (Adam)op;
        return new("an element a work-item", [new(KernelSource.Of(typeof(Optimisers), nameof(AdamStep)), outputs[0].Elements, [.. Enumerable.Range(0, 10).Select(i => Operand(i)),
            (float)adam.Beta1, (float)(1 - adam.Beta1), (float)adam.Beta2, (float)(1 - adam.Beta2), (float)adam.Epsilon])]);
    }

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

    private static void PolyakStep(int i, ArrayView<float> target, ArrayView<float> online, ArrayView<float> y, float keep, float rate) => y[i] = target[i] * keep + online[i] * rate;
}
