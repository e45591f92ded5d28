using Engine.Autodiff;

namespace Engine.Nn;

/// <summary>Numerical helpers on tensors.</summary>
public static class TensorMath
{
    /// <summary>Euclidean norm along the last axis, kept with size 1; its derivative at a zero vector is 0, not NaN.</summary>
    public static Tensor NormKeep(this Tensor x)
    {
        var squares = x.Square().SumKeep(-1);
        var positive = squares > 0;
        return Tensor.Select(positive, Tensor.Select(positive, squares, x.Graph.Constant(1)).Sqrt(), x.Graph.Constant(0));
    }
}

/// <summary>Independent normals along the last axis.</summary>
/// <param name="Mean">[..., A]</param>
/// <param name="LogStd">Log of the standard deviation, [..., A] or broadcasting to it.</param>
public sealed record Gaussian(Tensor Mean, Tensor LogStd)
{
    internal static readonly double HalfLogTwoPi = 0.5 * Math.Log(2 * Math.PI);

    /// <summary>mean + std * noise, the noise standard normal: differentiable in mean and std.</summary>
    public Tensor Sample(Tensor noise) => Mean + LogStd.Exp() * noise;

    /// <summary>Log density of x [..., A], summed over A: [...].</summary>
    public Tensor LogProb(Tensor x) => (((x - Mean) * (-LogStd).Exp()).Square() * -0.5 - LogStd - HalfLogTwoPi).Sum(-1);

    /// <summary>Entropy, summed over A: [...].</summary>
    public Tensor Entropy() => (LogStd + (0.5 + HalfLogTwoPi)).BroadcastTo(Mean.Shape).Sum(-1);
}

/// <summary>
/// tanh of independent normals (Haarnoja et al. 2018, appendix C): actions in (-1, 1).
/// </summary>
/// <param name="Mean">Mean before the tanh, [..., A].</param>
/// <param name="LogStd">Log of the standard deviation before the tanh, [..., A].</param>
/// <param name="LogProbEpsilon">With a value e, the correction is log(1 - tanh² + e), as the reference codebases have it; with null it is the
/// stable 2 (log 2 - u - softplus(-2u)), which needs no epsilon.</param>
public sealed record TanhGaussian(Tensor Mean, Tensor LogStd, double? LogProbEpsilon = null)
{
    /// <summary>The deterministic action, tanh(mean).</summary>
    public Tensor Mode => Mean.Tanh();

    /// <summary>An action from standard normal noise, and its log density summed over A: [..., A] and [...].</summary>
    public (Tensor Action, Tensor LogProb) Sample(Tensor noise)
    {
        var u = Mean + LogStd.Exp() * noise;
        var action = u.Tanh();
        // (u - mean) / std is the noise itself, so the quadratic term carries no gradient.
        var normal = noise.Square() * -0.5 - LogStd - Gaussian.HalfLogTwoPi;
        return (action, (normal - Correction(u, action)).Sum(-1));
    }

    /// <summary>Log density of given actions [..., A] inside (-1, 1), summed over A: [...].</summary>
    public Tensor LogProb(Tensor action)
    {
        var u = ((action + 1) / (1 - action)).Log() * 0.5; // artanh
        var normal = ((u - Mean) * (-LogStd).Exp()).Square() * -0.5 - LogStd - Gaussian.HalfLogTwoPi;
        return (normal - Correction(u, action)).Sum(-1);
    }

    private Tensor Correction(Tensor u, Tensor action) => LogProbEpsilon is { } epsilon
        ? (1 - action.Square() + epsilon).Log()
        : (Math.Log(2) - u - (u * -2).Softplus()) * 2;
}

/// <summary>A choice among K classes.</summary>
/// <param name="Logits">Unnormalised log probabilities, [..., K].</param>
public sealed record Categorical(Tensor Logits)
{
    /// <summary>The most probable class, I32 [...].</summary>
    public Tensor Mode => Logits.ArgMax(-1);

    /// <summary>Probabilities [..., K].</summary>
    public Tensor Probabilities => Logits.Softmax();

    /// <summary>Log probabilities [..., K].</summary>
    public Tensor LogProbabilities => Logits.LogSoftmax();

    /// <summary>A class per row, I32 [...]; not differentiable.</summary>
    public Tensor Sample(string drawName) => Logits.Graph.Random.Categorical(drawName, Logits);

    /// <summary>Log probability of classes, I32 [...]: [...].</summary>
    public Tensor LogProb(Tensor classes) => LogProbabilities.TakeAlongLast(classes.Expand(-1)).Squeeze(-1);

    /// <summary>Entropy [...]; a class of probability 0 adds 0.</summary>
    public Tensor Entropy() => -(Probabilities * LogProbabilities).Sum(-1);
}
