using Engine.Algorithms.Batches;
using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Nn;
using Engine.Nn.Diffusion;

namespace Engine.Algorithms.Diffusion;

/// <summary>Hyper-parameters of Diffuser.</summary>
public sealed record DiffuserSettings : AlgorithmSettings
{
    /// <summary>The reference's batch: 32, of which two are accumulated.</summary>
    public DiffuserSettings() => BatchSize = 64;

    /// <summary>Steps of a plan.</summary>
    [Source("Janner et al. 2022: 32; 4 on halfcheetah, 128 to 384 in mazes"), AtLeast(1)]
    public int Horizon { get; init; } = 32;

    /// <summary>Width of the networks' first level.</summary>
    [Source("Janner et al. 2022: 32"), AtLeast(4)]
    public int Width { get; init; } = 32;

    /// <summary>Multiples of it, level by level; each level but the last halves the plan.</summary>
    [Source("Janner et al. 2022: 1, 2, 4, 8; 1, 4, 8 on halfcheetah and in mazes"), AtLeast(1)]
    public int[] Multipliers { get; init; } = [1, 2, 4, 8];

    /// <summary>Positions that a convolution sees, odd.</summary>
    [Source("jannerm/diffuser: 5"), AtLeast(1)]
    public int Kernel { get; init; } = 5;

    /// <summary>Groups of the normalisation.</summary>
    [Source("jannerm/diffuser: 8"), AtLeast(1)]
    public int Groups { get; init; } = 8;

    /// <summary>Its epsilon.</summary>
    [Source("PyTorch: 1e-5"), AtLeast(0)]
    public double GroupNormEpsilon { get; init; } = 1e-5;

    /// <summary>Activation.</summary>
    public string Activation { get; init; } = "mish";

    /// <summary>Steps from a plan to noise.</summary>
    [Source("Janner et al. 2022: 20; 64 to 256 in mazes"), AtLeast(1)]
    public int DiffusionSteps { get; init; } = 20;

    /// <summary>How noise grows over them.</summary>
    [Source("jannerm/diffuser: cosine")]
    public BetaSchedule BetaSchedule { get; init; } = BetaSchedule.Cosine;

    /// <summary>What the network predicts.</summary>
    [Source("jannerm/diffuser: sample")]
    public Predicted Predict { get; init; } = Predicted.Sample;

    /// <summary>Predicted plans are limited to ±1.</summary>
    [Source("jannerm/diffuser: no; in mazes")]
    public bool ClipDenoised { get; init; }

    /// <summary>Weight of the first action's error.</summary>
    [Source("jannerm/diffuser: 10; 1 in mazes"), AtLeast(0)]
    public double FirstActionWeight { get; init; } = 10;

    /// <summary>Learning rate.</summary>
    [Source("Janner et al. 2022: 2e-4"), Above(0)]
    public double LearningRate { get; init; } = 2e-4;

    /// <summary>What is kept, when it moves, of a slow copy of the network, which then plans; null: there is none.</summary>
    [Source("jannerm/diffuser: 0.995 in its trainer; its recorded updates have none"), Within(0, 1)]
    public double? EmaDecay { get; init; }

    /// <summary>It moves every so many updates.</summary>
    [Source("jannerm/diffuser: 10"), AtLeast(1)]
    public int EmaEvery { get; init; } = 10;

    /// <summary>Updates of the value network, before those of the plans'.</summary>
    [Source("Janner et al. 2022: 200,000"), AtLeast(1)]
    public int ValueSteps { get; init; } = 200_000;

    /// <summary>Discount of its returns.</summary>
    [Source("jannerm/diffuser: 0.997"), Within(0, 1)]
    public double Discount { get; init; } = 0.997;

    /// <summary>Rewards that a return has at most.</summary>
    [Source("jannerm/diffuser: 1000"), AtLeast(1)]
    public int ReturnSteps { get; init; } = 1000;

    /// <summary>Added to the reward of a step that ends the task.</summary>
    [Source("jannerm/diffuser: -100")]
    public double TerminationReward { get; init; } = -100;

    /// <summary>Plans that are made to choose one of.</summary>
    [Source("Janner et al. 2022: 64"), AtLeast(1)]
    public int Plans { get; init; } = 64;

    /// <summary>Length of a step up the value, times the variance of the denoising step; 0: plans are not led.</summary>
    [Source("Janner et al. 2022: 0.1; 1e-3 on halfcheetah, 1e-4 on hopper-medium-expert"), AtLeast(0)]
    public double GuideScale { get; init; } = 0.1;

    /// <summary>Such steps before each denoising step.</summary>
    [Source("Janner et al. 2022: 2"), AtLeast(1)]
    public int GuideSteps { get; init; } = 2;

    /// <summary>The last so many denoising steps are not led.</summary>
    [Source("Janner et al. 2022: 2; 4 on some"), AtLeast(0)]
    public int GuideStop { get; init; } = 2;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        try { Activations.Named(Activation); }
        catch (ArgumentException e) { throw new SettingsException($"activation={Activation}: {e.Message}"); }
        Require(Kernel % 2 == 1, "kernel", Kernel, "an odd number");
        Require(Width % 2 == 0, "width", Width, "an even number");
        Require(Multipliers.Length < 16 && Horizon % (1 << (Multipliers.Length - 1)) == 0, "horizon", Horizon, $"a multiple of {1L << Math.Min(Multipliers.Length - 1, 62)}, which {Multipliers.Length} multipliers halve to 1");
        foreach (int multiplier in Multipliers) Require(multiplier * Width % Groups == 0, "groups", Groups, $"a divisor of {multiplier * Width} channels");
        // The value network has a quarter of the last level's.
        Require(Multipliers[^1] * Width % (4 * Groups) == 0, "groups", Groups, $"a divisor of a quarter of the last level's {Multipliers[^1] * Width} channels");
        try { NoiseSchedule(); }
        catch (ArgumentException e) { throw new SettingsException($"beta_schedule={BetaSchedule.ToString().ToLowerInvariant()}: {e.Message}"); }
    }

    internal NoiseSchedule NoiseSchedule() => BetaSchedule switch
    {
        BetaSchedule.Vp => Nn.Diffusion.NoiseSchedule.Vp(DiffusionSteps),
        BetaSchedule.Linear => Nn.Diffusion.NoiseSchedule.Linear(DiffusionSteps),
        _ => Nn.Diffusion.NoiseSchedule.Cosine(DiffusionSteps),
    };

    internal TemporalUnetSettings Network() => new(Width, Multipliers, Kernel, Groups, GroupNormEpsilon) { Activation = Activations.Named(Activation) };
}

/// <summary>
/// Diffuser (Janner et al. 2022, "Planning with Diffusion for Flexible Behavior Synthesis", arXiv 2205.09991; reference: jannerm/diffuser): trajectories of actions and observations are denoised as a whole. The stage <c>value</c> trains a value of noisy
/// trajectories on their returns, the stage <c>train</c> a network to denoise them, the first observation given. It acts by denoising several plans from the present observation, each step led up the value's gradient, and takes the first action of the
/// plan of the largest value.
/// </summary>
public sealed class Diffuser : Algorithm
{
    private readonly DiffuserSettings _settings;
    private readonly NoiseSchedule _schedule;
    private readonly Prediction _prediction;
    private readonly Sampler _sampler;
    private readonly TemporalUnet _network, _planner;
    private readonly TemporalValue _value;
    private readonly AdamOptimiser _optimiser, _valueOptimiser;
    private readonly Variable _mean, _std;
    private readonly int _size;

    /// <summary>Creates the networks.</summary>
    public Diffuser(AlgorithmContext context, DiffuserSettings settings) : base(context, settings)
    {
        (_settings, _size) = (settings, context.ActionSize + context.ObservationSize);
        _schedule = settings.NoiseSchedule();
        _prediction = settings.Predict == Predicted.Noise ? Prediction.Noise : Prediction.Sample;
        _sampler = Samplers.Ddpm(_schedule, _prediction, settings.ClipDenoised ? 1 : null);
        TemporalUnet Create(string name) => new(Parameters[name], _size, settings.Horizon, settings.Network());
        _network = _planner = Create("net");
        if (settings.EmaDecay is not null) Targets.Copy(context.State, _network, _planner = Create("ema_net"));
        _value = new TemporalValue(Parameters["value"], _size, settings.Horizon, settings.Network());
        _optimiser = new AdamOptimiser(context.State, "net", _network, settings.Adam(settings.LearningRate));
        _valueOptimiser = new AdamOptimiser(context.State, "value", _value, settings.Adam(settings.LearningRate));
        Variable Statistic(string name, float value) => context.State.Add(name, [_size], Enumerable.Repeat(value, _size).ToArray(), VariableKind.State);
        (_mean, _std) = (Statistic("trajectories.mean", 0), Statistic("trajectories.std", 1));
    }

    /// <inheritdoc/>
    public override IReadOnlyList<Stage> Stages
    {
        get
        {
            Draw[] draws = [new(new Plans(_settings.Horizon, _settings.ReturnSteps, _settings.Discount, _settings.TerminationReward))];
            return
            [
                new("value", _settings.ValueSteps, UpdateValue) { Draws = draws, Duties = [new RowStatistics(_mean, _std, 1e-5, [("actions", 0), ("observations", 0)])] },
                new("train", null, Update) { Draws = draws, Periods = _settings.EmaDecay is null ? [] : [SlowUpdates] },
            ];
        }
    }

    private Period SlowUpdates => new(_settings.EmaEvery, 0);

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var (plans, noise, steps, corrupted) = Corrupt(b);
        var output = _network.Apply(corrupted, _network.Embed(DiffusionTimes.OfSteps(steps, _schedule.Steps)), null);
        var target = _schedule.Target(_prediction, plans, steps, noise);
        var weights = b.Graph.Constant(TensorType.Float([_settings.Horizon, _size]), Enumerable.Range(0, _settings.Horizon * _size).Select(i => i < Context.ActionSize ? _settings.FirstActionWeight : 1).ToArray());
        var loss = ((WithState(output, First(plans)) - target).Square() * weights).Mean();
        Report("loss", loss);
        _optimiser.Minimise(loss);
        if (_settings.EmaDecay is { } decay && Due(SlowUpdates)) Targets.Polyak(b.Graph, _network, _planner, 1 - decay);
    }

    private void UpdateValue(Batch b)
    {
        var (_, _, steps, corrupted) = Corrupt(b);
        var loss = (_value.Apply(corrupted, _value.Embed(DiffusionTimes.OfSteps(steps, _schedule.Steps))) - b["returns"]).Square().Mean();
        Report("value_loss", loss);
        _valueOptimiser.Minimise(loss);
    }

    /// <summary>Standardised plans with noise, each at a step of its own, the first observation as it is.</summary>
    private (Tensor Plans, Tensor Noise, Tensor Steps, Tensor Corrupted) Corrupt(Batch b)
    {
        var plans = Standardised(b["trajectories"]);
        var steps = b.Graph.Random.Integer("timestep", [plans.Shape[0]], b.Graph.Constant(TensorType.Int(Shape.Scalar), _schedule.Steps));
        var noise = b.Graph.Random.Normal("denoising", plans.Shape);
        return (plans, noise, steps, WithState(_schedule.Corrupt(plans, steps, noise), First(plans)));
    }

    /// <inheritdoc/>
    protected override void Sample(Sampling s)
    {
        Shape shape = [s.Rows, _settings.Horizon, _size];
        var (initial, draws) = (s.Normal("initial", shape), s.Normal("steps", shape.Insert(0, _sampler.Draws)));
        var network = _planner.At(s.Graph, _sampler.Times, null);
        s.Report("network_output", network(initial, 0));
        s.Report("sample", _sampler.Run(initial, network, k => draws.At(0, k), (x, _) => WithState(x, Standardised(s.State(), Context.ActionSize))));
    }

    /// <inheritdoc/>
    protected override Tensor Act(Acting a)
    {
        int n = _settings.Plans, rows = a.Rows * n, horizon = _settings.Horizon;
        var initial = a.Normal("initial", n, horizon, _size).Reshape(rows, horizon, _size);
        var draws = _sampler.DrawsUsed == 0 ? null : a.Normal("steps", _sampler.DrawsUsed, n, horizon, _size);
        var state = Standardised(a.Observations, Context.ActionSize).Expand(1).BroadcastTo([a.Rows, n, Context.ObservationSize]).Reshape(rows, -1);
        var times = _value.Embed(DiffusionTimes.Of(a.Graph, _sampler.Times));
        Tensor Value(Tensor x, int k) => _value.Apply(x, times.Slice(0, k, 1).BroadcastTo([rows, times.Shape[1]]));
        Tensor Revise(Tensor x, int k)
        {
            x = WithState(x, state);
            int step = _schedule.Steps - 1 - k;
            if (step < _settings.GuideStop || _settings.GuideScale == 0) return x;
            double variance = _schedule.Beta(step) * (1 - _schedule.SignalVariance(step - 1)) / (1 - _schedule.SignalVariance(step));
            return Guidance.Ascend(x, y => Value(y, k), _settings.GuideScale * variance, _settings.GuideSteps, y => WithState(y, state));
        }
        var plans = _sampler.Run(initial, _planner.At(a.Graph, _sampler.Times, null), k => draws!.At(1, k).Reshape(rows, horizon, _size), Revise);
        var best = Value(plans, _sampler.Times.Count - 1).Reshape(a.Rows, n).ArgMax(-1);
        var actions = plans.At(1, 0).Slice(1, 0, Context.ActionSize).Reshape(a.Rows, n, -1);
        return (Choice.Take(actions, best) * Part(a.Graph, _std) + Part(a.Graph, _mean)).Clip(-1, 1);
    }

    private Tensor Part(Graph graph, Variable statistic) => graph.Read(statistic).Slice(0, 0, Context.ActionSize);

    /// <summary>The first observation [B, S] of plans.</summary>
    private Tensor First(Tensor plans) => plans.At(1, 0).Slice(1, Context.ActionSize, Context.ObservationSize);

    /// <summary>Plans [B, H, A + S] whose first observation is that [B, S].</summary>
    private Tensor WithState(Tensor plans, Tensor state)
    {
        var mask = plans.Graph.Constant(TensorType.Boolean([1, _settings.Horizon, _size]), Enumerable.Range(0, _settings.Horizon * _size).Select(i => i >= Context.ActionSize && i < _size ? 1.0 : 0).ToArray());
        return Guidance.Known(plans, state.Pad(1, Context.ActionSize, 0).Expand(1), mask);
    }

    /// <summary>Numbers standardised as those of trajectories from a number on.</summary>
    private Tensor Standardised(Tensor x, int from = 0)
    {
        Tensor Of(Variable statistic) => x.Graph.Read(statistic).Slice(0, from, x.Shape[^1]);
        return (x - Of(_mean)) / Of(_std);
    }
}
