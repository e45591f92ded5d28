using System.Globalization;
using System.Text.RegularExpressions;
using CsvHelper;
using CsvHelper.Configuration;

namespace Engine.Algorithms.Data.Layouts;

/// <summary>
/// A text table: cells between commas, tabs, semicolons or spaces, below a header line or without one (then the columns' names are their numbers from 0), also compressed by gzip.
/// Columns NAME_0, NAME_1, ... (NAME0, NAME[0], NAME.0; from 0 or from 1) are also one column NAME of as many components. An empty cell is NaN; a first column without a name is a
/// data frame's index; a cell may be a list of numbers in brackets.
/// </summary>
internal sealed partial class CsvTable : Table
{
    private const int MaximumCell = 1 << 20, StartOfFile = 1 << 16;

    private readonly string[] _header;
    private readonly CsvCells _cells;
    private readonly Dictionary<string, int[]> _groups = [];
    private readonly Dictionary<string, int> _single = [];
    private readonly List<string> _notes = [];

    public CsvTable(string path) : base(path)
    {
        using var reader = new StreamReader(TextSource.Open(path), detectEncodingFromByteOrderMarks: true);
        string delimiter = TextSource.Delimiter(path);
        using var parser = new CsvParser(reader, new CsvConfiguration(CultureInfo.InvariantCulture) { Delimiter = delimiter, DetectColumnCountChanges = false, MaxFieldSize = MaximumCell, BadDataFound = null });
        long line = 1;
        try
        {
            string[]? first = Next() ?? throw new DatasetException($"{path}: is empty, expected a table of numbers");
            string[]? comment = null;
            while (first is not null && first.Length > 0 && first[0].StartsWith('#')) (comment, first) = (Uncomment(first), Next());
            bool named = comment is not null && (first is null || comment.Length == first.Length);
            if (!named && first is not null && (!Array.TrueForAll(first, CsvCells.IsValue) || IsCount(first))) (comment, first, named) = (first, Next(), true);
            _header = named ? Array.ConvertAll(comment!, h => h.Trim()) : Enumerable.Range(0, first?.Length ?? 0).Select(i => i.ToString(CultureInfo.InvariantCulture)).ToArray();
            if (!named) _notes.Add($"no header line: the columns are 0 to {_header.Length - 1}");
            if (_header.Length > 1 && _header[0].Length == 0) _header[0] = "index";
            if (_header.Distinct().Count() != _header.Length || Array.Exists(_header, h => h.Length == 0)) throw new DatasetException($"{path}: line 1: expected a name for every column, each once");
            _cells = new CsvCells(path, _header);
            for (var row = first; row is not null; row = Next())
            {
                if (row.Length != _header.Length) throw new DatasetException($"{path}: line {parser.RawRow}: {row.Length} cells, expected {_header.Length}");
                _cells.Add(row, parser.RawRow);
            }
            _cells.Complete();
        }
        catch (CsvHelperException) { throw new DatasetException($"{path}: line {line}: expected cells of at most {MaximumCell} characters; a quotation mark may not be closed"); }
        catch (InvalidDataException) { throw new DatasetException($"{path}: damaged: it begins as a gzip file but does not unpack"); }
        Group();

        string[]? Next()
        {
            line = parser.RawRow + 1;
            if (!parser.Read()) return null;
            return delimiter == " " ? parser.Record!.Where(c => c.Length > 0).ToArray() : parser.Record!;
        }

        static string[] Uncomment(string[] cells)
        {
            cells[0] = cells[0].TrimStart('#').Trim();
            return cells[0].Length == 0 && cells.Length > 1 ? cells[1..] : cells;
        }

        // A data frame without names writes their numbers, which are no row of data.
        static bool IsCount(string[] cells)
        {
            var named = cells[0].Length == 0 ? cells[1..] : cells;
            return named.Length > 1 && !named.Where((c, i) => c != i.ToString(CultureInfo.InvariantCulture)).Any();
        }
    }

    [GeneratedRegex(@"^(?:(.+)\[(\d{1,6})\]|(.*[^\d_.\- ])[_.\- ]?(\d{1,6}))$")]
    private static partial Regex Numbered();

    private void Group()
    {
        for (int c = 0; c < _header.Length; c++) _single[_header[c]] = c;
        var grouped = new bool[_header.Length];
        var members = _header.Select((name, i) => (Match: Numbered().Match(name), Index: i)).Where(g => g.Match.Success && !_cells.IsList(g.Index))
            .Select(g => (Name: g.Match.Groups[1].Value + g.Match.Groups[3].Value, Number: int.Parse(g.Match.Groups[2].Value + g.Match.Groups[4].Value, CultureInfo.InvariantCulture), g.Index));
        foreach (var group in members.GroupBy(g => g.Name))
        {
            var ordered = group.OrderBy(g => g.Number).ToArray();
            int from = ordered[0].Number;
            if (_single.ContainsKey(group.Key) || from > 1 || ordered.Where((g, i) => g.Number != from + i).Any()) continue;
            _groups[group.Key] = ordered.Select(g => g.Index).ToArray();
            foreach (var (_, _, index) in ordered) grouped[index] = true;
        }
        for (int c = 0; c < _header.Length; c++)
            if (!grouped[c]) _groups[_header[c]] = [c];
    }

    /// <summary>Columns of a name: a group's, or a single member of one.</summary>
    private int[] Find(string name) => _groups.TryGetValue(name, out var group) ? group : [_single[name]];

    public override IReadOnlyCollection<string> Names => _groups.Keys;

    public override IReadOnlyList<string> Notes => _notes;

    public override bool Contains(string name) => _groups.ContainsKey(name) || _single.ContainsKey(name);

    public override string? At(int number) => number < _header.Length ? _header[number] : null;

    public override long[] Shape(string name)
    {
        var columns = Find(name);
        if (columns.Length == 1 && _cells.IsList(columns[0])) return [_cells.Rows, _cells.Width(columns[0])];
        return columns.Length == 1 && _header[columns[0]] == name ? [_cells.Rows] : [_cells.Rows, columns.Length];
    }

    /// <summary>Text has no types: whole numbers from 0 on are taken for indices, with a negative one among them for a quantity such as a torque of -1 or 1.</summary>
    public override ColumnKind Kind(string name)
    {
        var kinds = Array.ConvertAll(Find(name), _cells.Kind);
        return kinds.Contains(ColumnKind.Text) ? ColumnKind.Text : kinds.Distinct().Count() == 1 ? kinds[0] : ColumnKind.Number;
    }

    public override bool IsWide(string name) => true;

    public override double[] ReadLabels(string name) => Find(name) is [var column] && !_cells.IsList(column) ? _cells.Labels(column) : ReadExact(name);

    public override double[] ReadExact(string name)
    {
        var columns = Find(name);
        foreach (int c in columns) _cells.RequireNumbers(c);
        if (columns.Length == 1 && _cells.IsList(columns[0])) return _cells.List(columns[0]);
        var values = new double[_cells.Rows * columns.Length];
        for (int i = 0; i < values.Length; i++) values[i] = _cells[i / columns.Length, columns[i % columns.Length]];
        return values;
    }

    public override float[] Read(string name) => Array.ConvertAll(ReadExact(name), v => (float)v);

    public override string TypeName(string name) => Array.Exists(Find(name), _cells.IsList) ? "lists of numbers" : Kind(name) switch
    {
        ColumnKind.Text => "text",
        ColumnKind.Boolean => "booleans",
        ColumnKind.Whole => "whole numbers",
        _ => "numbers",
    };
}
