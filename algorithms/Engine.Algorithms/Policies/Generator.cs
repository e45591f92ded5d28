using System.Globalization;
using Engine.Algorithms.Data;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Interop;
using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Algorithms.Policies;

/// <summary>Draws transitions from a run whose algorithm generates them: a dataset like any other, also as a source, <c>sample:RUN[,count=N][,seed=S][,checkpoint=C]</c>.</summary>
public static class Generator
{
    private const string Prefix = "sample:";

    /// <summary>Transitions that are drawn unless another number is asked for.</summary>
    public const int UsualCount = 10_000;

    private const int MostRows = 1000; // of a program's run

    private static readonly string[] Columns = ["observations", "actions", "rewards", "next_observations", "terminals"];

    /// <summary>Whether a source names a run to draw from.</summary>
    public static bool Names(string source) => source.StartsWith(Prefix, StringComparison.Ordinal);

    /// <summary>Draws what a source asks for, on the processor.</summary>
    /// <exception cref="DatasetException">A key is unknown or its value out of range, or the run generates no transitions.</exception>
    public static Dataset Load(string source)
    {
        string run = source[Prefix.Length..];
        var given = new Dictionary<string, string>();
        // A path may have commas: what has an equals sign after the last of them is an option.
        for (int at; (at = run.LastIndexOf(',')) >= 0 && run[(at + 1)..].Split('=') is [var key, var value]; run = run[..at])
            if (!given.TryAdd(key, value)) throw new DatasetException($"{source}: {key} is given twice");
        T Option<T>(string key, T usual) where T : IParsable<T> => !given.Remove(key, out string? text) ? usual
            : T.TryParse(text, CultureInfo.InvariantCulture, out var value) ? value : throw new DatasetException($"{source}: {key}={text}: expected a whole number");
        int count = Option("count", UsualCount);
        ulong seed = Option("seed", 0ul);
        string checkpoint = Option("checkpoint", "last");
        if (given.Count > 0) throw new DatasetException($"{source}: {given.Keys.First()} is unknown; expected {Prefix}RUN[,count=N][,seed=S][,checkpoint=last]");
        using var device = new CpuDevice();
        try { return Draw(run, count, seed, checkpoint, device) with { Source = source }; }
        catch (Exception e) when (e is SettingsException or InteropFormatException) { throw new DatasetException($"{source}: {e.Message}"); }
    }

    /// <summary>Whether an algorithm generates transitions.</summary>
    public static bool Generates(RunInfo about)
    {
        using var declaring = new DeclaringDevice();
        try { return Trace(about, new State(declaring), 1, 0) is { Graph: not null, Missing.Count: 0 }; }
        catch (SettingsException) { return false; } // it draws no samples at all
    }

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
        int rows = Math.Min(count, MostRows);
        var (graph, missing) = Trace(about, declared, rows, seed);
        if (graph is null || missing.Count > 0) throw new SettingsException($"{about.Config.Algorithm} generates no transitions: {(graph is null ? "it draws from states" : $"its samples have no {missing[0]}")}");
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

    /// <summary>The draws of an algorithm, and which columns of a transition they lack; no graph if they are made from states.</summary>
    private static (Graph? Graph, IReadOnlyList<string> Missing) Trace(RunInfo about, State declared, int rows, ulong seed)
    {
        var algorithm = AlgorithmCatalogue.Find(about.Config.Algorithm).Create(new AlgorithmContext(declared, about.Config.Seed, about.Spaces), about.Config.Settings);
        var graph = new Graph();
        graph.Random.Use(RandomDraws.AddState(declared, seed));
        bool fromStates = false;
        algorithm.TraceSamples(new Sampling(graph, rows, () =>
        {
            fromStates = true;
            return graph.Constant(TensorType.Float([rows, about.Spaces.Observation.Size]), 0);
        }, (name, shape) => graph.Random.Normal("sample_" + name, shape)));
        return (fromStates ? null : graph, [.. Columns.Where(c => !graph.Outputs.ContainsKey(c))]);
    }
}
