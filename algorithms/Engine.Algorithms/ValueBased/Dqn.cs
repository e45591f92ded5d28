using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Nn;

namespace Engine.Algorithms.ValueBased;

/// <summary>Hyper-parameters of DQN.</summary>
public sealed record DqnSettings : VectorSettings
{
    /// <summary>Two hidden layers, normalised observations.</summary>
    public DqnSettings() => (HiddenSizes, NormalizeObservations) = ([256, 256], true);

    /// <summary>Discount.</summary>
    [Source("Mnih et al. 2015: 0.99"), Within(0, 1)]
    public double Discount { get; init; } = 0.99;

    /// <summary>Learning rate.</summary>
    [Source("as the other methods here"), Above(0)]
    public double CriticLearningRate { get; init; } = 3e-4;

    /// <summary>How far the target network moves per update.</summary>
    [Source("Lillicrap et al. 2016: soft targets"), Within(0, 1)]
    public double TargetUpdateRate { get; init; } = 0.005;

    /// <summary>The online network chooses the next action, the target network evaluates it; else the target network does both.</summary>
    [Source("van Hasselt et al. 2016")]
    public bool DoubleQ { get; init; } = true;

    /// <summary>Errors beyond this count linearly (Huber's loss).</summary>
    [Source("Mnih et al. 2015: 1"), Above(0)]
    public double HuberDelta { get; init; } = 1;
}

/// <summary>
/// DQN on fixed data (Mnih et al. 2015, "Human-level control through deep reinforcement learning"), double by default (van Hasselt et al. 2016). Nothing
/// keeps it near the data: it is the baseline that shows what the constraints of the offline methods are for.
/// </summary>
public sealed class Dqn : Algorithm
{
    private readonly DqnSettings _settings;
    private readonly int _actions;
    private readonly Mlp _critic, _targetCritic;
    private readonly AdamOptimiser _optimiser;

    /// <summary>Creates the networks.</summary>
    public Dqn(AlgorithmContext context, DqnSettings settings) : base(context, settings)
    {
        _settings = settings;
        _actions = context.ActionCount;
        _critic = new Mlp(Parameters["critics"], context.ObservationSize, _actions, settings.Network());
        _targetCritic = new Mlp(Parameters["target_critics"], context.ObservationSize, _actions, settings.Network());
        Targets.Copy(context.State, _critic, _targetCritic);
        _optimiser = new AdamOptimiser(context.State, "critics", _critic, settings.Adam(settings.CriticLearningRate));
    }

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => _critic.Apply(a.Observations).ArgMax(-1).Cast(DType.F32).Expand(-1);

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var next = _targetCritic.Apply(b.NextObservations);
        var nextValue = _settings.DoubleQ ? Of(next, _critic.Apply(b.NextObservations).ArgMax(-1)) : next.Max(-1);
        var target = (b.Rewards + _settings.Discount * (1 - b.Terminals) * nextValue).StopGradient();

        var q = Of(_critic.Apply(b.Observations), b.Actions.Squeeze(-1).Cast(DType.I32));
        var error = (q - target).Abs();
        double delta = _settings.HuberDelta;
        var loss = Tensor.Select(error < delta, error.Square() * 0.5, (error - 0.5 * delta) * delta).Mean();
        Report("critic_loss", loss);
        Report("q_mean", q.Mean());
        _optimiser.Minimise(loss);
        Targets.Polyak(b.Graph, _critic, _targetCritic, _settings.TargetUpdateRate);
    }

    /// <summary>The values [B] of one action a row, out of values [B, actions].</summary>
    private static Tensor Of(Tensor values, Tensor actions) => values.TakeAlongLast(actions.Expand(-1)).Squeeze(-1);
}
