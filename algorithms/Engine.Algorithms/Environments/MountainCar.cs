using Engine.Kernels;

namespace Engine.Algorithms.Environments;

/// <summary>
/// Gymnasium's MountainCar (Moore 1990): swing a weak car out of a valley. State and observation (x, v), actions push left (0), not (1), right (2); reward -1 a step, 200 steps;
/// ends at x ≥ 0.5.
/// </summary>
/// <param name="copies">Copies stepped together.</param>
public sealed class MountainCar(int copies) : StateEnvironment(copies, 2)
{
    /// <inheritdoc/>
    public override ActionSpace ActionSpace { get; } = new DiscreteActions(3);

    /// <inheritdoc/>
    public override int MaxSteps => 200;

    /// <inheritdoc/>
    protected override void Reset(Span<double> s, PhiloxStream random) => Start(s, random);

    internal static void Start(Span<double> s, PhiloxStream random) => (s[0], s[1]) = (random.NextUniform(-0.6, -0.4), 0);

    /// <inheritdoc/>
    protected override (float Reward, bool Terminal) Step(Span<double> s, ReadOnlySpan<float> action)
    {
        Move(s, s[1] + (action[0] - 1) * 0.001 + Math.Cos(3 * s[0]) * -0.0025);
        return (-1, s[0] >= 0.5 && s[1] >= 0);
    }

    /// <summary>The new velocity, clipped, moves the car; the left wall stops it.</summary>
    internal static void Move(Span<double> s, double velocity)
    {
        s[1] = Math.Clamp(velocity, -0.07, 0.07);
        s[0] = Math.Clamp(s[0] + s[1], -1.2, 0.6);
        if (s[0] == -1.2 && s[1] < 0) s[1] = 0;
    }
}

/// <summary>
/// Gymnasium's MountainCarContinuous: the same valley with a force within ±1. Reward 100 at the goal (x ≥ 0.45), less 0.1 a² a step; 999 steps. The state is rounded to float32 every step, as
/// there.
/// </summary>
/// <param name="copies">Copies stepped together.</param>
public sealed class MountainCarContinuous(int copies) : StateEnvironment(copies, 2)
{
    /// <inheritdoc/>
    public override ActionSpace ActionSpace { get; } = ActionBounds.Unit(1);

    /// <inheritdoc/>
    public override int MaxSteps => 999;

    /// <inheritdoc/>
    protected override void Reset(Span<double> s, PhiloxStream random) => MountainCar.Start(s, random);

    /// <inheritdoc/>
    protected override (float Reward, bool Terminal) Step(Span<double> s, ReadOnlySpan<float> action)
    {
        double force = Math.Clamp((double)action[0], -1, 1);
        MountainCar.Move(s, s[1] + force * 0.0015 - 0.0025 * Math.Cos(3 * s[0]));
        bool arrived = s[0] >= 0.45 && s[1] >= 0;
        (s[0], s[1]) = ((float)s[0], (float)s[1]);
        return ((float)((arrived ? 100 : 0) - 0.1 * action[0] * action[0]), arrived);
    }
}
