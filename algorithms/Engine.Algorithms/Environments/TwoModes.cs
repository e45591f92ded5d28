using Engine.Kernels;

namespace Engine.Algorithms.Environments;

/// <summary>
/// TwoModes-v1, a task of one step in which two actions are right and their mean is wrong: it tells a policy with several ways to act from one that regresses to the middle. Observation x, uniform in [-1, 1]; the right actions are
/// ±(0.5 + 0.2 x); the reward is 1 within 0.2 of one of them. Measures: <c>upper</c> and <c>lower</c>, whether the action was near that one. State (x, the action or 0).
/// </summary>
/// <param name="copies">Copies stepped together.</param>
public sealed class TwoModes(int copies) : StateEnvironment(copies, 2)
{
    private const double Near = 0.2;

    /// <inheritdoc/>
    public override int ObservationSize => 1;

    /// <inheritdoc/>
    public override ActionSpace ActionSpace { get; } = new ActionBounds([-1], [1]);

    /// <inheritdoc/>
    public override int MaxSteps => 1;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Measures { get; } = ["upper", "lower"];

    /// <summary>The upper of the right actions at x; the lower is its opposite.</summary>
    public static double Right(double x) => 0.5 + 0.2 * x;

    /// <inheritdoc/>
    protected override void Reset(Span<double> s, PhiloxStream random) => (s[0], s[1]) = (random.NextUniform(-1, 1), 0);

    /// <inheritdoc/>
    protected override void Observe(ReadOnlySpan<double> s, Span<float> observation) => observation[0] = (float)s[0];

    /// <inheritdoc/>
    protected override void Measure(ReadOnlySpan<double> s, Span<float> values) => (values[0], values[1]) = (IsNear(s, 1) ? 1 : 0, IsNear(s, -1) ? 1 : 0);

    /// <inheritdoc/>
    protected override (float Reward, bool Terminal) Step(Span<double> s, ReadOnlySpan<float> action)
    {
        s[1] = Math.Clamp(action[0], -1, 1);
        return (IsNear(s, 1) || IsNear(s, -1) ? 1 : 0, true);
    }

    private static bool IsNear(ReadOnlySpan<double> s, int sign) => Math.Abs(s[1] - sign * Right(s[0])) <= Near;
}
