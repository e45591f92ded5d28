using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Nn;

/// <summary>How the layers of a network begin.</summary>
/// <param name="HiddenWeight">Weights of hidden layers.</param>
/// <param name="HiddenBias">Biases of hidden layers.</param>
/// <param name="OutputWeight">Weights of output layers.</param>
/// <param name="OutputBias">Biases of output layers.</param>
public sealed record Initialisation(Initialiser HiddenWeight, Initialiser HiddenBias, Initialiser OutputWeight, Initialiser OutputBias)
{
    /// <summary>PyTorch's default for every layer: ±1/sqrt(inputs).</summary>
    public static Initialisation PyTorch { get; } = new(Initialiser.UniformFanIn, Initialiser.UniformFanIn, Initialiser.UniformFanIn, Initialiser.UniformFanIn);

    /// <summary>Flax's usual one: Glorot-uniform weights, biases 0.</summary>
    public static Initialisation Glorot { get; } = new(Initialiser.GlorotUniform, Initialiser.Constant(0), Initialiser.GlorotUniform, Initialiser.Constant(0));
}

/// <summary>activation(x W + b), for one network (W [in, out], b [out]) or an ensemble in one buffer (W [members, in, out], b [members, out]).</summary>
public sealed class LinearLayer : Module
{
    /// <summary>A layer of one network.</summary>
    public LinearLayer(Builder at, int inputs, int outputs, Initialiser weight, Initialiser bias)
    {
        Weight = at.Parameter("weight", [inputs, outputs], weight, inputs, outputs);
        Bias = at.Parameter("bias", [outputs], bias, inputs, outputs);
    }

    /// <summary>A layer of an ensemble.</summary>
    public LinearLayer(Builder at, int members, int inputs, int outputs, Initialiser weight, Initialiser bias)
    {
        Weight = at.EnsembleParameter("weight", members, [inputs, outputs], weight, inputs, outputs);
        Bias = at.EnsembleParameter("bias", members, [outputs], bias, inputs, outputs);
    }

    /// <summary>W.</summary>
    public Variable Weight { get; }

    /// <summary>b.</summary>
    public Variable Bias { get; }

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => [Weight, Bias];

    /// <summary>x [..., in], or [members, batch, in], or [batch, in] shared by the members.</summary>
    /// <param name="x">The input.</param>
    /// <param name="activation">Applied to the result.</param>
    /// <param name="member">Of an ensemble this one alone, as a network of its own; null for the layer as it is.</param>
    public Tensor Apply(Tensor x, Activation activation = Activation.None, int? member = null)
    {
        var (weight, bias) = (x.Graph.Read(Weight), x.Graph.Read(Bias));
        if (member is { } m) (weight, bias) = (weight.At(0, m), bias.At(0, m));
        return x.Linear(weight, bias, activation);
    }

    /// <summary>What some of one network's inputs add to the layer's result: x W of the rows of W that are theirs, plus b.</summary>
    /// <param name="x">[..., n], inputs number <paramref name="first"/> to first + n - 1.</param>
    /// <param name="first">Number of the first of them.</param>
    /// <param name="bias">Whether b is added.</param>
    public Tensor ApplyPart(Tensor x, int first, bool bias)
    {
        var weight = x.Graph.Read(Weight).Slice(0, first, x.Shape[^1]);
        return bias ? x.Linear(weight, x.Graph.Read(Bias)) : x.MatMul(weight);
    }
}

/// <summary>Layer normalisation over the last axis with a learned scale and shift: [H], shared by the members of an ensemble, or [members, H].</summary>
public sealed class LayerNormLayer : Module
{
    private readonly double _epsilon;

    /// <summary>Scale 1, shift 0.</summary>
    /// <param name="at">Where.</param>
    /// <param name="size">H.</param>
    /// <param name="epsilon">Added to the variance.</param>
    /// <param name="members">Of an ensemble whose members have scales and shifts of their own; null: one for all.</param>
    public LayerNormLayer(Builder at, int size, double epsilon = 1e-5, int? members = null)
    {
        Weight = at.EnsembleParameter("weight", members, [size], Initialiser.Constant(1), size, size);
        Bias = at.EnsembleParameter("bias", members, [size], Initialiser.Constant(0), size, size);
        _epsilon = epsilon;
    }

    /// <summary>Scale.</summary>
    public Variable Weight { get; }

    /// <summary>Shift.</summary>
    public Variable Bias { get; }

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => [Weight, Bias];

    /// <summary>x [..., H]; of members with scales of their own [members, batch, H].</summary>
    /// <param name="x">The input.</param>
    /// <param name="member">Of such members this one alone, x [batch, H]; null for all.</param>
    public Tensor Apply(Tensor x, int? member = null)
    {
        var (weight, bias) = (x.Graph.Read(Weight), x.Graph.Read(Bias));
        if (Weight.Type.Shape.Rank == 1) return x.LayerNorm(weight, bias, _epsilon);
        if (member is { } m) return x.LayerNorm(weight.At(0, m), bias.At(0, m), _epsilon);
        int size = x.Shape[^1];
        var ones = x.Graph.Constant(TensorType.Float([size]), 1);
        return x.LayerNorm(ones, ones - 1, _epsilon) * weight.Expand(1) + bias.Expand(1);
    }
}
