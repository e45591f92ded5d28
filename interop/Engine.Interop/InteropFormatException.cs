using System.Text;

namespace Engine.Interop;

/// <summary>
/// A file is not what its format demands, or uses a part of the format that Engine does not read. The message is one line:
/// the file, the byte offset, what is wrong there and what was expected.
/// </summary>
public sealed class InteropFormatException : FormatException
{
    /// <summary>Creates the error.</summary>
    /// <param name="path">The file that was read.</param>
    /// <param name="offset">The byte offset in the file where the problem lies, or where the structure that has it begins; -1 where there is none to name, as in a compressed part.</param>
    /// <param name="message">What is wrong and what was expected, without the file and the offset.</param>
    public InteropFormatException(string path, long offset, string message)
        : this(path, offset, message, null)
    {
    }

    /// <summary>Creates the error with the exception that caused it.</summary>
    /// <param name="path">The file that was read.</param>
    /// <param name="offset">The byte offset in the file where the problem lies, or where the structure that has it begins; -1 where there is none to name, as in a compressed part.</param>
    /// <param name="message">What is wrong and what was expected, without the file and the offset.</param>
    /// <param name="inner">The cause, or null.</param>
    public InteropFormatException(string path, long offset, string message, Exception? inner)
        : base(OneLine(offset < 0 ? $"{path}: {message}" : $"{path}: byte {offset}: {message}"), inner)
    {
        Path = path;
        Problem = OneLine(message);
        Offset = offset;
    }

    /// <summary>The file that was read.</summary>
    public string Path { get; }

    /// <summary>What is wrong and what was expected, without the file and the offset: for a list of a file's parts.</summary>
    public string Problem { get; }

    /// <summary>The byte offset in the file, or -1.</summary>
    public long Offset { get; }

    // Names inside a file are part of messages, and a hostile file must not be able to forge lines of a log with them.
    private static string OneLine(string text)
    {
        var clean = new StringBuilder(text.Length);
        foreach (var c in text)
            clean.Append(char.IsControl(c) || c is '\u2028' or '\u2029' ? '?' : c);
        return clean.ToString();
    }
}
