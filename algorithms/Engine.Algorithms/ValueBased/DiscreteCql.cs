using Engine.Autodiff;

namespace Engine.Algorithms.ValueBased;

/// <summary>Hyper-parameters of CQL with discrete actions: those of DQN and the conservative term's.</summary>
public sealed record DiscreteCqlSettings : DqnSettings
{
    /// <summary>Weight of the conservative term.</summary>
    [Source("d3rlpy: 1"), AtLeast(0)]
    public double ConservativeWeight { get; init; } = 1;
}

/// <summary>CQL(H) with discrete actions: DQN whose critics are pushed down everywhere and up where the data are (Kumar et al. 2020, arXiv 2006.04779, equation 4; reference: d3rlpy DiscreteCQL).</summary>
public sealed class DiscreteCql(AlgorithmContext context, DiscreteCqlSettings settings) : Dqn(context, settings)
{
    /// <inheritdoc/>
    protected override Tensor CriticLoss(Tensor values, Tensor q, Tensor tdLoss)
    {
        // Of the critics' mean, as in the reference.
        var gap = (values.Mean(0).LogSumExp() - q.Mean(0)).Mean();
        Report("td_loss", tdLoss);
        Report("conservative_gap", gap);
        return tdLoss + settings.ConservativeWeight * gap;
    }
}
