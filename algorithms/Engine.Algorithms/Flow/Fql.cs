using Engine.Algorithms.Batches;
using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.Flow;

/// <summary>Hyper-parameters of FQL.</summary>
public record FqlSettings : FlowCriticSettings
{
    /// <summary>How the target critics' values become one.</summary>
    [Source("Park et al. 2025: mean; min on antmaze and adroit")]
    public QAggregation QAggregation { get; init; } = QAggregation.Mean;

    /// <summary>Weight of the one-step policy's distance to the flow (the paper's alpha).</summary>
    [Source("Park et al. 2025: 3 to 30,000 by task; 10 in the code"), AtLeast(0)]
    public double DistillationWeight { get; init; } = 10;

    /// <summary>The policy's values are divided by their mean size.</summary>
    [Source("Park et al. 2025: false; true with pixels")]
    public bool NormalizeQLoss { get; init; }
}

/// <summary>Hyper-parameters of QC-FQL.</summary>
public sealed record QcFqlSettings : FqlSettings
{
    /// <summary>Actions of a chunk, carried out one after another.</summary>
    [Source("Li et al. 2025: 5"), AtLeast(1)]
    public int Chunk { get; init; } = 5;

    /// <inheritdoc/>
    public override int ActionsAtOnce() => Chunk;
}

/// <summary>
/// FQL (Park et al. 2025, "Flow Q-Learning", arXiv 2502.02538; reference: seohongpark/fql) and, of chunks, QC-FQL (Li et al. 2025, "Reinforcement Learning with Action Chunking", arXiv 2507.07969; reference: ColinQiyangLi/qc): a flow
/// imitates the data, and a policy of one step follows both it and the critics.
/// </summary>
public sealed class Fql : FlowCritic
{
    private readonly FqlSettings _settings;
    private readonly OneStepPolicy _actor;
    private readonly AdamOptimiser _actorOptimiser;

    /// <summary>Creates the networks.</summary>
    public Fql(AlgorithmContext context, FqlSettings settings) : base(context, settings)
    {
        _settings = settings;
        _actor = new OneStepPolicy(Parameters["actor"], context.ObservationSize, Flow.Size, settings.ActorNetwork(), settings.MaxAction);
        _actorOptimiser = new AdamOptimiser(context.State, "actor", _actor, settings.Adam(settings.ActorLearningRate));
    }

    /// <inheritdoc/>
    public override IReadOnlyList<Stage> Stages => [new("train", null, Update) { Draws = [new(_settings is QcFqlSettings chunked ? new Chunks(chunked.Chunk) : new Transitions())] }];

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => _actor.Act(a.Observations, a.Normal("action", Flow.Size)).Reshape(a.Rows, _settings.ActionsAtOnce(), -1);

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var chunk = ActionChunk.Of(b, _settings.Discount);
        var next = TargetCritics.Q(b.NextObservations, _actor.Act(b.NextObservations, b.Graph.Random.Normal("target", [b.Rows, Flow.Size])));
        var q = Critics.Q(b.Observations, chunk.Actions);
        var criticLoss = _settings.CriticLossReduction.Over(chunk.Errors(q, chunk.Target(next, _settings.QAggregation.Reduction()).Value).Mean(1));
        Report("q_mean", q.Mean());

        var flowLoss = Flow.Loss(b.Observations, b.Actions, chunk.Valid is null ? null : b["valid"]);
        var (distillationLoss, qLoss) = _actor.Losses(Flow, b.Observations, _settings.FlowSteps, actions => Critics.Q(b.Observations, actions).Mean(0), _settings.NormalizeQLoss);
        var actorLoss = _settings.DistillationWeight * distillationLoss + qLoss;

        Report("flow_loss", flowLoss);
        Report("distillation_loss", distillationLoss);
        Report("q_loss", qLoss);
        Report("actor_loss", flowLoss + actorLoss);
        Minimise(b.Graph, criticLoss, flowLoss);
        _actorOptimiser.Minimise(actorLoss);
    }
}
