using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Engine.Algorithms.Data;

namespace Engine.Algorithms.Studies;

/// <summary>What a study over datasets is to show of them: that an algorithm's mean return rises with a measure of the dataset, by Spearman's rank correlation: "bc quality &gt; 0.5".</summary>
/// <param name="Text">As written.</param>
/// <param name="Label">The algorithm's.</param>
/// <param name="Measure">quality, coverage or log_coverage (<see cref="DatasetMeasures"/>).</param>
/// <param name="Least">What the correlation must be above.</param>
public sealed record DatasetCorrelation(string Text, string Label, string Measure, double Least)
{
    private static readonly (string Name, Func<DatasetMeasures, double> Of)[] Measures = [("quality", m => m.Quality), ("coverage", m => m.Coverage), ("log_coverage", m => m.LogCoverage)];

    /// <summary>Parses one.</summary>
    /// <exception cref="SettingsException">Not of that form.</exception>
    public static DatasetCorrelation Parse(string text, IReadOnlyCollection<string> labels) =>
        text.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [var label, var measure, ">", var number] && labels.Contains(label) && Measures.Any(m => m.Name == measure) && double.TryParse(number, NumberStyles.Float, CultureInfo.InvariantCulture, out double least)
            ? new DatasetCorrelation(text, label, measure, least)
            : throw new SettingsException($"correlation \"{text}\": expected \"ALGORITHM {string.Join('|', Measures.Select(m => m.Name))} > NUMBER\", the algorithm one of {string.Join(", ", labels)}");

    /// <summary>The measures of every dataset of a study, beside data of a random policy, all data of an online training, and its best mean return.</summary>
    /// <param name="study">With <c>measures</c>: <c>random</c>, <c>replay</c> and <c>online_return</c>.</param>
    /// <param name="with">What stands there.</param>
    internal static IReadOnlyDictionary<string, DatasetMeasures> Of(Study study, JsonObject with)
    {
        var (random, replay) = (Dataset.Load(Study.Located((string)with["random"]!)), Dataset.Load(Study.Located((string)with["replay"]!)));
        return study.Entries.Where(e => e.Config.Dataset is not null).GroupBy(e => e.Dataset).ToDictionary(g => g.Key, g => DatasetMeasures.Of(Dataset.Load(g.First().Config.Dataset!, g.First().Config.DatasetOptions), random, replay, (double)with["online_return"]!));
    }

    /// <summary>The correlation over datasets; NaN while a mean is missing.</summary>
    /// <param name="measures">Of the datasets.</param>
    /// <param name="mean">Mean return of an algorithm on a dataset.</param>
    public double Evaluate(IReadOnlyDictionary<string, DatasetMeasures> measures, Func<string, string, double> mean)
    {
        var of = Measures.First(m => m.Name == Measure).Of;
        double[] means = measures.Keys.Select(d => mean(d, Label)).ToArray();
        return means.Any(double.IsNaN) ? double.NaN : Statistics.Spearman(measures.Values.Select(of).ToArray(), means);
    }

    /// <summary>A table of the datasets, their measures and the mean returns on them, and one of the correlations.</summary>
    internal static string ToMarkdown(IReadOnlyDictionary<string, DatasetMeasures> measures, IReadOnlyList<string> labels, IReadOnlyList<DatasetCorrelation> checks, Func<string, string, double> mean)
    {
        var text = new StringBuilder($"### Measures of the datasets\n\n| dataset | TQ | SACo | lSACo | {string.Join(" | ", labels)} |\n|---|---|---|---|{string.Concat(labels.Select(_ => "---|"))}\n");
        foreach (var (name, m) in measures) text.AppendLine($"| {name} | {m.Quality:F3} | {m.Coverage:F3} | {m.LogCoverage:F3} | {string.Join(" | ", labels.Select(l => Statistics.Text(mean(name, l))))} |");
        text.AppendLine("\n| correlation | over datasets | |\n|---|---|---|");
        foreach (var check in checks)
        {
            double value = check.Evaluate(measures, mean);
            text.AppendLine($"| {check.Text} | {value:F2} | {(value > check.Least ? "holds" : "FAILS")} |");
        }
        return text.ToString();
    }
}
