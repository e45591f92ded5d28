using System.Runtime.CompilerServices;

namespace Engine.Interop.Hdf5;

/// <summary>An array in the file. Reading takes the memory of the result, of one chunk, and of the list of chunks.</summary>
public sealed class Hdf5Dataset : Hdf5Values
{
    /// <summary>What parts of a dataset that were never written may take, whatever the file's size.</summary>
    private const long FillAllowance = 64L << 20;

    private readonly Hdf5Layout layout;
    private readonly Hdf5Filters filters;
    private readonly byte[]? fill;
    private readonly Lazy<IReadOnlyDictionary<string, Hdf5Attribute>> attributes;

    private Hdf5Dataset(Hdf5File file, Hdf5ObjectHeader header, string name, Hdf5Datatype type, Hdf5Dataspace space)
        : base(file.Source, file.Heap, "dataset", name, header.Address, type, space)
    {
        if (header.Has(Hdf5ObjectHeader.ExternalFiles))
            throw Source.Fail(header.Address, $"dataset '{name}' keeps its data in other files, which is not supported");
        layout = Hdf5Layout.Parse(Source, header.Require(Hdf5ObjectHeader.Layout, "data layout"), space.Shape.Length, type.Size);
        filters = header.Find(Hdf5ObjectHeader.Filters, "filter") is { } message ? Hdf5Filters.Parse(Source, message) : Hdf5Filters.None;
        fill = ReadFill(header, type.Size);
        attributes = new Lazy<IReadOnlyDictionary<string, Hdf5Attribute>>(() => Hdf5Attributes.Read(file, header));
    }

    /// <summary>The attributes by name.</summary>
    /// <exception cref="InteropFormatException">One of them is damaged.</exception>
    public IReadOnlyDictionary<string, Hdf5Attribute> Attributes => attributes.Value;

    internal static Hdf5Dataset Open(Hdf5File file, Hdf5ObjectHeader header, string name)
    {
        var typeCursor = header.Require(Hdf5ObjectHeader.Datatype, "datatype").Cursor(file.Source, "datatype message");
        var type = Hdf5Datatype.Parse(ref typeCursor);
        var spaceCursor = header.Require(Hdf5ObjectHeader.Dataspace, "dataspace").Cursor(file.Source, "dataspace message");
        return new Hdf5Dataset(file, header, name, type, Hdf5Dataspace.Parse(ref spaceCursor));
    }

    private byte[]? ReadFill(Hdf5ObjectHeader header, int size)
    {
        byte[]? value = null;
        if (header.Find(Hdf5ObjectHeader.Fill, "fill value") is { } message)
        {
            var cursor = message.Cursor(Source, "fill value message");
            var version = cursor.U8();
            if (version is < 1 or > 3)
                throw cursor.Fail($"version {version} is not supported; expected 1 to 3");
            bool defined;
            if (version == 3)
                defined = (cursor.U8() & 0x20) != 0;
            else
            {
                cursor.Skip(2);
                defined = cursor.U8() != 0 || version == 1;
            }
            if (defined)
                value = cursor.Bytes(cursor.U32()).ToArray();
        }
        else if (header.Find(Hdf5ObjectHeader.OldFill, "fill value") is { } old)
        {
            var cursor = old.Cursor(Source, "fill value message");
            value = cursor.Bytes(cursor.U32()).ToArray();
        }
        return value is { Length: > 0 } && value.Length == size && value.AsSpan().ContainsAnyExcept((byte)0) ? value : null;
    }

    private protected override T[] Load<T>(Hdf5Decode<T> decode)
    {
        if (Space.Count == 0)
            return [];
        var bytes = (Int128)Space.Count * Type.Size;
        var unread = Source.IsFirstRead(Name);
        if (Space.Count > Array.MaxLength)
            throw Source.Fail(Offset, $"dataset '{Name}' has {Space.Count} elements; more than {Array.MaxLength} are not supported");
        return layout.Kind switch
        {
            Hdf5LayoutKind.Compact => LoadCompact(decode, bytes, unread),
            Hdf5LayoutKind.Contiguous => LoadContiguous(decode, (long)bytes, unread),
            _ => LoadChunks(decode, unread),
        };
    }

    private T[] LoadCompact<T>(Hdf5Decode<T> decode, Int128 bytes, bool unread)
    {
        if (bytes > layout.Size)
            throw Source.Fail(layout.Address, $"dataset '{Name}' needs {bytes} bytes, the header that holds it has {layout.Size}");
        Charge<T>(unread, 0);
        var values = new T[Space.Count];
        decode(layout.Compact.Span[..(int)bytes], values, layout.Address);
        return values;
    }

    private T[] LoadContiguous<T>(Hdf5Decode<T> decode, long bytes, bool unread)
    {
        if (layout.Address == Hdf5Source.Undefined)
        {
            RequirePlausible<T>(0);
            Charge<T>(unread, 0);
            return Filled(decode);
        }
        if (layout.Size >= 0 && layout.Size < bytes)
            throw Source.Fail(Offset, $"dataset '{Name}' needs {bytes} bytes, its layout gives {layout.Size}");
        if (bytes > Source.Length - layout.Address)
            throw Source.Fail(layout.Address, $"dataset '{Name}' needs {bytes} bytes, but the file has {Source.Length - layout.Address} from here on");
        Charge<T>(unread, 0);
        var values = new T[Space.Count];
        // In pieces, so that the result is all the memory that a large dataset takes.
        var piece = (int)Math.Min(Math.Max(1, (1 << 20) / Type.Size), Space.Count);
        var buffer = new byte[piece * Type.Size];
        for (var first = 0; first < values.Length; first += piece)
        {
            var count = Math.Min(piece, values.Length - first);
            var raw = buffer.AsSpan(0, count * Type.Size);
            var at = layout.Address + (long)first * Type.Size;
            Source.Fill(at, raw, "data");
            decode(raw, values.AsSpan(first, count), at);
        }
        return values;
    }

    private T[] LoadChunks<T>(Hdf5Decode<T> decode, bool unread)
    {
        var shape = Space.Shape;
        var chunks = Hdf5Chunks.List(Source, layout, Space, filters != Hdf5Filters.None, unread ? Source.Tables : null);
        var chunkBytes = (int)layout.Size;
        var cells = (Int128)1;
        for (var axis = 0; axis < shape.Length; axis++)
            cells *= (shape[axis] - 1) / layout.Chunk[axis] + 1;
        chunks.RemoveAll(chunk => !Inside(chunk.Start, shape));
        if (chunks.Count > cells)
            throw Source.Fail(layout.Address, $"dataset '{Name}' has {chunks.Count} chunks for {cells} places: some occur twice");
        foreach (var chunk in chunks)
            if (chunkBytes > filters.Plausible(chunk.StoredSize))
                throw Source.Fail(chunk.Address, $"a chunk of dataset '{Name}' has {chunk.StoredSize} bytes in the file, which cannot be the {chunkBytes} of a chunk");
        RequirePlausible<T>((long)chunks.Count * (chunkBytes / Type.Size));
        Charge<T>(unread, (long)chunks.Count * chunkBytes);
        var values = fill is null ? new T[Space.Count] : Filled(decode);
        // Elements that were never written are empty strings, not null.
        if (values is string[] texts && fill is null)
            Array.Fill(texts, "");
        if (chunks.Count == 0)
            return values;
        var decoded = new T[chunkBytes / Type.Size];
        foreach (var chunk in chunks)
        {
            var stored = Source.Read(chunk.Address, chunk.StoredSize, "chunk");
            var plain = layout.PlainEdges && IsCut(chunk.Start, shape);
            var raw = plain ? stored : filters.Decode(Source, stored, chunk.SkippedFilters, chunkBytes, chunk.Address);
            if (raw.Length != chunkBytes)
                throw Source.Fail(chunk.Address, $"a chunk has {raw.Length} bytes; expected {chunkBytes}");
            decode(raw, decoded, chunk.Address);
            Scatter(decoded, values, chunk.Start, shape);
        }
        return values;
    }

    // Copies the part of a chunk that lies inside the dataset, one run along the last axis at a time.
    private void Scatter<T>(T[] chunk, T[] values, long[] start, long[] shape)
    {
        var rank = shape.Length;
        if (rank == 0)
        {
            values[0] = chunk[0];
            return;
        }
        Span<long> index = stackalloc long[rank];
        index.Clear();
        var run = (int)Math.Min(layout.Chunk[rank - 1], shape[rank - 1] - start[rank - 1]);
        while (true)
        {
            long from = 0, to = 0;
            for (var axis = 0; axis < rank; axis++)
            {
                from = from * layout.Chunk[axis] + index[axis];
                to = to * shape[axis] + start[axis] + index[axis];
            }
            if (run == 1)
                values[to] = chunk[from];
            else
                Array.Copy(chunk, from, values, to, run);
            var moving = rank - 2;
            while (moving >= 0 && ++index[moving] == Math.Min(layout.Chunk[moving], shape[moving] - start[moving]))
                index[moving--] = 0;
            if (moving < 0)
                return;
        }
    }

    private static bool Inside(long[] start, long[] shape)
    {
        for (var axis = 0; axis < start.Length; axis++)
            if (start[axis] >= shape[axis])
                return false;
        return true;
    }

    private bool IsCut(long[] start, long[] shape)
    {
        for (var axis = 0; axis < start.Length; axis++)
            if (start[axis] > shape[axis] - layout.Chunk[axis])
                return true;
        return false;
    }

    private T[] Filled<T>(Hdf5Decode<T> decode)
    {
        var value = new T[1];
        decode(fill ?? new byte[Type.Size], value, Offset);
        var values = new T[Space.Count];
        Array.Fill(values, value[0]);
        return values;
    }

    // A caller may read a dataset as often as it likes; what the names of a file lead to is the file's doing.
    private void Charge<T>(bool unread, long decoded)
    {
        if (unread)
            Source.ChargeUnpacked(Name, Offset, Int128.Max((Int128)Space.Count * Math.Max(Type.Size, Unsafe.SizeOf<T>()), decoded));
    }

    // What was never written costs a hostile file nothing to declare, so it is limited; what the file holds limits itself.
    private void RequirePlausible<T>(long stored)
    {
        var missing = Math.Max(0, Space.Count - stored);
        var bytes = (Int128)missing * Math.Max(Type.Size, Unsafe.SizeOf<T>());
        if (bytes > Math.Max(FillAllowance, Source.Length))
            throw Source.Fail(Offset, $"dataset '{Name}' declares {Space.Count} elements, but {missing} of them were never written: the shape is damaged, or too much of the dataset is absent to be read");
    }
}
