using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.QEnsembles;

/// <summary>Hyper-parameters of EDAC: those of SAC-N and the diversity term's.</summary>
public sealed record EdacSettings : SacNSettings
{
    /// <summary>Weight of the diversity term.</summary>
    [Source("An et al. 2021: 1 for most locomotion sets, 5 for medium-expert, 10-1000 for Adroit"), AtLeast(0)]
    public double Eta { get; init; } = 1;

    /// <summary>Added to the norm of an action gradient.</summary>
    [Source("CORL"), Above(0)]
    public double DiversityEpsilon { get; init; } = 1e-10;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(Critics >= 2, "critics", Critics, "at least 2: diversity is between members");
    }
}

/// <summary>
/// EDAC: SAC-N whose critic loss also pushes the members' action gradients apart (An et al. 2021, equation 3; reference: CORL edac.py).
/// </summary>
public sealed class Edac(AlgorithmContext context, EdacSettings settings) : SacN(context, settings)
{
    /// <inheritdoc/>
    protected override Tensor CriticLoss(Batch b, Tensor target)
    {
        // Actions repeated for every member, so that each member's action gradient is a tensor of its own.
        var actions = b.Actions.BroadcastTo([Critics.Members, .. b.Actions.Shape]);
        var q = Critics.QPerMember(b.Observations, actions);
        var gradient = Gradients.Of(q.Sum(), actions)[0];
        var direction = gradient / (gradient.NormKeep() + settings.DiversityEpsilon);
        // The sum over pairs i != j without the N x N matrix: the square of the sum minus the sum of squares.
        var pairs = direction.Sum(0).Square().Sum(-1) - direction.Square().Sum(0, 2);
        var diversity = pairs.Mean() * (1.0 / (Critics.Members - 1));
        Report("diversity_loss", diversity);
        return ReportCriticLoss(TemporalDifferenceLoss(q, target) + settings.Eta * diversity);
    }
}
