using Engine.Kernels;

namespace Engine.Algorithms.Environments;

/// <summary>
/// Gymnasium's Pendulum: swing up and hold a pole (g 10, mass 1, length 1, step 0.05 s, torque within ±2, speed within ±8). State (θ from upright, θ'), observation (cos θ, sin θ, θ'), reward
/// -(θ² + 0.1 θ'² + 0.001 u²) of the state before the step, 200 steps, no terminals.
/// </summary>
/// <param name="copies">Copies stepped together.</param>
/// <param name="clipFirst">v1: the angle moves by the clipped new speed; v0: by the unclipped one, and the speed is clipped afterwards.</param>
public sealed class Pendulum(int copies, bool clipFirst) : StateEnvironment(copies, 2)
{
    private const double Gravity = 10, TimeStep = 0.05, MaxSpeed = 8, MaxTorque = 2;

    /// <inheritdoc/>
    public override int ObservationSize => 3;

    /// <inheritdoc/>
    public override ActionSpace ActionSpace { get; } = new ActionBounds([-(float)MaxTorque], [(float)MaxTorque]);

    /// <inheritdoc/>
    public override int MaxSteps => 200;

    /// <inheritdoc/>
    protected override void Reset(Span<double> s, PhiloxStream random) => (s[0], s[1]) = (random.NextUniform(-Math.PI, Math.PI), random.NextUniform(-1, 1));

    /// <inheritdoc/>
    protected override void Observe(ReadOnlySpan<double> s, Span<float> observation)
    {
        var (sin, cos) = Math.SinCos(s[0]);
        (observation[0], observation[1], observation[2]) = ((float)cos, (float)sin, (float)s[1]);
    }

    /// <inheritdoc/>
    public override bool TryState(ReadOnlySpan<float> observation, Span<double> s)
    {
        (s[0], s[1]) = (Math.Atan2(observation[1], observation[0]), observation[2]);
        return true;
    }

    /// <inheritdoc/>
    protected override (float Reward, bool Terminal) Step(Span<double> s, ReadOnlySpan<float> action)
    {
        double u = Math.Clamp((double)action[0], -MaxTorque, MaxTorque), wrapped = Wrap(s[0]);
        double cost = wrapped * wrapped + 0.1 * s[1] * s[1] + 0.001 * u * u;
        double next = s[1] + (1.5 * Gravity * Math.Sin(s[0]) + 3 * u) * TimeStep, clipped = Math.Clamp(next, -MaxSpeed, MaxSpeed);
        s[0] += (clipFirst ? clipped : next) * TimeStep;
        s[1] = clipped;
        return ((float)-cost, false);
    }

    /// <summary>The angle in [-π, π).</summary>
    public static double Wrap(double angle)
    {
        double shifted = (angle + Math.PI) % (2 * Math.PI);
        return (shifted < 0 ? shifted + 2 * Math.PI : shifted) - Math.PI;
    }
}
