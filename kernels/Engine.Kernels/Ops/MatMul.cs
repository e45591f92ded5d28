using System.Numerics;

namespace Engine.Kernels;

/// <summary>
/// Batched matrix product: a [..., M, K] times b [..., K, N] gives [..., M, N]; leading axes broadcast. Each element is one
/// sum over K in float32 with fused multiply-adds, in an order that depends on the shapes alone.
/// </summary>
/// <param name="TransposeA">a is [..., K, M].</param>
/// <param name="TransposeB">b is [..., N, K].</param>
public sealed record MatMul(bool TransposeA, bool TransposeB) : Op
{
    /// <inheritdoc/>
    public override string Name => "matmul";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 2);
        Expect(inputs, 0, DType.F32);
        Expect(inputs, 1, DType.F32);
        Shape a = inputs[0].Shape, b = inputs[1].Shape;
        if (a.Rank < 2 || b.Rank < 2) throw Error(inputs, "both inputs need at least two axes");
        var (m, k) = TransposeA ? (a[^1], a[^2]) : (a[^2], a[^1]);
        var (k2, n) = TransposeB ? (b[^1], b[^2]) : (b[^2], b[^1]);
        if (k != k2) throw Error(inputs, $"inner sizes differ: {k} against {k2} (transpose a {TransposeA}, b {TransposeB})");
        return [TensorType.Float((int[])[.. Shape.Broadcast(Batch(a), Batch(b)), m, n])];
    }

    /// <summary>The axes before the last two.</summary>
    public static Shape Batch(Shape shape) => shape.Span[..^2].ToArray();

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        Shape sa = inputs[0].Shape, sb = inputs[1].Shape, sc = outputs[0].Shape;
        int m = sc[^2], n = sc[^1], k = TransposeA ? sa[^2] : sa[^1];
        long[] batchA = Indexing.Offsets(Batch(sa), Batch(sc)), batchB = Indexing.Offsets(Batch(sb), Batch(sc));
        T[] a = inputs[0].Floats, b = inputs[1].Floats, c = outputs[0].Floats;
        // Row by row with K outside N, over rows of B: cache-friendly, and every element is still one sum over ascending K.
        var rows = new T[TransposeB ? (long)k * n : 0];
        for (long batch = 0; batch < batchA.Length; batch++)
        {
            long atA = batchA[batch] * m * k, atB = batchB[batch] * k * n;
            if (TransposeB)
            {
                for (int j = 0; j < n; j++)
                    for (int p = 0; p < k; p++) rows[(long)p * n + j] = b[atB + (long)j * k + p];
                atB = 0;
            }
            for (int i = 0; i < m; i++)
                for (int p = 0; p < k; p++)
                    AddProduct(a[atA + (TransposeA ? (long)p * m + i : (long)i * k + p)], (TransposeB ? rows : b).AsSpan((int)(atB + (long)p * n), n), c.AsSpan((int)((batch * m + i) * n), n));
        }
    }

    // Adds x * b to c; a vector does to each element what a loop does.
    private static void AddProduct<T>(T x, ReadOnlySpan<T> b, Span<T> c) where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        int j = 0, width = Vector<T>.Count;
        var factor = new Vector<T>(x);
        for (; j <= c.Length - width; j += width) (new Vector<T>(c[j..]) + factor * new Vector<T>(b[j..])).CopyTo(c[j..]);
        for (; j < c.Length; j++) c[j] += x * b[j];
    }

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) =>
        2.0 * outputs[0].Elements * (TransposeA ? inputs[0].Shape[^2] : inputs[0].Shape[^1]);
}
