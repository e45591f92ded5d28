namespace Engine.Kernels;

/// <summary>
/// A matrix product in which every row has a matrix of its own, one of an ensemble's. Inputs: a [M, K], b [members, K, N] (or [members, N, K]), member (I32 [M], 0..members-1), and
/// with a mask y [members, M, N]. Row i of the output [M, N] is a[i] b[member[i]], kept where y[member[i], i] is above 0, else 0: what is left of a gradient that a
/// minimum over members sends to one of them. Every element is summed as by <see cref="MatMul"/>. Passes make it; it is never traced, differentiated or stored in a file.
/// </summary>
/// <param name="TransposeB">b is [members, N, K].</param>
/// <param name="Mask">Whether there is a mask.</param>
public sealed record MemberMatMul(bool TransposeB, bool Mask) : Op
{
    /// <inheritdoc/>
    public override string Name => "member matmul" + (Mask ? " mask" : "");

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, Mask ? 4 : 3);
        Expect(inputs, 0, DType.F32);
        Expect(inputs, 1, DType.F32);
        Expect(inputs, 2, DType.I32);
        Shape a = inputs[0].Shape, b = inputs[1].Shape;
        if (a.Rank != 2 || b.Rank != 3 || inputs[2].Shape != [a[0]] || a[1] != b[TransposeB ? 2 : 1]) throw Error(inputs, "expected a [M, K], b of members, member [M]");
        int n = b[TransposeB ? 1 : 2];
        if (Mask && (inputs[3].DType != DType.F32 || inputs[3].Shape != [b[0], a[0], n])) throw Error(inputs, "expected a mask [members, M, N]");
        return [TensorType.Float([a[0], n])];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        int m = outputs[0].Shape[0], n = outputs[0].Shape[1], k = inputs[0].Shape[1];
        T[] a = inputs[0].Floats, b = inputs[1].Floats, c = outputs[0].Floats;
        for (int i = 0; i < m; i++)
        {
            long member = inputs[2].Ints[i];
            for (int j = 0; j < n; j++)
            {
                T sum = T.Zero;
                for (int p = 0; p < k; p++) sum += a[i * k + p] * b[member * k * n + (TransposeB ? (long)j * k + p : (long)p * n + j)];
                c[i * n + j] = !Mask || inputs[3].Floats[(member * m + i) * n + j] > T.Zero ? sum : T.Zero;
            }
        }
    }

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => 2.0 * outputs[0].Elements * inputs[0].Shape[1];
}
