using System.Runtime.InteropServices;

namespace Engine.Interop;

/// <summary>
/// Writes files so that a reader sees the old content or the new, never a part: a temporary sibling, flushed to the disk, renamed over the
/// target, and the folder flushed too, so that the rename survives a power cut.
/// </summary>
public static partial class AtomicFile
{
    private const string Suffix = ".engine-tmp";

    /// <summary>Writes a file. On any failure the temporary file is removed and the old file is untouched.</summary>
    /// <exception cref="IOException">The disk is full, the folder is read-only, ...</exception>
    public static void Write(string path, Action<Stream> write)
    {
        string full = Path.GetFullPath(path), temporary = $"{full}.{Environment.ProcessId}{Suffix}";
        try
        {
            using (var stream = new FileStream(temporary, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, full, overwrite: true);
            FlushFolder(Path.GetDirectoryName(full)!);
        }
        catch
        {
            try { File.Delete(temporary); }
            catch (IOException) { /* The first error is the one to report. */ }
            throw;
        }
    }

    /// <summary>Removes temporary files that a killed process left in a folder.</summary>
    public static void RemoveStale(string folder)
    {
        foreach (string file in Directory.EnumerateFiles(folder, "*" + Suffix)) File.Delete(file);
    }

    private static void FlushFolder(string folder)
    {
        if (!OperatingSystem.IsLinux()) return; // Elsewhere the rename is as durable as the file system makes it.
        int handle = Open(folder, 0);
        if (handle < 0) return;
        _ = Sync(handle);
        _ = Close(handle);
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync")]
    private static partial int Sync(int handle);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int handle);
}
