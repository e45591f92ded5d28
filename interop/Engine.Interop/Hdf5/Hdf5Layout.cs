namespace Engine.Interop.Hdf5;

internal enum Hdf5LayoutKind
{
    Compact,
    Contiguous,
    Chunked,
}

/// <summary>How a version 4 layout finds its chunks; earlier versions always have a B-tree of version 1.</summary>
internal enum Hdf5ChunkIndex
{
    TreeV1,
    Single,
    Implicit,
    FixedArray,
    ExtensibleArray,
    TreeV2,
}

/// <summary>A data layout message.</summary>
internal sealed record Hdf5Layout(Hdf5LayoutKind Kind, long Address, long Size, long[] Chunk)
{
    public ReadOnlyMemory<byte> Compact { get; private init; }

    public Hdf5ChunkIndex Index { get; private init; }

    /// <summary>A single filtered chunk's bytes in the file, and the filters that it skips.</summary>
    public (long Size, uint SkippedFilters)? Filtered { get; private init; }

    /// <summary>Version 4: chunks that the dataset's edge cuts are stored without filters.</summary>
    public bool PlainEdges { get; private init; }

    public static Hdf5Layout Parse(Hdf5Source source, Hdf5Message message, int rank, int elementSize)
    {
        var cursor = message.Cursor(source, "data layout message");
        var version = cursor.U8();
        return version switch
        {
            1 or 2 => Old(ref cursor, message, rank, elementSize),
            3 or 4 => New(ref cursor, message, version, rank, elementSize),
            _ => throw cursor.Fail($"version {version} is not supported; expected 1 to 4"),
        };
    }

    private static Hdf5Layout Old(ref Hdf5Cursor cursor, Hdf5Message message, int rank, int elementSize)
    {
        int dimensions = cursor.U8();
        var kind = cursor.U8();
        cursor.Skip(5);
        var address = kind == 0 ? Hdf5Source.Undefined : cursor.Address();
        switch (kind)
        {
            case 0:
                cursor.Skip(4L * dimensions);
                return Stored(ref cursor, message, cursor.U32());
            case 1:
                // The sizes repeat the dataspace, which is what counts.
                return new Hdf5Layout(Hdf5LayoutKind.Contiguous, address, -1, []);
            case 2:
                if (dimensions != rank + 1)
                    throw cursor.Fail($"chunks have {dimensions} axes; expected {rank + 1}");
                return Chunks(ref cursor, address, rank, elementSize, 4);
            default:
                throw cursor.Fail($"layout class {kind} is not supported");
        }
    }

    private static Hdf5Layout New(ref Hdf5Cursor cursor, Hdf5Message message, int version, int rank, int elementSize)
    {
        var kind = cursor.U8();
        switch (kind)
        {
            case 0:
                return Stored(ref cursor, message, cursor.U16());
            case 1:
                return new Hdf5Layout(Hdf5LayoutKind.Contiguous, cursor.Address(), cursor.Length(), []);
            case 2 when version == 3:
                RequireAxes(ref cursor, rank);
                return Chunks(ref cursor, cursor.Address(), rank, elementSize, 4);
            case 2:
                return Chunks4(ref cursor, rank, elementSize);
            case 3:
                throw cursor.Fail("virtual datasets are not supported");
            default:
                throw cursor.Fail($"layout class {kind} is not supported");
        }
    }

    private static Hdf5Layout Stored(ref Hdf5Cursor cursor, Hdf5Message message, long size)
    {
        var at = cursor.Position;
        cursor.Skip(size);
        return new Hdf5Layout(Hdf5LayoutKind.Compact, message.Origin + at, size, []) { Compact = message.Body.Slice(at, (int)size) };
    }

    private static void RequireAxes(ref Hdf5Cursor cursor, int rank)
    {
        int dimensions = cursor.U8();
        if (dimensions != rank + 1)
            throw cursor.Fail($"chunks have {dimensions} axes; expected {rank + 1}, those of the dataset and the element's bytes");
    }

    private static Hdf5Layout Chunks(ref Hdf5Cursor cursor, long address, int rank, int elementSize, int width)
    {
        var chunk = new long[rank];
        long bytes = elementSize;
        for (var i = 0; i < rank; i++)
        {
            chunk[i] = cursor.Unsigned(width);
            if (chunk[i] is 0 or > uint.MaxValue || (bytes *= chunk[i]) > Array.MaxLength)
                throw cursor.Fail($"chunks of more than {Array.MaxLength} bytes, or without elements, are not supported");
        }
        var stored = cursor.Unsigned(width);
        if (stored != elementSize)
            throw cursor.Fail($"chunks have elements of {stored} bytes, the datatype has {elementSize}");
        return new Hdf5Layout(Hdf5LayoutKind.Chunked, address, bytes, chunk);
    }

    private static Hdf5Layout Chunks4(ref Hdf5Cursor cursor, int rank, int elementSize)
    {
        var flags = cursor.U8();
        RequireAxes(ref cursor, rank);
        int width = cursor.U8();
        if (width is < 1 or > 8)
            throw cursor.Fail($"sizes of {width} bytes; expected 1 to 8");
        var layout = Chunks(ref cursor, Hdf5Source.Undefined, rank, elementSize, width) with { PlainEdges = (flags & 1) != 0 };
        var index = cursor.U8();
        switch (index)
        {
            case 1 when (flags & 2) != 0:
                layout = layout with { Index = Hdf5ChunkIndex.Single, Filtered = (cursor.Length(), cursor.U32()) };
                break;
            case 1:
                layout = layout with { Index = Hdf5ChunkIndex.Single };
                break;
            case 2:
                layout = layout with { Index = Hdf5ChunkIndex.Implicit };
                break;
            case 3:
                cursor.Skip(1);
                layout = layout with { Index = Hdf5ChunkIndex.FixedArray };
                break;
            case 4:
                // What the array's own header repeats.
                cursor.Skip(5);
                layout = layout with { Index = Hdf5ChunkIndex.ExtensibleArray };
                break;
            case 5:
                cursor.Skip(6);
                layout = layout with { Index = Hdf5ChunkIndex.TreeV2 };
                break;
            default:
                throw cursor.Fail($"chunk index {index} is not supported");
        }
        return layout with { Address = cursor.Address() };
    }
}
