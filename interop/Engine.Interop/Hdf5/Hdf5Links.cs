namespace Engine.Interop.Hdf5;

/// <summary>A name in a group: an object's address, or the path that a soft link holds, or the reason why it cannot be followed.</summary>
internal readonly record struct Hdf5Link(long Address, string? Target, string? Unsupported);

/// <summary>Reads the links of a group in all three forms: symbol table, link messages, dense storage.</summary>
internal sealed class Hdf5Links
{
    // Every object's path repeats the names of its groups.
    private const int MaximumName = 4096;

    private readonly Hdf5Source source;
    private readonly Dictionary<string, Hdf5Link> links = new(StringComparer.Ordinal);
    private readonly Hdf5Budget budget;

    private Hdf5Links(Hdf5Source source)
    {
        this.source = source;
        budget = new Hdf5Budget(source, "a group", source.Tables);
    }

    public static bool AreIn(Hdf5ObjectHeader header) =>
        header.Has(Hdf5ObjectHeader.SymbolTable) || header.Has(Hdf5ObjectHeader.LinkInfo) || header.Has(Hdf5ObjectHeader.Link);

    public static Dictionary<string, Hdf5Link> Read(Hdf5Source source, Hdf5ObjectHeader header)
    {
        var reader = new Hdf5Links(source);
        reader.budget.Charge(header.Address, header.Size);
        if (header.Find(Hdf5ObjectHeader.SymbolTable, "symbol table") is { } table)
            reader.ReadSymbolTable(table.Cursor(source, "symbol table message"));
        foreach (var message in header.Messages)
            if (message.Type == Hdf5ObjectHeader.Link)
                reader.ReadLink(message);
        if (header.Find(Hdf5ObjectHeader.LinkInfo, "link info") is { } info)
        {
            var cursor = info.Cursor(source, "link info message");
            cursor.Version(0);
            if ((cursor.U8() & 1) != 0)
                cursor.Skip(8);
            var heap = cursor.Address();
            var index = cursor.Address();
            if (heap != Hdf5Source.Undefined)
                foreach (var message in Hdf5Dense.Links(source, heap, index, source.Tables))
                    reader.ReadLink(message);
        }
        return reader.links;
    }

    // A B-tree of version 1 with node type 0, whose leaves point to tables of entries; the names lie in a local heap.
    private void ReadSymbolTable(Hdf5Cursor message)
    {
        const string what = "node of a group's B-tree";
        var tree = message.Address();
        var names = LocalHeap(message.Address());
        var pending = new Stack<(long Address, int Level)>();
        if (tree != Hdf5Source.Undefined)
            pending.Push((tree, -1));
        while (pending.TryPop(out var node))
        {
            var headSize = 8 + 2 * source.AddressSize;
            var head = source.Cursor(node.Address, headSize, what);
            head.Signature("TREE");
            if (head.U8() != 0)
                throw head.Fail("it is not of a tree of groups");
            int level = head.U8();
            int entries = head.U16();
            // Levels that fall by one on each step bound the depth and exclude loops.
            if (node.Level >= 0 && level != node.Level - 1)
                throw head.Fail($"it has level {level}; expected {node.Level - 1}");
            var size = (long)entries * (source.LengthSize + source.AddressSize);
            budget.Charge(node.Address, headSize + size);
            var cursor = source.Cursor(node.Address + headSize, size, what);
            for (var i = 0; i < entries; i++)
            {
                cursor.Skip(source.LengthSize);
                var child = cursor.Address();
                if (level > 0)
                    pending.Push((child, level));
                else
                    ReadEntries(child, names);
            }
        }
    }

    private (byte[] Names, long Origin) LocalHeap(long address)
    {
        var head = source.Cursor(address, 8 + 2 * source.LengthSize + source.AddressSize, "local heap");
        head.Signature("HEAP");
        head.Version(0);
        head.Skip(3);
        var size = head.Length();
        head.Skip(source.LengthSize);
        var origin = head.Address();
        budget.Charge(origin, size);
        return (source.Read(origin, size, "local heap's names"), origin);
    }

    private void ReadEntries(long address, (byte[] Names, long Origin) heap)
    {
        const string what = "symbol table node";
        var head = source.Cursor(address, 8, what);
        head.Signature("SNOD");
        head.Version(1);
        head.Skip(1);
        var count = head.U16();
        var size = (long)count * (2 * source.AddressSize + 24);
        budget.Charge(address, 8 + size);
        var cursor = source.Cursor(address + 8, size, what);
        for (var i = 0; i < count; i++)
        {
            var nameOffset = cursor.Unsigned(source.AddressSize);
            var target = cursor.Address();
            var cache = cursor.U32();
            cursor.Skip(4);
            long linkOffset = cursor.U32();
            cursor.Skip(12);
            var name = HeapText(nameOffset, heap, cursor.Offset);
            Add(name, cache == 2 ? new Hdf5Link(Hdf5Source.Undefined, HeapText(linkOffset, heap, cursor.Offset), null) : new Hdf5Link(target, null, null), cursor.Offset);
        }
    }

    private string HeapText(long offset, (byte[] Names, long Origin) heap, long at)
    {
        if (offset >= heap.Names.Length)
            throw source.Fail(at, $"a name is said to be at {offset} of a local heap of {heap.Names.Length} bytes");
        var cursor = new Hdf5Cursor(source, heap.Names.AsSpan((int)offset), heap.Origin + offset, "local heap's name");
        var text = cursor.ZeroTerminated();
        budget.Charge(heap.Origin + offset, cursor.Position);
        return text;
    }

    private void ReadLink(Hdf5Message message)
    {
        var cursor = message.Cursor(source, "link message");
        cursor.Version(1);
        var flags = cursor.U8();
        int kind = (flags & 8) != 0 ? cursor.U8() : 0;
        if ((flags & 4) != 0)
            cursor.Skip(8);
        if ((flags & 16) != 0)
            cursor.Skip(1);
        var name = cursor.Text(cursor.Unsigned(1 << (flags & 3)));
        var link = kind switch
        {
            0 => new Hdf5Link(cursor.Address(), null, null),
            1 => new Hdf5Link(Hdf5Source.Undefined, cursor.Text(cursor.U16()), null),
            64 => new Hdf5Link(Hdf5Source.Undefined, null, "a link to another file"),
            _ => new Hdf5Link(Hdf5Source.Undefined, null, $"a link of the unknown kind {kind}"),
        };
        Add(name, link, message.Origin);
    }

    private void Add(string name, Hdf5Link link, long offset)
    {
        if (name.Length == 0)
            throw source.Fail(offset, "a link has no name");
        if (name.Length > MaximumName)
            throw source.Fail(offset, $"a name has {name.Length} characters; expected at most {MaximumName}");
        if (!links.TryAdd(name, link))
            throw source.Fail(offset, $"the name '{name}' occurs twice in its group");
    }
}
