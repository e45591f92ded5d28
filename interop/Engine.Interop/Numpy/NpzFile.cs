using System.IO.Compression;

namespace Engine.Interop.Numpy;

/// <summary>
/// Reads and writes .npz files: zip archives of .npy arrays. Names, types and shapes are known once it is open; elements are read when asked for. Pickled
/// objects and other members that are no arrays of numbers or text are listed and never read.
/// </summary>
public sealed class NpzFile : IDisposable
{
    private const int MaximumEntries = 100_000;

    /// <summary>Arrays may unpack to this much, or to this many times the file if that is more.</summary>
    private const long AlwaysAllowed = 64L << 20, MaximumRatio = 200;

    /// <summary>
    /// All heads may unpack to this much and twice the file. A head has about 128 bytes, and its entry no fewer; entries that share the bytes of one long head would otherwise make
    /// a small file take minutes to open.
    /// </summary>
    private const long AllowedHeads = 2L << 20;

    private readonly ZipArchive _zip;
    private readonly string _path;
    private readonly Dictionary<string, (ZipArchiveEntry Entry, NpyHeader Header)> _arrays = [];
    private readonly List<(string Name, string Reason)> _skipped = [];

    private NpzFile(string path, ZipArchive zip) => (_path, _zip) = (path, zip);

    /// <summary>Opens a file and reads the heads of its arrays.</summary>
    /// <exception cref="InteropFormatException">Not a zip archive of arrays, damaged, or it would unpack to far more than it holds.</exception>
    public static NpzFile Open(string path)
    {
        var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16);
        NpzFile? file = null;
        try
        {
            file = new NpzFile(path, new ZipArchive(stream, ZipArchiveMode.Read));
            file.ReadHeads(stream.Length);
            return file;
        }
        catch (Exception e)
        {
            file?.Dispose();
            stream.Dispose();
            if (IsDamage(e)) throw new InteropFormatException(path, -1, "not a sound zip archive: " + e.Message);
            throw;
        }
    }

    private static bool IsDamage(Exception e) => e is InvalidDataException or ArgumentException or NotSupportedException or OverflowException or EndOfStreamException or IndexOutOfRangeException;

    private void ReadHeads(long fileBytes)
    {
        long total = 0, heads = 0, limit = Math.Max(AlwaysAllowed, MaximumRatio * fileBytes);
        if (_zip.Entries.Count > MaximumEntries) throw new InteropFormatException(_path, -1, $"{_zip.Entries.Count} entries, expected at most {MaximumEntries}");
        foreach (var entry in _zip.Entries)
        {
            if (!entry.FullName.EndsWith(".npy", StringComparison.Ordinal) || entry.FullName.StartsWith("__MACOSX/", StringComparison.Ordinal))
            {
                if (!entry.FullName.EndsWith('/')) _skipped.Add((entry.FullName, "is no array (.npy)"));
                continue;
            }
            string name = entry.FullName[..^4];
            using var stream = entry.Open();
            var header = NpyHeader.Read(stream, _path, "array " + name);
            heads += header.Length;
            if (heads > AllowedHeads + 2 * fileBytes) throw new InteropFormatException(_path, -1, $"array {name}: the heads of the arrays unpack to more than {AllowedHeads + 2 * fileBytes} bytes");
            if (header.Type.Kind >= NpyKind.Object)
            {
                _skipped.Add((name, header.Type.Kind == NpyKind.Object ? "pickled Python objects, which are never read" : $"{header.Unread}, not read"));
                continue;
            }
            if (entry.Length != header.Length + header.Bytes)
                throw new InteropFormatException(_path, -1, $"array {name} has {entry.Length - header.Length} bytes of elements, expected {header.Bytes} for shape ({string.Join(", ", header.Shape)}) of {header.Type}");
            total += header.Bytes;
            if (total > limit) throw new InteropFormatException(_path, -1, $"array {name}: the file of {fileBytes} bytes would unpack to more than {limit}");
            if (!_arrays.TryAdd(name, (entry, header))) throw new InteropFormatException(_path, -1, $"array {name} is there twice");
        }
    }

    /// <summary>The arrays, in the order of the file, without those that are skipped.</summary>
    public IReadOnlyCollection<string> Names => _arrays.Keys;

    /// <summary>Members that are not read, and why: pickled objects, arrays of types that are not numbers or text, files that are no arrays.</summary>
    public IReadOnlyList<(string Name, string Reason)> Skipped => _skipped;

    /// <summary>Whether there is an array of that name.</summary>
    public bool Contains(string name) => _arrays.ContainsKey(name);

    /// <summary>Sizes of an array's axes; empty for a scalar.</summary>
    public long[] Shape(string name) => (long[])Find(name).Header.Shape.Clone();

    /// <summary>Type of an array's elements.</summary>
    public NpyType Type(string name) => Find(name).Header.Type;

    /// <summary>Reads an array.</summary>
    /// <exception cref="InteropFormatException">There is none of that name, or it is damaged.</exception>
    public NpyArray Read(string name)
    {
        var (entry, _) = Find(name);
        try
        {
            using var stream = new Crc32Stream(entry.Open());
            string what = "array " + name;
            var array = NpyFile.ReadElements(stream, NpyHeader.Read(stream, _path, what), name, _path, what);
            return stream.Checksum == entry.Crc32 ? array : throw new InteropFormatException(_path, -1, $"{what}: its checksum is {stream.Checksum:x8}, the archive says {entry.Crc32:x8}");
        }
        catch (Exception e) when (IsDamage(e)) { throw new InteropFormatException(_path, -1, $"array {name} cannot be unpacked: {e.Message}"); }
    }

    private (ZipArchiveEntry Entry, NpyHeader Header) Find(string name) =>
        _arrays.TryGetValue(name, out var found) ? found
        : _skipped.Find(s => s.Name == name) is { Name: not null } skipped ? throw new InteropFormatException(_path, -1, $"array {name}: {skipped.Reason}")
        : throw new InteropFormatException(_path, -1, $"no array {name}; {NearNames.Describe(name, _arrays.Keys)}");

    /// <summary>Writes arrays atomically.</summary>
    /// <param name="path">The file.</param>
    /// <param name="arrays">Each with a name of its own.</param>
    /// <param name="compress">Deflate them; else they are stored as they are.</param>
    public static void Write(string path, IEnumerable<NpyArray> arrays, bool compress = true) => AtomicFile.Write(path, stream =>
    {
        using var zip = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true);
        foreach (var array in arrays)
        {
            using var entry = zip.CreateEntry(array.Name + ".npy", compress ? CompressionLevel.Optimal : CompressionLevel.NoCompression).Open();
            NpyFile.WriteTo(entry, array);
        }
    });

    /// <inheritdoc/>
    public void Dispose() => _zip.Dispose();
}
