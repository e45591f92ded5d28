namespace Engine.Kernels;

/// <summary>
/// Products one after the other, each of the one before: x [..., M, K0] times a matrix, what follows it, times the next matrix, and so on, so that a device may keep the rows between them where it
/// multiplies. A link is a <see cref="Linear"/>, or a product whose left side is not transposed, with a mask after it or without; its left side is the result before it. All results are [..., M, N] with
/// the same leading axes. Or all links are a <see cref="MemberMatMul"/> with the same members. Inputs: x, the members if links have any, then those of every link that remain. Outputs: the results that others want too, in order, then the last. Every link is rounded as the op by itself. Passes
/// make it; it is never traced, differentiated or stored in a file.
/// </summary>
/// <param name="Links">The links; at least two.</param>
/// <param name="Kept">Numbers of the links whose results come out, ascending; the last link is among them.</param>
public sealed record MatMulChain(IReadOnlyList<Op> Links, Dims Kept) : Op
{
    /// <summary>The most links of a chain.</summary>
    public const int MaxLinks = 4;

    /// <inheritdoc/>
    public override string Name => $"chain of {Links.Count} {(Links[0] is Linear ? "linear" : "matmul")}";

    /// <summary>Whether the op can be a link.</summary>
    public static bool IsLink(Op op) => op is Linear or MatMul { TransposeA: false } or FusedMatMul { Residual: false, Product.TransposeA: false } or MemberMatMul;

    /// <summary>Whether rows have matrices of their own.</summary>
    public bool OfMembers => Links[0] is MemberMatMul;

    /// <summary>How many inputs a link has besides the result before it, and the members.</summary>
    public static int InputsOf(Op link) => link is Linear or FusedMatMul { Mask: true } or MemberMatMul { Mask: true } ? 2 : 1;

    /// <summary>The numbers of every link's inputs; -1: the result before it.</summary>
    public int[][] Operands
    {
        get
        {
            var operands = new int[Links.Count][];
            for (int i = 0, at = OfMembers ? 2 : 1; i < operands.Length; at += InputsOf(Links[i]), i++)
            {
                int first = i == 0 ? 0 : -1;
                operands[i] = Links[i] is MemberMatMul member ? [first, at, 1, .. member.Mask ? [at + 1] : Array.Empty<int>()] : [first, .. Enumerable.Range(at, InputsOf(Links[i]))];
            }
            return operands;
        }
    }

    /// <summary>The types of every link's inputs and of its result.</summary>
    /// <exception cref="ShapeException">They do not fit.</exception>
    public (TensorType[] Inputs, TensorType Result)[] Types(ReadOnlySpan<TensorType> inputs)
    {
        if (Links.Count is < 2 or > MaxLinks || Kept.Count == 0 || Kept[^1] != Links.Count - 1) throw Error(inputs, $"expected 2 to {MaxLinks} links, of which the last is kept");
        int count = OfMembers ? 2 : 1;
        foreach (var link in Links) count += IsLink(link) && link is MemberMatMul == OfMembers ? InputsOf(link) : throw Error(inputs, $"{link.Name} cannot be a link");
        Arity(inputs, count);
        var types = new (TensorType[] Inputs, TensorType Result)[Links.Count];
        var operands = Operands;
        var x = inputs[0];
        for (int i = 0; i < types.Length; i++)
        {
            var own = new TensorType[operands[i].Length];
            for (int j = 0; j < own.Length; j++) own[j] = operands[i][j] < 0 ? x : inputs[operands[i][j]];
            types[i] = (own, x = Links[i].Infer(own)[0]);
            if (MatMul.Batch(x.Shape) != MatMul.Batch(types[0].Result.Shape)) throw Error(inputs, $"link {i} has other leading axes than the first");
        }
        return types;
    }

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        var types = Types(inputs);
        return Array.ConvertAll(Kept.ToArray(), k => types[k].Result);
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        var types = Types(Array.ConvertAll(inputs, x => x.Type));
        var operands = Operands;
        var x = inputs[0];
        for (int i = 0, o = 0; i < types.Length; i++)
        {
            var own = Array.ConvertAll(operands[i], j => j < 0 ? x : inputs[j]);
            x = new ReferenceTensor<T>(types[i].Result);
            if (Links[i] is Linear linear) Layer(linear, own, x);
            else Links[i].Reference(own, [x]);
            if (Kept[o] == i) outputs[o++].CopyFrom(x);
        }
    }

    private static void Layer<T>(Linear linear, ReferenceTensor<T>[] inputs, ReferenceTensor<T> output) where T : unmanaged, System.Numerics.IBinaryFloatingPointIeee754<T>
    {
        new MatMul(false, false).Reference(inputs[..2], [output]);
        T[] y = output.Floats, bias = inputs[2].Floats;
        long[] at = Indexing.Offsets(inputs[2].Shape.Insert(inputs[2].Shape.Rank - 1, 1), output.Shape);
        for (long i = 0; i < y.Length; i++)
        {
            y[i] += bias[at[i]];
            if (linear.Activation == Activation.Relu && y[i] <= T.Zero) y[i] = T.Zero;
        }
    }

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs)
    {
        double flops = 0;
        var types = Types(inputs);
        for (int i = 0; i < types.Length; i++) flops += Links[i].Flops(types[i].Inputs, [types[i].Result]);
        return flops;
    }

    /// <inheritdoc/>
    public bool Equals(MatMulChain? other) => other is not null && Kept == other.Kept && Links.SequenceEqual(other.Links);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Kept, Links.Count, Links[0], Links[^1]);

    /// <inheritdoc/>
    public override string ToString() => $"MatMulChain {{ {string.Join("; ", Links)}; kept {Kept} }}";
}
