using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Kernels;

namespace Engine.Algorithms.Evaluation;

/// <summary>How generated transitions compare with the data that they are to be like (the tests of Lu et al. 2023, "Synthetic Experience Replay", section 4.1, in numbers).</summary>
public static class SampleQuality
{
    private const int Most = 500; // rows whose nearest neighbours are looked for

    /// <summary>
    /// Of the numbers of a transition (observation, action, reward, next observation), those that never change left out, in standard deviations of the data:
    /// <list type="bullet">
    /// <item><c>mean_error</c>: the largest difference of means;</item>
    /// <item><c>std_error</c>: the largest difference of the standard deviations;</item>
    /// <item><c>correlation_error</c>: the largest difference of the correlations of two of them;</item>
    /// <item><c>dynamics_error</c>: mean square of reward and next observation less those of the environment, where one observation tells its state;</item>
    /// <item><c>dynamics_ratio</c>: that over the error of data with normal noise, as far from the data as the samples are (mean distance to the nearest row).</item>
    /// </list>
    /// </summary>
    /// <param name="data">Of the same task.</param>
    /// <param name="samples">With next observations.</param>
    /// <param name="environment">The task; null: no dynamics.</param>
    public static IReadOnlyDictionary<string, double> Of(Dataset data, Dataset samples, string? environment)
    {
        double[][] real = Rows(data), made = Rows(samples);
        int width = real[0].Length;
        double[] mean = Enumerable.Range(0, width).Select(j => real.Average(r => r[j])).ToArray();
        double[] std = Enumerable.Range(0, width).Select(j => Math.Sqrt(real.Average(r => (r[j] - mean[j]) * (r[j] - mean[j])))).ToArray();
        int[] moving = Enumerable.Range(0, width).Where(j => std[j] > 1e-6).ToArray();
        double[] Standard(double[] row) => Array.ConvertAll(moving, j => (row[j] - mean[j]) / std[j]);
        double[][] a = Array.ConvertAll(real, Standard), b = Array.ConvertAll(made, Standard);

        var (center, spread, correlation) = Moments(b);
        var (_, _, expected) = Moments(a);
        var result = new Dictionary<string, double>
        {
            ["mean_error"] = center.Max(Math.Abs),
            ["std_error"] = spread.Max(s => Math.Abs(s - 1)),
            ["correlation_error"] = Enumerable.Range(0, moving.Length).Max(i => Enumerable.Range(0, i).Select(j => Math.Abs(correlation[i][j] - expected[i][j])).DefaultIfEmpty(0).Max()),
        };
        if (environment is null || EnvironmentCatalogue.Find(environment).Create(1) is not StateEnvironment task || !task.TryState(data.Observations.AsSpan(0, data.ObservationSize), task.State(0))) return result;

        double Error(IEnumerable<double[]> rows) => rows.Average(row => DynamicsError(task, row, data.ObservationSize, data.ActionSize, std));
        double error = result["dynamics_error"] = Error(made.Take(Most));
        // The noise that takes the data as far from themselves as the samples are.
        double distance = b.Take(Most).Average(row => Nearest(row, a)), low = 0, high = 2;
        var random = new PhiloxStream(0, "sample quality");
        double[][] noise = Enumerable.Range(0, Math.Min(Most, made.Length)).Select(_ => Enumerable.Range(0, width).Select(_ => random.NextNormal()).ToArray()).ToArray();
        int[] from = noise.Select(_ => random.NextInt(real.Length)).ToArray();
        double[][] Jittered(double size) => noise.Select((n, i) => n.Select((x, j) => real[from[i]][j] + size * std[j] * x).ToArray()).ToArray();
        for (int i = 0; i < 12; i++)
        {
            double middle = 0.5 * (low + high);
            if (Jittered(middle).Average(row => Nearest(Standard(row), a)) < distance) low = middle;
            else high = middle;
        }
        result["dynamics_ratio"] = error / Error(Jittered(0.5 * (low + high)));
        return result;
    }

    /// <summary>Observation, action, reward and next observation side by side, rows without a successor left out.</summary>
    private static double[][] Rows(Dataset data)
    {
        int s = data.ObservationSize, n = data.ActionSize;
        var rows = new List<double[]>(data.Count);
        for (int i = 0; i < data.Count; i++)
        {
            if (data.NextObservations is null && data.Ends[i]) continue;
            var next = data.NextObservations is { } given ? given.AsSpan(i * s, s) : data.Observations.AsSpan((i + 1) * s, s);
            rows.Add([.. Doubles(data.Observations.AsSpan(i * s, s)), .. Doubles(data.Actions.AsSpan(i * n, n)), data.Rewards[i], .. Doubles(next)]);
        }
        return [.. rows];

        static double[] Doubles(ReadOnlySpan<float> values)
        {
            var all = new double[values.Length];
            for (int i = 0; i < all.Length; i++) all[i] = values[i];
            return all;
        }
    }

    private static (double[] Mean, double[] Std, double[][] Correlation) Moments(double[][] rows)
    {
        int width = rows[0].Length;
        double[] mean = Enumerable.Range(0, width).Select(j => rows.Average(r => r[j])).ToArray();
        double Covariance(int i, int j) => rows.Average(r => (r[i] - mean[i]) * (r[j] - mean[j]));
        double[] std = Enumerable.Range(0, width).Select(j => Math.Sqrt(Covariance(j, j))).ToArray();
        return (mean, std, Enumerable.Range(0, width).Select(i => Enumerable.Range(0, i).Select(j => Covariance(i, j) / Math.Max(1e-12, std[i] * std[j])).ToArray()).ToArray());
    }

    private static double Nearest(double[] row, double[][] among)
    {
        double least = double.PositiveInfinity;
        foreach (double[] other in among)
        {
            double sum = 0;
            for (int j = 0; j < row.Length && sum < least; j++) sum += (row[j] - other[j]) * (row[j] - other[j]);
            least = Math.Min(least, sum);
        }
        return Math.Sqrt(least);
    }

    /// <summary>Mean square, in standard deviations, of reward and next observation less the environment's.</summary>
    private static double DynamicsError(StateEnvironment task, double[] row, int observationSize, int actionSize, double[] std)
    {
        float[] Part(int from, int count) => Array.ConvertAll(row[from..(from + count)], v => (float)v);
        var (rewards, terminals, seen) = (new float[1], new bool[1], new float[observationSize]);
        task.TryState(Part(0, observationSize), task.State(0));
        task.Step(Part(observationSize, actionSize), rewards, terminals);
        task.Observe(seen);
        int at = observationSize + actionSize;
        double sum = 0;
        int count = 0;
        void Add(double error, double scale)
        {
            if (scale <= 1e-6) return;
            sum += error * error / (scale * scale);
            count++;
        }
        Add(row[at] - rewards[0], std[at]);
        for (int j = 0; j < observationSize; j++) Add(row[at + 1 + j] - seen[j], std[at + 1 + j]);
        return sum / Math.Max(1, count);
    }
}
