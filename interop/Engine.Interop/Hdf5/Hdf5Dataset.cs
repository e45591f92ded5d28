using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace Engine.Interop.Hdf5;

/// <summary>What the elements of a dataset are.</summary>
public enum Hdf5Class
{
    /// <summary>Integers (booleans and enums too).</summary>
    Integer,
    /// <summary>IEEE floats.</summary>
    Float,
    /// <summary>Text of fixed length.</summary>
    FixedString,
    /// <summary>Text of any length.</summary>
    VariableString,
}

/// <summary>An array in a file. Elements are read and converted when asked for.</summary>
public sealed class Hdf5Dataset
{
    private const long MaxElements = 1L << 31;
    private const int MaxTreeDepth = 32;

    private readonly Hdf5Reader _file;
    private readonly string _name;
    private readonly int _size;
    private readonly bool _signed, _bigEndian;
    private readonly List<(int Id, int ElementSize)> _filters = [];
    private readonly Hdf5Message? _layout;

    internal Hdf5Dataset(Hdf5Reader file, long address, string name)
    {
        (_file, _name) = (file, name);
        bool hasType = false, hasSpace = false;
        foreach (var message in Hdf5Message.ReadAll(file, address))
            switch (message.Type)
            {
                case 0x01:
                    Shape = ReadSpace(message.Offset);
                    hasSpace = true;
                    break;
                case 0x03:
                    (Class, _size, _signed, _bigEndian) = ReadType(message.Offset);
                    hasType = true;
                    break;
                case 0x08: _layout = message; break;
                case 0x0B: ReadFilters(message.Offset); break;
            }
        if (!hasType || !hasSpace || _layout is null) throw file.Error(address, $"{name} is not a dataset");
        long elements = 1;
        foreach (long size in Shape)
        {
            if (size != 0 && elements > MaxElements / size) throw file.Error(address, $"{name}: shape [{string.Join(",", Shape)}] has more than {MaxElements} elements");
            elements *= size;
        }
        Elements = elements;
    }

    /// <summary>Sizes; empty for a scalar.</summary>
    public long[] Shape { get; } = [];

    /// <summary>Number of elements.</summary>
    public long Elements { get; }

    /// <summary>What the elements are.</summary>
    public Hdf5Class Class { get; }

    /// <summary>The elements as float64.</summary>
    public double[] ReadDoubles()
    {
        if (Class is not (Hdf5Class.Integer or Hdf5Class.Float)) throw _file.Error(-1, $"{_name} holds text, expected numbers");
        byte[] raw = ReadRaw();
        var values = new double[Elements];
        for (int i = 0; i < values.Length; i++)
        {
            var at = raw.AsSpan(i * _size, _size);
            if (_bigEndian) at.Reverse();
            values[i] = (Class, _size, _signed) switch
            {
                (Hdf5Class.Float, 2, _) => (double)BinaryPrimitives.ReadHalfLittleEndian(at),
                (Hdf5Class.Float, 4, _) => BinaryPrimitives.ReadSingleLittleEndian(at),
                (Hdf5Class.Float, 8, _) => BinaryPrimitives.ReadDoubleLittleEndian(at),
                (Hdf5Class.Integer, 1, true) => (sbyte)at[0],
                (Hdf5Class.Integer, 1, _) => at[0],
                (Hdf5Class.Integer, 2, true) => BinaryPrimitives.ReadInt16LittleEndian(at),
                (Hdf5Class.Integer, 2, _) => BinaryPrimitives.ReadUInt16LittleEndian(at),
                (Hdf5Class.Integer, 4, true) => BinaryPrimitives.ReadInt32LittleEndian(at),
                (Hdf5Class.Integer, 4, _) => BinaryPrimitives.ReadUInt32LittleEndian(at),
                (Hdf5Class.Integer, 8, true) => BinaryPrimitives.ReadInt64LittleEndian(at),
                (Hdf5Class.Integer, 8, _) => BinaryPrimitives.ReadUInt64LittleEndian(at),
                _ => throw _file.Error(-1, $"{_name}: {Class} of {_size} bytes is not supported"),
            };
        }
        return values;
    }

    /// <summary>The elements as float32.</summary>
    public float[] ReadSingles() => Array.ConvertAll(ReadDoubles(), v => (float)v);

    /// <summary>The elements as text.</summary>
    public string[] ReadStrings()
    {
        if (Class is not (Hdf5Class.FixedString or Hdf5Class.VariableString)) throw _file.Error(-1, $"{_name} holds numbers, expected text");
        byte[] raw = ReadRaw();
        var values = new string[Elements];
        for (int i = 0; i < values.Length; i++)
        {
            var at = raw.AsSpan(i * _size, _size);
            values[i] = Class == Hdf5Class.FixedString
                ? Encoding.UTF8.GetString(at).TrimEnd('\0', ' ')
                : HeapText(BinaryPrimitives.ReadUInt32LittleEndian(at), BinaryPrimitives.ReadUInt64LittleEndian(at[4..]), BinaryPrimitives.ReadUInt32LittleEndian(at[12..]));
        }
        return values;
    }

    private string HeapText(uint length, ulong address, uint index)
    {
        if (length == 0) return "";
        if (address >= (ulong)_file.Length) throw _file.Error(-1, $"{_name}: text lies outside the file");
        long heap = (long)address;
        _file.Signature(heap, "GCOL");
        long end = heap + (long)Math.Min(_file.U64(heap + 8), (ulong)_file.Length);
        for (long at = heap + 16; at + 16 <= end;)
        {
            int id = _file.U16(at);
            long size = (long)Math.Min(_file.U64(at + 8), (ulong)_file.Length);
            if (id == 0) break;
            if (id == index) return Encoding.UTF8.GetString(_file.Span(at + 16, Math.Min(length, size), "text"));
            at += 16 + (size + 7) / 8 * 8;
        }
        throw _file.Error(heap, $"{_name}: no text {index} in the heap");
    }

    private long[] ReadSpace(long at)
    {
        int version = _file.U8(at), rank = _file.U8(at + 1);
        if (version is not (1 or 2)) throw _file.Error(at, $"{_name}: dataspace version {version}, expected 1 or 2");
        if (version == 2 && _file.U8(at + 3) == 2) return [0]; // null
        if (rank > 32) throw _file.Error(at + 1, $"{_name}: {rank} axes, expected at most 32");
        long sizes = at + (version == 1 ? 8 : 4);
        var shape = new long[rank];
        for (int i = 0; i < rank; i++)
        {
            ulong size = _file.U64(sizes + 8L * i);
            if (size > (ulong)MaxElements) throw _file.Error(sizes + 8L * i, $"{_name}: axis {i} has {size} elements, expected at most {MaxElements}");
            shape[i] = (long)size;
        }
        return shape;
    }

    private (Hdf5Class, int, bool, bool) ReadType(long at, int depth = 0)
    {
        int type = _file.U8(at) & 15, bits = _file.U8(at + 1);
        uint size = _file.U32(at + 4);
        if (size is 0 or > 1 << 20) throw _file.Error(at + 4, $"{_name}: elements of {size} bytes are not supported");
        return type switch
        {
            0 when size <= 8 => (Hdf5Class.Integer, (int)size, (bits & 8) != 0, (bits & 1) != 0),
            1 when size is 2 or 4 or 8 && (bits & 0x40) == 0 => (Hdf5Class.Float, (int)size, true, (bits & 1) != 0),
            3 => (Hdf5Class.FixedString, (int)size, false, false),
            8 when depth < 4 => ReadType(at + 8, depth + 1), // an enum: its base type
            9 when (bits & 15) == 1 && size == 16 => (Hdf5Class.VariableString, 16, false, false),
            _ => throw _file.Error(at, $"{_name}: datatype class {type} of {size} bytes is not supported"),
        };
    }

    private void ReadFilters(long at)
    {
        int version = _file.U8(at), count = _file.U8(at + 1);
        if (version is not (1 or 2) || count > 32) throw _file.Error(at, $"{_name}: filter pipeline version {version} with {count} filters");
        at += version == 1 ? 8 : 2;
        for (int i = 0; i < count; i++)
        {
            int id = _file.U16(at), nameLength = version == 1 || id >= 256 ? _file.U16(at + 2) : 0;
            at += version == 1 || id >= 256 ? 4 : 2;
            int values = _file.U16(at + 2);
            at += 4 + (version == 1 ? (nameLength + 7) / 8 * 8 : nameLength);
            if (id is not (1 or 2 or 3)) throw _file.Error(at, $"{_name}: filter {id} is not supported (deflate 1, shuffle 2, fletcher32 3 are)");
            _filters.Add((id, id == 2 && values > 0 ? (int)Math.Min(_file.U32(at), 1 << 20) : 1));
            at += 4L * values + (version == 1 && values % 2 == 1 ? 4 : 0);
        }
    }

    private byte[] ReadRaw()
    {
        long total = Elements * _size, at = _layout!.Value.Offset;
        if (total > Array.MaxLength) throw _file.Error(at, $"{_name}: {total} bytes, expected at most {Array.MaxLength}");
        int version = _file.U8(at);
        if (version is not (1 or 2 or 3 or 4)) throw _file.Error(at, $"{_name}: layout version {version} is not supported");
        if (version < 3) throw _file.Error(at, $"{_name}: layout version {version} is not supported, expected 3 or 4");
        int kind = _file.U8(at + 1);
        switch (kind)
        {
            case 0:
                int compact = _file.U16(at + 2);
                if (compact < total) throw _file.Error(at, $"{_name}: {compact} bytes stored, expected {total}");
                return _file.Span(at + 4, total, _name).ToArray();
            case 1:
                ulong address = _file.U64(at + 2);
                if (address == Hdf5Reader.Undefined)
                {
                    RefuseIfImplausible(at, total);
                    return new byte[total]; // never written: the fill value, zero
                }
                return _file.Span(_file.Address(at + 2), total, _name).ToArray();
            case 2 when version == 3:
                return ReadChunks(at, total);
            default:
                throw _file.Error(at, $"{_name}: layout class {kind} of version {version} is not supported");
        }
    }

    /// <summary>Data that are not in the file must not make us allocate what a small file only claims.</summary>
    private void RefuseIfImplausible(long at, long total)
    {
        // Deflate reaches about 1000:1; a file that claims more is not a dataset.
        if (total > 1032 * _file.Length + (1 << 16)) throw _file.Error(at, $"{_name}: claims {total} bytes in a file of {_file.Length}");
    }

    private byte[] ReadChunks(long at, long total)
    {
        int rank = _file.U8(at + 2) - 1;
        if (rank != Shape.Length) throw _file.Error(at + 2, $"{_name}: chunks of {rank} axes, the dataset has {Shape.Length}");
        var chunk = new long[rank];
        long chunkBytes = _size;
        for (int i = 0; i < rank; i++)
        {
            chunk[i] = _file.U32(at + 11 + 4L * i);
            if (chunk[i] == 0 || chunkBytes > Array.MaxLength / chunk[i]) throw _file.Error(at + 11, $"{_name}: chunk shape is not usable");
            chunkBytes *= chunk[i];
        }
        RefuseIfImplausible(at, Math.Max(total, chunkBytes));
        var output = new byte[total];
        if (_file.U64(at + 3) == Hdf5Reader.Undefined || total == 0) return output;

        var buffer = new byte[chunkBytes];
        var pending = new Stack<(long Address, int Depth)>();
        var visited = new HashSet<long>();
        pending.Push((_file.Address(at + 3), 0));
        int keyBytes = 8 + 8 * (rank + 1);
        long written = 0;
        while (pending.TryPop(out var node))
        {
            if (!visited.Add(node.Address)) throw _file.Error(node.Address, $"{_name}: chunk B-tree runs in a circle");
            if (node.Depth > MaxTreeDepth) throw _file.Error(node.Address, $"{_name}: chunk B-tree deeper than {MaxTreeDepth}");
            _file.Signature(node.Address, "TREE");
            if (_file.U8(node.Address + 4) != 1) throw _file.Error(node.Address + 4, $"{_name}: expected a chunk B-tree");
            int level = _file.U8(node.Address + 5), entries = _file.U16(node.Address + 6);
            for (int e = 0; e < entries; e++)
            {
                long key = node.Address + 24 + (long)e * (keyBytes + 8), child = _file.Address(key + keyBytes);
                if (level > 0)
                {
                    pending.Push((child, node.Depth + 1));
                    continue;
                }
                var start = new long[rank];
                for (int i = 0; i < rank; i++)
                {
                    ulong s = _file.U64(key + 8 + 8L * i);
                    if (s >= (ulong)Math.Max(Shape[i], 1) || (long)s % chunk[i] != 0) throw _file.Error(key, $"{_name}: a chunk begins at {s} of axis {i}, outside {Shape[i]} or off the grid of {chunk[i]}");
                    start[i] = (long)s;
                }
                // Each place is written once in a sound file; more work than that is a trap.
                if ((written += chunkBytes) > 2 * total + chunkBytes * 4L * Math.Max(1, rank) + AllChunks(chunk) * chunkBytes) throw _file.Error(key, $"{_name}: more chunks than the dataset has room for");
                Decode(_file.Span(child, _file.U32(key), $"a chunk of {_name}"), _file.U32(key + 4), buffer, child);
                Place(buffer, chunk, start, output);
            }
        }
        return output;
    }

    private long AllChunks(long[] chunk)
    {
        long n = 1;
        for (int i = 0; i < chunk.Length; i++) n *= (Shape[i] + chunk[i] - 1) / chunk[i];
        return n;
    }

    /// <summary>Undoes the filters, last first, into a buffer of exactly a chunk.</summary>
    private void Decode(ReadOnlySpan<byte> stored, uint skipped, byte[] buffer, long at)
    {
        byte[] data = stored.ToArray();
        int length = data.Length;
        for (int f = _filters.Count - 1; f >= 0; f--)
        {
            if ((skipped & (1u << f)) != 0) continue;
            switch (_filters[f].Id)
            {
                case 3:
                    if (length < 4) throw _file.Error(at, $"{_name}: a chunk without its checksum");
                    length -= 4;
                    break;
                case 1:
                    var inflated = new byte[buffer.Length + 4]; // a checksum may follow the data
                    try
                    {
                        using var stream = new ZLibStream(new MemoryStream(data, 0, length), CompressionMode.Decompress);
                        length = stream.ReadAtLeast(inflated, inflated.Length, throwOnEndOfStream: false);
                        if (stream.ReadByte() >= 0) throw _file.Error(at, $"{_name}: a chunk inflates beyond its {buffer.Length} bytes");
                    }
                    catch (InvalidDataException) { throw _file.Error(at, $"{_name}: a chunk's deflate stream is damaged"); }
                    data = inflated;
                    break;
                default:
                    int size = _filters[f].ElementSize;
                    if (size < 1 || length % size != 0) break; // a ragged chunk is stored as it is
                    var plain = new byte[length];
                    int n = length / size;
                    for (int b = 0; b < size; b++)
                        for (int i = 0; i < n; i++) plain[i * size + b] = data[b * n + i];
                    data = plain;
                    break;
            }
        }
        if (length != buffer.Length) throw _file.Error(at, $"{_name}: a chunk has {length} bytes, expected {buffer.Length}");
        data.AsSpan(0, length).CopyTo(buffer);
    }

    /// <summary>Copies a chunk's part inside the dataset, row by row of the last axis.</summary>
    private void Place(byte[] buffer, long[] chunk, long[] start, byte[] output)
    {
        int rank = chunk.Length;
        if (rank == 0)
        {
            buffer.AsSpan(0, _size).CopyTo(output);
            return;
        }
        var index = new long[rank];
        int row = (int)(Math.Min(chunk[^1], Shape[^1] - start[^1]) * _size);
        while (true)
        {
            long from = 0, to = 0;
            bool inside = true;
            for (int i = 0; i < rank; i++)
            {
                from = from * chunk[i] + index[i];
                to = to * Shape[i] + start[i] + index[i];
                inside &= start[i] + index[i] < Shape[i];
            }
            if (inside) buffer.AsSpan((int)(from * _size), row).CopyTo(output.AsSpan((int)(to * _size)));
            int axis = rank - 2;
            while (axis >= 0 && ++index[axis] == chunk[axis]) index[axis--] = 0;
            if (axis < 0) return;
        }
    }
}
