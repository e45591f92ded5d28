using System.Globalization;
using Engine.Interop;

namespace Engine.Algorithms.Data;

/// <summary>
/// How rewards are changed before training: (reward + Shift) · Scale, where the scale may come from the data. Returns of evaluations stay in the environment's units.
/// </summary>
/// <param name="Shift">Added first: -1 for antmaze (Kostrikov et al. 2021).</param>
/// <param name="Scale">Then multiplied.</param>
/// <param name="ByReturnRange">Also times 1000 / (best - worst return of a trajectory), as IQL does on locomotion (Kostrikov et al. 2021).</param>
public sealed record RewardTransform(double Shift = 0, double Scale = 1, bool ByReturnRange = false)
{
    private static readonly string[] Names = ["shift", "scale", "return-range"];

    /// <summary>Parses <c>shift=-1</c>, <c>scale=0.1</c>, <c>return-range</c>, or several separated by commas; an empty text or null changes nothing.</summary>
    /// <exception cref="SettingsException">A part is unknown or has no number.</exception>
    public static RewardTransform Parse(string? text)
    {
        var transform = new RewardTransform();
        foreach (string part in (text ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var (name, value) = part.IndexOf('=', StringComparison.Ordinal) is var at and > 0 ? (part[..at], part[(at + 1)..]) : (part, null);
            double number = 0;
            if (name is "shift" or "scale" && !(double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out number) && double.IsFinite(number)))
                throw new SettingsException($"rewards {part}: expected {name}=NUMBER");
            transform = name switch
            {
                "shift" => transform with { Shift = number },
                "scale" => transform with { Scale = number },
                "return-range" when value is null => transform with { ByReturnRange = true },
                _ => throw new SettingsException($"rewards {part}: {NearNames.Describe(name, Names)}; expected shift=NUMBER, scale=NUMBER, return-range or several with commas between"),
            };
        }
        return transform;
    }

    /// <summary>The transformed rewards of a shard.</summary>
    /// <exception cref="DatasetException">The return range is wanted and all trajectories have the same return.</exception>
    public float[] Apply(float[] rewards, TrainingData data)
    {
        if (this == new RewardTransform()) return rewards;
        double factor = Scale, range = data.Returns.Max - data.Returns.Min;
        if (ByReturnRange) factor *= range > 0 ? 1000 / range : throw new DatasetException($"{data.Source}: all {data.Returns.Episodes} trajectories have the same return, so rewards cannot be scaled by their range");
        return Array.ConvertAll(rewards, r => (float)((r + Shift) * factor));
    }
}
