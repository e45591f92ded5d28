using System.Buffers.Binary;
using System.Text;

namespace Engine.Interop.Hdf5;

/// <summary>Bounds-checked access to a file's bytes; every error carries the offset.</summary>
internal sealed class Hdf5Reader(string path, byte[] bytes)
{
    public const ulong Undefined = ulong.MaxValue;

    public string Path => path;

    public long Length => bytes.Length;

    public InteropFormatException Error(long offset, string message) => new(path, offset, message);

    public ReadOnlySpan<byte> Span(long offset, long length, string what)
    {
        if (offset < 0 || length < 0 || offset > bytes.Length || length > bytes.Length - offset)
            throw Error(offset, $"{what} of {length} bytes leaves the file of {bytes.Length}");
        return bytes.AsSpan((int)offset, (int)length);
    }

    public byte U8(long at) => Span(at, 1, "a byte")[0];

    public ushort U16(long at) => BinaryPrimitives.ReadUInt16LittleEndian(Span(at, 2, "a number"));

    public uint U32(long at) => BinaryPrimitives.ReadUInt32LittleEndian(Span(at, 4, "a number"));

    public ulong U64(long at) => BinaryPrimitives.ReadUInt64LittleEndian(Span(at, 8, "a number"));

    /// <summary>A file address: within the file, as a signed number.</summary>
    public long Address(long at)
    {
        ulong value = U64(at);
        if (value >= (ulong)bytes.Length) throw Error(at, $"address {value} is outside the file of {bytes.Length} bytes");
        return (long)value;
    }

    /// <summary>An unsigned number of 1 to 8 bytes.</summary>
    public ulong Number(long at, int size)
    {
        var span = Span(at, size, "a number");
        ulong value = 0;
        for (int i = size - 1; i >= 0; i--) value = (value << 8) | span[i];
        return value;
    }

    public void Signature(long at, string expected)
    {
        if (!Span(at, expected.Length, "a signature").SequenceEqual(Encoding.ASCII.GetBytes(expected))) throw Error(at, $"expected the signature {expected}");
    }

    /// <summary>Text that ends with a zero byte, at most <paramref name="limit"/> bytes long.</summary>
    public string Text(long at, int limit = 4096)
    {
        for (int i = 0; i <= limit; i++)
            if (U8(at + i) == 0) return Encoding.UTF8.GetString(Span(at, i, "text"));
        throw Error(at, $"text does not end within {limit} bytes");
    }
}

/// <summary>One message of an object header.</summary>
/// <param name="Type">Number of the message type.</param>
/// <param name="Offset">Where its data begin.</param>
/// <param name="Size">Bytes of data.</param>
internal readonly record struct Hdf5Message(int Type, long Offset, int Size)
{
    private const int MaxMessages = 65536;

    /// <summary>All messages of the object at an address, following continuations.</summary>
    public static List<Hdf5Message> ReadAll(Hdf5Reader file, long address)
    {
        var messages = new List<Hdf5Message>();
        var blocks = new Queue<(long Offset, long Size)>();
        var visited = new HashSet<long> { address };
        bool version2 = file.Length - address >= 4 && file.Span(address, 4, "an object header").SequenceEqual("OHDR"u8);
        int flags = 0;
        if (version2)
        {
            if (file.U8(address + 4) != 2) throw file.Error(address + 4, $"object header version {file.U8(address + 4)}, expected 2");
            flags = file.U8(address + 5);
            long at = address + 6 + ((flags & 0x20) != 0 ? 16 : 0) + ((flags & 0x10) != 0 ? 4 : 0);
            int width = 1 << (flags & 3);
            blocks.Enqueue((at + width, checked((long)Math.Min(file.Number(at, width), long.MaxValue / 2))));
        }
        else
        {
            if (file.U8(address) != 1) throw file.Error(address, $"object header version {file.U8(address)}, expected 1 or 2");
            blocks.Enqueue((address + 16, file.U32(address + 8)));
        }

        while (blocks.TryDequeue(out var block))
        {
            file.Span(block.Offset, block.Size, "an object header block");
            long at = block.Offset, end = block.Offset + block.Size;
            int header = version2 ? 4 + ((flags & 4) != 0 ? 2 : 0) : 8;
            while (at + header <= end)
            {
                int type = version2 ? file.U8(at) : file.U16(at), size = file.U16(at + (version2 ? 1 : 2));
                int shared = file.U8(at + (version2 ? 3 : 4)) & 2;
                long data = at + header;
                if (data + size > end) throw file.Error(at, $"header message of {size} bytes leaves its block");
                if (messages.Count == MaxMessages) throw file.Error(at, $"more than {MaxMessages} header messages");
                if (shared != 0) throw file.Error(at, "shared header messages are not supported");
                if (type == 0x10)
                {
                    long next = file.Address(data), length = (long)Math.Min(file.U64(data + 8), (ulong)file.Length);
                    if (!visited.Add(next)) throw file.Error(at, "object header continues in a circle");
                    if (version2)
                    {
                        file.Signature(next, "OCHK");
                        blocks.Enqueue((next + 4, length - 8)); // signature before, checksum after
                    }
                    else blocks.Enqueue((next, length));
                }
                else if (type != 0) messages.Add(new Hdf5Message(type, data, size));
                at = data + size;
            }
        }
        return messages;
    }
}
