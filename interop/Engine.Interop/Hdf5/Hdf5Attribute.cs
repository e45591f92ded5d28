namespace Engine.Interop.Hdf5;

/// <summary>A small named value of a group or a dataset.</summary>
public sealed class Hdf5Attribute : Hdf5Values
{
    private readonly ReadOnlyMemory<byte> data;

    private Hdf5Attribute(Hdf5Source source, Hdf5GlobalHeap heap, string name, long offset, Hdf5Datatype type, Hdf5Dataspace space, ReadOnlyMemory<byte> data)
        : base(source, heap, "attribute", name, offset, type, space) => this.data = data;

    internal static Hdf5Attribute Parse(Hdf5Source source, Hdf5GlobalHeap heap, Hdf5Message message)
    {
        message = Hdf5ObjectHeader.Resolve(source, message, "attribute");
        var cursor = message.Cursor(source, "attribute message");
        var version = cursor.U8();
        if (version is < 1 or > 3)
            throw cursor.Fail($"version {version} is not supported; expected 1 to 3");
        int flags = version == 1 ? (byte)(cursor.U8() & 0) : cursor.U8();
        int nameSize = cursor.U16(), typeSize = cursor.U16(), spaceSize = cursor.U16();
        if (version == 3)
            cursor.Skip(1);
        var name = cursor.Text(nameSize).TrimEnd('\0');
        Pad(ref cursor, nameSize);
        var typePart = Part(ref cursor, typeSize, Hdf5ObjectHeader.Datatype, flags & 1, "datatype");
        var spacePart = Part(ref cursor, spaceSize, Hdf5ObjectHeader.Dataspace, flags & 2, "dataspace");
        var typeCursor = typePart.Cursor(source, "datatype message");
        var type = Hdf5Datatype.Parse(ref typeCursor);
        var spaceCursor = spacePart.Cursor(source, "dataspace message");
        var space = Hdf5Dataspace.Parse(ref spaceCursor);
        if ((Int128)space.Count * type.Size > cursor.Remaining)
            throw cursor.Fail($"attribute '{name}' has {space.Count} elements of {type.Size} bytes, but {cursor.Remaining} bytes of data");
        var offset = cursor.Offset;
        return new Hdf5Attribute(source, heap, name, offset, type, space, message.Body.Slice(cursor.Position, (int)(space.Count * type.Size)));

        // Version 1 pads each part to 8 bytes.
        void Pad(ref Hdf5Cursor cursor, int size)
        {
            if (version == 1)
                cursor.Skip((8 - size % 8) % 8);
        }

        Hdf5Message Part(ref Hdf5Cursor cursor, int size, int kind, int shared, string what)
        {
            var at = cursor.Position;
            cursor.Skip(size);
            Pad(ref cursor, size);
            var part = new Hdf5Message(kind, shared == 0 ? 0 : 2, message.Body.Slice(at, size), message.Origin + at);
            return Hdf5ObjectHeader.Resolve(source, part, what);
        }
    }

    private protected override T[] Load<T>(Hdf5Decode<T> decode)
    {
        var values = new T[Space.Count];
        decode(data.Span, values, Offset);
        return values;
    }
}
