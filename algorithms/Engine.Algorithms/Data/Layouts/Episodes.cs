namespace Engine.Algorithms.Data.Layouts;

/// <summary>One recorded episode.</summary>
/// <param name="Name">For messages.</param>
/// <param name="Observations">[T, S], or [T + 1, S] with the last state.</param>
/// <param name="ObservationSize">S.</param>
/// <param name="Next">[T, S] where successors are stored; else null.</param>
/// <param name="Actions">[T, A].</param>
/// <param name="ActionSize">A.</param>
/// <param name="Rewards">[T].</param>
/// <param name="Terminals">[T].</param>
/// <param name="Timeouts">[T].</param>
internal sealed record RecordedEpisode(string Name, float[] Observations, int ObservationSize, float[]? Next, float[] Actions, int ActionSize, float[] Rewards, bool[] Terminals, bool[] Timeouts)
{
    public int Steps => Rewards.Length;

    public bool HasSuccessors => Next is not null || Observations.Length == (long)(Steps + 1) * ObservationSize;
}

/// <summary>Joins episodes to rows.</summary>
internal static class Episodes
{
    /// <summary>Rows of episodes, in order; those without a step are left out.</summary>
    /// <exception cref="DatasetException">There are none, or their sizes differ.</exception>
    public static Dataset Join(string path, string layout, IReadOnlyList<RecordedEpisode> all, ColumnKind actionKind, List<string> notes)
    {
        var episodes = all.Where(e => e.Steps > 0).ToArray();
        if (all.Count == 0) throw new DatasetException($"{path}: no episodes");
        if (episodes.Length == 0) throw new DatasetException($"{path}: no steps: all {all.Count} episodes are empty");
        if (episodes.Length < all.Count) notes.Add($"{(all.Count - episodes.Length == 1 ? "1 episode has no step and was" : $"{all.Count - episodes.Length} episodes have no step and were")} skipped: {string.Join(", ", all.Where(e => e.Steps == 0).Take(5).Select(e => e.Name))}");
        var first = episodes[0];
        foreach (var e in episodes)
            if ((e.ObservationSize, e.ActionSize) != (first.ObservationSize, first.ActionSize)) throw new DatasetException($"{path}: {e.Name} has {e.ObservationSize} observations and {e.ActionSize} actions, {first.Name} {first.ObservationSize} and {first.ActionSize}");
        long total = episodes.Sum(e => (long)e.Steps);
        if (total > int.MaxValue / 8) throw new DatasetException($"{path}: {total} rows, more than fit in memory as one dataset");
        int n = (int)total, s = first.ObservationSize, a = first.ActionSize;
        var (observations, actions, rewards, terminals, timeouts, ends) = (new float[checked(n * s)], new float[checked(n * a)], new float[n], new bool[n], new bool[n], new bool[n]);
        float[]? next = Array.TrueForAll(episodes, e => e.HasSuccessors) ? new float[n * s] : null;
        int row = 0;
        foreach (var e in episodes)
        {
            e.Observations.AsSpan(0, e.Steps * s).CopyTo(observations.AsSpan(row * s));
            if (next is not null) (e.Next is null ? e.Observations.AsSpan(s, e.Steps * s) : e.Next).CopyTo(next.AsSpan(row * s));
            e.Actions.CopyTo(actions, row * a);
            e.Rewards.CopyTo(rewards, row);
            e.Terminals.CopyTo(terminals, row);
            e.Timeouts.CopyTo(timeouts, row);
            row += e.Steps;
            ends[row - 1] = true;
        }
        for (int i = 0; i < n; i++)
        {
            if (terminals[i]) timeouts[i] = false;
            ends[i] |= terminals[i] || timeouts[i];
        }
        var (space, size, values) = ActionColumns.Of(actions, a, actionKind, path, "actions", notes);
        return new Dataset
        {
            Source = path,
            Layout = layout,
            ObservationSize = s,
            ActionSize = size,
            ActionSpace = space,
            Observations = observations,
            Actions = values,
            Rewards = rewards,
            Terminals = terminals,
            Timeouts = timeouts,
            Ends = ends,
            NextObservations = next,
            Notes = notes,
        };
    }
}
