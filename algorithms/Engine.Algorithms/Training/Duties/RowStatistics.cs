using Engine.Algorithms.Batches;
using Engine.Autodiff;

namespace Engine.Algorithms.Training;

/// <summary>Before the first step, puts mean and standard deviation of the numbers of a dataset's <see cref="TransitionRows"/> into two variables: by component, of the terminal 0 and 1. The rewards are as recorded.</summary>
/// <param name="mean">[2S + A + 2]</param>
/// <param name="std">[2S + A + 2], epsilon added.</param>
/// <param name="epsilon">At least 0.</param>
/// <param name="source">Of the dataset.</param>
public sealed class RowStatistics(Variable mean, Variable std, double epsilon, string source = Draw.Offline) : IDuty
{
    /// <inheritdoc/>
    public void Prepare(Trainer run)
    {
        if (!run.State.Device.HoldsData || !run.Datasets.TryGetValue(source, out var data)) return;
        int width = TransitionRows.Width(run.Spaces);
        var (sums, squares) = (new double[width], new double[width]);
        // Around the mean: first one pass, then the other.
        Each((at, value) => sums[at] += value);
        for (int i = 0; i < width; i++) sums[i] /= data.Count;
        Each((at, value) => squares[at] += (value - sums[at]) * (value - sums[at]));
        var deviations = squares.Select(s => Math.Sqrt(s / data.Count) + epsilon).ToArray();
        (sums[^1], deviations[^1]) = (0, 1);
        run.State.Write(mean.Name, Array.ConvertAll(sums, v => (float)v));
        run.State.Write(std.Name, Array.ConvertAll(deviations, v => (float)v));

        void Each(Action<int, double> visit)
        {
            for (int shard = 0; shard < data.Shards; shard++)
            {
                int at = 0;
                foreach (var (name, after) in new[] { ("observations", 0), ("actions", 0), ("rewards", 0), ("observations", 1), ("terminals", 0) })
                {
                    int size = data.Columns.First(c => c.Name == name).Width;
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
