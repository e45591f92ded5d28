#include "rows.cuh"

// (x - mean) / sqrt(variance + epsilon) * weight + bias of every row of x [rows, width], and its derivative, in the order of the ops'
// definitions; scale = 1 / width.

// Takes the mean off a row; gives 1 / sqrt(variance + epsilon).
template <int Team> DEVICE float centre(Row<Team>& row, int width, float scale, float epsilon)
{
    float mean = sum_row(row, width) * scale;
    map_row(row, width, [=](int, float v) { return v - mean; });
    return 1.0f / sqrtf(sum_row(row, width, [](int, float v) { return v * v; }) * scale + epsilon);
}

template <int Team> DEVICE void layer_norm(const float* x, const float* weight, const float* bias, float* y, long long rows, int width, float scale, float epsilon)
{
    long long at = team_row<Team>();
    if (at >= rows) return;
    Row<Team> row;
    load_row(row, x + at * width, width, 0.0f);
    float factor = centre(row, width, scale, epsilon);
    map_row(row, width, weight, bias, [=](float v, float w, float b) { return v * factor * w + b; });
    store_row(row, y + at * width, width);
}

#define LAYER_NORM (const float* x, const float* weight, const float* bias, float* y, long long rows, int width, float scale, float epsilon)
KERNEL(layer_norm_thread, LAYER_NORM) { layer_norm<1>(x, weight, bias, y, rows, width, scale, epsilon); }
KERNEL_BOUNDED(layer_norm_warp, 128, 4, LAYER_NORM) { layer_norm<32>(x, weight, bias, y, rows, width, scale, epsilon); }
KERNEL_BOUNDED(layer_norm_block, 256, 2, LAYER_NORM) { layer_norm<256>(x, weight, bias, y, rows, width, scale, epsilon); }

// Rows of more than 8192, a block of 256 threads each.
KERNEL_BOUNDED(layer_norm_long, 256, 4, LAYER_NORM)
{
    if (blockIdx.x >= rows) return;
    const float* from = x + (long long)blockIdx.x * width;
    float* to = y + (long long)blockIdx.x * width;
    float mean = sum_long_row(width, [=](int i) { return from[i]; }) * scale;
    float variance = sum_long_row(width, [=](int i) { return (from[i] - mean) * (from[i] - mean); }) * scale;
    float factor = 1.0f / sqrtf(variance + epsilon);
    for (int i = thread_rank(); i < width; i += 256) to[i] = (from[i] - mean) * factor * weight[i] + bias[i];
}

// dx = (h - mean(h) - n mean(h n)) factor and scaled = n g, where n = centred * factor and h = g * weight.
template <int Team> DEVICE void layer_norm_gradient(const float* x, const float* weight, const float* gradient, float* dx, float* scaled, long long rows, int width, float scale, float epsilon)
{
    long long at = team_row<Team>();
    if (at >= rows) return;
    const float* g = gradient + at * width;
    Row<Team> row, h;
    load_row(row, x + at * width, width, 0.0f);
    load_row(h, g, width, 0.0f);
    float factor = centre(row, width, scale, epsilon);
    map_row(row, width, [=](int, float v) { return v * factor; });
    Row<Team> products = row;
    UNROLL
    for (int k = 0; k < Row<Team>::Steps; k++)
    {
        UNROLL
        for (int c = 0; c < 4; c++) products.v[k][c] = row.v[k][c] * h.v[k][c];
    }
    store_row(products, scaled + at * width, width);
    map_row(h, width, weight, weight, [=](float v, float w, float) { return v * w; });
    float mean = sum_row(h, width) * scale;
    UNROLL
    for (int k = 0; k < Row<Team>::Steps; k++)
    {
        UNROLL
        for (int c = 0; c < 4; c++) products.v[k][c] = h.v[k][c] * row.v[k][c];
    }
    float along = sum_row(products, width) * scale;
    UNROLL
    for (int k = 0; k < Row<Team>::Steps; k++)
    {
        UNROLL
        for (int c = 0; c < 4; c++) h.v[k][c] = (h.v[k][c] - mean - row.v[k][c] * along) * factor;
    }
    store_row(h, dx + at * width, width);
}

#define LAYER_NORM_GRADIENT (const float* x, const float* weight, const float* gradient, float* dx, float* scaled, long long rows, int width, float scale, float epsilon)
KERNEL(layer_norm_gradient_thread, LAYER_NORM_GRADIENT) { layer_norm_gradient<1>(x, weight, gradient, dx, scaled, rows, width, scale, epsilon); }
KERNEL_BOUNDED(layer_norm_gradient_warp, 128, 4, LAYER_NORM_GRADIENT) { layer_norm_gradient<32>(x, weight, gradient, dx, scaled, rows, width, scale, epsilon); }
KERNEL_BOUNDED(layer_norm_gradient_block, 256, 2, LAYER_NORM_GRADIENT) { layer_norm_gradient<256>(x, weight, gradient, dx, scaled, rows, width, scale, epsilon); }

// Rows of more than 8192, a block of 256 threads each.
KERNEL_BOUNDED(layer_norm_gradient_long, 256, 4, LAYER_NORM_GRADIENT)
{
    if (blockIdx.x >= rows) return;
    long long at = (long long)blockIdx.x * width;
    const float *from = x + at, *g = gradient + at;
    float mean = sum_long_row(width, [=](int i) { return from[i]; }) * scale;
    float variance = sum_long_row(width, [=](int i) { return (from[i] - mean) * (from[i] - mean); }) * scale;
    float factor = 1.0f / sqrtf(variance + epsilon);
    float h_mean = sum_long_row(width, [=](int i) { return g[i] * weight[i]; }) * scale;
    float along = sum_long_row(width, [=](int i) { return g[i] * weight[i] * ((from[i] - mean) * factor); }) * scale;
    for (int i = thread_rank(); i < width; i += 256)
    {
        float normalised = (from[i] - mean) * factor, h = g[i] * weight[i], product = normalised * g[i];
        dx[at + i] = (h - h_mean - normalised * along) * factor;
        scaled[at + i] = product;
    }
}
