using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.Networks;

/// <summary>
/// A value network of residual blocks (Nauman et al. 2024, "Bigger, Regularized, Optimistic"): linear, layer norm, relu; then blocks x + (linear, norm, relu, linear, norm, relu, linear, norm); then a linear output.
/// </summary>
public sealed class ResidualValue : Module
{
    private readonly Mlp _input;
    private readonly (Mlp Layers, LayerNormLayer Norm)[] _blocks;
    private readonly LinearLayer _output;

    /// <summary>Creates <c>input</c>, <c>block0...</c> and <c>output</c>.</summary>
    /// <param name="at">Where.</param>
    /// <param name="inputs">S.</param>
    /// <param name="outputs">n.</param>
    /// <param name="width">Of the blocks.</param>
    /// <param name="blocks">How many, at least 0.</param>
    /// <param name="epsilon">Of layer normalisation.</param>
    public ResidualValue(Builder at, int inputs, int outputs, int width, int blocks, double epsilon)
    {
        var network = new MlpSettings { LayerNormEpsilon = epsilon };
        _input = new Mlp(at["input"], inputs, null, network with { HiddenSizes = [width] });
        _blocks = Enumerable.Range(0, blocks).Select(i => at[$"block{i}"]).Select(block => (new Mlp(block, width, width, network with { HiddenSizes = [width, width] }), new LayerNormLayer(block["norm2"], width, epsilon))).ToArray();
        _output = new LinearLayer(at["output"], width, outputs, Initialiser.UniformFanIn, Initialiser.UniformFanIn);
    }

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => [.. _input.Parameters, .. _blocks.SelectMany(b => b.Layers.Parameters.Concat(b.Norm.Parameters)), .. _output.Parameters];

    /// <summary>Of observations [B, S] the outputs [B, n].</summary>
    public Tensor Apply(Tensor observations)
    {
        var x = _input.Apply(observations);
        foreach (var (layers, norm) in _blocks) x += norm.Apply(layers.Apply(x));
        return _output.Apply(x);
    }
}
