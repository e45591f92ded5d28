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
    private readonly Mlp _actor;
    private readonly AdamOptimiser _actorOptimiser;

    /// <summary>Creates the networks.</summary>
    public Fql(AlgorithmContext context, FqlSettings settings) : base(context, settings)
    {
        _settings = settings;
        _actor = new Mlp(Parameters["actor"], context.ObservationSize + Flow.Size, Flow.Size, settings.ActorNetwork());
        _actorOptimiser = new AdamOptimiser(context.State, "actor", _actor, settings.Adam(settings.ActorLearningRate));
    }

    /// <inheritdoc/>
    public override IReadOnlyList<Stage> Stages => [new("train", null, Update) { Draws = [new(_settings is QcFqlSettings chunked ? new Chunks(chunked.Chunk) : new Transitions())] }];

    /// <inheritdoc/>
    public override (int Planned, int Executed) ActionHorizon => (_settings.ActionsAtOnce(), _settings.ActionsAtOnce());

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => Bounded(Step(a.Observations, a.Normal("action", Flow.Size))).Reshape(a.Rows, _settings.ActionsAtOnce(), -1);

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var random = b.Graph.Random;
        var chunk = ActionChunk.Of(b, _settings.Discount);
        var next = TargetCritics.Q(b.NextObservations, Bounded(Step(b.NextObservations, random.Normal("target", [b.Rows, Flow.Size]))));
        var q = Critics.Q(b.Observations, chunk.Actions);
        var criticLoss = _settings.CriticLossReduction.Over(chunk.Errors(q, chunk.Target(next.Over(_settings.QAggregation))).Mean(1));
        Report("q_mean", q.Mean());

        var flowLoss = Flow.Loss(b.Observations, b.Actions, chunk.Valid is null ? null : b["valid"]);
        // Equation 8: near the flow's end from the same noise, where the critics' mean is high.
        var noise = random.Normal("actor", [b.Rows, Flow.Size]);
        var action = Step(b.Observations, noise);
        var distillationLoss = (action - Bounded(Flow.Follow(b.Observations, noise, _settings.FlowSteps)).StopGradient()).Square().Mean();
        var values = Critics.Q(b.Observations, Bounded(action)).Mean(0);
        var qLoss = -values.Mean();
        if (_settings.NormalizeQLoss) qLoss /= values.Abs().Mean().StopGradient();
        var actorLoss = _settings.DistillationWeight * distillationLoss + qLoss;

        Report("flow_loss", flowLoss);
        Report("distillation_loss", distillationLoss);
        Report("q_loss", qLoss);
        Report("actor_loss", flowLoss + actorLoss);
        Minimise(b.Graph, criticLoss, flowLoss);
        _actorOptimiser.Minimise(actorLoss);
    }

    /// <summary>The one-step policy, not clipped: [B, numbers].</summary>
    private Tensor Step(Tensor observations, Tensor noise) => _actor.Apply(Tensor.Concat(-1, observations, noise));
}
