using System.Globalization;
using Engine.Interop;

namespace Engine.Algorithms.Data.Layouts;

/// <summary>Which column of a table is which quantity: what the user said, else the usual names, at the root or in the one group that has observations and actions.</summary>
internal sealed class ColumnFinder
{
    private readonly DatasetOptions _options;
    private readonly HashSet<string> _used = [];
    private readonly string _prefix;

    public ColumnFinder(Table table, DatasetOptions options)
    {
        (Table, _options) = (table, options);
        _prefix = Group();
        var actions = Many(Quantities.Actions, null);
        long? rows = actions is not null && table.Shape(actions[0]) is [var first, ..] ? first : null;
        Observations = Many(Quantities.Observations, rows) ?? throw Missing(Quantities.Observations);
        Actions = actions ?? throw Missing(Quantities.Actions);
    }

    /// <summary>What is read; a layout may put a reshaped one in its place.</summary>
    public Table Table { get; set; }

    /// <summary>One column, or several that are joined.</summary>
    public string[] Observations { get; }

    /// <summary>One column, or several that are joined.</summary>
    public string[] Actions { get; }

    /// <summary>What a user should know about the choice.</summary>
    public List<string> Notes { get; } = [];

    /// <summary>The group that the columns are in, with a slash at its end; empty for the root.</summary>
    private string Group()
    {
        string? said = Parts(Quantities.Observations)?.FirstOrDefault() ?? Parts(Quantities.Actions)?.FirstOrDefault();
        if (said is not null && !Table.Contains(said) && Column(said, "") is null && !Below(said).Any()) throw Unknown(said, Parts(Quantities.Observations) is null ? Quantities.Actions : Quantities.Observations);
        if (said is not null && said.LastIndexOf('/') is var at and > 0) return said[..(at + 1)];
        bool Has(string prefix, string quantity) => Quantities.NamesOf(quantity).Any(n => Column(prefix + n, "") is not null || Below(prefix + n).Any());
        if (said is not null || (Has("", Quantities.Observations) && Has("", Quantities.Actions))) return "";
        var groups = Table.Names.Where(n => n.Contains('/', StringComparison.Ordinal)).Select(n => n[..(n.LastIndexOf('/') + 1)])
            .Concat(Table.Names.Where(n => n.Count(c => c == '/') > 1).Select(n => n[..(n.LastIndexOf('/', n.LastIndexOf('/') - 1) + 1)])).Distinct().Take(2000)
            .Where(g => Has(g, Quantities.Observations) && Has(g, Quantities.Actions)).Order(StringComparer.Ordinal).ToArray();
        if (groups.Length > 1) throw new DatasetException($"{Table.Path}: {groups.Length} groups have observations and actions: {string.Join(", ", groups.Take(8).Select(g => g.TrimEnd('/')))}{(groups.Length > 8 ? ", ..." : "")}; say which, such as --column observations={groups[0]}{Quantities.NamesOf(Quantities.Observations).First(n => Has(groups[0], Quantities.Observations))}");
        if (groups.Length == 0) return "";
        Notes.Add($"the columns are those of the group {groups[0].TrimEnd('/')}");
        return groups[0];
    }

    /// <summary>The column of a quantity; null without one.</summary>
    public string? Find(string quantity)
    {
        if (_options.Columns.TryGetValue(quantity, out string? said))
            return Use(Column(said, _prefix) ?? throw Unknown(said, quantity));
        return Quantities.NamesOf(quantity).Select(n => Column(_prefix + n, "")).FirstOrDefault(n => n is not null) is { } found ? Use(found) : null;
    }

    /// <summary>Whether the user said which column it is.</summary>
    public bool IsSaid(string quantity) => _options.Columns.ContainsKey(quantity);

    /// <summary>As <see cref="Find"/>, but the column does not count as used yet.</summary>
    public string? Peek(string quantity)
    {
        var before = _used.ToArray();
        string? found = Find(quantity);
        if (found is not null && !before.Contains(found)) _used.Remove(found);
        return found;
    }

    /// <summary>A column that was looked at and says nothing counts as not used; or one that was read by its name as used. Returns true.</summary>
    public bool Release(string name, bool used = false) => used ? _used.Add(name) || true : _used.Remove(name) || true;

    /// <summary>The column of a quantity that has a number for each row. Of several names the first that has; a column of another shape is not it, unless the user said so.</summary>
    public string? FindRows(string quantity, long rows)
    {
        if (_options.Columns.ContainsKey(quantity)) return Find(quantity);
        return Quantities.NamesOf(quantity).Select(n => Column(_prefix + n, "")).FirstOrDefault(n => n is not null && Table.IsColumn(n, rows) && Table.Kind(n) != ColumnKind.Text) is { } found ? Use(found) : null;
    }

    /// <summary>The successors of the observations, column by column; null where one is missing.</summary>
    public string[]? Next()
    {
        if (_options.Columns.ContainsKey(Quantities.Next)) return Many(Quantities.Next, null);
        if (Observations is [var single] && Find(Quantities.Next) is { } one && Table.Shape(one).AsSpan().SequenceEqual(Table.Shape(single))) return [one];
        foreach (string name in Quantities.NamesOf(Quantities.Next))
        {
            var next = Array.ConvertAll(Observations, o => o.LastIndexOf('/') is var at and > 0 ? Column($"{_prefix}{name}/{o[(at + 1)..]}", "") : null);
            if (Array.TrueForAll(next, n => n is not null)) return Array.ConvertAll(next, n => Use(n!));
        }
        return Observations is [_] && Find(Quantities.Next) is { } other ? [other] : null;
    }

    /// <summary>Columns of a quantity that may be joined of several: said by the user, of the usual name, below a group of that name, or of names that begin with it.</summary>
    /// <param name="quantity">Observations, actions or next observations.</param>
    /// <param name="rows">Rows that a column found by the beginning of its name must have, or one more; null: such columns do not count.</param>
    private string[]? Many(string quantity, long? rows)
    {
        bool chosen = quantity == Quantities.Observations && (_options.Observations is not null || _options.Without is not null);
        if (Parts(quantity) is { } said)
            return said.SelectMany(p => Column(p, _prefix) is { } one ? [one] : Below(p).ToArray() is { Length: > 0 } below ? Vectors(below, quantity) : throw Unknown(p, quantity)).Select(Use).ToArray();
        if (quantity == Quantities.Observations && _options.Observations is { } wanted && Candidates(quantity) is { Length: 0 })
            return ObservationKeys.Choose(Table, wanted.Split(',').Select(w => Column(w, _prefix) ?? throw Unknown(w, quantity)).ToArray(), _options with { Observations = null }, Notes).Select(Use).ToArray();
        if (!chosen && Quantities.NamesOf(quantity).Select(n => Column(_prefix + n, "")).FirstOrDefault(n => n is not null) is { } exact) return [Use(exact)];
        if (Candidates(quantity) is { Length: > 0 } keys) return Vectors(keys, quantity).Select(Use).ToArray();
        if (Quantities.NamesOf(quantity).Select(n => Column(_prefix + n, "")).FirstOrDefault(n => n is not null) is { } alone)
        {
            foreach (string without in _options.Without?.Split(',', StringSplitOptions.TrimEntries) ?? [])
                if (!Table.Names.Concat(Table.Unread.Select(u => u.Name)).Any(n => n.Split('/', '.').Contains(without))) throw Unknown(without, "--without");
            return [Use(alone)];
        }
        // obs_state, state_obs: the shape must fit.
        var alike = Table.Names.Where(n => n.StartsWith(_prefix, StringComparison.Ordinal) && !n.AsSpan(_prefix.Length).Contains('/') && rows is { } r && Table.Shape(n) is { Length: > 0 } s && (s[0] == r || s[0] == r + 1)
            && n[_prefix.Length..].Split('_', '.', ' ', '-') is { Length: > 1 } words && !words.Contains("next") && words.Any(w => w.Length > 1 && Quantities.NamesOf(quantity).Contains(w))).ToArray();
        if (alike.Length == 0) return null;
        var picked = Vectors(alike, quantity);
        Notes.Add($"{quantity} are {string.Join(", ", picked)}");
        return picked.Select(Use).ToArray();
    }

    private string[] Vectors(string[] keys, string quantity) => quantity == Quantities.Observations ? ObservationKeys.Choose(Table, keys, _options, Notes) : keys;

    /// <summary>Columns below a group of a usual name.</summary>
    private string[] Candidates(string quantity) => Quantities.NamesOf(quantity).Where(n => n.Length > 1).Select(n => Below(_prefix + n).ToArray()).FirstOrDefault(b => b.Length > 0) ?? [];

    /// <summary>Columns NAME/... or NAME.... .</summary>
    private IEnumerable<string> Below(string name) => Table.Names.Where(n => n.Length > name.Length + 1 && n[name.Length] is '/' or '.' && n.StartsWith(name, StringComparison.Ordinal));

    private string[]? Parts(string quantity) => !_options.Columns.TryGetValue(quantity, out string? said) ? null : Table.Contains(said) ? [said] : said.Split(',', StringSplitOptions.TrimEntries);

    private string? Column(string name, string prefix)
    {
        if (Table.Contains(name)) return name;
        if (prefix.Length > 0 && Table.Contains(prefix + name)) return prefix + name;
        if (int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && Table.At(number) is { } at) return at;
        // Names of one letter mean too much to be taken in either case.
        return name.Length > 1 ? Table.Names.FirstOrDefault(n => n.Length == name.Length && n.Equals(name, StringComparison.OrdinalIgnoreCase)) : null;
    }

    private string Use(string name)
    {
        _used.Add(name);
        return name;
    }

    /// <summary>Columns not used that could say something about ends: by their names, or because they hold nothing but 0 and 1 for each row.</summary>
    public IEnumerable<string> Unused(long rows)
    {
        int looked = 0;
        foreach (string name in Table.Names)
        {
            if (_used.Contains(name) || name.StartsWith("metadata/", StringComparison.Ordinal)) continue;
            bool flags = Table.IsColumn(name, rows) && Table.Kind(name) is var kind && kind != ColumnKind.Text && (kind == ColumnKind.Boolean || (looked++ < 64 && Array.TrueForAll(Table.Read(name), v => v is 0 or 1)));
            if (flags || Quantities.SpeaksOfEnds(name)) yield return name;
        }
    }

    private DatasetException Unknown(string said, string quantity) => Table.Unread.FirstOrDefault(u => u.Name == said || u.Name == _prefix + said) is { Name: not null } unread
        ? new DatasetException($"{Table.Path}: {said} for {quantity} cannot be read: {unread.Reason}")
        : new DatasetException($"{Table.Path}: no column {said} for {quantity}; {NearNames.Describe(said, Table.Names)}");

    private DatasetException Missing(string quantity)
    {
        if (Quantities.NamesOf(quantity).SelectMany(n => Table.Unread.Where(u => u.Name == _prefix + n)).FirstOrDefault() is { Name: not null } unread)
            return new DatasetException($"{Table.Path}: {unread.Name} cannot be read: {unread.Reason}");
        var groups = Table.Names.Where(n => n.Contains('/', StringComparison.Ordinal)).Select(n => n[..n.IndexOf('/', StringComparison.Ordinal)]).Distinct().ToArray();
        string found = Table.Names.Count == 0 ? "nothing that can be read" : string.Join(", ", Table.Names.Where(n => groups.Length == 0 || !n.Contains('/', StringComparison.Ordinal)).Take(12));
        if (groups.Length > 0) found += $"{(found.Length > 0 ? ", " : "")}groups {string.Join(", ", groups.Take(8))}{(groups.Length > 8 ? ", ..." : "")} with {string.Join(", ", Table.Names.Where(n => n.Contains('/', StringComparison.Ordinal)).Take(6))}";
        string how = Table.At(0) == "0" ? $"say which columns they are, by number: --column {quantity}=0,1" : $"if it has another name, say --column {quantity}=NAME";
        return new DatasetException($"{Table.Path}: no key {quantity}; found {found}; {how}");
    }
}
