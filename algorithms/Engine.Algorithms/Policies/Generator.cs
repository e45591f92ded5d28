using Engine.Algorithms.Data;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Policies;

/// <summary>Draws transitions from a run whose algorithm generates them: a dataset like any other.</summary>
public static class Generator
{
    private const int MostRows = 1000; // of a program's run

    private static readonly string[] Columns = ["observations", "actions", "rewards", "next_observations", "terminals"];

    /// <summary>Draws so many, each a trajectory of its own: observations not normalised, actions within the environment's bounds, a terminal where its number is above 1/2.</summary>
    /// <param name="run">A run folder.</param>
    /// <param name="count">At least 1.</param>
    /// <param name="seed">Of the draws.</param>
    /// <param name="checkpoint">last, best, or the number of a step that is kept.</param>
    /// <param name="device">Where it is computed.</param>
    /// <exception cref="SettingsException">The algorithm generates no transitions, or the count is out of range.</exception>
    public static Dataset Draw(string run, int count, ulong seed, string checkpoint, Device device)
    {
        if (count < 1) throw new SettingsException($"--count {count}: expected at least 1");
        var about = RunInfo.Read(run);
        var (_, weights) = Checkpoint.Find(run, checkpoint);
        if (about.Spaces.Action is not ActionBounds bounds) throw new SettingsException($"{run}: samples of discrete actions are not made");
        using var declaring = new DeclaringDevice();
        var declared = new State(declaring);
        var algorithm = AlgorithmCatalogue.Find(about.Config.Algorithm).Create(new AlgorithmContext(declared, about.Config.Seed, about.Spaces), about.Config.Settings);
        int rows = Math.Min(count, MostRows);
        var graph = new Graph();
        graph.Random.Use(RandomDraws.AddState(declared, seed));
        algorithm.TraceSamples(new Sampling(graph, rows, () => throw new SettingsException($"{about.Config.Algorithm} draws from states, not transitions"), (name, shape) => graph.Random.Normal("sample_" + name, shape)));
        if (Columns.FirstOrDefault(c => !graph.Outputs.ContainsKey(c)) is { } missing) throw new SettingsException($"{about.Config.Algorithm} generates no transitions: its samples have no {missing}");
        graph.Random.Advance();

        using var state = new State(device);
        RandomDraws.AddState(state, seed);
        Checkpoint.Add(weights, declared.Variables.Where(v => v.Name != RandomDraws.StateName && graph.Initial.ContainsKey(v.Name)).ToArray(), state);
        using var program = new Program(graph, state);
        var drawn = Columns.ToDictionary(c => c, _ => new List<float>());
        for (int at = 0; at < count; at += rows)
        {
            program.Run();
            foreach (string column in Columns)
            {
                var values = program.Read(column);
                drawn[column].AddRange(values.AsSpan(0, values.Length / rows * Math.Min(rows, count - at)));
            }
        }
        int size = bounds.Size;
        return new Dataset
        {
            Source = run,
            Layout = "samples",
            ObservationSize = about.Spaces.Observation.Size,
            ActionSpace = bounds,
            ActionSize = size,
            Observations = [.. drawn["observations"]],
            Actions = drawn["actions"].Select((a, i) => bounds.FromUnit(i % size, a)).ToArray(),
            Rewards = [.. drawn["rewards"]],
            Terminals = drawn["terminals"].Select(t => t > 0.5f).ToArray(),
            Timeouts = new bool[count],
            Ends = Enumerable.Repeat(true, count).ToArray(),
            NextObservations = [.. drawn["next_observations"]],
            Environment = about.Config.Environment,
        };
    }
}
