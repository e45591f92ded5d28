namespace Engine.Algorithms.Data.Layouts;

/// <summary>Takes rows that are no steps out of recorded ones.</summary>
internal static class RowPicker
{
    /// <summary>Keeps some rows.</summary>
    public static Dataset Pick(Dataset data, int[] kept) => data with
    {
        Observations = Take(data.Observations, data.ObservationSize, kept),
        Actions = Take(data.Actions, data.ActionSize, kept),
        Rewards = Take(data.Rewards, 1, kept),
        Terminals = Array.ConvertAll(kept, i => data.Terminals[i]),
        Timeouts = Array.ConvertAll(kept, i => data.Timeouts[i]),
        Ends = Array.ConvertAll(kept, i => data.Ends[i]),
        NextObservations = data.NextObservations is { } next ? Take(next, data.ObservationSize, kept) : null,
    };

    private static float[] Take(float[] values, int width, int[] kept)
    {
        var taken = new float[kept.Length * width];
        for (int k = 0; k < kept.Length; k++) values.AsSpan(kept[k] * width, width).CopyTo(taken.AsSpan(k * width));
        return taken;
    }

    /// <summary>Takes out rows that are the last state of an episode, not a step: they say what followed the row before. Of several in a row the first may be a state, the rest are padding.</summary>
    /// <param name="data">As recorded, without successors of its own.</param>
    /// <param name="state">Whether a row is such a state.</param>
    /// <param name="marks">Whether terminals and timeouts of these rows are those of the step before.</param>
    /// <param name="notes">Told are rows that are left without a successor.</param>
    public static Dataset LastStates(Dataset data, bool[] state, bool marks, List<string> notes)
    {
        int n = data.Count, s = data.ObservationSize;
        var (terminals, ends, next) = ((bool[])data.Terminals.Clone(), (bool[])data.Ends.Clone(), new float[data.Observations.Length]);
        var known = new bool[n];
        for (int i = 0; i < n; i++)
        {
            if (state[i]) continue;
            bool before = i + 1 < n && state[i + 1], padding = before && i + 2 < n && state[i + 2];
            if (before)
            {
                ends[i] = true;
                if (marks) terminals[i] = terminals[i + 1];
            }
            known[i] = i + 1 < n && !padding && (before || !ends[i]);
            data.Observations.AsSpan((known[i] ? i + 1 : i) * s, s).CopyTo(next.AsSpan(i * s));
        }
        // A step whose successor nobody knows is none; its observation is the successor of the one before.
        int lost = 0;
        for (int i = 0; i < n; i++)
        {
            if (state[i] || known[i] || terminals[i]) continue;
            lost++;
            state[i] = true;
            if (i > 0 && !state[i - 1] && !ends[i - 1]) ends[i - 1] = true;
        }
        if (lost > 0) notes.Add($"{lost} rows at the end of a cut-off trajectory have no successor and were dropped");
        var kept = Enumerable.Range(0, n).Where(i => !state[i]).ToArray();
        if (kept.Length == 0) throw new DatasetException($"{data.Source}: no transition: every row is the last of its trajectory");
        return Pick(data with { Terminals = terminals, Ends = ends, Timeouts = Array.ConvertAll(Enumerable.Range(0, n).ToArray(), i => ends[i] && !terminals[i]), NextObservations = next }, kept);
    }
}
