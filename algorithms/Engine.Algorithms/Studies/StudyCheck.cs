using System.Globalization;

namespace Engine.Algorithms.Studies;

/// <summary>
/// What a study is to show over its seeds, by a percentile bootstrap of the differences of runs with the same seed. "a &gt; b": the one-sided 95% bound of a - b is above 0; "a &lt; b": that of b - a. "a &gt;= b R": that of a - b is above -5% of b's
/// distance from R, the return of a random policy; "a &gt;= b R 90%": above -10% of it. In the place of b there may be a number, beside &gt; and &lt;. "some a &gt; 9": in one seed at least, a number and no bound. An algorithm may be followed by what else is evaluated, as its column is named: "a.success",
/// "a.far.return" of the evaluation "far", "a.heldout.actor_loss", or by a number of the run's course (<see cref="Training.RunHistory.Measure"/>): "a.max.value_loss", "a.seconds".
/// </summary>
/// <param name="Text">As written.</param>
/// <param name="Better">The algorithm's label on the left.</param>
/// <param name="Other">The label on the right; null: a number.</param>
/// <param name="Measure">What is compared; null: the return of the last checkpoint.</param>
/// <param name="Number">The number on the right.</param>
/// <param name="Random">Return of a random policy, of "&gt;=".</param>
/// <param name="Less">Whether the left side is to be below the right one.</param>
/// <param name="Share">Share of b's distance from the random policy that a is to reach, of "&gt;=".</param>
/// <param name="Some">Whether one seed is enough.</param>
/// <param name="OtherMeasure">What of the right side; null: its return.</param>
public sealed record StudyCheck(string Text, string Better, string? Other, string? Measure, double Number, double? Random, bool Less, double Share, bool Some, string? OtherMeasure)
{
    private const double UsualShare = 0.95;

    /// <summary>Parses a check.</summary>
    /// <param name="text">The check.</param>
    /// <param name="labels">Of the study's algorithms, which may have points.</param>
    /// <exception cref="SettingsException">Not one of the forms, or of another algorithm.</exception>
    public static StudyCheck Parse(string text, IReadOnlyCollection<string> labels)
    {
        string[] parts = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        bool some = parts is ["some", _, ">" or "<", ..];
        if (some) parts = parts[1..];
        static double? Number(string part) => double.TryParse(part, NumberStyles.Float, CultureInfo.InvariantCulture, out double v) ? v : null;
        (string Label, string? Measure) Split(string part)
        {
            string label = labels.Where(l => part == l || part.StartsWith(l + ".", StringComparison.Ordinal)).MaxBy(l => l.Length) ?? throw new SettingsException($"{part} is none of the algorithms {string.Join(", ", labels)}");
            return (label, part.Length == label.Length ? null : part[(label.Length + 1)..]);
        }
        if (parts is [var left, ">" or "<" or ">=", var right, ..] && Number(left) is null)
        {
            var (better, measure) = Split(left);
            double? limit = Number(right);
            var (other, second) = limit is null ? Split(right) : (null!, measure);
            double? random = parts.Length > 3 ? Number(parts[3]) : null;
            double? share = parts.Length == 5 && parts[4].EndsWith('%') ? Number(parts[4][..^1]) / 100 : UsualShare;
            bool whole = parts[1] == ">=" ? parts.Length is 4 or 5 && random is not null && share is > 0 and <= 1 && limit is null && (parts.Length == 4 || parts[4].EndsWith('%')) : parts.Length == 3;
            if (whole && (measure is null) == (second is null)) return new StudyCheck(text, better, other, measure, limit ?? 0, random, parts[1] == "<", share!.Value, some, second);
        }
        throw new SettingsException($"check \"{text}\": expected \"A > B\", \"A > NUMBER\", the same with < or after \"some\", \"A >= B RANDOM\" or \"A >= B RANDOM SHARE%\", both algorithms with a .MEASURE or none");
    }

    /// <summary>The bound of the difference, the limit it must be above, and whether it is.</summary>
    /// <param name="values">Of a label and measure: a number a seed.</param>
    public (double Bound, double Limit, bool Holds) Evaluate(Func<string, string?, double[]> values)
    {
        double[] left = values(Better, Measure), other = Other is null ? Array.ConvertAll(left, _ => Number) : values(Other, OtherMeasure);
        var differences = left.Zip(other, (a, b) => Less ? b - a : a - b).ToArray();
        double bound = Some ? differences.Max() : Statistics.Bootstrap(differences, 0.05).Low;
        double limit = Random is { } random ? -(1 - Share) * Math.Abs(other.Average() - random) : 0;
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

    /// <summary>Spearman's rank correlation of two columns; equal values share their mean rank; NaN where one column has a single value.</summary>
    public static double Spearman(double[] a, double[] b)
    {
        static double[] Ranks(double[] values) => Array.ConvertAll(values, v => values.Count(w => w < v) + 0.5 * (values.Count(w => w == v) - 1));
        var (x, y) = (Ranks(a), Ranks(b));
        double mx = x.Average(), my = y.Average();
        return x.Zip(y, (p, q) => (p - mx) * (q - my)).Sum() / Math.Sqrt(x.Sum(p => (p - mx) * (p - mx)) * y.Sum(q => (q - my) * (q - my)));
    }

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
