namespace Engine.Interop.Hdf5;

/// <summary>Where one chunk is: its first element's index on each axis, its place and size in the file, the filters it skips.</summary>
internal readonly record struct Hdf5Chunk(long[] Start, long Address, long StoredSize, uint SkippedFilters);

/// <summary>Lists the chunks of a dataset.</summary>
internal static class Hdf5Chunks
{
    public static List<Hdf5Chunk> List(Hdf5Source source, Hdf5Layout layout, Hdf5Dataspace space, bool filtered, Hdf5Budget? whole)
    {
        if (layout.Address == Hdf5Source.Undefined)
            return [];
        var shape = space.Shape;
        return layout.Index switch
        {
            Hdf5ChunkIndex.TreeV1 => Tree(source, layout, shape, whole),
            Hdf5ChunkIndex.Single => [new Hdf5Chunk(new long[shape.Length], layout.Address, layout.Filtered?.Size ?? layout.Size, layout.Filtered?.SkippedFilters ?? 0)],
            Hdf5ChunkIndex.Implicit => Implicit(source, layout, space.Maximum),
            Hdf5ChunkIndex.ExtensibleArray => Hdf5ExtensibleArray.List(source, layout, space, filtered, whole),
            Hdf5ChunkIndex.TreeV2 => Tree2(source, layout, shape, filtered, whole),
            _ => FixedArray(source, layout, space.Maximum, filtered),
        };
    }

    // B-tree version 1, node type 1. A key is the stored size, the filter mask and the offsets, with the element's at the end.
    private static List<Hdf5Chunk> Tree(Hdf5Source source, Hdf5Layout layout, long[] shape, Hdf5Budget? whole)
    {
        const string what = "node of a chunk B-tree";
        var chunks = new List<Hdf5Chunk>();
        var budget = new Hdf5Budget(source, "the chunk B-tree", whole);
        var data = new Hdf5Budget(source, "the chunk B-tree");
        var pending = new Stack<(long Address, int Level)>();
        pending.Push((layout.Address, -1));
        var keySize = 8 + 8 * (shape.Length + 1);
        while (pending.TryPop(out var node))
        {
            var head = source.Cursor(node.Address, 8 + 2 * source.AddressSize, what);
            head.Signature("TREE");
            if (head.U8() != 1)
                throw head.Fail("it is not of a tree of chunks");
            int level = head.U8();
            int entries = head.U16();
            // Levels that fall by one on each step bound the depth and exclude loops.
            if (node.Level >= 0 && level != node.Level - 1)
                throw head.Fail($"it has level {level}; expected {node.Level - 1}");
            var size = (long)entries * (keySize + source.AddressSize);
            budget.Charge(node.Address, size + 24);
            var cursor = source.Cursor(node.Address + 8 + 2 * source.AddressSize, size, what);
            for (var i = 0; i < entries; i++)
            {
                var stored = cursor.U32();
                var skipped = cursor.U32();
                if (level > 0)
                {
                    cursor.Skip(keySize - 8);
                    pending.Push((Defined(ref cursor), level));
                    continue;
                }
                var start = new long[shape.Length];
                for (var axis = 0; axis < start.Length; axis++)
                {
                    start[axis] = cursor.Unsigned(8);
                    if (start[axis] % layout.Chunk[axis] != 0)
                        throw cursor.Fail($"a chunk begins at {start[axis]} on axis {axis}, which is not a multiple of {layout.Chunk[axis]}");
                }
                cursor.Skip(8);
                var address = Defined(ref cursor);
                data.Charge(address, stored);
                chunks.Add(new Hdf5Chunk(start, address, stored, skipped));
            }
        }
        return chunks;
    }

    private static long Defined(ref Hdf5Cursor cursor)
    {
        var address = cursor.Address();
        return address != Hdf5Source.Undefined ? address : throw cursor.Fail("an address is undefined");
    }

    // B-tree version 2, record type 10, or 11 with filters: the address, the stored size and the filter mask, and the chunk's place in the grid.
    private static List<Hdf5Chunk> Tree2(Hdf5Source source, Hdf5Layout layout, long[] shape, bool filtered, Hdf5Budget? whole)
    {
        var sizeWidth = Math.Min(8, 1 + (System.Numerics.BitOperations.Log2((ulong)layout.Size) + 8) / 8);
        var recordSize = source.AddressSize + (filtered ? sizeWidth + 4 : 0) + 8 * shape.Length;
        var chunks = new List<Hdf5Chunk>();
        var data = new Hdf5Budget(source, "the chunk B-tree of version 2");
        foreach (var (record, offset) in Hdf5Tree2.Records(source, layout.Address, filtered ? 11 : 10, recordSize, whole))
        {
            var cursor = new Hdf5Cursor(source, record, offset, "record of a chunk");
            var address = Defined(ref cursor);
            var stored = filtered ? cursor.Unsigned(sizeWidth) : layout.Size;
            var skipped = filtered ? cursor.U32() : 0;
            var start = new long[shape.Length];
            for (var axis = 0; axis < start.Length; axis++)
            {
                var place = cursor.Unsigned(8);
                if (place > long.MaxValue / layout.Chunk[axis])
                    throw cursor.Fail($"a chunk is said to be at place {place} of axis {axis}");
                start[axis] = place * layout.Chunk[axis];
            }
            data.Charge(address, stored);
            chunks.Add(new Hdf5Chunk(start, address, stored, skipped));
        }
        return chunks;
    }

    // All chunks, in order, one behind the other; never filtered.
    private static List<Hdf5Chunk> Implicit(Hdf5Source source, Hdf5Layout layout, long[] shape)
    {
        var count = GridCount(source, layout, shape);
        if (count > source.Length / layout.Size)
            throw source.Fail(layout.Address, $"{count} chunks of {layout.Size} bytes are more than the file has");
        var chunks = new List<Hdf5Chunk>((int)count);
        for (var i = 0L; i < count; i++)
            chunks.Add(new Hdf5Chunk(GridStart(layout, shape, i), layout.Address + i * layout.Size, layout.Size, 0));
        return chunks;
    }

    // Version 4 of the layout, axes that cannot grow: a header, and one block of addresses that may be cut in pages.
    private static List<Hdf5Chunk> FixedArray(Hdf5Source source, Hdf5Layout layout, long[] shape, bool filtered)
    {
        const string what = "fixed array of chunks";
        var headSize = 8 + source.LengthSize + source.AddressSize + 4;
        var bytes = source.Read(layout.Address, headSize, what);
        var head = new Hdf5Cursor(source, bytes, layout.Address, what);
        head.Signature("FAHD");
        head.Version(0);
        var client = head.U8();
        int entrySize = head.U8();
        int pageBits = head.U8();
        var count = head.Length();
        var block = head.Address();
        Hdf5Checksums.Verify(source, bytes, layout.Address, what);
        var sizeWidth = entrySize - source.AddressSize - 4;
        if (client != (filtered ? 1 : 0) || (filtered ? sizeWidth is < 1 or > 8 : entrySize != source.AddressSize))
            throw head.Fail($"entries of {entrySize} bytes for client {client} do not fit the dataset's filters");
        if (count != GridCount(source, layout, shape) || count > source.Length / entrySize || pageBits > 31)
            throw head.Fail($"it has {count} entries in pages of 2^{pageBits}, which do not fit the dataset's shape or the file");
        var chunks = new List<Hdf5Chunk>();
        if (block == Hdf5Source.Undefined)
            return chunks;
        var prefix = 6 + source.AddressSize;
        var page = 1L << pageBits;
        var pages = count > page ? (count + page - 1) / page : 0;
        var bitmap = (int)((pages + 7) / 8);
        var start = source.Cursor(block, prefix + bitmap, what);
        start.Signature("FADB");
        start.Version(0);
        start.Skip(1 + source.AddressSize);
        var initialised = start.Bytes(bitmap);
        var at = block + prefix + bitmap + (pages > 0 ? 4 : 0);
        var data = new Hdf5Budget(source, what);
        for (var first = 0L; first < count; first += pages > 0 ? page : count)
        {
            var here = pages > 0 ? Math.Min(page, count - first) : count;
            var number = pages > 0 ? (int)(first / page) : 0;
            // A page's bit, highest first; a page that was never written holds nothing, but has its place.
            if (pages == 0 || (initialised[number / 8] & 0x80 >> number % 8) != 0)
            {
                var cursor = source.Cursor(at, here * entrySize, what);
                for (var i = 0L; i < here; i++)
                {
                    var address = cursor.Address();
                    var stored = filtered ? cursor.Unsigned(sizeWidth) : layout.Size;
                    var skipped = filtered ? cursor.U32() : 0;
                    if (address == Hdf5Source.Undefined)
                        continue;
                    data.Charge(address, stored);
                    chunks.Add(new Hdf5Chunk(GridStart(layout, shape, first + i), address, stored, skipped));
                }
            }
            at += here * entrySize + 4;
        }
        return chunks;
    }

    private static long GridCount(Hdf5Source source, Hdf5Layout layout, long[] shape)
    {
        var count = 1L;
        for (var axis = 0; axis < shape.Length; axis++)
        {
            var along = shape[axis] == 0 ? 0 : (shape[axis] - 1) / layout.Chunk[axis] + 1;
            if (shape[axis] < 0 || along > source.Length || (count *= along) > source.Length)
                throw source.Fail(layout.Address, "the dataset has more chunks than the file has bytes");
        }
        return count;
    }

    private static long[] GridStart(Hdf5Layout layout, long[] shape, long index)
    {
        var start = new long[shape.Length];
        for (var axis = shape.Length - 1; axis >= 0; axis--)
        {
            var along = (shape[axis] - 1) / layout.Chunk[axis] + 1;
            start[axis] = index % along * layout.Chunk[axis];
            index /= along;
        }
        return start;
    }
}
