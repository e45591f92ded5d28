using Engine.Kernels.Ilgpu.Runtime;
using ILGPU;
using static Engine.Kernels.Ilgpu.Runtime.Argument;

namespace Engine.Kernels.Ilgpu.Launches;

/// <summary>Sliding windows: images to columns and back.</summary>
internal static class Windows
{
    public static KernelPlan Unfold(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind) =>
        new("an element a work-item", [Launch(nameof(Column), outputs[0].Elements, ((Unfold)op).Window, inputs[0].Shape)]);

    public static KernelPlan Fold(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind) =>
        new("a pixel a work-item", [Launch(nameof(Pixel), outputs[0].Elements, ((Fold)op).Window, outputs[0].Shape)]);

    private static LaunchPlan Launch(string name, long items, Window w, Shape images)
    {
        var (height, width) = w.Output(images[2], images[3]);
        return new(KernelSource.Of(typeof(Windows), name), items, [Operand(0), Operand(1), images[1], images[2], images[3], height, width,
            w.KernelHeight, w.KernelWidth, w.StrideHeight, w.StrideWidth, w.PadHeight, w.PadWidth, w.DilationHeight, w.DilationWidth]);
    }

    // Device code; i is the work-item.

    private static void Column(int i, ArrayView<float> x, ArrayView<float> y, int channels, int height, int width, int outHeight, int outWidth,
        int kh, int kw, int sh, int sw, int ph, int pw, int dh, int dw)
    {
        int at = i, kx = at % kw;
        at /= kw;
        int ky = at % kh;
        at /= kh;
        int c = at % channels;
        at /= channels;
        int ox = at % outWidth;
        at /= outWidth;
        int oy = at % outHeight, b = at / outHeight;
        int py = oy * sh - ph + ky * dh, px = ox * sw - pw + kx * dw;
        bool inside = py >= 0 && py < height && px >= 0 && px < width;
        float value = 0f;
        if (inside) value = x[((b * channels + c) * height + py) * width + px];
        y[i] = value;
    }

    // What falls on a pixel is added in the order of the columns.
    private static void Pixel(int i, ArrayView<float> x, ArrayView<float> y, int channels, int height, int width, int outHeight, int outWidth,
        int kh, int kw, int sh, int sw, int ph, int pw, int dh, int dw)
    {
        int at = i, px = at % width;
        at /= width;
        int py = at % height;
        at /= height;
        int c = at % channels, b = at / channels;
        float sum = 0f;
        for (int oy = 0; oy < outHeight; oy++)
        {
            int fromTop = py + ph - oy * sh, ky = fromTop / dh;
            if (fromTop < 0 || fromTop % dh != 0 || ky >= kh) continue;
            for (int ox = 0; ox < outWidth; ox++)
            {
                int fromLeft = px + pw - ox * sw, kx = fromLeft / dw;
                if (fromLeft < 0 || fromLeft % dw != 0 || kx >= kw) continue;
                sum += x[((((b * outHeight + oy) * outWidth + ox) * channels + c) * kh + ky) * kw + kx];
            }
        }
        y[i] = sum;
    }
}
