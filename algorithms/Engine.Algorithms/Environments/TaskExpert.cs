using Engine.Algorithms.Data;

namespace Engine.Algorithms.Environments;

/// <summary>Someone who knows a task: which state an observation shows, and what to do in it. It can say of two actions which is the better one, as a person would be asked to.</summary>
public abstract class TaskExpert
{
    /// <summary>The state of the environment that an observation shows.</summary>
    /// <param name="observation">[S]</param>
    /// <param name="state">As of <see cref="StateEnvironment.State"/>.</param>
    public abstract void StateOf(ReadOnlySpan<float> observation, Span<double> state);

    /// <summary>What to do.</summary>
    /// <param name="state">As of <see cref="StateEnvironment.State"/>.</param>
    /// <param name="action">[A] in the environment's units.</param>
    public abstract void Act(ReadOnlySpan<double> state, Span<float> action);

    /// <summary>Discounted sum of the rewards if one begins with an action and the expert goes on.</summary>
    /// <param name="environment">Its first copy is used.</param>
    /// <param name="observation">[S]</param>
    /// <param name="action">[A] in the environment's units.</param>
    /// <param name="steps">At least 1.</param>
    /// <param name="discount">In [0, 1].</param>
    public double Value(StateEnvironment environment, ReadOnlySpan<float> observation, ReadOnlySpan<float> action, int steps, double discount)
    {
        StateOf(observation, environment.State(0));
        Span<float> next = stackalloc float[action.Length], reward = stackalloc float[1];
        Span<bool> ended = stackalloc bool[1];
        action.CopyTo(next);
        double value = 0, weight = 1;
        for (int t = 0; t < steps && !ended[0]; t++, weight *= discount)
        {
            if (t > 0) Act(environment.State(0), next);
            environment.Step(next, reward, ended);
            value += weight * reward[0];
        }
        return value;
    }

    /// <summary>Swings the pendulum up and holds it (<see cref="BuiltinPendulum.Controller"/>).</summary>
    internal sealed class OfPendulum : TaskExpert
    {
        /// <inheritdoc/>
        public override void StateOf(ReadOnlySpan<float> observation, Span<double> state) => (state[0], state[1]) = (Math.Atan2(observation[1], observation[0]), observation[2]);

        /// <inheritdoc/>
        public override void Act(ReadOnlySpan<double> state, Span<float> action) => action[0] = (float)BuiltinPendulum.Controller(state[0], state[1]);
    }
}
