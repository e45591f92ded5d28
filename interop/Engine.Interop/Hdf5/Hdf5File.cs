using System.Text;

namespace Engine.Interop.Hdf5;

/// <summary>
/// A restricted reader of HDF5 files: the subset that D4RL, d3rlpy and Minari files use. Superblocks 0, 2 and 3; groups as symbol tables or compact links;
/// compact, contiguous and chunked (version 1 B-tree) datasets of integers, floats, booleans and strings; deflate, shuffle and fletcher32. Whatever else
/// a file holds is refused by name when it is asked for. Input is treated as hostile.
/// </summary>
public sealed class Hdf5File
{
    private static ReadOnlySpan<byte> Signature => [0x89, (byte)'H', (byte)'D', (byte)'F', 13, 10, 26, 10];

    private Hdf5File(Hdf5Reader reader, Hdf5Group root) => (Path, Root) = (reader.Path, root);

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>The group at the top.</summary>
    public Hdf5Group Root { get; }

    /// <summary>Opens a file.</summary>
    /// <exception cref="InteropFormatException">Not an HDF5 file, or one that breaks the format's rules.</exception>
    public static Hdf5File Open(string path)
    {
        long length = new FileInfo(path).Length;
        if (length > Array.MaxLength) throw new InteropFormatException(path, -1, $"{length} bytes; HDF5 files up to {Array.MaxLength} bytes are read");
        return Parse(path, File.ReadAllBytes(path));
    }

    /// <summary>Parses the bytes of a file; the path is for messages.</summary>
    public static Hdf5File Parse(string path, byte[] bytes)
    {
        var file = new Hdf5Reader(path, bytes);
        if (bytes.Length < 8 || !file.Span(0, 8, "the signature").SequenceEqual(Signature))
            throw file.Error(0, "not an HDF5 file: the signature is missing");
        int version = file.U8(8);
        long root;
        if (version is 0 or 1)
        {
            if (file.U8(13) != 8 || file.U8(14) != 8) throw file.Error(13, "only files with 8-byte offsets and lengths are supported");
            long entry = 24 + 32 + (version == 1 ? 4 : 0);
            root = file.Address(entry + 8);
        }
        else if (version is 2 or 3)
        {
            if (file.U8(9) != 8 || file.U8(10) != 8) throw file.Error(9, "only files with 8-byte offsets and lengths are supported");
            root = file.Address(36);
        }
        else throw file.Error(8, $"superblock version {version}, expected 0 to 3");
        return new Hdf5File(file, new Hdf5Group(file, root, ""));
    }
}

/// <summary>Named groups and datasets.</summary>
public sealed class Hdf5Group
{
    private const int MaxLinks = 1_000_000, MaxTreeDepth = 32;

    private readonly Hdf5Reader _file;
    private readonly string _name;
    private readonly Dictionary<string, long> _links = [];

    internal Hdf5Group(Hdf5Reader file, long address, string name)
    {
        (_file, _name) = (file, name);
        foreach (var message in Hdf5Message.ReadAll(file, address))
            switch (message.Type)
            {
                case 0x11: ReadSymbolTable(file.Address(message.Offset), file.Address(message.Offset + 8)); break;
                case 0x06: ReadLink(message); break;
                case 0x02 when HasDenseLinks(message): throw file.Error(message.Offset, $"group {Full("")}: links in a fractal heap are not supported");
            }
    }

    /// <summary>Names in this group, ordinal order.</summary>
    public IEnumerable<string> Names => _links.Keys.Order(StringComparer.Ordinal);

    /// <summary>Whether there is something under a name or a path with slashes.</summary>
    public bool Contains(string path)
    {
        int slash = path.IndexOf('/', StringComparison.Ordinal);
        return slash < 0 ? _links.ContainsKey(path) : _links.ContainsKey(path[..slash]) && IsGroup(path[..slash]) && Group(path[..slash]).Contains(path[(slash + 1)..]);
    }

    /// <summary>Whether the name is a group.</summary>
    public bool IsGroup(string name) => Hdf5Message.ReadAll(_file, Find(name)).Exists(m => m.Type is 0x11 or 0x06 or 0x02 or 0x0A);

    /// <summary>A group below, by name or path.</summary>
    public Hdf5Group Group(string path)
    {
        int slash = path.IndexOf('/', StringComparison.Ordinal);
        return slash < 0 ? new Hdf5Group(_file, Find(path), Full(path)) : Group(path[..slash]).Group(path[(slash + 1)..]);
    }

    /// <summary>A dataset, by name or path.</summary>
    public Hdf5Dataset Dataset(string path)
    {
        int slash = path.IndexOf('/', StringComparison.Ordinal);
        return slash < 0 ? new Hdf5Dataset(_file, Find(path), Full(path)) : Group(path[..slash]).Dataset(path[(slash + 1)..]);
    }

    private string Full(string name) => _name + "/" + name;

    private long Find(string name) => _links.TryGetValue(name, out long address) ? address
        : throw new InteropFormatException(_file.Path, -1, $"no {Full(name)}; there are {string.Join(", ", Names.Take(12))}");

    private bool HasDenseLinks(Hdf5Message message)
    {
        int flags = _file.U8(message.Offset + 1);
        return _file.U64(message.Offset + 2 + ((flags & 1) != 0 ? 8 : 0)) != Hdf5Reader.Undefined;
    }

    private void Add(string name, long address, long at)
    {
        if (_links.Count == MaxLinks) throw _file.Error(at, $"more than {MaxLinks} links in a group");
        if (!_links.TryAdd(name, address)) throw _file.Error(at, $"link {name} appears twice");
    }

    private void ReadLink(Hdf5Message message)
    {
        long at = message.Offset;
        int flags = _file.U8(at + 1);
        at += 2;
        int type = (flags & 8) != 0 ? _file.U8(at++) : 0;
        if ((flags & 4) != 0) at += 8;
        if ((flags & 16) != 0) at++;
        int width = 1 << (flags & 3);
        long length = (long)Math.Min(_file.Number(at, width), 65536);
        at += width;
        string name = Encoding.UTF8.GetString(_file.Span(at, length, "a link's name"));
        if (type == 0) Add(name, _file.Address(at + length), at); // soft and external links lead nowhere we read
    }

    private void ReadSymbolTable(long tree, long heap)
    {
        _file.Signature(heap, "HEAP");
        long names = _file.Address(heap + 24);
        var pending = new Stack<(long Address, int Depth)>();
        var visited = new HashSet<long>();
        pending.Push((tree, 0));
        while (pending.TryPop(out var node))
        {
            if (!visited.Add(node.Address)) throw _file.Error(node.Address, "group B-tree runs in a circle");
            if (node.Depth > MaxTreeDepth) throw _file.Error(node.Address, $"group B-tree deeper than {MaxTreeDepth}");
            if (_file.Span(node.Address, 4, "a B-tree node").SequenceEqual("SNOD"u8))
            {
                int symbols = _file.U16(node.Address + 6);
                for (int i = 0; i < symbols; i++)
                {
                    long entry = node.Address + 8 + 40L * i;
                    string name = _file.Text(names + (long)Math.Min(_file.U64(entry), (ulong)_file.Length));
                    Add(name, _file.Address(entry + 8), entry);
                }
                continue;
            }
            _file.Signature(node.Address, "TREE");
            if (_file.U8(node.Address + 4) != 0) throw _file.Error(node.Address + 4, "expected a group B-tree");
            int children = _file.U16(node.Address + 6);
            for (int i = children - 1; i >= 0; i--) pending.Push((_file.Address(node.Address + 32 + 16L * i), node.Depth + 1));
        }
    }
}
