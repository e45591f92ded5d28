using Engine.Algorithms.Networks;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.ValueBased;

/// <summary>Hyper-parameters of ReBRAC.</summary>
public sealed record RebracSettings : Td3Settings
{
    /// <summary>The paper's for locomotion: a large batch, large learning rates, raw observations.</summary>
    public RebracSettings() => (BatchSize, ActorLearningRate, CriticLearningRate, NormalizeObservations) = (1024, 1e-3, 1e-3, false);

    /// <summary>Weight of the policy's squared distance to the data's action (beta 1).</summary>
    [Source("Tarasov et al. 2023: 0.001 to 0.1 by dataset; most often 0.01 on locomotion"), AtLeast(0)]
    public double ActorBcWeight { get; init; } = 0.01;

    /// <summary>Weight of the target action's squared distance to the data's next action (beta 2).</summary>
    [Source("Tarasov et al. 2023: 0 to 0.5 by dataset; most often 0.01 on locomotion"), AtLeast(0)]
    public double CriticBcWeight { get; init; } = 0.01;

    /// <summary>The policy's values are divided by their mean size.</summary>
    [Source("CORL: true")]
    public bool NormalizeQ { get; init; } = true;

    /// <summary>Layer normalisation in the policy.</summary>
    [Source("Tarasov et al. 2023: none")]
    public bool ActorLayerNorm { get; init; }

    /// <summary>Layer normalisation in the critics, of every member's own.</summary>
    [Source("Tarasov et al. 2023")]
    public bool CriticLayerNorm { get; init; } = true;

    /// <summary>Where it stands.</summary>
    [Source("CORL: after the activation")]
    public LayerNormPosition LayerNormPosition { get; init; } = LayerNormPosition.AfterActivation;

    /// <summary>Its epsilon.</summary>
    [Source("flax: 1e-6"), AtLeast(0)]
    public double LayerNormEpsilon { get; init; } = 1e-6;

    /// <inheritdoc/>
    public override MlpSettings CriticNetwork() => Layers(CriticLayerNorm, output: 3e-3);

    /// <inheritdoc/>
    public override MlpSettings ActorNetwork() => Layers(ActorLayerNorm, output: 1e-3);

    // CORL's initial values, "as in the EDAC paper".
    private MlpSettings Layers(bool norm, double output) => Network().WithLayerNorm(norm, LayerNormPosition, LayerNormEpsilon) with
    {
        Initialisation = new Initialisation(Initialiser.UniformFanIn, Initialiser.Constant(0.1), Initialiser.Uniform(output), Initialiser.Uniform(output)),
    };
}

/// <summary>
/// ReBRAC: TD3+BC with a penalty of its own for policy and critics (Tarasov et al. 2023, "Revisiting the Minimalist Approach to Offline Reinforcement Learning", arXiv 2305.09836; reference: CORL rebrac.py).
/// </summary>
public sealed class Rebrac(AlgorithmContext context, RebracSettings settings) : Td3(context, settings, new Period(settings.PolicyFreq, 0))
{
    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        // The value of the next action, less the more it departs from the data's.
        var nextAction = SmoothedNextAction(b);
        var nextValue = TargetCritics.Q(b.NextObservations, nextAction).Min(0) - settings.CriticBcWeight * SquaredDistance(nextAction, b["next_actions"]);
        CriticOptimiser.Minimise(CriticLoss(b, Target(b, nextValue)));
        if (!PolicyMoves) return;

        // The policy's values, on a scale of their own, less its distance to the data.
        var action = Actor.Act(b.Observations);
        var q = Critics.Q(b.Observations, action).Min(0);
        var penalty = SquaredDistance(action, b.Actions).Mean();
        var value = settings.NormalizeQ ? q.Mean() / q.Abs().Mean().StopGradient() : q.Mean();
        var loss = settings.ActorBcWeight * penalty - value;
        Report("actor_loss", loss);
        Report("bc_penalty", penalty);
        // As in the reference the target policy moves towards the policy before its step.
        UpdateTargetActor(b.Graph);
        ActorOptimiser.Minimise(loss);
        UpdateTargetCritics(b.Graph);
    }

    /// <summary>Of actions [B, A], summed over A: [B].</summary>
    private static Tensor SquaredDistance(Tensor a, Tensor b) => (a - b).Square().Sum(-1);
}
