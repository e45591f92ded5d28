using System.Buffers.Binary;
using System.Text;

namespace Engine.Interop.Hdf5;

/// <summary>Reads fields one after the other from a block of the file; every read beyond the block's end is an error with its offset.</summary>
internal ref struct Hdf5Cursor(Hdf5Source source, ReadOnlySpan<byte> block, long origin, string what)
{
    private readonly ReadOnlySpan<byte> block = block;

    /// <summary>The place in the block.</summary>
    public int Position { get; private set; }

    /// <summary>The place in the file.</summary>
    public readonly long Offset => origin + Position;

    public readonly int Remaining => block.Length - Position;

    public readonly int AddressSize => source.AddressSize;

    public readonly int LengthSize => source.LengthSize;

    public readonly InteropFormatException Fail(string message) => source.Fail(Offset, $"{what}: {message}");

    public ReadOnlySpan<byte> Bytes(long count)
    {
        if (count < 0 || count > Remaining)
            throw Fail($"expected {count} bytes more, it has {Remaining}");
        var bytes = block.Slice(Position, (int)count);
        Position += (int)count;
        return bytes;
    }

    public void Skip(long count) => Bytes(count);

    /// <summary>Skips to a multiple of 8 from the beginning of the block.</summary>
    public void Align8(int from = 0) => Skip((8 - (Position - from) % 8) % 8);

    public byte U8() => Bytes(1)[0];

    public int U16() => BinaryPrimitives.ReadUInt16LittleEndian(Bytes(2));

    public uint U32() => BinaryPrimitives.ReadUInt32LittleEndian(Bytes(4));

    /// <summary>An unsigned integer of up to 8 bytes that must fit 63 bits.</summary>
    public long Unsigned(int size)
    {
        var raw = Raw(size);
        return raw <= long.MaxValue ? (long)raw : throw Fail($"the number {raw} before this byte is beyond 63 bits");
    }

    /// <summary>A length, as wide as the superblock says.</summary>
    public long Length() => Unsigned(source.LengthSize);

    /// <summary>A length, or <see cref="Hdf5Dataspace.Unlimited"/> where all its bits are set.</summary>
    public long LengthOrUnlimited()
    {
        var raw = Raw(source.LengthSize);
        return raw == ulong.MaxValue >> (64 - 8 * source.LengthSize) ? Hdf5Dataspace.Unlimited : raw <= long.MaxValue ? (long)raw : throw Fail($"the number {raw} before this byte is beyond 63 bits");
    }

    /// <summary>An address as an offset in the file, or <see cref="Hdf5Source.Undefined"/>.</summary>
    public long Address()
    {
        var raw = Raw(source.AddressSize);
        if (raw == ulong.MaxValue >> (64 - 8 * source.AddressSize))
            return Hdf5Source.Undefined;
        if (raw > (ulong)(source.Length - source.Base))
            throw Fail($"the address {raw} before this byte is beyond the file's {source.Length} bytes");
        return (long)raw + source.Base;
    }

    public void Signature(string expected)
    {
        var at = Offset;
        var bytes = Bytes(expected.Length);
        for (var i = 0; i < bytes.Length; i++)
            if (bytes[i] != expected[i])
                throw source.Fail(at, $"{what} does not begin with its signature '{expected}'");
    }

    public void Version(int expected)
    {
        var version = U8();
        if (version != expected)
            throw Fail($"version {version} is not supported; expected {expected}");
    }

    /// <summary>Text that ends with a zero byte.</summary>
    public string ZeroTerminated()
    {
        var end = block[Position..].IndexOf((byte)0);
        if (end < 0)
            throw Fail("a name here has no zero byte at its end");
        var text = Text(end);
        Position++;
        return text;
    }

    public string Text(long count) => Encoding.UTF8.GetString(Bytes(count));

    private ulong Raw(int size)
    {
        var bytes = Bytes(size);
        ulong value = 0;
        for (var i = size - 1; i >= 0; i--)
            value = value << 8 | bytes[i];
        return value;
    }
}
