namespace Engine.Interop.Hdf5;

/// <summary>
/// An HDF5 file, opened for reading. The subset is the one that datasets of offline reinforcement learning use: groups of all
/// forms, numbers, booleans and strings, contiguous, compact and chunked data, the filters deflate, lzf, shuffle and fletcher32.
/// Whatever else a file holds is an error that names it, and only when it is asked for.
/// </summary>
/// <remarks>Not for use by several threads at once; open the file once per thread.</remarks>
public sealed class Hdf5File : IDisposable
{
    private Hdf5File(Hdf5Source source)
    {
        Source = source;
        Heap = new Hdf5GlobalHeap(source);
        var header = Hdf5ObjectHeader.Read(source, Hdf5Superblock.Read(source));
        if (!Hdf5Links.AreIn(header))
            throw source.Fail(header.Address, "the root object is not a group");
        Root = new Hdf5Group(this, header, "/");
    }

    /// <summary>The file's path.</summary>
    public string Path => Source.Path;

    /// <summary>The root group.</summary>
    public Hdf5Group Root { get; }

    internal Hdf5Source Source { get; }

    internal Hdf5GlobalHeap Heap { get; }

    /// <summary>Opens a file and reads its superblock and root header.</summary>
    /// <exception cref="InteropFormatException">It is not an HDF5 file, is truncated or damaged.</exception>
    /// <exception cref="IOException">The file is absent or cannot be read.</exception>
    public static Hdf5File Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var source = new Hdf5Source(path);
        try
        {
            return new Hdf5File(source);
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    /// <summary>Closes the file; groups and datasets of it can no longer be read.</summary>
    public void Dispose() => Source.Dispose();
}
