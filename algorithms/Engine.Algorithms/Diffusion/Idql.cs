using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Algorithms.ValueBased;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Nn;

namespace Engine.Algorithms.Diffusion;

/// <summary>Hyper-parameters of IDQL.</summary>
public sealed record IdqlSettings : DiffusionSettings, IResNetPolicy
{
    /// <summary>The reference's: a large batch, two hidden layers, weight decay of the policy.</summary>
    public IdqlSettings() => (BatchSize, HiddenSizes, TimeEmbeddingSize, CriticLossReduction, WeightDecay) = (512, [256, 256], 64, Reduction.Mean, 1e-4);

    /// <summary>Expectile of Q over the data's actions that the value network learns.</summary>
    [Source("Hansen-Estruch et al. 2023: 0.7; antmaze 0.9"), Between(0, 1)]
    public double Expectile { get; init; } = 0.7;

    /// <summary>Learning rate of the value network.</summary>
    [Source("Hansen-Estruch et al. 2023: 3e-4"), Above(0)]
    public double ValueLearningRate { get; init; } = 3e-4;

    /// <summary>Layer normalisation of the value network's input.</summary>
    [Source("philippe-eecs/IDQL: none on locomotion")]
    public bool ValueLayerNorm { get; init; }

    /// <summary>Epsilon of layer normalisation, there and in the policy's blocks.</summary>
    [Source("flax: 1e-6"), AtLeast(0)]
    public double LayerNormEpsilon { get; init; } = 1e-6;

    /// <summary>Residual blocks of the policy's network.</summary>
    [Source("Hansen-Estruch et al. 2023: 3"), AtLeast(0)]
    public int Blocks { get; init; } = 3;

    /// <summary>Their width; four times that inside.</summary>
    [Source("Hansen-Estruch et al. 2023: 256"), AtLeast(1)]
    public int BlockWidth { get; init; } = 256;

    /// <summary>Share of a block's input dropped while training.</summary>
    [Source("ddpm_iql: 0.1; ddpm_iql_simple, which is the reference here: 0"), AtLeast(0)]
    public double ActorDropout { get; init; }

    /// <summary>How the policy's learning rate goes on; cosine: to 0 over actor_cosine_decay_updates.</summary>
    [Source("Hansen-Estruch et al. 2023: cosine")]
    public LearningRateSchedule ActorLearningRateSchedule { get; init; } = LearningRateSchedule.Cosine;

    /// <summary>Updates of that fall.</summary>
    [Source("Hansen-Estruch et al. 2023: as many as are trained, 3,000,000"), AtLeast(1)]
    public int ActorCosineDecayUpdates { get; init; } = 3_000_000;

    /// <summary>What is kept of the slow policy, which acts, at an update.</summary>
    [Source("Hansen-Estruch et al. 2023: 0.999"), Within(0, 1)]
    public double EmaDecay { get; init; } = 0.999;

    /// <summary>Actions that are drawn to choose one of.</summary>
    [Source("Hansen-Estruch et al. 2023: 16, 64 or 256"), AtLeast(1)]
    public int SampledActions { get; init; } = 64;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        this.ValidatePolicy();
    }

    /// <summary>The policy alone has weight decay.</summary>
    public override AdamSettings CriticAdam() => Adam(CriticLearningRate) with { WeightDecay = 0 };
}

/// <summary>
/// IDQL (Hansen-Estruch et al. 2023, "IDQL: Implicit Q-Learning as an Actor-Critic Method with Diffusion Policies", arXiv 2304.10573; reference: philippe-eecs/IDQL, ddpm_iql_simple): IQL's critics, and a denoising policy that imitates and knows nothing of
/// them. The policy minimises the mean over the batch of |network - noise|²; value network and critics as IQL. It acts by drawing several actions and taking the best; in the mode that draws, one with weight expectile where min Q' > V, else 1 - expectile.
/// </summary>
public sealed class Idql : ActorCritic
{
    private readonly IdqlSettings _settings;
    private readonly DiffusionPolicy _actor, _slowActor;
    private readonly LayerNormLayer? _valueNorm;
    private readonly Mlp _value;
    private readonly AdamOptimiser _actorOptimiser, _valueOptimiser;

    /// <summary>Creates the networks.</summary>
    public Idql(AlgorithmContext context, IdqlSettings settings) : base(context, settings)
    {
        _settings = settings;
        (_actor, _slowActor) = (settings.CreatePolicy(Parameters["actor"], context), settings.CreatePolicy(Parameters["ema_actor"], context));
        Targets.Copy(context.State, _actor, _slowActor);
        _actorOptimiser = new AdamOptimiser(context.State, "actor", _actor, settings.Adam(settings.ActorRate()));
        _valueNorm = settings.ValueLayerNorm ? new LayerNormLayer(Parameters["value"]["norm0"], context.ObservationSize, settings.LayerNormEpsilon) : null;
        _value = new Mlp(Parameters["value"], context.ObservationSize, 1, settings.Network());
        _valueOptimiser = new AdamOptimiser(context.State, "value", _valueNorm is null ? _value : new Modules(_value, _valueNorm), settings.Adam(settings.ValueLearningRate) with { WeightDecay = 0 });
    }

    /// <inheritdoc/>
    protected override Tensor Act(Acting a)
    {
        var actions = _slowActor.Sample(a, _settings.SampledActions);
        var q = TargetCritics.QOfEach(a.Observations, actions).Min(0);
        if (a.Mode == Mode.Sample) q = (q > Value(a.Observations).Expand(-1)).Cast(DType.F32) * Math.Log(_settings.Expectile / (1 - _settings.Expectile)); // logits of the two weights
        return Choice.Take(actions, Choice.Of(a, q));
    }

    /// <summary>Several actions at a state, their values, and the best.</summary>
    protected override void Sample(Sampling s)
    {
        var observations = s.State();
        int n = _settings.SampledActions;
        var draws = s.Normal("steps", [_settings.DiffusionSteps, s.Rows, n, Context.ActionSize]);
        var actions = _slowActor.Sample(observations, s.Normal("initial", [s.Rows, n, Context.ActionSize]), k => draws.At(0, k));
        var q = TargetCritics.QOfEach(observations, actions).Min(0);
        s.Report("samples", actions);
        s.Report("sample_values", q);
        s.Report("action", Choice.Take(actions, q.ArgMax(-1)));
    }

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var actorLoss = _actor.Denoise(b.Observations, b.Actions).Error.Sum(-1).Mean();
        Report("actor_loss", actorLoss);
        _actorOptimiser.Minimise(actorLoss);
        Targets.Polyak(b.Graph, _actor, _slowActor, 1 - _settings.EmaDecay);

        var difference = TargetCritics.Q(b.Observations, b.Actions).Min(0).StopGradient() - Value(b.Observations);
        var valueLoss = Losses.Expectile(difference, _settings.Expectile).Mean();
        Report("value_loss", valueLoss);
        _valueOptimiser.Minimise(valueLoss);

        CriticOptimiser.Minimise(CriticLoss(b, Target(b, Value(b.NextObservations))));
        UpdateTargetCritics(b.Graph);
    }

    private Tensor Value(Tensor observations) => _value.Apply(_valueNorm is null ? observations : _valueNorm.Apply(observations)).Squeeze(-1);
}
