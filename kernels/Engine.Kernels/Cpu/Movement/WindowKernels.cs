namespace Engine.Kernels.Cpu;

/// <summary>Images to columns; a chunk is an image.</summary>
internal sealed unsafe class UnfoldKernel : CpuKernel
{
    private readonly WindowWalk _walk;

    public UnfoldKernel(Unfold op, TensorType input)
    {
        _walk = new WindowWalk(op.Window, input.Shape[1], input.Shape[2], input.Shape[3]);
        Chunks = Math.Max(1, input.Shape[0]);
        _images = input.Shape[0];
    }

    private readonly int _images;

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        if (_images == 0) return;
        _walk.Run((float*)operands[0] + chunk * _walk.ImageElements, (float*)operands[1] + chunk * _walk.ColumnElements, false);
    }
}

/// <summary>Columns added up into images; a chunk is an image, its additions in the order of the columns.</summary>
internal sealed unsafe class FoldKernel : CpuKernel
{
    private readonly WindowWalk _walk;
    private readonly int _images;

    public FoldKernel(Fold op, TensorType input)
    {
        _walk = new WindowWalk(op.Window, op.Channels, op.Height, op.Width);
        _images = input.Shape[0];
        Chunks = Math.Max(1, _images);
    }

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        if (_images == 0) return;
        _walk.Run((float*)operands[1] + chunk * _walk.ImageElements, (float*)operands[0] + chunk * _walk.ColumnElements, true);
    }
}

internal sealed unsafe class WindowWalk(Window w, int channels, int height, int width)
{
    private readonly (int Height, int Width) _output = w.Output(height, width);

    public long ImageElements => (long)channels * height * width;

    public long ColumnElements => (long)_output.Height * _output.Width * channels * w.KernelHeight * w.KernelWidth;

    public void Run(float* image, float* columns, bool fold)
    {
        if (fold) new Span<float>(image, checked((int)ImageElements)).Clear();
        float* column = columns;
        for (int oy = 0; oy < _output.Height; oy++)
            for (int ox = 0; ox < _output.Width; ox++)
                for (int c = 0; c < channels; c++)
                    for (int ky = 0; ky < w.KernelHeight; ky++)
                    {
                        int y = oy * w.StrideHeight - w.PadHeight + ky * w.DilationHeight;
                        float* line = image + ((long)c * height + y) * width;
                        int x = ox * w.StrideWidth - w.PadWidth;
                        for (int kx = 0; kx < w.KernelWidth; kx++, column++, x += w.DilationWidth)
                        {
                            bool inside = (uint)y < (uint)height && (uint)x < (uint)width;
                            if (!fold) *column = inside ? line[x] : 0;
                            else if (inside) line[x] += *column;
                        }
                    }
    }
}
