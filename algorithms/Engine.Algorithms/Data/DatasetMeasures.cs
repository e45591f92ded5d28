using System.Text.Json.Nodes;

namespace Engine.Algorithms.Data;

/// <summary>
/// How good the trajectories of a dataset are and how much it covers, on the scale of an online training: TQ and SACo (Schweighofer et al. 2022, "A Dataset Perspective on Offline Reinforcement Learning", arXiv 2111.04714; reference:
/// ml-jku/OfflineRL evaluator.py, with exact sets in the place of its HyperLogLog).
/// </summary>
/// <param name="Quality">TQ: the mean return, 0 for the random policy's and 1 for the best of the online training. It may lie outside.</param>
/// <param name="Coverage">SACo: distinct pairs of state and action, over those of everything that the online training saw.</param>
/// <param name="LogCoverage">The same of their logarithms.</param>
public sealed record DatasetMeasures(double Quality, double Coverage, double LogCoverage)
{
    private const int Edges = 100;

    /// <summary>The measures of a dataset.</summary>
    /// <param name="data">The dataset.</param>
    /// <param name="random">Data of the random policy.</param>
    /// <param name="replay">All that the online training saw; its smallest and largest values are the bins' limits.</param>
    /// <param name="onlineReturn">The best mean return of the online training's evaluations.</param>
    /// <exception cref="DatasetException">Sizes differ.</exception>
    public static DatasetMeasures Of(Dataset data, Dataset random, Dataset replay, double onlineReturn)
    {
        foreach (var other in new[] { data, random })
            if (other.ObservationSize != replay.ObservationSize || other.ActionSize != replay.ActionSize) throw new DatasetException($"{other.Source}: {other.ObservationSize} observations and {other.ActionSize} action numbers, {replay.Source} has {replay.ObservationSize} and {replay.ActionSize}");
        double[] Returns(Dataset of) => of.Episodes().Select(e => of.Rewards[e].Sum(r => (double)r)).ToArray();
        var limits = Limits(replay.Observations, replay.ObservationSize).Concat(replay.ActionSpace is DiscreteActions discrete ? [(0, discrete.Count - 1)] : Limits(replay.Actions, replay.ActionSize)).ToArray();
        int Pairs(Dataset of) => Distinct(of.Count, limits, (row, axis) => axis < of.ObservationSize ? of.Observations[row * of.ObservationSize + axis] : of.Actions[row * of.ActionSize + axis - of.ObservationSize]);
        int covered = Pairs(data), all = Pairs(replay);
        return new DatasetMeasures(QualityOf(Returns(data), Returns(random), onlineReturn), (double)covered / all, Math.Log(covered) / Math.Log(all));
    }

    /// <summary>(g(data) - g(random)) / (online - g(random)), g the mean.</summary>
    private static double QualityOf(double[] returns, double[] random, double online) => (returns.Average() - random.Average()) / (online - random.Average());

    private static (double Low, double High)[] Limits(float[] values, int width) => Enumerable.Range(0, width).Select(axis => Enumerable.Range(0, values.Length / width).Select(row => (double)values[row * width + axis]).ToArray()).Select(v => (v.Min(), v.Max())).ToArray();

    /// <summary>Distinct rows when every axis is cut by 100 evenly spaced edges: a bin's number is that of the edges at or below a value, so the largest value has one to itself.</summary>
    /// <param name="rows">How many.</param>
    /// <param name="limits">The first and last edge of each axis.</param>
    /// <param name="value">Of a row and axis.</param>
    private static int Distinct(int rows, IReadOnlyList<(double Low, double High)> limits, Func<int, int, double> value)
    {
        var edges = limits.Select(l => Enumerable.Range(0, Edges).Select(i => i == Edges - 1 ? l.High : l.Low + i * ((l.High - l.Low) / (Edges - 1))).ToArray()).ToArray();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var key = new char[limits.Count];
        for (int row = 0; row < rows; row++)
        {
            for (int axis = 0; axis < key.Length; axis++) key[axis] = (char)Below(edges[axis], value(row, axis));
            seen.Add(new string(key));
        }
        return seen.Count;
    }

    private static int Below(double[] edges, double value)
    {
        int low = 0, high = edges.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (edges[middle] <= value) low = middle + 1;
            else high = middle;
        }
        return low;
    }

    /// <summary>What the fixture records.</summary>
    internal static void Recorded(Func<string, double[]> input, JsonObject settings, Action<string, double[]> report)
    {
        int size = (int)settings["state_size"]!, actions = (int)settings["actions"]!;
        var limits = Limits(Array.ConvertAll(input("replay.states"), v => (float)v), size).Append((0, actions - 1)).ToArray();
        var (pairs, returns) = (new Dictionary<string, int>(), new Dictionary<string, double[]>());
        foreach (string name in new[] { "data", "random", "replay" })
        {
            double[] states = input($"{name}.states"), chosen = input($"{name}.actions"), rewards = input($"{name}.rewards"), ends = input($"{name}.episode_ends");
            var sums = new List<double> { 0 };
            for (int i = 0; i < rewards.Length; i++)
            {
                sums[^1] += rewards[i];
                if (ends[i] != 0 && i + 1 < rewards.Length) sums.Add(0);
            }
            report($"{name}.returns", returns[name] = sums.ToArray());
            report($"{name}.unique_states", [Distinct(chosen.Length, limits[..size], (row, axis) => states[row * size + axis])]);
            report($"{name}.unique_state_actions", [pairs[name] = Distinct(chosen.Length, limits, (row, axis) => axis < size ? states[row * size + axis] : chosen[row])]);
        }
        report("quality", [QualityOf(returns["data"], returns["random"], (double)settings["online_return"]!)]);
        report("coverage", [(double)pairs["data"] / pairs["replay"]]);
        report("log_coverage", [Math.Log(pairs["data"]) / Math.Log(pairs["replay"])]);
    }
}
