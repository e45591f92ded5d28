using System.Globalization;

namespace Engine.Algorithms.Data.Layouts;

/// <summary>The cells of a text table as numbers, row by row; lists and labels of the columns that have them beside.</summary>
internal sealed class CsvCells(string path, string[] header)
{
    private const double ExactWhole = 1L << 53;

    private readonly List<double> _values = [];
    private readonly Dictionary<int, (List<double> Values, int Width)> _lists = [];
    private readonly Dictionary<int, (List<int> Labels, Dictionary<string, int> Known)> _labels = [];
    private readonly (long Line, string Text)?[] _texts = new (long, string)?[header.Length]; // the first cell of a column that is not a number
    private readonly bool[] _flags = Enumerable.Repeat(true, header.Length).ToArray(), _whole = Enumerable.Repeat(true, header.Length).ToArray(), _filled = new bool[header.Length];

    public int Rows { get; private set; }

    public double this[int row, int column] => _values[row * header.Length + column];

    public bool IsList(int column) => _lists.ContainsKey(column);

    public int Width(int column) => _lists[column].Width;

    public double[] List(int column) => _lists[column].Values.ToArray();

    public ColumnKind Kind(int column) => _texts[column] is not null ? ColumnKind.Text : !_filled[column] ? ColumnKind.Number : _flags[column] ? ColumnKind.Boolean : _whole[column] ? ColumnKind.Whole : ColumnKind.Number;

    public void Add(string[] row, long line)
    {
        if ((long)_values.Count + row.Length > Array.MaxLength) throw new DatasetException($"{path}: line {line}: more than {Array.MaxLength} cells");
        for (int c = 0; c < row.Length; c++)
        {
            var cell = row[c].AsSpan().Trim();
            double value = double.NaN;
            int label = 0;
            if (cell.Length > 1 && cell[0] is '[' or '(') AddList(c, cell, line);
            else if (!TryNumber(cell, out value))
            {
                if (bool.TryParse(cell, out bool flag)) value = flag ? 1 : 0;
                else
                {
                    _texts[c] ??= (line, row[c]);
                    label = Label(c, cell);
                }
            }
            else if (cell.Length > 0)
            {
                _flags[c] = false;
                if (Math.Abs(value) >= ExactWhole && double.IsFinite(value)) label = Label(c, cell); // numbers that 64 bits do not tell apart either
            }
            if (!double.IsNaN(value))
            {
                _filled[c] = true;
                _whole[c] &= value >= 0 && value == Math.Truncate(value) && double.IsFinite(value);
            }
            _values.Add(value);
            if (label > 0 || _labels.ContainsKey(c)) Fill(_labels[c].Labels, Rows, label);
        }
        Rows++;
    }

    /// <summary>Rows at the end without a list are blank ones.</summary>
    public void Complete()
    {
        foreach (var (values, width) in _lists.Values)
            while (values.Count < Rows * width) values.Add(double.NaN);
    }

    private int Label(int column, ReadOnlySpan<char> cell)
    {
        if (!_labels.TryGetValue(column, out var labels)) _labels[column] = labels = ([], []);
        string text = cell.ToString();
        return labels.Known.TryGetValue(text, out int label) ? label : labels.Known[text] = labels.Known.Count + 1;
    }

    private static void Fill(List<int> labels, int rows, int label)
    {
        while (labels.Count < rows) labels.Add(0);
        labels.Add(label);
    }

    /// <summary>A number for every row that differs where the cells do, numbers or text.</summary>
    public double[] Labels(int column)
    {
        _labels.TryGetValue(column, out var labels);
        // Texts come before all numbers that a row could have.
        return Enumerable.Range(0, Rows).Select(i => labels.Labels is not null && i < labels.Labels.Count && labels.Labels[i] > 0 ? -1e300 * (1 + labels.Labels[i] * 1e-6) : this[i, column]).ToArray();
    }

    public void RequireNumbers(int column)
    {
        if (_texts[column] is { } text)
            throw new DatasetException($"{path}: line {text.Line}, column {header[column]} is \"{(text.Text.Length > 40 ? text.Text[..40] + "..." : text.Text)}\": expected a number");
    }

    /// <summary>Numbers between brackets, with commas, semicolons or spaces between them.</summary>
    private void AddList(int column, ReadOnlySpan<char> cell, long line)
    {
        var numbers = new List<double>();
        foreach (var range in cell.SplitAny("[](),; \n\r\t"))
        {
            if (cell[range].Length == 0) continue;
            if (!TryNumber(cell[range], out double value)) throw new DatasetException($"{path}: line {line}, column {header[column]}: \"{Short(cell[range])}\" in a list: expected a number");
            numbers.Add(value);
        }
        if (!_lists.TryGetValue(column, out var list)) _lists[column] = list = ([], numbers.Count);
        if (numbers.Count != list.Width || numbers.Count == 0) throw new DatasetException($"{path}: line {line}, column {header[column]} has a list of {numbers.Count} numbers, expected {Math.Max(1, list.Width)}");
        while (list.Values.Count < Rows * list.Width) list.Values.Add(double.NaN); // rows before without a list
        list.Values.AddRange(numbers);
        (_flags[column], _whole[column], _filled[column]) = (false, false, true);
    }

    private static string Short(ReadOnlySpan<char> text) => text.Length > 40 ? text[..40].ToString() + "..." : text.ToString();

    /// <summary>Whether a cell is what data have, not a name.</summary>
    public static bool IsValue(string cell) => cell.AsSpan().Trim() is var text && text.Length > 0 && (text[0] is '[' or '(' || bool.TryParse(text, out _) || TryNumber(text, out _));

    private static bool TryNumber(ReadOnlySpan<char> cell, out double value)
    {
        if (double.TryParse(cell, NumberStyles.Float, CultureInfo.InvariantCulture, out value)) return true;
        value = double.NaN;
        if (cell.Length == 0) return true;
        if (cell.Length > 9) return false;
        Span<char> lower = stackalloc char[cell.Length];
        cell.ToLowerInvariant(lower);
        switch (lower)
        {
            case "inf" or "+inf" or "infinity" or "+infinity": value = double.PositiveInfinity; return true;
            case "-inf" or "-infinity": value = double.NegativeInfinity; return true;
            case "nan" or "+nan" or "-nan" or "na" or "n/a" or "null" or "none": return true;
            default: return false;
        }
    }
}
