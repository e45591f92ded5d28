using System.Globalization;

namespace Engine.Algorithms.Studies;

/// <summary>
/// What a study is to show over its seeds, by a percentile bootstrap of the differences of runs with the same seed. "a &gt; b": the one-sided 95% bound of a - b is above 0. "a &gt;= b R": it is above -5% of b's distance from R, the return of a random
/// policy. "a &gt; NUMBER": that of a - NUMBER is above 0. An algorithm may be followed by what else is evaluated, as its column is named: "a.success", "a.far.return" of the evaluation "far", "a.heldout.actor_loss".
/// </summary>
/// <param name="Text">As written.</param>
/// <param name="Better">The algorithm's label on the left.</param>
/// <param name="Other">The label on the right; null: a number.</param>
/// <param name="Measure">What is compared; null: the return of the last checkpoint.</param>
/// <param name="Number">The number on the right.</param>
/// <param name="Random">Return of a random policy, of "&gt;=".</param>
public sealed record StudyCheck(string Text, string Better, string? Other, string? Measure, double Number, double? Random)
{
    /// <summary>Parses a check.</summary>
    /// <param name="text">The check.</param>
    /// <param name="labels">Of the study's algorithms, which may have points.</param>
    /// <exception cref="SettingsException">Not one of the forms, or of another algorithm.</exception>
    public static StudyCheck Parse(string text, IReadOnlyCollection<string> labels)
    {
        string[] parts = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        static double? Number(string part) => double.TryParse(part, NumberStyles.Float, CultureInfo.InvariantCulture, out double v) ? v : null;
        (string Label, string? Measure) Split(string part)
        {
            string label = labels.Where(l => part == l || part.StartsWith(l + ".", StringComparison.Ordinal)).MaxBy(l => l.Length) ?? throw new SettingsException($"{part} is none of the algorithms {string.Join(", ", labels)}");
            return (label, part.Length == label.Length ? null : part[(label.Length + 1)..]);
        }
        if (parts is [var left, ">" or ">=", var right, ..] && Number(left) is null)
        {
            var (better, measure) = Split(left);
            double? limit = Number(right);
            var (other, second) = limit is null ? Split(right) : (null!, measure);
            double? random = parts.Length == 4 ? Number(parts[3]) : null;
            bool whole = parts[1] == ">" ? parts.Length == 3 : parts.Length == 4 && random is not null && limit is null;
            if (whole && measure == second) return new StudyCheck(text, better, other, measure, limit ?? 0, random);
        }
        throw new SettingsException($"check \"{text}\": expected \"A > B\", \"A > NUMBER\" or \"A >= B RANDOM\", each algorithm with the same .MEASURE if any");
    }

    /// <summary>The bound of the difference, the limit it must be above, and whether it is.</summary>
    /// <param name="values">Of a label: a number a seed.</param>
    public (double Bound, double Limit, bool Holds) Evaluate(Func<string, double[]> values)
    {
        double[] better = values(Better), other = Other is null ? Array.ConvertAll(better, _ => Number) : values(Other);
        double bound = Statistics.Bootstrap(better.Zip(other, (a, b) => a - b).ToArray(), 0.05).Low;
        double limit = Random is { } random ? -0.05 * Math.Abs(other.Average() - random) : 0;
        return (bound, limit, bound > limit);
    }
}

/// <summary>Intervals of means over seeds.</summary>
public static class Statistics
{
    /// <summary>How a return is written: one decimal, three where returns are small, as those of a success are.</summary>
    public static string Format(double value) => Math.Abs(value) < 10 ? "F3" : "F1";

    /// <summary>A return, written so.</summary>
    public static string Text(double value) => value.ToString(Format(value));

    private const int Resamples = 10_000;

    /// <summary>Percentile bootstrap of the mean, 10,000 resamples from a fixed stream: the mean lies below Low, and above High, in that share of them each.</summary>
    /// <param name="values">One a seed.</param>
    /// <param name="tail">Share on each side: 0.025 is a two-sided 95% interval, 0.05 a one-sided 95% bound.</param>
    public static (double Low, double High) Bootstrap(double[] values, double tail = 0.025)
    {
        var stream = new Kernels.PhiloxStream(0, "bootstrap");
        var means = new double[Resamples];
        for (int i = 0; i < means.Length; i++)
        {
            double sum = 0;
            for (int j = 0; j < values.Length; j++) sum += values[stream.NextInt(values.Length)];
            means[i] = sum / values.Length;
        }
        Array.Sort(means);
        int cut = (int)Math.Round(tail * Resamples);
        return (means[cut], means[Resamples - 1 - cut]);
    }
}
