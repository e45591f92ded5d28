namespace Engine.Kernels;

/// <summary>Inputs table [R, ...] and indices (I32) [I...]: rows of the table, [I..., ...]. An index outside 0..R-1 throws on the
/// CPU and in the interpreter.</summary>
public sealed record Gather : Op
{
    /// <inheritdoc/>
    public override string Name => "gather";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 2);
        Expect(inputs, 1, DType.I32);
        if (inputs[0].Shape.Rank < 1) throw Error(inputs, "the table needs a leading axis");
        return [new(inputs[0].DType, (int[])[.. inputs[1].Shape, .. inputs[0].Shape.Without(0)])];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        int rows = inputs[0].Shape[0];
        long width = rows == 0 ? 0 : inputs[0].Type.Elements / rows;
        foreach (int index in inputs[1].Ints) Check(index, rows);
        if (width > 0) outputs[0].MoveFrom(inputs[0], d => inputs[1].Ints[d / width] * width + d % width);
    }

    /// <summary>Throws for an index outside the table.</summary>
    public static void Check(int index, int rows)
    {
        if ((uint)index >= (uint)rows) throw new ArgumentOutOfRangeException(nameof(index), $"gather: index {index} is outside 0..{rows - 1}");
    }
}

/// <summary>Inputs indices (I32) [I...] and updates [I..., ...]: zeros [Rows, ...] to which every update is added at its row, in
/// the order of the indices. The derivative of <see cref="Gather"/>.</summary>
/// <param name="Rows">Rows of the output.</param>
public sealed record ScatterAdd(int Rows) : Op
{
    /// <inheritdoc/>
    public override string Name => "scatter_add";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 2);
        Expect(inputs, 0, DType.I32);
        Expect(inputs, 1, DType.F32);
        Shape indices = inputs[0].Shape, updates = inputs[1].Shape;
        if (updates.Rank < indices.Rank || !updates.Span[..indices.Rank].SequenceEqual(indices.Span)) throw Error(inputs, "updates must begin with the shape of the indices");
        return [TensorType.Float((int[])[Rows, .. updates.Span[indices.Rank..]])];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        long width = outputs[0].Type.Elements / Math.Max(Rows, 1);
        for (long i = 0; i < inputs[0].Ints.Length; i++)
        {
            int row = inputs[0].Ints[i];
            Gather.Check(row, Rows);
            for (long j = 0; j < width; j++) outputs[0].Floats[row * width + j] += inputs[1].Floats[i * width + j];
        }
    }

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => inputs[1].Elements;
}

/// <summary>Inputs table [R, ...], indices (I32) [I...] and rows [I..., ...] of the table's type: the table with those rows in the places of its own, in the order of the indices, so that of two for one
/// place the later stays. Where nothing reads the old table later it is written in place. An index outside 0..R-1 throws on the CPU, which has then changed nothing, and in the interpreter.</summary>
public sealed record SetRows : Op
{
    /// <inheritdoc/>
    public override string Name => "set_rows";

    /// <inheritdoc/>
    public override bool IsUpdate => true;

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 3);
        Expect(inputs, 1, DType.I32);
        Expect(inputs, 2, inputs[0].DType);
        if (inputs[0].Shape.Rank < 1) throw Error(inputs, "the table needs a leading axis");
        Shape expected = (int[])[.. inputs[1].Shape, .. inputs[0].Shape.Without(0)];
        if (inputs[2].Shape != expected) throw Error(inputs, $"the rows must be {expected}: the indices' sizes, then those of a row");
        return [new(inputs[0].DType, inputs[0].Shape)];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        int rows = inputs[0].Shape[0];
        long width = rows == 0 ? 0 : inputs[0].Type.Elements / rows;
        foreach (int index in inputs[1].Ints) Check(index, rows);
        outputs[0].CopyFrom(inputs[0]);
        for (long i = 0; i < inputs[1].Ints.Length; i++) outputs[0].CopyFrom(inputs[2], i * width, inputs[1].Ints[i] * width, width);
    }

    /// <summary>Throws for an index outside the table.</summary>
    public static void Check(int index, int rows)
    {
        if ((uint)index >= (uint)rows) throw new ArgumentOutOfRangeException(nameof(index), $"set_rows: index {index} is outside 0..{rows - 1}");
    }

    /// <inheritdoc/>
    public override bool CanOverwrite(int input, int output, ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => input == 0;
}

/// <summary>Inputs x [..., K]; outputs the sorted values [..., K] and the positions they came from (I32). Stable: equal values
/// keep their order. NaN sorts last in either direction.</summary>
/// <param name="Descending">Largest first.</param>
public sealed record Sort(bool Descending) : Op
{
    /// <inheritdoc/>
    public override string Name => "sort";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 1);
        Expect(inputs, 0, DType.F32);
        if (inputs[0].Shape.Rank < 1) throw Error(inputs, "expected at least one axis");
        return [TensorType.Float(inputs[0].Shape), TensorType.Int(inputs[0].Shape)];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        int k = inputs[0].Shape[^1];
        for (long row = 0; k > 0 && row < inputs[0].Floats.Length / k; row++)
        {
            var values = inputs[0].Floats.AsSpan((int)(row * k), k).ToArray();
            var order = Enumerable.Range(0, k);
            order = Descending
                ? order.OrderBy(i => T.IsNaN(values[i])).ThenByDescending(i => values[i])
                : order.OrderBy(i => T.IsNaN(values[i])).ThenBy(i => values[i]);
            int at = 0;
            foreach (int i in order)
            {
                outputs[0].Floats[row * k + at] = values[i];
                outputs[1].Ints[row * k + at++] = i;
            }
        }
    }
}

/// <summary>Inputs sorted (ascending) [..., K] and values [..., V] with equal leading axes: for each value the first position at
/// which it could be inserted (I32 [..., V]).</summary>
/// <param name="Right">The last such position: equal elements stay before it.</param>
public sealed record SearchSorted(bool Right) : Op
{
    /// <inheritdoc/>
    public override string Name => "search_sorted";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 2);
        Expect(inputs, 0, DType.F32);
        Expect(inputs, 1, DType.F32);
        Shape sorted = inputs[0].Shape, values = inputs[1].Shape;
        if (sorted.Rank < 1 || sorted.Rank != values.Rank || sorted.With(-1, 1) != values.With(-1, 1)) throw Error(inputs, "leading axes must agree");
        return [TensorType.Int(values)];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        int k = inputs[0].Shape[^1], v = inputs[1].Shape[^1];
        for (long i = 0; i < inputs[1].Floats.Length; i++)
        {
            T value = inputs[1].Floats[i];
            int position = 0;
            for (long start = i / v * k; position < k; position++)
            {
                T x = inputs[0].Floats[start + position];
                if (Right ? x > value : x >= value) break;
            }
            outputs[0].Ints[i] = position;
        }
    }
}
