using System.Globalization;
using Engine.Algorithms.Batches;

namespace Engine.Algorithms.Data;

/// <summary>Some of a dataset's trajectories, by their returns: the best, or the worst, in a share or number.</summary>
/// <param name="Best">The best, else the worst.</param>
/// <param name="Amount">Below 1 a share of the trajectories, rounded, at least one of them; else their number.</param>
/// <param name="Discount">Of the returns, in [0, 1].</param>
public sealed record TrajectoryChoice(bool Best, double Amount, double Discount = 1)
{
    /// <summary>Parses <c>best=0.1</c>, <c>worst=5</c> or <c>best=0.1,discount=0.99</c>; null of an empty text or null.</summary>
    /// <param name="option">The option's name, for messages.</param>
    /// <param name="text">The text.</param>
    /// <exception cref="SettingsException">Another text.</exception>
    public static TrajectoryChoice? Parse(string option, string? text)
    {
        if (string.IsNullOrEmpty(text)) return null;
        string[][] parts = text.Split(',', StringSplitOptions.TrimEntries).Select(p => p.Split('=')).ToArray();
        static double Number(string[] part) => part.Length == 2 && double.TryParse(part[1], NumberStyles.Float, CultureInfo.InvariantCulture, out double v) ? v : double.NaN;
        double amount = Number(parts[0]), discount = parts.Length == 2 && parts[1][0] == "discount" ? Number(parts[1]) : 1;
        bool good = parts[0][0] is "best" or "worst" && (amount is > 0 and < 1 || (amount >= 1 && amount == Math.Floor(amount))) && discount is >= 0 and <= 1 && (parts.Length == 1 || (parts.Length == 2 && parts[1][0] == "discount"));
        return good ? new TrajectoryChoice(parts[0][0] == "best", amount, discount)
            : throw new SettingsException($"{option}={text}: expected best=AMOUNT or worst=AMOUNT, a share below 1 or a number of trajectories, and after a comma discount=NUMBER in [0, 1] if returns are discounted");
    }

    /// <summary>The last rows of the chosen trajectories; of equal returns the earlier trajectory is chosen first.</summary>
    /// <param name="table">The rows.</param>
    /// <param name="source">For messages.</param>
    /// <exception cref="DatasetException">There are not so many.</exception>
    public IReadOnlySet<int> Of(DataTable table, string source)
    {
        float[] returns = table.ReturnsToGo((float[])table["rewards"], Discount);
        int[] firsts = table.Firsts().Distinct().ToArray();
        if (Amount > firsts.Length) throw new DatasetException($"{source}: has {firsts.Length} trajectories, {Amount} were asked for");
        int count = Amount < 1 ? Math.Max(1, (int)Math.Round(Amount * firsts.Length)) : (int)Amount;
        return firsts.OrderBy(at => Best ? -returns[at] : returns[at]).Take(count).Select(at => table.Ends[at]).ToHashSet();
    }
}
