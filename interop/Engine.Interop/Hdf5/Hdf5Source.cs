using Microsoft.Win32.SafeHandles;

namespace Engine.Interop.Hdf5;

/// <summary>The bytes of an HDF5 file with the widths of its addresses and lengths. Every read is checked against the file's size.</summary>
internal sealed class Hdf5Source : IDisposable
{
    /// <summary>An address that is stored as all ones: nothing is there.</summary>
    public const long Undefined = -1;

    /// <summary>Headers up to this size are parsed again for every name that leads to them; longer ones are kept.</summary>
    public const int LongHeader = 4096;

    /// <summary>Datasets may unpack to this much, or to this many times the file if that is more, as arrays of an npz archive may.</summary>
    private const long AlwaysAllowed = 64L << 20, MaximumRatio = 200;

    private readonly SafeFileHandle handle;
    private readonly HashSet<int> seen = [];
    private long unpacked;

    public Hdf5Source(string path)
    {
        Path = path;
        handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read, FileOptions.RandomAccess);
        try
        {
            Length = RandomAccess.GetLength(handle);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
        Tables = new Hdf5Budget(this, "what the file's names lead to", times: 4);
    }

    /// <summary>
    /// The tables of all groups, long headers and chunk indices, each charged where it is first read. Any number of names may lead to one object, or to objects that share their
    /// parts, so bounds on each walk do not bound them all: a small file could take hours.
    /// </summary>
    public Hdf5Budget Tables { get; }

    /// <summary>Headers longer than <see cref="LongHeader"/> by address.</summary>
    public Dictionary<long, Hdf5ObjectHeader> LongHeaders { get; } = [];

    public string Path { get; }

    public long Length { get; }

    /// <summary>Where the superblock is; addresses count from here.</summary>
    public long Base { get; set; }

    /// <summary>Bytes of an address.</summary>
    public int AddressSize { get; set; } = 8;

    /// <summary>Bytes of a length.</summary>
    public int LengthSize { get; set; } = 8;

    public InteropFormatException Fail(long offset, string message) => new(Path, offset, message);

    /// <summary>A block of the file, where <paramref name="what"/> says in an error what it would have been.</summary>
    public byte[] Read(long offset, long count, string what)
    {
        Check(offset, count, what);
        var bytes = new byte[count];
        Fill(offset, bytes, what);
        return bytes;
    }

    /// <summary>Fills a buffer from the file.</summary>
    public void Fill(long offset, Span<byte> bytes, string what)
    {
        Check(offset, bytes.Length, what);
        var done = 0;
        while (done < bytes.Length)
        {
            var read = RandomAccess.Read(handle, bytes[done..], offset + done);
            if (read == 0)
                throw Fail(offset + done, $"the file ends within {what} (it was shortened while it was read)");
            done += read;
        }
    }

    /// <summary>A block of the file to parse.</summary>
    public Hdf5Cursor Cursor(long offset, long count, string what) => new(this, Read(offset, count, what), offset, what);

    public void Check(long offset, long count, string what)
    {
        if (offset < 0 || offset > Length)
            throw Fail(Math.Max(offset, 0), $"{what} is said to be here, beyond the file's {Length} bytes");
        if (count < 0 || count > Length - offset)
            throw Fail(offset, $"{what} is said to have {count} bytes, but the file has {Length - offset} from here on");
        if (count > Array.MaxLength)
            throw Fail(offset, $"{what} has {count} bytes; more than {Array.MaxLength} in one piece are not supported");
    }

    /// <summary>Whether a dataset was never read by this path. A collision of hashes leaves a dataset uncounted, which does no harm.</summary>
    public bool IsFirstRead(string name) => seen.Add(name.GetHashCode(StringComparison.Ordinal));

    /// <summary>Counts the memory that a dataset takes when it is first read.</summary>
    public void ChargeUnpacked(string name, long offset, Int128 bytes)
    {
        var limit = Math.Max(AlwaysAllowed, MaximumRatio * Length);
        if (bytes > limit - unpacked)
            throw Fail(offset, $"with dataset '{name}' the file of {Length} bytes would unpack to more than {limit}");
        unpacked += (long)bytes;
    }

    public void Dispose() => handle.Dispose();
}

/// <summary>
/// How many bytes of structures one walk may read. Structures of a valid file do not overlap, so a walk that reads much more
/// than the file's size follows a loop or structures laid over each other; without this it could take hours.
/// </summary>
internal sealed class Hdf5Budget(Hdf5Source source, string walk, Hdf5Budget? whole = null, int times = 1)
{
    private long left = times * source.Length + 4096;

    public void Charge(long offset, long bytes)
    {
        whole?.Charge(offset, bytes);
        left -= bytes;
        if (left < 0)
            throw source.Fail(offset, $"{walk} refers to more bytes than the file has: its parts overlap or form a loop");
    }
}
