namespace Engine.Interop;

/// <summary>Names that a user may have meant, for the message of a failed look-up.</summary>
public static class NearNames
{
    private const int MaximumLength = 128;
    private const int MaximumNames = 2_000;

    /// <summary>"near it: a, b", or "there are: ..." where nothing is similar, or "there are none".</summary>
    public static string Describe(string wanted, IEnumerable<string> existing)
    {
        var all = existing.Take(MaximumNames).ToList();
        if (all.Count == 0)
            return "there are none";
        var near = all
            .Select(name => (name, distance: Distance(wanted, name)))
            .Where(item => item.distance <= Math.Max(2, wanted.Length / 3))
            .OrderBy(item => item.distance).ThenBy(item => item.name, StringComparer.Ordinal)
            .Take(4).Select(item => Shorten(item.name)).ToList();
        if (near.Count > 0)
            return "near it: " + string.Join(", ", near);
        var shown = string.Join(", ", all.Take(6).Select(Shorten));
        return all.Count > 6 ? $"there are {all.Count}: {shown}, ..." : "there are: " + shown;
    }

    private static string Shorten(string name) => name.Length <= MaximumLength ? name : name[..MaximumLength] + "...";

    // Levenshtein's distance, on the first characters only: names in a hostile file may be long.
    private static int Distance(string a, string b)
    {
        if (a.Length > MaximumLength)
            a = a[..MaximumLength];
        if (b.Length > MaximumLength)
            b = b[..MaximumLength];
        var row = new int[b.Length + 1];
        for (var j = 0; j <= b.Length; j++)
            row[j] = j;
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var replace = diagonal + (char.ToLowerInvariant(a[i - 1]) == char.ToLowerInvariant(b[j - 1]) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replace, 1 + Math.Min(row[j], row[j - 1]));
            }
        }
        return row[b.Length];
    }
}
