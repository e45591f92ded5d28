using Engine.Kernels;

namespace Engine.Autodiff;

/// <summary>
/// What every composite means, in simpler ops: the oracle of fused kernels, and what runs where there is none. The order of the operations
/// is the order a fused kernel must follow, so that both agree to the bit.
/// </summary>
public static class CompositeDefinitions
{
    /// <summary>Appends the definition to the innermost graph of the inputs.</summary>
    public static Tensor[] Expand(Composite op, params Tensor[] inputs)
    {
        var graph = Graph.Innermost(inputs);
        return Define(op, Array.ConvertAll(inputs, graph.Import));
    }

    private static Tensor[] Define(Composite op, Tensor[] x)
    {
        switch (op)
        {
            case Linear linear:
                {
                    var bias = x[2].Expand(-2);
                    var y = Graph.Apply(new MatMul(false, false), x[0], x[1]) + bias;
                    return [linear.Activation == Activation.Relu ? y.Relu() : y];
                }
            case LayerNorm norm:
                {
                    var centred = x[0] - x[0].MeanKeep(-1);
                    var variance = centred.Square().MeanKeep(-1);
                    return [centred * (variance + norm.Epsilon).Rsqrt() * x[1] + x[2]];
                }
            case LayerNormGradient norm:
                {
                    var centred = x[0] - x[0].MeanKeep(-1);
                    var factor = (centred.Square().MeanKeep(-1) + norm.Epsilon).Rsqrt();
                    Tensor normalised = centred * factor, h = x[2] * x[1];
                    return [(h - h.MeanKeep(-1) - normalised * (h * normalised).MeanKeep(-1)) * factor, normalised * x[2]];
                }
            case Softmax:
                {
                    // The maximum cancels, so no gradient passes through it.
                    var e = (x[0] - x[0].Max(-1).Expand(-1).StopGradient()).Exp();
                    return [e / e.SumKeep(-1)];
                }
            case LogSumExp:
                {
                    // A row of infinities keeps its maximum: subtracting it would make NaN.
                    var max = x[0].Max(-1).Expand(-1).StopGradient();
                    var shift = Tensor.Select(max.Abs() < double.PositiveInfinity, max, x[0].Graph.Constant(0));
                    return [((x[0] - shift).Exp().SumKeep(-1).Log() + shift).Squeeze(-1)];
                }
            case Adam adam:
                {
                    var (p, m, v, g, stepSize, correction, decay) = (x[0], x[1], x[2], x[3], x[4], x[5], x[6]);
                    m = m * adam.Beta1 + g * (1 - adam.Beta1);
                    v = v * adam.Beta2 + g.Square() * (1 - adam.Beta2);
                    var zero = x[0].Graph.Constant(0);
                    m = Tensor.Select(m.Abs() < Adam.SmallestFirstMoment, zero, m);
                    v = Tensor.Select(v < Adam.SmallestSecondMoment, zero, v);
                    p = p * decay - stepSize * m / (v.Sqrt() * correction + adam.Epsilon);
                    return [p, m, v];
                }
            case AdamGroup group:
                {
                    var results = new List<Tensor>();
                    for (int i = 0; i < group.Count; i++)
                    {
                        var one = x.AsSpan(i * group.Stride, group.Stride);
                        results.AddRange(Define(group.Step, [.. one[..4], .. x[^3..]]));
                        if (group.Target is not null) results.AddRange(Define(group.Target, [one[4], results[^3]]));
                    }
                    return results.ToArray();
                }
            case Polyak polyak:
                return [x[0] * (1 - polyak.Rate) + x[1] * polyak.Rate];
            case DenoiseStep step:
                {
                    Tensor? sum = null;
                    void Add(Tensor term) => sum = sum is null ? term : sum + term;
                    for (int i = 0; i < x.Length; i++)
                        if (step.Weights.Span[i] is var weight && weight != 0) Add(weight == 1 ? x[i] : x[i] * weight);
                    if (step.Sample is { } sample) Add((x[0] * sample.OfState + x[1] * sample.OfOutput).Clip(-sample.Bound, sample.Bound) * sample.Weight);
                    sum ??= x[0] * 0;
                    return [step.Limit is { } limit ? sum.Clip(-limit, limit) : sum];
                }
            default:
                throw new NotSupportedException($"composite {op.Name} has no definition");
        }
    }
}
