using Engine.Algorithms.Batches;
using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Nn;

namespace Engine.Algorithms.Flow;

/// <summary>How values become a policy.</summary>
public enum PolicyExtraction
{
    /// <summary>A policy of one step follows a flow that imitates, and the critics (FQL).</summary>
    Distilled,
    /// <summary>The best of several chunks of a flow that imitates.</summary>
    BestOfN,
}

/// <summary>Hyper-parameters of DEAS.</summary>
public sealed record DeasSettings : FlowCriticSettings
{
    /// <summary>The reference's networks: norms before the activation, PyTorch's epsilon.</summary>
    public DeasSettings() => (Activation, LayerNormPosition, LayerNormEpsilon, Discount) = ("gelu", LayerNormPosition.BeforeActivation, 1e-5, 0.999);

    /// <summary>Actions of a chunk, carried out one after another.</summary>
    [Source("Kim et al. 2025: 8; cube 4"), AtLeast(1)]
    public int Chunk { get; init; } = 8;

    /// <summary>Discount of a step within a chunk; discount is that of a step between chunks.</summary>
    [Source("Kim et al. 2025: 0.9"), Within(0, 1)]
    public double ChunkDiscount { get; init; } = 0.9;

    /// <summary>Expectile of Q over the data's chunks that the value network learns.</summary>
    [Source("Kim et al. 2025: 0.7 in its scripts, 0.9 in its code"), Between(0, 1)]
    public double Expectile { get; init; } = 0.7;

    /// <summary>Bins of a value's distribution.</summary>
    [Source("Kim et al. 2025: 101"), AtLeast(2)]
    public int Bins { get; init; } = 101;

    /// <summary>Standard deviation of a target, in bin widths.</summary>
    [Source("Kim et al. 2025: 0.75"), Above(0)]
    public double SigmaBins { get; init; } = 0.75;

    /// <summary>Smallest reward of a step, from which the bounds of values follow.</summary>
    [Source("Kim et al. 2025: -1")]
    public double RewardMin { get; init; } = -1;

    /// <summary>Largest reward of a step.</summary>
    [Source("Kim et al. 2025: 0")]
    public double RewardMax { get; init; }

    /// <summary>Lower bound of values; null: what rewards and discounts allow.</summary>
    [Source("Kim et al. 2025: -1 / (1 - discount), which the discount within chunks never reaches")]
    public double? ValueMin { get; init; }

    /// <summary>Upper bound of values; null: what rewards and discounts allow.</summary>
    [Source("Kim et al. 2025: 0")]
    public double? ValueMax { get; init; }

    /// <summary>Width of the value network.</summary>
    [Source("Kim et al. 2025: 256"), AtLeast(1)]
    public int ValueWidth { get; init; } = 256;

    /// <summary>Residual blocks of the value network.</summary>
    [Source("Kim et al. 2025: 4"), AtLeast(0)]
    public int ValueBlocks { get; init; } = 4;

    /// <summary>Learning rate of the value network.</summary>
    [Source("as the critics'"), Above(0)]
    public double ValueLearningRate { get; init; } = 3e-4;

    /// <summary>How values become a policy.</summary>
    [Source("Kim et al. 2025: distilled on OGBench, best of n of robots")]
    public PolicyExtraction Policy { get; init; } = PolicyExtraction.Distilled;

    /// <summary>Weight of the one-step policy's distance to the flow.</summary>
    [Source("as FQL"), AtLeast(0)]
    public double DistillationWeight { get; init; } = 10;

    /// <summary>The policy's values are divided by their mean size.</summary>
    [Source("as FQL")]
    public bool NormalizeQLoss { get; init; }

    /// <summary>Chunks that the flow proposes to choose one of, best of n.</summary>
    [Source("Kim et al. 2025: 10"), AtLeast(1)]
    public int SampledActions { get; init; } = 10;

    /// <inheritdoc/>
    public override int ActionsAtOnce() => Chunk;

    /// <inheritdoc/>
    public override ValueSupport Support()
    {
        var all = Discount < 1 ? ValueSupport.Of(RewardMin, RewardMax, ChunkDiscount, Discount, Chunk, Bins) : new ValueSupport(double.NegativeInfinity, double.PositiveInfinity, Bins);
        return new(ValueMin ?? all.Low, ValueMax ?? all.High, Bins);
    }

    /// <inheritdoc/>
    public override MlpSettings CriticNetwork() => base.CriticNetwork() with { Initialisation = Initialisation.PyTorch };

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(RewardMin <= RewardMax, "reward_min", RewardMin, $"at most reward_max={RewardMax}");
        var support = Support();
        Require(double.IsFinite(support.Low) && double.IsFinite(support.High), "discount", Discount, "below 1, or value_min and value_max");
        Require(support.Low < support.High, "value_min", support.Low, $"below value_max={support.High}");
    }
}

/// <summary>
/// DEAS (Kim et al. 2025, "DEAS: Detached Value Learning with Action Sequence for Scalable Offline RL", arXiv 2510.07730; reference: csmile-1006/DEAS-Isaac-GR00T): IQL of chunks of actions with values that are distributions. Values never ask the policy,
/// which is extracted from them beside. With R the rewards of a chunk by the chunk's discount:
/// critics learn HL-Gauss of y = R + discount^h (1 - d) E[V(s')]; V learns the distribution of the target critic with the smaller expectation q, by weight expectile where q >= E[V], else 1 - expectile. Chunks that the data cut short teach no value.
/// </summary>
public sealed class Deas : FlowCritic
{
    // The reference does not clip targets at the bounds: those outside are the tail of their normal.
    private const double Beyond = 3;

    private readonly DeasSettings _settings;
    private readonly ValueSupport _support;
    private readonly ResidualValue _value;
    private readonly OneStepPolicy? _actor;
    private readonly AdamOptimiser _valueOptimiser;
    private readonly AdamOptimiser? _actorOptimiser;

    /// <summary>Creates the networks.</summary>
    public Deas(AlgorithmContext context, DeasSettings settings) : base(context, settings)
    {
        (_settings, _support) = (settings, settings.Support());
        _value = new ResidualValue(Parameters["value"], context.ObservationSize, settings.Bins, settings.ValueWidth, settings.ValueBlocks, settings.LayerNormEpsilon);
        _valueOptimiser = new AdamOptimiser(context.State, "value", _value, settings.Adam(settings.ValueLearningRate));
        if (settings.Policy != PolicyExtraction.Distilled) return;
        _actor = new OneStepPolicy(Parameters["actor"], context.ObservationSize, Flow.Size, settings.ActorNetwork(), settings.MaxAction);
        _actorOptimiser = new AdamOptimiser(context.State, "actor", _actor, settings.Adam(settings.ActorLearningRate));
    }

    /// <inheritdoc/>
    public override IReadOnlyList<Stage> Stages => [new("train", null, Update) { Draws = [new(new Chunks(_settings.Chunk))] }];

    /// <inheritdoc/>
    protected override Tensor Act(Acting a)
    {
        var chunk = _actor?.Act(a.Observations, a.Normal("action", Flow.Size)) ?? Best(a, _settings.SampledActions, chunks => Critics.QOfEach(a.Observations, chunks).Min(0));
        return chunk.Reshape(a.Rows, _settings.Chunk, -1);
    }

    /// <summary>All losses come from the parameters before the update.</summary>
    protected override void Update(Batch b)
    {
        var chunk = ActionChunk.Of(b, _settings.Discount, _settings.ChunkDiscount);
        var (target, known) = chunk.Target(_value.Apply(b.NextObservations).Expand(0), MemberReduction.Mean, _support);
        var errors = ValueSupport.CrossEntropy(_support.HlGauss(target, _settings.SigmaBins, Beyond), Critics.Outputs(b.Observations, chunk.Actions));
        var criticLoss = _settings.CriticLossReduction.Over((errors * known!).Mean(1));

        var (distribution, q) = Pessimistic(TargetCritics.Outputs(b.Observations, chunk.Actions).StopGradient());
        var logits = _value.Apply(b.Observations);
        var value = _support.BinMean(logits);
        var valueLoss = (Losses.ExpectileWeight(q - value, _settings.Expectile) * ValueSupport.CrossEntropy(distribution, logits) * known!).Mean();

        Report("value_loss", valueLoss);
        Report("value_mean", value.Mean());
        Report("target_q_mean", q.Mean());
        Report("target_mean", target.Mean());
        Report("outside_support", _support.Outside(target));
        var flowLoss = Flow.Loss(b.Observations, b.Actions, b["valid"]);
        Report("flow_loss", flowLoss);
        var actorLoss = ActorLoss(b);
        CriticOptimiser.Minimise(ReportCriticLoss(criticLoss));
        _valueOptimiser.Minimise(valueLoss);
        FlowOptimiser.Minimise(flowLoss);
        if (actorLoss is not null) _actorOptimiser!.Minimise(actorLoss);
        UpdateTargetCritics(b.Graph);
    }

    /// <summary>Of critics' logits [N, B, n] row by row the distribution [B, n] with the smallest expectation, and that [B].</summary>
    private (Tensor Distribution, Tensor Value) Pessimistic(Tensor logits)
    {
        var values = _support.BinMean(logits);
        return (Choice.Take(logits.Softmax().Permute(1, 0, 2), values.ArgMin(0)), values.Min(0));
    }

    private Tensor? ActorLoss(Batch b)
    {
        if (_actor is null) return null;
        var (distillationLoss, qLoss) = _actor.Losses(Flow, b.Observations, _settings.FlowSteps, chunks => Critics.Q(b.Observations, chunks).Mean(0), _settings.NormalizeQLoss);
        var actorLoss = _settings.DistillationWeight * distillationLoss + qLoss;
        Report("distillation_loss", distillationLoss);
        Report("q_loss", qLoss);
        Report("actor_loss", actorLoss);
        return actorLoss;
    }
}
