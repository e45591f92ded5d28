using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Nn;
using Engine.Nn.Diffusion;

namespace Engine.Algorithms.Diffusion;

/// <summary>What the network says of a noisy action.</summary>
public enum Predicted
{
    /// <summary>The noise in it.</summary>
    Noise,
    /// <summary>The action without noise.</summary>
    Sample,
}

/// <summary>Hyper-parameters of Diffusion-QL.</summary>
public sealed record DiffusionQlSettings : DiffusionSettings
{
    /// <summary>The paper's: mish everywhere.</summary>
    public DiffusionQlSettings() => Activation = "mish";

    /// <summary>Weight of the value against imitation.</summary>
    [Source("Wang et al. 2023: 1 on locomotion, 0.005 to 4.5 elsewhere"), AtLeast(0)]
    public double Eta { get; init; } = 1;

    /// <summary>What the network predicts.</summary>
    [Source("Wang et al. 2023: noise")]
    public Predicted Predict { get; init; } = Predicted.Noise;

    /// <summary>Predicted actions are limited to the bounds within the chain.</summary>
    [Source("Wang et al. 2023")]
    public bool ClipDenoised { get; init; } = true;

    /// <summary>Targets take the best of several next actions, of each critic's own.</summary>
    [Source("Wang et al. 2023: on most antmazes")]
    public bool MaxQBackup { get; init; }

    /// <summary>So many.</summary>
    [Source("Wang et al. 2023: 10"), AtLeast(1)]
    public int SampledActions { get; init; } = 10;

    /// <summary>What is kept of the slow policy when it moves.</summary>
    [Source("Wang et al. 2023: 0.995"), Within(0, 1)]
    public double EmaDecay { get; init; } = 0.995;

    /// <summary>Updates before it moves for the first time.</summary>
    [Source("Wang et al. 2023: 1000"), AtLeast(0)]
    public int EmaStart { get; init; } = 1000;

    /// <summary>It moves every so many updates.</summary>
    [Source("Wang et al. 2023: 5"), AtLeast(1)]
    public int EmaEvery { get; init; } = 5;

    /// <summary>Gradients of the policy, and those of the critics together, are scaled to at most this norm; 0: they are not.</summary>
    [Source("Wang et al. 2023: 1 to 10 by dataset; halfcheetah-medium 9"), AtLeast(0)]
    public double MaxGradientNorm { get; init; } = 9;

    /// <summary>Added to the norm.</summary>
    [Source("PyTorch: 1e-6"), AtLeast(0)]
    public double GradientNormEpsilon { get; init; } = 1e-6;

    /// <summary>Actions that are drawn to choose one of.</summary>
    [Source("Wang et al. 2023: 50"), AtLeast(1)]
    public int ActingSamples { get; init; } = 50;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(Critics == 2, "critics", Critics, "2, of which one is maximised and the other scales");
    }

    /// <inheritdoc/>
    public override AdamSettings CriticAdam() => Clipped(CriticLearningRate);

    internal AdamSettings Clipped(double rate) => Adam(rate) with { MaxGradientNorm = MaxGradientNorm > 0 ? MaxGradientNorm : null, GradientNormEpsilon = GradientNormEpsilon };
}

/// <summary>
/// Diffusion-QL (Wang et al. 2023, "Diffusion Policies as an Expressive Policy Class for Offline Reinforcement Learning", arXiv 2208.06193; reference: Zhendong-Wang/Diffusion-Policies-for-Offline-RL): the policy is a denoising chain of few steps, trained
/// to imitate and, through all of the chain, to maximise a value:
/// critics minimise sum_i (Q_i(s, a) - r - gamma (1 - d) min_j Q'_j(s', a'))², a' of the slow policy;
/// the policy minimises the denoising loss + eta (-mean Q_i(s, a0) / mean|Q_j(s, a0)|), a0 its own action, i drawn and j the other.
/// It acts by drawing several actions and choosing one with probability softmax(min_j Q'_j); without drawing, the best.
/// </summary>
public sealed class DiffusionQl : ActorCritic
{
    private readonly DiffusionQlSettings _settings;
    private readonly DiffusionPolicy _actor, _slowActor;
    private readonly AdamOptimiser _actorOptimiser;
    private readonly Period _slowUpdates;

    /// <summary>Creates the networks.</summary>
    public DiffusionQl(AlgorithmContext context, DiffusionQlSettings settings) : base(context, settings)
    {
        _settings = settings;
        var schedule = settings.NoiseSchedule();
        var prediction = settings.Predict == Predicted.Noise ? Prediction.Noise : Prediction.Sample;
        var sampler = Samplers.Ddpm(schedule, prediction, settings.ClipDenoised ? settings.MaxAction : null, limit: settings.MaxAction);
        DiffusionPolicy Create(string name) => new(new MlpDenoiser(Parameters[name], context.ActionSize, context.ObservationSize, settings.TimeEmbeddingSize, settings.Network(), DenoiserInputs.StateTimeCondition), context.ActionSize, schedule, prediction, sampler);
        (_actor, _slowActor) = (Create("actor"), Create("ema_actor"));
        Targets.Copy(context.State, _actor, _slowActor);
        _actorOptimiser = new AdamOptimiser(context.State, "actor", _actor, settings.Clipped(settings.ActorLearningRate));
        _slowUpdates = new Period(settings.EmaEvery, 0, settings.EmaStart);
    }

    /// <inheritdoc/>
    public override IReadOnlyList<Stage> Stages => [new Stage("train", null, Update) { Periods = [_slowUpdates] }];

    /// <inheritdoc/>
    protected override Tensor Act(Acting a)
    {
        var actions = _actor.Sample(a, _settings.ActingSamples);
        return Choice.Take(actions, Choice.Of(a, TargetCritics.QOfEach(a.Observations, actions).Min(0)));
    }

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var next = _slowActor.Sample(b.NextObservations, "target", _settings.MaxQBackup ? _settings.SampledActions : null);
        var nextValues = _settings.MaxQBackup ? TargetCritics.QOfEach(b.NextObservations, next).Max(-1) : TargetCritics.Q(b.NextObservations, next);
        CriticOptimiser.Minimise(CriticLoss(b, Target(b, nextValues.Min(0))));

        var denoising = _actor.Denoise(b.Observations, b.Actions).Error.Mean();
        var q = Critics.Q(b.Observations, _actor.Sample(b.Observations, "actor"));
        var first = b.Graph.Random.Uniform("critic_choice", []) > 0.5;
        Tensor maximised = Tensor.Select(first, q.At(0, 0), q.At(0, 1)), scale = Tensor.Select(first, q.At(0, 1), q.At(0, 0));
        var qLoss = -maximised.Mean() / scale.Abs().Mean().StopGradient();
        var loss = denoising + _settings.Eta * qLoss;
        Report("actor_loss", loss);
        Report("denoising_loss", denoising);
        Report("q_loss", qLoss);
        _actorOptimiser.Minimise(loss);

        if (Due(_slowUpdates)) Targets.Polyak(b.Graph, _actor, _slowActor, 1 - _settings.EmaDecay);
        UpdateTargetCritics(b.Graph);
    }
}
