using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.Networks;

/// <summary>A policy of one step from noise to action that follows both a flow and critics (Park et al. 2025, "Flow Q-Learning", equation 8).</summary>
public sealed class OneStepPolicy : Module
{
    private readonly Mlp _network;
    private readonly double _bound;

    /// <summary>Creates <c>layer0...</c> of a network on [s, noise].</summary>
    /// <param name="at">Where.</param>
    /// <param name="observationSize">S.</param>
    /// <param name="size">n, numbers of an action, or of a chunk of actions.</param>
    /// <param name="network">Hidden layers.</param>
    /// <param name="bound">Actions lie within ± this.</param>
    public OneStepPolicy(Builder at, int observationSize, int size, MlpSettings network, double bound) => (_network, _bound) = (new Mlp(at, observationSize + size, size, network), bound);

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => _network.Parameters;

    /// <summary>Actions [B, n] from noise [B, n], within the bound.</summary>
    public Tensor Act(Tensor observations, Tensor noise) => Raw(observations, noise).Clip(-_bound, _bound);

    private Tensor Raw(Tensor observations, Tensor noise) => _network.Apply(Tensor.Concat(-1, observations, noise));

    /// <summary>The mean squared distance to where the flow leads from the same noise (draw <c>actor</c>), a constant; and minus the mean value of the actions.</summary>
    /// <param name="flow">The flow.</param>
    /// <param name="observations">[B, S]</param>
    /// <param name="steps">Of the flow.</param>
    /// <param name="value">Values [B] of actions [B, n].</param>
    /// <param name="normalise">Values are divided by their mean size.</param>
    public (Tensor Distillation, Tensor Value) Losses(FlowPolicy flow, Tensor observations, int steps, Func<Tensor, Tensor> value, bool normalise)
    {
        var noise = observations.Graph.Random.Normal("actor", [observations.Shape[0], flow.Size]);
        var action = Raw(observations, noise);
        var distillation = (action - flow.Follow(observations, noise, steps).Clip(-_bound, _bound).StopGradient()).Square().Mean();
        var values = value(action.Clip(-_bound, _bound));
        var loss = -values.Mean();
        return (distillation, normalise ? loss / values.Abs().Mean().StopGradient() : loss);
    }
}
