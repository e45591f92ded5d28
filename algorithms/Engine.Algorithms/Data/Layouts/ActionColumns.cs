namespace Engine.Algorithms.Data.Layouts;

/// <summary>What recorded actions are: booleans and whole numbers are discrete, rows of a single 1 are a discrete action's number, all else is continuous.</summary>
internal static class ActionColumns
{
    /// <summary>Of a column.</summary>
    /// <param name="values">[rows, size].</param>
    /// <param name="size">Components.</param>
    /// <param name="kind">What the column holds.</param>
    /// <param name="path">For messages.</param>
    /// <param name="name">For messages.</param>
    /// <param name="notes">What was decided.</param>
    public static (ActionSpace? Space, int Size, float[] Values) Of(float[] values, int size, ColumnKind kind, string path, string name, List<string> notes)
    {
        if (size > 1 && OneHot(values, size) is { } indices)
        {
            notes.Add($"{name} have a single 1 in each of their rows of {size}: read as {size} discrete actions");
            return (new DiscreteActions(size), 1, indices);
        }
        if (size > 1 && kind == ColumnKind.Boolean) throw new DatasetException($"{path}: {name} are {size} booleans a row, several at once: expected one boolean, one of several, or numbers");
        if (size > 1 && kind == ColumnKind.Whole) notes.Add($"{name} are whole numbers of {size} components: read as continuous");
        if (size > 1 || kind is not (ColumnKind.Whole or ColumnKind.Boolean)) return (null, size, values);
        if (kind == ColumnKind.Boolean) notes.Add($"{name} are booleans: read as 2 discrete actions, false is 0");
        return (Discrete(values, path, name), 1, values);
    }

    /// <summary>The place of the 1 in each row; null where a row is otherwise, or all have it at one place. A blank row (NaN) stays one.</summary>
    private static float[]? OneHot(float[] values, int size)
    {
        int rows = values.Length / size;
        var indices = new float[rows];
        for (int i = 0; i < rows; i++)
        {
            var row = values.AsSpan(i * size, size);
            int one = row.IndexOf(1f);
            if (float.IsNaN(row[0])) indices[i] = float.NaN;
            else if (one >= 0 && row.Count(0f) == size - 1) indices[i] = one;
            else return null;
        }
        return indices.Where(i => !float.IsNaN(i)).Distinct().Count() > 1 ? indices : null;
    }

    /// <summary>The space of indices 0 to the largest found.</summary>
    public static DiscreteActions Discrete(float[] values, string path, string name)
    {
        float most = 0;
        for (int i = 0; i < values.Length; i++)
        {
            if (float.IsNaN(values[i])) continue; // a blank row, which is dropped
            if (values[i] < 0 || values[i] > 1 << 20 || values[i] != MathF.Truncate(values[i])) throw new DatasetException($"{path}: {name}, row {i} is {values[i]}: expected the index of a discrete action");
            most = Math.Max(most, values[i]);
        }
        return new DiscreteActions(Math.Max(2, (int)most + 1));
    }
}
