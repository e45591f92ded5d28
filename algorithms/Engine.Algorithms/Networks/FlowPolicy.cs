using Engine.Autodiff;
using Engine.Nn;
using Engine.Nn.Diffusion;

namespace Engine.Algorithms.Networks;

/// <summary>
/// A policy that is a flow (Lipman et al. 2023; Park et al. 2025, "Flow Q-Learning"): a network v(s, x, t) that says which way noise x_0 moves to become an action x_1 while t goes from 0 to 1.
/// </summary>
public sealed class FlowPolicy : Module
{
    private readonly Mlp _velocity;

    /// <summary>Creates <c>layer0...</c> of a network on [s, x, t].</summary>
    /// <param name="at">Where.</param>
    /// <param name="observationSize">S.</param>
    /// <param name="size">n, numbers of an action, or of a chunk of actions.</param>
    /// <param name="network">Hidden layers.</param>
    public FlowPolicy(Builder at, int observationSize, int size, MlpSettings network) => (_velocity, Size) = (new Mlp(at, observationSize + size + 1, size, network), size);

    /// <summary>n, numbers of an action or of a chunk of actions.</summary>
    public int Size { get; }

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => _velocity.Parameters;

    /// <summary>v(s, x, t) [B, n].</summary>
    /// <param name="observations">[B, S]</param>
    /// <param name="x">[B, n]</param>
    /// <param name="time">[B, 1]</param>
    public Tensor Velocity(Tensor observations, Tensor x, Tensor time) => _velocity.Apply(Tensor.Concat(-1, observations, x, time));

    /// <summary>The mean over the batch and all numbers of (v(s, (1 - t) x_0 + t a, t) - (a - x_0))², x_0 standard normal (draw <c>flow_start</c>), t uniform in [0, 1) (draw <c>flow_time</c>).</summary>
    /// <param name="observations">[B, S]</param>
    /// <param name="actions">a: [B, n], or chunks [B, h, A] of n = h A numbers.</param>
    /// <param name="valid">Of chunks [B, h]: errors are multiplied by it; null: all count.</param>
    public Tensor Loss(Tensor observations, Tensor actions, Tensor? valid = null)
    {
        int rows = observations.Shape[0];
        var random = observations.Graph.Random;
        var (start, time) = (random.Normal("flow_start", [rows, Size]), random.Uniform("flow_time", [rows, 1]));
        var error = FlowMatching.Error(actions.Reshape(rows, Size), start, time, (x, t) => Velocity(observations, x, t));
        return valid is null ? error.Mean() : (error.Reshape(actions.Shape) * valid.Expand(-1)).Mean();
    }

    /// <summary>Follows the flow from noise by Euler's method (<see cref="Samplers.FlowEuler"/>). Not clipped.</summary>
    /// <param name="observations">[B, S]</param>
    /// <param name="noise">x_0 [B, n].</param>
    /// <param name="steps">At least 1.</param>
    public Tensor Follow(Tensor observations, Tensor noise, int steps)
    {
        var sampler = Samplers.FlowEuler(steps);
        return sampler.Run(noise, (x, k) => Velocity(observations, x, x.Graph.Constant(Kernels.TensorType.Float([noise.Shape[0], 1]), sampler.Times[k])));
    }
}
