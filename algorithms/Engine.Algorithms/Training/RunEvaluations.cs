using System.Globalization;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Evaluation;
using Engine.Algorithms.Policies;

namespace Engine.Algorithms.Training;

/// <summary>
/// The evaluations of a run, by name: of its own environment, whose columns have no prefix; of further environments, NAME.return_mean and so on; of what is held out, heldout.LOSS and so on.
/// </summary>
/// <param name="Environments">Names and what is measured in them besides the return; the run's own is "".</param>
/// <param name="HeldOut">Names of the metrics on held-out rows.</param>
public sealed record EvaluationColumns(IReadOnlyList<(string Name, IReadOnlyList<string> Measures)> Environments, IReadOnlyList<string> HeldOut)
{
    /// <summary>The end of the name of a mean's column, beside which is one that ends with <see cref="ErrorEnding"/>.</summary>
    public const string MeanEnding = "_mean";

    /// <summary>The end of the name of a standard error's column.</summary>
    public const string ErrorEnding = "_standard_error";

    /// <summary>Names of the columns of metrics.csv.</summary>
    public IEnumerable<string> Names =>
    [
        .. Environments.SelectMany(e => new[] { "return_mean", "return_standard_error", "return_normalized" }.Concat(e.Measures.SelectMany(m => new[] { m + MeanEnding, m + ErrorEnding })).Select(c => Prefix(e.Name) + c)),
        .. HeldOut.Select(m => Prefix(Draw.HeldOut) + m),
    ];

    /// <summary>What begins the names of an evaluation's numbers.</summary>
    public static string Prefix(string name) => name.Length == 0 ? "" : name + ".";

    /// <summary>The cells of a line; empty where nothing was evaluated.</summary>
    internal IEnumerable<string> Cells(TrainingReport line)
    {
        static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
        foreach (var (name, measures) in Environments)
        {
            var result = Of(line, name);
            string[] returns = result is null ? ["", "", ""] : [Number(result.Mean, "G9"), Number(result.StandardError, "G6"), result.NormalizedMean is { } n ? Number(n, "G6") : ""];
            foreach (string cell in returns) yield return cell;
            foreach (string measure in measures)
            {
                yield return result is null ? "" : Number(result.Measures[measure].Average(), "G9");
                yield return result is null ? "" : Number(EvaluationResult.Error(result.Measures[measure]), "G6");
            }
        }
        foreach (string metric in HeldOut) yield return line.HeldOut.TryGetValue(metric, out double value) ? Number(value, "G9") : "";
    }

    /// <summary>What was evaluated, for the events.</summary>
    internal IEnumerable<(string Name, double Value)> Scalars(TrainingReport line)
    {
        foreach (var (name, _) in Environments)
        {
            if (Of(line, name) is not { } result) continue;
            yield return (Prefix(name) + "return", result.Mean);
            if (result.NormalizedMean is { } score) yield return (Prefix(name) + "normalized", score);
            foreach (var (measure, values) in result.Measures) yield return (Prefix(name) + measure, values.Average());
        }
        foreach (var (metric, value) in line.HeldOut) yield return (Prefix(Draw.HeldOut) + metric, value);
    }

    private static EvaluationResult? Of(TrainingReport line, string name) => name.Length == 0 ? line.Evaluation : line.Further.GetValueOrDefault(name);
}

/// <summary>Does the evaluations of a run.</summary>
internal sealed class RunEvaluations : IDisposable
{
    private readonly Trainer _run;
    private readonly IReadOnlyList<(string Name, EnvironmentEntry Entry)> _further;
    private readonly IReadOnlyDictionary<string, PromptRows> _prompts;
    private readonly HeldOut? _heldOut;

    /// <exception cref="SettingsException">A further environment does not fit the policy, the policy takes no prompt, or nothing can be computed on what is held out.</exception>
    public RunEvaluations(Trainer run, IReadOnlyList<StagePrograms> stages, RunSources sources)
    {
        (_run, _further, _prompts) = (run, run.Config.FurtherEvaluations(), sources.Prompts);
        // A prompt that does not fit is an error before the first update.
        foreach (var rows in _prompts.Values) Prompted(rows, () => 0);
        foreach (var (_, entry) in _further)
            if (entry.Create(1).Spaces is var task && !run.Spaces.Fits(task)) throw new SettingsException($"evaluate_on={entry.Id}: it has {task}, the run's policy {run.Spaces}");
        if (sources.HeldOutData.Count > 0) _heldOut = new HeldOut(run, stages, sources);
        static IReadOnlyList<string> Measures(EnvironmentEntry? entry) => entry?.Create(1).Measures ?? [];
        Columns = new([("", Measures(run.Environment)), .. _further.Select(f => (f.Name, Measures(f.Entry)))], _heldOut?.Columns ?? []);
    }

    /// <summary>What they tell.</summary>
    public EvaluationColumns Columns { get; }

    /// <summary>Whether there is one at all.</summary>
    public bool Any => _run.Environment is not null || _further.Count > 0 || _heldOut is not null;

    /// <summary>Evaluates the policy and the stage's losses as they stand, into a report.</summary>
    public TrainingReport Into(TrainingReport report, Stage stage) => report with
    {
        Evaluation = _run.Environment is { } own ? Evaluate(own) : null,
        Further = _further.ToDictionary(f => f.Name, f => _prompts.TryGetValue(f.Name, out var rows) ? Prompted(rows, () => Evaluate(f.Entry)) : Evaluate(f.Entry)),
        HeldOut = _heldOut?.Compute(stage) ?? report.HeldOut,
    };

    /// <summary>Does something with the policy prompted. What conditions it is put back after that: training knows nothing of it.</summary>
    private T Prompted<T>(PromptRows rows, Func<T> act)
    {
        var before = Prompt.Of(_run.Algorithm, rows.Count).Graph.Assigned.Keys.ToDictionary(name => name, _run.State.ReadBytes);
        _run.Policy.Prompt(rows);
        try { return act(); }
        finally
        {
            foreach (var (name, bytes) in before) _run.State.WriteBytes(name, bytes);
        }
    }

    private EvaluationResult Evaluate(EnvironmentEntry entry) =>
        Evaluator.Run(entry, _run.Policy.Start(_run.Config.EvaluationEpisodes, Mode.Deterministic, _run.Config.EvaluationSeed), _run.Config.EvaluationSeed, _run.State.Device.Threads);

    /// <inheritdoc/>
    public void Dispose() => _heldOut?.Dispose();
}
