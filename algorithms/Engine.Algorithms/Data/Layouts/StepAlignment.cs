namespace Engine.Algorithms.Data.Layouts;

/// <summary>
/// Recordings by steps of dm_env (is_first, is_last) have one row without an action in each episode. RLDS has it at the end: the last row is the last state. Dreamer has it at the start:
/// every row holds the action and the reward that led to its observation. Which one it is shows by the row whose action and reward are zeros in all episodes.
/// </summary>
internal static class StepAlignment
{
    /// <summary>Rows of (observation, action taken there, reward that followed); as they are, with a note, where nothing shows the alignment.</summary>
    /// <param name="data">As recorded, without successors of its own.</param>
    /// <param name="notes">What was decided.</param>
    public static Dataset Apply(Dataset data, List<string> notes)
    {
        int n = data.Count;
        var first = Enumerable.Range(0, n).Select(i => i == 0 || data.Ends[i - 1]).ToArray();
        bool Blank(int i) => data.Rewards[i] == 0 && !data.Actions.AsSpan(i * data.ActionSize, data.ActionSize).ContainsAnyExcept(0f);
        bool starts = Enumerable.Range(0, n).All(i => !first[i] || Blank(i)), ends = Enumerable.Range(0, n).All(i => !data.Ends[i] || Blank(i));
        if (starts == ends)
        {
            notes.Add("actions and rewards are taken to follow the observation of their row: no row without an action shows whether they led to it");
            return data;
        }
        if (ends)
        {
            notes.Add("the last row of every episode has no action and no reward: it is the last state (RLDS)");
            return RowPicker.LastStates(data, (bool[])data.Ends.Clone(), marks: true, notes);
        }
        notes.Add("the first row of every episode has no action and no reward: rows hold what led to their observation (Dreamer), and are shifted by one");
        var (actions, rewards) = (new float[data.Actions.Length], new float[n]);
        data.Actions.AsSpan(data.ActionSize).CopyTo(actions);
        data.Rewards.AsSpan(1).CopyTo(rewards);
        return RowPicker.LastStates(data with { Actions = actions, Rewards = rewards }, (bool[])data.Ends.Clone(), marks: true, notes);
    }
}
