using System.Numerics;

namespace Engine.Interop.Hdf5;

/// <summary>
/// Chunks of a dataset with one axis that grows without end, written with libver='latest': an array of addresses that doubles its blocks (HDF5 file format specification 3.0, section
/// VII.D). Element i is the chunk of that place in the grid whose growing axis varies slowest.
/// </summary>
internal static class Hdf5ExtensibleArray
{
    private const string What = "extensible array of chunks";

    public static List<Hdf5Chunk> List(Hdf5Source source, Hdf5Layout layout, Hdf5Dataspace space, bool filtered, Hdf5Budget? whole)
    {
        var headSize = 12 + 6 * source.LengthSize + source.AddressSize + 4;
        var bytes = source.Read(layout.Address, headSize, What);
        var head = new Hdf5Cursor(source, bytes, layout.Address, What);
        head.Signature("EAHD");
        head.Version(0);
        var client = head.U8();
        int entrySize = head.U8(), countBits = head.U8(), inIndex = head.U8(), smallest = head.U8(), pointers = head.U8(), pageBits = head.U8();
        head.Skip(4L * source.LengthSize);
        var count = head.Length(); // one more than the greatest index that was set
        head.Skip(source.LengthSize);
        var index = head.Address();
        Hdf5Checksums.Verify(source, bytes, layout.Address, What);
        var sizeWidth = entrySize - source.AddressSize - 4;
        if (client != (filtered ? 1 : 0) || (filtered ? sizeWidth is < 1 or > 8 : entrySize != source.AddressSize))
            throw head.Fail($"entries of {entrySize} bytes for client {client} do not fit the dataset's filters");
        if (countBits is < 1 or > 63 || !BitOperations.IsPow2(smallest) || !BitOperations.IsPow2(pointers) || pointers < 2 || pageBits > 31 || BitOperations.Log2((uint)smallest) > countBits || count > source.Length / entrySize)
            throw head.Fail($"it has {count} entries of at most 2^{countBits}, blocks of {smallest} entries and {pointers} pointers, pages of 2^{pageBits}, which is not plausible");
        var walk = new Walk(source, layout, Order(source, layout, space), filtered, count, entrySize, new Hdf5Budget(source, What, whole), new Hdf5Budget(source, What));
        if (index != Hdf5Source.Undefined)
            walk.Blocks(index, inIndex, smallest, pointers, countBits, 1L << pageBits);
        return walk.Chunks;
    }

    /// <summary>The axes, slowest first, each with the number of chunks along it; of the growing one it does not matter.</summary>
    private static (int Axis, long Along)[] Order(Hdf5Source source, Hdf5Layout layout, Hdf5Dataspace space)
    {
        var growing = Array.IndexOf(space.Maximum, Hdf5Dataspace.Unlimited);
        if (growing < 0 || space.Maximum.Count(m => m == Hdf5Dataspace.Unlimited) != 1)
            throw source.Fail(layout.Address, $"{What}: the dataset has no axis that grows without end, or several");
        var axes = Enumerable.Range(0, space.Shape.Length).Where(axis => axis != growing).Prepend(growing);
        return axes.Select(axis => (axis, axis == growing ? long.MaxValue : Math.Max(1, (space.Maximum[axis] - 1) / layout.Chunk[axis] + 1))).ToArray();
    }

    private sealed class Walk(Hdf5Source source, Hdf5Layout layout, (int Axis, long Along)[] order, bool filtered, long count, int entrySize, Hdf5Budget tables, Hdf5Budget data)
    {
        private long next;

        public List<Hdf5Chunk> Chunks { get; } = [];

        /// <summary>The index block: some entries, the addresses of the first data blocks, and those of further blocks of data blocks.</summary>
        public void Blocks(long address, int inIndex, int smallest, int pointers, int countBits, long page)
        {
            var levels = 1 + countBits - BitOperations.Log2((uint)smallest);
            var direct = 2 * BitOperations.Log2((uint)pointers);
            var dataBlocks = 2 * (pointers - 1);
            var further = Math.Max(0, levels - direct);
            var size = 6 + source.AddressSize + (long)inIndex * entrySize + (long)(dataBlocks + further) * source.AddressSize + 4;
            var cursor = Open(address, size, "EAIB", 0);
            Entries(ref cursor, inIndex);
            for (var level = 0; level < direct && level < levels; level++)
                for (var block = 0L; block < 1L << level / 2; block++)
                    DataBlock(cursor.Address(), Width(level), countBits, page, null);
            for (var level = direct; level < levels; level++)
                SecondaryBlock(cursor.Address(), level, Width(level), countBits, page);

            long Width(int level) => (1L << (level + 1) / 2) * smallest;
        }

        private void SecondaryBlock(long address, int level, long width, int countBits, long page)
        {
            var blocks = 1L << level / 2;
            if (next >= count || address == Hdf5Source.Undefined)
            {
                Skip(blocks, width);
                return;
            }
            var mask = width > page ? (width / page + 7) / 8 : 0;
            // No more data blocks can be in use than the entries that are left.
            if (blocks > source.Length || mask > source.Length || (Int128)blocks * mask > source.Length)
                throw source.Fail(address, $"{What}: a block of {blocks} blocks does not fit the file");
            var offsetBytes = (countBits + 7) / 8;
            var cursor = Open(address, 6 + source.AddressSize + offsetBytes + blocks * (mask + source.AddressSize) + 4, "EASB", offsetBytes);
            var masks = cursor.Bytes(blocks * mask);
            for (var block = 0L; block < blocks; block++)
                DataBlock(cursor.Address(), width, countBits, page, mask == 0 ? null : masks.Slice((int)(block * mask), (int)mask).ToArray());
        }

        private void DataBlock(long address, long width, int countBits, long page, byte[]? written)
        {
            if (next >= count || address == Hdf5Source.Undefined)
            {
                Skip(1, width);
                return;
            }
            var offsetBytes = (countBits + 7) / 8;
            var prefix = 6 + source.AddressSize + offsetBytes;
            if (width <= page)
            {
                var whole = Open(address, prefix + width * entrySize + 4, "EADB", offsetBytes);
                Entries(ref whole, width);
                return;
            }
            Open(address, prefix + 4, "EADB", offsetBytes);
            // A page's bit, highest first, in the block above; a page that was never written has its place.
            var at = address + prefix + 4;
            for (var first = 0L; first < width; first += page, at += page * entrySize + 4)
            {
                var number = first / page;
                if (next >= count || (written is not null && (written[number / 8] & 0x80 >> (int)(number % 8)) == 0))
                {
                    Skip(1, page);
                    continue;
                }
                tables.Charge(at, page * entrySize);
                var block = source.Read(at, page * entrySize + 4, What);
                Hdf5Checksums.Verify(source, block, at, What);
                var cursor = new Hdf5Cursor(source, block, at, What);
                Entries(ref cursor, page);
            }
        }

        /// <summary>Reads a block whose last four bytes are its checksum, to behind its head.</summary>
        private Hdf5Cursor Open(long address, long size, string signature, int offsetBytes)
        {
            if (address == Hdf5Source.Undefined)
                throw source.Fail(layout.Address, $"{What}: the address of its index is undefined");
            tables.Charge(address, size);
            var block = source.Read(address, size, What);
            var cursor = new Hdf5Cursor(source, block, address, What);
            cursor.Signature(signature);
            cursor.Version(0);
            cursor.Skip(1 + source.AddressSize + offsetBytes);
            Hdf5Checksums.Verify(source, block, address, What);
            return cursor;
        }

        private void Skip(long blocks, long width) => next = blocks > (long.MaxValue - next) / Math.Max(width, 1) ? long.MaxValue : next + blocks * width;

        private void Entries(ref Hdf5Cursor cursor, long entries)
        {
            for (var i = 0L; i < entries; i++, next++)
            {
                var address = cursor.Address();
                var stored = filtered ? cursor.Unsigned(entrySize - source.AddressSize - 4) : layout.Size;
                var skipped = filtered ? cursor.U32() : 0;
                if (next >= count || address == Hdf5Source.Undefined)
                    continue;
                data.Charge(address, stored);
                var start = new long[order.Length];
                var rest = next;
                for (var place = order.Length - 1; place >= 0; place--)
                {
                    // A place beyond all numbers is outside of the dataset, as any other that is too great.
                    start[order[place].Axis] = (long)Int128.Min(long.MaxValue, (Int128)(rest % order[place].Along) * layout.Chunk[order[place].Axis]);
                    rest /= order[place].Along;
                }
                Chunks.Add(new Hdf5Chunk(start, address, stored, skipped));
            }
        }
    }
}
