using Parquet;
using Parquet.Schema;

namespace Engine.Algorithms.Data.Layouts;

/// <summary>The columns of a Parquet file: numbers, booleans, text, and lists of as many numbers in each row. Whatever else is in it is listed.</summary>
internal sealed class ParquetTable : Table
{
    private readonly ParquetFence _fence;
    private readonly ParquetReader _reader;
    private readonly Dictionary<string, (DataField Field, int Width)> _columns = [];
    private readonly List<(string, string)> _unread = [];

    public ParquetTable(string path) : base(path)
    {
        _fence = new ParquetFence(path);
        try
        {
            _reader = Guarded("its metadata", () => ParquetReader.CreateAsync(_fence).GetAwaiter().GetResult());
            Rows = Guarded("its metadata", () => _reader.RowGroups.Sum(g => g.RowCount >= 0 ? g.RowCount : throw new DatasetException($"{path}: a group of {g.RowCount} rows")));
            if (Rows > int.MaxValue / 8) throw new DatasetException($"{path}: {Rows} rows, more than fit in memory as one dataset");
            foreach (var field in Guarded("its schema", () => _reader.Schema.GetDataFields())) Add(field);
        }
        catch
        {
            _fence.Dispose();
            throw;
        }
    }

    /// <summary>Rows of the file.</summary>
    public long Rows { get; }

    private void Add(DataField field)
    {
        // A list's path has the names of its two inner levels behind its own.
        string name = field.MaxRepetitionLevel > 0 ? field.Path.FirstPart! : field.Path.ToString();
        if (_columns.ContainsKey(name) || _unread.Exists(u => u.Item1 == name)) name = field.Path.ToString();
        string? no = field.MaxRepetitionLevel > 1 ? "lists of lists" : Known(field.ClrType) ? null : field.ClrType == typeof(ReadOnlyMemory<byte>) || field.ClrType == typeof(byte[]) ? "bytes, such as pictures" : "dates or another type that is no number";
        long values = 0;
        foreach (var group in _reader.RowGroups)
            if (group.GetMetadata(field)?.MetaData is { } column) values += column.NumValues;
            else no ??= "absent in a part of the file";
        int width = 0;
        if (no is null && field.MaxRepetitionLevel > 0)
        {
            if (field.ClrType == typeof(ReadOnlyMemory<char>)) no = "lists of text";
            else if (Rows > 0 && (values % Rows != 0 || values / Rows > 1 << 20)) no = "lists of different lengths";
            else width = Rows > 0 ? (int)(values / Rows) : 1;
        }
        if (no is null && field.MaxRepetitionLevel == 0 && values != Rows) no = $"{values} values for {Rows} rows";
        if (no is null) _columns.TryAdd(name, (field, width));
        else _unread.Add((name, no));
    }

    private static bool Known(Type type) => type == typeof(ReadOnlyMemory<char>) || type == typeof(Half) || type == typeof(decimal) || (type.IsPrimitive && type != typeof(char) && type != typeof(nint));

    /// <summary>The library's errors are its own and name nothing of the file.</summary>
    private T Guarded<T>(string what, Func<T> read)
    {
        try { return read(); }
        catch (Exception e) when (e is not (DatasetException or IOException or OutOfMemoryException)) { throw new DatasetException($"{Path}: {what} cannot be read: damaged, or of a form that is not supported"); }
        catch (EndOfStreamException) { throw new DatasetException($"{Path}: {what} cannot be read: the file ends too early"); }
    }

    public override IReadOnlyCollection<string> Names => _columns.Keys;

    public override IReadOnlyList<(string Name, string Reason)> Unread => _unread;

    public override bool Contains(string name) => _columns.ContainsKey(name);

    public override long[] Shape(string name) => _columns[name] is { Width: > 0 and var width } ? [Rows, width] : [Rows];

    public override ColumnKind Kind(string name) => Kind(_columns[name].Field.ClrType);

    private static ColumnKind Kind(Type type) => type == typeof(bool) ? ColumnKind.Boolean : type == typeof(ReadOnlyMemory<char>) ? ColumnKind.Text
        : type == typeof(float) || type == typeof(double) || type == typeof(Half) || type == typeof(decimal) ? ColumnKind.Number : ColumnKind.Whole;

    public override bool IsWide(string name) => _columns[name].Field.ClrType is var type && type != typeof(float) && type != typeof(bool) && type != typeof(byte) && type != typeof(sbyte) && type != typeof(short) && type != typeof(ushort) && type != typeof(Half);

    public override string TypeName(string name) => _columns[name] is var (field, width) ? (width > 0 ? "lists of " : "") + (Kind(field.ClrType) switch
    {
        ColumnKind.Boolean => "booleans",
        ColumnKind.Text => "text",
        ColumnKind.Whole => "whole numbers",
        _ => field.ClrType == typeof(float) ? "numbers of 32 bits" : "numbers",
    }) : "";

    public override double[] ReadExact(string name) => _columns[name].Field.ClrType switch
    {
        var t when t == typeof(bool) => Read<bool, double>(name, v => v ? 1 : 0, double.NaN),
        var t when t == typeof(float) => Read<float, double>(name, v => v, double.NaN),
        var t when t == typeof(double) => Read<double, double>(name, v => v, double.NaN),
        var t when t == typeof(Half) => Read<Half, double>(name, v => (double)v, double.NaN),
        var t when t == typeof(decimal) => Read<decimal, double>(name, v => (double)v, double.NaN),
        var t when t == typeof(long) => Read<long, double>(name, v => v, double.NaN),
        var t when t == typeof(ulong) => Read<ulong, double>(name, v => v, double.NaN),
        var t when t == typeof(int) => Read<int, double>(name, v => v, double.NaN),
        var t when t == typeof(uint) => Read<uint, double>(name, v => v, double.NaN),
        var t when t == typeof(short) => Read<short, double>(name, v => v, double.NaN),
        var t when t == typeof(ushort) => Read<ushort, double>(name, v => v, double.NaN),
        var t when t == typeof(byte) => Read<byte, double>(name, v => v, double.NaN),
        var t when t == typeof(sbyte) => Read<sbyte, double>(name, v => v, double.NaN),
        _ => throw new DatasetException($"{Path}: {name} holds {TypeName(name)}, expected numbers"),
    };

    public override float[] Read(string name) => _columns[name].Field.ClrType == typeof(float) ? Read<float, float>(name, v => v, float.NaN) : Array.ConvertAll(ReadExact(name), v => (float)v);

    public override string[] ReadTexts(string name) => Kind(name) == ColumnKind.Text ? Read<ReadOnlyMemory<char>, string>(name, v => v.ToString(), "") : base.ReadTexts(name);

    private TResult[] Read<T, TResult>(string name, Func<T, TResult> convert, TResult blank) where T : struct
    {
        var (field, width) = _columns[name];
        var result = new List<TResult>();
        foreach (var group in _reader.RowGroups)
        {
            var column = group.GetMetadata(field)!.MetaData!;
            _fence.Open(column, name);
            int n = (int)column.NumValues;
            var (values, definitions, repetitions) = (new T[n], field.MaxDefinitionLevel > 0 ? new int[n] : null, field.MaxRepetitionLevel > 0 ? new int[n] : null);
            Guarded(name, () =>
            {
                group.ReadRawAsync(field, values.AsMemory(), definitions?.AsMemory(), repetitions?.AsMemory()).AsTask().GetAwaiter().GetResult();
                return 0;
            });
            for (int i = 0, next = 0; i < n; i++)
            {
                if (repetitions is not null && (repetitions[i] == 0) != (i % width == 0)) throw new DatasetException($"{Path}: {name} has lists of different lengths, expected {width} numbers in each");
                result.Add(definitions is null || definitions[i] == field.MaxDefinitionLevel ? convert(values[next++]) : blank);
            }
        }
        return result.Count == Rows * Math.Max(1, width) ? [.. result] : throw new DatasetException($"{Path}: {name} has {result.Count} values for {Rows} rows");
    }

    public override void Dispose()
    {
        _fence.Dispose();
        base.Dispose();
    }
}
