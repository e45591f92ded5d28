using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Engine.Algorithms.Data;
using Engine.Algorithms.Training;

namespace Engine.Algorithms.Studies;

/// <summary>What a study found, as a table and as JSON.</summary>
/// <param name="study">The study.</param>
/// <param name="folder">Where its runs are.</param>
public sealed class StudyTable(Study study, string folder)
{
    private readonly StudyScheduler _runs = new(study, folder);
    private IReadOnlyDictionary<string, DatasetMeasures>? _measures;

    /// <summary>
    /// The finished runs as Markdown: a table for each dataset, a row for each algorithm; the last checkpoint by seed, its mean over seeds with a 95% bootstrap interval, the best
    /// checkpoint, and the mean over the evaluations of the second half of the training.
    /// </summary>
    public string ToMarkdown()
    {
        bool normalized = study.Normalized;
        double? threshold = study.Threshold;
        var text = new StringBuilder();
        var seeds = study.Seeds;
        foreach (var dataset in study.Entries.GroupBy(e => e.Dataset))
        {
            if (dataset.Key.Length > 0) text.AppendLine($"### {dataset.Key}\n");
            string[] measures = dataset.Select(_runs.Result).SelectMany(r => r?.Measures.Keys ?? []).Distinct().ToArray();
            string above = threshold is { } t ? $" first evaluation above {t:G4}: updates | seconds to it |" : "";
            text.AppendLine($"| algorithm | updates | {string.Join(" | ", seeds.Select(s => $"seed {s}"))} | last, mean [95%] | best checkpoint [95%] | second half [95%] |{string.Concat(measures.Select(m => $" {m} [95%] |"))}{above} seconds a run |");
            text.AppendLine("|---|---|" + string.Concat(seeds.Select(_ => "---|")) + "---|---|---|" + string.Concat(measures.Select(_ => "---|")) + (threshold is null ? "" : "---|---|") + "---|");
            foreach (var group in dataset.GroupBy(e => e.Label))
            {
                var results = group.Select(_runs.Result).ToArray();
                string Text(double value) => normalized ? value.ToString("F1") : Statistics.Text(value);
                double? Value(StudyResult? r, Func<StudyResult, double?> plain, Func<StudyResult, double?> scaled) => r is null || r.Failure is not null ? null : normalized ? scaled(r) : plain(r);
                string Mean(Func<StudyResult, double?> plain, Func<StudyResult, double?> scaled)
                {
                    var known = results.Select(r => Value(r, plain, scaled)).Where(v => v is not null).Select(v => v!.Value).ToArray();
                    if (known.Length == 0) return "-";
                    var (low, high) = Statistics.Bootstrap(known);
                    return $"{Text(known.Average())} [{Text(low)}, {Text(high)}]";
                }
                string cells = string.Join(" | ", results.Select(r => r?.Failure is not null ? "diverged" : Value(r, x => x.Last, x => x.LastNormalized) is { } v ? Text(v) : "-"));
                text.Append($"| {group.Key} | {group.First().Config.Steps:N0} | {cells} | {Mean(r => r.Last, r => r.LastNormalized)} | {Mean(r => r.Best, r => r.BestNormalized)} | {Mean(r => r.SecondHalf, r => r.SecondHalfNormalized)} |");
                foreach (string measure in measures)
                {
                    var values = results.Where(r => r?.Measures.ContainsKey(measure) == true).Select(r => r!.Measures[measure]).ToArray();
                    text.Append(values.Length == 0 ? " - |" : $" {values.Average():F3} [{Statistics.Bootstrap(values).Low:F3}, {Statistics.Bootstrap(values).High:F3}] |");
                }
                if (threshold is { } limit)
                {
                    var first = group.Select(e => RunHistory.TryRead(Path.Combine(folder, e.Name))?.Evaluations.FirstOrDefault(p => p.Mean > limit)).ToArray();
                    text.Append($" {string.Join(" / ", first.Select(f => f is null ? "never" : f.Step.ToString("N0")))} | {string.Join(" / ", first.Select(f => f is null ? "-" : f.Seconds.ToString("F0")))} |");
                }
                var times = results.Where(r => r is not null).Select(r => r!.Seconds).ToArray();
                text.AppendLine($" {(times.Length == 0 ? "-" : times.Average().ToString("F0"))} |");
            }
            text.AppendLine();
            if (study.Behaviour(dataset.Key) is { } behaviour) text.AppendLine(Beside(behaviour, dataset.ToArray()));
            if (study.Switches.Count > 0) text.AppendLine(Effects(dataset.ToArray()));
            if (study.FittedQ is not null) text.AppendLine(Selection(dataset.ToArray()));
            if (study.Checks.Count == 0) continue;
            text.AppendLine("| check | bound | limit | |\n|---|---|---|---|");
            foreach (var (check, outcome) in Checks(dataset.ToArray()))
                text.AppendLine($"| {check.Text} | {(outcome is { } o ? $"{o.Bound:G4} | {o.Limit:G4} | {(o.Holds ? "holds" : "FAILS")}" : "- | - | not all runs have a number")} |");
            text.AppendLine();
        }
        if (study.MeasuredWith is not null) text.AppendLine(DatasetCorrelation.ToMarkdown(Measures, study.Entries.Select(e => e.Label).Distinct().ToArray(), study.Correlations, MeanOf));
        return text.ToString();
    }

    private IReadOnlyDictionary<string, DatasetMeasures> Measures => _measures ??= DatasetCorrelation.Of(study, study.MeasuredWith!);

    private double MeanOf(string dataset, string label) => study.Entries.Where(e => e.Dataset == dataset && e.Label == label).Select(e => _runs.Result(e) is { Failure: null } r ? r.Last : double.NaN).Average();

    /// <summary>The return of the policy that collected the data, and the algorithms whose mean is below it: with them the data's own policy should be kept (Qin et al. 2022, "NeoRL").</summary>
    private string Beside(string behaviour, IReadOnlyList<StudyEntry> runs)
    {
        double mean = TrainingData.Load(behaviour, runs[0].Config.Environment).Returns.Mean;
        string[] below = runs.GroupBy(e => e.Label).Where(g => g.Select(_runs.Result).OfType<StudyResult>().Select(r => r.Last).DefaultIfEmpty(double.NaN).Average() is var last && !(last >= mean)).Select(g => g.Key).ToArray();
        return $"The behaviour policy without its noise: {Statistics.Text(mean)}. Below it: {(below.Length == 0 ? "none" : string.Join(", ", below))}.\n";
    }

    /// <summary>What each switch changes: the return with it less that without, of equal seeds, for every algorithm and all of them.</summary>
    private string Effects(IReadOnlyList<StudyEntry> runs)
    {
        var last = runs.GroupBy(e => e.Label).ToDictionary(g => g.Key, g => g.OrderBy(e => e.Config.Seed).Select(e => _runs.Result(e) is { Failure: null } r ? r.Last : double.NaN).ToArray());
        string[] labels = last.Keys.Where(l => study.Switches.All(s => last.ContainsKey(Study.Switched(l, s)))).ToArray();
        static string Cell(double[] differences)
        {
            var known = differences.Where(d => !double.IsNaN(d)).ToArray();
            if (known.Length == 0) return "-";
            var (low, high) = Statistics.Bootstrap(known);
            return $"{Statistics.Text(known.Average())} [{Statistics.Text(low)}, {Statistics.Text(high)}]";
        }
        var text = new StringBuilder($"| switch | {string.Join(" | ", labels)} | all [95%] |\n|---|{string.Concat(labels.Select(_ => "---|"))}---|\n");
        foreach (string name in study.Switches)
        {
            var effects = labels.Select(l => last[Study.Switched(l, name)].Zip(last[l], (with, without) => with - without).ToArray()).ToArray();
            text.AppendLine($"| {name} | {string.Join(" | ", effects.Select(Cell))} | {Cell([.. effects.SelectMany(e => e)])} |");
        }
        return text.ToString();
    }

    /// <summary>How well the fitted values order the runs, and what is lost by taking the run with the highest.</summary>
    private string Selection(IReadOnlyList<StudyEntry> runs)
    {
        var judged = runs.Select(e => (Entry: e, Result: _runs.Result(e))).Where(r => r.Result is { Failure: null } && r.Result.Measures.ContainsKey("fitted_q")).Select(r => (r.Entry, r.Result!.Last, Fitted: r.Result.Measures["fitted_q"])).ToArray();
        if (judged.Length < 2) return "";
        var (chosen, best, worst) = (judged.MaxBy(r => r.Fitted), judged.Max(r => r.Last), judged.Min(r => r.Last));
        double regret = best == worst ? 0 : (best - chosen.Last) / (best - worst);
        return $"Selection by fitted Q among {judged.Length} runs: rank correlation {Statistics.Spearman(judged.Select(r => r.Fitted).ToArray(), judged.Select(r => r.Last).ToArray()):F2}; it takes {chosen.Entry.Name} with {Statistics.Text(chosen.Last)}, the best has {Statistics.Text(best)}, the worst {Statistics.Text(worst)}: regret {regret:F2}.\n";
    }

    /// <summary>The checks on the runs of a dataset; null where a run has no number.</summary>
    public IEnumerable<(StudyCheck Check, (double Bound, double Limit, bool Holds)? Outcome)> Checks(IReadOnlyList<StudyEntry> runs)
    {
        foreach (var check in study.Checks)
        {
            double[]? Of(string label, string? measure)
            {
                var values = runs.Where(e => e.Label == label).OrderBy(e => e.Config.Seed).Select(_runs.Result).Select(r => r is null ? double.NaN : measure is null ? r.Last : r.Measures.GetValueOrDefault(measure, double.NaN)).ToArray();
                return values.Any(double.IsNaN) ? null : values;
            }
            yield return (check, Of(check.Better, check.Measure) is null || (check.Other is not null && Of(check.Other, check.OtherMeasure) is null) ? null : check.Evaluate((label, measure) => Of(label, measure)!));
        }
    }

    /// <summary>Whether all checks on all datasets hold.</summary>
    public bool Holds => study.Entries.GroupBy(e => e.Dataset).All(d => Checks(d.ToArray()).All(c => c.Outcome is { Holds: true })) && study.Correlations.All(c => c.Evaluate(Measures, MeanOf) > c.Least);

    /// <summary>All results for scripts.</summary>
    public JsonArray ToJson() => new(study.Entries.Select(e => (JsonNode?)new JsonObject
    {
        ["run"] = e.Name,
        ["dataset"] = e.Config.Dataset,
        ["algorithm"] = e.Label,
        ["seed"] = e.Config.Seed,
        ["result"] = _runs.Result(e) is { } r ? JsonSerializer.SerializeToNode(r, StudyScheduler.Snake) : null,
    }).ToArray());
}
