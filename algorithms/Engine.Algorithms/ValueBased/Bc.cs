using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.ValueBased;

/// <summary>Hyper-parameters of behaviour cloning.</summary>
public sealed record BcSettings : ContinuousSettings
{
    /// <summary>CORL's: two hidden layers, normalised observations.</summary>
    public BcSettings()
    {
        HiddenSizes = [256, 256];
        NormalizeObservations = true;
    }

    /// <summary>Learning rate.</summary>
    [Source("CORL any_percent_bc.py"), Above(0)]
    public double ActorLearningRate { get; init; } = 3e-4;
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
        _optimiser = new AdamOptimiser(context.State, "actor", _actor, settings.Adam(settings.ActorLearningRate));
    }

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => _actor.Act(a.Observations);

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var loss = (_actor.Act(b.Observations) - b.Actions).Square().Mean();
        Report("actor_loss", loss);
        _optimiser.Minimise(loss);
    }
}
