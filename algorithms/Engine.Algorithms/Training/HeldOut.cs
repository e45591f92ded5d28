using System.Numerics;
using Engine.Algorithms.Batches;
using Engine.Algorithms.Data;
using Engine.Autodiff;

namespace Engine.Algorithms.Training;

/// <summary>
/// Losses and other metrics on rows that no update draws: the same update is traced into a graph that drops its assignments, so that every loss is of the variables as they are, nothing moves, and gradients are dead code. The rows take the
/// place of those of their source. Batches, their order and all draws are the same at every evaluation. A stage that draws from a source of which nothing is held out, such as a buffer, has no such metrics.
/// </summary>
internal sealed class HeldOut : IDisposable
{
    private const string Generator = "heldout.random.state";
    private const int MostBatches = 256; // of one evaluation, however many rows there are

    private readonly Trainer _run;
    private readonly Dictionary<Stage, (int Batches, List<(Program Program, string[] Metrics)> Programs)> _stages = [];

    /// <exception cref="SettingsException">No stage's update can be computed on what is held out.</exception>
    public HeldOut(Trainer run, IReadOnlyList<StagePrograms> stages, RunSources sources)
    {
        _run = run;
        ulong seed = run.Config.EvaluationSeed;
        // Of kind data: it begins anew at every evaluation and is in no checkpoint.
        var generator = run.State.Add(Generator, [3], new[] { (int)(uint)seed, (int)(uint)(seed >> 32), 0 }, VariableKind.Data);
        var rewards = RewardTransform.Parse(run.Config.Rewards);
        var rows = sources.HeldOutData.ToDictionary(h => h.Key, h => new HeldOutRows(h.Key, h.Value, run.State, rewards, sources.Data[h.Key], seed, graph => graph.Read(generator).At(0, 2)));
        foreach (var programs in stages)
        {
            var stage = programs.Stage;
            if (stage.Update is null || !stage.Draws.All(d => rows.ContainsKey(d.Source))) continue;
            int batches = (int)Math.Min(MostBatches, stage.Draws.Max(d => Math.Ceiling(rows[d.Source].Transitions / (d.Share * run.Config.Settings.BatchSize))));
            var (known, traced) = (new HashSet<string>(), new List<(Program, string[])>());
            // The fullest update first; others add what they alone report.
            foreach (uint due in programs.Variants.OrderByDescending(BitOperations.PopCount))
            {
                var graph = new Graph { Frozen = true };
                graph.Random.Use(generator);
                run.Algorithm.TraceUpdate(stage, graph, new DrawnBatches(graph, stage, name => rows[name], run.Spaces, run.Config.Settings.BatchSize).Read, due);
                string[] added = graph.Outputs.Keys.Where(known.Add).ToArray();
                foreach (string name in added) graph.Output(name, RunMetrics.Number(graph.Outputs[name]), replace: true);
                if (added.Length > 0) traced.Add((new Program(graph, run.State), added));
            }
            _stages[stage] = (batches, traced);
        }
        Columns = _stages.Values.SelectMany(s => s.Programs).SelectMany(p => p.Metrics).Distinct().ToArray();
        if (Columns.Count == 0) throw new SettingsException($"nothing of {run.Config.Algorithm} can be computed on held-out rows: each of its stages draws from {string.Join(", ", stages.SelectMany(s => s.Stage.Draws).Select(d => d.Source).Distinct())}");
    }

    /// <summary>Names of the metrics.</summary>
    public IReadOnlyList<string> Columns { get; }

    /// <summary>The means over the batches of what a stage's updates report; empty for a stage without.</summary>
    public IReadOnlyDictionary<string, double> Compute(Stage stage)
    {
        var sums = new Dictionary<string, double>();
        if (!_stages.TryGetValue(stage, out var of)) return sums;
        for (int batch = 0; batch < of.Batches; batch++)
        {
            _run.State.WriteAt(Generator, 2, [batch]);
            foreach (var (program, metrics) in of.Programs)
            {
                program.Run();
                foreach (string name in metrics) sums[name] = sums.GetValueOrDefault(name) + program.ReadScalar(name);
            }
        }
        return sums.ToDictionary(s => s.Key, s => s.Value / of.Batches);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (program, _) in _stages.Values.SelectMany(s => s.Programs)) program.Dispose();
    }
}
