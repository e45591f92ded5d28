using Engine.Algorithms.Batches;
using Engine.Algorithms.Policies;
using Engine.Algorithms.Training;
using Engine.Algorithms.ValueBased;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Nn;
using Engine.Nn.Diffusion;

namespace Engine.Algorithms.Diffusion;

/// <summary>Hyper-parameters of SynthER.</summary>
public sealed record SyntherSettings : AlgorithmSettings
{
    /// <summary>The reference's: Adam forgets second moments sooner.</summary>
    public SyntherSettings() => AdamBeta2 = 0.99;

    /// <summary>Width in which row and time are added.</summary>
    [Source("Lu et al. 2023: 128"), AtLeast(1)]
    public int InputWidth { get; init; } = 128;

    /// <summary>Width of the blocks.</summary>
    [Source("Lu et al. 2023: 2048; 1024 on some datasets"), AtLeast(1)]
    public int Width { get; init; } = 2048;

    /// <summary>Residual blocks.</summary>
    [Source("Lu et al. 2023: 6"), AtLeast(0)]
    public int Blocks { get; init; } = 6;

    /// <summary>Frequencies of the time.</summary>
    [Source("conglu1997/SynthER: 8"), AtLeast(1)]
    public int FourierFeatures { get; init; } = 8;

    /// <summary>Activation before the blocks.</summary>
    public string Activation { get; init; } = "relu";

    /// <summary>Networks see (row - mean) / std of the dataset, component by component; the terminal stays as it is.</summary>
    [Source("Lu et al. 2023")]
    public bool NormalizeRows { get; init; } = true;

    /// <summary>Standard deviation of the rows that networks see.</summary>
    [Source("Lu et al. 2023: 1"), Above(0)]
    public double SigmaData { get; init; } = 1;

    /// <summary>Mean of the noise level's logarithm while training.</summary>
    [Source("Karras et al. 2022: -1.2")]
    public double SigmaLogMean { get; init; } = -1.2;

    /// <summary>Its standard deviation.</summary>
    [Source("Karras et al. 2022: 1.2"), AtLeast(0)]
    public double SigmaLogStd { get; init; } = 1.2;

    /// <summary>Learning rate.</summary>
    [Source("Lu et al. 2023: 3e-4"), Above(0)]
    public double LearningRate { get; init; } = 3e-4;

    /// <summary>How it goes on; cosine: to 0 over cosine_decay_updates.</summary>
    [Source("Lu et al. 2023: cosine")]
    public LearningRateSchedule LearningRateSchedule { get; init; } = LearningRateSchedule.Cosine;

    /// <summary>Updates of that fall.</summary>
    [Source("Lu et al. 2023: as many as are trained, 100,000"), AtLeast(1)]
    public int CosineDecayUpdates { get; init; } = 100_000;

    /// <summary>Gradients are scaled to at most this norm; 0: they are not.</summary>
    [Source("Lu et al. 2023: 1"), AtLeast(0)]
    public double MaxGradientNorm { get; init; } = 1;

    /// <summary>Added to the norm.</summary>
    [Source("PyTorch: 1e-6"), AtLeast(0)]
    public double GradientNormEpsilon { get; init; } = 1e-6;

    /// <summary>What is kept, when it moves, of a slow copy of the network, which then is what is sampled; null: there is none.</summary>
    [Source("conglu1997/SynthER: 0.995 in its trainer; its recorded updates have none"), Within(0, 1)]
    public double? EmaDecay { get; init; }

    /// <summary>It moves every so many updates.</summary>
    [Source("conglu1997/SynthER: 10"), AtLeast(1)]
    public int EmaEvery { get; init; } = 10;

    /// <summary>Noise levels from noise to a row.</summary>
    [Source("Lu et al. 2023: 128"), AtLeast(1)]
    public int SampleSteps { get; init; } = 128;

    /// <summary>The smallest noise level.</summary>
    [Source("Karras et al. 2022: 0.002"), Above(0)]
    public double SigmaMin { get; init; } = 0.002;

    /// <summary>The largest.</summary>
    [Source("Karras et al. 2022: 80"), Above(0)]
    public double SigmaMax { get; init; } = 80;

    /// <summary>How much small levels are favoured.</summary>
    [Source("Karras et al. 2022: 7"), Above(0)]
    public double Rho { get; init; } = 7;

    /// <summary>How much noise is added again on the way.</summary>
    [Source("Lu et al. 2023: 80"), AtLeast(0)]
    public double Churn { get; init; } = 80;

    /// <summary>At levels from this one on.</summary>
    [Source("Lu et al. 2023: 0.05"), AtLeast(0)]
    public double ChurnSigmaMin { get; init; } = 0.05;

    /// <summary>Up to this one.</summary>
    [Source("Lu et al. 2023: 50"), AtLeast(0)]
    public double ChurnSigmaMax { get; init; } = 50;

    /// <summary>Factor of that noise.</summary>
    [Source("Lu et al. 2023: 1.003"), AtLeast(0)]
    public double ChurnNoise { get; init; } = 1.003;

    /// <summary>Noise levels from noise to an action, without churn.</summary>
    [AtLeast(1)]
    public int ActingSteps { get; init; } = 16;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(SigmaMin < SigmaMax, "sigma_min", SigmaMin, $"below sigma_max={SigmaMax}");
        try { Activations.Named(Activation); }
        catch (ArgumentException e) { throw new SettingsException($"activation={Activation}: {e.Message}"); }
    }
}

/// <summary>
/// SynthER (Lu et al. 2023, "Synthetic Experience Replay", arXiv 2303.06614; reference: conglu1997/SynthER): a diffusion model of whole transitions (observation, action, reward, next observation, terminal), whose samples are a dataset for other
/// algorithms: <c>engine sample</c> writes it. The loss is that of Karras et al. 2022 (<see cref="Edm"/>) on standardised rows, log sigma normal. As a policy it fills in the rest of a row whose observation is known, and takes the action.
/// </summary>
public sealed class Synther : Algorithm
{
    private readonly SyntherSettings _settings;
    private readonly Edm _edm;
    private readonly ResidualMlp _network, _sampled;
    private readonly AdamOptimiser _optimiser;
    private readonly Variable? _mean, _std;
    private readonly int _size;

    /// <summary>Creates the network.</summary>
    public Synther(AlgorithmContext context, SyntherSettings settings) : base(context, settings)
    {
        (_settings, _edm, _size) = (settings, new Edm(settings.SigmaData), TransitionRows.Width(context.Spaces));
        var sizes = new ResidualMlpSettings(settings.InputWidth, settings.Width, settings.Blocks, settings.FourierFeatures) { Activation = Activations.Named(settings.Activation) };
        _network = _sampled = new ResidualMlp(Parameters["net"], _size, sizes);
        if (settings.EmaDecay is not null) Targets.Copy(context.State, _network, _sampled = new ResidualMlp(Parameters["ema_net"], _size, sizes, like: _network));
        Schedule rate = settings.LearningRateSchedule == LearningRateSchedule.Cosine ? new CosineSchedule(settings.LearningRate, settings.CosineDecayUpdates) : settings.LearningRate;
        _optimiser = new AdamOptimiser(context.State, "net", _network, settings.Adam(rate) with { MaxGradientNorm = settings.MaxGradientNorm > 0 ? settings.MaxGradientNorm : null, GradientNormEpsilon = settings.GradientNormEpsilon });
        if (!settings.NormalizeRows) return;
        Variable Statistic(string name, float value) => context.State.Add(name, [_size], Enumerable.Repeat(value, _size).ToArray(), VariableKind.State);
        (_mean, _std) = (Statistic("normalizer.mean", 0), Statistic("normalizer.std", 1));
    }

    /// <inheritdoc/>
    public override IReadOnlyList<Stage> Stages => [new Stage("train", null, Update) { Draws = [new(new TransitionRows())], Duties = _mean is null ? [] : [new RowStatistics(_mean, _std!, 1e-5, TransitionRows.Order)], Periods = _settings.EmaDecay is null ? [] : [SlowUpdates] }];

    private Period SlowUpdates => new(_settings.EmaEvery, 0);

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var rows = b["rows"];
        var logSigma = b.Graph.Random.Normal("sigma", [rows.Shape[0]]) * _settings.SigmaLogStd + _settings.SigmaLogMean;
        var noise = b.Graph.Random.Normal("denoising", rows.Shape);
        var loss = _edm.Loss(Standardised(rows), logSigma, noise, (x, time) => _network.Apply(x, _network.Embed(DiffusionTimes.Of(time)), null));
        Report("loss", loss);
        if (_optimiser.Minimise(loss) is { } norm) Report("gradient_norm", norm);
        if (_settings.EmaDecay is { } decay && Due(SlowUpdates)) Targets.Polyak(b.Graph, _network, _sampled, 1 - decay);
    }

    /// <summary>Rows, and their parts by the names of a dataset's columns.</summary>
    protected override void Sample(Sampling s)
    {
        double[] sigmas = Sigmas(_settings.SampleSteps);
        var sampler = _edm.Heun(sigmas, _settings.Churn, (_settings.ChurnSigmaMin, _settings.ChurnSigmaMax), _settings.ChurnNoise);
        var draws = sampler.DrawsUsed == 0 ? null : s.Normal("steps", [sampler.Draws, s.Rows, _size]);
        var rows = Raw(Follow(sampler, s.Normal("initial", [s.Rows, _size]) * sigmas[0], k => draws!.At(0, k)));
        s.Report("sample", rows);
        s.Report("sample_sigmas", s.Graph.Constant(TensorType.Float([sigmas.Length]), sigmas));
        foreach (var (column, values) in TransitionRows.Of(rows, Context.Spaces)) s.Report(column, values);
    }

    /// <inheritdoc/>
    protected override Tensor Act(Acting a)
    {
        double[] sigmas = Sigmas(_settings.ActingSteps);
        var sampler = _edm.Heun(sigmas);
        int known = Context.ObservationSize;
        // The observation at every level: as it is, with that level's share of one draw.
        var observation = Tensor.Concat(-1, a.Observations, a.Graph.Constant(TensorType.Float([a.Rows, _size - known]), 0));
        var target = Standardised(observation).Slice(1, 0, known);
        var noise = a.Normal("known", known);
        Tensor Revise(Tensor x, int step)
        {
            double level = step < sampler.Times.Count ? sampler.Times[step] : 0;
            return Tensor.Concat(-1, level == 0 ? target : target + noise * level, x.Slice(1, known, _size - known));
        }
        var rows = Raw(Follow(sampler, a.Normal("initial", _size) * sigmas[0], _ => throw new InvalidOperationException("nothing is drawn on the way"), Revise));
        return rows.Slice(1, known, Context.ActionSize).Clip(-1, 1);
    }

    private double[] Sigmas(int count) => Edm.Sigmas(count, _settings.SigmaMin, _settings.SigmaMax, _settings.Rho);

    private Tensor Follow(Sampler sampler, Tensor start, Func<int, Tensor> draw, Func<Tensor, int, Tensor>? revise = null) =>
        sampler.Run(start, _edm.Scaled(sampler, _sampled.At(start.Graph, Edm.TimesOf(sampler), null)), draw, revise);

    private Tensor Standardised(Tensor rows) => _mean is null ? rows : (rows - rows.Graph.Read(_mean)) / rows.Graph.Read(_std!);

    private Tensor Raw(Tensor rows) => _mean is null ? rows : rows * rows.Graph.Read(_std!) + rows.Graph.Read(_mean);
}
