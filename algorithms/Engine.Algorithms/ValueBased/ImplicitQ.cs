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

/// <summary>Hyper-parameters of methods that learn V from Q at the data's actions, and a policy weighted by exp(beta (Q - V)).</summary>
public abstract record ImplicitQSettings : ActorCriticSettings
{
    /// <summary>IQL's: two hidden layers.</summary>
    protected ImplicitQSettings() => HiddenSizes = [256, 256];

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
    [Source("Kostrikov et al. 2021: -5; CORL: -20")]
    public double LogStdMin { get; init; } = -5;

    /// <summary>Upper bound of the policy's log standard deviation.</summary>
    [Source("Kostrikov et al. 2021")]
    public double LogStdMax { get; init; } = 2;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(LogStdMin <= LogStdMax, "log_std_min", LogStdMin, $"at most log_std_max={LogStdMax}");
    }

    /// <summary>The layers of the value network.</summary>
    public virtual MlpSettings ValueNetwork() => Network();
}

/// <summary>What those methods share: a value network, a Gaussian policy, and its weighted imitation of the data. No action outside the data needs a value.</summary>
public abstract class ImplicitQ : ActorCritic
{
    private readonly ImplicitQSettings _settings;
    private readonly Mlp _value;
    private readonly AdamOptimiser _actorOptimiser;

    /// <summary>Creates the networks.</summary>
    protected ImplicitQ(AlgorithmContext context, ImplicitQSettings settings) : base(context, settings)
    {
        _settings = settings;
        Actor = new GaussianActor(Parameters["actor"], context.ObservationSize, context.ActionSize, settings, (settings.LogStdMin, settings.LogStdMax), squashMean: true);
        _value = new Mlp(Parameters["value"], context.ObservationSize, 1, settings.ValueNetwork());
        Schedule rate = settings.ActorLearningRateSchedule == LearningRateSchedule.Cosine ? new CosineSchedule(settings.ActorLearningRate, settings.ActorCosineDecayUpdates) : settings.ActorLearningRate;
        _actorOptimiser = new AdamOptimiser(context.State, "actor", Actor, settings.Adam(rate));
        ValueOptimiser = new AdamOptimiser(context.State, "value", _value, settings.Adam(settings.ValueLearningRate));
    }

    /// <summary>The policy.</summary>
    protected GaussianActor Actor { get; }

    /// <summary>Trains the value network.</summary>
    protected AdamOptimiser ValueOptimiser { get; }

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => (a.Mode == Mode.Deterministic ? Actor.Mean(a.Observations) : Actor.At(a.Observations).Sample(a.Normal("action", Context.ActionSize)).Clip(-1, 1)) * _settings.MaxAction;

    /// <summary>V [...] at observations [..., S].</summary>
    protected Tensor Value(Tensor observations) => _value.Apply(observations).Squeeze(-1);

    /// <summary>The policy imitates the data's actions by weight min(exp(beta advantage), advantage_weight_max).</summary>
    /// <param name="b">The batch.</param>
    /// <param name="advantage">[B]</param>
    /// <param name="dropout">Share of the policy's hidden units that is dropped.</param>
    protected void Imitate(Batch b, Tensor advantage, double dropout = 0)
    {
        var weight = (advantage * _settings.Beta).Exp().Clip(0, _settings.AdvantageWeightMax).StopGradient();
        var loss = -(weight * Actor.At(b.Observations, dropout).LogProb(b.Actions)).Mean();
        Report("actor_loss", loss);
        _actorOptimiser.Minimise(loss);
    }
}
