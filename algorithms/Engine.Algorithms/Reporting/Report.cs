using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Engine.Algorithms.Training;
using Engine.Interop;

namespace Engine.Algorithms.Reporting;

/// <summary>
/// A page about one or several runs: learning curves with intervals, losses and other metrics, speed, dataset and settings. It holds everything it shows: no script, no network.
/// </summary>
public static class Report
{
    /// <summary>Name of the page in a run's or a study's folder.</summary>
    public const string FileName = "report.html";

    private const int Colours = 8, MostRuns = 400;

    /// <summary>Writes a run's own page, if the run has got as far as metrics.</summary>
    public static void WriteFor(string run)
    {
        if (RunHistory.TryRead(run) is { Steps.Length: > 0 }) Write([run], Path.Combine(run, FileName));
    }

    /// <summary>Writes a page about all runs in some folders.</summary>
    /// <param name="sources">Run folders, or folders with runs below them.</param>
    /// <param name="path">The page.</param>
    /// <returns>Number of runs.</returns>
    /// <exception cref="InteropFormatException">There is no run, or one is damaged.</exception>
    public static int Write(IReadOnlyList<string> sources, string path)
    {
        var runs = sources.SelectMany(Find).Select(RunHistory.Read).ToArray();
        if (runs.Length == 0) throw new InteropFormatException(sources[0], -1, "no run here or below; expected folders made by engine train or engine study");
        string html = Html(runs, Path.GetFileName(Path.GetFullPath(sources[0])));
        AtomicFile.Write(path, s => s.Write(Encoding.UTF8.GetBytes(html)));
        return runs.Length;
    }

    private static IEnumerable<string> Find(string source)
    {
        if (!Directory.Exists(source)) throw new InteropFormatException(source, -1, "no such folder");
        if (IsRun(source)) return [source];
        var options = new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 2 };
        return Directory.EnumerateDirectories(source, "*", options).Where(IsRun).Order(StringComparer.Ordinal).Take(MostRuns).ToArray();
    }

    private static bool IsRun(string folder) => File.Exists(Path.Combine(folder, "config.json")) && File.Exists(Path.Combine(folder, "metrics.csv"));

    /// <summary>Runs that differ in the seed alone.</summary>
    private sealed record Group(string Name, int Colour, RunHistory[] Runs);

    private static string Html(RunHistory[] runs, string title)
    {
        var groups = runs.GroupBy(Labels(runs)).Select((g, i) => new Group(g.Key, i % Colours, g.ToArray())).ToArray();
        var page = new StringBuilder();
        page.Append("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>").Append(Text(title)).Append(" - Engine</title><style>").Append(Style).Append("</style></head><body><main>");
        page.Append($"<h1>{Text(title)}</h1><p class=\"about\">{runs.Length} run{(runs.Length == 1 ? "" : "s")}, {string.Join(", ", runs.Select(r => r.Config.Environment ?? "no environment").Distinct().Select(Text))}</p>");
        if (groups.Length > 1 || runs.Length > 1) page.Append("<p class=\"legend\">").Append(string.Concat(groups.Select(g => $"<span><i class=\"c{g.Colour}\"></i>{Text(g.Name)}{(g.Runs.Length > 1 ? $" ({g.Runs.Length} seeds)" : "")}</span>"))).Append("</p>");
        Results(page, groups);
        page.Append("<h2>Learning</h2><div class=\"charts\">");
        bool normalized = runs.All(r => r.Evaluations.All(e => e.Normalized is not null)) && runs.Any(r => r.Evaluations.Count > 0);
        if (runs.Any(r => r.Evaluations.Count > 0))
        {
            Chart(page, "Return", Spread(groups), groups.SelectMany(g => Evaluations(g, e => e.Mean, e => e.StandardError)), "updates", "return");
            if (normalized) Chart(page, "Normalised return", "0 and 100 are the references of the task", groups.SelectMany(g => Evaluations(g, e => e.Normalized!.Value, _ => double.NaN)), "updates", "normalised return");
            Chart(page, "Return by time", "seconds of training, without evaluations", groups.SelectMany(g => g.Runs.Select(r => new Curve(g.Name, g.Colour, r.Evaluations.Select(e => e.Seconds).ToArray(), r.Evaluations.Select(e => e.Mean).ToArray()))), "seconds", "return");
        }
        // What is evaluated besides has an error; what is held out is a column alone.
        string[] columns = runs.SelectMany(r => r.Columns.Keys).Distinct().Where(c => c is not ("step" or "steps_per_second") && !c.StartsWith("return_", StringComparison.Ordinal)).ToArray();
        string[] evaluated = columns.Where(c => c.EndsWith(EvaluationColumns.MeanEnding, StringComparison.Ordinal) && columns.Contains(ErrorOf(c))).ToArray();
        foreach (string mean in evaluated)
            Chart(page, mean[..^EvaluationColumns.MeanEnding.Length], Spread(groups), groups.Where(g => g.Runs.Any(r => r.Columns.ContainsKey(mean))).SelectMany(g => Evaluated(g, mean)), "updates", mean[..^EvaluationColumns.MeanEnding.Length]);
        page.Append("</div><h2>Losses and metrics</h2><div class=\"charts\">");
        foreach (string metric in columns.Where(c => !evaluated.Contains(c) && !evaluated.Select(ErrorOf).Contains(c) && !c.EndsWith(".return_normalized", StringComparison.Ordinal)))
            Chart(page, metric, "", groups.Where(g => g.Runs.Any(r => r.Columns.ContainsKey(metric))).SelectMany(g => Metric(g, metric)), "updates", metric);
        Chart(page, "Speed", "updates a second since the line before", groups.SelectMany(g => Metric(g, "steps_per_second")), "updates", "updates/s");
        page.Append("</div>");
        Datasets(page, runs);
        Settings(page, groups);
        return page.Append("</main></body></html>\n").ToString();
    }

    /// <summary>The folder's name without the seed, with the folder above where names repeat: a study with several datasets has a folder for each.</summary>
    private static Func<RunHistory, string> Labels(RunHistory[] runs)
    {
        static string Name(RunHistory run) => Regex.Replace(Path.GetFileName(Path.GetFullPath(run.Folder)), @"-seed\d+$", "");
        static string Parent(RunHistory run) => Path.GetDirectoryName(Path.GetFullPath(run.Folder))!;
        var repeated = runs.GroupBy(Name).Where(g => g.Select(Parent).Distinct().Count() > 1).Select(g => g.Key).ToHashSet();
        return run => repeated.Contains(Name(run)) ? $"{Path.GetFileName(Parent(run))}/{Name(run)}" : Name(run);
    }

    private static string Spread(Group[] groups) => groups.Any(g => g.Runs.Length > 1)
        ? "thick: mean over seeds, band: its standard error; thin: single seeds" : "band: standard error over episodes";

    private static IEnumerable<Curve> Evaluations(Group g, Func<EvaluationPoint, double> value, Func<EvaluationPoint, double> error)
    {
        if (g.Runs.Length == 1)
        {
            var points = g.Runs[0].Evaluations;
            var band = points.Select(error).ToArray();
            return [new Curve(g.Name, g.Colour, points.Select(p => (double)p.Step).ToArray(), points.Select(value).ToArray(), Array.TrueForAll(band, double.IsFinite) ? band : null)];
        }
        return Averaged(g, g.Runs.Select(r => r.Evaluations.ToDictionary(p => p.Step, value)).ToArray());
    }

    private static string ErrorOf(string mean) => mean[..^EvaluationColumns.MeanEnding.Length] + EvaluationColumns.ErrorEnding;

    /// <summary>A mean over episodes with its error.</summary>
    private static IEnumerable<Curve> Evaluated(Group g, string mean)
    {
        if (g.Runs.Length > 1) return Metric(g, mean);
        var run = g.Runs[0];
        int[] lines = Enumerable.Range(0, run.Steps.Length).Where(i => !double.IsNaN(run.Columns[mean][i])).ToArray();
        double[] band = Array.ConvertAll(lines, i => run.Columns[ErrorOf(mean)][i]);
        return [new Curve(g.Name, g.Colour, Array.ConvertAll(lines, i => (double)run.Steps[i]), Array.ConvertAll(lines, i => run.Columns[mean][i]), Array.TrueForAll(band, double.IsFinite) ? band : null)];
    }

    private static IEnumerable<Curve> Metric(Group g, string metric)
    {
        // Lines without a number, such as those between two evaluations, are no gap.
        var byRun = g.Runs.Where(r => r.Columns.ContainsKey(metric)).Select(r => r.Steps.Zip(r.Columns[metric]).Where(p => !double.IsNaN(p.Second)).GroupBy(p => p.First).ToDictionary(p => p.Key, p => p.Last().Second)).ToArray();
        return byRun.Length == 1 ? [new Curve(g.Name, g.Colour, byRun[0].Keys.Select(s => (double)s).ToArray(), byRun[0].Values.ToArray())] : Averaged(g, byRun);
    }

    /// <summary>Single seeds thin, their mean thick with its standard error, at the steps that all have.</summary>
    private static IEnumerable<Curve> Averaged(Group g, Dictionary<int, double>[] runs)
    {
        foreach (var run in runs) yield return new Curve(g.Name, g.Colour, run.Keys.Select(s => (double)s).ToArray(), run.Values.ToArray(), Thin: true);
        int[] common = runs.Skip(1).Aggregate(runs[0].Keys.AsEnumerable(), (steps, run) => steps.Intersect(run.Keys)).Order().ToArray();
        var mean = Array.ConvertAll(common, s => runs.Average(r => r[s]));
        var error = common.Select((s, i) => Math.Sqrt(runs.Sum(r => (r[s] - mean[i]) * (r[s] - mean[i])) / Math.Max(1, runs.Length - 1) / runs.Length)).ToArray();
        yield return new Curve(g.Name, g.Colour, Array.ConvertAll(common, s => (double)s), mean, error);
    }

    private static void Chart(StringBuilder page, string title, string caption, IEnumerable<Curve> curves, string x, string y) =>
        page.Append($"<figure><figcaption><b>{Text(title)}</b> <small>{Text(caption)}</small></figcaption>{SvgChart.Draw(curves.ToArray(), x, y)}</figure>");

    private static void Results(StringBuilder page, Group[] groups)
    {
        page.Append("<table><thead><tr><th>run</th><th>updates</th><th>last return</th><th>best return</th><th>at update</th><th>updates/s</th><th>minutes</th></tr></thead><tbody>");
        foreach (var g in groups)
            foreach (var run in g.Runs)
            {
                var last = run.Evaluations.Count > 0 ? run.Evaluations[^1] : null;
                var best = run.Evaluations.MaxBy(e => e.Mean);
                string Show(EvaluationPoint? e) => e is null ? "-" : $"{Number(e.Mean)} &plusmn; {Number(e.StandardError)}{(e.Normalized is { } n ? $" <small>({Number(n)})</small>" : "")}";
                int steps = run.Steps.Length > 0 ? run.Steps[^1] : 0;
                page.Append($"<tr><td><i class=\"c{g.Colour}\"></i>{Text(Path.GetFileName(Path.GetFullPath(run.Folder)))}</td><td>{steps.ToString("N0", CultureInfo.InvariantCulture)}</td><td>{Show(last)}</td><td>{Show(best)}</td><td>{best?.Step.ToString("N0", CultureInfo.InvariantCulture) ?? "-"}</td><td>{Number(steps / Math.Max(run.Seconds, 1e-9))}</td><td>{Number(run.Seconds / 60)}</td></tr>");
            }
        page.Append("</tbody></table>");
        if (groups.Any(g => g.Runs.Any(r => r.Evaluations.Any(e => e.Normalized is not null)))) page.Append("<p class=\"about\">In brackets: normalised. Best is the best of the evaluations while training, which flatters it; last is what a user gets.</p>");
    }

    private static void Datasets(StringBuilder page, RunHistory[] runs)
    {
        var described = runs.SelectMany(r => r.Dataset ?? []).Select(d => d.Value).OfType<JsonObject>().GroupBy(d => (string?)d["fingerprint"]).Select(g => g.First()).ToArray();
        if (described.Length == 0) return;
        page.Append("<h2>Data</h2><table><thead><tr><th>dataset</th><th>transitions</th><th>observations</th><th>actions</th><th>episodes</th><th>return: min / mean / max</th><th>fingerprint</th></tr></thead><tbody>");
        foreach (var d in described)
            page.Append($"<tr><td>{Text(Value(d, "source"))}</td><td>{Whole(d, "transitions")}</td><td>{Whole(d, "observation_size")}</td><td>{Text(Value(d, "actions"))}</td><td>{Whole(d, "episodes")}</td><td>{Real(d, "return_min")} / {Real(d, "return_mean")} / {Real(d, "return_max")}</td><td><code>{Text(Value(d, "fingerprint") is { Length: > 12 } f ? f[..12] : "")}</code></td></tr>");
        page.Append("</tbody></table>");
        var notes = described.SelectMany(d => (d["notes"] as JsonArray)?.Select(n => n?.ToString() ?? "") ?? []).Distinct().ToArray();
        if (notes.Length > 0) page.Append("<ul>").Append(string.Concat(notes.Select(n => $"<li>{Text(n)}</li>"))).Append("</ul>");
    }

    private static string Value(JsonObject d, string key) => d[key]?.ToString() ?? "";

    private static string Whole(JsonObject d, string key) => double.TryParse(Value(d, key), CultureInfo.InvariantCulture, out double v) ? v.ToString("N0", CultureInfo.InvariantCulture) : "-";

    private static string Real(JsonObject d, string key) => double.TryParse(Value(d, key), CultureInfo.InvariantCulture, out double v) ? Number(v) : "-";

    private static void Settings(StringBuilder page, Group[] groups)
    {
        var settings = groups.Select(g =>
        {
            var all = SettingsJson.ToJson(g.Runs[0].Config.Settings).ToDictionary(p => p.Key, p => p.Value?.ToJsonString() ?? "null");
            all["algorithm"] = g.Runs[0].Config.Algorithm;
            if (g.Runs[0].Config.Rewards is { } rewards) all["rewards"] = rewards;
            return all;
        }).ToArray();
        var keys = settings.SelectMany(s => s.Keys).Distinct().ToArray();
        var different = keys.Where(k => settings.Select(s => s.GetValueOrDefault(k)).Distinct().Count() > 1).ToArray();
        void Rows(IEnumerable<string> names)
        {
            page.Append("<table><thead><tr><th></th>").Append(string.Concat(groups.Select(g => $"<th>{Text(g.Name)}</th>"))).Append("</tr></thead><tbody>");
            foreach (string key in names) page.Append($"<tr><td>{Text(key)}</td>").Append(string.Concat(settings.Select(s => $"<td>{Text(s.GetValueOrDefault(key) ?? "")}</td>"))).Append("</tr>");
            page.Append("</tbody></table>");
        }
        page.Append("<h2>Settings</h2>");
        if (different.Length > 0)
        {
            page.Append("<p class=\"about\">What differs:</p>");
            Rows(different);
        }
        page.Append("<details><summary>All settings</summary>");
        Rows(keys);
        page.Append("</details>");
    }

    private static string Number(double value) => !double.IsFinite(value) ? "-" : Math.Abs(value) >= 100 ? value.ToString("N0", CultureInfo.InvariantCulture) : value.ToString("0.0#", CultureInfo.InvariantCulture);

    private static string Text(string text) => WebUtility.HtmlEncode(text);

    private const string Style = """
        :root{color-scheme:light dark;--fg:#1c2430;--soft:#667085;--line:#d9dee6;--bg:#fff;--card:#f7f8fa}
        @media (prefers-color-scheme:dark){:root{--fg:#e6e9ef;--soft:#98a2b3;--line:#343b47;--bg:#14181f;--card:#1b2029}}
        body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif}main{max-width:1200px;margin:0 auto;padding:24px}
        h1{font-size:24px;margin:0 0 4px}h2{font-size:17px;margin:32px 0 10px}.about,small,figcaption small{color:var(--soft)}
        table{border-collapse:collapse;font-size:13.5px;margin:10px 0;display:block;overflow-x:auto}th{text-align:left;color:var(--soft);font-weight:500}td,th{padding:4px 14px 4px 0;border-bottom:1px solid var(--line);white-space:nowrap;font-variant-numeric:tabular-nums}
        .charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(420px,1fr));gap:16px}figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 12px}
        svg{width:100%;height:auto;display:block}svg text{font:11px system-ui,sans-serif;fill:var(--soft)}.grid{stroke:var(--line);stroke-width:1}
        .line{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round}.thin{stroke-width:.8;opacity:.45}.band{fill:var(--c);opacity:.18}.dot{fill:var(--c)}
        .legend span{margin-right:18px;white-space:nowrap}i{display:inline-block;width:11px;height:11px;border-radius:3px;background:var(--c);margin-right:7px}
        .c0{--c:#2f6fde}.c1{--c:#d9662b}.c2{--c:#2b9a66}.c3{--c:#b0409f}.c4{--c:#c79a1e}.c5{--c:#17939b}.c6{--c:#d64560}.c7{--c:#7a7f8a}
        details{margin-top:10px}summary{cursor:pointer;color:var(--soft)}code{font-size:12.5px}
        """;
}
