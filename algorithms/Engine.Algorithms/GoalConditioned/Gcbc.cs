using Engine.Algorithms.Batches;
using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.GoalConditioned;

/// <summary>Hyper-parameters of goal-conditioned behaviour cloning: goals are any later state, as in OGBench.</summary>
public sealed record GcbcSettings : GoalSettings
{
    /// <summary>Learning rate.</summary>
    [Source("OGBench: 3e-4"), Above(0)]
    public double LearningRate { get; init; } = 3e-4;

    /// <summary>Lower bound of the log standard deviation.</summary>
    [Source("OGBench: -5")]
    public double LogStdMin { get; init; } = -5;

    /// <summary>Upper bound of the log standard deviation.</summary>
    [Source("OGBench: 2")]
    public double LogStdMax { get; init; } = 2;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(LogStdMin <= LogStdMax, "log_std_min", LogStdMin, $"at most log_std_max={LogStdMax}");
    }
}

/// <summary>
/// Goal-conditioned behaviour cloning (Ghosh et al. 2019, "Learning to Reach Goals via Iterated Supervised Learning", without the iteration): what was done on the way to a later state is what to do to get there.
/// Loss -log pi(a | s, g), pi a normal whose standard deviation is a parameter.
/// </summary>
public sealed class Gcbc : Algorithm
{
    private readonly GcbcSettings _settings;
    private readonly GaussianActor _actor;
    private readonly AdamOptimiser _optimiser;

    /// <summary>Creates the network.</summary>
    public Gcbc(AlgorithmContext context, GcbcSettings settings) : base(context, settings)
    {
        _settings = settings;
        _actor = new GaussianActor(Parameters["actor"], context.ObservationSize + context.GoalSize, context.ActionSize, settings, (settings.LogStdMin, settings.LogStdMax), squashMean: false);
        _optimiser = new AdamOptimiser(context.State, "actor", _actor, settings.Adam(settings.LearningRate));
    }

    /// <inheritdoc/>
    public override IReadOnlyList<Stage> Stages => [new("train", null, Update) { Draws = [new(new Goals(_settings.Mix()))] }];

    /// <inheritdoc/>
    protected override Tensor Act(Acting a)
    {
        var input = Tensor.Concat(-1, a.Observations, a.Goals);
        return (a.Mode == Mode.Deterministic ? _actor.Mean(input) : _actor.At(input).Sample(a.Normal("action", Context.ActionSize))).Clip(-_settings.MaxAction, _settings.MaxAction);
    }

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var loss = -_actor.At(Tensor.Concat(-1, b.Observations, b.Goals)).LogProb(b.Actions).Mean();
        Report("actor_loss", loss);
        _optimiser.Minimise(loss);
    }
}
