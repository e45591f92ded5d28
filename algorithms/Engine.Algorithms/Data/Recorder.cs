using Engine.Algorithms.Environments;
using Engine.Kernels;

namespace Engine.Algorithms.Data;

/// <summary>Records episodes of one copy of an environment as a dataset.</summary>
/// <param name="environment">Has one copy.</param>
public sealed class Recorder(IEnvironment environment)
{
    private readonly List<float> _observations = [], _next = [], _actions = [], _rewards = [];
    private readonly List<bool> _terminals = [], _timeouts = [];

    /// <summary>Rows so far.</summary>
    public int Count => _rewards.Count;

    /// <summary>Records an episode to its end, or until there are <paramref name="maxRows"/> rows in all.</summary>
    /// <param name="act">Observation [S] to action [A] in the environment's units (of discrete actions the index).</param>
    /// <param name="start">Draws the start state.</param>
    /// <param name="maxRows">Stops there, in the middle of an episode if need be.</param>
    /// <returns>The undiscounted return.</returns>
    public double Record(Func<float[], float[]> act, PhiloxStream start, int maxRows = int.MaxValue)
    {
        if (environment.Copies != 1) throw new ArgumentException($"the environment has {environment.Copies} copies, expected 1");
        var (seen, next, reward, terminal) = (new float[environment.ObservationSize], new float[environment.ObservationSize], new float[1], new bool[1]);
        double sum = 0;
        environment.Reset(0, start);
        for (int t = 0; t < environment.MaxSteps && Count < maxRows && !terminal[0]; t++)
        {
            environment.Observe(seen);
            float[] action = act(seen);
            if (action.Length != environment.ActionSpace.Size) throw new ArgumentException($"an action has {action.Length} numbers, expected {environment.ActionSpace}");
            environment.Step(action, reward, terminal);
            environment.Observe(next);
            _observations.AddRange(seen);
            _next.AddRange(next);
            _actions.AddRange(action);
            _rewards.Add(reward[0]);
            _terminals.Add(terminal[0]);
            _timeouts.Add(!terminal[0] && t == environment.MaxSteps - 1);
            sum += reward[0];
        }
        return sum;
    }

    /// <summary>What was recorded so far.</summary>
    /// <param name="source">A name for messages.</param>
    /// <param name="environmentId">The environment's, if it has one.</param>
    public Dataset ToDataset(string source, string? environmentId = null)
    {
        var ends = _terminals.Zip(_timeouts, (a, b) => a || b).ToArray();
        if (ends.Length > 0) ends[^1] = true;
        return new Dataset
        {
            Source = source,
            Layout = "recorded",
            ObservationSize = environment.ObservationSize,
            ActionSize = environment.ActionSpace.Size,
            ActionSpace = environment.ActionSpace,
            Observations = _observations.ToArray(),
            Actions = _actions.ToArray(),
            Rewards = _rewards.ToArray(),
            Terminals = _terminals.ToArray(),
            Timeouts = _timeouts.ToArray(),
            Ends = ends,
            NextObservations = _next.ToArray(),
            Environment = environmentId,
        };
    }
}
