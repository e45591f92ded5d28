namespace Engine.Kernels.Cpu;

/// <summary>A fused expression of a form that has no kernel of its own, step after step over whole values in scratch memory. No pass makes such an expression for the processor: it is here to compare others with.</summary>
internal sealed unsafe class StepsKernel : CpuKernel
{
    private readonly (CpuKernel? Kernel, int[] Arguments, int Result)[] _steps; // without a kernel the result lies where its argument does
    private readonly (int Value, long Bytes)[] _results;
    private readonly long[] _places; // of the steps' values in scratch memory
    private readonly int _inputs;
    private readonly long _kernelScratch;

    public StepsKernel(Fused op, TensorType[] inputs)
    {
        var types = op.Types(inputs);
        _inputs = inputs.Length;
        _places = new long[types.Length];
        _steps = new (CpuKernel?, int[], int)[op.Steps.Count];
        long at = 0;
        for (int s = 0; s < _steps.Length; s++)
        {
            int value = _inputs + s;
            var arguments = op.Steps[s].Arguments.ToArray();
            // What comes out does not lie in an input's memory, which another result may take.
            var step = op.Steps[s].Op.IsAlias && op.Results.Contains(value) ? new Copy() : op.Steps[s].Op;
            var kernel = step.IsAlias ? null : CpuKernels.Create(step, Array.ConvertAll(arguments, a => types[a]), [types[value]]);
            _steps[s] = (kernel, arguments, value);
            _places[value] = at;
            if (kernel is null) continue;
            at += (types[value].Bytes + 63) / 64 * 64;
            _kernelScratch = Math.Max(_kernelScratch, kernel.ScratchBytes);
        }
        _results = Array.ConvertAll(op.Results.ToArray(), r => (r, types[r].Bytes));
        ScratchBytes = _kernelScratch + at;
    }

    public override string Variant => "step after step";

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        void** values = stackalloc void*[_inputs + _steps.Length], own = stackalloc void*[4];
        for (int i = 0; i < _inputs; i++) values[i] = operands[i];
        foreach (var (kernel, arguments, result) in _steps)
        {
            values[result] = kernel is null ? values[arguments[0]] : scratch + _kernelScratch + _places[result];
            if (kernel is null) continue;
            for (int i = 0; i < arguments.Length; i++) own[i] = values[arguments[i]];
            own[arguments.Length] = values[result];
            for (int c = 0; c < kernel.Chunks; c++) kernel.RunChunk(c, own, scratch);
        }
        // At the end: a result may take the place of an input.
        for (int i = 0; i < _results.Length; i++) System.Buffer.MemoryCopy(values[_results[i].Value], operands[_inputs + i], _results[i].Bytes, _results[i].Bytes);
    }
}
