using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Nn;
using Engine.Nn.Diffusion;

namespace Engine.Algorithms.Diffusion;

/// <summary>How EDP's policy is improved.</summary>
public enum EdpLoss
{
    /// <summary>It maximises a value of its own action, as TD3+BC.</summary>
    Td3,
    /// <summary>It imitates actions the more, the better they are, as IQL.</summary>
    Iql,
}

/// <summary>How EDP draws the actions of its targets.</summary>
public enum EdpSampler
{
    /// <summary>All steps of the chain.</summary>
    Ddpm,
    /// <summary>DPM-Solver of third order.</summary>
    Dpm,
}

/// <summary>Hyper-parameters of EDP.</summary>
public sealed record EdpSettings : DiffusionSettings
{
    /// <summary>The paper's: many steps, mish.</summary>
    public EdpSettings() => (DiffusionSteps, Activation) = (1000, "mish");

    /// <summary>Activation of critics and value network.</summary>
    [Source("Kang et al. 2023: mish")]
    public string CriticActivation { get; init; } = "mish";

    /// <summary>Layer normalisation in the policy's network.</summary>
    [Source("sail-sg/edp: none")]
    public bool ActorLayerNorm { get; init; }

    /// <summary>Layer normalisation in critics and value network.</summary>
    [Source("sail-sg/edp: none")]
    public bool CriticLayerNorm { get; init; }

    /// <summary>Where it stands.</summary>
    [Source("sail-sg/edp: before the activation")]
    public LayerNormPosition LayerNormPosition { get; init; } = LayerNormPosition.BeforeActivation;

    /// <summary>Its epsilon.</summary>
    [Source("flax: 1e-6"), AtLeast(0)]
    public double LayerNormEpsilon { get; init; } = 1e-6;

    /// <summary>How the policy is improved.</summary>
    [Source("Kang et al. 2023: td3 on locomotion, iql on antmaze")]
    public EdpLoss Loss { get; init; } = EdpLoss.Td3;

    /// <summary>Of td3: weight of the value, before guide_weight.</summary>
    [Source("sail-sg/edp: 2"), AtLeast(0)]
    public double Alpha { get; init; } = 2;

    /// <summary>Of iql: weight of the denoising loss.</summary>
    [Source("sail-sg/edp: 1"), AtLeast(0)]
    public double DenoisingWeight { get; init; } = 1;

    /// <summary>Weight of the loss that improves the policy.</summary>
    [Source("sail-sg/edp: 1"), AtLeast(0)]
    public double GuideWeight { get; init; } = 1;

    /// <summary>Of iql: expectile of Q that the value network learns.</summary>
    [Source("Kostrikov et al. 2021: 0.7"), Between(0, 1)]
    public double Expectile { get; init; } = 0.7;

    /// <summary>Of iql: inverse temperature of the weights.</summary>
    [Source("Kostrikov et al. 2021: 3"), AtLeast(0)]
    public double Beta { get; init; } = 3;

    /// <summary>Of iql: those weights are cut here.</summary>
    [Source("Kostrikov et al. 2021: 100"), Above(0)]
    public double AdvantageWeightMax { get; init; } = 100;

    /// <summary>Of iql: learning rate of the value network.</summary>
    [Source("sail-sg/edp: 3e-4"), Above(0)]
    public double ValueLearningRate { get; init; } = 3e-4;

    /// <summary>How actions are drawn for targets, and to act.</summary>
    [Source("Kang et al. 2023: dpm")]
    public EdpSampler TargetSampler { get; init; } = EdpSampler.Dpm;

    /// <summary>Evaluations of the network for an action by dpm.</summary>
    [Source("Kang et al. 2023: 15"), AtLeast(1)]
    public int DpmSteps { get; init; } = 15;

    /// <summary>Targets take the best of several next actions, of each critic's own.</summary>
    [Source("sail-sg/edp: no")]
    public bool MaxQBackup { get; init; }

    /// <summary>So many.</summary>
    [Source("sail-sg/edp: 10"), AtLeast(1)]
    public int SampledActions { get; init; } = 10;

    /// <summary>The slow policy moves every so many updates.</summary>
    [Source("sail-sg/edp: 5"), AtLeast(1)]
    public int TargetActorPeriod { get; init; } = 5;

    /// <summary>It moves on updates of a number above this, counted from 1.</summary>
    [Source("sail-sg/edp: 1000"), AtLeast(0)]
    public int TargetActorStart { get; init; } = 1000;

    /// <summary>Updates that count as made before the first.</summary>
    [AtLeast(0)]
    public int UpdatesBefore { get; init; }

    /// <summary>Gradients of each network are scaled to at most this norm, every critic by itself; 0: they are not.</summary>
    [Source("sail-sg/edp: by dataset, 1 to 10"), AtLeast(0)]
    public double MaxGradientNorm { get; init; }

    /// <summary>Added to the norm.</summary>
    [Source("optax: 0"), AtLeast(0)]
    public double GradientNormEpsilon { get; init; }

    /// <summary>Actions that are drawn to choose one of.</summary>
    [Source("sail-sg/edp: 50"), AtLeast(1)]
    public int ActingSamples { get; init; } = 50;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        try { Activations.Named(CriticActivation); }
        catch (ArgumentException e) { throw new SettingsException($"critic_activation={CriticActivation}: {e.Message}"); }
        Require(Critics == 2 || Loss == EdpLoss.Iql, "critics", Critics, "2, of which one is drawn");
        Require(TargetSampler == EdpSampler.Ddpm || DiffusionSteps >= 2, "diffusion_steps", DiffusionSteps, "at least 2 with target_sampler=dpm");
    }

    /// <inheritdoc/>
    public override MlpSettings CriticNetwork() => (Network() with { Activation = Activations.Named(CriticActivation) }).WithLayerNorm(CriticLayerNorm, LayerNormPosition, LayerNormEpsilon);

    internal MlpSettings ActorNetwork() => Network().WithLayerNorm(ActorLayerNorm, LayerNormPosition, LayerNormEpsilon);

    /// <inheritdoc/>
    public override AdamSettings CriticAdam() => Clipped(CriticLearningRate) with { GradientNormPerMember = true };

    internal AdamSettings Clipped(double rate) => Adam(rate) with { MaxGradientNorm = MaxGradientNorm > 0 ? MaxGradientNorm : null, GradientNormEpsilon = GradientNormEpsilon };
}

/// <summary>
/// EDP (Kang et al. 2023, "Efficient Diffusion Policies for Offline Reinforcement Learning", arXiv 2305.20081; reference: sail-sg/edp): Diffusion-QL without a chain in the policy's loss. Its own action is approximated by the one that the denoising loss
/// predicts anyway, a0, in a single step, limited to the bounds; targets are drawn with a fast solver.
/// td3: the policy minimises the denoising loss - guide_weight alpha mean Q_c(s, a0) / mean|Q_c(s, a0)|, c drawn, and critics have targets of the slow policy's action;
/// iql: denoising_weight times the denoising loss + guide_weight mean w (|a - a0|² / 2 + A / 2 log(2 pi)), w = min(exp(beta (min Q' - V)), max), and critics have targets of V.
/// It acts as Diffusion-QL.
/// </summary>
public sealed class Edp : ActorCritic
{
    private readonly EdpSettings _settings;
    private readonly DiffusionPolicy _actor, _slowActor;
    private readonly Mlp? _value;
    private readonly AdamOptimiser _actorOptimiser;
    private readonly AdamOptimiser? _valueOptimiser;
    private readonly Period _slowUpdates;

    /// <summary>Creates the networks.</summary>
    public Edp(AlgorithmContext context, EdpSettings settings) : base(context, settings)
    {
        _settings = settings;
        var schedule = settings.NoiseSchedule();
        bool solver = settings.TargetSampler == EdpSampler.Dpm;
        var sampler = solver ? new DpmSolver(schedule, Prediction.Noise).Singlestep3(settings.DpmSteps) : Samplers.Ddpm(schedule, Prediction.Noise, settings.MaxAction);
        // The noise is limited so that the action in it stays within the bounds, at the whole step below the time.
        Tensor Limit(Tensor x, Tensor noise, double time)
        {
            var (ofState, ofOutput) = Prediction.Noise.SampleOf(schedule.Signal((int)time), schedule.Noise((int)time));
            var (low, high) = ((x * ofState - settings.MaxAction) * (-1 / ofOutput), (x * ofState + settings.MaxAction) * (-1 / ofOutput));
            return noise.Maximum(low).Minimum(high);
        }
        DiffusionPolicy Create(string name) => new(new MlpDenoiser(Parameters[name], context.ActionSize, context.ObservationSize, settings.TimeEmbeddingSize, settings.ActorNetwork(), DenoiserInputs.ConditionStateTime), context.ActionSize, schedule, Prediction.Noise, sampler, solver ? Limit : null);
        (_actor, _slowActor) = (Create("actor"), Create("target_actor"));
        Targets.Copy(context.State, _actor, _slowActor);
        _actorOptimiser = new AdamOptimiser(context.State, "actor", _actor, settings.Clipped(settings.ActorLearningRate));
        int every = settings.TargetActorPeriod, before = settings.UpdatesBefore + 1; // update k is number k + before
        _slowUpdates = new Period(every, (every - before % every) % every, Math.Max(0, settings.TargetActorStart + 1 - before));
        if (settings.Loss == EdpLoss.Td3) return;
        _value = new Mlp(Parameters["value"], context.ObservationSize, 1, settings.CriticNetwork());
        _valueOptimiser = new AdamOptimiser(context.State, "value", _value, settings.Clipped(settings.ValueLearningRate));
    }

    /// <inheritdoc/>
    public override IReadOnlyList<Stage> Stages => [new Stage("train", null, Update) { Periods = [_slowUpdates] }];

    /// <inheritdoc/>
    protected override Tensor Act(Acting a)
    {
        var actions = _actor.Sample(a, _settings.ActingSamples).Clip(-_settings.MaxAction, _settings.MaxAction);
        return Choice.Take(actions, Choice.Of(a, TargetCritics.QOfEach(a.Observations, actions).Min(0)));
    }

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        if (_settings.Loss == EdpLoss.Td3) Td3(b);
        else Iql(b);
        UpdateTargetCritics(b.Graph);
        if (Due(_slowUpdates)) Targets.Polyak(b.Graph, _actor, _slowActor, _settings.TargetUpdateRate);
    }

    /// <summary>All losses come from the parameters before the update.</summary>
    private void Td3(Batch b)
    {
        var next = _slowActor.Sample(b.NextObservations, "target", _settings.MaxQBackup ? _settings.SampledActions : null);
        var nextValues = _settings.MaxQBackup ? TargetCritics.QOfEach(b.NextObservations, next.Clip(-_settings.MaxAction, _settings.MaxAction)).Max(-1) : TargetCritics.Q(b.NextObservations, next);
        var target = Target(b, nextValues.Min(0));
        Report("target_mean", target.Mean());
        var criticLoss = CriticLoss(b, target);

        var (denoising, action) = Denoise(b);
        var q = Critics.Q(b.Observations, action);
        var chosen = Tensor.Select(b.Graph.Random.Uniform("critic_choice", [1]) > 0.5, q.At(0, 0), q.At(0, 1)); // above and below, unlike Diffusion-QL
        var guide = -_settings.Alpha * chosen.Mean() / chosen.Abs().Mean().StopGradient();
        var actorLoss = ReportActorLoss(denoising, guide, denoising + _settings.GuideWeight * guide);
        CriticOptimiser.Minimise(criticLoss);
        _actorOptimiser.Minimise(actorLoss);
    }

    private void Iql(Batch b)
    {
        var q = TargetCritics.Q(b.Observations, b.Actions).Min(0).StopGradient();
        var valueLoss = Losses.Expectile(q - Value(b.Observations), _settings.Expectile).Mean();
        Report("value_loss", valueLoss);
        _valueOptimiser!.Minimise(valueLoss);

        var weight = ((q - Value(b.Observations)) * _settings.Beta).Exp().Minimum(_settings.AdvantageWeightMax).StopGradient();
        var (denoising, action) = Denoise(b);
        // Minus the log density of the action in a normal of standard deviation 1 around the approximated one.
        var guide = (weight * ((b.Actions - action).Square().Sum(-1) * 0.5 + 0.5 * Context.ActionSize * Math.Log(2 * Math.PI))).Mean();
        _actorOptimiser.Minimise(ReportActorLoss(denoising, guide, _settings.DenoisingWeight * denoising + _settings.GuideWeight * guide));

        CriticOptimiser.Minimise(CriticLoss(b, Target(b, Value(b.NextObservations))));
    }

    /// <summary>The denoising loss, and the action that it predicts.</summary>
    private (Tensor Loss, Tensor Action) Denoise(Batch b)
    {
        var (error, action) = _actor.Denoise(b.Observations, b.Actions);
        return (error.Mean(), action.Clip(-_settings.MaxAction, _settings.MaxAction));
    }

    /// <inheritdoc/>
    protected override Tensor CriticLoss(Batch b, Tensor target)
    {
        // Every critic's own: each has an optimiser of its own, which is one for all where gradients are not shared.
        var losses = (Critics.Q(b.Observations, b.Actions) - target).Square().Mean(1);
        Report("critic_loss", losses);
        return _settings.CriticLossReduction.Over(losses);
    }

    private static Tensor ReportActorLoss(Tensor denoising, Tensor guide, Tensor loss)
    {
        Report("denoising_loss", denoising);
        Report("guide_loss", guide);
        Report("actor_loss", loss);
        return loss;
    }

    private Tensor Value(Tensor observations) => _value!.Apply(observations).Squeeze(-1);
}
