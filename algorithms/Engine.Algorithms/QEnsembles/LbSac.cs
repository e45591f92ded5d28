namespace Engine.Algorithms.QEnsembles;

/// <summary>How the batch size changes learning rates.</summary>
public enum LearningRateScaling
{
    /// <summary>All are base * sqrt(batch / base batch).</summary>
    Sqrt,
    /// <summary>Not at all: the stated rates are used as they are.</summary>
    None,
}

/// <summary>Hyper-parameters of LB-SAC.</summary>
public sealed record LbSacSettings : SacNSettings
{
    /// <summary>The paper's: a small ensemble, a large batch, learning rates by the square-root rule, initially wide critics, averaged loss.</summary>
    public LbSacSettings()
    {
        Critics = 4;
        BatchSize = 10_000;
        CriticLossReduction = Reduction.Mean;
        Init = EnsembleInit.LbSac;
    }

    /// <summary>Learning rate at <see cref="BaseBatchSize"/>.</summary>
    [Source("Nikulin et al. 2022"), Above(0)]
    public double BaseLearningRate { get; init; } = 3e-4;

    /// <summary>Batch size of the base learning rate.</summary>
    [Source("Nikulin et al. 2022"), Above(0)]
    public double BaseBatchSize { get; init; } = 256;

    /// <summary>How the batch size changes the learning rates.</summary>
    [Source("Nikulin et al. 2022")]
    public LearningRateScaling LearningRateScaling { get; init; } = LearningRateScaling.Sqrt;

    /// <summary>The settings with the rule applied to the three learning rates.</summary>
    public LbSacSettings Scaled()
    {
        if (LearningRateScaling == LearningRateScaling.None) return this;
        double rate = BaseLearningRate * Math.Sqrt(BatchSize / BaseBatchSize);
        return this with { ActorLearningRate = rate, CriticLearningRate = rate, TemperatureLearningRate = rate };
    }
}

/// <summary>
/// LB-SAC: SAC-N with a batch of 10,000, learning rates scaled by its square root, and the critic loss averaged over members
/// (Nikulin et al. 2022, "Q-Ensemble for Offline RL: Don't Scale the Ensemble, Scale the Batch Size"; reference: CORL lb_sac.py).
/// </summary>
public sealed class LbSac(AlgorithmContext context, LbSacSettings settings) : SacN(context, settings.Scaled());
