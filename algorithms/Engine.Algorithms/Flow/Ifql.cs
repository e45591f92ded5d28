using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.Flow;

/// <summary>Hyper-parameters of IFQL.</summary>
public sealed record IfqlSettings : FlowCriticSettings
{
    /// <summary>The reference's: the sum over critics.</summary>
    public IfqlSettings() => CriticLossReduction = Reduction.Sum;

    /// <summary>Expectile of Q over the data's actions that the value network learns.</summary>
    [Source("Park et al. 2025: 0.9"), Between(0, 1)]
    public double Expectile { get; init; } = 0.9;

    /// <summary>Learning rate of the value network.</summary>
    [Source("Park et al. 2025: 3e-4"), Above(0)]
    public double ValueLearningRate { get; init; } = 3e-4;

    /// <summary>Actions that the flow proposes to choose one of.</summary>
    [Source("Park et al. 2025: 32"), AtLeast(1)]
    public int SampledActions { get; init; } = 32;
}

/// <summary>IFQL: IQL's values, and a flow in the place of IDQL's denoising policy (Park et al. 2025, "Flow Q-Learning", arXiv 2502.02538; reference: seohongpark/fql ifql.py).</summary>
public sealed class Ifql : FlowCritic
{
    private readonly IfqlSettings _settings;
    private readonly Mlp _value;
    private readonly AdamOptimiser _valueOptimiser;

    /// <summary>Creates the networks.</summary>
    public Ifql(AlgorithmContext context, IfqlSettings settings) : base(context, settings)
    {
        _settings = settings;
        _value = new Mlp(Parameters["value"], context.ObservationSize, 1, settings.CriticNetwork());
        _valueOptimiser = new AdamOptimiser(context.State, "value", _value, settings.Adam(settings.ValueLearningRate));
    }

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => Best(a, _settings.SampledActions, actions => Critics.QOfEach(a.Observations, actions).Min(0));

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var difference = TargetCritics.Q(b.Observations, b.Actions).Min(0).StopGradient() - Value(b.Observations);
        var valueLoss = Losses.Expectile(difference, _settings.Expectile).Mean();
        var criticLoss = TemporalDifferenceLoss(Critics.Q(b.Observations, b.Actions), Target(b, Value(b.NextObservations)));
        var flowLoss = Flow.Loss(b.Observations, b.Actions);
        Report("value_loss", valueLoss);
        Report("flow_loss", flowLoss);
        Minimise(b.Graph, criticLoss, flowLoss);
        _valueOptimiser.Minimise(valueLoss);
    }

    private Tensor Value(Tensor observations) => _value.Apply(observations).Squeeze(-1);
}
