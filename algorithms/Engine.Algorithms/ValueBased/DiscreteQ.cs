using Engine.Algorithms.Networks;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Nn;

namespace Engine.Algorithms.ValueBased;

/// <summary>Hyper-parameters that methods with critics of discrete actions share.</summary>
public abstract record DiscreteQSettings : VectorSettings
{
    /// <summary>Two hidden layers.</summary>
    protected DiscreteQSettings() => HiddenSizes = [256, 256];

    /// <summary>Critics; targets take their minimum.</summary>
    [Source("Mnih et al. 2015: 1"), AtLeast(1)]
    public int Critics { get; init; } = 1;

    /// <summary>Discount.</summary>
    [Source("Mnih et al. 2015: 0.99"), Within(0, 1)]
    public double Discount { get; init; } = 0.99;

    /// <summary>Learning rate of the critics.</summary>
    [Source("as the other methods here"), Above(0)]
    public double CriticLearningRate { get; init; } = 3e-4;

    /// <summary>How far the target critics move per update of theirs.</summary>
    [Source("Lillicrap et al. 2016: soft targets"), Within(0, 1)]
    public double TargetUpdateRate { get; init; } = 0.005;

    /// <summary>Errors of the critics are averaged over the batch and then: sum, or mean.</summary>
    [Source("d3rlpy: sum")]
    public Reduction CriticLossReduction { get; init; } = Reduction.Sum;
}

/// <summary>What methods with critics of discrete actions share.</summary>
public abstract class DiscreteQ : Algorithm
{
    private readonly DiscreteQSettings _settings;

    /// <summary>Creates critics and target critics.</summary>
    protected DiscreteQ(AlgorithmContext context, DiscreteQSettings settings) : base(context, settings)
    {
        _settings = settings;
        DiscreteCritics Create(string name) => new(Parameters[name], context.ObservationSize, context.ActionCount, settings.Critics, settings.Network());
        (Critics, TargetCritics) = (Create("critics"), Create("target_critics"));
        Targets.Copy(context.State, Critics, TargetCritics);
        CriticOptimiser = new AdamOptimiser(context.State, "critics", Critics, settings.Adam(settings.CriticLearningRate));
    }

    /// <summary>The critics.</summary>
    protected DiscreteCritics Critics { get; }

    /// <summary>Their slow copies.</summary>
    protected DiscreteCritics TargetCritics { get; }

    /// <summary>Trains the critics.</summary>
    protected AdamOptimiser CriticOptimiser { get; }

    /// <summary>The batch's actions, I32 [B].</summary>
    protected static Tensor Chosen(Batch b) => b.Actions.Squeeze(-1).Cast(DType.I32);

    /// <summary>rewards + discount (1 - terminals) nextValue, a constant [B].</summary>
    protected Tensor Target(Batch b, Tensor nextValue) => (b.Rewards + _settings.Discount * (1 - b.Terminals) * nextValue).StopGradient();

    /// <summary>Moves the target critics a little.</summary>
    protected void UpdateTargetCritics(Graph graph) => Targets.Polyak(graph, Critics, TargetCritics, _settings.TargetUpdateRate);
}
