namespace Engine.Kernels.Cpu;

/// <summary>Base of the kernels that work on rows of the last axis, a range of rows per chunk.</summary>
internal abstract unsafe class LastAxisKernel : CpuKernel
{
    protected readonly int Width;
    private readonly long _rows;
    private readonly int _rowsPerChunk;

    protected LastAxisKernel(TensorType input)
    {
        Width = input.Shape[^1];
        _rows = Width == 0 ? 0 : input.Elements / Width;
        _rowsPerChunk = Math.Max(1, ElementsPerChunk / Math.Max(1, Width));
        Chunks = (int)Math.Max(1, (_rows + _rowsPerChunk - 1) / _rowsPerChunk);
    }

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        long end = Math.Min(_rows, (chunk + 1L) * _rowsPerChunk);
        Rows(operands, (long)chunk * _rowsPerChunk, end, scratch);
    }

    protected abstract void Rows(void** operands, long first, long last, byte* scratch);
}

internal sealed unsafe class SoftmaxKernel(TensorType input) : LastAxisKernel(input)
{
    protected override void Rows(void** operands, long first, long last, byte* scratch)
    {
        for (long row = first; row < last; row++)
        {
            ReadOnlySpan<float> x = new((float*)operands[0] + row * Width, Width);
            var y = new Span<float>((float*)operands[1] + row * Width, Width);
            BinaryLoops.Run(BinaryKind.Subtract, x, ReductionLoops.Max(x), y);
            UnaryLoops.Run(UnaryKind.Exp, y, y);
            BinaryLoops.Run(BinaryKind.Divide, y, ReductionLoops.Sum(y), y);
        }
    }
}

internal sealed unsafe class LogSumExpKernel : LastAxisKernel
{
    public LogSumExpKernel(TensorType input) : base(input) => ScratchBytes = 4L * Width;

    protected override void Rows(void** operands, long first, long last, byte* scratch)
    {
        var e = new Span<float>(scratch, Width);
        float total = 0;
        var sum = new Span<float>(ref total);
        for (long row = first; row < last; row++)
        {
            ReadOnlySpan<float> x = new((float*)operands[0] + row * Width, Width);
            float max = ReductionLoops.Max(x), shift = MathF.Abs(max) < float.PositiveInfinity ? max : 0;
            BinaryLoops.Run(BinaryKind.Subtract, x, shift, e);
            UnaryLoops.Run(UnaryKind.Exp, e, e);
            total = ReductionLoops.Sum(e);
            UnaryLoops.Run(UnaryKind.Log, sum, sum);
            ((float*)operands[1])[row] = total + shift;
        }
    }
}
