using Engine.Algorithms.Policies;

namespace Engine.Algorithms.Training;

/// <summary>
/// Interacts with the environment before updates and keeps what happens in a buffer. Several duties of one source share environment and buffer.
/// </summary>
/// <param name="source">The buffer's name, from which updates draw.</param>
/// <param name="capacity">Rows the buffer holds.</param>
/// <param name="every">Steps of the stage between two steps of the environment's copies.</param>
/// <param name="mode">How the policy acts; null: actions drawn uniformly.</param>
/// <param name="atOnce">Steps of the environment's copies each time.</param>
public sealed class Interact(string source, int capacity, int every = 1, Mode? mode = Mode.Sample, int atOnce = 1) : IDuty
{
    private Collector? _collector;

    /// <summary>Steps of the environment so far and the return of the episode that ended last.</summary>
    public IReadOnlyList<string> Metrics { get; } = ["environment_steps", "episode_return"];

    /// <inheritdoc/>
    public void Prepare(Trainer run) => _collector = run.Collector(source, capacity);

    /// <inheritdoc/>
    public int Next(int step) => Every.Next(step, every);

    /// <inheritdoc/>
    public void Do(Trainer run)
    {
        for (int i = 0; i < atOnce; i++) _collector!.Step(mode);
        run.Report("environment_steps", _collector!.EnvironmentSteps);
        run.Report("episode_return", _collector.LastReturn);
    }
}
