using Engine.Algorithms.Batches;
using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Nn;

namespace Engine.Algorithms.ValueBased;

/// <summary>Hyper-parameters of COCOA; hidden_sizes and activation are those of the models of the dynamics.</summary>
public sealed record CocoaSettings : ContinuousSettings
{
    /// <summary>The authors': four layers, normalised observations.</summary>
    public CocoaSettings() => (HiddenSizes, Activation, NormalizeObservations) = ([200, 200, 200, 200], "silu", true);

    /// <summary>What is trained on anchors and differences.</summary>
    [Source("Song et al. 2024: cql, iql")]
    public BaseMethod Base { get; init; } = new("cql", new CqlSettings());

    /// <summary>Networks of each model.</summary>
    [Source("Song et al. 2024: 7"), AtLeast(1)]
    public int Members { get; init; } = 7;

    /// <summary>Updates of the models.</summary>
    [Source("Song et al. 2024: until five epochs do not help"), AtLeast(1)]
    public int DynamicsSteps { get; init; } = 50_000;

    /// <summary>Updates of the seeker.</summary>
    [Source("Song et al. 2024: 50 epochs"), AtLeast(1)]
    public int SeekerSteps { get; init; } = 50_000;

    /// <summary>Learning rate of models and seeker.</summary>
    [Source("Song et al. 2024: 1e-3"), Above(0)]
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>Hidden layers of the seeker.</summary>
    [Source("Song et al. 2024: 100, 100"), AtLeast(1)]
    public int[] SeekerHiddenSizes { get; init; } = [100, 100];

    /// <summary>Steps backwards, away from the data, from which the seeker learns to return.</summary>
    [Source("Song et al. 2024: 5"), AtLeast(1)]
    public int ReverseSteps { get; init; } = 5;

    /// <summary>Such a step is this much of a recorded action, the same in all steps.</summary>
    [Source("Song et al. 2024: 0.8"), AtLeast(0)]
    public double ReverseScale { get; init; } = 0.8;

    /// <summary>Standard deviation of the noise on it.</summary>
    [Source("Song et al. 2024: 0.1"), AtLeast(0)]
    public double ReverseNoise { get; init; } = 0.1;

    /// <summary>Steps of the seeker from an observation to its anchor.</summary>
    [Source("Song et al. 2024: 1"), AtLeast(1)]
    public int AnchorSteps { get; init; } = 1;

    /// <summary>Features that stand before every network of the base.</summary>
    [Source("Song et al. 2024: cql 32; iql 4"), AtLeast(1)]
    public int Features { get; init; } = 32;

    /// <summary>Numbers of the two vectors whose product a feature is.</summary>
    [Source("Engine's"), AtLeast(1)]
    public int FeatureSize { get; init; } = 16;

    /// <summary>Hidden layers of the networks that make these vectors.</summary>
    [Source("Song et al. 2024: cql 256, 256, 256; iql 64, 64"), AtLeast(1)]
    public int[] FeatureHiddenSizes { get; init; } = [256, 256, 256];
}

/// <summary>
/// COCOA around any method: an observation is an anchor near the data, to which a learned seeker leads, and the difference from it; networks see both, so that unseen observations are new combinations of known ones (Song et al. 2024,
/// "Compositional Conservatism: A Transductive Approach in Offline Reinforcement Learning", arXiv 2404.04682; reference: runamu/compositional-conservatism, of whose ensembles all members count here and not the best five).
/// </summary>
public sealed class Cocoa : Algorithm
{
    private const string Direction = "direction";

    private readonly CocoaSettings _settings;
    private readonly GaussianDynamics _forward, _reverse;
    private readonly Mlp _seeker;
    private readonly AdamOptimiser _forwardOptimiser, _reverseOptimiser, _seekerOptimiser;
    private readonly Variable _known;
    private readonly Algorithm _base;

    /// <summary>Creates models, seeker and base.</summary>
    public Cocoa(AlgorithmContext context, CocoaSettings settings) : base(context, settings)
    {
        _settings = settings;
        int s = context.ObservationSize, a = context.ActionSize;
        AdamOptimiser Optimiser(string name, Module module) => new(context.State, name, module, settings.Adam(settings.LearningRate));
        (_forward, _reverse) = (new GaussianDynamics(Parameters["forward"], s, a, settings.Members, settings.Network()), new GaussianDynamics(Parameters["reverse"], s, a, settings.Members, settings.Network()));
        _seeker = new Mlp(Parameters["seeker"], s, a, new MlpSettings { HiddenSizes = settings.SeekerHiddenSizes }.WithLayerNorm(true, LayerNormPosition.AfterActivation, 1e-5));
        (_forwardOptimiser, _reverseOptimiser, _seekerOptimiser) = (Optimiser("forward", _forward), Optimiser("reverse", _reverse), Optimiser("seeker", _seeker));
        _known = context.State.AddZeros("known_observations", TensorType.Float([settings.BatchSize, s]));
        var hidden = new MlpSettings { HiddenSizes = settings.FeatureHiddenSizes };
        _base = settings.Base.Create(context with
        {
            Spaces = context.Spaces with { Observation = new VectorSpace(2 * s), Goal = null },
            Input = (at, inputs, members) => inputs >= 2 * s ? new Transduction(at, inputs, members, s, settings.Features, settings.FeatureSize, hidden)
                : throw new SettingsException($"base={settings.Base.Algorithm}: {at.Path} is a network that does not see the observation first"),
        }, settings);
    }

    /// <summary>The models, the seeker, the base's stages on anchors and differences.</summary>
    public override IReadOnlyList<Stage> Stages =>
    [
        new("dynamics", _settings.DynamicsSteps, LearnDynamics),
        new("seeker", _settings.SeekerSteps, LearnToReturn) { Draws = [new(new Transitions()), new(new Transitions(), Name: Direction)] },
        .. _base.Stages.Select(stage => stage with
        {
            Update = stage.Update is null ? null : b =>
            {
                var seen = Divide(b.Observations);
                Measure(b, seen.Slice(1, Context.ObservationSize, Context.ObservationSize));
                UpdateOf(_base, stage, b.With(("observations", seen), ("next_observations", Divide(b.NextObservations))));
            },
        }),
    ];

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => ActOf(_base, a.Normalised((role, raw) => role == ColumnRole.Observation ? Divide(raw) : raw));

    private void LearnDynamics(Batch b)
    {
        var change = b.NextObservations - b.Observations;
        void Learn(string name, GaussianDynamics model, AdamOptimiser optimiser, Tensor from, Tensor to)
        {
            var loss = model.Loss(from, b.Actions, to);
            Report($"{name}_loss", loss);
            optimiser.Minimise(loss);
        }
        Learn("forward", _forward, _forwardOptimiser, b.Observations, change);
        Learn("reverse", _reverse, _reverseOptimiser, b.NextObservations, -change);
    }

    /// <summary>From a recorded observation backwards in one direction: at each place the seeker learns the action that leads back.</summary>
    private void LearnToReturn(Batch b)
    {
        var direction = b.Of(Direction).Actions * _settings.ReverseScale;
        var at = b.NextObservations;
        Tensor? loss = null;
        for (int i = 0; i < _settings.ReverseSteps; i++)
        {
            var action = (direction + b.Graph.Random.Normal($"reverse{i}", b.Actions.Shape) * _settings.ReverseNoise).Clip(-_settings.MaxAction, _settings.MaxAction);
            at = (at + _reverse.Change(at, action)).StopGradient();
            var error = (Seek(at) - action).Square().Mean();
            loss = loss is null ? error : loss + error;
        }
        loss = loss! / _settings.ReverseSteps;
        Report("seeker_loss", loss);
        _seekerOptimiser.Minimise(loss);
        b.Graph.Assign(_known, b.Observations);
    }

    private Tensor Seek(Tensor observations) => _seeker.Apply(observations).Tanh() * _settings.MaxAction;

    /// <summary>[difference, anchor] of observations: [B, 2 S].</summary>
    private Tensor Divide(Tensor observations)
    {
        var anchor = observations;
        for (int i = 0; i < _settings.AnchorSteps; i++) anchor += _forward.Change(anchor, Seek(anchor));
        anchor = anchor.StopGradient();
        return Tensor.Concat(-1, observations - anchor, anchor);
    }

    /// <summary>Reports how far observations and their anchors are from the nearest of a batch of the data's, in normalised units.</summary>
    private void Measure(Batch b, Tensor anchors)
    {
        Tensor Nearest(Tensor of) => (of.Expand(1) - b.Graph.Read(_known).Expand(0)).Square().Sum(-1).Min(1).Maximum(1e-12).Sqrt().Mean();
        Report("observation_distance", Nearest(b.Observations));
        Report("anchor_distance", Nearest(anchors));
    }
}
