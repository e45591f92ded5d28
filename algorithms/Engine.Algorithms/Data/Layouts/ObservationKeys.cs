using Engine.Interop;

namespace Engine.Algorithms.Data.Layouts;

/// <summary>Which of several observation arrays are joined: those that <c>--observations</c> names, in that order, else all vectors; without those that <c>--without</c> names.</summary>
internal static class ObservationKeys
{
    /// <summary>Chooses among the columns of a table.</summary>
    /// <exception cref="DatasetException">A name is none of them, one that is asked for is no vector, or none is left.</exception>
    public static string[] Choose(Table table, IReadOnlyList<string> keys, DatasetOptions options, List<string> notes) =>
        Choose(table.Path, keys, key => table.Kind(key) != ColumnKind.Text && table.Shape(key).Length is >= 1 and <= 3 && !IsImage(table.Shape(key)) ? null : $"{table.TypeName(key)} ({string.Join(", ", table.Shape(key))})", options, notes);

    /// <summary>Chooses among keys of which something else knows whether they are vectors.</summary>
    /// <param name="path">For messages.</param>
    /// <param name="keys">All of them.</param>
    /// <param name="no">What a key is that is no vector; null for a vector.</param>
    /// <param name="options">What the user said.</param>
    /// <param name="notes">Told are keys left out, and several that are joined.</param>
    public static string[] Choose(string path, IReadOnlyList<string> keys, Func<string, string?> no, DatasetOptions options, List<string> notes)
    {
        string[] Named(string wanted) => keys.Where(k => k == wanted).ToArray() is { Length: > 0 } exact ? exact
            : keys.Where(k => Segments(k).Contains(wanted) || k.EndsWith("/" + wanted, StringComparison.Ordinal) || k.EndsWith("." + wanted, StringComparison.Ordinal)).ToArray() is { Length: > 0 } found ? found
            : throw new DatasetException($"{path}: no observation {wanted}; {NearNames.Describe(wanted, keys.Select(Last))}");
        var chosen = options.Observations is { } said ? said.Split(',', StringSplitOptions.TrimEntries).SelectMany(Named).Distinct().ToArray() : keys.ToArray();
        if (options.Without is { } without)
        {
            var gone = without.Split(',', StringSplitOptions.TrimEntries).SelectMany(Named).ToHashSet();
            chosen = chosen.Where(k => !gone.Contains(k)).ToArray();
        }
        if (options.Observations is not null)
        {
            if (chosen.FirstOrDefault(k => no(k) is not null) is { } wrong) throw new DatasetException($"{path}: {wrong} is {no(wrong)}: only vectors are read as observations");
        }
        else
        {
            var left = chosen.Where(k => no(k) is not null).ToArray();
            if (left.Length > 0) notes.Add($"left out of the observations, no vectors: {string.Join(", ", left.Take(8).Select(k => $"{Last(k)} [{no(k)}]"))}{(left.Length > 8 ? ", ..." : "")}");
            chosen = chosen.Except(left).ToArray();
        }
        if (chosen.Length == 0) throw new DatasetException($"{path}: no observation is left; there are {string.Join(", ", keys.Take(12).Select(Last))}");
        if (keys.Count > 1) notes.Add($"observations are {string.Join(", ", chosen.Select(Last))}{(chosen.Length > 1 ? ", joined in this order" : "")}");
        return chosen;
    }

    /// <summary>Two axes beside the rows that both are long are a picture; short ones are a matrix, which is joined row by row.</summary>
    public static bool IsImage(long[] shape) => shape is [_, > 16, > 16];

    private static string[] Segments(string key) => key.Split('/', '.');

    private static string Last(string key) => key[(key.LastIndexOfAny(['/']) + 1)..];
}
