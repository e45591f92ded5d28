using System.IO.Compression;

namespace Engine.Algorithms.Data.Layouts;

/// <summary>The bytes of a text table, unpacked if gzip packed them.</summary>
internal static class TextSource
{
    /// <summary>A packed file may unpack to this much, or to this many times its size.</summary>
    private const long AlwaysAllowed = 64L << 20, MaximumRatio = 200;

    private const int Start = 1 << 16;

    public static Stream Open(string path)
    {
        var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16);
        bool packed = file.ReadByte() == 0x1f && file.ReadByte() == 0x8b;
        file.Position = 0;
        return packed ? new Bounded(path, new GZipStream(file, CompressionMode.Decompress), Math.Max(AlwaysAllowed, MaximumRatio * file.Length)) : file;
    }

    /// <summary>What stands between cells: the first line decides, outside of quotes and brackets, and only as far as a line of names can reach: a file may be one endless line.</summary>
    public static string Delimiter(string path)
    {
        using var reader = new StreamReader(Open(path), detectEncodingFromByteOrderMarks: true);
        var start = new char[Start];
        int length = reader.ReadBlock(start);
        var (found, quoted, depth, text) = (new HashSet<char>(), false, 0, false);
        for (int i = 0; i < length; i++)
        {
            char c = start[i];
            if (c == '"') quoted = !quoted;
            if (quoted) continue;
            if (c is '\n' or '\r' && text) break;
            depth += c is '[' or '(' ? 1 : c is ']' or ')' ? -1 : 0;
            text |= !char.IsWhiteSpace(c);
            if (depth <= 0 && (c != ' ' || (text && start[i - 1] is not (',' or ';' or '#')))) found.Add(c);
        }
        return found.Contains(',') ? "," : found.Contains('\t') ? "\t" : found.Contains(';') ? ";" : found.Contains('|') ? "|" : found.Contains(' ') ? " " : ",";
    }

    /// <summary>Ends with an error where a packed file unpacks to far more than it holds.</summary>
    private sealed class Bounded(string path, Stream inner, long limit) : Stream
    {
        private long _read;

        public override int Read(Span<byte> buffer)
        {
            int read = inner.Read(buffer);
            _read += read;
            return _read <= limit ? read : throw new DatasetException($"{path}: unpacks to more than {limit} bytes");
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override void Flush() { }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing) inner.Dispose();
            base.Dispose(disposing);
        }
    }
}
