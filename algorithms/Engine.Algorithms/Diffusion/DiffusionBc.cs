using Engine.Algorithms.Batches;
using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Algorithms.ValueBased;
using Engine.Autodiff;
using Engine.Nn;
using Engine.Nn.Diffusion;

namespace Engine.Algorithms.Diffusion;

/// <summary>Hyper-parameters of behaviour cloning by denoising: Diffusion Policy's, with IDQL's network in the place of a U-Net.</summary>
public sealed record DiffusionBcSettings : ContinuousSettings, IResNetPolicy
{
    /// <summary>The paper's optimiser; observations normalised, as DiffClone does.</summary>
    public DiffusionBcSettings() => (AdamBeta1, WeightDecay, NormalizeObservations) = (0.95, 1e-6, true);

    /// <summary>Learning rate.</summary>
    [Source("Chi et al. 2023: 1e-4"), Above(0)]
    public double ActorLearningRate { get; init; } = 1e-4;

    /// <summary>How it goes on; cosine: to 0 over actor_cosine_decay_updates.</summary>
    [Source("Chi et al. 2023: cosine")]
    public LearningRateSchedule ActorLearningRateSchedule { get; init; } = LearningRateSchedule.Cosine;

    /// <summary>Updates of that fall.</summary>
    [Source("Chi et al. 2023: as many as are trained"), AtLeast(1)]
    public int ActorCosineDecayUpdates { get; init; } = 100_000;

    /// <inheritdoc/>
    [Source("Chi et al. 2023: 100"), AtLeast(1)]
    public int DiffusionSteps { get; init; } = 100;

    /// <summary>Steps of DDIM from noise to actions; null: all diffusion_steps of DDPM.</summary>
    [Source("Chi et al. 2023: 8 of 100, or all"), AtLeast(1)]
    public int? SampleSteps { get; init; } = 8;

    /// <inheritdoc/>
    [Source("Chi et al. 2023: squared cosine")]
    public BetaSchedule BetaSchedule { get; init; } = BetaSchedule.Cosine;

    /// <inheritdoc/>
    [Source("Xiao et al. 2022: 0.1"), Above(0)]
    public double VpBetaMin { get; init; } = 0.1;

    /// <inheritdoc/>
    [Source("Wang et al. 2023: 10"), Above(0)]
    public double VpBetaMax { get; init; } = 10;

    /// <inheritdoc/>
    [Source("Hansen-Estruch et al. 2023: 64"), AtLeast(4)]
    public int TimeEmbeddingSize { get; init; } = 64;

    /// <inheritdoc/>
    [Source("Hansen-Estruch et al. 2023: 3"), AtLeast(0)]
    public int Blocks { get; init; } = 3;

    /// <inheritdoc/>
    [Source("Hansen-Estruch et al. 2023: 256"), AtLeast(1)]
    public int BlockWidth { get; init; } = 256;

    /// <inheritdoc/>
    [Source("flax: 1e-6"), AtLeast(0)]
    public double LayerNormEpsilon { get; init; } = 1e-6;

    /// <inheritdoc/>
    [AtLeast(0)]
    public double ActorDropout { get; init; }

    /// <summary>What is kept of the slow policy, which acts, at an update.</summary>
    [Source("Chi et al. 2023: up to 0.9999; Hansen-Estruch et al. 2023: 0.999"), Within(0, 1)]
    public double EmaDecay { get; init; } = 0.999;

    /// <summary>Actions planned at once.</summary>
    [Source("Chi et al. 2023: 16"), AtLeast(1)]
    public int Chunk { get; init; } = 16;

    /// <summary>Actions of a plan that are carried out before the next plan; null: all.</summary>
    [Source("Chi et al. 2023: 8"), AtLeast(1)]
    public int? Execute { get; init; } = 8;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        this.ValidatePolicy();
        Require(SampleSteps is null || SampleSteps <= DiffusionSteps, "sample_steps", SampleSteps ?? 0, $"at most diffusion_steps={DiffusionSteps}");
        Require(Execute is null || Execute <= Chunk, "execute", Execute ?? 0, $"at most chunk={Chunk}");
    }
}

/// <summary>
/// Behaviour cloning by denoising (Chi et al. 2023, "Diffusion Policy", arXiv 2303.04137; DiffClone, Mani et al. 2024, arXiv 2401.09243, is this on the best trajectories: <c>--trajectories best=SHARE</c>): a chunk of actions is made of noise, given the observation, and its first actions are
/// carried out before the next. Loss: |network - noise|², actions after the end of a trajectory left out. It has as many ways to act as the data, and draws whether asked to or not.
/// </summary>
public sealed class DiffusionBc : Algorithm
{
    private readonly DiffusionBcSettings _settings;
    private readonly DiffusionPolicy _actor, _slowActor;
    private readonly AdamOptimiser _optimiser;

    /// <summary>Creates the networks.</summary>
    public DiffusionBc(AlgorithmContext context, DiffusionBcSettings settings) : base(context, settings)
    {
        _settings = settings;
        var sampler = settings.SampleSteps is { } steps ? Samplers.Ddim(settings.NoiseSchedule(), Prediction.Noise, steps, bound: settings.MaxAction) : null;
        DiffusionPolicy Create(string name) => settings.CreatePolicy(Parameters[name], context, settings.Chunk, sampler);
        (_actor, _slowActor) = (Create("actor"), Create("ema_actor"));
        Targets.Copy(context.State, _actor, _slowActor);
        _optimiser = new AdamOptimiser(context.State, "actor", _actor, settings.Adam(settings.ActorRate()));
    }

    /// <inheritdoc/>
    public override IReadOnlyList<Stage> Stages => [new("train", null, Update) { Draws = [new(new Chunks(_settings.Chunk))] }];

    /// <inheritdoc/>
    public override (int Planned, int Executed) ActionHorizon => (_settings.Chunk, _settings.Execute ?? _settings.Chunk);

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => _slowActor.Sample(a, 1).Clip(-_settings.MaxAction, _settings.MaxAction).Reshape(a.Rows, _settings.Chunk, -1);

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var error = _actor.Denoise(b.Observations, b.Actions.Reshape(b.Rows, -1)).Error;
        var loss = (error.Reshape(b.Actions.Shape) * b["valid"].Expand(-1)).Mean();
        Report("actor_loss", loss);
        _optimiser.Minimise(loss);
        Targets.Polyak(b.Graph, _actor, _slowActor, 1 - _settings.EmaDecay);
    }
}
