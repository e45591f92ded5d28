using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Nn;

namespace Engine.Algorithms.Flow;

/// <summary>How the values of several critics become one.</summary>
public enum QAggregation
{
    /// <summary>Their mean.</summary>
    Mean,
    /// <summary>The smallest.</summary>
    Min,
}

/// <summary>The two, of tensors and of targets.</summary>
public static class QAggregations
{
    /// <summary>Values [N, ...] of N critics as one [...].</summary>
    public static Tensor Over(this Tensor q, QAggregation aggregation) => aggregation == QAggregation.Min ? q.Min(0) : q.Mean(0);

    /// <summary>The same of targets.</summary>
    public static MemberReduction Reduction(this QAggregation aggregation) => aggregation == QAggregation.Min ? MemberReduction.Min : MemberReduction.Mean;
}

/// <summary>Hyper-parameters of methods with critics and a flow policy; the defaults are FQL's.</summary>
public abstract record FlowCriticSettings : ActorCriticSettings
{
    /// <summary>FQL's: four wide hidden layers, raw observations, the mean over critics.</summary>
    protected FlowCriticSettings() => (HiddenSizes, Activation, NormalizeObservations, CriticLossReduction) = ([512, 512, 512, 512], "gelu_tanh", false, Reduction.Mean);

    /// <summary>Layer normalisation in the critics (and a value network), of every member's own.</summary>
    [Source("Park et al. 2025: true")]
    public bool CriticLayerNorm { get; init; } = true;

    /// <summary>Layer normalisation in the policies.</summary>
    [Source("Park et al. 2025: false")]
    public bool ActorLayerNorm { get; init; }

    /// <summary>Where it stands.</summary>
    [Source("Park et al. 2025: after the activation")]
    public LayerNormPosition LayerNormPosition { get; init; } = LayerNormPosition.AfterActivation;

    /// <summary>Its epsilon.</summary>
    [Source("flax: 1e-6"), AtLeast(0)]
    public double LayerNormEpsilon { get; init; } = 1e-6;

    /// <summary>Steps from noise to an action.</summary>
    [Source("Park et al. 2025: 10"), AtLeast(1)]
    public int FlowSteps { get; init; } = 10;

    /// <inheritdoc/>
    public override MlpSettings CriticNetwork() => Layers(CriticLayerNorm);

    /// <summary>The layers of a policy.</summary>
    public MlpSettings ActorNetwork() => Layers(ActorLayerNorm);

    private MlpSettings Layers(bool norm) => Network().WithLayerNorm(norm, LayerNormPosition, LayerNormEpsilon) with { Initialisation = Initialisation.Glorot };
}

/// <summary>
/// What those methods share: a flow policy that imitates the data and knows nothing of the critics. All losses come from the parameters before an update, and target critics move towards the critics of before it, as in the reference
/// (seohongpark/fql).
/// </summary>
public abstract class FlowCritic : ActorCritic
{
    private readonly FlowCriticSettings _settings;

    /// <summary>Creates the networks.</summary>
    protected FlowCritic(AlgorithmContext context, FlowCriticSettings settings) : base(context, settings)
    {
        _settings = settings;
        Flow = new FlowPolicy(Parameters["flow"], context.ObservationSize, settings.ActionsAtOnce() * context.ActionSize, settings.ActorNetwork());
        FlowOptimiser = new AdamOptimiser(context.State, "flow", Flow, settings.Adam(settings.ActorLearningRate));
    }

    /// <summary>The policy that imitates.</summary>
    protected FlowPolicy Flow { get; }

    /// <summary>Trains it.</summary>
    protected AdamOptimiser FlowOptimiser { get; }

    /// <summary>Actions within the bounds.</summary>
    protected Tensor Bounded(Tensor actions) => actions.Clip(-_settings.MaxAction, _settings.MaxAction);

    /// <summary>Where the flow leads from several noises a row: [B, n, numbers], within the bounds.</summary>
    /// <param name="observations">[B, S]</param>
    /// <param name="noise">[B, n, numbers]</param>
    protected Tensor Propose(Tensor observations, Tensor noise)
    {
        int rows = noise.Shape[0], n = noise.Shape[1];
        var repeated = observations.Expand(1).BroadcastTo([rows, n, observations.Shape[1]]).Reshape(rows * n, -1);
        return Bounded(Flow.Follow(repeated, noise.Reshape(rows * n, -1), _settings.FlowSteps)).Reshape(rows, n, -1);
    }

    /// <summary>The best of several proposals, [rows, numbers]; in the mode that draws as in the other, since the proposals are draws.</summary>
    /// <param name="a">How to act.</param>
    /// <param name="count">Proposals.</param>
    /// <param name="value">Values [rows, n] of proposals [rows, n, numbers].</param>
    protected Tensor Best(Acting a, int count, Func<Tensor, Tensor> value)
    {
        var all = Propose(a.Observations, a.Normal("action", count * Flow.Size).Reshape(a.Rows, count, Flow.Size));
        return Choice.Take(all, value(all).ArgMax(-1));
    }

    /// <summary>Trains critics and flow on losses that were traced before, target critics first.</summary>
    protected void Minimise(Graph graph, Tensor criticLoss, Tensor flowLoss)
    {
        UpdateTargetCritics(graph);
        CriticOptimiser.Minimise(ReportCriticLoss(criticLoss));
        FlowOptimiser.Minimise(flowLoss);
    }
}
