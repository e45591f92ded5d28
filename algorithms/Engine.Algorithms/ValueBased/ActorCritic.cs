using Engine.Algorithms.Networks;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.ValueBased;

/// <summary>What the methods with twin critics and one policy share: critics, their targets, their loss.</summary>
public abstract class ActorCritic : Algorithm
{
    private readonly ActorCriticSettings _settings;

    /// <summary>Creates critics and target critics.</summary>
    protected ActorCritic(AlgorithmContext context, ActorCriticSettings settings) : base(context, settings)
    {
        _settings = settings;
        int inputs = context.ObservationSize + context.ActionSize;
        Critics = new CriticEnsemble(Parameters["critics"], inputs, settings.Critics, settings.Network());
        TargetCritics = new CriticEnsemble(Parameters["target_critics"], inputs, settings.Critics, settings.Network());
        Targets.Copy(context.State, Critics.Parameters, TargetCritics.Parameters);
        CriticOptimiser = new AdamOptimiser(context.State, "critics", Critics.Parameters, settings.Adam(settings.CriticLearningRate));
    }

    /// <summary>The critics.</summary>
    protected CriticEnsemble Critics { get; }

    /// <summary>Their slow copies.</summary>
    protected CriticEnsemble TargetCritics { get; }

    /// <summary>Trains the critics.</summary>
    protected AdamOptimiser CriticOptimiser { get; }

    /// <summary>rewards + discount (1 - terminals) nextValue, a constant [B].</summary>
    protected Tensor Target(Batch b, Tensor nextValue) => (b.Rewards + _settings.Discount * (1 - b.Terminals) * nextValue).StopGradient();

    /// <summary>Squared errors of all critics, averaged over the batch and summed or averaged over critics; one step.</summary>
    protected void MinimiseCriticLoss(Batch b, Tensor target)
    {
        var q = Critics.Q(b.Observations, b.Actions);
        var perCritic = (q - target).Square().Mean(1);
        var loss = _settings.CriticLossReduction == "sum" ? perCritic.Sum() : perCritic.Mean();
        Report("critic_loss", loss);
        Report("q_mean", q.Mean());
        CriticOptimiser.Minimise(loss);
    }

    /// <summary>Moves the target critics.</summary>
    protected void UpdateTargetCritics(Graph graph) => Targets.Polyak(graph, Critics.Parameters, TargetCritics.Parameters, _settings.TargetUpdateRate);
}
