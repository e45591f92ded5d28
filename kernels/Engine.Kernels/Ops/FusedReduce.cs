namespace Engine.Kernels;

/// <summary>
/// A reduction of a fused expression whose values are never stored. Inputs: the expression's. Every step is rounded, and the sums are ordered, as by the two ops by themselves.
/// Passes make it; it is never traced, differentiated or stored in a file.
/// </summary>
/// <param name="Producer">What is reduced.</param>
/// <param name="Reduction">How.</param>
public sealed record FusedReduce(FusedElementwise Producer, Reduce Reduction) : Op
{
    /// <inheritdoc/>
    public override string Name => $"{Producer.Name} {Reduction.Name}";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs) => Reduction.Infer(Producer.Infer(inputs));

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        var values = new ReferenceTensor<T>(Producer.Infer(Array.ConvertAll(inputs, x => x.Type))[0]);
        Producer.Reference(inputs, [values]);
        Reduction.Reference([values], outputs);
    }

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs)
    {
        var values = Producer.Infer(inputs);
        return Producer.Flops(inputs, values) + Reduction.Flops(values, outputs);
    }
}
