using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Nn;

namespace Engine.Algorithms.ValueBased;

/// <summary>How networks begin.</summary>
public enum CqlInit
{
    /// <summary>The critics' hidden weights orthogonal with gain sqrt 2, their last layer orthogonal with gain 0.01, biases 0; the policy as PyTorch's, with a small last layer.</summary>
    Orthogonal,
    /// <summary>All as PyTorch's, with small last layers.</summary>
    Small,
    /// <summary>LeCun's normal in hidden layers, a hundredth of its variance, uniform, in the last, biases 0.</summary>
    Lecun,
}

/// <summary>Hyper-parameters of CQL; the defaults are CORL's for locomotion.</summary>
public record CqlSettings : ActorCriticSettings
{
    /// <summary>CORL's: a slow policy, three hidden layers.</summary>
    public CqlSettings() => ActorLearningRate = 3e-5;

    /// <summary>The target critics move every so many updates.</summary>
    [Source("CORL: 1"), AtLeast(1)]
    public int TargetUpdatePeriod { get; init; } = 1;

    /// <summary>The temperature is learned; else it is temperature_multiplier.</summary>
    [Source("CORL: true")]
    public bool TemperatureTuning { get; init; } = true;

    /// <summary>The learned temperature is multiplied by this.</summary>
    [Source("CORL: 1"), AtLeast(0)]
    public double TemperatureMultiplier { get; init; } = 1;

    /// <summary>Learning rate of the temperature.</summary>
    [Source("CORL: the policy's"), Above(0)]
    public double TemperatureLearningRate { get; init; } = 3e-5;

    /// <summary>Entropy the temperature aims at; null is -A.</summary>
    [Source("Haarnoja et al. 2018")]
    public double? TargetEntropy { get; init; }

    /// <summary>Lower bound of the policy's log standard deviation.</summary>
    [Source("CORL")]
    public double LogStdMin { get; init; } = -20;

    /// <summary>Upper bound of the policy's log standard deviation.</summary>
    [Source("CORL")]
    public double LogStdMax { get; init; } = 2;

    /// <summary>The target subtracts temperature times the log density of the next action.</summary>
    [Source("CORL: false")]
    public bool BackupEntropy { get; init; }

    /// <summary>The target takes the best of sampled_actions next actions.</summary>
    [Source("CORL: false; antmaze true")]
    public bool MaxTargetBackup { get; init; }

    /// <summary>Weight of the conservative term (the paper's alpha).</summary>
    [Source("CORL: 10; antmaze 5"), AtLeast(0)]
    public double ConservativeWeight { get; init; } = 10;

    /// <summary>Actions a row of each of three kinds in the conservative term: random, the policy's, the policy's at the next observation.</summary>
    [Source("Kumar et al. 2020: 10"), AtLeast(1)]
    public int SampledActions { get; init; } = 10;

    /// <summary>Their values are corrected by the density they were drawn with; else the values of the data's actions join them as they are.</summary>
    [Source("Kumar et al. 2020, appendix F")]
    public bool ImportanceSampling { get; init; } = true;

    /// <summary>Temperature of the logarithm of the sum of exponentials.</summary>
    [Source("CORL: 1"), Above(0)]
    public double LogsumexpTemperature { get; init; } = 1;

    /// <summary>The gap of a row is cut from below here; null: not.</summary>
    [Source("CORL: none; antmaze -200")]
    public double? GapClipMin { get; init; }

    /// <summary>The gap of a row is cut from above here; null: not.</summary>
    [Source("CORL: none")]
    public double? GapClipMax { get; init; }

    /// <summary>A learned multiplier holds the gap near target_action_gap.</summary>
    [Source("CORL: false; antmaze true")]
    public bool Lagrange { get; init; }

    /// <summary>The gap that the multiplier allows.</summary>
    [Source("CORL: -1; antmaze 0.8")]
    public double TargetActionGap { get; init; } = -1;

    /// <summary>Learning rate of the multiplier.</summary>
    [Source("CORL: the critics'"), Above(0)]
    public double LagrangeLearningRate { get; init; } = 3e-4;

    /// <summary>How the networks begin.</summary>
    [Source("CORL: orthogonal; Kang et al. 2023: lecun")]
    public CqlInit Init { get; init; } = CqlInit.Orthogonal;

    /// <summary>Activation of the critics; null: activation.</summary>
    [Source("CORL: relu; Kang et al. 2023: elu")]
    public string? CriticActivation { get; init; }

    /// <summary>Layer normalisation in the critics, before the activation.</summary>
    [Source("CORL, Kang et al. 2023: false")]
    public bool CriticLayerNorm { get; init; }

    /// <summary>Mean and log standard deviation of the policy are networks of their own.</summary>
    [Source("CORL: false; Kang et al. 2023: true")]
    public bool SeparatePolicyNetworks { get; init; }

    /// <summary>The policy's mean before the tanh lies within ± this; null: anywhere.</summary>
    [Source("CORL: none; Kang et al. 2023: 9"), Above(0)]
    public double? MeanClip { get; init; }

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(LogStdMin <= LogStdMax, "log_std_min", LogStdMin, $"at most log_std_max={LogStdMax}");
        if (CriticActivation is not null)
            try { Activations.Named(CriticActivation); }
            catch (ArgumentException e) { throw new SettingsException($"critic_activation={CriticActivation}: {e.Message}"); }
        if (GapClipMin > GapClipMax) throw new SettingsException($"gap_clip_min={GapClipMin}: expected at most gap_clip_max={GapClipMax}");
    }

    private static readonly Initialiser Zero = Initialiser.Constant(0);

    private Initialisation Lecun => new(Initialiser.LecunNormal, Zero, Initialiser.Uniform(Math.Sqrt(3 * 0.01 / HiddenSizes[^1])), Zero);

    /// <summary>Xavier's bound with gain 0.01.</summary>
    private Initialiser Small(int outputs) => Initialiser.Uniform(0.01 * Math.Sqrt(6.0 / (HiddenSizes[^1] + outputs)));

    /// <inheritdoc/>
    public override MlpSettings CriticNetwork() => Network().WithLayerNorm(CriticLayerNorm, LayerNormPosition.BeforeActivation, 1e-5) with
    {
        Activation = Activations.Named(CriticActivation ?? Activation),
        Initialisation = Init switch
        {
            CqlInit.Orthogonal => new Initialisation(Initialiser.Orthogonal(Math.Sqrt(2)), Zero, Initialiser.Orthogonal(0.01), Zero),
            CqlInit.Small => Initialisation.PyTorch with { OutputWeight = Small(1), OutputBias = Zero },
            _ => Lecun,
        },
    };

    /// <summary>The policy. In the reference mean and log standard deviation are one layer, and the orthogonal start does not reach it.</summary>
    public TanhGaussianSettings Actor(int actionSize) => new()
    {
        Trunk = Network() with { Initialisation = Init == CqlInit.Lecun ? Lecun : Initialisation.PyTorch with { OutputWeight = Small(2 * actionSize), OutputBias = Zero } },
        Head = Init == CqlInit.Lecun ? Lecun.OutputWeight : Small(2 * actionSize),
        HeadBias = Zero,
        SeparateNetworks = SeparatePolicyNetworks,
        MeanClip = MeanClip,
        LogStd = (LogStdMin, LogStdMax),
        LogStdScale = (1, -1),
        MaxAction = MaxAction,
    };
}

/// <summary>Hyper-parameters of CQL+: CQL's, with the choices that Kang et al. found best.</summary>
public sealed record CqlPlusSettings : CqlSettings
{
    /// <summary>Two hidden layers, raw observations, ELU in the critics, networks of their own for mean and deviation, 50 sampled actions of a kind.</summary>
    public CqlPlusSettings()
    {
        (HiddenSizes, NormalizeObservations, CriticActivation, Init) = ([256, 256], false, "elu", CqlInit.Lecun);
        (SeparatePolicyNetworks, MeanClip, LogStdMin, SampledActions) = (true, 9, -5, 50);
        (ConservativeWeight, ActorLearningRate, TemperatureLearningRate) = (5, 1e-4, 1e-4);
    }
}

/// <summary>
/// CQL(H): soft actor-critic whose critics are pushed down where the policy goes and up where the data are (Kumar et al. 2020, "Conservative Q-Learning for Offline Reinforcement Learning", arXiv 2006.04779; reference: CORL cql.py).
/// CQL+ is the same with other settings (Kang et al. 2023, "Improving and Benchmarking Offline Reinforcement Learning Algorithms", arXiv 2306.00972).
/// </summary>
public class Cql : ActorCritic
{
    private readonly CqlSettings _settings;
    private readonly int _size;
    private readonly TanhGaussianActor _actor;
    private readonly AdamOptimiser _actorOptimiser;
    private readonly Temperature? _temperature;
    private readonly Variable? _logMultiplier;
    private readonly AdamOptimiser? _multiplierOptimiser;

    /// <summary>Creates the networks.</summary>
    public Cql(AlgorithmContext context, CqlSettings settings) : base(context, settings)
    {
        _settings = settings;
        _size = settings.ActionsAtOnce() * context.ActionSize;
        _actor = new TanhGaussianActor(Parameters["actor"], context.ObservationSize, _size, settings.Actor(_size));
        _actorOptimiser = new AdamOptimiser(context.State, "actor", _actor, settings.Adam(settings.ActorLearningRate));
        if (settings.TemperatureTuning) _temperature = new Temperature(Parameters, settings.TargetEntropy ?? -_size, settings.Adam(settings.TemperatureLearningRate));
        if (!settings.Lagrange) return;
        _logMultiplier = Parameters.Parameter("log_lagrange_multiplier", [1], Initialiser.Constant(1), 1, 1);
        _multiplierOptimiser = new AdamOptimiser(context.State, "log_lagrange_multiplier", [_logMultiplier], settings.Adam(settings.LagrangeLearningRate));
    }

    /// <summary>Target critics move every <see cref="CqlSettings.TargetUpdatePeriod"/>-th update.</summary>
    public override IReadOnlyList<Stage> Stages => [new Stage("train", null, Update) { Periods = [TargetUpdates] }];

    private Period TargetUpdates => Period.Last(_settings.TargetUpdatePeriod);

    /// <inheritdoc/>
    protected override Tensor Act(Acting a)
    {
        var action = _actor.Act(a);
        return ActionHorizon.Planned > 1 ? action.Reshape(a.Rows, ActionHorizon.Planned, -1) : action;
    }

    /// <summary>All losses come from the parameters before the update.</summary>
    protected override void Update(Batch b)
    {
        var graph = b.Graph;
        var (policy, nextPolicy) = (_actor.At(b.Observations), _actor.At(b.NextObservations));
        var temperature = _temperature is null ? graph.Constant(_settings.TemperatureMultiplier) : _temperature.Value(graph) * _settings.TemperatureMultiplier;

        // Policy improvement, as in SAC.
        var (action, logProb) = _actor.Sample(policy, graph.Random.Normal("actor", [b.Rows, _size]));
        var temperatureLoss = _temperature?.Loss(logProb) ?? graph.Constant(0);
        var actorLoss = (temperature * logProb - Critics.Q(b.Observations, action).Min(0)).Mean();

        // Equation 4: the squared temporal-difference errors and the conservative term.
        var chunk = ActionChunk.Of(b, _settings.Discount);
        var q = Critics.Q(b.Observations, chunk.Actions);
        var nextValue = NextValue(b, nextPolicy, temperature);
        var (target, known) = chunk.Target(nextValue.Expand(0), MemberReduction.Mean);
        Tensor OfKnown(Tensor x) => known is null ? x : x * known;
        var tdLoss = OfKnown((q - target).Square()).Mean(1);
        var gap = OfKnown(Gap(b, q, policy, nextPolicy)).Mean(1);
        var conservativeLoss = _settings.ConservativeWeight * gap;
        if (_logMultiplier is not null)
        {
            // The critics minimise and the multiplier maximises it.
            var multiplier = graph.Read(_logMultiplier).Exp().Clip(0, 1e6);
            conservativeLoss = multiplier * _settings.ConservativeWeight * (gap - _settings.TargetActionGap);
            var lagrangeLoss = conservativeLoss.Sum() * -0.5;
            Report("lagrange_loss", lagrangeLoss);
            Report("lagrange_multiplier", multiplier);
            _multiplierOptimiser!.Minimise(lagrangeLoss);
        }
        var criticLoss = ReportCriticLoss(_settings.CriticLossReduction.Over(tdLoss + conservativeLoss));

        Report("td_loss", tdLoss);
        Report("conservative_loss", conservativeLoss);
        Report("conservative_gap", gap);
        Report("actor_loss", actorLoss);
        Report("temperature_loss", temperatureLoss);
        Report("temperature", temperature);
        Report("log_prob_mean", logProb.Mean());
        Report("q_mean", q.Mean(1));
        Report("target_q_mean", nextValue.Mean());
        _temperature?.Minimise(temperatureLoss);
        _actorOptimiser.Minimise(actorLoss);
        CriticOptimiser.Minimise(criticLoss);
        if (Due(TargetUpdates)) UpdateTargetCritics(graph);
    }

    /// <summary>The smaller target critic's value [B] of the policy's action at the next observations, or of the best of several.</summary>
    private Tensor NextValue(Batch b, TanhGaussian nextPolicy, Tensor temperature)
    {
        int rows = b.Rows, size = _size;
        var noise = _settings.MaxTargetBackup ? b.Graph.Random.Normal("target", [rows, _settings.SampledActions, size]) : b.Graph.Random.Normal("target", [rows, size]).Expand(1);
        var (actions, logProbs) = _actor.SampleSeveral(nextPolicy, noise);
        var values = TargetCritics.QOfEach(b.NextObservations, actions).Min(0);
        var best = values.ArgMax(-1).Expand(-1);
        var value = values.TakeAlongLast(best).Squeeze(-1);
        return _settings.BackupEntropy ? value - temperature * logProbs.TakeAlongLast(best).Squeeze(-1) : value;
    }

    /// <summary>The logarithm of the sum of exponentials of the critics' values over actions, estimated from sampled ones (appendix F), above the values q [N, B] of the data's actions: [N, B].</summary>
    private Tensor Gap(Batch b, Tensor q, TanhGaussian policy, TanhGaussian nextPolicy)
    {
        int rows = b.Rows, n = _settings.SampledActions, size = _size;
        var random = b.Graph.Random;
        var uniform = random.Uniform("random_action", [rows, n, size], -1, 1);
        var (current, currentLogProb) = _actor.SampleSeveral(policy, random.Normal("current_action", [rows, n, size]));
        var (next, nextLogProb) = _actor.SampleSeveral(nextPolicy, random.Normal("next_action", [rows, n, size]));
        // Actions of the next observations' policy are valued at these observations too.
        var values = Values(b, Tensor.Concat(1, uniform, current, next));
        var uniformLogProb = b.Graph.Constant(size * Math.Log(0.5)).BroadcastTo([rows, n]);
        values = _settings.ImportanceSampling ? values - Tensor.Concat(1, uniformLogProb, currentLogProb, nextLogProb) : Tensor.Concat(-1, values, q.Expand(-1));
        double tau = _settings.LogsumexpTemperature;
        var gap = (values / tau).LogSumExp() * tau - q;
        return gap.Clip(_settings.GapClipMin ?? double.NegativeInfinity, _settings.GapClipMax ?? double.PositiveInfinity);
    }

    /// <summary>The critics' values [N, B, 3 n] of n random, n current and n next actions a row [B, 3 n, A].</summary>
    protected virtual Tensor Values(Batch b, Tensor actions) => Critics.QOfEach(b.Observations, actions);
}
