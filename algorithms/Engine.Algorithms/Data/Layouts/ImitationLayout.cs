namespace Engine.Algorithms.Data.Layouts;

/// <summary>imitation: every episode has one observation more than actions; indices are the first steps of all episodes but the first, terminal says of each episode whether the task ended with it.</summary>
internal static class ImitationLayout
{
    /// <summary>Reads it.</summary>
    /// <param name="find">The columns.</param>
    /// <param name="indices">First steps of all episodes but the first.</param>
    /// <param name="notes">What was decided.</param>
    public static Dataset Read(ColumnFinder find, string indices, List<string> notes)
    {
        var table = find.Table;
        string observations = find.Observations[0], actions = find.Actions[0];
        if (table.Shape(indices) is not ([_] or [_, 1])) throw new DatasetException($"{table.Path}: {indices} has shape [{string.Join(",", table.Shape(indices))}], expected [trajectories]");
        var (all, size) = FlatLayout.Matrix(table, observations);
        var (n, width) = FlatLayout.Matrix(table, actions);
        double[] splits = table.ReadExact(indices);
        int episodes = splits.Length + 1;
        if (all != n + episodes) throw new DatasetException($"{table.Path}: {observations} has {all} rows, expected {n + episodes}: one for each of {n} actions and one more for each of {episodes} episodes");
        var (space, actionSize, acts) = ActionColumns.Of(table.Read(actions), width, table.Kind(actions), table.Path, actions, notes);
        float[] states = table.Read(observations);
        var ends = EpisodeEnds.At(table.Path, splits, indices, n, row => row - 1);
        ends[n - 1] = true;
        bool[]? ended = find.Find(Quantities.Terminals) is { } t ? Array.ConvertAll(FlatLayout.Column(table, t, episodes), v => v != 0) : null;
        var (terminals, own, next) = (new bool[n], new float[n * size], new float[n * size]);
        int episode = 0;
        for (int i = 0; i < n; i++)
        {
            states.AsSpan((i + episode) * size, size).CopyTo(own.AsSpan(i * size));
            states.AsSpan((i + episode + 1) * size, size).CopyTo(next.AsSpan(i * size));
            if (!ends[i]) continue;
            terminals[i] = ended?[episode] ?? false;
            episode++;
        }
        notes.Add(ended is null ? "nothing says that the task ended: no row is terminal" : "terminal says that an episode was complete, in this layout also by a time limit");
        string? rewards = find.Find(Quantities.Rewards);
        if (rewards is null) notes.Add("no rewards are stored: all are 0");
        return new Dataset
        {
            Source = table.Path,
            Layout = "imitation",
            ObservationSize = size,
            ActionSize = actionSize,
            ActionSpace = space,
            Observations = own,
            Actions = acts,
            Rewards = rewards is null ? new float[n] : FlatLayout.Column(table, rewards, n),
            Terminals = terminals,
            Timeouts = Array.ConvertAll(Enumerable.Range(0, n).ToArray(), i => ends[i] && !terminals[i]),
            Ends = ends,
            NextObservations = next,
        };
    }
}
