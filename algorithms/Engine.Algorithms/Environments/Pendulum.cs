using Engine.Kernels;

namespace Engine.Algorithms.Environments;

/// <summary>
/// Gymnasium's Pendulum: swing up and hold a pole (g 10, mass 1, length 1, step 0.05 s, torque within ±2, speed within ±8). Observation (cos θ, sin θ, θ'), reward
/// -(θ² + 0.1 θ'² + 0.001 u²) of the state before the step, 200 steps, no terminals. State in float64, observations in float32.
/// </summary>
/// <param name="copies">Copies stepped together.</param>
/// <param name="clipFirst">v1: the angle moves by the clipped new speed; v0: by the unclipped one, and the speed is clipped afterwards.</param>
public sealed class Pendulum(int copies, bool clipFirst) : IEnvironment
{
    private const double Gravity = 10, TimeStep = 0.05, MaxSpeed = 8, MaxTorque = 2;

    private readonly double[] _angle = new double[copies], _speed = new double[copies];

    /// <inheritdoc/>
    public int Copies => copies;

    /// <inheritdoc/>
    public int ObservationSize => 3;

    /// <inheritdoc/>
    public ActionSpace ActionSpace { get; } = new ActionBounds([-(float)MaxTorque], [(float)MaxTorque]);

    /// <inheritdoc/>
    public int MaxSteps => 200;

    /// <summary>Angle from upright (radians) and angular speed (rad/s) of a copy.</summary>
    public (double Angle, double Speed) this[int copy]
    {
        get => (_angle[copy], _speed[copy]);
        set => (_angle[copy], _speed[copy]) = value;
    }

    /// <inheritdoc/>
    public void Reset(int copy, PhiloxStream random)
    {
        _angle[copy] = random.NextUniform(-Math.PI, Math.PI);
        _speed[copy] = random.NextUniform(-1, 1);
    }

    /// <inheritdoc/>
    public void Observe(Span<float> observations)
    {
        for (int i = 0; i < copies; i++)
        {
            var (sin, cos) = Math.SinCos(_angle[i]);
            (observations[3 * i], observations[3 * i + 1], observations[3 * i + 2]) = ((float)cos, (float)sin, (float)_speed[i]);
        }
    }

    /// <inheritdoc/>
    public void Step(ReadOnlySpan<float> actions, Span<float> rewards, Span<bool> terminals)
    {
        for (int i = 0; i < copies; i++)
        {
            double u = Math.Clamp((double)actions[i], -MaxTorque, MaxTorque), angle = _angle[i], speed = _speed[i];
            double wrapped = Wrap(angle);
            rewards[i] = (float)-(wrapped * wrapped + 0.1 * speed * speed + 0.001 * u * u);
            terminals[i] = false;
            double next = speed + (1.5 * Gravity * Math.Sin(angle) + 3 * u) * TimeStep;
            double clipped = Math.Clamp(next, -MaxSpeed, MaxSpeed);
            _angle[i] = angle + (clipFirst ? clipped : next) * TimeStep;
            _speed[i] = clipped;
        }
    }

    /// <summary>The angle in [-π, π).</summary>
    public static double Wrap(double angle)
    {
        double shifted = (angle + Math.PI) % (2 * Math.PI);
        return (shifted < 0 ? shifted + 2 * Math.PI : shifted) - Math.PI;
    }
}
