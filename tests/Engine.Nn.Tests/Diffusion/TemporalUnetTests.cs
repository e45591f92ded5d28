using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cpu;
using Engine.Nn.Diffusion;

namespace Engine.Nn.Tests.Diffusion;

public sealed class TemporalUnetTests : IDisposable
{
    private readonly CpuDevice _device = new();
    private readonly State _state;

    public TemporalUnetTests() => _state = new State(_device);

    public void Dispose()
    {
        _state.Dispose();
        _device.Dispose();
    }

    private Builder At(string name) => new(_state, 1, name);

    private static long Count(Module module) => module.Parameters.Sum(p => p.Type.Elements);

    /// <summary>The papers' networks: locomotion (11 observations, 3 actions), a maze (4 and 2), and the value network of locomotion.</summary>
    [Fact]
    public void Networks_have_the_references_numbers_of_parameters()
    {
        TemporalUnetSettings four = new(32, [1, 2, 4, 8]), three = new(32, [1, 4, 8]);
        Assert.InRange(Count(new TemporalUnet(At("locomotion"), 14, 32, four)), 3.955e6, 3.965e6);
        Assert.InRange(Count(new TemporalUnet(At("maze"), 6, 128, three)), 3.675e6, 3.685e6);
        Assert.InRange(Count(new TemporalValue(At("value"), 14, 32, four)), 2.285e6, 2.295e6);
        Assert.Contains("not divided by 8", Assert.Throws<ArgumentException>(() => new TemporalUnet(At("odd"), 14, 36, four)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => new GroupNormLayer(At("groups"), 12, 8));
    }

    private float[] Run(Func<Tensor, Tensor> trace, float[] x, params int[] shape)
    {
        using var program = Program.Trace(_state, g => g.Output("y", trace(g.Input("x", TensorType.Float(shape)))));
        program.Write("x", x);
        program.Run();
        return program.Read("y");
    }

    private static float[] Normals(int n)
    {
        var stream = new PhiloxStream(2, "x");
        return Enumerable.Range(0, n).Select(_ => (float)stream.NextNormal()).ToArray();
    }

    [Theory, InlineData(5, 1, 2, 7), InlineData(3, 2, 1, 8), InlineData(1, 1, 0, 4)]
    public void A_convolution_is_its_loop(int kernel, int stride, int pad, int length)
    {
        var layer = new Convolution1d(At("conv"), 3, 2, kernel, stride, pad);
        float[] x = Normals(2 * 3 * length), w = _state.Read("conv.weight"), b = _state.Read("conv.bias");
        int outputs = (length + 2 * pad - kernel) / stride + 1;
        var expected = new float[2 * 2 * outputs];
        for (int i = 0; i < expected.Length; i++)
        {
            int batch = i / (2 * outputs), channel = i / outputs % 2, at = i % outputs;
            double sum = b[channel];
            for (int c = 0; c < 3; c++)
                for (int k = 0; k < kernel; k++)
                    if (at * stride - pad + k is var p && p >= 0 && p < length) sum += w[(channel * 3 + c) * kernel + k] * x[(batch * 3 + c) * length + p];
            expected[i] = (float)sum;
        }
        Assert.Equal(expected, Run(layer.Apply, x, 2, 3, length), (a, c) => Math.Abs(a - c) < 1e-5);
    }

    [Fact]
    public void A_transposed_convolution_is_its_loop()
    {
        var layer = new TransposedConvolution1d(At("up"), 3, 2, 4, 2, 1);
        float[] x = Normals(2 * 3 * 5), w = _state.Read("up.weight"), b = _state.Read("up.bias"), expected = new float[2 * 2 * 10];
        for (int i = 0; i < expected.Length; i++) expected[i] = b[i / 10 % 2];
        for (int batch = 0; batch < 2; batch++)
            for (int c = 0; c < 3; c++)
                for (int at = 0; at < 5; at++)
                    for (int o = 0; o < 2; o++)
                        for (int k = 0; k < 4; k++)
                            if (at * 2 - 1 + k is var p && p >= 0 && p < 10) expected[(batch * 2 + o) * 10 + p] += w[(c * 2 + o) * 4 + k] * x[(batch * 3 + c) * 5 + at];
        Assert.Equal(expected, Run(layer.Apply, x, 2, 3, 5), (a, c) => Math.Abs(a - c) < 1e-5);
    }

    [Fact]
    public void A_group_is_normalised_over_its_channels_and_positions()
    {
        var layer = new GroupNormLayer(At("norm"), 4, 2, 1e-5);
        _state.Write("norm.weight", [1f, 2, 3, 4]);
        _state.Write("norm.bias", [0f, 1, 0, -1]);
        float[] x = Normals(2 * 4 * 3), y = Run(layer.Apply, x, 2, 4, 3);
        for (int group = 0; group < 4; group++)
        {
            var part = x.AsSpan(group * 6, 6).ToArray();
            double mean = part.Average(), std = Math.Sqrt(part.Average(v => (v - mean) * (v - mean)) + 1e-5);
            for (int i = 0; i < 6; i++)
            {
                int channel = group % 2 * 2 + i / 3;
                Assert.Equal((part[i] - mean) / std * (channel + 1) + new[] { 0, 1, 0, -1 }[channel], y[group * 6 + i], 1e-4);
            }
        }
    }
}
