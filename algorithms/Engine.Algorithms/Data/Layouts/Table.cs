using System.Globalization;
using CsvHelper;
using CsvHelper.Configuration;
using Engine.Interop.Hdf5;
using Engine.Interop.Numpy;

namespace Engine.Algorithms.Data.Layouts;

/// <summary>Named columns of a file, whatever its format: what the flat layouts are read from.</summary>
internal abstract class Table(string path) : IDisposable
{
    /// <summary>The file, for messages.</summary>
    public string Path => path;

    /// <summary>Columns.</summary>
    public abstract IReadOnlyCollection<string> Names { get; }

    /// <summary>Sizes of a column's axes, rows first.</summary>
    public abstract long[] Shape(string name);

    /// <summary>Whether a column holds whole numbers: actions of that kind are discrete.</summary>
    public abstract bool IsInteger(string name);

    /// <summary>A column as 32-bit floats, row-major.</summary>
    public abstract float[] Read(string name);

    /// <summary>A column of numbers that must keep all their digits: row and episode numbers.</summary>
    public abstract double[] ReadExact(string name);

    /// <summary>Name of the element type.</summary>
    public abstract string TypeName(string name);

    /// <summary>What a user should know: parts that were skipped.</summary>
    public virtual IReadOnlyList<string> Notes => [];

    /// <inheritdoc/>
    public virtual void Dispose() { }

    /// <summary>Whether there is such a column.</summary>
    public bool Contains(string name) => Names.Contains(name);
}

/// <summary>The datasets of an HDF5 group.</summary>
internal sealed class Hdf5Table(Hdf5File file) : Table(file.Path)
{
    private readonly string[] _names = file.Root.Names.Where(file.Root.IsDataset).ToArray();

    public override IReadOnlyCollection<string> Names => _names;

    public override long[] Shape(string name) => file.Root.Dataset(name).Shape;

    public override bool IsInteger(string name) => file.Root.Dataset(name).ElementType is not (Hdf5ElementType.Float16 or Hdf5ElementType.Float32 or Hdf5ElementType.Float64);

    public override float[] Read(string name) => file.Root.Dataset(name).ReadSingles();

    public override double[] ReadExact(string name) => file.Root.Dataset(name).ReadDoubles();

    public override string TypeName(string name) => file.Root.Dataset(name).ElementType.ToString();
}

/// <summary>The arrays of an npz archive.</summary>
internal sealed class NpzTable(string path, NpzFile file) : Table(path)
{
    public override IReadOnlyCollection<string> Names => file.Names;

    public override long[] Shape(string name) => file.Shape(name);

    public override bool IsInteger(string name) => file.Type(name).Kind is NpyKind.Integer or NpyKind.Unsigned;

    public override float[] Read(string name) => Numbers(name).ToSingles();

    public override double[] ReadExact(string name) => Numbers(name).ToDoubles();

    private NpyArray Numbers(string name) => file.Type(name).IsNumber ? file.Read(name) : throw new DatasetException($"{Path}: {name} holds {file.Type(name)}, expected numbers");

    public override string TypeName(string name) => file.Type(name).ToString();

    public override IReadOnlyList<string> Notes => file.Skipped.Select(s => $"{s.Name}: {s.Reason}: skipped").ToArray();

    public override void Dispose()
    {
        file.Dispose();
        base.Dispose();
    }
}

/// <summary>
/// A file with a header line and cells between commas, or between tabs or semicolons if its header has those and no comma. Columns NAME_0, NAME_1, ... are also one column
/// NAME of as many components. An empty cell is NaN; a first column without a name is a data frame's index.
/// </summary>
internal sealed class CsvTable : Table
{
    private readonly string[] _header;
    private readonly List<float>[] _columns;
    private readonly (int Row, string Text)?[] _texts; // the first cell of a column that is not a number
    private readonly (int Row, string Text)?[] _inexact; // the first whole number of a column that is another one in 32 bits
    private readonly Dictionary<string, int[]> _groups = [];

    public CsvTable(string path) : base(path)
    {
        try
        {
            using var reader = new StreamReader(path, detectEncodingFromByteOrderMarks: true);
            using var parser = new CsvParser(reader, new CsvConfiguration(CultureInfo.InvariantCulture) { Delimiter = Delimiter(path), DetectColumnCountChanges = false, MaxFieldSize = 1 << 20 });
            if (!parser.Read()) throw new DatasetException($"{path}: is empty, expected a header line");
            _header = parser.Record!.Select(h => h.Trim()).ToArray();
            if (_header.Length > 1 && _header[0].Length == 0) _header[0] = "index";
            if (_header.Distinct().Count() != _header.Length || Array.Exists(_header, h => h.Length == 0)) throw new DatasetException($"{path}: line 1: expected a name for every column, each once");
            _columns = Array.ConvertAll(_header, _ => new List<float>());
            (_texts, _inexact) = (new (int, string)?[_header.Length], new (int, string)?[_header.Length]);
            while (parser.Read())
            {
                if (parser.Count != _header.Length) throw new DatasetException($"{path}: line {parser.RawRow}: {parser.Count} cells, expected {_header.Length}");
                for (int c = 0; c < _header.Length; c++)
                {
                    string cell = parser[c];
                    float value = float.NaN;
                    if (!string.IsNullOrWhiteSpace(cell) && !float.TryParse(cell, NumberStyles.Float, CultureInfo.InvariantCulture, out value) && !Flag(cell, out value)) _texts[c] ??= (parser.RawRow, cell);
                    if (MathF.Abs(value) >= 1 << 24 && double.TryParse(cell, NumberStyles.Float, CultureInfo.InvariantCulture, out double exact) && exact != value) _inexact[c] ??= (parser.RawRow, cell);
                    _columns[c].Add(value);
                }
            }
        }
        catch (CsvHelperException e) { throw new DatasetException($"{path}: not a comma-separated table: {e.Message.Split('\n', '\r')[0]}"); }
        var names = new HashSet<string>(_header);
        var grouped = new bool[_header.Length];
        foreach (var group in _header.Select((name, i) => (Match: System.Text.RegularExpressions.Regex.Match(name, @"^(.+)_(\d{1,6})$"), Index: i)).Where(g => g.Match.Success).GroupBy(g => g.Match.Groups[1].Value))
        {
            var ordered = group.OrderBy(g => int.Parse(g.Match.Groups[2].Value, CultureInfo.InvariantCulture)).ToArray();
            if (names.Contains(group.Key) || !ordered.Select((g, i) => int.Parse(g.Match.Groups[2].Value, CultureInfo.InvariantCulture) == i).All(good => good)) continue;
            _groups[group.Key] = ordered.Select(g => g.Index).ToArray();
            foreach (var (_, index) in ordered) grouped[index] = true;
        }
        for (int c = 0; c < _header.Length; c++)
            if (!grouped[c]) _groups[_header[c]] = [c];
    }

    private static string Delimiter(string path)
    {
        // The header alone decides, and only as far as a name can reach: a file may be one endless line.
        using var reader = new StreamReader(path, detectEncodingFromByteOrderMarks: true);
        var start = new char[1 << 16];
        var header = start.AsSpan(0, reader.ReadBlock(start));
        if (header.IndexOfAny('\r', '\n') is var end and >= 0) header = header[..end];
        return header.Contains(',') ? "," : header.Contains('\t') ? "\t" : header.Contains(';') ? ";" : ",";
    }

    private static bool Flag(string cell, out float value)
    {
        bool good = bool.TryParse(cell, out bool flag);
        value = flag ? 1 : 0;
        return good;
    }

    public override IReadOnlyCollection<string> Names => _groups.Keys;

    public override long[] Shape(string name) => _groups[name].Length == 1 && _header[_groups[name][0]] == name ? [_columns[0].Count] : [_columns[0].Count, _groups[name].Length];

    /// <summary>Text has no types: whole numbers from 0 on are taken for indices, with a negative one among them for a quantity such as a torque of -1 or 1.</summary>
    public override bool IsInteger(string name) => Array.TrueForAll(_groups[name], c => _texts[c] is null && _columns[c].TrueForAll(v => float.IsNaN(v) || (v >= 0 && v == MathF.Truncate(v))));

    public override double[] ReadExact(string name)
    {
        foreach (int c in _groups[name])
            if (_inexact[c] is { } number) throw new DatasetException($"{Path}: line {number.Row}, column {_header[c]} is {number.Text}: whole numbers beyond 16,777,216 are not told apart; number episodes and rows from 0");
        return Array.ConvertAll(Read(name), v => (double)v);
    }

    public override float[] Read(string name)
    {
        var columns = _groups[name];
        foreach (int c in columns)
            if (_texts[c] is { } text) throw new DatasetException($"{Path}: line {text.Row}, column {_header[c]} is \"{(text.Text.Length > 40 ? text.Text[..40] + "..." : text.Text)}\": expected a number");
        var values = new float[_columns[0].Count * columns.Length];
        for (int i = 0; i < values.Length; i++) values[i] = _columns[columns[i % columns.Length]][i / columns.Length];
        return values;
    }

    public override string TypeName(string name) => Array.Exists(_groups[name], c => _texts[c] is not null) ? "text" : IsInteger(name) ? "whole numbers" : "numbers";
}
