using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.ValueBased;

/// <summary>Hyper-parameters of IQL with discrete actions.</summary>
public sealed record IqlDiscreteSettings : DiscreteQSettings
{
    /// <summary>As IQL's: two critics.</summary>
    public IqlDiscreteSettings() => Critics = 2;

    /// <summary>Expectile of Q over the data's actions that the value network learns; above 0.5 it leans towards the better actions.</summary>
    [Source("Kostrikov et al. 2021: 0.7; antmaze 0.9"), Between(0, 1)]
    public double Expectile { get; init; } = 0.7;

    /// <summary>Inverse temperature of the policy's weights exp(beta (Q - V)).</summary>
    [Source("Kostrikov et al. 2021: 3"), AtLeast(0)]
    public double Beta { get; init; } = 3;

    /// <summary>Those weights are cut here.</summary>
    [Source("Kostrikov et al. 2021: 100"), Above(0)]
    public double AdvantageWeightMax { get; init; } = 100;

    /// <summary>Learning rate of the policy.</summary>
    [Source("Kostrikov et al. 2021"), Above(0)]
    public double ActorLearningRate { get; init; } = 3e-4;

    /// <summary>Learning rate of the value network.</summary>
    [Source("Kostrikov et al. 2021"), Above(0)]
    public double ValueLearningRate { get; init; } = 3e-4;
}

/// <summary>IQL with discrete actions (Kostrikov et al. 2021, "Offline Reinforcement Learning with Implicit Q-Learning", arXiv 2110.06169): the order of the authors' code, the value network first, then the policy and the critics with the new one.</summary>
public sealed class IqlDiscrete : DiscreteQ
{
    private readonly IqlDiscreteSettings _settings;
    private readonly CategoricalActor _actor;
    private readonly Mlp _value;
    private readonly AdamOptimiser _actorOptimiser, _valueOptimiser;

    /// <summary>Creates the networks.</summary>
    public IqlDiscrete(AlgorithmContext context, IqlDiscreteSettings settings) : base(context, settings)
    {
        _settings = settings;
        _actor = new CategoricalActor(Parameters["actor"], context.ObservationSize, context.ActionCount, settings.Network());
        _value = new Mlp(Parameters["value"], context.ObservationSize, 1, settings.Network());
        _actorOptimiser = new AdamOptimiser(context.State, "actor", _actor, settings.Adam(settings.ActorLearningRate));
        _valueOptimiser = new AdamOptimiser(context.State, "value", _value, settings.Adam(settings.ValueLearningRate));
    }

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => _actor.Act(a);

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var chosen = Chosen(b);
        var targetQ = DiscreteCritics.Of(TargetCritics.Values(b.Observations), chosen).Min(0);
        Tensor Value(Tensor observations) => _value.Apply(observations).Squeeze(-1);

        var valueLoss = Losses.Expectile(targetQ - Value(b.Observations), _settings.Expectile).Mean();
        Report("value_loss", valueLoss);
        _valueOptimiser.Minimise(valueLoss);

        var advantage = targetQ - Value(b.Observations);
        var weight = (advantage * _settings.Beta).Exp().Clip(0, _settings.AdvantageWeightMax);
        var actorLoss = -(weight * _actor.At(b.Observations).LogProb(chosen)).Mean();
        Report("actor_loss", actorLoss);
        Report("advantage_mean", advantage.Mean());
        Report("weight_mean", weight.Mean());
        _actorOptimiser.Minimise(actorLoss);

        var q = DiscreteCritics.Of(Critics.Values(b.Observations), chosen);
        var criticLoss = _settings.CriticLossReduction.Over((q - Target(b, Value(b.NextObservations))).Square().Mean(1));
        Report("critic_loss", criticLoss);
        Report("q_mean", q.Mean());
        CriticOptimiser.Minimise(criticLoss);
        UpdateTargetCritics(b.Graph);
    }
}
