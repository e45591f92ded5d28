namespace Engine.Kernels.Cpu;

/// <summary>A batch of matrix products, each cut into the chunks of one <see cref="GemmPlan"/>; serves MatMul, Linear and what passes put after a product.</summary>
internal sealed unsafe class MatMulKernel : CpuKernel
{
    private readonly GemmPlan _plan;
    private readonly long[] _a, _b;       // offset of each batch's matrix, in elements
    private readonly long[]? _bias;
    private readonly long _c;
    private readonly int _batches, _residual, _mask, _output; // operands; -1: none

    public MatMulKernel(MatMul op, TensorType[] inputs, TensorType output)
        : this(inputs, output, op.TransposeA, op.TransposeB, GemmEpilogue.None) { }

    public MatMulKernel(FusedMatMul op, TensorType[] inputs, TensorType output)
        : this(inputs, output, op.Product.TransposeA, op.Product.TransposeB, (op.Residual ? GemmEpilogue.Residual : 0) | (op.Mask ? GemmEpilogue.Mask : 0))
    {
        if (op.Residual) _residual = 2;
        if (op.Mask) _mask = inputs.Length - 1;
    }

    public MatMulKernel(Linear op, TensorType[] inputs, TensorType output)
        : this(inputs, output, false, false, op.Activation == Activation.Relu ? GemmEpilogue.BiasRelu : GemmEpilogue.Bias)
    {
        _bias = Indexing.Offsets(inputs[2].Shape.Without(-1), MatMul.Batch(output.Shape));
        for (int i = 0; i < _bias.Length; i++) _bias[i] *= output.Shape[^1];
    }

    private MatMulKernel(TensorType[] inputs, TensorType output, bool transposeA, bool transposeB, GemmEpilogue epilogue)
    {
        (_residual, _mask, _output) = (-1, -1, inputs.Length);
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
        _plan = new GemmPlan(m, n, k, transposeA, transposeB, a[^1], b[^1], n, epilogue, Math.Max(1, _batches));
        Chunks = Math.Max(1, _batches * _plan.Chunks);
        ScratchBytes = _plan.ScratchBytes;
    }

    public override string Variant => _plan.Variant;

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        if (_batches == 0 || _plan.Chunks == 0) return;
        if (_batches == 1)
        {
            // No offsets to look up: for one observation what is read beside the weights counts.
            _plan.RunChunk(chunk, (float*)operands[0], (float*)operands[1], (float*)operands[_output], _bias is null ? null : (float*)operands[2],
                _residual < 0 ? null : (float*)operands[_residual], _mask < 0 ? null : (float*)operands[_mask], scratch);
            return;
        }
        int batch = chunk / _plan.Chunks, part = chunk - batch * _plan.Chunks;
        float* a = (float*)operands[0] + _a[batch], b = (float*)operands[1] + _b[batch];
        float* c = (float*)operands[_output] + batch * _c;
        float* bias = _bias is null ? null : (float*)operands[2] + _bias[batch];
        float* residual = _residual < 0 ? null : (float*)operands[_residual] + batch * _c, mask = _mask < 0 ? null : (float*)operands[_mask] + batch * _c;
        _plan.RunChunk(part, a, b, c, bias, residual, mask, scratch);
    }
}
