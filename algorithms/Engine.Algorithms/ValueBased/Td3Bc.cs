using Engine.Autodiff;

namespace Engine.Algorithms.ValueBased;

/// <summary>Hyper-parameters of TD3+BC.</summary>
public record Td3BcSettings : Td3Settings
{
    /// <summary>The paper's: two hidden layers.</summary>
    public Td3BcSettings() => HiddenSizes = [256, 256];

    /// <summary>Weight of the value against imitation: the policy maximises alpha Q / mean|Q|.</summary>
    [Source("Fujimoto and Gu 2021: 2.5"), AtLeast(0)]
    public double Alpha { get; init; } = 2.5;
}

/// <summary>TD3+BC (Fujimoto and Gu 2021, "A Minimalist Approach to Offline Reinforcement Learning"; reference: CORL td3_bc.py).</summary>
public class Td3Bc(AlgorithmContext context, Td3BcSettings settings) : Td3(context, settings, Period.Last(settings.PolicyFreq))
{
    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        CriticOptimiser.Minimise(CriticLoss(b, Target(b, TargetCritics.Q(b.NextObservations, SmoothedNextAction(b)).Min(0))));
        if (!PolicyMoves) return;

        var action = Actor.Act(b.Observations);
        var q = Critics.Q(b.Observations, action, member: 0);
        var imitation = Imitation(b, action);
        var loss = imitation - (settings.Alpha / q.Abs().Mean()).StopGradient() * q.Mean();
        Report("actor_loss", loss);
        Report("bc_loss", imitation);
        ActorOptimiser.Minimise(loss);
        UpdateTargetCritics(b.Graph);
        UpdateTargetActor(b.Graph);
    }

    /// <summary>What holds the policy to the data: the mean squared error of its actions [B, A].</summary>
    protected virtual Tensor Imitation(Batch b, Tensor action) => (action - b.Actions).Square().Mean();
}
