using Engine.Autodiff;

namespace Engine.Algorithms.ValueBased;

/// <summary>Divergences between the policy's and the data's visits.</summary>
public enum Divergence
{
    /// <summary>Pearson's chi-square.</summary>
    ChiSquare,
    /// <summary>Total variation.</summary>
    TotalVariation,
    /// <summary>Reverse Kullback-Leibler: the value's loss is XQL's.</summary>
    ReverseKl,
}

/// <summary>Hyper-parameters of f-DVL.</summary>
public sealed record FDvlSettings : XqlSettings
{
    /// <summary>The authors' defaults.</summary>
    public FDvlSettings() => (LossTemperature, ExponentMax, BatchSize) = (0.8, 5, 256);

    /// <summary>Which divergence holds the policy to the data.</summary>
    [Source("Sikchi et al. 2024: chi-square; antmaze total variation")]
    public Divergence Divergence { get; init; } = Divergence.ChiSquare;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(Divergence == Divergence.ReverseKl || LossTemperature <= 1, "loss_temperature", LossTemperature, "at most 1 with chi-square and total variation, whose loss weighs two terms by it and 1 less it");
    }
}

/// <summary>
/// f-DVL: V from the dual of reinforcement learning regularised by an f-divergence (Sikchi et al. 2024, "Dual RL: Unification and New Methods for Reinforcement and Imitation Learning", arXiv 2302.08560; reference: hari-sikchi/DVL offline/).
/// </summary>
public sealed class FDvl(AlgorithmContext context, FDvlSettings settings) : Xql(context, settings)
{
    /// <summary>lambda f*(d) - (1 - lambda) d of d = Q - V, f* the divergence's conjugate above 0.</summary>
    protected override Tensor ValueLoss(Tensor difference)
    {
        double lambda = settings.LossTemperature;
        return settings.Divergence switch
        {
            Divergence.ChiSquare => (lambda * (difference + difference.Square() / 4).Relu() - (1 - lambda) * difference).Mean(),
            Divergence.TotalVariation => (lambda * difference.Relu() - (1 - lambda) * difference).Mean(),
            _ => Gumbel(difference),
        };
    }
}
