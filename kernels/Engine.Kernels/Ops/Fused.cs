namespace Engine.Kernels;

/// <summary>One step of a fused expression.</summary>
/// <param name="Op">An elementwise op, a Broadcast, an alias, a Reduce, or a Slice of an input.</param>
/// <param name="Arguments">Numbers of the values it takes: the expression's inputs come first, then the results of the steps.</param>
public readonly record struct FusedStep(Op Op, Dims Arguments);

/// <summary>
/// Several elementwise ops and reductions as one. Inputs: the expression's. Outputs: the values with other readers. Every step rounds, and orders its sums, as the op by itself does. A device that
/// runs all steps on a tile before it takes the next keeps intermediate values in registers or cache. Passes make it; it is never traced, differentiated or stored in a file.
/// </summary>
/// <param name="InputCount">Number of inputs.</param>
/// <param name="Steps">The steps; at least one.</param>
/// <param name="Results">Numbers of the values that come out, ascending, of steps.</param>
public sealed record Fused(int InputCount, IReadOnlyList<FusedStep> Steps, Dims Results) : Op
{
    /// <summary>An expression of which the last value comes out.</summary>
    public Fused(int inputCount, IReadOnlyList<FusedStep> steps) : this(inputCount, steps, [inputCount + steps.Count - 1]) { }

    /// <inheritdoc/>
    public override string Name
    {
        get
        {
            // A broadcast inside costs nothing: the name says what is computed, and by "and" which of it comes out before the end.
            bool Computes(FusedStep step) => step.Op.IsElementwise || step.Op is Reduce;
            bool any = Steps.Any(Computes);
            var computed = Enumerable.Range(0, Steps.Count).Where(s => !any || Computes(Steps[s]))
                .Select(s => Steps[s].Op.Name + (s < Steps.Count - 1 && Results.Contains(InputCount + s) ? " and" : "")).ToArray();
            return "fused " + (computed.Length <= 5 ? string.Join(" ", computed) : $"{computed[0]} {computed[1]} .. {computed[^1]} ({computed.Length})");
        }
    }

    /// <summary>The op of a value's step.</summary>
    public Op OpOf(int value) => Steps[value - InputCount].Op;

    /// <summary>Whether the last step is the only reduction, and all before it have its argument's number of elements; that argument comes out too if others want it.</summary>
    public bool IsReduction(ReadOnlySpan<TensorType> inputs)
    {
        if (Steps.Count < 2 || Steps[^1].Op is not Reduce || Steps[^1].Arguments[0] != Last - 1 || Results[^1] != Last || Results.Count > 2 || (Results.Count == 2 && Results[0] != Last - 1)) return false;
        return new Fused(InputCount, Steps.Take(Steps.Count - 1).ToArray()).IsElementwiseOnly(inputs);
    }

    /// <summary>Whether what comes out is computed, no step reduces, all have one number of elements, none broadcasts another's result, and it is the last value alone.</summary>
    public bool IsElementwiseOnly(ReadOnlySpan<TensorType> inputs)
    {
        if (Results.Count != 1 || Results[0] != Last) return false;
        int end = Last; // the last value may be another name of one that is computed
        while (end >= InputCount && !OpOf(end).IsElementwise) end = Steps[end - InputCount].Arguments[0];
        if (end < InputCount) return false;
        var types = Types(inputs);
        for (int s = 0; s < Steps.Count; s++)
            if (Steps[s].Op is Reduce or Slice || types[InputCount + s].Elements != types[^1].Elements) return false;
        return true;
    }

    private int Last => InputCount + Steps.Count - 1;

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
            if (!op.IsElementwise && !op.IsAlias && op is not (Broadcast or Reduce or Slice)) throw Error(inputs, $"step {i}, {op.Name}, is not elementwise and no reduction");
            if (op is Slice && arguments[0] >= InputCount) throw Error(inputs, $"step {i} takes a slice of another step's result");
            foreach (int argument in arguments.Span)
                if ((uint)argument >= (uint)(InputCount + i)) throw Error(inputs, $"step {i} takes value {argument}, which does not exist yet");
            types[InputCount + i] = op.Infer(Array.ConvertAll(arguments.ToArray(), a => types[a]))[0];
        }
        return types;
    }

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        var types = Types(inputs);
        return Array.ConvertAll(Results.ToArray(), value => types[value]);
    }

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
        for (int i = 0; i < outputs.Length; i++) outputs[i].CopyFrom(values[Results[i]]);
    }

    /// <inheritdoc/>
    /// <remarks>
    /// Where several threads may read an element of an input, none may write over it: it must be read element by element, and no step that depends on it may have more elements than it has. Kernels compute what
    /// nothing longer depends on in the thread that stores it.
    /// </remarks>
    public override bool CanOverwrite(int input, int output, ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs)
    {
        if (inputs[input].Shape != outputs[output].Shape) return false;
        var types = Types(inputs);
        long elements = inputs[input].Elements;
        for (int s = 0; s < Steps.Count; s++)
            if (Steps[s].Arguments.Span.Contains(input) && (Steps[s].Op is Reduce ? types[Steps[s].Arguments[0]].Elements : types[InputCount + s].Elements) != elements) return false;
        return LongestDependents(types)[input] <= elements;
    }

    /// <summary>For every value the most elements of a step that depends on it, directly or not; 0: none does.</summary>
    /// <param name="types">Of all values.</param>
    public long[] LongestDependents(TensorType[] types)
    {
        var longest = new long[types.Length];
        for (int v = types.Length - 1; v >= InputCount; v--)
            foreach (int argument in Steps[v - InputCount].Arguments.Span) longest[argument] = Math.Max(longest[argument], Math.Max(longest[v], types[v].Elements));
        return longest;
    }

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs)
    {
        var types = Types(inputs);
        double flops = 0;
        for (int s = 0; s < Steps.Count; s++) flops += Steps[s].Op.Flops(Array.ConvertAll(Steps[s].Arguments.ToArray(), a => types[a]), [types[InputCount + s]]);
        return flops;
    }

    /// <inheritdoc/>
    public bool Equals(Fused? other) => other is not null && InputCount == other.InputCount && Results == other.Results && Steps.SequenceEqual(other.Steps);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(InputCount, Steps.Count, Results, Steps[^1]);

    /// <inheritdoc/>
    public override string ToString() => $"Fused {{ {string.Join("; ", Steps.Select((s, i) => $"{InputCount + i} = {s.Op}{s.Arguments}"))} to {Results} }}";
}
