using System.Numerics;

namespace Engine.Interop.Hdf5;

/// <summary>Reads the managed and tiny objects of a fractal heap.</summary>
internal sealed class Hdf5FractalHeap
{
    private const string What = "fractal heap";

    private readonly Hdf5Source source;
    private readonly long address;
    private readonly Hdf5Budget budget;
    private readonly long width;
    private readonly long startSize;
    private readonly long maximumDirect;
    private readonly int offsetWidth;
    private readonly int lengthWidth;
    private readonly long root;
    private readonly int rootRows;

    public Hdf5FractalHeap(Hdf5Source source, long address, Hdf5Budget? whole = null)
    {
        this.source = source;
        this.address = address;
        budget = new Hdf5Budget(source, "a " + What, whole);
        var size = 14 + 12 * source.LengthSize + 3 * source.AddressSize + 8 + 4;
        var bytes = source.Read(address, size, What);
        var cursor = new Hdf5Cursor(source, bytes, address, What);
        cursor.Signature("FRHP");
        cursor.Version(0);
        IdentifierSize = cursor.U16();
        var filters = cursor.U16();
        cursor.Skip(1);
        long maximumManaged = cursor.U32();
        cursor.Skip(2 * source.LengthSize + 2 * source.AddressSize + 8 * source.LengthSize);
        width = cursor.U16();
        startSize = cursor.Length();
        maximumDirect = cursor.Length();
        var bits = cursor.U16();
        cursor.Skip(2);
        root = cursor.Address();
        rootRows = cursor.U16();
        if (filters != 0)
            throw source.Fail(address, $"{What}: filters are not supported");
        cursor.Skip(4);
        Hdf5Checksums.Verify(source, bytes.AsSpan(0, cursor.Position), address, What);
        if (width < 1 || !BitOperations.IsPow2(startSize) || !BitOperations.IsPow2(width) || !BitOperations.IsPow2(maximumDirect)
            || startSize > maximumDirect || maximumDirect > uint.MaxValue || bits is 0 or > 62 || IdentifierSize is < 1 or > 64 || rootRows > 64)
            throw source.Fail(address, $"{What}: its sizes are not plausible");
        offsetWidth = (bits + 7) / 8;
        lengthWidth = Math.Min((BitOperations.Log2((ulong)maximumDirect) + 7) / 8, Hdf5Tree2.Width(maximumManaged));
        if (1 + offsetWidth + lengthWidth > IdentifierSize)
            throw source.Fail(address, $"{What}: identifiers of {IdentifierSize} bytes are too small");
    }

    /// <summary>Bytes of an object's identifier.</summary>
    public int IdentifierSize { get; }

    /// <summary>The object of an identifier, as a message.</summary>
    public Hdf5Message Object(ReadOnlySpan<byte> identifier, long identifierOffset, int type, int flags)
    {
        var cursor = new Hdf5Cursor(source, identifier, identifierOffset, "identifier of a fractal heap's object");
        var head = cursor.U8();
        if (head >> 6 != 0)
            throw cursor.Fail($"version {head >> 6} is not supported");
        switch (head >> 4 & 3)
        {
            case 0:
                var offset = cursor.Unsigned(offsetWidth);
                var length = cursor.Unsigned(lengthWidth);
                var place = Locate(offset, length);
                budget.Charge(place, length);
                return new Hdf5Message(type, flags, source.Read(place, length, "object of a fractal heap"), place);
            case 2 when IdentifierSize <= 18:
                return new Hdf5Message(type, flags, cursor.Bytes((head & 15) + 1).ToArray(), identifierOffset + 1);
            default:
                throw cursor.Fail("huge objects are not supported (an attribute of more than 4096 bytes beside many others)");
        }
    }

    // The heap is one address space, cut into blocks by rows of a table: row 0 and 1 have the start size, each later row doubles.
    private long Locate(long offset, long length)
    {
        if (root == Hdf5Source.Undefined)
            throw source.Fail(address, $"{What}: it has no blocks");
        var block = root;
        if (rootRows == 0)
            return Inside(block, offset, length, startSize);
        var directRows = BitOperations.Log2((ulong)maximumDirect) - BitOperations.Log2((ulong)startSize) + 2;
        var rows = rootRows;
        // Each step goes to a block that is smaller than the last, so 64 steps are more than any table has.
        for (var step = 0; step < 64; step++)
        {
            var row = 0;
            long rowStart = 0, size = startSize;
            while (row < rows && offset - rowStart >= width * size)
            {
                rowStart += width * size;
                size = row == 0 ? startSize : 2 * size;
                row++;
                if (size > long.MaxValue / width / 4)
                    break;
            }
            if (row >= rows)
                throw source.Fail(block, $"{What}: an object lies at {offset}, beyond the {rows} rows of this block");
            var column = (offset - rowStart) / size;
            offset -= rowStart + column * size;
            var head = 5 + source.AddressSize + offsetWidth;
            var start = source.Cursor(block, head, What);
            start.Signature("FHIB");
            var entry = source.Cursor(block + head + (row * width + column) * source.AddressSize, source.AddressSize, What);
            var child = entry.Address();
            if (child == Hdf5Source.Undefined)
                throw source.Fail(block, $"{What}: an object lies in a block that does not exist");
            if (row < directRows)
                return Inside(child, offset, length, size);
            block = child;
            rows = BitOperations.Log2((ulong)size) - BitOperations.Log2((ulong)(startSize * width)) + 1;
        }
        throw source.Fail(address, $"{What}: its blocks are nested too deep");
    }

    private long Inside(long block, long offset, long length, long size)
    {
        source.Cursor(block, 4, What).Signature("FHDB");
        if (offset > size || length > size - offset)
            throw source.Fail(block, $"{What}: an object of {length} bytes at {offset} does not fit its block of {size}");
        return block + offset;
    }
}
