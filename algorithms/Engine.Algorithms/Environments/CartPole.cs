using Engine.Kernels;

namespace Engine.Algorithms.Environments;

/// <summary>
/// Gymnasium's CartPole (Barto, Sutton and Anderson 1983): balance a pole on a cart by pushing it with 10 N to the left (0) or right (1). State and observation (x, v, θ, ω), explicit Euler steps
/// of 0.02 s, reward 1 a step; ends beyond 2.4 m or 12 degrees.
/// </summary>
/// <param name="copies">Copies stepped together.</param>
/// <param name="maxSteps">v1: 500; v0: 200.</param>
public sealed class CartPole(int copies, int maxSteps) : StateEnvironment(copies, 4)
{
    private const double Gravity = 9.8, PoleMass = 0.1, TotalMass = 1.1, HalfLength = 0.5, PoleMoment = PoleMass * HalfLength, Force = 10, TimeStep = 0.02;
    private const double MaxPosition = 2.4, MaxAngle = 12 * 2 * Math.PI / 360;

    /// <inheritdoc/>
    public override ActionSpace ActionSpace { get; } = new DiscreteActions(2);

    /// <inheritdoc/>
    public override int MaxSteps => maxSteps;

    /// <inheritdoc/>
    protected override void Reset(Span<double> s, PhiloxStream random) => Uniform(s, random, -0.05, 0.05);

    /// <inheritdoc/>
    protected override (float Reward, bool Terminal) Step(Span<double> s, ReadOnlySpan<float> action)
    {
        double force = action[0] == 1 ? Force : -Force, cos = Math.Cos(s[2]), sin = Math.Sin(s[2]);
        double temp = (force + PoleMoment * s[3] * s[3] * sin) / TotalMass;
        double angular = (Gravity * sin - cos * temp) / (HalfLength * (4.0 / 3 - PoleMass * cos * cos / TotalMass));
        double linear = temp - PoleMoment * angular * cos / TotalMass;
        s[0] += TimeStep * s[1];
        s[1] += TimeStep * linear;
        s[2] += TimeStep * s[3];
        s[3] += TimeStep * angular;
        return (1, Math.Abs(s[0]) > MaxPosition || Math.Abs(s[2]) > MaxAngle);
    }
}
