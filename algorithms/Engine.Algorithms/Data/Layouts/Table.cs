namespace Engine.Algorithms.Data.Layouts;

/// <summary>What a column holds.</summary>
internal enum ColumnKind
{
    /// <summary>Numbers with fractions.</summary>
    Number,

    /// <summary>Whole numbers: actions of that kind are discrete.</summary>
    Whole,

    /// <summary>True and false.</summary>
    Boolean,

    /// <summary>Text, which only tells episodes apart.</summary>
    Text,
}

/// <summary>Named columns of a file, whatever its format: what the flat layouts are read from.</summary>
internal abstract class Table(string path) : IDisposable
{
    private const double ExactWhole = 1L << 53;

    /// <summary>The file, for messages.</summary>
    public string Path => path;

    /// <summary>Columns; those below groups with slashes between the names.</summary>
    public abstract IReadOnlyCollection<string> Names { get; }

    /// <summary>What is in the file but cannot be read, and why.</summary>
    public virtual IReadOnlyList<(string Name, string Reason)> Unread => [];

    /// <summary>What a user should know about the file.</summary>
    public virtual IReadOnlyList<string> Notes => [];

    /// <summary>Whether there is such a column.</summary>
    public abstract bool Contains(string name);

    /// <summary>The column of a number from 0 on, in formats that count them; else null.</summary>
    public virtual string? At(int number) => null;

    /// <summary>Sizes of a column's axes, rows first.</summary>
    public abstract long[] Shape(string name);

    /// <summary>Whether a column has one number for each of so many rows.</summary>
    public bool IsColumn(string name, long rows) => Shape(name) is [var r, .. var more] && r == rows && (more.Length == 0 || more is [1]);

    /// <summary>What a column holds.</summary>
    public abstract ColumnKind Kind(string name);

    /// <summary>Whether its numbers may have more digits than 32-bit floats keep.</summary>
    public abstract bool IsWide(string name);

    /// <summary>A column as 32-bit floats, row-major.</summary>
    public abstract float[] Read(string name);

    /// <summary>A column of numbers that must keep all their digits: row and episode numbers.</summary>
    public abstract double[] ReadExact(string name);

    /// <summary>A column of text.</summary>
    public virtual string[] ReadTexts(string name) => throw new DatasetException($"{Path}: {name} holds {TypeName(name)}, expected text");

    /// <summary>A number for each row that differs where the column does: of text too.</summary>
    public virtual double[] ReadLabels(string name)
    {
        if (Kind(name) == ColumnKind.Text)
        {
            var known = new Dictionary<string, double>();
            return Array.ConvertAll(ReadTexts(name), t => known.TryGetValue(t, out double label) ? label : known[t] = known.Count);
        }
        double[] numbers = ReadExact(name);
        if (Array.FindIndex(numbers, v => Math.Abs(v) >= ExactWhole) is var row and >= 0) throw new DatasetException($"{Path}: {name}, row {row} is {numbers[row]}: whole numbers beyond 9,007,199,254,740,992 are not told apart; number episodes from 0");
        return numbers;
    }

    /// <summary>Name of the element type.</summary>
    public abstract string TypeName(string name);

    /// <inheritdoc/>
    public virtual void Dispose() { }
}
