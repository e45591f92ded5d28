using Engine.Algorithms.Networks;

namespace Engine.Algorithms.ValueBased;

/// <summary>Hyper-parameters of IQL.</summary>
public sealed record IqlSettings : ImplicitQSettings
{
    /// <summary>CORL's: mean over critics, a wide range of deviations.</summary>
    public IqlSettings() => (CriticLossReduction, LogStdMin) = (Reduction.Mean, -20);

    /// <summary>Expectile of Q over the data's actions that the value network learns; above 0.5 it leans towards the better actions.</summary>
    [Source("Kostrikov et al. 2021: 0.7; antmaze 0.9"), Between(0, 1)]
    public double Expectile { get; init; } = 0.7;

    /// <summary>Share of the policy's hidden units dropped while training.</summary>
    [Source("Kostrikov et al. 2021: 0; kitchen and adroit 0.1"), AtLeast(0)]
    public double PolicyDropout { get; init; }

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(PolicyDropout < 1, "policy_dropout", PolicyDropout, "below 1");
    }
}

/// <summary>
/// IQL (Kostrikov et al. 2021, "Offline Reinforcement Learning with Implicit Q-Learning"; reference: CORL iql.py): no action outside the data is ever
/// evaluated.
/// </summary>
public sealed class Iql(AlgorithmContext context, IqlSettings settings) : ImplicitQ(context, settings)
{
    /// <summary>Target and advantage have the value network before its step.</summary>
    protected override void Update(Batch b)
    {
        var nextValue = Value(b.NextObservations);
        var advantage = TargetCritics.Q(b.Observations, b.Actions).Min(0).StopGradient() - Value(b.Observations);
        var valueLoss = Losses.Expectile(advantage, settings.Expectile).Mean();
        Report("value_loss", valueLoss);
        Report("advantage_mean", advantage.Mean());
        ValueOptimiser.Minimise(valueLoss);

        CriticOptimiser.Minimise(CriticLoss(b, Target(b, nextValue)));
        UpdateTargetCritics(b.Graph);
        Imitate(b, advantage, settings.PolicyDropout);
    }
}
