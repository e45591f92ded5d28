using System.Buffers.Binary;
using System.IO.Compression;

namespace Engine.Interop.Hdf5;

/// <summary>The filters of a chunked dataset, in the order in which the writer applied them.</summary>
internal sealed class Hdf5Filters
{
    private const int Deflate = 1, Shuffle = 2, Fletcher32 = 3, Lzf = 32000;

    /// <summary>Deflate cannot shrink anything further than this, so a chunk that claims more is refused before memory is taken.</summary>
    private const long MaximumDeflateRatio = 1040, MaximumLzfRatio = 90;

    private readonly List<(int Id, int Parameter)> filters = [];

    public static readonly Hdf5Filters None = new();

    public static Hdf5Filters Parse(Hdf5Source source, Hdf5Message message)
    {
        var pipeline = new Hdf5Filters();
        var cursor = message.Cursor(source, "filter message");
        var version = cursor.U8();
        int count = cursor.U8();
        if (version is < 1 or > 2)
            throw cursor.Fail($"version {version} is not supported; expected 1 or 2");
        if (count > 32)
            throw cursor.Fail($"there are {count} filters; expected at most 32");
        if (version == 1)
            cursor.Skip(6);
        for (var i = 0; i < count; i++)
        {
            var id = cursor.U16();
            var nameLength = version == 1 || id >= 256 ? cursor.U16() : 0;
            cursor.Skip(2);
            var parameters = cursor.U16();
            var name = cursor.Text(nameLength).TrimEnd('\0');
            if (version == 1)
                cursor.Skip((8 - nameLength % 8) % 8);
            var parameter = 0;
            for (var p = 0; p < parameters; p++)
            {
                var value = cursor.U32();
                if (p == 0)
                    parameter = (int)Math.Min(value, int.MaxValue);
            }
            if (version == 1 && parameters % 2 != 0)
                cursor.Skip(4);
            if (id is not (Deflate or Shuffle or Fletcher32 or Lzf))
                throw cursor.Fail($"filter {id}{(name.Length > 0 ? $" ({name})" : "")} is not supported; expected deflate (gzip), lzf, shuffle or fletcher32");
            pipeline.filters.Add((id, parameter));
        }
        return pipeline;
    }

    /// <summary>The most bytes that a chunk of this stored size can decode to.</summary>
    public long Plausible(long stored)
    {
        var result = stored;
        foreach (var (id, _) in filters)
            if (id is Deflate or Lzf)
            {
                var ratio = id == Deflate ? MaximumDeflateRatio : MaximumLzfRatio;
                result = result > long.MaxValue / ratio / 2 ? long.MaxValue / 2 : result * ratio + 64;
            }
        return result;
    }

    /// <summary>Undoes the filters on one chunk. The result has exactly <paramref name="size"/> bytes.</summary>
    /// <param name="source">The file, for errors.</param>
    /// <param name="stored">The chunk's bytes in the file.</param>
    /// <param name="skipped">Bit i is set where the writer skipped filter i for this chunk.</param>
    /// <param name="size">The bytes of an unfiltered chunk.</param>
    /// <param name="offset">Where the chunk is in the file.</param>
    public byte[] Decode(Hdf5Source source, byte[] stored, uint skipped, int size, long offset)
    {
        // Filters that were applied before deflate may have added a checksum each, and a second deflate a little overhead.
        var limit = (int)Math.Min(Array.MaxLength, (long)size + size / 64 + 4096);
        var data = stored;
        for (var i = filters.Count - 1; i >= 0; i--)
        {
            if (i < 32 && (skipped >> i & 1) != 0)
                continue;
            var (id, parameter) = filters[i];
            data = id switch
            {
                Deflate => Inflate(source, data, i == 0 ? size : limit, i == 0 ? size : size + 4 * i, offset),
                Lzf => UnpackLzf(source, data, i == 0 ? size : limit, offset),
                Shuffle => Unshuffle(data, parameter),
                _ => CheckFletcher(source, data, offset),
            };
        }
        if (data.Length != size)
            throw source.Fail(offset, $"a chunk has {data.Length} bytes after its filters; expected {size}");
        return data;
    }

    private static byte[] Inflate(Hdf5Source source, byte[] data, int limit, int expected, long offset)
    {
        try
        {
            using var zlib = new ZLibStream(new MemoryStream(data, writable: false), CompressionMode.Decompress);
            // One allocation where the size is the one expected; the chunk's plausibility was checked before.
            var result = new byte[Math.Min(expected, limit)];
            var length = 0;
            while (true)
            {
                if (length == result.Length)
                {
                    var next = zlib.ReadByte();
                    if (next < 0)
                        break;
                    if (length >= limit)
                        throw source.Fail(offset, $"a chunk inflates to more than its declared {expected} bytes");
                    Array.Resize(ref result, (int)Math.Min(limit, 2L * result.Length + 64));
                    result[length++] = (byte)next;
                }
                var read = zlib.Read(result, length, result.Length - length);
                if (read == 0 && length < result.Length)
                    break;
                length += read;
            }
            if (length != result.Length)
                Array.Resize(ref result, length);
            return result;
        }
        catch (Exception error) when (error is InvalidDataException or IOException)
        {
            // The second is what zlib's rarer complaints become, such as the wish for a preset dictionary.
            throw new InteropFormatException(source.Path, offset, "a chunk's deflate data are damaged", error);
        }
    }

    // liblzf: a control byte below 32 is followed by that many literals and one; else its upper bits are a length and the lower ones, with a further byte, a distance back.
    private static byte[] UnpackLzf(Hdf5Source source, byte[] data, int limit, long offset)
    {
        var result = new byte[limit];
        int at = 0, length = 0;
        while (at < data.Length)
        {
            int control = data[at++];
            if (control < 32)
            {
                var count = control + 1;
                if (count > data.Length - at || count > limit - length)
                    throw Damaged();
                data.AsSpan(at, count).CopyTo(result.AsSpan(length));
                (at, length) = (at + count, length + count);
                continue;
            }
            var run = control >> 5;
            if (run == 7)
                run += at < data.Length ? data[at++] : throw Damaged();
            var from = length - ((control & 31) << 8) - 1 - (at < data.Length ? data[at++] : throw Damaged());
            run += 2;
            if (from < 0 || run > limit - length)
                throw Damaged();
            // Byte by byte: source and target overlap where a pattern repeats.
            for (var end = length + run; length < end;)
                result[length++] = result[from++];
        }
        return length == limit ? result : result[..length];

        InteropFormatException Damaged() => source.Fail(offset, $"a chunk's lzf data are damaged, or unpack to more than {limit} bytes");
    }

    private static byte[] Unshuffle(byte[] data, int elementSize)
    {
        if (elementSize <= 1 || data.Length < elementSize)
            return data;
        var count = data.Length / elementSize;
        var result = new byte[data.Length];
        for (var part = 0; part < elementSize; part++)
        {
            var from = data.AsSpan(part * count, count);
            for (var i = 0; i < from.Length; i++)
                result[i * elementSize + part] = from[i];
        }
        // Bytes that do not fill an element were left where they were.
        data.AsSpan(count * elementSize).CopyTo(result.AsSpan(count * elementSize));
        return result;
    }

    private static byte[] CheckFletcher(Hdf5Source source, byte[] data, long offset)
    {
        if (data.Length < 4)
            throw source.Fail(offset, "a chunk has no room for its fletcher32 checksum");
        var stored = BinaryPrimitives.ReadUInt32LittleEndian(data.AsSpan(data.Length - 4));
        var computed = Hdf5Checksums.Fletcher32(data.AsSpan(0, data.Length - 4));
        if (stored != computed)
            throw source.Fail(offset, $"a chunk has the fletcher32 checksum {stored:x8}, its bytes give {computed:x8}: it is damaged");
        return data[..^4];
    }
}
