using Engine.Kernels;

namespace Engine.Algorithms.Environments;

/// <summary>
/// Gymnasium's Acrobot (Sutton and Barto 1998, "book" form): swing the tip of two links above a line by a torque of -1, 0 or 1 on the second joint. State (θ1, θ2, ω1, ω2), observation
/// (cos θ1, sin θ1, cos θ2, sin θ2, ω1, ω2); one Runge-Kutta step of 0.2 s; reward -1 a step, 0 on the last; 500 steps.
/// </summary>
/// <param name="copies">Copies stepped together.</param>
public sealed class Acrobot(int copies) : StateEnvironment(copies, 4)
{
    private const double Gravity = 9.8, Centre = 0.5, TimeStep = 0.2, MaxSpeed1 = 4 * Math.PI, MaxSpeed2 = 9 * Math.PI;

    /// <inheritdoc/>
    public override int ObservationSize => 6;

    /// <inheritdoc/>
    public override ActionSpace ActionSpace { get; } = new DiscreteActions(3);

    /// <inheritdoc/>
    public override int MaxSteps => 500;

    /// <inheritdoc/>
    protected override void Reset(Span<double> s, PhiloxStream random) => Uniform(s, random, -0.1, 0.1);

    /// <inheritdoc/>
    protected override void Observe(ReadOnlySpan<double> s, Span<float> observation)
    {
        for (int i = 0; i < 2; i++) (observation[2 * i], observation[2 * i + 1], observation[4 + i]) = ((float)Math.Cos(s[i]), (float)Math.Sin(s[i]), (float)s[2 + i]);
    }

    /// <inheritdoc/>
    protected override (float Reward, bool Terminal) Step(Span<double> s, ReadOnlySpan<float> action)
    {
        double torque = action[0] - 1;
        Span<double> k1 = stackalloc double[4], k2 = stackalloc double[4], k3 = stackalloc double[4], k4 = stackalloc double[4], at = stackalloc double[4];
        Derivative(s, torque, k1);
        Move(s, k1, TimeStep / 2, at);
        Derivative(at, torque, k2);
        Move(s, k2, TimeStep / 2, at);
        Derivative(at, torque, k3);
        Move(s, k3, TimeStep, at);
        Derivative(at, torque, k4);
        for (int i = 0; i < 4; i++) s[i] += TimeStep / 6 * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]);
        s[0] = Wrap(s[0]);
        s[1] = Wrap(s[1]);
        s[2] = Math.Clamp(s[2], -MaxSpeed1, MaxSpeed1);
        s[3] = Math.Clamp(s[3], -MaxSpeed2, MaxSpeed2);
        bool above = -Math.Cos(s[0]) - Math.Cos(s[1] + s[0]) > 1;
        return (above ? 0 : -1, above);
    }

    private static void Move(ReadOnlySpan<double> s, ReadOnlySpan<double> k, double time, Span<double> to)
    {
        for (int i = 0; i < 4; i++) to[i] = s[i] + time * k[i];
    }

    private static double Wrap(double angle)
    {
        while (angle > Math.PI) angle -= 2 * Math.PI;
        while (angle < -Math.PI) angle += 2 * Math.PI;
        return angle;
    }

    /// <summary>Both links have mass and length 1, centre of mass in the middle, moment of inertia 1.</summary>
    private static void Derivative(ReadOnlySpan<double> s, double torque, Span<double> rate)
    {
        var (sin2, cos2) = Math.SinCos(s[1]);
        double d1 = Centre * Centre + (1 + Centre * Centre + 2 * Centre * cos2) + 2;
        double d2 = Centre * Centre + Centre * cos2 + 1;
        double phi2 = Centre * Gravity * Math.Cos(s[0] + s[1] - Math.PI / 2);
        double phi1 = -Centre * s[3] * s[3] * sin2 - 2 * Centre * s[3] * s[2] * sin2 + (Centre + 1) * Gravity * Math.Cos(s[0] - Math.PI / 2) + phi2;
        double acceleration2 = (torque + d2 / d1 * phi1 - Centre * s[2] * s[2] * sin2 - phi2) / (Centre * Centre + 1 - d2 * d2 / d1);
        (rate[0], rate[1], rate[2], rate[3]) = (s[2], s[3], -(d2 * acceleration2 + phi1) / d1, acceleration2);
    }
}
