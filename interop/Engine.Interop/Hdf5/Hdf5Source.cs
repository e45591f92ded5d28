using Microsoft.Win32.SafeHandles;

namespace Engine.Interop.Hdf5;

/// <summary>The bytes of an HDF5 file with the widths of its addresses and lengths. Every read is checked against the file's size.</summary>
internal sealed class Hdf5Source : IDisposable
{
    /// <summary>An address that is stored as all ones: nothing is there.</summary>
    public const long Undefined = -1;

    private readonly SafeFileHandle handle;

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
    }

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

    public void Dispose() => handle.Dispose();
}

/// <summary>
/// How many bytes of structures one walk may read. Structures of a valid file do not overlap, so a walk that reads much more
/// than the file's size follows a loop or structures laid over each other; without this it could take hours.
/// </summary>
internal sealed class Hdf5Budget(Hdf5Source source, string walk)
{
    private long left = source.Length + 4096;

    public void Charge(long offset, long bytes)
    {
        left -= bytes;
        if (left < 0)
            throw source.Fail(offset, $"{walk} refers to more bytes than the file has: its parts overlap or form a loop");
    }
}
