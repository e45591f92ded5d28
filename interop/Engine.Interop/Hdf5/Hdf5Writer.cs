using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Engine.Interop.Hdf5;

/// <summary>A dataset to write.</summary>
/// <param name="Name">Path from the root; the groups on the way are made.</param>
/// <param name="Type">Type of the elements: Float32, Float64, Int32 or Bool; or Text for one string.</param>
/// <param name="Shape">Sizes of the axes; empty for a scalar.</param>
/// <param name="Data">The elements, row-major, little-endian.</param>
public sealed record Hdf5Column(string Name, Hdf5ColumnType Type, long[] Shape, ReadOnlyMemory<byte> Data)
{
    /// <summary>32-bit floats.</summary>
    public static Hdf5Column From(string name, long[] shape, float[] values) => Numbers<float>(name, Hdf5ColumnType.Float32, shape, values);

    /// <summary>64-bit floats.</summary>
    public static Hdf5Column From(string name, long[] shape, double[] values) => Numbers<double>(name, Hdf5ColumnType.Float64, shape, values);

    /// <summary>32-bit integers.</summary>
    public static Hdf5Column From(string name, long[] shape, int[] values) => Numbers<int>(name, Hdf5ColumnType.Int32, shape, values);

    /// <summary>Booleans, as h5py has them: an enumeration of FALSE and TRUE over bytes.</summary>
    public static Hdf5Column From(string name, long[] shape, bool[] values) => Numbers<bool>(name, Hdf5ColumnType.Bool, shape, values);

    /// <summary>One text.</summary>
    public static Hdf5Column From(string name, string text) => new(name, Hdf5ColumnType.Text, [], Encoding.UTF8.GetBytes(text.Length == 0 ? "\0" : text));

    private static Hdf5Column Numbers<T>(string name, Hdf5ColumnType type, long[] shape, ReadOnlySpan<T> values) where T : unmanaged
    {
        if (!BitConverter.IsLittleEndian) throw new PlatformNotSupportedException("HDF5 files are written on little-endian machines only");
        return shape.Aggregate(1L, (a, b) => a * b) == values.Length ? new Hdf5Column(name, type, shape, MemoryMarshal.AsBytes(values).ToArray())
            : throw new ArgumentException($"{name}: shape [{string.Join(",", shape)}] does not have {values.Length} elements");
    }
}

/// <summary>Types that can be written.</summary>
public enum Hdf5ColumnType
{
    /// <summary>32-bit floats.</summary>
    Float32,

    /// <summary>64-bit floats.</summary>
    Float64,

    /// <summary>32-bit integers.</summary>
    Int32,

    /// <summary>Booleans.</summary>
    Bool,

    /// <summary>One string.</summary>
    Text,
}

/// <summary>
/// Writes HDF5 files that libhdf5 1.8 and later read: superblock 2, object headers 2, compact links, contiguous data (HDF5 file format specification 3.0).
/// </summary>
public static class Hdf5Writer
{
    private const ulong Undefined = ulong.MaxValue;
    private const int SuperblockBytes = 48;

    /// <summary>Writes datasets, atomically.</summary>
    /// <param name="path">The file.</param>
    /// <param name="columns">Each with a path of its own.</param>
    public static void Write(string path, IEnumerable<Hdf5Column> columns) => AtomicFile.Write(path, stream =>
    {
        var root = new Dictionary<string, object>(); // a group is a dictionary, a dataset the address of its header
        stream.Write(new byte[SuperblockBytes]);
        foreach (var column in columns)
        {
            long data = stream.Position;
            stream.Write(column.Data.Span);
            long header = Header(stream, DatasetMessages(column, (ulong)data));
            var group = root;
            var parts = column.Name.Split('/');
            foreach (string part in parts[..^1])
            {
                if (!group.TryGetValue(part, out object? child)) group[part] = child = new Dictionary<string, object>();
                group = child as Dictionary<string, object> ?? throw new ArgumentException($"{column.Name}: {part} is a dataset already");
            }
            if (parts[^1].Length == 0 || !group.TryAdd(parts[^1], header)) throw new ArgumentException($"{column.Name} is empty or there already");
        }
        long rootHeader = Group(stream, root), end = stream.Position;

        var superblock = new MemoryStream();
        superblock.Write([0x89, (byte)'H', (byte)'D', (byte)'F', (byte)'\r', (byte)'\n', 0x1A, (byte)'\n', 2, 8, 8, 0]);
        Put(superblock, 0UL, Undefined, (ulong)end, (ulong)rootHeader);
        Put(superblock, Hdf5Checksums.Lookup3(superblock.ToArray()));
        stream.Position = 0;
        stream.Write(superblock.ToArray());
        stream.Position = end;
    });

    private static long Group(Stream stream, Dictionary<string, object> group)
    {
        var messages = new List<(byte, byte[])>
        {
            (2, Message(m => { m.Write([0, 0]); Put(m, Undefined, Undefined); })), // link info: all links are in the header
            (10, [0, 0]), // group info
        };
        foreach (var (name, child) in group)
        {
            long header = child is Dictionary<string, object> inner ? Group(stream, inner) : (long)child;
            var text = Encoding.UTF8.GetBytes(name);
            if (text.Length > 255) throw new ArgumentException($"{name}: longer than 255 bytes");
            messages.Add((6, Message(m =>
            {
                m.Write([1, 0x10, 1, (byte)text.Length]); // a hard link, its name in UTF-8
                m.Write(text);
                Put(m, (ulong)header);
            })));
        }
        return Header(stream, messages);
    }

    private static List<(byte Type, byte[] Content)> DatasetMessages(Hdf5Column column, ulong address) =>
    [
        (1, Message(m =>
        {
            m.Write([2, (byte)column.Shape.Length, 0, (byte)(column.Shape.Length == 0 ? 0 : 1)]);
            foreach (long size in column.Shape) Put(m, (ulong)size);
        })),
        (3, Datatype(column)),
        (5, [3, 0x0A]), // no fill value
        (8, Message(m =>
        {
            m.Write([3, 1]);
            Put(m, column.Data.Length == 0 ? Undefined : address, (ulong)column.Data.Length);
        })),
    ];

    private static byte[] Datatype(Hdf5Column column) => column.Type switch
    {
        Hdf5ColumnType.Float32 => [0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0],
        Hdf5ColumnType.Float64 => [0x11, 0x20, 63, 0, 8, 0, 0, 0, 0, 0, 64, 0, 52, 11, 0, 52, 0xFF, 3, 0, 0],
        Hdf5ColumnType.Int32 => [0x10, 8, 0, 0, 4, 0, 0, 0, 0, 0, 32, 0],
        Hdf5ColumnType.Bool => [0x38, 2, 0, 0, 1, 0, 0, 0, 0x30, 8, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0, .. "FALSE\0TRUE\0"u8, 0, 1],
        _ => Message(m =>
        {
            m.Write([0x13, 0x11, 0, 0]); // padded with zeros, UTF-8
            Put(m, (uint)column.Data.Length);
        }),
    };

    private static byte[] Message(Action<MemoryStream> write)
    {
        var message = new MemoryStream();
        write(message);
        return message.ToArray();
    }

    /// <summary>An object header of version 2 in one chunk; returns its address.</summary>
    private static long Header(Stream stream, List<(byte Type, byte[] Content)> messages)
    {
        var header = new MemoryStream();
        header.Write("OHDR"u8);
        header.Write([2, 2]); // four bytes hold the chunk's size
        Put(header, (uint)messages.Sum(m => 4 + m.Content.Length));
        foreach (var (type, content) in messages)
        {
            header.Write([type, (byte)content.Length, (byte)(content.Length >> 8), 0]);
            header.Write(content);
        }
        Put(header, Hdf5Checksums.Lookup3(header.ToArray()));
        // Headers begin at multiples of eight, as the library writes them.
        stream.Write(new byte[(8 - stream.Position % 8) % 8]);
        long address = stream.Position;
        stream.Write(header.ToArray());
        stream.Write(new byte[(8 - stream.Position % 8) % 8]);
        return address;
    }

    private static void Put(Stream stream, params ReadOnlySpan<ulong> values)
    {
        Span<byte> bytes = stackalloc byte[8];
        foreach (ulong value in values)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
            stream.Write(bytes);
        }
    }

    private static void Put(Stream stream, uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        stream.Write(bytes);
    }
}
