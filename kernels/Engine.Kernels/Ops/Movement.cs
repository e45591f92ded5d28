namespace Engine.Kernels;

/// <summary>The same elements under another shape. No copy.</summary>
/// <param name="To">The new shape, with the same number of elements.</param>
public sealed record Reshape(Shape To) : Op
{
    /// <inheritdoc/>
    public override string Name => "reshape";

    /// <inheritdoc/>
    public override bool IsAlias => true;

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 1);
        if (inputs[0].Shape.Elements != To.Elements) throw Error(inputs, $"cannot become {To}: {inputs[0].Shape.Elements} elements against {To.Elements}");
        return [new(inputs[0].DType, To)];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs) => outputs[0].CopyFrom(inputs[0]);
}

/// <summary>Axes in another order: output axis i is input axis Order[i].</summary>
/// <param name="Order">A permutation of 0..rank-1.</param>
public sealed record Permute(Dims Order) : Op
{
    /// <inheritdoc/>
    public override string Name => "permute";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 1);
        if (!Order.Order().SequenceEqual(Enumerable.Range(0, inputs[0].Shape.Rank))) throw Error(inputs, $"order {Order} is not a permutation of its axes");
        var from = inputs[0].Shape;
        return [new(inputs[0].DType, Order.Select(axis => from[axis]).ToArray())];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        var strides = inputs[0].Shape.Strides();
        var offsets = Indexing.Offsets(outputs[0].Shape, Order.Select(axis => strides[axis]).ToArray(), 0);
        outputs[0].MoveFrom(inputs[0], d => offsets[d]);
    }

    /// <summary>The order that undoes this one.</summary>
    public Dims Inverse()
    {
        var inverse = new int[Order.Count];
        for (int i = 0; i < inverse.Length; i++) inverse[Order[i]] = i;
        return inverse;
    }
}

/// <summary>Repeats axes of size 1, and adds leading axes, as numpy's broadcasting.</summary>
/// <param name="To">The shape that comes out.</param>
public sealed record Broadcast(Shape To) : Op
{
    /// <inheritdoc/>
    public override string Name => "broadcast";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 1);
        if (!inputs[0].Shape.BroadcastsTo(To)) throw Error(inputs, $"does not broadcast to {To}");
        return [new(inputs[0].DType, To)];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        var offsets = Indexing.Offsets(inputs[0].Shape, To);
        outputs[0].MoveFrom(inputs[0], d => offsets[d]);
    }
}

/// <summary>A rectangular part: along each axis Sizes[i] elements from Starts[i], every Steps[i]-th.</summary>
/// <param name="Starts">First index per axis.</param>
/// <param name="Sizes">How many per axis.</param>
/// <param name="Steps">Distance per axis, at least 1.</param>
public sealed record Slice(Dims Starts, Dims Sizes, Dims Steps) : Op
{
    /// <inheritdoc/>
    public override string Name => "slice";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 1);
        var shape = inputs[0].Shape;
        if (Starts.Count != shape.Rank || Sizes.Count != shape.Rank || Steps.Count != shape.Rank) throw Error(inputs, "starts, sizes and steps must have one entry per axis");
        for (int i = 0; i < shape.Rank; i++)
            if (Starts[i] < 0 || Steps[i] < 1 || Sizes[i] < 0 || (Sizes[i] > 0 && Starts[i] + (long)(Sizes[i] - 1) * Steps[i] >= shape[i]))
                throw Error(inputs, $"axis {i}: start {Starts[i]}, size {Sizes[i]}, step {Steps[i]} leave the axis of {shape[i]}");
        return [new(inputs[0].DType, Sizes.ToArray())];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        var (strides, start) = Layout(inputs[0].Shape);
        var offsets = Indexing.Offsets(outputs[0].Shape, strides, start);
        outputs[0].MoveFrom(inputs[0], d => offsets[d]);
    }

    /// <summary>The source's first element that is read, if the slice is one unbroken run of it from there on; null if it is not.</summary>
    public long? RunStart(Shape source)
    {
        bool inside = false; // behind an axis of which more than one entry is read, all must be
        for (int i = 0; i < source.Rank; i++)
        {
            if (Sizes[i] == 0 || (Sizes[i] > 1 && Steps[i] != 1) || (inside && Sizes[i] != source[i])) return null;
            inside |= Sizes[i] > 1;
        }
        return Layout(source).Start;
    }

    /// <summary>Strides and first offset with which the source is read.</summary>
    public (long[] Strides, long Start) Layout(Shape source)
    {
        var strides = source.Strides();
        long start = 0;
        for (int i = 0; i < strides.Length; i++)
        {
            start += strides[i] * Starts[i];
            strides[i] *= Steps[i];
        }
        return (strides, start);
    }
}

/// <summary>Inputs one after another along an axis; other sizes equal.</summary>
/// <param name="Axis">The axis, 0..rank-1.</param>
public sealed record Concat(int Axis) : Op
{
    /// <inheritdoc/>
    public override string Name => "concat";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        if (inputs.Length == 0) throw Error(inputs, "expected at least one input");
        var shape = inputs[0].Shape;
        if (Axis < 0 || Axis >= shape.Rank) throw Error(inputs, $"axis {Axis} does not exist");
        int total = 0;
        foreach (var input in inputs)
        {
            if (input.DType != inputs[0].DType || input.Shape.Rank != shape.Rank || input.Shape.With(Axis, 0) != shape.With(Axis, 0))
                throw Error(inputs, $"all inputs must agree but on axis {Axis}");
            total += input.Shape[Axis];
        }
        return [new(inputs[0].DType, shape.With(Axis, total))];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        var (outer, size, inner) = Indexing.Around(outputs[0].Shape, Axis);
        long at = 0;
        foreach (var input in inputs)
        {
            long width = input.Shape[Axis] * inner;
            for (long o = 0; o < outer; o++)
                for (long i = 0; i < width; i++)
                    outputs[0].Set(o * size * inner + at + i, input[o * width + i]);
            at += width;
        }
    }
}

/// <summary>Adds a border of one value.</summary>
/// <param name="Before">Elements added before, per axis.</param>
/// <param name="After">Elements added after, per axis.</param>
/// <param name="Value">The value.</param>
public sealed record Pad(Dims Before, Dims After, double Value) : Op
{
    /// <inheritdoc/>
    public override string Name => "pad";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 1);
        var shape = inputs[0].Shape;
        if (Before.Count != shape.Rank || After.Count != shape.Rank) throw Error(inputs, "before and after must have one entry per axis");
        var sizes = new int[shape.Rank];
        for (int i = 0; i < sizes.Length; i++)
        {
            if (Before[i] < 0 || After[i] < 0) throw Error(inputs, "a border cannot be negative; use Slice");
            sizes[i] = Before[i] + shape[i] + After[i];
        }
        return [new(inputs[0].DType, sizes)];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        for (long i = 0; i < outputs[0].Type.Elements; i++) outputs[0].Set(i, Value);
        var strides = outputs[0].Shape.Strides();
        long start = 0;
        for (int i = 0; i < strides.Length; i++) start += strides[i] * Before[i];
        var offsets = Indexing.Offsets(inputs[0].Shape, strides, start);
        for (long i = 0; i < offsets.Length; i++)
            if (inputs[0].Type.DType.IsFloat()) outputs[0].Floats[offsets[i]] = inputs[0].Floats[i];
            else outputs[0].Set(offsets[i], inputs[0][i]);
    }
}

/// <summary>Integers to vectors: [...] becomes [..., Depth], 1 at the index, else 0; all 0 for an index outside 0..Depth-1.</summary>
/// <param name="Depth">Number of classes.</param>
public sealed record OneHot(int Depth) : Op
{
    /// <inheritdoc/>
    public override string Name => "one_hot";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 1);
        Expect(inputs, 0, DType.I32);
        return [TensorType.Float(inputs[0].Shape.Insert(inputs[0].Shape.Rank, Depth))];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        for (long i = 0; i < inputs[0].Ints.Length; i++)
            if (inputs[0].Ints[i] is var k && k >= 0 && k < Depth) outputs[0].Floats[i * Depth + k] = T.One;
    }
}

/// <summary>The index along an axis: element (i0, i1, ...) is i_Axis.</summary>
/// <param name="Type">I32 or F32 type that comes out.</param>
/// <param name="Axis">The axis counted.</param>
public sealed record Iota(TensorType Type, int Axis) : Op
{
    /// <inheritdoc/>
    public override string Name => "iota";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 0);
        if (Type.DType is not (DType.I32 or DType.F32) || Axis < 0 || Axis >= Type.Shape.Rank) throw new ShapeException($"iota of {Type} along axis {Axis}: expected I32 or F32 and an existing axis");
        return [Type];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        var (_, size, inner) = Indexing.Around(Type.Shape, Axis);
        for (long i = 0; i < Type.Elements; i++) outputs[0].Set(i, i / inner % size);
    }
}

/// <summary>The input; gradients stop here.</summary>
public sealed record StopGradient : Op
{
    /// <inheritdoc/>
    public override string Name => "stop_gradient";

    /// <inheritdoc/>
    public override bool IsAlias => true;

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 1);
        return [inputs[0]];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs) => outputs[0].CopyFrom(inputs[0]);
}

/// <summary>The input; the interpreter prints it under a label when it runs. Compiled programs pass it through.</summary>
/// <param name="Label">What to print before the values.</param>
public sealed record Print(string Label) : Op
{
    /// <inheritdoc/>
    public override string Name => "print";

    /// <inheritdoc/>
    public override bool IsAlias => true;

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 1);
        return [inputs[0]];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        outputs[0].CopyFrom(inputs[0]);
        int shown = (int)Math.Min(inputs[0].Type.Elements, 16);
        var values = Enumerable.Range(0, shown).Select(i => inputs[0][i].ToString("G9"));
        Console.Error.WriteLine($"{Label} {inputs[0].Type}: {string.Join(" ", values)}{(shown < inputs[0].Type.Elements ? " ..." : "")}");
    }
}

/// <summary>The input in storage of its own: how a plan moves a value into a variable or an output.</summary>
public sealed record Copy : Op
{
    /// <inheritdoc/>
    public override string Name => "copy";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 1);
        return [inputs[0]];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs) => outputs[0].CopyFrom(inputs[0]);
}

/// <summary>Inputs value [...] and index (I32 scalar): writes the value into row index of the output [Rows, ...] and leaves
/// the other rows as they are. Only plans use it, to stack a loop's per-step outputs.</summary>
/// <param name="Rows">Number of rows of the output.</param>
public sealed record StoreRow(int Rows) : Op
{
    /// <inheritdoc/>
    public override string Name => "store_row";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 2);
        Expect(inputs, 1, DType.I32);
        return [new(inputs[0].DType, inputs[0].Shape.Insert(0, Rows))];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        long n = inputs[0].Type.Elements, start = inputs[1].Ints[0] * n;
        for (long i = 0; i < n; i++) outputs[0].Set(start + i, inputs[0][i]);
    }
}
