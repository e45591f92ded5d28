namespace Engine.Kernels.Cpu;

/// <summary>A batch of matrix products, each cut into the chunks of one <see cref="GemmPlan"/>; serves MatMul and the fused Linear.</summary>
internal sealed unsafe class MatMulKernel : CpuKernel
{
    private readonly GemmPlan _plan;
    private readonly long[] _a, _b;       // offset of each batch's matrix, in elements
    private readonly long[]? _bias;
    private readonly long _c;
    private readonly int _batches;

    public MatMulKernel(MatMul op, TensorType[] inputs, TensorType output)
        : this(inputs, output, op.TransposeA, op.TransposeB, GemmEpilogue.None) { }

    public MatMulKernel(Linear op, TensorType[] inputs, TensorType output)
        : this(inputs, output, false, false, op.Activation == Activation.Relu ? GemmEpilogue.BiasRelu : GemmEpilogue.Bias)
    {
        _bias = Indexing.Offsets(inputs[2].Shape.Without(-1), MatMul.Batch(output.Shape));
        for (int i = 0; i < _bias.Length; i++) _bias[i] *= output.Shape[^1];
    }

    private MatMulKernel(TensorType[] inputs, TensorType output, bool transposeA, bool transposeB, GemmEpilogue epilogue)
    {
        Shape a = inputs[0].Shape, b = inputs[1].Shape, c = output.Shape;
        int m = c[^2], n = c[^1], k = transposeA ? a[^2] : a[^1];
        _a = Indexing.Offsets(MatMul.Batch(a), MatMul.Batch(c));
        _b = Indexing.Offsets(MatMul.Batch(b), MatMul.Batch(c));
        for (int i = 0; i < _a.Length; i++)
        {
            _a[i] *= (long)m * k;
            _b[i] *= (long)k * n;
        }
        _c = (long)m * n;
        _batches = _a.Length;
        _plan = new GemmPlan(m, n, k, transposeA, transposeB, a[^1], b[^1], n, epilogue);
        Chunks = Math.Max(1, _batches * _plan.Chunks);
        ScratchBytes = _plan.ScratchBytes;
    }

    public override string Variant => _plan.Variant;

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        if (_batches == 0 || _plan.Chunks == 0) return;
        int batch = chunk / _plan.Chunks, part = chunk - batch * _plan.Chunks;
        float* a = (float*)operands[0] + _a[batch], b = (float*)operands[1] + _b[batch];
        if (_bias is null)
        {
            _plan.RunChunk(part, a, b, (float*)operands[2] + batch * _c, null, scratch);
            return;
        }
        float* c = (float*)operands[3] + batch * _c;
        _plan.RunChunk(part, a, b, c, (float*)operands[2] + _bias[batch], scratch);
    }
}
