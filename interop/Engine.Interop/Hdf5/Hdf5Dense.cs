namespace Engine.Interop.Hdf5;

/// <summary>
/// Dense storage: many links or attributes of one object, as messages in a fractal heap with a B-tree of version 2 beside it.
/// Writers use it beyond eight of them where the order of creation is tracked or libver is 'latest'.
/// </summary>
internal static class Hdf5Dense
{
    private const int LinkRecord = 5, AttributeRecord = 8;

    /// <summary>The link messages of a group.</summary>
    public static IEnumerable<Hdf5Message> Links(Hdf5Source source, long heapAddress, long indexAddress, Hdf5Budget whole)
    {
        var heap = new Hdf5FractalHeap(source, heapAddress, whole);
        // A record: the name's hash, the heap's identifier.
        foreach (var (record, offset) in Hdf5Tree2.Records(source, indexAddress, LinkRecord, 4 + heap.IdentifierSize, whole))
            yield return heap.Object(record.AsSpan(4), offset, Hdf5ObjectHeader.Link, 0);
    }

    /// <summary>The attribute messages of an object.</summary>
    public static IEnumerable<Hdf5Message> Attributes(Hdf5Source source, long heapAddress, long indexAddress)
    {
        var heap = new Hdf5FractalHeap(source, heapAddress);
        // A record: the heap's identifier, the message's flags, the order of creation, the name's hash.
        foreach (var (record, offset) in Hdf5Tree2.Records(source, indexAddress, AttributeRecord, heap.IdentifierSize + 9))
            yield return heap.Object(record.AsSpan(0, heap.IdentifierSize), offset, Hdf5ObjectHeader.Attribute, record[heap.IdentifierSize]);
    }
}
