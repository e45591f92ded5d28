using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.ValueBased;

/// <summary>Hyper-parameters of methods built on TD3.</summary>
public abstract record Td3Settings : ActorCriticSettings
{
    /// <summary>Standard deviation of the noise on target actions.</summary>
    [Source("Fujimoto et al. 2018: 0.2"), AtLeast(0)]
    public double TargetNoiseStd { get; init; } = 0.2;

    /// <summary>That noise is clipped to ± this.</summary>
    [Source("Fujimoto et al. 2018: 0.5"), AtLeast(0)]
    public double TargetNoiseClip { get; init; } = 0.5;

    /// <summary>The policy and the target networks move every so many updates.</summary>
    [Source("Fujimoto et al. 2018: 2"), AtLeast(1)]
    public int PolicyFreq { get; init; } = 2;

    /// <summary>The layers of the policy.</summary>
    public virtual MlpSettings ActorNetwork() => Network();
}

/// <summary>
/// What methods built on TD3 share (Fujimoto et al. 2018, "Addressing Function Approximation Error in Actor-Critic Methods", arXiv 1802.09477): a deterministic policy with a slow copy, smoothed target actions, delayed policy updates.
/// </summary>
public abstract class Td3 : ActorCritic
{
    private readonly Td3Settings _settings;
    private readonly Period _policyUpdates;

    /// <summary>Creates the networks.</summary>
    protected Td3(AlgorithmContext context, Td3Settings settings, Period policyUpdates) : base(context, settings)
    {
        (_settings, _policyUpdates) = (settings, policyUpdates);
        DeterministicActor Create(string name) => new(Parameters[name], context.ObservationSize, context.ActionSize, settings.ActorNetwork(), settings.MaxAction);
        (Actor, TargetActor) = (Create("actor"), Create("target_actor"));
        Targets.Copy(context.State, Actor, TargetActor);
        ActorOptimiser = new AdamOptimiser(context.State, "actor", Actor, settings.Adam(settings.ActorLearningRate));
    }

    /// <summary>The policy.</summary>
    protected DeterministicActor Actor { get; }

    /// <summary>Its slow copy.</summary>
    protected DeterministicActor TargetActor { get; }

    /// <summary>Trains the policy.</summary>
    protected AdamOptimiser ActorOptimiser { get; }

    /// <summary>Policy and target networks move on some updates only.</summary>
    public override IReadOnlyList<Stage> Stages => [new Stage("train", null, Update) { Periods = [_policyUpdates] }];

    /// <summary>Whether this is one of them.</summary>
    protected bool PolicyMoves => Due(_policyUpdates);

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => Actor.Act(a.Observations);

    /// <summary>The target policy's action [B, A] at the next observations, with clipped noise.</summary>
    protected Tensor SmoothedNextAction(Batch b)
    {
        var noise = (b.Graph.Random.Normal("target", b.Actions.Shape) * _settings.TargetNoiseStd).Clip(-_settings.TargetNoiseClip, _settings.TargetNoiseClip);
        return (TargetActor.Act(b.NextObservations) + noise).Clip(-_settings.MaxAction, _settings.MaxAction);
    }

    /// <summary>Moves the target policy.</summary>
    protected void UpdateTargetActor(Graph graph) => Targets.Polyak(graph, Actor, TargetActor, _settings.TargetUpdateRate);
}
