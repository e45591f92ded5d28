namespace Engine.Kernels;

/// <summary>One step of a fused expression.</summary>
/// <param name="Op">An elementwise op, a Broadcast of an input, or an alias.</param>
/// <param name="Arguments">Numbers of the values it takes: the expression's inputs come first, then the results of the steps.</param>
public readonly record struct FusedStep(Op Op, Dims Arguments);

/// <summary>
/// Several elementwise ops as one: the steps in order, the last one's result comes out. All steps have the same number of elements, so element i of the output needs
/// element i of every step and the elements of the inputs that broadcasting puts there: a device runs all steps on a piece of the output before it goes on to the next.
/// Every step is rounded as the op by itself. Passes make it; it is never traced, differentiated or stored in a file.
/// </summary>
/// <param name="InputCount">Number of inputs.</param>
/// <param name="Steps">The steps; at least one.</param>
public sealed record FusedElementwise(int InputCount, IReadOnlyList<FusedStep> Steps) : Op
{
    /// <inheritdoc/>
    public override string Name
    {
        get
        {
            // A broadcast inside costs nothing: the name says what is computed.
            var computed = Steps.Where(s => s.Op.IsElementwise).Select(s => s.Op.Name).ToArray();
            return "fused " + (computed.Length <= 4 ? string.Join(" ", computed) : $"{computed[0]} {computed[1]} .. {computed[^1]} ({computed.Length})");
        }
    }

    /// <summary>The types of all values: the inputs, then the steps' results.</summary>
    /// <exception cref="ShapeException">The inputs do not fit, or a step names a value that does not exist yet.</exception>
    public TensorType[] Types(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, InputCount);
        var types = new TensorType[InputCount + Steps.Count];
        inputs.CopyTo(types);
        for (int i = 0; i < Steps.Count; i++)
        {
            var (op, arguments) = Steps[i];
            if (!op.IsElementwise && !op.IsAlias && op is not Broadcast) throw Error(inputs, $"step {i}, {op.Name}, is not elementwise");
            foreach (int argument in arguments.Span)
                if ((uint)argument >= (uint)(InputCount + i)) throw Error(inputs, $"step {i} takes value {argument}, which does not exist yet");
            types[InputCount + i] = op.Infer(Array.ConvertAll(arguments.ToArray(), a => types[a] with { Rows = false }))[0];
            long elements = types[InputCount + i].Elements;
            if (elements != types[InputCount].Elements) throw Error(inputs, $"step {i} has {elements} elements, the first {types[InputCount].Elements}");
            foreach (int argument in arguments.Span)
                if (argument >= InputCount && types[argument].Elements != elements) throw Error(inputs, $"step {i} broadcasts the result of another");
        }
        return types;
    }

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs) => [Types(inputs)[^1]];

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        var types = Types(Array.ConvertAll(inputs, x => x.Type));
        var values = new ReferenceTensor<T>[types.Length];
        inputs.CopyTo(values, 0);
        for (int i = 0; i < Steps.Count; i++)
        {
            values[InputCount + i] = new ReferenceTensor<T>(types[InputCount + i]);
            Steps[i].Op.Reference(Array.ConvertAll(Steps[i].Arguments.ToArray(), a => values[a]), [values[InputCount + i]]);
        }
        outputs[0].CopyFrom(values[^1]);
    }

    /// <inheritdoc/>
    public override bool CanOverwrite(int input, int output, ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => inputs[input].Shape == outputs[0].Shape;

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs)
    {
        double flops = 0;
        foreach (var step in Steps) flops += step.Op.Flops([], outputs);
        return flops;
    }

    /// <inheritdoc/>
    protected override bool KeepsRows(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => ElementwiseRows(inputs, outputs);

    /// <inheritdoc/>
    public bool Equals(FusedElementwise? other) => other is not null && InputCount == other.InputCount && Steps.SequenceEqual(other.Steps);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(InputCount, Steps.Count, Steps[^1]);

    /// <inheritdoc/>
    public override string ToString() => $"FusedElementwise {{ {string.Join("; ", Steps.Select((s, i) => $"{InputCount + i} = {s.Op}{s.Arguments}"))} }}";
}
