using Engine.Algorithms.Networks;
using Engine.Algorithms.Online;
using Engine.Algorithms.Policies;
using Engine.Algorithms.ValueBased;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.Diffusion;

/// <summary>Hyper-parameters of EXPO: RLPD's data and critics, IDQL's policy, and a policy of edits.</summary>
public sealed record ExpoSettings : RlpdSettings, IResNetPolicy
{
    /// <summary>The reference's: three hidden layers, weight decay of the denoising policy, no entropy in the targets.</summary>
    public ExpoSettings() => (HiddenSizes, WeightDecay, BackupEntropy) = ([256, 256, 256], 1e-4, false);

    /// <summary>Updates on offline data before the first step of the environment, which train the denoising policy alone; 0: none.</summary>
    [Source("Dong et al. 2025: 500,000"), AtLeast(0)]
    public int OfflineSteps { get; init; } = 500_000;

    /// <summary>Actions that the denoising policy proposes.</summary>
    [Source("Dong et al. 2025: 8"), AtLeast(1)]
    public int SampledActions { get; init; } = 8;

    /// <summary>The first so many of them are edited as well; 0: none, and no edit policy takes part.</summary>
    [Source("Dong et al. 2025: 8"), AtLeast(0)]
    public int EditedActions { get; init; } = 8;

    /// <summary>How far an edit reaches.</summary>
    [Source("Dong et al. 2025: 0.05; adroit pen 0.7"), Above(0)]
    public double EditScale { get; init; } = 0.05;

    /// <inheritdoc/>
    [Source("Dong et al. 2025: 10"), AtLeast(1)]
    public int DiffusionSteps { get; init; } = 10;

    /// <inheritdoc/>
    [Source("Dong et al. 2025: vp")]
    public BetaSchedule BetaSchedule { get; init; } = BetaSchedule.Vp;

    /// <inheritdoc/>
    [Source("Xiao et al. 2022: 0.1"), Above(0)]
    public double VpBetaMin { get; init; } = 0.1;

    /// <inheritdoc/>
    [Source("Wang et al. 2023: 10"), Above(0)]
    public double VpBetaMax { get; init; } = 10;

    /// <inheritdoc/>
    [Source("Dong et al. 2025: 128"), AtLeast(4)]
    public int TimeEmbeddingSize { get; init; } = 128;

    /// <inheritdoc/>
    [Source("Dong et al. 2025: 3"), AtLeast(0)]
    public int Blocks { get; init; } = 3;

    /// <inheritdoc/>
    [Source("Dong et al. 2025: 256"), AtLeast(1)]
    public int BlockWidth { get; init; } = 256;

    /// <inheritdoc/>
    [Source("Dong et al. 2025: 0"), AtLeast(0)]
    public double ActorDropout { get; init; }

    /// <summary>How the learning rates of both policies go on; cosine: to 0 over actor_cosine_decay_updates.</summary>
    [Source("Dong et al. 2025: cosine")]
    public LearningRateSchedule ActorLearningRateSchedule { get; init; } = LearningRateSchedule.Cosine;

    /// <inheritdoc/>
    [Source("Dong et al. 2025: 3,000,000"), AtLeast(1)]
    public int ActorCosineDecayUpdates { get; init; } = 3_000_000;

    /// <summary>What is kept of the slow denoising policy, which acts, at an update.</summary>
    [Source("Dong et al. 2025: 0.999"), Within(0, 1)]
    public double EmaDecay { get; init; } = 0.999;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        this.ValidatePolicy();
        Require(EditedActions <= SampledActions, "edited_actions", EditedActions, $"at most sampled_actions={SampledActions}");
        Require(OfflineSteps == 0 || OfflineShare > 0, "offline_share", OfflineShare, $"above 0, or offline_steps=0 (it is {OfflineSteps})");
    }

    /// <summary>The denoising policy alone has weight decay.</summary>
    public override AdamSettings CriticAdam() => Adam(CriticLearningRate) with { WeightDecay = 0 };
}

/// <summary>
/// EXPO (Dong et al. 2025, "EXPO: Stable Reinforcement Learning with Expressive Policies", arXiv 2507.07986; reference: pd-perry/EXPO): a denoising policy imitates all data; a small policy of edits moves its actions uphill; of base and edited
/// actions the best by the critics is taken, when acting and in targets. No gradient of Q passes a chain of denoising steps.
/// </summary>
public sealed class Expo : ActorCritic
{
    private readonly ExpoSettings _settings;
    private readonly DiffusionPolicy _actor, _slowActor;
    private readonly TanhGaussianActor _edit;
    private readonly AdamOptimiser _actorOptimiser, _editOptimiser;
    private readonly Temperature _temperature;

    /// <summary>Creates the networks.</summary>
    public Expo(AlgorithmContext context, ExpoSettings settings) : base(context, settings)
    {
        _settings = settings;
        (_actor, _slowActor) = (settings.CreatePolicy(Parameters["actor"], context), settings.CreatePolicy(Parameters["ema_actor"], context));
        Targets.Copy(context.State, _actor, _slowActor);
        _actorOptimiser = new AdamOptimiser(context.State, "actor", _actor, settings.Adam(settings.ActorRate()));
        _edit = new TanhGaussianActor(Parameters["edit"], context.ObservationSize + context.ActionSize, context.ActionSize, new TanhGaussianSettings { Trunk = settings.Network(), LogStd = (settings.LogStdMin, settings.LogStdMax) });
        _editOptimiser = new AdamOptimiser(context.State, "edit", _edit, settings.Adam(settings.ActorRate()) with { WeightDecay = 0 });
        _temperature = new Temperature(Parameters, settings.TargetEntropy ?? -0.5 * context.ActionSize, settings.Adam(settings.TemperatureLearningRate) with { WeightDecay = 0 });
    }

    /// <inheritdoc/>
    public override IReadOnlyList<Stage> Stages =>
    [
        .. _settings.OfflineSteps > 0 ? new[] { new Stage("offline", _settings.OfflineSteps, Imitate) } : [],
        .. _settings.Online(Context, _settings.Draws(), Update, _settings.OfflineSteps > 0 ? Mode.Sample : null),
    ];

    /// <summary>The best of base and edited actions by the target critics: their mean less standard deviation / sqrt(pi), which for normal values is the expectation of what the reference takes, the minimum of a random pair.</summary>
    protected override Tensor Act(Acting a)
    {
        var actions = _slowActor.Sample(a, _settings.SampledActions);
        if (_settings.EditedActions > 0) actions = WithEdits(a.Observations, actions, a.Normal("edits", _settings.EditedActions, Context.ActionSize));
        var q = TargetCritics.QOfEach(a.Observations, actions);
        var mean = q.Mean(0);
        var score = mean - ((q - mean).Square().Mean(0) / Math.PI).Sqrt();
        return Choice.Take(actions, score.ArgMax(-1)).Clip(-_settings.MaxAction, _settings.MaxAction);
    }

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var random = b.Graph.Random;
        int rows = _settings.BatchSize / _settings.UtdRatio;
        var actions = _actor.Sample(b.NextObservations, "base", _settings.SampledActions);
        if (_settings.EditedActions > 0) actions = WithEdits(b.NextObservations, actions, random.Normal("edit_target", [b.Rows, _settings.EditedActions, Context.ActionSize]));
        Tensor? Subsets(string name) => _settings.TargetSubset is { } count ? random.Choice(name, _settings.UtdRatio, count, _settings.Critics) : null;
        var (choosing, valuing) = (Subsets("choice_subset"), Subsets("subset"));
        for (int i = 0; i < _settings.UtdRatio; i++)
        {
            int slice = i;
            Tensor Least(Tensor q, Tensor? subsets) => (subsets is null ? q : q.Gather(subsets.At(0, slice))).Min(0);
            var part = b.Slice(i * rows, rows);
            var candidates = actions.Slice(0, i * rows, rows);
            var best = Choice.Take(candidates, Least(TargetCritics.QOfEach(part.NextObservations, candidates), choosing).ArgMax(-1));
            CriticOptimiser.Minimise(CriticLoss(part, Target(part, Least(TargetCritics.Q(part.NextObservations, best), valuing))));
            UpdateTargetCritics(b.Graph);
        }
        var last = b.Slice(b.Rows - rows, rows);
        Imitate(last);
        if (_settings.EditedActions > 0) UpdateEdits(last);
    }

    /// <summary>The denoising policy: |network - noise|² summed over an action.</summary>
    private void Imitate(Batch b)
    {
        var loss = _actor.Denoise(b.Observations, b.Actions).Error.Sum(-1).Mean();
        Report("actor_loss", loss);
        _actorOptimiser.Minimise(loss);
        Targets.Polyak(b.Graph, _actor, _slowActor, 1 - _settings.EmaDecay);
    }

    /// <summary>Edits of the data's actions, as SAC: temperature log density - the critics' mean; a density of scaled edits.</summary>
    private void UpdateEdits(Batch b)
    {
        var (edit, logProb) = _edit.Sample(Tensor.Concat(-1, b.Observations, b.Actions), "edit");
        logProb -= Context.ActionSize * Math.Log(_settings.EditScale);
        var loss = (_temperature.Value(b.Graph) * logProb - Critics.Q(b.Observations, b.Actions + _settings.EditScale * edit).Mean(0)).Mean();
        Report("edit_loss", loss);
        _editOptimiser.Minimise(loss);

        var entropy = -logProb.Mean().StopGradient();
        Report("entropy", entropy);
        _temperature.Minimise(_temperature.LossOfEntropy(entropy));
    }

    /// <summary>Actions [B, n, A] and, after them, the first m edited: [B, n + m, A]. They are not clipped, as in the reference.</summary>
    private Tensor WithEdits(Tensor observations, Tensor actions, Tensor noise)
    {
        int rows = actions.Shape[0], m = noise.Shape[1];
        var first = actions.Slice(1, 0, m);
        var inputs = Tensor.Concat(-1, observations.Expand(1).BroadcastTo([rows, m, observations.Shape[1]]), first).Reshape(rows * m, -1);
        var edit = _edit.Sample(_edit.At(inputs), noise.Reshape(rows * m, -1)).Action;
        return Tensor.Concat(1, actions, first + _settings.EditScale * edit.Reshape(first.Shape));
    }
}
