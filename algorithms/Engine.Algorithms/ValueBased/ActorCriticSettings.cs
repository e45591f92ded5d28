namespace Engine.Algorithms.ValueBased;

/// <summary>Hyper-parameters that the methods with twin critics and one policy share; the defaults are CORL's.</summary>
public abstract record ActorCriticSettings : AlgorithmSettings
{
    /// <summary>CORL's: normalised observations.</summary>
    protected ActorCriticSettings() => NormalizeObservations = true;

    /// <summary>Critics; targets take their minimum.</summary>
    [Source("Fujimoto et al. 2018: twin critics")]
    public int Critics { get; init; } = 2;

    /// <summary>Discount.</summary>
    [Source("CORL")]
    public double Discount { get; init; } = 0.99;

    /// <summary>How far target networks move per update of theirs.</summary>
    [Source("CORL")]
    public double TargetUpdateRate { get; init; } = 0.005;

    /// <summary>Learning rate of the policy.</summary>
    [Source("CORL")]
    public double ActorLearningRate { get; init; } = 3e-4;

    /// <summary>Learning rate of the critics.</summary>
    [Source("CORL")]
    public double CriticLearningRate { get; init; } = 3e-4;

    /// <summary>Squared errors of the critics are averaged over the batch and then: sum, or mean.</summary>
    [Source("CORL: sum; its IQL: mean")]
    public string CriticLossReduction { get; init; } = "sum";

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(Critics >= 1, "critics", Critics, "at least 1");
        Require(Discount is >= 0 and <= 1, "discount", Discount, "0 to 1");
        Require(TargetUpdateRate is >= 0 and <= 1, "target_update_rate", TargetUpdateRate, "0 to 1");
        Require(ActorLearningRate > 0, "actor_learning_rate", ActorLearningRate, "above 0");
        Require(CriticLearningRate > 0, "critic_learning_rate", CriticLearningRate, "above 0");
        Require(CriticLossReduction is "sum" or "mean", "critic_loss_reduction", CriticLossReduction, "sum or mean");
    }
}
