namespace Engine.Kernels;

/// <summary>
/// A reduction of a fused expression, whose values are reduced as they are made. Inputs: the expression's. Outputs: its values if others want them too, then the reduction. Every step is
/// rounded, and the sums are ordered, as by the two ops by themselves. Passes make it; it is never traced, differentiated or stored in a file.
/// </summary>
/// <param name="Producer">What is reduced.</param>
/// <param name="Reduction">How.</param>
/// <param name="Store">Whether the values come out too.</param>
public sealed record FusedReduce(FusedElementwise Producer, Reduce Reduction, bool Store) : Op
{
    /// <inheritdoc/>
    public override string Name => $"{Producer.Name}{(Store ? " and" : "")} {Reduction.Name}";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        var values = Producer.Infer(inputs);
        var reduced = Reduction.Infer(values);
        return Store ? [values[0], reduced[0]] : reduced;
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        var values = Store ? outputs[0] : new ReferenceTensor<T>(Producer.Infer(Array.ConvertAll(inputs, x => x.Type))[0]);
        Producer.Reference(inputs, [values]);
        Reduction.Reference([values], [outputs[^1]]);
    }

    /// <inheritdoc/>
    public override bool CanOverwrite(int input, int output, ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) =>
        Store && output == 0 && Producer.CanOverwrite(input, 0, inputs, outputs);

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs)
    {
        var values = Producer.Infer(inputs);
        return Producer.Flops(inputs, values) + Reduction.Flops(values, outputs[^1..]);
    }
}
