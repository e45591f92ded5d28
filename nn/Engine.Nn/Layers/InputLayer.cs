using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Nn;

/// <summary>What stands before the first layer of every network that a <see cref="Builder"/> with it builds: it makes other inputs of the network's.</summary>
public abstract class InputLayer : Module
{
    /// <summary>Size of what it makes.</summary>
    public abstract int Outputs { get; }

    /// <summary>x [..., in] to [..., Outputs].</summary>
    /// <param name="x">The network's input.</param>
    /// <param name="member">Of an ensemble this one alone; null for all.</param>
    public abstract Tensor Apply(Tensor x, int? member = null);
}

/// <summary>
/// Bilinear transduction (Netanyahu et al. 2023, "Learning to Extrapolate: A Transductive Approach", arXiv 2304.14329): of an input [difference, anchor, rest] the features f(difference, rest) · g(anchor, rest), each an inner
/// product of two vectors, f and g networks with layer normalisation, of their outputs too.
/// </summary>
public sealed class Transduction : InputLayer
{
    private readonly Mlp _difference, _anchor;
    private readonly LayerNormLayer _differenceNorm, _anchorNorm;
    private readonly int _size, _vector;

    /// <summary>Creates <c>difference.layer0...</c>, <c>difference.norm0...</c>, <c>difference.output_norm</c> and the same of <c>anchor</c>.</summary>
    /// <param name="at">Where.</param>
    /// <param name="inputs">Size of the input.</param>
    /// <param name="members">Networks in an ensemble; null for a single one.</param>
    /// <param name="size">Of the difference and of the anchor.</param>
    /// <param name="features">How many features.</param>
    /// <param name="vector">Size of the vectors whose products they are.</param>
    /// <param name="hidden">Hidden layers of f and g; layer normalisation is added.</param>
    /// <exception cref="ArgumentException">The input is smaller than both.</exception>
    public Transduction(Builder at, int inputs, int? members, int size, int features, int vector, MlpSettings hidden)
    {
        if (inputs < 2 * size) throw new ArgumentException($"a network of {inputs} inputs does not begin with a difference and an anchor of {size} numbers each");
        (_size, _vector, Outputs) = (size, vector, features);
        var normed = hidden with { LayerNormEpsilon = 1e-5, LayerNormPerMember = true };
        (Mlp, LayerNormLayer) Part(string name) => (new Mlp(at[name], inputs - size, features * vector, normed, members), new LayerNormLayer(at[name]["output_norm"], features * vector, 1e-5, members));
        (_difference, _differenceNorm) = Part("difference");
        (_anchor, _anchorNorm) = Part("anchor");
    }

    /// <inheritdoc/>
    public override int Outputs { get; }

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => [.. _difference.Parameters, .. _differenceNorm.Parameters, .. _anchor.Parameters, .. _anchorNorm.Parameters];

    /// <inheritdoc/>
    public override Tensor Apply(Tensor x, int? member = null)
    {
        int rest = x.Shape[^1] - 2 * _size;
        Tensor Part(Mlp network, LayerNormLayer norm, int first)
        {
            var own = x.Slice(-1, first, _size);
            if (rest > 0) own = Tensor.Concat(-1, own, x.Slice(-1, 2 * _size, rest));
            var y = norm.Apply(network.Apply(own, member: member), member);
            Shape vectors = [.. y.Shape.Without(y.Shape.Rank - 1), Outputs, _vector];
            return y.Reshape(vectors);
        }
        return (Part(_difference, _differenceNorm, 0) * Part(_anchor, _anchorNorm, _size)).Sum(-1);
    }
}
