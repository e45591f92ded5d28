namespace Engine.Algorithms.Data;

/// <summary>
/// Transitions over up to n steps (Sutton and Barto, chapter 7): the rewards of a window are summed with their discounts, and the value to bootstrap from is that of the state behind it. A window
/// ends early at a terminal, from which nothing is bootstrapped, and where the trajectory is cut off (a time limit or the end of the recording), from whose last known state it is.
/// </summary>
/// <param name="Observations">[N, S], the first state of each window.</param>
/// <param name="Actions">[N, A] in the environment's units, the first action.</param>
/// <param name="Returns">[N]: sum of discount^k times the k-th reward.</param>
/// <param name="BootstrapObservations">[N, S], the state behind the window.</param>
/// <param name="BootstrapDiscounts">[N]: discount to the power of the window's steps; 0 if it ends with a terminal.</param>
/// <param name="Steps">[N], 1 to n.</param>
public sealed record NStepTransitions(float[] Observations, float[] Actions, float[] Returns, float[] BootstrapObservations, float[] BootstrapDiscounts, int[] Steps)
{
    /// <summary>The windows that begin at each row that has a successor or ends the task.</summary>
    /// <param name="data">Recorded rows.</param>
    /// <param name="n">Most steps of a window, at least 1.</param>
    /// <param name="discount">0 to 1.</param>
    /// <exception cref="SettingsException">n or the discount is out of range.</exception>
    /// <exception cref="DatasetException">The rows are not in order (next_observations differ from the next row), so windows cannot be followed.</exception>
    public static NStepTransitions From(Dataset data, int n, double discount)
    {
        if (n < 1) throw new SettingsException($"n={n}: expected at least 1");
        if (discount is not (>= 0 and <= 1)) throw new SettingsException($"discount={discount}: expected 0 to 1");
        int s = data.ObservationSize, a = data.ActionSize;
        bool Known(int i) => data.NextObservations is not null || data.Terminals[i] || (!data.Ends[i] && i + 1 < data.Count);
        ReadOnlySpan<float> Successor(int i) => data.NextObservations is { } next ? next.AsSpan(i * s, s) : data.Terminals[i] ? data.Observations.AsSpan(i * s, s) : data.Observations.AsSpan((i + 1) * s, s);
        if (n > 1 && data.NextObservations is not null)
            for (int i = 0; i + 1 < data.Count; i++)
                if (!data.Ends[i] && !data.Terminals[i] && !Successor(i).SequenceEqual(data.Observations.AsSpan((i + 1) * s, s)))
                    throw new DatasetException($"{data.Source}: row {i}: its next observation is not the observation of row {i + 1}: the rows are shuffled, so there are no windows of {n} steps");

        var starts = Enumerable.Range(0, data.Count).Where(Known).ToArray();
        var (observations, actions, returns) = (new float[starts.Length * s], new float[starts.Length * a], new float[starts.Length]);
        var (bootstrap, discounts, steps) = (new float[starts.Length * s], new float[starts.Length], new int[starts.Length]);
        for (int w = 0; w < starts.Length; w++)
        {
            int first = starts[w], last = first;
            double sum = data.Rewards[first], factor = discount;
            while (last - first + 1 < n && !data.Terminals[last] && !data.Ends[last] && last + 1 < data.Count && Known(last + 1))
            {
                last++;
                sum += factor * data.Rewards[last];
                factor *= discount;
            }
            data.Observations.AsSpan(first * s, s).CopyTo(observations.AsSpan(w * s));
            data.Actions.AsSpan(first * a, a).CopyTo(actions.AsSpan(w * a));
            Successor(last).CopyTo(bootstrap.AsSpan(w * s, s));
            (returns[w], discounts[w], steps[w]) = ((float)sum, data.Terminals[last] ? 0 : (float)factor, last - first + 1);
        }
        return new NStepTransitions(observations, actions, returns, bootstrap, discounts, steps);
    }
}
