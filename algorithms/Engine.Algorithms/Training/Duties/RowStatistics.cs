using Engine.Autodiff;

namespace Engine.Algorithms.Training;

/// <summary>Before the first step, puts mean and standard deviation of a dataset's columns, side by side, into two variables: by component, of terminals 0 and 1. Rewards are as recorded.</summary>
/// <param name="mean">[n]</param>
/// <param name="std">[n], epsilon added.</param>
/// <param name="epsilon">At least 0.</param>
/// <param name="columns">By name, and rows after the transition's own; n numbers together.</param>
/// <param name="source">Of the dataset.</param>
public sealed class RowStatistics(Variable mean, Variable std, double epsilon, IReadOnlyList<(string Column, int After)> columns, string source = Draw.Offline) : IDuty
{
    /// <inheritdoc/>
    public void Prepare(Trainer run)
    {
        if (!run.State.Device.HoldsData || !run.Datasets.TryGetValue(source, out var data)) return;
        int Width(string column) => data.Columns.First(c => c.Name == column).Width;
        int width = columns.Sum(c => Width(c.Column));
        var (sums, squares) = (new double[width], new double[width]);
        // Around the mean: first one pass, then the other.
        Each((at, value) => sums[at] += value);
        for (int i = 0; i < width; i++) sums[i] /= data.Count;
        Each((at, value) => squares[at] += (value - sums[at]) * (value - sums[at]));
        var deviations = squares.Select(s => Math.Sqrt(s / data.Count) + epsilon).ToArray();
        for (int i = 0, at = 0; i < columns.Count; at += Width(columns[i++].Column))
            if (columns[i].Column == "terminals") (sums[at], deviations[at]) = (0, 1);
        run.State.Write(mean.Name, Array.ConvertAll(sums, v => (float)v));
        run.State.Write(std.Name, Array.ConvertAll(deviations, v => (float)v));

        void Each(Action<int, double> visit)
        {
            for (int shard = 0; shard < data.Shards; shard++)
            {
                int at = 0;
                foreach (var (name, after) in columns)
                {
                    int size = Width(name);
                    var values = data.Shard(shard).AtTransitions(name, after);
                    for (int i = 0; i < values.Length; i++) visit(at + i % size, values[i]);
                    at += size;
                }
            }
        }
    }

    /// <inheritdoc/>
    public int Next(int step) => int.MaxValue;

    /// <inheritdoc/>
    public void Do(Trainer run) { }
}
