using Engine.Algorithms.Batches;
using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;

namespace Engine.Algorithms.Flow;

/// <summary>Hyper-parameters of QC.</summary>
public sealed record QcSettings : FlowCriticSettings
{
    /// <summary>How the critics' values become one.</summary>
    [Source("Li et al. 2025: mean")]
    public QAggregation QAggregation { get; init; } = QAggregation.Mean;

    /// <summary>Actions of a chunk, carried out one after another.</summary>
    [Source("Li et al. 2025: 5"), AtLeast(1)]
    public int Chunk { get; init; } = 5;

    /// <summary>Chunks that the flow proposes to choose one of.</summary>
    [Source("Li et al. 2025: 32"), AtLeast(1)]
    public int SampledActions { get; init; } = 32;

    /// <inheritdoc/>
    public override int ActionsAtOnce() => Chunk;
}

/// <summary>QC (Li et al. 2025, "Reinforcement Learning with Action Chunking", arXiv 2507.07969; reference: ColinQiyangLi/qc, best-of-n): a flow proposes chunks of actions, critics of chunks choose.</summary>
public sealed class Qc(AlgorithmContext context, QcSettings settings) : FlowCritic(context, settings)
{
    /// <inheritdoc/>
    public override IReadOnlyList<Stage> Stages => [new("train", null, Update) { Draws = [new(new Chunks(settings.Chunk))] }];

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => Best(a, settings.SampledActions, chunks => Critics.QOfEach(a.Observations, chunks).Over(settings.QAggregation)).Reshape(a.Rows, settings.Chunk, -1);

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var chunk = ActionChunk.Of(b, settings.Discount);
        var proposals = Propose(b.NextObservations, b.Graph.Random.Normal("target", [b.Rows, settings.SampledActions, Flow.Size]));
        var best = Choice.Take(proposals, Critics.QOfEach(b.NextObservations, proposals).Over(settings.QAggregation).ArgMax(-1));
        var target = chunk.Target(TargetCritics.Q(b.NextObservations, best), settings.QAggregation.Reduction()).Value;
        var q = Critics.Q(b.Observations, chunk.Actions);
        var criticLoss = settings.CriticLossReduction.Over(chunk.Errors(q, target).Mean(1));
        var flowLoss = Flow.Loss(b.Observations, b.Actions, b["valid"]);
        Report("q_mean", q.Mean());
        Report("flow_loss", flowLoss);
        Report("actor_loss", flowLoss);
        Minimise(b.Graph, criticLoss, flowLoss);
    }
}
