using Engine.Algorithms.Batches;
using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Nn;

namespace Engine.Algorithms.GoalConditioned;

/// <summary>Hyper-parameters of goal-conditioned IQL.</summary>
public sealed record GcIqlSettings : GoalSettings
{
    private const double ValueNormEpsilon = 1e-5;

    /// <summary>OGBench's mix of goals.</summary>
    public GcIqlSettings() => (OwnGoals, FutureGoals, RandomGoals, GoalDiscount) = (0.2, 0.5, 0.3, 0.99);

    /// <summary>Width of each hidden layer of the value networks; null: hidden_sizes.</summary>
    [AtLeast(1)]
    public int[]? ValueHiddenSizes { get; init; }

    /// <summary>Width of each hidden layer of the policy; null: hidden_sizes.</summary>
    [AtLeast(1)]
    public int[]? ActorHiddenSizes { get; init; }

    /// <summary>Learning rate of the value networks.</summary>
    [Source("OGBench: 3e-4"), Above(0)]
    public double ValueLearningRate { get; init; } = 3e-4;

    /// <summary>Learning rate of the policy.</summary>
    [Source("OGBench: 3e-4"), Above(0)]
    public double ActorLearningRate { get; init; } = 3e-4;

    /// <summary>Discount.</summary>
    [Source("OGBench: 0.99"), Within(0, 1)]
    public double Discount { get; init; } = 0.99;

    /// <summary>Expectile of the values; above 0.5 it leans towards the shorter ways.</summary>
    [Source("OGBench: 0.9"), Between(0, 1)]
    public double Expectile { get; init; } = 0.9;

    /// <summary>Of the policy's weights exp(temperature * advantage).</summary>
    [Source("Park et al. 2023: 1; OGBench's GCIVL: 10"), AtLeast(0)]
    public double Temperature { get; init; } = 1;

    /// <summary>Those weights are cut here.</summary>
    [Source("Park et al. 2023: 100"), Above(0)]
    public double AdvantageWeightMax { get; init; } = 100;

    /// <summary>How far the target values move per update.</summary>
    [Source("OGBench: 0.005"), Within(0, 1)]
    public double TargetUpdateRate { get; init; } = 0.005;

    /// <summary>Least log standard deviation of the policy.</summary>
    [Source("zero-shot-rl: -5")]
    public double LogStdMin { get; init; } = -5;

    /// <summary>Largest log standard deviation of the policy.</summary>
    [Source("zero-shot-rl: 2")]
    public double LogStdMax { get; init; } = 2;

    /// <summary>Actions of the data are clipped to ± this share of max_action: at ±1 a tanh-normal has no density.</summary>
    [Between(0, 1)]
    public double ActionClip { get; init; } = 0.99;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(LogStdMin <= LogStdMax, "log_std_min", LogStdMin, $"at most log_std_max={LogStdMax}");
    }

    internal MlpSettings ValueNetwork() => Network() with { HiddenSizes = ValueHiddenSizes ?? HiddenSizes, TanhNormEpsilon = ValueNormEpsilon, LayerNormPerMember = true };

    internal MlpSettings ActorNetwork() => Network() with { HiddenSizes = ActorHiddenSizes ?? HiddenSizes };
}

/// <summary>
/// Goal-conditioned IQL (Kostrikov et al. 2021; Park et al. 2023, "HIQL", its flat policy; reference: enjeeneer/zero-shot-rl). Reward -1 a step, 0 and the end where the goal is reached; V is minus the discounted steps to the goal. With two value
/// networks V_k, slow copies W_k and r, m = -1, 1 (at the goal 0, 0):
/// values minimise sum_k |expectile - [A &lt;= 0]| (r + discount m W_k(s', g) - V_k(s, g))², A = r + discount m min_k W_k(s', g) - mean_k W_k(s, g);
/// the policy maximises min(exp(temperature (mean_k W_k(s', g) - mean_k V_k(s, g))), 100) log pi(a | s, g), averaged over the action's components.
/// </summary>
public sealed class GcIql : Algorithm
{
    private readonly GcIqlSettings _settings;
    private readonly CriticEnsemble _value, _targetValue;
    private readonly TanhGaussianActor _actor;
    private readonly AdamOptimiser _valueOptimiser, _actorOptimiser;

    /// <summary>Creates the networks.</summary>
    public GcIql(AlgorithmContext context, GcIqlSettings settings) : base(context, settings)
    {
        _settings = settings;
        int inputs = context.ObservationSize + context.GoalSize;
        _value = new CriticEnsemble(Parameters["value"], inputs, 2, settings.ValueNetwork());
        _targetValue = new CriticEnsemble(Parameters["target_value"], inputs, 2, settings.ValueNetwork());
        Targets.Copy(context.State, _value, _targetValue);
        _actor = new TanhGaussianActor(Parameters["actor"], inputs, context.ActionSize,
            new TanhGaussianSettings { Trunk = settings.ActorNetwork(), LogStd = (settings.LogStdMin, settings.LogStdMax), SquashLogStd = true, MaxAction = settings.MaxAction });
        _valueOptimiser = new AdamOptimiser(context.State, "value", _value, settings.Adam(settings.ValueLearningRate));
        _actorOptimiser = new AdamOptimiser(context.State, "actor", _actor, settings.Adam(settings.ActorLearningRate));
    }

    /// <inheritdoc/>
    public override IReadOnlyList<Stage> Stages => [new("train", null, Update) { Draws = [new(new Goals(_settings.Mix()))] }];

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => _actor.Act(a, Tensor.Concat(-1, a.Observations, a.Goals));

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        // A critic's value of an action is here the value of a goal: [2, B].
        var atGoal = Context.Spaces.RequiredGoal.Reached(b.Observations, b.Goals);
        var (reward, mask) = (atGoal - 1, _settings.Discount * (1 - atGoal));
        var next = _targetValue.Q(b.NextObservations, b.Goals).StopGradient();
        var target = reward + mask * next;
        var advantage = reward + mask * next.Min(0) - _targetValue.Q(b.Observations, b.Goals).Mean(0).StopGradient();
        var weight = (advantage <= 0).Cast(DType.F32) * (1 - 2 * _settings.Expectile) + _settings.Expectile;
        var valueLoss = (weight * (target - _value.Q(b.Observations, b.Goals)).Square()).Mean(1).Sum();
        Report("value_loss", valueLoss);
        _valueOptimiser.Minimise(valueLoss);

        var gain = (next.Mean(0) - _value.Q(b.Observations, b.Goals).Mean(0)).StopGradient();
        Report("advantage_mean", gain.Mean());
        var imitation = (gain * _settings.Temperature).Exp().Minimum(_settings.AdvantageWeightMax);
        var actions = (_settings.MaxAction == 1 ? b.Actions : b.Actions * (1 / _settings.MaxAction)).Clip(-_settings.ActionClip, _settings.ActionClip);
        var actorLoss = -(imitation * _actor.At(Tensor.Concat(-1, b.Observations, b.Goals)).LogProb(actions)).Mean() * (1.0 / Context.ActionSize);
        Report("actor_loss", actorLoss);
        _actorOptimiser.Minimise(actorLoss);

        Targets.Polyak(b.Graph, _value, _targetValue, _settings.TargetUpdateRate);
    }
}
