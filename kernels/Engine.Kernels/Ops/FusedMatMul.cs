namespace Engine.Kernels;

/// <summary>
/// A matrix product with its epilogue: select(mask &gt; 0, residual + product, 0), where either may be missing. Inputs: a, b, then the residual and
/// the mask, each of the product's shape. Every step is rounded as the op by itself. Passes make it; it is never traced, differentiated or stored in a file.
/// </summary>
/// <param name="Product">The product.</param>
/// <param name="Residual">Whether another tensor is added.</param>
/// <param name="Mask">Whether elements are set to 0 where a mask tensor is not above 0, as by the derivative of a rectifier.</param>
public sealed record FusedMatMul(MatMul Product, bool Residual, bool Mask) : Op
{
    /// <inheritdoc/>
    public override string Name => "matmul" + (Residual ? " add" : "") + (Mask ? " mask" : "");

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 2 + (Residual ? 1 : 0) + (Mask ? 1 : 0));
        var outputs = Product.Infer(inputs[..2]);
        foreach (var input in inputs[2..])
            if (input.DType != DType.F32 || input.Shape != outputs[0].Shape) throw Error(inputs, $"expected residual and mask as the product, {outputs[0]}");
        return outputs;
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        Product.Reference(inputs[..2], outputs);
        T[] c = outputs[0].Floats;
        if (Residual)
            for (long i = 0; i < c.Length; i++) c[i] = inputs[2].Floats[i] + c[i];
        if (Mask)
            for (long i = 0; i < c.Length; i++) c[i] = inputs[^1].Floats[i] > T.Zero ? c[i] : T.Zero;
    }

    /// <inheritdoc/>
    public override bool CanOverwrite(int input, int output, ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => input >= 2;

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => Product.Flops(inputs[..2], outputs);
}
