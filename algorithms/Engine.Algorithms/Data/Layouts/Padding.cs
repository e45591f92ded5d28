namespace Engine.Algorithms.Data.Layouts;

/// <summary>Steps at the ends of episodes that only fill an array of equally long ones.</summary>
internal static class Padding
{
    /// <summary>Whether an episode goes on after an end within it: then the axes are not episodes and steps.</summary>
    public static bool Contradicts(Dataset data, StackedTable table)
    {
        if (data.Count % table.Length != 0) return false;
        for (int from = 0; from < data.Count; from += table.Length)
            if (FirstEnd(data, from, table.Length) is var end and >= 0 && end + 1 < table.Length && !Enumerable.Range(from + end + 1, table.Length - end - 1).All(i => Empty(data, i))) return true;
        return false;
    }

    /// <summary>Without the padding, by stated lengths, else by the end of an episode or by rows of nothing but zeros at its end.</summary>
    public static Dataset Drop(Dataset data, StackedTable table, ColumnFinder find, List<string> notes)
    {
        int length = table.Length, episodes = data.Count / length;
        double[]? lengths = find.Peek(Quantities.Lengths) is { } name && table.IsColumn(name, episodes) ? table.ReadExact(find.Find(Quantities.Lengths)!) : null;
        if (Contradicts(data, table)) return data;
        var kept = new List<int>(data.Count);
        for (int episode = 0; episode < episodes; episode++)
        {
            int from = episode * length, steps = length;
            if (lengths is not null)
            {
                if (lengths[episode] != Math.Truncate(lengths[episode]) || lengths[episode] < 0 || lengths[episode] > length) throw new DatasetException($"{data.Source}: {find.Peek(Quantities.Lengths)}, entry {episode} is {lengths[episode]}: expected a whole number up to {length}");
                steps = (int)lengths[episode];
            }
            else if (FirstEnd(data, from, length) is var end and >= 0 && end + 1 < length) steps = end + 1;
            else while (steps > 1 && Empty(data, from + steps - 1) && (data.Rewards[from + steps - 1] == 0 || float.IsNaN(data.Rewards[from + steps - 1])) && !data.Terminals[from + steps - 1]) steps--;
            if (steps == 0) continue;
            for (int i = from; i < from + steps; i++) kept.Add(i);
            (data.Ends[from + steps - 1], data.Timeouts[from + steps - 1]) = (true, !data.Terminals[from + steps - 1]);
        }
        if (kept.Count == data.Count) return data;
        notes.Add($"{data.Count - kept.Count} rows are padding at the ends of episodes{(lengths is null ? ", recognised by zeros" : "")}");
        if (kept.Count == 0) throw new DatasetException($"{data.Source}: no row is left: every episode has the length 0");
        return RowPicker.Pick(data, [.. kept]);
    }

    private static int FirstEnd(Dataset data, int from, int length)
    {
        for (int t = 0; t < length; t++)
            if (data.Terminals[from + t] || data.Timeouts[from + t]) return t;
        return -1;
    }

    private static bool Empty(Dataset data, int row)
    {
        foreach (float v in data.Observations.AsSpan(row * data.ObservationSize, data.ObservationSize))
            if (v != 0 && !float.IsNaN(v)) return false;
        foreach (float v in data.Actions.AsSpan(row * data.ActionSize, data.ActionSize))
            if (v != 0 && !float.IsNaN(v)) return false;
        return true;
    }
}
