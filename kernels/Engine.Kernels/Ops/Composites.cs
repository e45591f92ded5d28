using System.Text.Json.Serialization;

namespace Engine.Kernels;

/// <summary>Activations a fused layer applies.</summary>
public enum Activation
{
    /// <summary>None.</summary>
    None,
    /// <summary>max(x, 0)</summary>
    Relu,
}

/// <summary>
/// activation(x W + b) for one network or an ensemble in one buffer. Inputs: x [..., M, in], W [..., in, out], b [..., out] with the
/// leading axes of W; x may lack the ensemble's axis (shared by the members). Output [..., M, out].
/// </summary>
/// <param name="Activation">Applied last.</param>
public sealed record Linear([property: JsonConverter(typeof(JsonStringEnumConverter<Activation>))] Activation Activation) : Composite
{
    private static readonly MatMul Product = new(false, false);

    /// <inheritdoc/>
    public override string Name => Activation == Activation.None ? "linear" : "linear_" + Activation.ToString().ToLowerInvariant();

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 3);
        for (int i = 0; i < 3; i++) Expect(inputs, i, DType.F32);
        Shape w = inputs[1].Shape, b = inputs[2].Shape;
        if (w.Rank < 2 || b != w.Without(-2)) throw Error(inputs, "expected x [..., M, in], W [..., in, out], b [..., out]");
        return Product.Infer(inputs[..2]);
    }

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => Product.Flops(inputs[..2], outputs);
}

/// <summary>(x - mean) / sqrt(variance + epsilon) * weight + bias over the last axis (Ba et al. 2016), the variance with divisor H.
/// Inputs x [..., H], weight and bias [H].</summary>
/// <param name="Epsilon">Added to the variance.</param>
public sealed record LayerNorm(double Epsilon) : Composite
{
    /// <inheritdoc/>
    public override string Name => "layer_norm";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 3);
        for (int i = 0; i < 3; i++) Expect(inputs, i, DType.F32);
        if (inputs[0].Shape.Rank < 1 || inputs[1].Shape != [inputs[0].Shape[^1]] || inputs[2].Shape != inputs[1].Shape) throw Error(inputs, "expected x [..., H], weight [H], bias [H]");
        return [TensorType.Float(inputs[0].Shape)];
    }

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => 8.0 * outputs[0].Elements;
}

/// <summary>
/// The derivative of <see cref="LayerNorm"/>. Inputs x [..., H], weight [H] and the gradient g [..., H] of the result. Outputs: the gradient of x, and g times the normalised x, whose sum over
/// the rows is the gradient of the weight. With n = (x - mean) r, r = 1 / sqrt(variance + epsilon) and h = g * weight, the first is (h - mean(h) - n * mean(h * n)) r.
/// </summary>
/// <param name="Epsilon">Added to the variance.</param>
public sealed record LayerNormGradient(double Epsilon) : Composite
{
    /// <inheritdoc/>
    public override string Name => "layer_norm_gradient";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 3);
        for (int i = 0; i < 3; i++) Expect(inputs, i, DType.F32);
        if (inputs[0].Shape.Rank < 1 || inputs[1].Shape != [inputs[0].Shape[^1]] || inputs[2].Shape != inputs[0].Shape) throw Error(inputs, "expected x [..., H], weight [H], g [..., H]");
        return [TensorType.Float(inputs[0].Shape), TensorType.Float(inputs[0].Shape)];
    }

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => 14.0 * outputs[0].Elements;
}

/// <summary>e^(x - max) / sum over the last axis.</summary>
public sealed record Softmax : Composite
{
    /// <inheritdoc/>
    public override string Name => "softmax";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 1);
        Expect(inputs, 0, DType.F32);
        if (inputs[0].Shape.Rank < 1) throw Error(inputs, "expected at least one axis");
        return [TensorType.Float(inputs[0].Shape)];
    }
}

/// <summary>log of the sum of e^x over the last axis, which disappears; computed around the maximum.</summary>
public sealed record LogSumExp : Composite
{
    /// <inheritdoc/>
    public override string Name => "log_sum_exp";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 1);
        Expect(inputs, 0, DType.F32);
        if (inputs[0].Shape.Rank < 1) throw Error(inputs, "expected at least one axis");
        return [TensorType.Float(inputs[0].Shape.Without(-1))];
    }
}

/// <summary>
/// One Adam step of one parameter (Kingma and Ba 2015; AdamW: Loshchilov and Hutter 2019). Inputs: parameter, first moment, second moment, gradient (equal shapes), then three
/// scalars []: step size = rate / (1 - beta1^t), root correction = 1 / sqrt(1 - beta2^t), decay = 1 - rate * weight decay. Outputs: parameter, first moment, second moment.
/// A first moment whose size is below <see cref="SmallestFirstMoment"/> becomes 0, and so does a second below <see cref="SmallestSecondMoment"/>.
/// </summary>
/// <param name="Beta1">Decay of the first moment.</param>
/// <param name="Beta2">Decay of the second moment.</param>
/// <param name="Epsilon">Added to the corrected root of the second moment.</param>
public sealed record Adam(double Beta1, double Beta2, double Epsilon) : Composite
{
    /// <summary>2^-100. The moments of a unit that gets no gradients any more would shrink to subnormal numbers and stay there, where a processor takes some six times as long for an update of them; from here on a step of 1e-8 or
    /// more makes none of it.</summary>
    public const float SmallestFirstMoment = 7.888609e-31f;

    /// <summary>2^-126, the smallest normal number; its root is far below any epsilon.</summary>
    public const float SmallestSecondMoment = 1.1754944e-38f;

    /// <inheritdoc/>
    public override string Name => "adam";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 7);
        for (int i = 0; i < 7; i++) Expect(inputs, i, DType.F32);
        for (int i = 1; i < 4; i++)
            if (inputs[i].Shape != inputs[0].Shape) throw Error(inputs, "parameter, moments and gradient must have one shape");
        for (int i = 4; i < 7; i++)
            if (inputs[i].Shape != Shape.Scalar) throw Error(inputs, "step size, root correction and decay must be scalars []");
        return [inputs[0], inputs[1], inputs[2]];
    }

    /// <inheritdoc/>
    public override bool CanOverwrite(int input, int output, ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => input == output;

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => 14.0 * outputs[0].Elements;
}

/// <summary>
/// One Adam step of several parameters with the same scalars and, if there is a target, the Polyak step of every parameter's slow copy towards its new value. Inputs: for each
/// parameter (parameter, first moment, second moment, gradient[, slow copy]), then the three scalars; outputs: for each (parameter, first moment, second moment[, slow copy]).
/// Passes make it; it is never traced, differentiated or stored in a file.
/// </summary>
/// <param name="Step">The step.</param>
/// <param name="Count">Number of parameters.</param>
/// <param name="Target">The slow copies' step; null if there are none.</param>
public sealed record AdamGroup(Adam Step, int Count, Polyak? Target) : Composite
{
    /// <inheritdoc/>
    public override string Name => $"adam of {Count}" + (Target is null ? "" : " polyak");

    /// <summary>Inputs per parameter; one less is the number of outputs.</summary>
    public int Stride => Target is null ? 4 : 5;

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, Count * Stride + 3);
        var outputs = new List<TensorType>();
        for (int i = 0; i < Count; i++)
        {
            var one = inputs.Slice(i * Stride, Stride);
            outputs.AddRange(Step.Infer([.. one[..4], .. inputs[^3..]]));
            if (Target is not null) outputs.AddRange(Target.Infer([one[4], one[0]]));
        }
        return outputs.ToArray();
    }

    /// <inheritdoc/>
    public override bool CanOverwrite(int input, int output, ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs)
    {
        int results = Stride - 1, which = output % results;
        return input == output / results * Stride + (which < 3 ? which : 4);
    }

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs)
    {
        double flops = 0;
        for (int i = 0; i < outputs.Length; i += Stride - 1) flops += (Target is null ? 14.0 : 17.0) * outputs[i].Elements;
        return flops;
    }
}

/// <summary>(1 - rate) * target + rate * online. Inputs: target, online, of one shape.</summary>
/// <param name="Rate">How far to move, 0..1.</param>
public sealed record Polyak(double Rate) : Composite
{
    /// <inheritdoc/>
    public override string Name => "polyak";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 2);
        Expect(inputs, 0, DType.F32);
        Expect(inputs, 1, DType.F32);
        if (inputs[0].Shape != inputs[1].Shape) throw Error(inputs, "target and online must have one shape");
        return [inputs[0]];
    }

    /// <inheritdoc/>
    public override bool CanOverwrite(int input, int output, ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => input == 0;

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => 3.0 * outputs[0].Elements;
}

/// <summary>A prediction of the noise-free sample, limited: clip(OfState x + OfOutput m, ±Bound), times Weight.</summary>
/// <param name="OfState">Factor of the state x.</param>
/// <param name="OfOutput">Factor of the network's output m.</param>
/// <param name="Bound">Above 0.</param>
/// <param name="Weight">Of the limited sample in the sum.</param>
public readonly record struct ClippedSample(double OfState, double OfOutput, double Bound, double Weight);

/// <summary>
/// All of a denoising sampler's step that follows the network: a weighted sum of the state x, the network's output m and whatever else the step takes (noise, earlier states and outputs), of which the predicted sample may be limited
/// (Ho et al. 2020, section 3.2 and algorithm 2, and the solvers after it). w_0 x_0 + w_1 x_1 + ... + Sample, clipped to ±Limit. Inputs of one shape; those of weight 0 are read by the sample alone. It has no kernel: its definition is one elementwise
/// expression, which devices fuse.
/// </summary>
/// <param name="Weights">w, one an input.</param>
/// <param name="Sample">Of input 0, the state, and input 1, the network's output; null: none.</param>
/// <param name="Limit">The result is clipped to ± this; null: it is not.</param>
public sealed record DenoiseStep(Numbers Weights, ClippedSample? Sample = null, double? Limit = null) : Composite
{
    /// <inheritdoc/>
    public override string Name => "denoise_step";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, Weights.Span.Length);
        if (inputs.Length < (Sample is null ? 1 : 2)) throw Error(inputs, "expected a state, and with a sample a network's output");
        for (int i = 0; i < inputs.Length; i++)
        {
            Expect(inputs, i, DType.F32);
            if (inputs[i].Shape != inputs[0].Shape) throw Error(inputs, "state, output, noise and earlier values must have one shape");
        }
        return [inputs[0]];
    }

    /// <inheritdoc/>
    public override bool CanOverwrite(int input, int output, ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => true;

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => (2.0 * inputs.Length + (Sample is null ? 0 : 5)) * outputs[0].Elements;
}
