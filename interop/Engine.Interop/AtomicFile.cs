using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Engine.Interop;

/// <summary>
/// Writes files so that a reader, or a process that starts after a crash, sees either the whole old file or the whole new one.
/// </summary>
public static partial class AtomicFile
{
    private const string TemporarySuffix = ".engine-tmp";

    /// <summary>
    /// Writes a file by way of a temporary sibling: write, fsync, rename over <paramref name="path"/>, fsync the folder. If
    /// anything fails, the temporary file is removed and the old file stays as it was.
    /// </summary>
    /// <param name="path">The file to create or replace; its folder must exist.</param>
    /// <param name="write">Writes the content; the stream supports seeking.</param>
    /// <exception cref="IOException">The disk is full, the folder is absent, or another I/O error.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(write);
        var target = Path.GetFullPath(path);
        var folder = Path.GetDirectoryName(target) ?? throw new ArgumentException($"'{path}' is not the path of a file.", nameof(path));
        var temporary = Path.Combine(folder, TemporaryName(Path.GetFileName(target)));
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            // The file stays locked until it has its final name, so that RemoveStale never takes a file that is being written.
            // On Windows a rename of an open file needs the permission to delete it.
            Share = OperatingSystem.IsWindows() ? FileShare.Delete : FileShare.None,
            BufferSize = 1 << 16,
        };
        var created = false;
        try
        {
            using (var stream = new FileStream(temporary, options))
            {
                created = true;
                write(stream);
                stream.Flush(flushToDisk: true);
                File.Move(temporary, target, overwrite: true);
            }
        }
        catch
        {
            if (created)
                TryDelete(temporary);
            throw;
        }
        // The rename itself lives in the folder: without this a power failure may bring the old file back.
        if (OperatingSystem.IsLinux())
            SyncFolder(folder);
    }

    /// <summary>
    /// Removes temporary files that writers which were killed left in a folder. Files that a living writer still holds are kept.
    /// </summary>
    /// <param name="folder">The folder; sub-folders are not searched. An absent folder has no stale files.</param>
    /// <returns>The number of files removed.</returns>
    public static int RemoveStale(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (!Directory.Exists(folder))
            return 0;
        var removed = 0;
        foreach (var file in Directory.EnumerateFiles(folder, ".*" + TemporarySuffix))
        {
            try
            {
                using var exclusive = new FileStream(file, FileMode.Open, FileAccess.ReadWrite, OperatingSystem.IsWindows() ? FileShare.Delete : FileShare.None);
                File.Delete(file);
                removed++;
            }
            catch (IOException)
            {
                // Held by a living writer, or already gone.
            }
            catch (UnauthorizedAccessException)
            {
                // Another user's file.
            }
        }
        return removed;
    }

    private static string TemporaryName(string name)
    {
        var random = RandomNumberGenerator.GetInt32(int.MaxValue).ToString("x8", CultureInfo.InvariantCulture);
        // Names are limited to 255 bytes on common file systems, so only a part of a long name is repeated.
        var shortened = name.Length > 40 ? name[..40] : name;
        return $".{shortened}.{Environment.ProcessId}-{random}{TemporarySuffix}";
    }

    private static void TryDelete(string file)
    {
        try
        {
            File.Delete(file);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The first error is the one to report; RemoveStale takes what is left.
        }
    }

    private static void SyncFolder(string folder)
    {
        const int interrupted = 4, invalid = 22;
        const int readOnly = 0, closeOnExec = 0x80000;
        int descriptor;
        while ((descriptor = Open(folder, readOnly | closeOnExec)) < 0 && Marshal.GetLastPInvokeError() == interrupted)
        {
        }
        if (descriptor < 0)
            throw new IOException($"{folder}: the folder cannot be opened to flush it to the disk (errno {Marshal.GetLastPInvokeError()}).");
        try
        {
            int result;
            while ((result = Fsync(descriptor)) < 0 && Marshal.GetLastPInvokeError() == interrupted)
            {
            }
            // Some network file systems cannot flush a folder and say EINVAL: there is nothing more to do there.
            if (result < 0 && Marshal.GetLastPInvokeError() != invalid)
                throw new IOException($"{folder}: the folder cannot be flushed to the disk (errno {Marshal.GetLastPInvokeError()}).");
        }
        finally
        {
            _ = Close(descriptor);
        }
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);
}
