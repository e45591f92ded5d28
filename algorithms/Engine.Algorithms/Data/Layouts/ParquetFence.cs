using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Parquet.Meta;

namespace Engine.Algorithms.Data.Layouts;

/// <summary>
/// The file as the Parquet library sees it. Its metadata are checked before, and every page of a column before it is unpacked; then the library may read that column's bytes, a bounded
/// number of times, and an end of the file is an error instead of nothing.
/// </summary>
internal sealed class ParquetFence : Stream
{
    private const long AlwaysAllowed = 48L << 20, MaximumRatio = 200;
    private const int MaximumHeader = 1 << 20;

    private readonly FileStream _file;
    private readonly string _path;
    private long _left, _from, _to;
    private long _unpacked;

    public ParquetFence(string path)
    {
        (_path, _file) = (path, new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16));
        try { CheckFooter(); }
        catch
        {
            _file.Dispose();
            throw;
        }
        _unpacked = Math.Max(AlwaysAllowed, MaximumRatio * _file.Length);
        Allow(0, _file.Length, 2 * _file.Length + 4096);
    }

    private void CheckFooter()
    {
        Span<byte> end = stackalloc byte[8];
        if (_file.Length < 12) throw new DatasetException($"{_path}: not a Parquet file: {_file.Length} bytes");
        ReadAt(_file.Length - 8, end);
        if (end[4..].SequenceEqual("PARE"u8)) throw new DatasetException($"{_path}: an encrypted Parquet file, which is not read");
        if (!end[4..].SequenceEqual("PAR1"u8)) throw new DatasetException($"{_path}: not a sound Parquet file: it does not end with its mark PAR1, it may be cut off");
        int length = BinaryPrimitives.ReadInt32LittleEndian(end);
        if (length < 1 || length > _file.Length - 12) throw new DatasetException($"{_path}: not a sound Parquet file: metadata of {length} bytes in a file of {_file.Length}");
        var footer = new byte[length];
        ReadAt(_file.Length - 8 - length, footer);
        new ThriftGuard(footer, _path, "the metadata").Check("File");
    }

    private void ReadAt(long offset, Span<byte> bytes)
    {
        _file.Position = offset;
        _file.ReadExactly(bytes);
    }

    private void Allow(long from, long to, long bytes) => (_from, _to, _left) = (from, to, bytes);

    /// <summary>Checks the pages of a column's chunk, and lets the library read them.</summary>
    /// <exception cref="DatasetException">They are damaged, or would unpack to far more than the file has.</exception>
    public void Open(ColumnMetaData column, string name)
    {
        long values = column.NumValues;
        if (values < 0 || values > int.MaxValue / 8) throw new DatasetException($"{_path}: {name} has {values} values, more than fit in memory as one dataset");
        Charge(16 * values, name);
        long[] starts = new[] { column.DictionaryPageOffset ?? 0, column.DataPageOffset, column.IndexPageOffset ?? 0 }.Where(o => o != 0).ToArray();
        if (starts.Length == 0) throw new DatasetException($"{_path}: {name}: the metadata do not say where its pages are");
        long at = starts.Min(), first = at, seen = 0;
        var head = new byte[Math.Min(MaximumHeader, _file.Length)];
        while (seen < values)
        {
            if (at < 0 || at >= _file.Length) throw new DatasetException($"{_path}: {name}: a page is said to be at byte {at} of {_file.Length}");
            // Headers are short, but statistics in them may be long.
            int size = (int)Math.Min(256, _file.Length - at);
            ThriftGuard guard;
            while (true)
            {
                ReadAt(at, head.AsSpan(0, size));
                guard = new ThriftGuard(head.AsSpan(0, size), _path, $"{name}: the head of a page");
                try
                {
                    guard.Check("Page");
                    break;
                }
                catch (DatasetException) when (size < Math.Min(head.Length, _file.Length - at)) { size = (int)Math.Min(Math.Min(head.Length, 16L * size), _file.Length - at); }
            }
            var page = guard.Page;
            long data = at + guard.Position;
            if (page.Packed < 0 || page.Unpacked < 0 || page.Values < 0 || page.Packed > _file.Length - data) throw new DatasetException($"{_path}: {name}: a page at byte {at} is said to have {page.Packed} bytes and {page.Values} values, which do not fit the file");
            Charge(page.Unpacked + (page.Type == 2 ? 16L * page.Values : 0), name);
            CheckCodec(column.Codec, page, data, name);
            if (page.Type is 0 or 3) seen += page.Values;
            at = data + page.Packed;
        }
        if (seen != values) throw new DatasetException($"{_path}: {name} has {seen} values in its pages, the metadata say {values}");
        Allow(first, at, 2 * (at - first) + 4096);
    }

    private void Charge(long bytes, string name)
    {
        _unpacked -= bytes;
        if (_unpacked < 0) throw new DatasetException($"{_path}: with {name} the file of {_file.Length} bytes would unpack to more than {Math.Max(AlwaysAllowed, MaximumRatio * _file.Length)}");
    }

    /// <summary>Two codecs say in the data how much they unpack to, and are believed.</summary>
    private void CheckCodec(CompressionCodec codec, (int Type, int Unpacked, int Packed, int Values) page, long data, string name)
    {
        if (codec is not (CompressionCodec.SNAPPY or CompressionCodec.ZSTD) || page.Packed == 0 || page.Type == 3) return;
        var start = new byte[Math.Min(18, page.Packed)];
        ReadAt(data, start);
        if ((codec == CompressionCodec.SNAPPY ? SnappySize(start) : ZstandardSize(start)) is { } size && size <= page.Unpacked) return;
        throw new DatasetException($"{_path}: {name}: a page at byte {data} does not unpack to the {page.Unpacked} bytes that its head says");
    }

    private static long? SnappySize(byte[] data)
    {
        long size = 0;
        for (int i = 0; i < Math.Min(5, data.Length); i++)
        {
            size |= (long)(data[i] & 0x7f) << (7 * i);
            if (data[i] < 0x80) return size;
        }
        return null;
    }

    // RFC 8878: the frame's descriptor says how wide the content's size is.
    private static long? ZstandardSize(byte[] data)
    {
        if (data.Length < 6 || BinaryPrimitives.ReadUInt32LittleEndian(data) != 0xFD2FB528) return null;
        int descriptor = data[4], single = descriptor >> 5 & 1, width = (descriptor >> 6) switch { 0 => single, 1 => 2, 2 => 4, _ => 8 };
        int at = 5 + (1 - single) + ((descriptor & 3) switch { 0 => 0, 1 => 1, 2 => 2, _ => 4 });
        if (width == 0 || at + width > data.Length) return null;
        ulong size = 0;
        for (int i = width - 1; i >= 0; i--) size = size << 8 | data[at + i];
        return size > int.MaxValue ? null : (long)size + (width == 2 ? 256 : 0);
    }

    public override int Read(Span<byte> buffer)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        if (buffer.Length == 0) return 0;
        if (Position < _from || Position >= _to || --_left < 0) throw new DatasetException($"{_path}: damaged: its parts are said to be where they are not");
        int read = _file.Read(buffer[..(int)Math.Min(buffer.Length, _to - Position)]);
        _left -= read;
        return read;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int ReadByte()
    {
        Span<byte> one = stackalloc byte[1];
        return Read(one) == 1 ? one[0] : throw new DatasetException($"{_path}: damaged: it ends within a page");
    }

    public override long Position { get => _file.Position; set => _file.Position = value; }

    public override long Seek(long offset, SeekOrigin origin) => _file.Seek(offset, origin);

    public override bool CanRead => true;

    public override bool CanSeek => true;

    public override bool CanWrite => false;

    public override long Length => _file.Length;

    public override void Flush() { }

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing) _file.Dispose();
        base.Dispose(disposing);
    }
}
