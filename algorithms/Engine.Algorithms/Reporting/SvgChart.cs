using System.Globalization;
using System.Net;
using System.Text;

namespace Engine.Algorithms.Reporting;

/// <summary>A curve.</summary>
/// <param name="Name">In the legend; curves of one name have one colour.</param>
/// <param name="Colour">Index into the palette.</param>
/// <param name="X">Rising.</param>
/// <param name="Y">As many; NaN leaves a gap.</param>
/// <param name="Band">Half the height of the band around the curve; null for none.</param>
/// <param name="Thin">One of several seeds behind their mean.</param>
internal sealed record Curve(string Name, int Colour, double[] X, double[] Y, double[]? Band = null, bool Thin = false);

/// <summary>Curves as an inline SVG: axes with round ticks, a band where an error is known, and the numbers of a point as its tooltip.</summary>
internal static class SvgChart
{
    private const double Width = 560, Height = 270, Left = 62, Right = 20, Top = 12, Bottom = 40;
    private const int MostPoints = 400, MostTooltips = 60;

    /// <summary>Draws.</summary>
    /// <param name="curves">At least one point among them.</param>
    /// <param name="xLabel">Unit of the horizontal axis.</param>
    /// <param name="yLabel">Unit of the vertical axis.</param>
    public static string Draw(IReadOnlyList<Curve> curves, string xLabel, string yLabel)
    {
        curves = curves.Select(Thinned).ToArray();
        var finite = curves.SelectMany(c => c.Y.Select((y, i) => (Low: y - (c.Band?[i] ?? 0), High: y + (c.Band?[i] ?? 0)))).Where(p => double.IsFinite(p.Low) && double.IsFinite(p.High)).ToArray();
        if (finite.Length == 0) return "<p class=\"empty\">no numbers yet</p>";
        double low = finite.Min(p => p.Low), high = finite.Max(p => p.High), right = Math.Max(1, curves.Max(c => c.X.Length == 0 ? 0 : c.X[^1]));
        // A loss that falls by orders of magnitude is read on a logarithmic axis.
        bool log = low > 0 && high / low > 300;
        double Scale(double y) => log ? Math.Log10(y) : y;
        var ticks = log ? Decades(low, high) : Ticks(low, high, 5);
        (low, high) = (Math.Min(Scale(low), Scale(ticks[0])), Math.Max(Scale(high), Scale(ticks[^1])));
        if (high <= low) (low, high) = (low - 1, high + 1);
        double Px(double x) => Left + x / right * (Width - Left - Right);
        double Py(double y) => Top + (1 - (Scale(y) - low) / (high - low)) * (Height - Top - Bottom);

        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture, $"<svg viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-label=\"{WebUtility.HtmlEncode(yLabel)} by {WebUtility.HtmlEncode(xLabel)}\">");
        foreach (double tick in ticks)
        {
            double y = Py(tick);
            svg.Append(CultureInfo.InvariantCulture, $"<line class=\"grid\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{y:F1}\" y2=\"{y:F1}\"/><text x=\"{Left - 6}\" y=\"{y + 4:F1}\" text-anchor=\"end\">{Short(tick)}</text>");
        }
        foreach (double tick in Ticks(0, right, 6).Where(t => t <= right * 1.0001))
            svg.Append(CultureInfo.InvariantCulture, $"<line class=\"grid\" x1=\"{Px(tick):F1}\" x2=\"{Px(tick):F1}\" y1=\"{Top}\" y2=\"{Height - Bottom}\"/><text x=\"{Px(tick):F1}\" y=\"{Height - Bottom + 16}\" text-anchor=\"middle\">{Short(tick)}</text>");
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{(Left + Width - Right) / 2}\" y=\"{Height - 6}\" text-anchor=\"middle\">{WebUtility.HtmlEncode(xLabel)}</text>");
        svg.Append(CultureInfo.InvariantCulture, $"<text transform=\"translate(12 {(Top + Height - Bottom) / 2}) rotate(-90)\" text-anchor=\"middle\">{WebUtility.HtmlEncode(yLabel)}{(log ? " (log)" : "")}</text>");
        foreach (var c in curves.OrderByDescending(c => c.Thin))
        {
            if (c.Band is { } band)
            {
                var points = Enumerable.Range(0, c.X.Length).Where(i => double.IsFinite(c.Y[i]) && double.IsFinite(band[i]) && (!log || c.Y[i] > band[i])).ToArray();
                var edge = points.Select(i => (c.X[i], c.Y[i] + band[i])).Concat(points.Reverse().Select(i => (c.X[i], c.Y[i] - band[i])));
                svg.Append(CultureInfo.InvariantCulture, $"<polygon class=\"band c{c.Colour}\" points=\"{string.Join(" ", edge.Select(p => Point(Px(p.Item1), Py(p.Item2))))}\"/>");
            }
            var path = new StringBuilder();
            bool pen = false;
            for (int i = 0; i < c.X.Length; i++)
            {
                if (!double.IsFinite(c.Y[i]))
                {
                    pen = false;
                    continue;
                }
                path.Append(pen ? 'L' : 'M').Append(Point(Px(c.X[i]), Py(c.Y[i])));
                pen = true;
            }
            svg.Append(CultureInfo.InvariantCulture, $"<path class=\"line c{c.Colour}{(c.Thin ? " thin" : "")}\" d=\"{path}\"/>");
            if (c.Thin || c.X.Length > MostTooltips) continue;
            for (int i = 0; i < c.X.Length; i++)
                if (double.IsFinite(c.Y[i]))
                    svg.Append(CultureInfo.InvariantCulture, $"<circle class=\"dot c{c.Colour}\" cx=\"{Px(c.X[i]):F1}\" cy=\"{Py(c.Y[i]):F1}\" r=\"2.2\"><title>{WebUtility.HtmlEncode(c.Name)}, {c.X[i]:N0}: {c.Y[i]:G6}{(c.Band is { } b && double.IsFinite(b[i]) ? $" +- {b[i]:G3}" : "")}</title></circle>");
        }
        return svg.Append("</svg>").ToString();
    }

    private static string Point(double x, double y) => string.Create(CultureInfo.InvariantCulture, $"{x:F1},{y:F1}");

    /// <summary>At most a few hundred points: evenly many, the last one always.</summary>
    private static Curve Thinned(Curve c)
    {
        if (c.X.Length <= MostPoints) return c;
        var kept = Enumerable.Range(0, MostPoints).Select(i => (int)((long)i * (c.X.Length - 1) / (MostPoints - 1))).ToArray();
        double[] Pick(double[] values) => Array.ConvertAll(kept, i => values[i]);
        return c with { X = Pick(c.X), Y = Pick(c.Y), Band = c.Band is { } b ? Pick(b) : null };
    }

    /// <summary>Round numbers that cover a range.</summary>
    internal static double[] Ticks(double low, double high, int wanted)
    {
        if (high <= low) (low, high) = low == 0 ? (-1, 1) : (low - Math.Abs(low) * 0.5, low + Math.Abs(low) * 0.5);
        double rough = (high - low) / wanted, power = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        double step = new[] { 1, 2, 2.5, 5, 10 }.First(m => m * power >= rough * 0.999) * power;
        var ticks = new List<double>();
        for (double i = Math.Floor(low / step); i * step < high + step * 0.999 && ticks.Count < 40; i++) ticks.Add(i * step);
        return ticks.ToArray();
    }

    private static double[] Decades(double low, double high) =>
        Enumerable.Range((int)Math.Floor(Math.Log10(low)), (int)Math.Ceiling(Math.Log10(high)) - (int)Math.Floor(Math.Log10(low)) + 1).Select(e => Math.Pow(10, e)).ToArray();

    private static string Short(double value)
    {
        double size = Math.Abs(value);
        return size switch
        {
            < 1e-12 => "0",
            >= 1e9 or < 1e-3 => value.ToString("0.#e0", CultureInfo.InvariantCulture),
            >= 1e6 => (value / 1e6).ToString("0.##", CultureInfo.InvariantCulture) + "M",
            >= 1e4 => (value / 1e3).ToString("0.##", CultureInfo.InvariantCulture) + "k",
            _ => value.ToString("0.####", CultureInfo.InvariantCulture),
        };
    }
}
