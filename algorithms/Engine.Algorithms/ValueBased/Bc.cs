using Engine.Algorithms.Networks;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.ValueBased;

/// <summary>Hyper-parameters of behaviour cloning.</summary>
public sealed record BcSettings : AlgorithmSettings
{
    /// <summary>CORL's: two hidden layers, normalised observations.</summary>
    public BcSettings()
    {
        HiddenSizes = [256, 256];
        NormalizeObservations = true;
    }

    /// <summary>Learning rate.</summary>
    [Source("CORL any_percent_bc.py")]
    public double ActorLearningRate { get; init; } = 3e-4;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(ActorLearningRate > 0, "actor_learning_rate", ActorLearningRate, "above 0");
    }
}

/// <summary>Behaviour cloning: the squared error of a deterministic tanh policy (reference: CORL any_percent_bc.py).</summary>
public sealed class Bc : Algorithm
{
    private readonly DeterministicActor _actor;
    private readonly AdamOptimiser _optimiser;

    /// <summary>Creates the network.</summary>
    public Bc(AlgorithmContext context, BcSettings settings) : base(context, settings)
    {
        _actor = new DeterministicActor(Parameters["actor"], context.ObservationSize, context.ActionSize, settings);
        _optimiser = new AdamOptimiser(context.State, "actor", _actor.Parameters, settings.Adam(settings.ActorLearningRate));
    }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Metrics => ["actor_loss"];

    /// <inheritdoc/>
    protected override Tensor Act(Tensor observations) => _actor.Act(observations);

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var loss = (Act(b.Observations) - b.Actions).Square().Mean();
        Report("actor_loss", loss);
        _optimiser.Minimise(loss);
    }
}
