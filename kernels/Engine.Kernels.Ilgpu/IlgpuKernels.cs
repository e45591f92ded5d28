using Engine.Kernels.Ilgpu.Elementwise;
using Engine.Kernels.Ilgpu.Launches;
using Engine.Kernels.Ilgpu.Runtime;

namespace Engine.Kernels.Ilgpu;

/// <summary>Which kernel an op gets on ILGPU: a row an op here, unless it is elementwise. The functions named here live in Launches/, a file a family, above the device code that they launch.</summary>
internal static class IlgpuKernels
{
    private delegate KernelPlan Maker(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind);

    private static readonly Dictionary<Type, Maker> Makers = new()
    {
        // Movement.
        [typeof(Permute)] = Movement.Permute,
        [typeof(Broadcast)] = Movement.Broadcast,
        [typeof(Slice)] = Movement.Slice,
        [typeof(Concat)] = Movement.Concat,
        [typeof(Pad)] = Movement.Pad,
        [typeof(Copy)] = Movement.Copy,
        [typeof(OneHot)] = Movement.OneHot,
        [typeof(Iota)] = Movement.Iota,
        [typeof(StoreRow)] = Movement.StoreRow,
        [typeof(Unfold)] = Windows.Unfold,
        [typeof(Fold)] = Windows.Fold,

        // Indexing.
        [typeof(Gather)] = IndexOps.Gather,
        [typeof(ScatterAdd)] = IndexOps.ScatterAdd,
        [typeof(SetRows)] = IndexOps.SetRows,
        [typeof(Sort)] = Sorting.Sort,
        [typeof(SearchSorted)] = Sorting.SearchSorted,
        [typeof(ChunkedBackup)] = Backups.ChunkedBackup,

        // Reductions.
        [typeof(Reduce)] = Reductions.Reduce,
        [typeof(ArgReduce)] = Reductions.ArgReduce,
        [typeof(CumulativeSum)] = Reductions.CumulativeSum,

        // Random numbers.
        [typeof(RandomUniform)] = RandomOps.Uniform,
        [typeof(RandomNormal)] = RandomOps.Normal,
        [typeof(RandomInteger)] = RandomOps.Integer,
        [typeof(RandomPermutation)] = RandomOps.Permutation,

        // Matrix products.
        [typeof(MatMul)] = Products.MatMul,
        [typeof(FusedMatMul)] = Products.FusedMatMul,
        [typeof(Linear)] = Products.Linear,

        // Optimisers.
        [typeof(Adam)] = Optimisers.Adam,
        [typeof(AdamGroup)] = Optimisers.AdamGroup,
        [typeof(Polyak)] = Optimisers.Polyak,
    };

    /// <summary>Ops of the op table without a kernel: what happens instead.</summary>
    public static readonly IReadOnlyDictionary<string, string> NotMade = new SortedDictionary<string, string>(StringComparer.Ordinal)
    {
        [nameof(MemberMatMul)] = "the whole product is computed",
        [nameof(MatMulChain)] = "the products are kernels of their own",
        [nameof(LayerNorm)] = "runs its definition",
        [nameof(LayerNormGradient)] = "runs its definition",
        [nameof(Softmax)] = "runs its definition",
        [nameof(LogSumExp)] = "runs its definition",
        [nameof(Fused)] = "expressions with reductions or several results: their parts are kernels of their own",
    };

    /// <summary>Whether the op has a kernel at these types.</summary>
    public static bool Has(Op op, TensorType[] inputs) => Array.TrueForAll(inputs, t => t.DType != DType.F64) && (Expressions.Has(op, inputs) || (Makers.ContainsKey(op.GetType()) && (op is not (FusedMatMul or Linear) || Products.HasTerms(op, inputs))));

    /// <summary>The launches of an op at these types.</summary>
    /// <exception cref="DeviceException">There is no kernel, or the device does not compute in float64 as the op needs.</exception>
    public static KernelPlan Create(Op op, TensorType[] inputs, TensorType[] outputs, IlgpuDevice device)
    {
        if (!Has(op, inputs)) throw new DeviceException($"op {op.Name}({string.Join(", ", inputs)}) is not implemented on device {device.Name}");
        if (!device.Float64 && NeedsFloat64(op)) throw new DeviceException($"op {op.Name}({string.Join(", ", inputs)}) needs float64, which device {device.Name} does not have");
        if (Array.TrueForAll(outputs, t => t.Elements == 0)) return KernelPlan.Nothing;
        foreach (var type in inputs.Concat(outputs))
            if (type.Elements > int.MaxValue) throw new DeviceException($"op {op.Name}: {type} has more elements than kernels of device {device.Name} count");
        return Expressions.Has(op, inputs) ? Expressions.Make(op, inputs, outputs[0]) : Makers[op.GetType()](op, inputs, outputs, device.Schedule);
    }

    /// <summary>Draws of normals and powers are computed in float64, and so are sines of large angles.</summary>
    private static bool NeedsFloat64(Op op) => op is RandomNormal or Unary { Kind: UnaryKind.Sin or UnaryKind.Cos } or Binary { Kind: BinaryKind.Power } || (op is Fused fused && fused.Steps.Any(s => NeedsFloat64(s.Op)));
}
