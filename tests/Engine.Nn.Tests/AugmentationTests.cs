using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Nn.Tests;

public class AugmentationTests
{
    private const int Count = 6, Height = 5, Width = 7, Channels = 3;

    private static readonly int[] Offsets = [0, 0, 4, 4, 2, 2, 1, 3, 4, 0, 0, 3];

    /// <summary>The number of the pixel's first value that a shift puts at a place, by a loop.</summary>
    private static int Source(int image, int y, int x, int pad) =>
        ((image * Height + Math.Clamp(y + Offsets[2 * image] - pad, 0, Height - 1)) * Width + Math.Clamp(x + Offsets[2 * image + 1] - pad, 0, Width - 1)) * Channels;

    [Fact]
    public void A_random_shift_is_a_crop_of_the_padded_image_and_so_is_its_gradient()
    {
        const int pad = 2;
        var graph = new Graph();
        var images = graph.Input("images", TensorType.Float([Count, Height, Width, Channels]));
        var shifted = Augmentations.RandomShift(images, graph.Input("offsets", TensorType.Int([Count, 2])), pad);
        graph.Output("shifted", shifted);
        graph.Output("gradient", Gradients.Of((shifted * graph.Input("weights", images.Type)).Sum(), images)[0]);
        var stream = new PhiloxStream(1, "images");
        double[] values = Numbers(), weights = Numbers();
        double[] Numbers() => Enumerable.Range(0, Count * Height * Width * Channels).Select(_ => stream.NextUniform(-1, 1)).ToArray();
        var exact = new Interpreter<double>(graph);
        values.CopyTo(exact.Input("images").Floats, 0);
        weights.CopyTo(exact.Input("weights").Floats, 0);
        Offsets.CopyTo(exact.Input("offsets").Ints, 0);
        exact.Run();

        double[] expected = new double[values.Length], gradient = new double[values.Length];
        for (int image = 0, at = 0; image < Count; image++)
            for (int y = 0; y < Height; y++)
                for (int x = 0; x < Width; x++)
                    for (int c = 0; c < Channels; c++, at++)
                    {
                        expected[at] = values[Source(image, y, x, pad) + c];
                        gradient[Source(image, y, x, pad) + c] += weights[at];
                    }
        Assert.Equal(expected, exact.Output("shifted").Floats);
        for (int i = 0; i < gradient.Length; i++) Assert.Equal(gradient[i], exact.Output("gradient").Floats[i], 1e-12);
        Assert.Equal(values[(2 * Height * Width * Channels)..(3 * Height * Width * Channels)], expected[(2 * Height * Width * Channels)..(3 * Height * Width * Channels)]); // image 2 stays where it is
    }

    [Fact]
    public void Bytes_stay_bytes()
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        using var program = Program.Trace(state, g => g.Output("shifted", Augmentations.RandomShift(g.Input("images", TensorType.Byte([Count, Height, Width, Channels])), g.Input("offsets", TensorType.Int([Count, 2])), 2)));
        var bytes = Enumerable.Range(0, Count * Height * Width * Channels).Select(i => (byte)(i * 37)).ToArray();
        program.Write("images", bytes);
        program.Write("offsets", Offsets);
        program.Run();
        var shifted = new byte[bytes.Length];
        program.Read("shifted", shifted);
        for (int at = 0; at < shifted.Length; at++) Assert.Equal(bytes[Source(at / (Height * Width * Channels), at / (Width * Channels) % Height, at / Channels % Width, 2) + at % Channels], shifted[at]);
    }

    [Fact]
    public void Shapes_that_do_not_fit_are_refused()
    {
        var graph = new Graph();
        var images = graph.Input("images", TensorType.Byte([2, 3, 3, 1]));
        Assert.Throws<ShapeException>(() => Augmentations.RandomShift(images, graph.Input("offsets", TensorType.Int([3, 2])), 1));
    }
}
