using System.Collections.ObjectModel;

namespace Engine.Interop.Hdf5;

/// <summary>Collects the attributes of an object, from its header or from a dense heap.</summary>
internal static class Hdf5Attributes
{
    public static IReadOnlyDictionary<string, Hdf5Attribute> Read(Hdf5File file, Hdf5ObjectHeader header)
    {
        var source = file.Source;
        var found = new Dictionary<string, Hdf5Attribute>(StringComparer.Ordinal);
        foreach (var message in header.Messages)
            if (message.Type == Hdf5ObjectHeader.Attribute)
                Add(message);
        if (header.Find(Hdf5ObjectHeader.AttributeInfo, "attribute info") is { } info)
        {
            var cursor = info.Cursor(source, "attribute info message");
            cursor.Version(0);
            if ((cursor.U8() & 1) != 0)
                cursor.Skip(2);
            var heap = cursor.Address();
            var index = cursor.Address();
            if (heap != Hdf5Source.Undefined)
                foreach (var message in Hdf5Dense.Attributes(source, heap, index))
                    Add(message);
        }
        return new ReadOnlyDictionary<string, Hdf5Attribute>(found);

        void Add(Hdf5Message message)
        {
            var attribute = Hdf5Attribute.Parse(source, file.Heap, message);
            if (!found.TryAdd(attribute.Name, attribute))
                throw source.Fail(message.Origin, $"the attribute '{attribute.Name}' occurs twice");
        }
    }
}
