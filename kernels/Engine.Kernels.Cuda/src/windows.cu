#include "common.cuh"

// Images [images, channels, height, width] and their columns [images, out_height, out_width, channels, kernel_height, kernel_width].

// Columns of images; what lies outside is 0. A thread an element of the columns.
KERNEL(unfold, (const float* image, float* columns, long long elements, int channels, int height, int width, int out_height, int out_width, int kernel_height,
                int kernel_width, int stride_height, int stride_width, int pad_height, int pad_width, int dilation_height, int dilation_width))
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= elements) return;
    long long rest = i / kernel_width;
    int kx = (int)(i - rest * kernel_width);
    long long next = rest / kernel_height;
    int ky = (int)(rest - next * kernel_height);
    rest = next / channels;
    int c = (int)(next - rest * channels);
    next = rest / out_width;
    int ox = (int)(rest - next * out_width);
    rest = next / out_height;
    int oy = (int)(next - rest * out_height);
    int y = oy * stride_height - pad_height + ky * dilation_height, x = ox * stride_width - pad_width + kx * dilation_width;
    bool inside = y >= 0 && y < height && x >= 0 && x < width;
    columns[i] = inside ? image[((rest * channels + c) * height + y) * width + x] : 0.0f;
}

// Columns added up into images, in their order. A thread a pixel: a position of the window meets it at most once.
KERNEL(fold, (const float* columns, float* image, long long elements, int channels, int height, int width, int out_height, int out_width, int kernel_height,
              int kernel_width, int stride_height, int stride_width, int pad_height, int pad_width, int dilation_height, int dilation_width))
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= elements) return;
    long long rest = i / width;
    int x = (int)(i - rest * width) + pad_width;
    long long next = rest / height;
    int y = (int)(rest - next * height) + pad_height;
    rest = next / channels;
    int c = (int)(next - rest * channels);
    // The first window that reaches the pixel, and the last that begins before it.
    int far_y = y - (kernel_height - 1) * dilation_height, far_x = x - (kernel_width - 1) * dilation_width;
    int first_y = far_y <= 0 ? 0 : (far_y + stride_height - 1) / stride_height, first_x = far_x <= 0 ? 0 : (far_x + stride_width - 1) / stride_width;
    int last_y = min(y / stride_height, out_height - 1), last_x = min(x / stride_width, out_width - 1);
    float sum = 0.0f;
    for (int oy = first_y; oy <= last_y; oy++)
    {
        int down = y - oy * stride_height, ky = down / dilation_height;
        if (ky * dilation_height != down) continue;
        for (int ox = first_x; ox <= last_x; ox++)
        {
            int right = x - ox * stride_width, kx = right / dilation_width;
            if (kx * dilation_width != right) continue;
            sum = sum + columns[((((rest * out_height + oy) * out_width + ox) * channels + c) * kernel_height + ky) * kernel_width + kx];
        }
    }
    image[i] = sum;
}
