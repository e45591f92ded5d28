using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Nn;
using Engine.Nn.Diffusion;

namespace Engine.Algorithms.Flow;

/// <summary>Hyper-parameters of RECAP.</summary>
public sealed record RecapSettings : ContinuousSettings
{
    /// <summary>Networks of a size for vectors; RLinf's Adam.</summary>
    public RecapSettings() => (HiddenSizes, Activation, AdamBeta2) = ([512, 512, 512, 512], "gelu_tanh", 0.95);

    /// <summary>Width of each hidden layer of the policy.</summary>
    [Source("as the value network's"), AtLeast(1)]
    public int[] PolicySizes { get; init; } = [512, 512, 512, 512];

    /// <summary>Numbers that tell the policy the indicator.</summary>
    [AtLeast(1)]
    public int IndicatorWidth { get; init; } = 32;

    /// <summary>Where layer normalisation stands in the value network.</summary>
    [Source("Park et al. 2025: after the activation")]
    public LayerNormPosition LayerNormPosition { get; init; } = LayerNormPosition.AfterActivation;

    /// <summary>Its epsilon.</summary>
    [Source("flax: 1e-6"), AtLeast(0)]
    public double LayerNormEpsilon { get; init; } = 1e-6;

    /// <summary>Actions of a chunk, carried out one after another.</summary>
    [Source("Li et al. 2025: 5"), AtLeast(1)]
    public int Chunk { get; init; } = 5;

    /// <summary>Atoms of a value's distribution.</summary>
    [Source("Amin et al. 2025: 201"), AtLeast(2)]
    public int Bins { get; init; } = 201;

    /// <summary>Lower bound of values.</summary>
    [Source("Amin et al. 2025: -1")]
    public double ValueMin { get; init; } = -1;

    /// <summary>Upper bound of values.</summary>
    [Source("Amin et al. 2025: 0")]
    public double ValueMax { get; init; }

    /// <summary>Updates of the value network alone, before the policy learns from its labels.</summary>
    [AtLeast(1)]
    public int ValueSteps { get; init; } = 10_000;

    /// <summary>Learning rate of the value network.</summary>
    [Source("RLinf: 1e-4"), Above(0)]
    public double ValueLearningRate { get; init; } = 1e-4;

    /// <summary>Learning rate of the policy.</summary>
    [Source("Park et al. 2025: 3e-4"), Above(0)]
    public double PolicyLearningRate { get; init; } = 3e-4;

    /// <summary>Gradients are shortened to this norm; 0: not.</summary>
    [Source("RLinf: 1"), AtLeast(0)]
    public double MaxGradientNorm { get; init; } = 1;

    /// <summary>Added to the norm.</summary>
    [Source("PyTorch: 1e-6"), AtLeast(0)]
    public double GradientNormEpsilon { get; init; } = 1e-6;

    /// <summary>Reward of an episode's last step where it did not end the task; every other step earns -1, the last of a success 0.</summary>
    [Source("RLinf: -300")]
    public double FailureReward { get; init; } = -300;

    /// <summary>Discount of returns.</summary>
    [Source("Amin et al. 2025: 1"), Above(0), Within(0, 1)]
    public double ReturnDiscount { get; init; } = 1;

    /// <summary>Steps that an advantage looks ahead.</summary>
    [Source("Amin et al. 2025: 50; RLinf: 10"), AtLeast(1)]
    public int Lookahead { get; init; } = 50;

    /// <summary>Share of rows whose advantage is called positive.</summary>
    [Source("Amin et al. 2025: 0.3, fine-tuning 0.4; RLinf 0.3"), Between(0, 1)]
    public double PositiveFraction { get; init; } = 0.3;

    /// <summary>Rows that are not positive are never told so.</summary>
    [Source("RLinf: true")]
    public bool PositiveOnly { get; init; } = true;

    /// <summary>Share of rows that are not told their indicator.</summary>
    [Source("Amin et al. 2025: 0.3; RLinf: 0.1"), Within(0, 1)]
    public double IndicatorDropout { get; init; } = 0.3;

    /// <summary>Steps from noise to a chunk.</summary>
    [Source("Park et al. 2025: 10"), AtLeast(1)]
    public int FlowSteps { get; init; } = 10;

    /// <summary>Weight of the flow that is told "positive" against the one that is told nothing; 1: that alone.</summary>
    [Source("Amin et al. 2025: 1"), AtLeast(0)]
    public double GuidanceScale { get; init; } = 1;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(ValueMin < ValueMax, "value_min", ValueMin, $"below value_max={ValueMax}");
    }

    internal AdamSettings Clipped(double rate) => Adam(rate) with { MaxGradientNorm = MaxGradientNorm > 0 ? MaxGradientNorm : null, GradientNormEpsilon = GradientNormEpsilon };
}

/// <summary>
/// RECAP (Amin et al. 2025, "π*0.6: a VLA That Learns From Experience", arXiv 2511.14759; reference: RLinf/RLinf): no policy gradient. A value network learns the distribution of what the data's episodes earned; a row whose advantage is among the
/// largest is called positive; a flow imitates all rows, told of which kind they are, and is told "positive" when it acts. Flow: x_t = t noise + (1 - t) chunk, and the network learns noise - chunk.
/// </summary>
public sealed class Recap : Algorithm
{
    private const int None = 0, Positive = 1, Negative = 2, Indicators = 3;
    private const double IndicatorStd = 0.02;

    private readonly RecapSettings _settings;
    private readonly ValueSupport _support;
    private readonly StepsToSuccess _earned;
    private readonly ReturnRange _range;
    private readonly Mlp _value, _policy;
    private readonly Variable _indicator;
    private readonly AdamOptimiser _valueOptimiser, _policyOptimiser;
    private readonly int _size;

    /// <summary>Creates the networks.</summary>
    public Recap(AlgorithmContext context, RecapSettings settings) : base(context, settings)
    {
        (_settings, _size) = (settings, settings.Chunk * context.ActionSize);
        (_support, _earned) = (new ValueSupport(settings.ValueMin, settings.ValueMax, settings.Bins), new StepsToSuccess(settings.FailureReward, settings.ReturnDiscount, settings.Lookahead));
        var network = settings.Network() with { Initialisation = Initialisation.Glorot };
        _value = new Mlp(Parameters["value"], context.ObservationSize, settings.Bins, network.WithLayerNorm(true, settings.LayerNormPosition, settings.LayerNormEpsilon));
        _policy = new Mlp(Parameters["policy"], context.ObservationSize + _size + 1 + settings.IndicatorWidth, _size, network with { HiddenSizes = settings.PolicySizes });
        _indicator = Parameters["policy"].Parameter("indicator", [Indicators, settings.IndicatorWidth], Initialiser.Normal(IndicatorStd), 1, settings.IndicatorWidth);
        _valueOptimiser = new AdamOptimiser(context.State, "value", _value, settings.Clipped(settings.ValueLearningRate));
        _policyOptimiser = new AdamOptimiser(context.State, "policy", [.. _policy.Parameters, _indicator], settings.Clipped(settings.PolicyLearningRate));
        Variable Number(string name, float start) => context.State.Add(name, [1], new[] { start }, VariableKind.State);
        _range = new ReturnRange(Number("returns.low", -1), Number("returns.high", 0), _earned);
    }

    /// <summary>Values alone; then both.</summary>
    public override IReadOnlyList<Stage> Stages
    {
        get
        {
            Draw[] draws = [new(new RecapRows(_settings.Chunk, _earned, _settings.PositiveFraction, _range, raw => Value(Normalised(raw))))];
            return [new("value", _settings.ValueSteps, LearnValue) { Draws = draws, Duties = [_range] }, new("train", null, Update) { Draws = draws }];
        }
    }

    /// <inheritdoc/>
    public override (int Planned, int Executed) ActionHorizon => (_settings.Chunk, _settings.Chunk);

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) =>
        Follow(a.Observations, a.Normal("action", _size), _settings.GuidanceScale).Clip(-_settings.MaxAction, _settings.MaxAction).Reshape(a.Rows, _settings.Chunk, -1);

    private Tensor Value(Tensor observations) => _support.AtomMean(_value.Apply(observations));

    private void LearnValue(Batch b)
    {
        var targets = b["value_targets"];
        var logits = _value.Apply(b.Observations);
        var loss = ValueSupport.CrossEntropy(_support.TwoHot(targets), logits).Mean();
        Report("value_loss", loss);
        Report("value_error", (_support.AtomMean(logits) - targets).Abs().Mean());
        if (_valueOptimiser.Minimise(loss) is { } norm) Report("value_gradient_norm", norm);
    }

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        // Labels come from the values before their step.
        var (positive, random) = (b["positive"], b.Graph.Random);
        LearnValue(b);
        var told = (random.Uniform("indicator", [b.Rows]) > _settings.IndicatorDropout).Cast(DType.F32);
        var label = _settings.PositiveOnly ? told * positive * Positive : told * (positive * (Positive - Negative) + Negative);
        var time = random.Uniform("flow_time", [b.Rows]).Expand(-1);
        var noise = random.Normal("flow_start", b.Actions.Shape).Reshape(b.Rows, _size);
        var embedding = b.Graph.Read(_indicator).Gather(label.Cast(DType.I32));
        var errors = FlowMatching.Error(b.Actions.Reshape(b.Rows, _size), noise, 1 - time, (x, _) => -Velocity(b.Observations, x, time, embedding)).Mean(1);
        var loss = errors.Mean();
        var conditional = (label > None).Cast(DType.F32);
        Report("policy_loss", loss);
        Report("conditional_count", conditional.Sum());
        Report("conditional_loss_sum", (conditional * errors).Sum());
        Report("positive_fraction", positive.Mean());
        _policyOptimiser.Minimise(loss);
    }

    /// <summary>Where noise is, seen from a chunk: [B, n].</summary>
    private Tensor Velocity(Tensor observations, Tensor x, Tensor time, Tensor indicator) => _policy.Apply(Tensor.Concat(-1, observations, x, time, indicator));

    /// <summary>From noise [B, n] to a chunk, not clipped.</summary>
    private Tensor Follow(Tensor observations, Tensor noise, double guidance)
    {
        int rows = noise.Shape[0];
        var sampler = Samplers.FlowEuler(_settings.FlowSteps);
        Func<Tensor, int, Tensor> Told(int indicator) => (x, k) =>
        {
            var embedding = x.Graph.Read(_indicator).At(0, indicator).Expand(0).BroadcastTo([rows, _settings.IndicatorWidth]);
            return -Velocity(observations, x, x.Graph.Constant(TensorType.Float([rows, 1]), 1 - sampler.Times[k]), embedding);
        };
        return sampler.Run(noise, Guidance.ClassifierFree(Told(None), Told(Positive), guidance));
    }

    /// <summary>Chunks with and without guidance; values, advantages and labels of recorded episodes.</summary>
    protected override void Sample(Sampling s)
    {
        var (noise, observations) = (s.Normal("initial", [s.Rows, _size]), s.State());
        foreach (var (name, scale) in new[] { ("conditional", 1), ("guided", _settings.GuidanceScale), ("unconditional", 0) }) s.Report($"sample_{name}", Follow(observations, noise, scale));

        double[] lengths = s.Numbers("episode_lengths"), successes = s.Numbers("episode_success"), demonstrations = s.Numbers("episode_demonstration");
        int rows = (int)lengths.Sum();
        Tensor Rows(Func<int, int, double> of) => s.Graph.Constant(TensorType.Float([rows]), [.. lengths.SelectMany((length, e) => Enumerable.Range(0, (int)length).Select(t => of(e, t)))]);
        Tensor left = Rows((e, t) => lengths[e] - t), success = Rows((e, _) => successes[e]), values = Value(s.Normal("episodes", [rows, Context.ObservationSize]));
        var later = values.Gather((s.Graph.Iota(TensorType.Int([rows])) + _settings.Lookahead).Minimum(rows - 1));
        var returns = _earned.Return(left, success);
        var (low, high) = (returns.Min(0), returns.Max(0));
        var advantages = _earned.Advantage(left, success, values, later, low, high);
        var threshold = RecapRows.Quantile(advantages, 1 - _settings.PositiveFraction);
        s.Report("values", values);
        s.Report("returns", returns);
        s.Report("normalised_returns", returns / low.Abs());
        s.Report("advantages", advantages);
        s.Report("advantage_threshold", threshold);
        s.Report("positive", (advantages >= threshold).Cast(DType.F32).Maximum(Rows((e, _) => demonstrations[e])));
    }
}
