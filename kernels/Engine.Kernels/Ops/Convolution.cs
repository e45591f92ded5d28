namespace Engine.Kernels;

/// <summary>Geometry of a 2-D sliding window; a 1-D one has height 1.</summary>
/// <param name="KernelHeight">Window height.</param>
/// <param name="KernelWidth">Window width.</param>
/// <param name="StrideHeight">Step down.</param>
/// <param name="StrideWidth">Step right.</param>
/// <param name="PadHeight">Zero rows added above and below.</param>
/// <param name="PadWidth">Zero columns added left and right.</param>
/// <param name="DilationHeight">Distance between window rows.</param>
/// <param name="DilationWidth">Distance between window columns.</param>
public sealed record Window(int KernelHeight, int KernelWidth, int StrideHeight = 1, int StrideWidth = 1,
    int PadHeight = 0, int PadWidth = 0, int DilationHeight = 1, int DilationWidth = 1)
{
    /// <summary>Positions of the window in an image: height and width of a convolution's output.</summary>
    public (int Height, int Width) Output(int height, int width) => (
        (height + 2 * PadHeight - DilationHeight * (KernelHeight - 1) - 1) / StrideHeight + 1,
        (width + 2 * PadWidth - DilationWidth * (KernelWidth - 1) - 1) / StrideWidth + 1);

    /// <summary>Calls back for every (column element, image element) pair of one image, both as flat offsets, skipping the padding.
    /// Columns are [outHeight*outWidth, channels*KernelHeight*KernelWidth]; the image is [channels, height, width].</summary>
    public void Visit(int channels, int height, int width, Action<long, long> pair)
    {
        var (outHeight, outWidth) = Output(height, width);
        long column = 0;
        for (int oy = 0; oy < outHeight; oy++)
            for (int ox = 0; ox < outWidth; ox++)
                for (int c = 0; c < channels; c++)
                    for (int ky = 0; ky < KernelHeight; ky++)
                        for (int kx = 0; kx < KernelWidth; kx++, column++)
                        {
                            int y = oy * StrideHeight - PadHeight + ky * DilationHeight, x = ox * StrideWidth - PadWidth + kx * DilationWidth;
                            if (y >= 0 && y < height && x >= 0 && x < width) pair(column, ((long)c * height + y) * width + x);
                        }
    }

    internal void Validate(string op, int height, int width)
    {
        var (oh, ow) = Output(height, width);
        if (KernelHeight < 1 || KernelWidth < 1 || StrideHeight < 1 || StrideWidth < 1 || DilationHeight < 1 || DilationWidth < 1 || PadHeight < 0 || PadWidth < 0 || oh < 1 || ow < 1)
            throw new ShapeException($"{op}: window {this} does not fit an image of {height} x {width}");
    }
}

/// <summary>Images [B, C, H, W] to columns [B, outH*outW, C*kh*kw], so that a convolution is a matmul. Padding reads zeros.</summary>
/// <param name="Window">The sliding window.</param>
public sealed record Unfold(Window Window) : Op
{
    /// <inheritdoc/>
    public override string Name => "unfold";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 1);
        Expect(inputs, 0, DType.F32);
        var s = inputs[0].Shape;
        if (s.Rank != 4) throw Error(inputs, "expected images [batch, channels, height, width]");
        Window.Validate(Name, s[2], s[3]);
        var (h, w) = Window.Output(s[2], s[3]);
        return [TensorType.Float([s[0], h * w, s[1] * Window.KernelHeight * Window.KernelWidth])];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        var s = inputs[0].Shape;
        long image = (long)s[1] * s[2] * s[3], columns = (long)outputs[0].Shape[1] * outputs[0].Shape[2];
        for (long b = 0; b < s[0]; b++)
            Window.Visit(s[1], s[2], s[3], (column, pixel) => outputs[0].Floats[b * columns + column] = inputs[0].Floats[b * image + pixel]);
    }
}

/// <summary>Columns [B, outH*outW, C*kh*kw] added up into images [B, C, H, W]: the derivative of <see cref="Unfold"/>, and the heart
/// of a transposed convolution.</summary>
/// <param name="Window">The sliding window.</param>
/// <param name="Channels">C.</param>
/// <param name="Height">H.</param>
/// <param name="Width">W.</param>
public sealed record Fold(Window Window, int Channels, int Height, int Width) : Op
{
    /// <inheritdoc/>
    public override string Name => "fold";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 1);
        Expect(inputs, 0, DType.F32);
        Window.Validate(Name, Height, Width);
        var (h, w) = Window.Output(Height, Width);
        Shape expected = [inputs[0].Shape.Rank > 0 ? inputs[0].Shape[0] : 0, h * w, Channels * Window.KernelHeight * Window.KernelWidth];
        if (inputs[0].Shape != expected) throw Error(inputs, $"expected columns {expected}");
        return [TensorType.Float([inputs[0].Shape[0], Channels, Height, Width])];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        long image = (long)Channels * Height * Width, columns = (long)inputs[0].Shape[1] * inputs[0].Shape[2];
        for (long b = 0; b < inputs[0].Shape[0]; b++)
            Window.Visit(Channels, Height, Width, (column, pixel) => outputs[0].Floats[b * image + pixel] += inputs[0].Floats[b * columns + column]);
    }

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => inputs[0].Elements;
}
