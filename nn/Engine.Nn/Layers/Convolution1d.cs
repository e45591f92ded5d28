using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Nn;

/// <summary>A convolution along time as one product: x [B, in, L], weight [out, in, kernel], bias [out]; [B, out, L'].</summary>
public sealed class Convolution1d : Module
{
    private readonly Variable _weight, _bias;
    private readonly Window _window;

    /// <summary>Creates the layer, with PyTorch's initial values.</summary>
    /// <param name="at">Where.</param>
    /// <param name="inputs">Channels that come in.</param>
    /// <param name="outputs">Channels that go out.</param>
    /// <param name="kernel">Positions that it sees.</param>
    /// <param name="stride">Positions from one to the next.</param>
    /// <param name="pad">Zeros at both ends.</param>
    public Convolution1d(Builder at, int inputs, int outputs, int kernel, int stride = 1, int pad = 0)
    {
        _weight = at.Parameter("weight", [outputs, inputs, kernel], Initialiser.UniformFanIn, inputs * kernel, outputs * kernel);
        _bias = at.Parameter("bias", [outputs], Initialiser.UniformFanIn, inputs * kernel, outputs * kernel);
        _window = new Window(1, kernel, 1, stride, 0, pad);
    }

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => [_weight, _bias];

    /// <summary>[B, in, L] to [B, out, L'].</summary>
    public Tensor Apply(Tensor x)
    {
        var weight = x.Graph.Read(_weight);
        var columns = x.Expand(2).Unfold(_window); // [B, L', in kernel]
        return (columns.MatMul(weight.Reshape(weight.Shape[0], -1), transposeOther: true) + x.Graph.Read(_bias)).Permute(0, 2, 1);
    }
}

/// <summary>Its transpose, which makes sequences longer: x [B, in, L], weight [in, out, kernel], bias [out]; [B, out, (L - 1) stride - 2 pad + kernel].</summary>
public sealed class TransposedConvolution1d : Module
{
    private readonly Variable _weight, _bias;
    private readonly Window _window;

    /// <summary>Creates the layer, with PyTorch's initial values.</summary>
    /// <param name="at">Where.</param>
    /// <param name="inputs">Channels that come in.</param>
    /// <param name="outputs">Channels that go out.</param>
    /// <param name="kernel">Positions that each writes to.</param>
    /// <param name="stride">Positions from one to the next.</param>
    /// <param name="pad">Positions left out at both ends.</param>
    public TransposedConvolution1d(Builder at, int inputs, int outputs, int kernel, int stride, int pad)
    {
        _weight = at.Parameter("weight", [inputs, outputs, kernel], Initialiser.UniformFanIn, outputs * kernel, inputs * kernel);
        _bias = at.Parameter("bias", [outputs], Initialiser.UniformFanIn, outputs * kernel, inputs * kernel);
        _window = new Window(1, kernel, 1, stride, 0, pad);
    }

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => [_weight, _bias];

    /// <summary>[B, in, L] to [B, out, L'].</summary>
    public Tensor Apply(Tensor x)
    {
        var weight = x.Graph.Read(_weight);
        int outputs = weight.Shape[1], length = (x.Shape[2] - 1) * _window.StrideWidth - 2 * _window.PadWidth + _window.KernelWidth;
        var columns = x.Permute(0, 2, 1).MatMul(weight.Reshape(weight.Shape[0], -1)); // [B, L, out kernel]
        return columns.Fold(_window, outputs, 1, length).Squeeze(2) + x.Graph.Read(_bias).Expand(-1);
    }
}

/// <summary>Normalisation over groups of channels and all positions (Wu and He 2018), with a scale and a shift for each channel: x [B, C, L].</summary>
public sealed class GroupNormLayer : Module
{
    private readonly Variable _weight, _bias;
    private readonly int _groups;
    private readonly double _epsilon;

    /// <summary>Scale 1, shift 0.</summary>
    /// <param name="at">Where.</param>
    /// <param name="channels">C.</param>
    /// <param name="groups">That divide them.</param>
    /// <param name="epsilon">Added to the variance.</param>
    /// <exception cref="ArgumentException">The groups do not divide the channels.</exception>
    public GroupNormLayer(Builder at, int channels, int groups, double epsilon = 1e-5)
    {
        if (groups < 1 || channels % groups != 0) throw new ArgumentException($"{groups} groups do not divide {channels} channels");
        (_groups, _epsilon) = (groups, epsilon);
        _weight = at.Parameter("weight", [channels], Initialiser.Constant(1), channels, channels);
        _bias = at.Parameter("bias", [channels], Initialiser.Constant(0), channels, channels);
    }

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => [_weight, _bias];

    /// <summary>[B, C, L]</summary>
    public Tensor Apply(Tensor x)
    {
        int size = x.Shape[1] / _groups * x.Shape[2];
        Tensor Row(double value) => x.Graph.Constant(TensorType.Float([size]), value);
        // Channels of a group lie side by side: a group is a row.
        var normalised = x.Reshape(x.Shape[0], _groups, size).LayerNorm(Row(1), Row(0), _epsilon).Reshape(x.Shape);
        return normalised * x.Graph.Read(_weight).Expand(-1) + x.Graph.Read(_bias).Expand(-1);
    }
}
