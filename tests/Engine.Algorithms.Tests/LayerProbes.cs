using Engine.Algorithms.Data;
using Engine.Algorithms.Policies;
using Engine.Algorithms.Training;
using Engine.Kernels.Cpu;

namespace Engine.Algorithms.Tests;

/// <summary>What the probes of the layer share: runs that are stopped, killed and resumed, and what of them must be equal.</summary>
internal static class Probe
{
    /// <summary>What a run left: all variables, tables of buffers and data included, and metrics.csv without rates.</summary>
    public sealed record Outcome(int Step, SortedDictionary<string, byte[]> Variables, string[] Metrics)
    {
        public void Same(Outcome other, bool metrics = true)
        {
            Assert.Equal(Step, other.Step);
            Assert.Equal(Variables.Keys, other.Variables.Keys);
            foreach (var (name, bytes) in Variables) Assert.True(bytes.AsSpan().SequenceEqual(other.Variables[name]), $"{name} differs");
            if (metrics) Assert.Equal(Metrics, other.Metrics);
        }
    }

    /// <summary>Trains, and stops where told.</summary>
    /// <param name="config">With as many lines of metrics as there are places to stop at.</param>
    /// <param name="data">By source.</param>
    /// <param name="folder">Of the run; null: none.</param>
    /// <param name="resume">Goes on with it.</param>
    /// <param name="threads">Of the device.</param>
    /// <param name="stop">Step at which it is stopped as by Ctrl+C; 0: never.</param>
    /// <param name="kill">Step at which it ends without a checkpoint; 0: never.</param>
    /// <param name="check">Looks at the trainer at the end.</param>
    public static Outcome Train(RunConfig config, Dictionary<string, TrainingData>? data = null, string? folder = null, bool resume = false, int threads = 1, int stop = 0, int kill = 0, Action<Trainer>? check = null)
    {
        using var device = new CpuDevice(threads);
        using var trainer = new Trainer(config, data ?? [], device, folder, resume);
        using var source = new CancellationTokenSource();
        try
        {
            trainer.Run(report =>
            {
                if (report.Step == stop) source.Cancel();
                if (report.Step == kill) throw new IOException("killed");
            }, source.Token);
        }
        catch (OperationCanceledException) { Assert.Equal(stop, trainer.Step); }
        catch (IOException e) when (e.Message == "killed") { }
        check?.Invoke(trainer);
        return new Outcome(trainer.Step, new(trainer.State.Variables.ToDictionary(v => v.Name, v => trainer.State.ReadBytes(v.Name)), StringComparer.Ordinal), folder is null ? [] : Metrics(folder));
    }

    /// <summary>The lines of metrics.csv without the rate, which no two runs share.</summary>
    public static string[] Metrics(string folder) => File.ReadAllLines(Path.Combine(folder, "metrics.csv")).Select(l => string.Join(",", l.Split(',').Where((_, i) => i != 1))).ToArray();

    /// <summary>The cells of a column of metrics.csv.</summary>
    public static string[] Column(string folder, string name)
    {
        var lines = File.ReadAllLines(Path.Combine(folder, "metrics.csv")).Select(l => l.Split(',')).ToArray();
        int at = Array.IndexOf(lines[0], name);
        return lines.Skip(1).Select(l => l[at]).ToArray();
    }

    /// <summary>Settings of an algorithm of the catalogue.</summary>
    public static AlgorithmSettings Settings(string algorithm, params (string Key, string Value)[] values) =>
        SettingsJson.With(AlgorithmCatalogue.Find(algorithm).Defaults, values.Select(s => KeyValuePair.Create(s.Key, SettingsJson.ParseValue(s.Value))));

    /// <summary>Numbers from -1 to 1, the same at every call.</summary>
    public static float[] Numbers(int count, string name)
    {
        var stream = new Kernels.PhiloxStream(5, name);
        return Enumerable.Range(0, count).Select(_ => (float)stream.NextUniform(-1, 1)).ToArray();
    }
}

/// <summary>An actor whose every action is compared with those of sessions.</summary>
internal sealed class Compared(PolicyActor actor, ActionBounds bounds, params PolicySession[] sessions) : IActor
{
    public int Calls { get; private set; }

    public int Rows => actor.Rows;

    public void Begin(ReadOnlySpan<bool> fresh)
    {
        actor.Begin(fresh);
        foreach (var session in sessions) session.Begin(fresh);
    }

    public void Act(ReadOnlySpan<float> observations, ReadOnlySpan<float> goals, Span<float> actions)
    {
        Calls++;
        actor.Act(observations, goals, actions);
        var expected = new float[actions.Length];
        for (int i = 0; i < actions.Length; i++) expected[i] = bounds.FromUnit(i % bounds.Size, actions[i]);
        foreach (var session in sessions)
        {
            var own = new float[actions.Length];
            session.Act(observations, own);
            Assert.Equal(expected, own);
        }
    }
}
