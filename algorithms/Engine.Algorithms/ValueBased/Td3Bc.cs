using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.ValueBased;

/// <summary>Hyper-parameters of TD3+BC.</summary>
public sealed record Td3BcSettings : ActorCriticSettings
{
    /// <summary>The paper's: two hidden layers.</summary>
    public Td3BcSettings() => HiddenSizes = [256, 256];

    /// <summary>Weight of the value against imitation: the policy maximises alpha Q / mean|Q|.</summary>
    [Source("Fujimoto and Gu 2021: 2.5"), AtLeast(0)]
    public double Alpha { get; init; } = 2.5;

    /// <summary>Standard deviation of the noise on target actions, in units of max_action.</summary>
    [Source("Fujimoto et al. 2018: 0.2"), AtLeast(0)]
    public double TargetNoiseStd { get; init; } = 0.2;

    /// <summary>That noise is clipped to ± this.</summary>
    [Source("Fujimoto et al. 2018: 0.5"), AtLeast(0)]
    public double TargetNoiseClip { get; init; } = 0.5;

    /// <summary>The policy and the target networks move every so many updates.</summary>
    [Source("Fujimoto et al. 2018: 2"), AtLeast(1)]
    public int PolicyFreq { get; init; } = 2;
}

/// <summary>TD3+BC (Fujimoto and Gu 2021, "A Minimalist Approach to Offline Reinforcement Learning"; reference: CORL td3_bc.py).</summary>
public sealed class Td3Bc : ActorCritic
{
    private readonly Td3BcSettings _settings;
    private readonly DeterministicActor _actor, _targetActor;
    private readonly AdamOptimiser _actorOptimiser;

    /// <summary>Creates the networks.</summary>
    public Td3Bc(AlgorithmContext context, Td3BcSettings settings) : base(context, settings)
    {
        _settings = settings;
        _actor = new DeterministicActor(Parameters["actor"], context.ObservationSize, context.ActionSize, settings);
        _targetActor = new DeterministicActor(Parameters["target_actor"], context.ObservationSize, context.ActionSize, settings);
        Targets.Copy(context.State, _actor, _targetActor);
        _actorOptimiser = new AdamOptimiser(context.State, "actor", _actor, settings.Adam(settings.ActorLearningRate));
    }

    /// <summary>Policy and target networks move every <see cref="Td3BcSettings.PolicyFreq"/>-th update.</summary>
    public override IReadOnlyList<Stage> Stages => [new Stage("train", null, Update) { Periods = [PolicyUpdates] }];

    private Period PolicyUpdates => Period.Last(_settings.PolicyFreq);

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => _actor.Act(a.Observations);

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var graph = b.Graph;
        double max = _settings.MaxAction;
        var noise = (graph.Random.Normal("target", b.Actions.Shape) * _settings.TargetNoiseStd).Clip(-_settings.TargetNoiseClip, _settings.TargetNoiseClip);
        var nextAction = (_targetActor.Act(b.NextObservations) + noise).Clip(-max, max);
        CriticOptimiser.Minimise(CriticLoss(b, Target(b, TargetCritics.Q(b.NextObservations, nextAction).Min(0))));
        if (!Due(PolicyUpdates)) return;

        var action = _actor.Act(b.Observations);
        var q = Critics.Q(b.Observations, action, member: 0);
        var imitation = (action - b.Actions).Square().Mean();
        var loss = imitation - (_settings.Alpha / q.Abs().Mean()).StopGradient() * q.Mean();
        Report("actor_loss", loss);
        Report("bc_loss", imitation);
        _actorOptimiser.Minimise(loss);
        UpdateTargetCritics(graph);
        Targets.Polyak(graph, _actor, _targetActor, _settings.TargetUpdateRate);
    }
}
