using Engine.Algorithms.Batches;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.ValueBased;

/// <summary>Hyper-parameters of SS-ORL; hidden_sizes and activation are the inverse model's.</summary>
public sealed record SsOrlSettings : ContinuousSettings
{
    /// <summary>The authors': two wide layers, normalised states.</summary>
    public SsOrlSettings() => (HiddenSizes, NormalizeObservations) = ([1024, 1024], true);

    /// <summary>What is trained on the labelled rows; null: nothing, and there is no policy.</summary>
    [Source("Zheng et al. 2023: td3-bc, cql")]
    public BaseMethod? Base { get; init; } = new("td3-bc", new Td3BcSettings());

    /// <summary>States before the action's own that the inverse model sees, besides that and the next one.</summary>
    [Source("Zheng et al. 2023: 1"), AtLeast(0)]
    public int PastStates { get; init; } = 1;

    /// <summary>Updates of the inverse model, before those of the base.</summary>
    [Source("Zheng et al. 2023: 100,000"), AtLeast(1)]
    public int InverseSteps { get; init; } = 100_000;

    /// <summary>Learning rate of the inverse model.</summary>
    [Source("Zheng et al. 2023: 1e-4"), Above(0)]
    public double LearningRate { get; init; } = 1e-4;

    /// <summary>Share of the last hidden layer that is dropped while the inverse model is trained.</summary>
    [Source("Zheng et al. 2023: 0.1"), Within(0, 0.99)]
    public double Dropout { get; init; } = 0.1;

    /// <summary>Lower bound of the log standard deviation.</summary>
    [Source("facebookresearch/ssorl")]
    public double LogStdMin { get; init; } = -5;

    /// <summary>Upper bound of the log standard deviation.</summary>
    [Source("facebookresearch/ssorl")]
    public double LogStdMax { get; init; } = 2;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(LogStdMin <= LogStdMax, "log_std_min", LogStdMin, $"at most log_std_max={LogStdMax}");
    }
}

/// <summary>
/// SS-ORL: an inverse-dynamics model of the trajectories whose actions are known labels the others, and any method is trained on all of them (Zheng et al. 2023, "Semi-Supervised Offline Reinforcement Learning with
/// Action-Free Trajectories", arXiv 2210.06518; reference: facebookresearch/ssorl). The data's column <c>labelled</c> says whose actions are known.
/// </summary>
public sealed class SsOrl : Algorithm
{
    // A log density exists inside the bounds only.
    private const double ActionClip = 1 - 1e-5;

    private readonly SsOrlSettings _settings;
    private readonly Head _mean, _logStd;
    private readonly AdamOptimiser _optimiser;
    private readonly Algorithm? _base;

    /// <summary>Creates the inverse model and the base.</summary>
    public SsOrl(AlgorithmContext context, SsOrlSettings settings) : base(context, settings)
    {
        _settings = settings;
        Head Create(string name) => new(Parameters["inverse"][name], (settings.PastStates + 2) * context.ObservationSize, context.ActionSize, settings);
        (_mean, _logStd) = (Create("mean"), Create("log_std"));
        _optimiser = new AdamOptimiser(context.State, "inverse", [.. _mean.Parameters, .. _logStd.Parameters], settings.Adam(settings.LearningRate));
        _base = settings.Base?.Create(context, settings);
    }

    /// <summary>The inverse model on the rows whose actions are known, then the base's stages on all.</summary>
    public override IReadOnlyList<Stage> Stages =>
    [
        new("inverse", _base is null ? null : _settings.InverseSteps, Learn) { Draws = [new Draw(new Neighbours(_settings.PastStates, new Transitions()), Weight: Data.TransitionDataset.Labelled)] },
        .. (_base?.Stages ?? []).Select(stage => stage with
        {
            Update = stage.Update is null ? null : b => UpdateOf(_base!, stage, Label(b)),
            Draws = [.. stage.Draws.Select(d => d.Source == Draw.Offline ? d with { Kind = new Neighbours(_settings.PastStates, d.Kind) } : d)],
        }),
    ];

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => ActOf(_base ?? throw new SettingsException("base=null: there is an inverse model and no policy"), a);

    /// <summary>The negative log density of the known actions.</summary>
    private void Learn(Batch b)
    {
        var policy = Inverse(b["states"], b.Graph.Random);
        var loss = -policy.LogProb((b.Actions / _settings.MaxAction).Clip(-ActionClip, ActionClip)).Mean();
        Report("loss", loss);
        _optimiser.Minimise(loss);
    }

    /// <summary>The batch with the inverse model's actions where they are not known.</summary>
    private Batch Label(Batch b)
    {
        var (known, nextKnown) = (b["labelled"].Expand(-1), b["next_labelled"].Expand(-1));
        if (b.Actions.Shape.Rank != 2) throw new SettingsException($"base={_settings.Base!.Algorithm}: expected a method that learns from single actions");
        var (proxy, nextProxy) = (Actions(b["states"]), Actions(b["next_states"]) * b["has_next"].Expand(-1));
        // Of the variance of the known actions: on held-out rows, which are all known, the share of it that the model misses.
        var error = ((proxy - b.Actions).Square() * known).Sum(0);
        var count = known.Sum(0).Maximum(1);
        var mean = (b.Actions * known).Sum(0) / count;
        Report("inverse_error", error.Sum() / ((b.Actions - mean).Square() * known).Sum().Maximum(1e-6));
        return b.With(("actions", known * b.Actions + (1 - known) * proxy), ("next_actions", nextKnown * b["next_actions"] + (1 - nextKnown) * nextProxy));
    }

    private Tensor Actions(Tensor states) => (Inverse(states).Mode * _settings.MaxAction).StopGradient();

    /// <summary>The distribution of the action between states [B, past + 2, S].</summary>
    /// <param name="states">Normalised, zeros before the trajectory's first included.</param>
    /// <param name="dropout">Draws of what is dropped; null: nothing is.</param>
    private TanhGaussian Inverse(Tensor states, RandomDraws? dropout = null)
    {
        var x = states.Reshape(states.Shape[0], -1);
        double low = _settings.LogStdMin, high = _settings.LogStdMax;
        return new TanhGaussian(_mean.Apply(x, dropout, "dropout_mean"), (_logStd.Apply(x, dropout, "dropout_log_std").Tanh() + 1) * (0.5 * (high - low)) + low);
    }

    /// <summary>The action between given states, normalised, as the fixture records it.</summary>
    protected override void Sample(Sampling s)
    {
        var policy = Inverse(s.Normal("states", [s.Rows, _settings.PastStates + 2, Context.ObservationSize]));
        s.Report("predicted_actions", policy.Mode * _settings.MaxAction);
        s.Report("predicted_std", policy.LogStd.Exp());
    }

    /// <summary>A network with dropout after its last hidden layer alone.</summary>
    private sealed class Head : Module
    {
        private readonly Mlp _hidden;
        private readonly LinearLayer _output;
        private readonly double _dropout;

        public Head(Builder at, int inputs, int outputs, SsOrlSettings settings)
        {
            Initialiser orthogonal = Initialiser.Orthogonal(1), zero = Initialiser.Constant(0);
            _hidden = new Mlp(at, inputs, null, settings.Network() with { Initialisation = new Initialisation(orthogonal, zero, orthogonal, zero) });
            _output = new LinearLayer(at[$"layer{settings.HiddenSizes.Length}"], _hidden.Outputs, outputs, orthogonal, zero);
            _dropout = settings.Dropout;
        }

        public override IEnumerable<Variable> Parameters => [.. _hidden.Parameters, .. _output.Parameters];

        public Tensor Apply(Tensor x, RandomDraws? dropout, string draw)
        {
            var h = _hidden.Apply(x);
            if (dropout is not null && _dropout > 0) h = h * (dropout.Uniform(draw, h.Shape) >= _dropout).Cast(Kernels.DType.F32) * (1 / (1 - _dropout));
            return _output.Apply(h);
        }
    }
}
