using Engine.Interop;
using Engine.Interop.Hdf5;
using Engine.Interop.Numpy;

namespace Engine.Algorithms.Data.Layouts;

/// <summary>The datasets of an HDF5 file with those of its groups. What cannot be opened (a filter, a link to another file) is listed, so that the rest can be read.</summary>
internal sealed class Hdf5Table : Table
{
    // More than any table has; a hostile file may have a group within itself.
    private const int MaximumColumns = 10_000, MaximumDepth = 8;

    private readonly Dictionary<string, Hdf5Dataset> _columns = [];
    private readonly List<(string, string)> _unread = [];

    public Hdf5Table(Hdf5File file) : base(file.Path)
    {
        var open = new Queue<(Hdf5Group Group, string Prefix, int Depth)>();
        open.Enqueue((file.Root, "", 0));
        while (open.TryDequeue(out var next))
            foreach (string child in next.Group.Names)
            {
                string name = next.Prefix + child;
                if (_columns.Count + _unread.Count + open.Count >= MaximumColumns) return;
                try
                {
                    if (next.Group.IsGroup(child))
                    {
                        if (next.Depth < MaximumDepth) open.Enqueue((next.Group.Group(child), name + "/", next.Depth + 1));
                        else _unread.Add((name, $"below more than {MaximumDepth} groups"));
                    }
                    else if (!next.Group.IsDataset(child)) _unread.Add((name, next.Group.Contains(child) ? "a named type" : "a link that leads nowhere"));
                    else if (next.Group.Dataset(child) is var dataset && dataset.ElementType == Hdf5ElementType.Unsupported) _unread.Add((name, $"elements of type {dataset.TypeDescription}"));
                    else _columns.Add(name, dataset);
                }
                catch (InteropFormatException e) { _unread.Add((name, e.Problem)); }
            }
    }

    public override IReadOnlyCollection<string> Names => _columns.Keys;

    public override IReadOnlyList<(string Name, string Reason)> Unread => _unread;

    public override bool Contains(string name) => _columns.ContainsKey(name);

    public override long[] Shape(string name) => _columns[name].Shape;

    public override ColumnKind Kind(string name) => _columns[name].ElementType switch
    {
        Hdf5ElementType.Boolean => ColumnKind.Boolean,
        Hdf5ElementType.Float16 or Hdf5ElementType.Float32 or Hdf5ElementType.Float64 => ColumnKind.Number,
        Hdf5ElementType.FixedString or Hdf5ElementType.VariableString => ColumnKind.Text,
        _ => ColumnKind.Whole,
    };

    public override bool IsWide(string name) => _columns[name].ElementType is Hdf5ElementType.Float64 or Hdf5ElementType.Int32 or Hdf5ElementType.UInt32 or Hdf5ElementType.Int64 or Hdf5ElementType.UInt64;

    public override float[] Read(string name) => _columns[name].ReadSingles();

    public override double[] ReadExact(string name) => _columns[name].ReadDoubles();

    public override string[] ReadTexts(string name) => _columns[name].ReadStrings();

    public override string TypeName(string name) => _columns[name].ElementType.ToString();
}

/// <summary>The arrays of an npz archive.</summary>
internal sealed class NpzTable(string path, NpzFile file) : Table(path)
{
    public override IReadOnlyCollection<string> Names => file.Names;

    public override IReadOnlyList<(string Name, string Reason)> Unread => file.Skipped;

    public override bool Contains(string name) => file.Contains(name);

    public override long[] Shape(string name) => file.Shape(name);

    public override ColumnKind Kind(string name) => Kind(file.Type(name));

    public override bool IsWide(string name) => IsWide(file.Type(name));

    public override float[] Read(string name) => Numbers(name).ToSingles();

    public override double[] ReadExact(string name) => Numbers(name).ToDoubles();

    public override string[] ReadTexts(string name) => file.Read(name).ToStrings();

    private NpyArray Numbers(string name) => file.Type(name).IsNumber ? file.Read(name) : throw new DatasetException($"{Path}: {name} holds {file.Type(name)}, expected numbers");

    public override string TypeName(string name) => file.Type(name).ToString();

    public override void Dispose()
    {
        file.Dispose();
        base.Dispose();
    }

    public static ColumnKind Kind(NpyType type) => type.Kind switch
    {
        NpyKind.Boolean => ColumnKind.Boolean,
        NpyKind.Integer or NpyKind.Unsigned => ColumnKind.Whole,
        NpyKind.Float => ColumnKind.Number,
        _ => ColumnKind.Text,
    };

    public static bool IsWide(NpyType type) => type is { Kind: NpyKind.Float, Size: 8 } or { Kind: NpyKind.Integer or NpyKind.Unsigned, Size: >= 4 };
}

/// <summary>A folder of .npy files, each a column.</summary>
internal sealed class NpyTable : Table
{
    private readonly Dictionary<string, NpyArray> _arrays = [];
    private readonly List<(string, string)> _unread = [];

    public NpyTable(string folder, IEnumerable<string> files) : base(folder)
    {
        foreach (string file in files)
        {
            string name = System.IO.Path.GetFileNameWithoutExtension(file);
            try { _arrays.Add(name, NpyFile.Read(file)); }
            catch (InteropFormatException e) { _unread.Add((name, e.Problem)); }
        }
    }

    public override IReadOnlyCollection<string> Names => _arrays.Keys;

    public override IReadOnlyList<(string Name, string Reason)> Unread => _unread;

    public override bool Contains(string name) => _arrays.ContainsKey(name);

    public override long[] Shape(string name) => _arrays[name].Shape;

    public override ColumnKind Kind(string name) => NpzTable.Kind(_arrays[name].Type);

    public override bool IsWide(string name) => NpzTable.IsWide(_arrays[name].Type);

    public override float[] Read(string name) => Numbers(name).ToSingles();

    public override double[] ReadExact(string name) => Numbers(name).ToDoubles();

    public override string[] ReadTexts(string name) => _arrays[name].ToStrings();

    private NpyArray Numbers(string name) => _arrays[name].Type.IsNumber ? _arrays[name] : throw new DatasetException($"{Path}: {name} holds {_arrays[name].Type}, expected numbers");

    public override string TypeName(string name) => _arrays[name].Type.ToString();
}
