using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Nn;

namespace Engine.Algorithms.ValueBased;

/// <summary>Hyper-parameters of behaviour cloning with discrete actions.</summary>
public sealed record DiscreteBcSettings : VectorSettings
{
    /// <summary>Two hidden layers, normalised observations.</summary>
    public DiscreteBcSettings() => (HiddenSizes, NormalizeObservations) = ([256, 256], true);

    /// <summary>Learning rate.</summary>
    [Source("as bc"), Above(0)]
    public double ActorLearningRate { get; init; } = 3e-4;

    /// <summary>Weight of the mean squared log probability, which keeps the policy from growing certain.</summary>
    [Source("d3rlpy DiscreteBC: beta 0.5"), AtLeast(0)]
    public double LogitPenalty { get; init; } = 0.5;
}

/// <summary>Behaviour cloning of discrete actions: the negative log probability of the data's actions (reference: d3rlpy DiscreteBC).</summary>
public sealed class DiscreteBc : Algorithm
{
    private readonly DiscreteBcSettings _settings;
    private readonly CategoricalActor _actor;
    private readonly AdamOptimiser _optimiser;

    /// <summary>Creates the network.</summary>
    public DiscreteBc(AlgorithmContext context, DiscreteBcSettings settings) : base(context, settings)
    {
        _settings = settings;
        _actor = new CategoricalActor(Parameters["actor"], context.ObservationSize, context.ActionCount, settings.Network());
        _optimiser = new AdamOptimiser(context.State, "actor", _actor, settings.Adam(settings.ActorLearningRate));
    }

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => _actor.Act(a);

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var policy = _actor.At(b.Observations);
        var chosen = b.Actions.Squeeze(-1).Cast(DType.I32);
        var imitation = -policy.LogProb(chosen).Mean();
        var penalty = policy.LogProbabilities.Square().Mean() * _settings.LogitPenalty;
        var loss = imitation + penalty;
        Report("actor_loss", loss);
        Report("imitation_loss", imitation);
        Report("penalty_loss", penalty);
        Report("accuracy", policy.Mode.EqualTo(chosen).Cast(DType.F32).Mean());
        _optimiser.Minimise(loss);
    }
}
