using Engine.Kernels.Cuda.Launches;

namespace Engine.Kernels.Cuda;

/// <summary>Makes the launches of an op at fixed types.</summary>
/// <param name="op">The op.</param>
/// <param name="inputs">Types of its inputs.</param>
/// <param name="outputs">Types of its outputs.</param>
/// <param name="limits">What the device can do.</param>
public delegate CudaKernel CudaMaker(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits);

/// <summary>Which kernel an op gets on CUDA: one row an op here, unless it is elementwise. The functions named here live in Launches/, a file a family.</summary>
public static partial class CudaKernels
{
    // A row an op, below the line of its family.
    private static readonly Dictionary<Type, CudaMaker> Makers = new()
    {
        // Movement.
        [typeof(Permute)] = Movement.Permute,
        [typeof(Broadcast)] = Movement.Broadcast,
        [typeof(Slice)] = Movement.Slice,
        [typeof(Concat)] = Movement.Concat,
        [typeof(Pad)] = Movement.Pad,
        [typeof(OneHot)] = Movement.OneHot,
        [typeof(Iota)] = Movement.Iota,
        [typeof(StoreRow)] = Movement.StoreRow,
        [typeof(Unfold)] = Movement.Unfold,
        [typeof(Fold)] = Movement.Fold,

        // Indexing.
        [typeof(Gather)] = IndexOps.Gather,
        [typeof(ScatterAdd)] = IndexOps.ScatterAdd,
        [typeof(SetRows)] = IndexOps.SetRows,
        [typeof(Sort)] = IndexOps.Sort,
        [typeof(SearchSorted)] = IndexOps.SearchSorted,
        [typeof(ChunkedBackup)] = IndexOps.ChunkedBackup,

        // Reductions.
        [typeof(Reduce)] = Reductions.Reduce,
        [typeof(Fused)] = Reductions.FusedSteps,
        [typeof(ArgReduce)] = Reductions.ArgReduce,
        [typeof(CumulativeSum)] = Reductions.CumulativeSum,

        // Random numbers.
        [typeof(RandomUniform)] = RandomOps.Uniform,
        [typeof(RandomNormal)] = RandomOps.Normal,
        [typeof(RandomInteger)] = RandomOps.Integer,
        [typeof(RandomPermutation)] = RandomOps.Permutation,

        // Matrix products.
        [typeof(MatMul)] = MatMulLaunches.Make,
        [typeof(FusedMatMul)] = MatMulLaunches.Make,
        [typeof(MemberMatMul)] = (op, inputs, outputs, limits) => MemberMatMulLaunches.Make((MemberMatMul)op, inputs, outputs, limits),
        [typeof(Linear)] = MatMulLaunches.Make,
        [typeof(MatMulChain)] = MatMulChains.Make,

        // Composites.
        [typeof(LayerNorm)] = Composites.LayerNorm,
        [typeof(LayerNormGradient)] = Composites.LayerNormGradient,
        [typeof(Softmax)] = Composites.Softmax,
        [typeof(LogSumExp)] = Composites.LogSumExp,

        // Optimisers.
        [typeof(Adam)] = Optimisers.Adam,
        [typeof(AdamGroup)] = Optimisers.AdamGroup,
        [typeof(Polyak)] = Optimisers.Polyak,

    };

    // Ops whose kernel takes some types only: whether it takes these. An op without a row here takes all.
    private static readonly Dictionary<Type, Func<Op, TensorType[], TensorType[], bool>> Conditions = new()
    {
        // Reductions.

        // Matrix products.

        // Composites.
        [typeof(LayerNorm)] = Composites.Takes,
        [typeof(LayerNormGradient)] = Composites.Takes,
        [typeof(Softmax)] = Composites.Takes,
        [typeof(LogSumExp)] = Composites.Takes,

    };

    // Ops that are implemented, but that a pass should not make of others at these types on this device: whether it should. An op without a row here is always preferred.
    private static readonly Dictionary<Type, Func<Op, TensorType[], TensorType[], CudaLimits, bool>> Preferences = new()
    {
        // Reductions.
        [typeof(Fused)] = (_, _, _, _) => false, // where it is one launch, Elementwise/ makes it

        // Matrix products.
        [typeof(MatMulChain)] = MatMulChains.Prefers,
        [typeof(MemberMatMul)] = MemberMatMulLaunches.Prefers,

        // Composites.

    };

    /// <summary>Whether the op has a kernel at these types.</summary>
    public static bool Has(Op op, TensorType[] inputs, TensorType[] outputs) =>
        Makers.ContainsKey(op.GetType()) && (!Conditions.TryGetValue(op.GetType(), out var takes) || takes(op, inputs, outputs));

    /// <summary>Whether a pass should make this op of simpler ones: it has a kernel, which is no slower than what it replaces.</summary>
    public static bool Prefers(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) =>
        Has(op, inputs, outputs) && (!Preferences.TryGetValue(op.GetType(), out var prefers) || prefers(op, inputs, outputs, limits));

    /// <summary>The launches of an op at these types.</summary>
    /// <exception cref="DeviceException">There is no kernel.</exception>
    public static CudaKernel Create(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) =>
        Has(op, inputs, outputs) ? Makers[op.GetType()](op, inputs, outputs, limits)
            : throw new DeviceException($"op {op.Name}({string.Join(", ", inputs)}) is not implemented on device cuda");
}
