namespace Engine.Interop;

/// <summary>A file is not what it should be: one line with the file, the place and what was expected.</summary>
public sealed class InteropFormatException : Exception
{
    /// <summary>About a file as a whole or at a byte.</summary>
    /// <param name="path">The file.</param>
    /// <param name="offset">Byte offset of the problem; negative if it has none.</param>
    /// <param name="message">What is wrong and what was expected.</param>
    public InteropFormatException(string path, long offset, string message)
        : base(offset < 0 ? $"{path}: {message}" : $"{path}: at byte {offset}: {message}") => (Path, Offset) = (path, offset);

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>Byte offset, or negative.</summary>
    public long Offset { get; }
}
