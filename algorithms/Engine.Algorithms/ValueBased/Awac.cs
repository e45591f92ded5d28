using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.ValueBased;

/// <summary>Hyper-parameters of AWAC.</summary>
public sealed record AwacSettings : ActorCriticSettings
{
    /// <summary>Temperature of the policy's weights exp(advantage / lambda).</summary>
    [Source("CORL: 1/3 locomotion"), Above(0)]
    public double Lambda { get; init; } = 1 / 3.0;

    /// <summary>Those weights are cut here.</summary>
    [Source("CORL: 100"), Above(0)]
    public double AdvantageWeightMax { get; init; } = 100;

    /// <summary>Lower bound of the policy's log standard deviation.</summary>
    [Source("CORL")]
    public double LogStdMin { get; init; } = -20;

    /// <summary>Upper bound of the policy's log standard deviation.</summary>
    [Source("CORL")]
    public double LogStdMax { get; init; } = 2;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(LogStdMin <= LogStdMax, "log_std_min", LogStdMin, $"at most log_std_max={LogStdMax}");
    }
}

/// <summary>AWAC (Nair et al. 2020, "AWAC: Accelerating Online Reinforcement Learning with Offline Datasets"; reference: CORL awac.py).</summary>
public sealed class Awac : ActorCritic
{
    private readonly AwacSettings _settings;
    private readonly GaussianActor _actor;
    private readonly AdamOptimiser _actorOptimiser;

    /// <summary>Creates the networks.</summary>
    public Awac(AlgorithmContext context, AwacSettings settings) : base(context, settings)
    {
        _settings = settings;
        _actor = new GaussianActor(Parameters["actor"], context.ObservationSize, context.ActionSize, settings, (settings.LogStdMin, settings.LogStdMax), squashMean: false);
        _actorOptimiser = new AdamOptimiser(context.State, "actor", _actor, settings.Adam(settings.ActorLearningRate));
    }

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => Bounded(a.Mode == Mode.Deterministic ? _actor.Mean(a.Observations) : _actor.At(a.Observations).Sample(a.Normal("action", Context.ActionSize)));

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        CriticOptimiser.Minimise(CriticLoss(b, Target(b, TargetCritics.Q(b.NextObservations, Sample(b.NextObservations, "target")).Min(0))));

        Tensor Best(Tensor actions) => Critics.Q(b.Observations, actions).Min(0);
        var advantage = Best(b.Actions) - Best(Sample(b.Observations, "actor"));
        var weight = (advantage / _settings.Lambda).Exp().Clip(0, _settings.AdvantageWeightMax).StopGradient();
        var loss = -(weight * _actor.At(b.Observations).LogProb(b.Actions)).Mean();
        Report("actor_loss", loss);
        Report("advantage_mean", advantage.Mean());
        _actorOptimiser.Minimise(loss);
        UpdateTargetCritics(b.Graph);
    }

    private Tensor Sample(Tensor observations, string draw) =>
        Bounded(_actor.At(observations).Sample(observations.Graph.Random.Normal(draw, [observations.Shape[0], Context.ActionSize])));

    private Tensor Bounded(Tensor actions) => actions.Clip(-_settings.MaxAction, _settings.MaxAction);
}
