using System.Text;

namespace Engine.Interop.Hdf5;

/// <summary>Strings of any length, from global heap collections.</summary>
internal sealed class Hdf5GlobalHeap(Hdf5Source source)
{
    private const string What = "global heap collection";

    private readonly Dictionary<long, Dictionary<int, (long Offset, long Size)>> collections = [];
    private readonly Dictionary<(long Address, int Index, long Length), string> strings = [];
    private readonly Hdf5Budget directories = new(source, "the global heap");
    private readonly Hdf5Budget texts = new(source, "the global heap");

    /// <summary>Reads the string that an element refers to: its length, the collection's address, the object's index.</summary>
    public string Read(ref Hdf5Cursor element)
    {
        long length = element.U32();
        if (length == 0)
            return "";
        var address = element.Address();
        var index = (int)Math.Min(element.U32(), int.MaxValue);
        if (strings.TryGetValue((address, index, length), out var known))
            return known;
        if (address == Hdf5Source.Undefined || !Collection(address).TryGetValue(index, out var place))
            throw element.Fail($"a string refers to object {index} of a global heap collection that does not have it");
        if (length > place.Size)
            throw source.Fail(place.Offset, $"a string of {length} bytes refers to an object of the global heap that has {place.Size}");
        texts.Charge(place.Offset, length);
        var text = Encoding.UTF8.GetString(source.Read(place.Offset, length, "string")).TrimEnd('\0');
        strings.Add((address, index, length), text);
        return text;
    }

    private Dictionary<int, (long Offset, long Size)> Collection(long address)
    {
        if (collections.TryGetValue(address, out var objects))
            return objects;
        var headSize = 8 + source.LengthSize;
        var head = source.Cursor(address, headSize, What);
        head.Signature("GCOL");
        head.Version(1);
        head.Skip(3);
        var size = head.Length();
        if (size < headSize)
            throw head.Fail($"it is said to have {size} bytes; expected at least {headSize}");
        directories.Charge(address, size);
        var cursor = source.Cursor(address, size, What);
        cursor.Skip(headSize);
        objects = [];
        while (cursor.Remaining >= 8 + source.LengthSize)
        {
            var index = cursor.U16();
            cursor.Skip(6);
            var length = cursor.Length();
            // Index 0 is the free space, which is always last.
            if (index == 0)
                break;
            var at = cursor.Offset;
            cursor.Skip(length);
            cursor.Skip(Math.Min(cursor.Remaining, (8 - length % 8) % 8));
            if (!objects.TryAdd(index, (at, length)))
                throw source.Fail(at, $"{What}: object {index} occurs twice");
        }
        collections.Add(address, objects);
        return objects;
    }
}
