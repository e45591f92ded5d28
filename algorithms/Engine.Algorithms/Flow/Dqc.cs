using Engine.Algorithms.Batches;
using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.Flow;

/// <summary>How a probability leans towards the larger of its targets.</summary>
public enum ImplicitLoss
{
    /// <summary>Weighted cross-entropy.</summary>
    Expectile,
    /// <summary>Weighted distance of log odds.</summary>
    Quantile,
}

/// <summary>Hyper-parameters of DQC.</summary>
public sealed record DqcSettings : FlowCriticSettings
{
    /// <summary>The reference's: wide layers, all of them normalised, a long discount.</summary>
    public DqcSettings() => (HiddenSizes, ActorLayerNorm, Discount, BatchSize) = ([1024, 1024, 1024, 1024], true, 0.999, 4096);

    /// <summary>Actions of a chunk that values are backed up over.</summary>
    [Source("Li et al. 2025: 25"), AtLeast(1)]
    public int BackupHorizon { get; init; } = 25;

    /// <summary>Actions of a chunk that the policy plans, carried out one after another.</summary>
    [Source("Li et al. 2025: 5; puzzles and humanoids 1"), AtLeast(1)]
    public int PolicyChunk { get; init; } = 5;

    /// <summary>Critics of whole chunks teach those of the policy's; else both are one.</summary>
    [Source("Li et al. 2025: true")]
    public bool ChunkCritic { get; init; } = true;

    /// <summary>How critics learn from those of whole chunks.</summary>
    [Source("Li et al. 2025: expectile")]
    public ImplicitLoss Distillation { get; init; } = ImplicitLoss.Expectile;

    /// <summary>How far they lean towards the chunks that go on well (the paper's kappa_d).</summary>
    [Source("Li et al. 2025: 0.5 to 0.8 by task"), Between(0, 1)]
    public double DistillationExpectile { get; init; } = 0.5;

    /// <summary>How the value network learns from critics.</summary>
    [Source("Li et al. 2025: quantile")]
    public ImplicitLoss Backup { get; init; } = ImplicitLoss.Quantile;

    /// <summary>How far it leans towards the better actions (the paper's kappa_b).</summary>
    [Source("Li et al. 2025: 0.9; 0.5 to 0.97 by task"), Between(0, 1)]
    public double BackupExpectile { get; init; } = 0.9;

    /// <summary>How the critics' values become one.</summary>
    [Source("Li et al. 2025: mean")]
    public QAggregation QAggregation { get; init; } = QAggregation.Mean;

    /// <summary>Chunks that the flow proposes to choose one of.</summary>
    [Source("Li et al. 2025: 32"), AtLeast(1)]
    public int SampledActions { get; init; } = 32;

    /// <summary>Learning rate of the value network.</summary>
    [Source("Li et al. 2025: 3e-4"), Above(0)]
    public double ValueLearningRate { get; init; } = 3e-4;

    /// <summary>Share of goals that are the row's own state.</summary>
    [Source("Li et al. 2025: 0.2"), Within(0, 1)]
    public double OwnGoals { get; init; } = 0.2;

    /// <summary>Share of goals that are a later state of the same trajectory.</summary>
    [Source("Li et al. 2025: 0.5"), Within(0, 1)]
    public double FutureGoals { get; init; } = 0.5;

    /// <summary>Share of goals that are the state of any row.</summary>
    [Source("Li et al. 2025: 0.3"), Within(0, 1)]
    public double RandomGoals { get; init; } = 0.3;

    /// <summary>A later state is so many steps ahead, k with a chance of (1 - goal_discount) goal_discount^(k-1); null: any of them alike.</summary>
    [Source("Li et al. 2025: any"), Between(0, 1)]
    public double? GoalDiscount { get; init; }

    /// <summary>What goals are.</summary>
    public GoalMix Mix() => new(OwnGoals, FutureGoals, RandomGoals, GoalDiscount);

    /// <inheritdoc/>
    public override int ActionsAtOnce() => PolicyChunk;

    /// <inheritdoc/>
    public override int CriticInputs(AlgorithmContext context) => base.CriticInputs(context) + context.GoalSize;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Mix().Validate();
        Require(PolicyChunk <= BackupHorizon, "policy_chunk", PolicyChunk, $"at most backup_horizon={BackupHorizon}");
        Require(Discount > 0, "discount", Discount, "above 0");
    }
}

/// <summary>
/// DQC (Li et al. 2025, "Decoupled Q-Chunking", arXiv 2512.10926; reference: ColinQiyangLi/dqc): values are backed up over long chunks, but the policy plans short ones. Values are chances, discounted, of reaching a goal: networks give their log
/// odds. With s the logistic function and y = clip(r + discount^n m s(V(s', g)), 0, 1):
/// chunk critics learn y of a chunk; critics of its first actions learn the chunk critics' s, leaning up by distillation_expectile; V learns the target critics' s, leaning up by backup_expectile. A flow imitates the first actions, whatever the
/// goal, and critics choose among its proposals. All losses come from the parameters before an update.
/// </summary>
public sealed class Dqc : FlowCritic
{
    // The reference's: log odds of a chance so near to 0 or 1 are of no use.
    private const double Nearest = 1e-5;

    private readonly DqcSettings _settings;
    private readonly CriticEnsemble? _chunkCritics;
    private readonly Mlp _value;
    private readonly AdamOptimiser? _chunkOptimiser;
    private readonly AdamOptimiser _valueOptimiser;

    /// <summary>Creates the networks.</summary>
    public Dqc(AlgorithmContext context, DqcSettings settings) : base(context, settings)
    {
        _settings = settings;
        int seen = context.ObservationSize + context.GoalSize;
        _value = new Mlp(Parameters["value"], seen, 1, settings.CriticNetwork());
        _valueOptimiser = new AdamOptimiser(context.State, "value", _value, settings.Adam(settings.ValueLearningRate));
        if (!settings.ChunkCritic) return;
        _chunkCritics = new CriticEnsemble(Parameters["chunk_critics"], seen + settings.BackupHorizon * context.ActionSize, settings.Critics, settings.CriticNetwork());
        _chunkOptimiser = new AdamOptimiser(context.State, "chunk_critics", _chunkCritics, settings.CriticAdam());
    }

    /// <inheritdoc/>
    public override IReadOnlyList<Stage> Stages => [new("train", null, Update) { Draws = [new(new GoalChunks(_settings.BackupHorizon, _settings.Mix(), _settings.Discount))] }];

    /// <inheritdoc/>
    protected override Tensor Act(Acting a)
    {
        var seen = Tensor.Concat(-1, a.Observations, a.Goals);
        return Best(a, _settings.SampledActions, chunks => Critics.QOfEach(seen, chunks).Over(_settings.QAggregation)).Reshape(a.Rows, _settings.PolicyChunk, -1);
    }

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var seen = Tensor.Concat(-1, b.Observations, b.Goals);
        var all = b.Actions.Reshape(b.Rows, -1);
        var actions = all.Slice(-1, 0, Flow.Size);
        // The reference takes the entry of the last action number, not of the last action; what is cut is left out either way.
        var valid = b["valid"].At(1, Math.Min(Flow.Size, _settings.BackupHorizon) - 1);

        var next = _value.Apply(Tensor.Concat(-1, b.NextObservations, b.Goals)).Squeeze(-1).Sigmoid();
        var target = (b.Rewards + (b["backup_steps"] * Math.Log(_settings.Discount)).Exp() * b["masks"] * next).Clip(0, 1).StopGradient();
        Tensor? chunkLoss = null;
        if (_chunkCritics is not null)
        {
            var chunkLogits = _chunkCritics.Q(seen, all);
            chunkLoss = _settings.CriticLossReduction.Over(CrossEntropy(chunkLogits, target).Mean(1));
            Report("chunk_critic_loss", chunkLoss);
            target = chunkLogits.Sigmoid().StopGradient();
        }
        var criticLoss = _settings.CriticLossReduction.Over((Leaning(_settings.Distillation, _settings.DistillationExpectile, Critics.Q(seen, actions), target) * valid).Mean(1));

        var q = TargetCritics.Q(seen, actions).Sigmoid().Over(_settings.QAggregation).StopGradient();
        var value = _value.Apply(seen).Squeeze(-1);
        var valueLoss = (Leaning(_settings.Backup, _settings.BackupExpectile, value, q) * valid).Mean();
        var flowLoss = Flow.Loss(b.Observations, actions.Expand(1), valid.Expand(-1));
        Report("value_loss", valueLoss);
        Report("flow_loss", flowLoss);
        Report("value_mean", value.Sigmoid().Mean());
        Report("target_mean", target.Mean());
        Minimise(b.Graph, criticLoss, flowLoss);
        _valueOptimiser.Minimise(valueLoss);
        if (chunkLoss is not null) _chunkOptimiser!.Minimise(chunkLoss);
    }

    /// <summary>Of log odds l and a chance y: -y log s(l) - (1 - y) log(1 - s(l)).</summary>
    private static Tensor CrossEntropy(Tensor logits, Tensor target) => logits.Softplus() - logits * target;

    private static Tensor Leaning(ImplicitLoss loss, double expectile, Tensor logits, Tensor target)
    {
        var weight = Losses.ExpectileWeight(target - logits.Sigmoid(), expectile);
        if (loss == ImplicitLoss.Expectile) return weight * CrossEntropy(logits, target);
        var near = target.Clip(Nearest, 1 - Nearest);
        return weight * (logits - (near.Log() - (1 - near).Log())).Abs();
    }
}
