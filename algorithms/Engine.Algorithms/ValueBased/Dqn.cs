using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Nn;

namespace Engine.Algorithms.ValueBased;

/// <summary>Hyper-parameters of DQN.</summary>
public record DqnSettings : DiscreteQSettings
{
    /// <summary>Normalised observations.</summary>
    public DqnSettings() => NormalizeObservations = true;

    /// <summary>The online critics choose the next action, the target critics evaluate it; else the target critics do both.</summary>
    [Source("van Hasselt et al. 2016")]
    public bool DoubleQ { get; init; } = true;

    /// <summary>Errors beyond this count linearly (Huber's loss).</summary>
    [Source("Mnih et al. 2015: 1"), Above(0)]
    public double HuberDelta { get; init; } = 1;

    /// <summary>The target critics become copies of the critics every so many updates, from the first on; null: they move by target_update_rate at every update.</summary>
    [Source("Mnih et al. 2015: copies; d3rlpy: 8000"), AtLeast(1)]
    public int? TargetUpdatePeriod { get; init; }
}

/// <summary>
/// DQN on fixed data (Mnih et al. 2015, "Human-level control through deep reinforcement learning"), double by default (van Hasselt et al. 2016; reference: d3rlpy). Nothing
/// keeps it near the data: it is the baseline that shows what the constraints of the offline methods are for.
/// </summary>
public class Dqn(AlgorithmContext context, DqnSettings settings) : DiscreteQ(context, settings)
{
    /// <summary>With a period, target critics are copied on some updates only.</summary>
    public override IReadOnlyList<Stage> Stages => [new Stage("train", null, Update) { Periods = Copies is { } copies ? [copies] : [] }];

    private Period? Copies => settings.TargetUpdatePeriod is { } every ? new Period(every, 0) : null;

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => Best(Critics.Values(a.Observations)).Cast(DType.F32).Expand(-1);

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var next = TargetCritics.Values(b.NextObservations);
        var best = Best(settings.DoubleQ ? Critics.Values(b.NextObservations) : next);
        var target = Target(b, DiscreteCritics.Of(next, best).Min(0));

        var values = Critics.Values(b.Observations);
        var q = DiscreteCritics.Of(values, Chosen(b));
        var loss = CriticLoss(values, q, settings.CriticLossReduction.Over(Losses.Huber(q - target, settings.HuberDelta).Mean(1)));
        Report("critic_loss", loss);
        Report("q_mean", q.Mean());
        CriticOptimiser.Minimise(loss);
        if (Copies is not { } copies) UpdateTargetCritics(b.Graph);
        else if (Due(copies)) Targets.Replace(b.Graph, Critics, TargetCritics);
    }

    /// <summary>What the critics minimise: the temporal-difference loss itself.</summary>
    /// <param name="values">Of all actions, [N, B, K].</param>
    /// <param name="q">Of the batch's actions, [N, B].</param>
    /// <param name="tdLoss">The temporal-difference loss.</param>
    protected virtual Tensor CriticLoss(Tensor values, Tensor q, Tensor tdLoss) => tdLoss;

    /// <summary>The actions I32 [B] of the largest values [N, B, K], averaged over critics.</summary>
    private static Tensor Best(Tensor values) => values.Mean(0).ArgMax(-1);
}
