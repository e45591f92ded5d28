using Engine.Algorithms.Batches;
using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.Flow;

/// <summary>Hyper-parameters of behaviour cloning by flow matching: those of the flow policy in FQL and QC.</summary>
public sealed record FlowBcSettings : ContinuousSettings
{
    /// <summary>FQL's: four hidden layers.</summary>
    public FlowBcSettings() => (HiddenSizes, Activation) = ([512, 512, 512, 512], "gelu_tanh");

    /// <summary>Learning rate.</summary>
    [Source("Park et al. 2025: 3e-4"), Above(0)]
    public double LearningRate { get; init; } = 3e-4;

    /// <summary>Steps from noise to an action.</summary>
    [Source("Park et al. 2025: 10"), AtLeast(1)]
    public int FlowSteps { get; init; } = 10;

    /// <summary>Of the noise it acts from: 1 draws as the data were drawn; 0 takes the middle, an action that is no draw.</summary>
    [Source("Park et al. 2025: 1"), AtLeast(0)]
    public double NoiseScale { get; init; } = 1;

    /// <summary>Actions planned at once.</summary>
    [Source("Park et al. 2025: 1; Li et al. 2025: 5"), AtLeast(1)]
    public int Chunk { get; init; } = 1;

    /// <summary>Actions of a plan that are carried out before the next plan; null: all.</summary>
    [Source("Li et al. 2025: all"), AtLeast(1)]
    public int? Execute { get; init; }

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(Execute is null || Execute <= Chunk, "execute", Execute ?? 0, $"at most chunk={Chunk}");
    }
}

/// <summary>
/// Behaviour cloning by flow matching (the flow policy of Park et al. 2025, "Flow Q-Learning", on the action chunks of Li et al. 2025): as many ways to act as the data have, where a squared error knows their mean alone.
/// Loss: the squared error of <see cref="FlowPolicy.Loss"/>, actions after the end of a trajectory left out. It acts by following the flow from noise, clipped to the bounds; a flow has no mode, so that it draws whether asked to or not.
/// </summary>
public sealed class FlowBc : Algorithm
{
    private readonly FlowBcSettings _settings;
    private readonly FlowPolicy _flow;
    private readonly AdamOptimiser _optimiser;

    /// <summary>Creates the network.</summary>
    public FlowBc(AlgorithmContext context, FlowBcSettings settings) : base(context, settings)
    {
        _settings = settings;
        _flow = new FlowPolicy(Parameters["flow"], context.ObservationSize, settings.Chunk * context.ActionSize, settings.Network() with { Initialisation = Initialisation.Glorot });
        _optimiser = new AdamOptimiser(context.State, "flow", _flow, settings.Adam(settings.LearningRate));
    }

    /// <inheritdoc/>
    public override IReadOnlyList<Stage> Stages => [new("train", null, Update) { Draws = [new(new Chunks(_settings.Chunk))] }];

    /// <inheritdoc/>
    public override (int Planned, int Executed) ActionHorizon => (_settings.Chunk, _settings.Execute ?? _settings.Chunk);

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => _flow.Follow(a.Observations, a.Normal("action", _flow.Size) * _settings.NoiseScale, _settings.FlowSteps).Clip(-_settings.MaxAction, _settings.MaxAction).Reshape(a.Rows, _settings.Chunk, -1);

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var loss = _flow.Loss(b.Observations, b.Actions, b["valid"]);
        Report("flow_loss", loss);
        _optimiser.Minimise(loss);
    }
}
