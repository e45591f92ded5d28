namespace Engine.Kernels.Cpu;

/// <summary>The links one after the other, a chunk for every matrix of the batch; results that nobody wants stay in the thread's scratch memory.</summary>
internal sealed unsafe class MatMulChainKernel : CpuKernel
{
    private readonly CpuKernel[] _links;
    private readonly int[][] _inputs;  // operands of every link: -1 is the result before it
    private readonly int[] _outputs;   // operand of every link's result; -1: scratch
    private readonly long[] _bytes;    // of every link's result, of one matrix
    private readonly long[] _scratch;  // where a result lies that is not kept
    private readonly long _linkScratch;
    private readonly int _batches;

    public MatMulChainKernel(MatMulChain op, TensorType[] inputs)
    {
        var types = op.Types(inputs);
        int count = types.Length;
        (_links, _outputs, _bytes, _scratch) = (new CpuKernel[count], new int[count], new long[count], new long[count]);
        _inputs = op.Operands;
        long at = 0;
        for (int i = 0; i < count; i++)
        {
            _links[i] = CpuKernels.Create(op.Links[i], types[i].Inputs, [types[i].Result]);
            int kept = op.Kept.Span.IndexOf(i);
            _outputs[i] = kept < 0 ? -1 : inputs.Length + kept;
            var shape = types[i].Result.Shape;
            _bytes[i] = (long)shape[^2] * shape[^1] * sizeof(float);
            _scratch[i] = at;
            if (kept < 0) at += (_bytes[i] + 63) / 64 * 64;
            _linkScratch = Math.Max(_linkScratch, _links[i].ScratchBytes);
        }
        _batches = checked((int)MatMul.Batch(types[0].Result.Shape).Elements);
        Chunks = Math.Max(1, _batches);
        ScratchBytes = at + _linkScratch;
    }

    public override string Variant => string.Join(", ", _links.Select(l => l.Variant).Distinct());

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        if (_batches == 0) return;
        byte* results = scratch + _linkScratch;
        void** own = stackalloc void*[5];
        void* before = null;
        for (int i = 0; i < _links.Length; i++)
        {
            int inputs = _inputs[i].Length;
            for (int j = 0; j < inputs; j++) own[j] = _inputs[i][j] < 0 ? before : operands[_inputs[i][j]];
            // A link looks for its matrix of the batch: one that lies alone begins as many matrices earlier.
            own[inputs] = before = _outputs[i] < 0 ? results + _scratch[i] - chunk * _bytes[i] : operands[_outputs[i]];
            int parts = _links[i].Chunks / _batches;
            for (int part = 0; part < parts; part++) _links[i].RunChunk(chunk * parts + part, own, scratch);
        }
    }
}
