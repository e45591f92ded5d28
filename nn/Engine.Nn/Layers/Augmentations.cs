using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Nn;

/// <summary>Changes of training data that leave their meaning as it is, traced into the update.</summary>
public static class Augmentations
{
    /// <summary>Images moved by up to <paramref name="pad"/> pixels in each direction, pixels at the border repeated: padding by replication and a crop (Kostrikov et al. 2021, "Image Augmentation Is All You Need", DrQ).</summary>
    /// <param name="images">[B, H, W, C], of any element type: bytes stay bytes.</param>
    /// <param name="offsets">I32 [B, 2]: where the crop begins in the padded image, down and to the right, 0 to 2 pad; pad leaves the image as it is. Drawn by <c>Random.Integer(name, [B, 2], 2 pad + 1)</c>.</param>
    /// <param name="pad">Pixels, at least 0.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static Tensor RandomShift(Tensor images, Tensor offsets, int pad)
    {
        if (images.Shape.Rank != 4 || offsets.Type != TensorType.Int([images.Shape[0], 2]) || pad < 0)
            throw new ShapeException($"a shift of {images.Type} by {offsets.Type} within {pad}: expected images [B, H, W, C] and offsets I32 [B, 2]");
        var graph = images.Graph;
        int count = images.Shape[0], height = images.Shape[1], width = images.Shape[2];
        Tensor Source(int axis, int size) => (graph.Iota(TensorType.Int(axis == 1 ? [1, size, 1] : [1, 1, size]), axis) + (offsets.At(1, axis - 1) - pad).Reshape(count, 1, 1)).Maximum(0).Minimum(size - 1);
        var image = graph.Iota(TensorType.Int([count, 1, 1]));
        return images.Reshape(count * height * width, images.Shape[3]).Gather((image * height + Source(1, height)) * width + Source(2, width));
    }
}
