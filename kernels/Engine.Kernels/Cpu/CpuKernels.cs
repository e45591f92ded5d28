namespace Engine.Kernels.Cpu;

/// <summary>Which kernel an op gets on the CPU: one line an op here, or in <see cref="ElementLoops"/> if it is elementwise.</summary>
internal static class CpuKernels
{
    private delegate CpuKernel Factory(Op op, TensorType[] inputs, TensorType[] outputs);

    private static readonly Dictionary<Type, Factory> Table = new()
    {
        [typeof(Fused)] = (op, x, y) => ((Fused)op).IsElementwiseOnly(x) ? new ElementwiseKernel(op, x, y[0]) : ReduceKernel.Takes((Fused)op, x) ? new ReduceKernel((Fused)op, x) : new StepsKernel((Fused)op, x),
        [typeof(Permute)] = (op, x, y) =>
        {
            var strides = x[0].Shape.Strides();
            return new StridedCopyKernel(y[0], ((Permute)op).Order.Select(axis => strides[axis]).ToArray(), 0);
        },
        [typeof(Broadcast)] = (_, x, y) => new StridedCopyKernel(y[0], x[0].Shape.BroadcastStrides(y[0].Shape), 0),
        [typeof(Slice)] = (op, x, y) =>
        {
            var (strides, start) = ((Slice)op).Layout(x[0].Shape);
            return new StridedCopyKernel(y[0], strides, start);
        },
        [typeof(Concat)] = (op, x, y) => new ConcatKernel((Concat)op, x, y[0]),
        [typeof(Pad)] = (op, x, y) => new PadKernel((Pad)op, x[0], y[0]),
        [typeof(OneHot)] = (op, x, _) => new OneHotKernel(x[0], ((OneHot)op).Depth),
        [typeof(Iota)] = (op, _, _) => new IotaKernel((Iota)op),
        [typeof(Copy)] = (_, x, _) => new CopyKernel(x[0]),
        [typeof(StoreRow)] = (op, x, _) => new StoreRowKernel(x[0], ((StoreRow)op).Rows),
        [typeof(Gather)] = (_, x, _) => new GatherKernel(x[0], x[1]),
        [typeof(ScatterAdd)] = (op, x, y) => new ScatterAddKernel(((ScatterAdd)op).Rows, x[0], y[0]),
        [typeof(SetRows)] = (_, x, _) => new SetRowsKernel(x[0], x[1]),
        [typeof(Reduce)] = (op, x, _) => new ReduceKernel((Reduce)op, x[0]),
        [typeof(ArgReduce)] = (op, x, _) => new ArgReduceKernel((ArgReduce)op, x[0]),
        [typeof(CumulativeSum)] = (op, x, _) => new CumulativeSumKernel((CumulativeSum)op, x[0]),
        [typeof(Sort)] = (op, x, _) => new SortKernel((Sort)op, x[0]),
        [typeof(SearchSorted)] = (op, x, _) => new SearchSortedKernel((SearchSorted)op, x[0], x[1]),
        [typeof(ChunkedBackup)] = (op, x, _) => new ChunkedBackupKernel((ChunkedBackup)op, x),
        [typeof(MatMul)] = (op, x, y) => new MatMulKernel((MatMul)op, x, y[0]),
        [typeof(FusedMatMul)] = (op, x, y) => new MatMulKernel((FusedMatMul)op, x, y[0]),
        [typeof(MemberMatMul)] = (op, x, y) => new MemberMatMulKernel((MemberMatMul)op, x, y[0]),
        [typeof(MatMulChain)] = (op, x, _) => new MatMulChainKernel((MatMulChain)op, x),
        [typeof(Unfold)] = (op, x, _) => new UnfoldKernel((Unfold)op, x[0]),
        [typeof(Fold)] = (op, x, _) => new FoldKernel((Fold)op, x[0]),
        [typeof(RandomUniform)] = (op, x, _) => new RandomKernel((RandomOp)op, x),
        [typeof(RandomNormal)] = (op, x, _) => new RandomKernel((RandomOp)op, x),
        [typeof(RandomInteger)] = (op, x, _) => new RandomKernel((RandomOp)op, x),
        [typeof(RandomPermutation)] = (op, x, _) => new RandomPermutationKernel((RandomPermutation)op, x),
        [typeof(Linear)] = (op, x, y) => new MatMulKernel((Linear)op, x, y[0]),
        [typeof(LayerNorm)] = (op, x, _) => new LayerNormKernel((LayerNorm)op, x[0]),
        [typeof(LayerNormGradient)] = (op, x, _) => new LayerNormGradientKernel((LayerNormGradient)op, x[0]),
        [typeof(Softmax)] = (_, x, _) => new SoftmaxKernel(x[0]),
        [typeof(LogSumExp)] = (_, x, _) => new LogSumExpKernel(x[0]),
        [typeof(Adam)] = (op, x, _) => new AdamKernel((Adam)op, null, [x[0].Elements]),
        [typeof(AdamGroup)] = (op, x, _) => AdamKernel.Of((AdamGroup)op, x),
        [typeof(Polyak)] = (op, x, _) => new PolyakKernel((Polyak)op, x[0]),
    };

    /// <summary>Whether the op has a kernel here.</summary>
    public static bool Has(Op op) => op.IsElementwise ? ElementLoops.Has(op) : Table.ContainsKey(op.GetType());

    /// <summary>The kernel for an op at these types.</summary>
    public static CpuKernel Create(Op op, TensorType[] inputs, TensorType[] outputs) =>
        op.IsElementwise && ElementLoops.Has(op) ? new ElementwiseKernel(op, inputs, outputs[0])
            : Table.TryGetValue(op.GetType(), out var factory) ? factory(op, inputs, outputs)
            : throw new DeviceException($"op {op.Name} is not implemented on device cpu");
}
