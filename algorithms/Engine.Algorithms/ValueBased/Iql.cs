using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.ValueBased;

/// <summary>How a learning rate goes on.</summary>
public enum LearningRateSchedule
{
    /// <summary>Along half a cosine to 0.</summary>
    Cosine,
    /// <summary>As it began.</summary>
    Constant,
}

/// <summary>Hyper-parameters of IQL.</summary>
public sealed record IqlSettings : ActorCriticSettings
{
    /// <summary>The paper's: two hidden layers; CORL's mean over critics.</summary>
    public IqlSettings()
    {
        HiddenSizes = [256, 256];
        CriticLossReduction = Reduction.Mean;
    }

    /// <summary>Expectile of Q over the data's actions that the value network learns; above 0.5 it leans towards the better actions.</summary>
    [Source("Kostrikov et al. 2021: 0.7; antmaze 0.9"), Between(0, 1)]
    public double Expectile { get; init; } = 0.7;

    /// <summary>Inverse temperature of the policy's weights exp(beta (Q - V)).</summary>
    [Source("Kostrikov et al. 2021: 3; antmaze 10; kitchen and adroit 0.5"), AtLeast(0)]
    public double Beta { get; init; } = 3;

    /// <summary>Those weights are cut here.</summary>
    [Source("Kostrikov et al. 2021: 100"), Above(0)]
    public double AdvantageWeightMax { get; init; } = 100;

    /// <summary>Learning rate of the value network.</summary>
    [Source("Kostrikov et al. 2021"), Above(0)]
    public double ValueLearningRate { get; init; } = 3e-4;

    /// <summary>How the policy's learning rate goes on; cosine: to 0 over actor_cosine_decay_updates.</summary>
    [Source("Kostrikov et al. 2021")]
    public LearningRateSchedule ActorLearningRateSchedule { get; init; } = LearningRateSchedule.Cosine;

    /// <summary>Updates of that fall.</summary>
    [Source("Kostrikov et al. 2021: as many as are trained, 1,000,000"), AtLeast(1)]
    public int ActorCosineDecayUpdates { get; init; } = 1_000_000;

    /// <summary>Lower bound of the policy's log standard deviation.</summary>
    [Source("CORL")]
    public double LogStdMin { get; init; } = -20;

    /// <summary>Upper bound of the policy's log standard deviation.</summary>
    [Source("CORL")]
    public double LogStdMax { get; init; } = 2;

    /// <summary>Share of the policy's hidden units dropped while training.</summary>
    [Source("Kostrikov et al. 2021: 0; kitchen and adroit 0.1"), AtLeast(0)]
    public double PolicyDropout { get; init; }

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(LogStdMin <= LogStdMax, "log_std_min", LogStdMin, $"at most log_std_max={LogStdMax}");
        Require(PolicyDropout < 1, "policy_dropout", PolicyDropout, "below 1");
    }
}

/// <summary>
/// IQL (Kostrikov et al. 2021, "Offline Reinforcement Learning with Implicit Q-Learning"; reference: CORL iql.py): no action outside the data is ever
/// evaluated.
/// </summary>
public sealed class Iql : ActorCritic
{
    private readonly IqlSettings _settings;
    private readonly GaussianActor _actor;
    private readonly Mlp _value;
    private readonly AdamOptimiser _actorOptimiser, _valueOptimiser;

    /// <summary>Creates the networks.</summary>
    public Iql(AlgorithmContext context, IqlSettings settings) : base(context, settings)
    {
        _settings = settings;
        _actor = new GaussianActor(Parameters["actor"], context.ObservationSize, context.ActionSize, settings, (settings.LogStdMin, settings.LogStdMax), squashMean: true);
        _value = new Mlp(Parameters["value"], context.ObservationSize, 1, settings.Network());
        Schedule rate = settings.ActorLearningRateSchedule == LearningRateSchedule.Cosine ? new CosineSchedule(settings.ActorLearningRate, settings.ActorCosineDecayUpdates) : settings.ActorLearningRate;
        _actorOptimiser = new AdamOptimiser(context.State, "actor", _actor, settings.Adam(rate));
        _valueOptimiser = new AdamOptimiser(context.State, "value", _value, settings.Adam(settings.ValueLearningRate));
    }

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => (a.Mode == Mode.Deterministic ? _actor.Mean(a.Observations) : _actor.At(a.Observations).Sample(a.Normal("action", Context.ActionSize)).Clip(-1, 1)) * _settings.MaxAction;

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var nextValue = Value(b.NextObservations);
        var advantage = TargetCritics.Q(b.Observations, b.Actions).Min(0).StopGradient() - Value(b.Observations);
        var valueLoss = Losses.Expectile(advantage, _settings.Expectile).Mean();
        Report("value_loss", valueLoss);
        Report("advantage_mean", advantage.Mean());
        _valueOptimiser.Minimise(valueLoss);

        CriticOptimiser.Minimise(CriticLoss(b, Target(b, nextValue)));
        UpdateTargetCritics(b.Graph);

        var imitation = (advantage * _settings.Beta).Exp().Clip(0, _settings.AdvantageWeightMax).StopGradient();
        var actorLoss = -(imitation * _actor.At(b.Observations, _settings.PolicyDropout).LogProb(b.Actions)).Mean();
        Report("actor_loss", actorLoss);
        _actorOptimiser.Minimise(actorLoss);
    }

    private Tensor Value(Tensor observations) => _value.Apply(observations).Squeeze(-1);
}
