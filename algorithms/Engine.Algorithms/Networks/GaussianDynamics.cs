using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.Networks;

/// <summary>
/// An ensemble that predicts how an observation changes, as a Gaussian (Chua et al. 2018, "Deep Reinforcement Learning in a Handful of Trials", arXiv 1805.12114): mean and log variance, which lies between two learned bounds.
/// </summary>
public sealed class GaussianDynamics : Module
{
    private const double BoundWeight = 0.01;

    private readonly Mlp _mlp;
    private readonly Variable _lowest, _highest;
    private readonly int _size;

    /// <summary>Creates <c>layer0...</c>, <c>lowest_log_variance</c> and <c>highest_log_variance</c>.</summary>
    /// <param name="at">Where.</param>
    /// <param name="observationSize">S.</param>
    /// <param name="actionSize">A.</param>
    /// <param name="members">Networks.</param>
    /// <param name="settings">Hidden layers.</param>
    public GaussianDynamics(Builder at, int observationSize, int actionSize, int members, MlpSettings settings)
    {
        _size = observationSize;
        _mlp = new Mlp(at, observationSize + actionSize, 2 * observationSize, settings, members);
        _lowest = at.Parameter("lowest_log_variance", [observationSize], Initialiser.Constant(-10), 1, 1);
        _highest = at.Parameter("highest_log_variance", [observationSize], Initialiser.Constant(0.5), 1, 1);
    }

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => [.. _mlp.Parameters, _lowest, _highest];

    /// <summary>The mean change [B, S] over the members.</summary>
    public Tensor Change(Tensor observations, Tensor actions) => Predict(observations, actions).Mean.Mean(0);

    /// <summary>The negative log density of changes [B, S], summed over members and averaged over the batch, and a pull on the bounds.</summary>
    public Tensor Loss(Tensor observations, Tensor actions, Tensor changes)
    {
        var (mean, logVariance) = Predict(observations, actions);
        var (low, high) = (changes.Graph.Read(_lowest), changes.Graph.Read(_highest));
        return ((mean - changes).Square() * (-logVariance).Exp() + logVariance).Mean(1, 2).Sum() + BoundWeight * (high.Sum() - low.Sum());
    }

    private (Tensor Mean, Tensor LogVariance) Predict(Tensor observations, Tensor actions)
    {
        var y = _mlp.Apply(Tensor.Concat(-1, observations, actions));
        var (low, high) = (y.Graph.Read(_lowest), y.Graph.Read(_highest));
        var logVariance = high - (high - y.Slice(-1, _size, _size)).Softplus();
        return (y.Slice(-1, 0, _size), low + (logVariance - low).Softplus());
    }
}
