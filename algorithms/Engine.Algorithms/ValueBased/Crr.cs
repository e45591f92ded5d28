using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.ValueBased;

/// <summary>How an advantage weighs the imitation of its action.</summary>
public enum AdvantageWeight
{
    /// <summary>exp(advantage / beta), cut from above.</summary>
    Exp,
    /// <summary>1 where it is above 0, else 0.</summary>
    Binary,
}

/// <summary>What the policy's own actions are worth at an observation, from several samples.</summary>
public enum AdvantageBaseline
{
    /// <summary>Their mean value.</summary>
    Mean,
    /// <summary>The largest.</summary>
    Max,
}

/// <summary>Hyper-parameters of CRR; the defaults are CRR+'s, the choices that Kang et al. found best.</summary>
public sealed record CrrSettings : ActorCriticSettings
{
    /// <summary>CRR+'s: two hidden layers, a slow policy, raw observations.</summary>
    public CrrSettings() => (HiddenSizes, ActorLearningRate, NormalizeObservations) = ([256, 256], 1e-4, false);

    /// <summary>How the advantage becomes a weight.</summary>
    [Source("Wang et al. 2020: both; Kang et al. 2023: exp")]
    public AdvantageWeight Weight { get; init; } = AdvantageWeight.Exp;

    /// <summary>Temperature of the weight exp(advantage / beta).</summary>
    [Source("Wang et al. 2020: 1"), Above(0)]
    public double Beta { get; init; } = 1;

    /// <summary>That weight is cut here.</summary>
    [Source("Wang et al. 2020: 20"), Above(0)]
    public double AdvantageWeightMax { get; init; } = 20;

    /// <summary>Actions of the policy a row in the baseline.</summary>
    [Source("Wang et al. 2020: 4; Kang et al. 2023: 50"), AtLeast(1)]
    public int SampledActions { get; init; } = 50;

    /// <summary>How their values become the baseline.</summary>
    [Source("Wang et al. 2020: both; Kang et al. 2023: mean")]
    public AdvantageBaseline Baseline { get; init; } = AdvantageBaseline.Mean;

    /// <summary>Weight of the critics' squared errors where they are too high, those where they are too low have 1 less it; null: half the squared errors.</summary>
    [Source("Kang et al. 2023: 0.7"), Between(0, 1)]
    public double? CriticExpectile { get; init; } = 0.7;

    /// <summary>Layer normalisation in the policy's networks.</summary>
    [Source("Kang et al. 2023: true")]
    public bool ActorLayerNorm { get; init; } = true;

    /// <summary>Layer normalisation in the critics, of every member's own.</summary>
    [Source("Kang et al. 2023: true")]
    public bool CriticLayerNorm { get; init; } = true;

    /// <summary>Where it stands.</summary>
    [Source("Kang et al. 2023: before the activation")]
    public LayerNormPosition LayerNormPosition { get; init; } = LayerNormPosition.BeforeActivation;

    /// <summary>Its epsilon.</summary>
    [Source("flax: 1e-6"), AtLeast(0)]
    public double LayerNormEpsilon { get; init; } = 1e-6;

    /// <summary>The policy's mean before the tanh lies within ± this.</summary>
    [Source("Kang et al. 2023: 9"), Above(0)]
    public double MeanClip { get; init; } = 9;

    /// <summary>Lower bound of the policy's log standard deviation.</summary>
    [Source("Kang et al. 2023")]
    public double LogStdMin { get; init; } = -5;

    /// <summary>Upper bound of the policy's log standard deviation.</summary>
    [Source("Kang et al. 2023")]
    public double LogStdMax { get; init; } = 2;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(LogStdMin <= LogStdMax, "log_std_min", LogStdMin, $"at most log_std_max={LogStdMax}");
    }

    /// <inheritdoc/>
    public override MlpSettings CriticNetwork() => Layers(CriticLayerNorm);

    /// <summary>The policy: two networks, for the mean and the log standard deviation.</summary>
    public TanhGaussianSettings Actor() => new()
    {
        Trunk = Layers(ActorLayerNorm),
        SeparateNetworks = true,
        MeanClip = MeanClip,
        LogStd = (LogStdMin, LogStdMax),
        LogStdScale = (1, -1),
        LogProbEpsilon = 0,
        MaxAction = MaxAction,
    };

    // The reference's: LeCun's normal in hidden layers, a hundredth of its variance, uniform, in the last.
    private MlpSettings Layers(bool norm) => Network().WithLayerNorm(norm, LayerNormPosition, LayerNormEpsilon) with
    {
        Initialisation = new Initialisation(Initialiser.LecunNormal, Initialiser.Constant(0), Initialiser.Uniform(Math.Sqrt(3 * 0.01 / HiddenSizes[^1])), Initialiser.Constant(0)),
    };
}

/// <summary>
/// CRR: the critics evaluate the policy, and the policy imitates those of the data's actions that are worth more than its own (Wang et al. 2020, "Critic Regularized Regression", arXiv 2006.15134; CRR+: Kang et al.
/// 2023, "Improving and Benchmarking Offline Reinforcement Learning Algorithms", arXiv 2306.00972; reference: sail-sg/offbench crr.py).
/// </summary>
public sealed class Crr : ActorCritic
{
    // A log density exists inside the bounds only; the reference cuts the data's actions so, in 32 bits.
    private const double ActionClip = 0.999f;

    private readonly CrrSettings _settings;
    private readonly TanhGaussianActor _actor, _targetActor;
    private readonly AdamOptimiser _actorOptimiser;

    /// <summary>Creates the networks.</summary>
    public Crr(AlgorithmContext context, CrrSettings settings) : base(context, settings)
    {
        _settings = settings;
        _actor = new TanhGaussianActor(Parameters["actor"], context.ObservationSize, context.ActionSize, settings.Actor());
        _targetActor = new TanhGaussianActor(Parameters["target_actor"], context.ObservationSize, context.ActionSize, settings.Actor());
        Targets.Copy(context.State, _actor, _targetActor);
        _actorOptimiser = new AdamOptimiser(context.State, "actor", _actor, settings.Adam(settings.ActorLearningRate));
    }

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => _actor.Act(a);

    /// <summary>All losses come from the parameters before the update.</summary>
    protected override void Update(Batch b)
    {
        // Policy evaluation.
        var nextValue = TargetCritics.Q(b.NextObservations, _targetActor.Sample(b.NextObservations, "target").Action).Min(0);
        var q = Critics.Q(b.Observations, b.Actions);
        var error = q - Target(b, nextValue);
        var criticLoss = (_settings.CriticExpectile is { } expectile ? Losses.Expectile(error, expectile) : error.Square() * 0.5).Mean(1);

        // Equation 2: the log density of the data's actions, weighted by what they are worth above the policy's.
        var policy = _actor.At(b.Observations);
        var noise = b.Graph.Random.Normal("baseline", [_settings.SampledActions, b.Rows, Context.ActionSize]);
        var values = Critics.QOfEach(b.Observations, _actor.Sample(policy, noise).Action.Permute(1, 0, 2)).Min(0);
        var advantage = q.Min(0) - (_settings.Baseline == AdvantageBaseline.Mean ? values.Mean(-1) : values.Max(-1));
        var weight = (_settings.Weight == AdvantageWeight.Exp
            ? (advantage / _settings.Beta).Exp().Minimum(_settings.AdvantageWeightMax)
            : (advantage > 0).Cast(Kernels.DType.F32)).StopGradient();
        var actorLoss = -(weight * policy.LogProb((b.Actions / _settings.MaxAction).Clip(-ActionClip, ActionClip))).Mean();

        Report("critic_loss", criticLoss);
        Report("q_mean", q.Mean());
        Report("target_q_mean", nextValue.Mean());
        Report("advantage_mean", advantage.Mean());
        Report("weight_mean", weight.Mean());
        Report("actor_loss", actorLoss);
        _actorOptimiser.Minimise(actorLoss);
        CriticOptimiser.Minimise(criticLoss.Sum());
        Targets.Polyak(b.Graph, _actor, _targetActor, _settings.TargetUpdateRate);
        UpdateTargetCritics(b.Graph);
    }
}
