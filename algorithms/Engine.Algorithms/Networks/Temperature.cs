using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.Networks;

/// <summary>
/// The temperature of a policy's entropy, learned so that the entropy stays near a target (Haarnoja et al. 2018, "Soft Actor-Critic Algorithms and Applications", section 5). The parameter is its logarithm, <c>log_temperature</c>,
/// which begins at 0.
/// </summary>
public sealed class Temperature : Module
{
    private readonly Variable _log;
    private readonly AdamOptimiser _optimiser;
    private readonly double _targetEntropy;

    /// <summary>Creates the parameter and its optimiser.</summary>
    /// <param name="at">Where.</param>
    /// <param name="targetEntropy">What the entropy is to be.</param>
    /// <param name="adam">Its optimiser.</param>
    public Temperature(Builder at, double targetEntropy, AdamSettings adam)
    {
        _targetEntropy = targetEntropy;
        _log = at.Parameter("log_temperature", [1], Initialiser.Constant(0), 1, 1);
        _optimiser = new AdamOptimiser(at.State, "log_temperature", this, adam);
    }

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => [_log];

    /// <summary>The temperature [1], a constant of other losses.</summary>
    public Tensor Value(Graph graph) => graph.Read(_log).Exp().StopGradient();

    /// <summary>What it minimises, from log densities [B] of the policy's actions: mean(-log temperature (log density + target entropy)).</summary>
    public Tensor Loss(Tensor logProb) => (-logProb.Graph.Read(_log) * (logProb + _targetEntropy).StopGradient()).Mean();

    /// <summary>The same gradient times the temperature, as its reference's authors minimise it, from the mean entropy [1] of the policy: temperature (entropy - target entropy).</summary>
    public Tensor LossOfEntropy(Tensor entropy) => (entropy.Graph.Read(_log).Exp() * (entropy - _targetEntropy)).Mean();

    /// <summary>One step down a loss of it.</summary>
    public void Minimise(Tensor loss) => _optimiser.Minimise(loss);
}
