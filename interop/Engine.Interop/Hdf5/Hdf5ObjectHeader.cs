namespace Engine.Interop.Hdf5;

/// <summary>One message of an object header; Origin is where its body begins in the file.</summary>
internal readonly record struct Hdf5Message(int Type, int Flags, ReadOnlyMemory<byte> Body, long Origin)
{
    public Hdf5Cursor Cursor(Hdf5Source source, string what) => new(source, Body.Span, Origin, what);
}

/// <summary>The messages of one object, versions 1 and 2, with all continuation blocks.</summary>
internal sealed class Hdf5ObjectHeader
{
    public const int Dataspace = 0x1, LinkInfo = 0x2, Datatype = 0x3, OldFill = 0x4, Fill = 0x5, Link = 0x6, ExternalFiles = 0x7,
        Layout = 0x8, Filters = 0xb, Attribute = 0xc, SymbolTable = 0x11, AttributeInfo = 0x15;

    private const int Continuation = 0x10, LastKnown = 0x18;

    private readonly Hdf5Source source;
    private readonly int[] first = new int[LastKnown + 1]; // place of the first message of a type, counted from 1

    private Hdf5ObjectHeader(Hdf5Source source, long address)
    {
        this.source = source;
        Address = address;
    }

    public long Address { get; }

    public List<Hdf5Message> Messages { get; } = [];

    /// <summary>Bytes of its blocks.</summary>
    public long Size { get; private set; }

    public bool Has(int type) => first[type] > 0;

    /// <summary>The only message of a type, following a reference to a committed object; null where there is none.</summary>
    public Hdf5Message? Find(int type, string what) => Has(type) ? Resolve(source, Messages[first[type] - 1], what) : null;

    public Hdf5Message Require(int type, string what) => Find(type, what) ?? throw source.Fail(Address, $"the object here has no {what} message");

    /// <summary>Follows a message that is shared, to the object that holds it.</summary>
    public static Hdf5Message Resolve(Hdf5Source source, Hdf5Message message, string what)
    {
        if ((message.Flags & 2) == 0)
            return message;
        var cursor = message.Cursor(source, "reference to a shared " + what);
        return ReadShared(source, ref cursor, message.Type, what);
    }

    /// <summary>Reads a reference to a shared message and follows it once; a chain of references is refused.</summary>
    public static Hdf5Message ReadShared(Hdf5Source source, ref Hdf5Cursor cursor, int type, string what)
    {
        var version = cursor.U8();
        var kind = cursor.U8();
        if (version is < 1 or > 3)
            throw cursor.Fail($"version {version} is not supported; expected 1 to 3");
        if (version == 3 && kind == 1)
            throw cursor.Fail("messages in the file's shared heap are not supported");
        if (version == 1)
            cursor.Skip(6);
        var address = cursor.Address();
        if (address == Hdf5Source.Undefined)
            throw cursor.Fail("the address is undefined");
        var header = Read(source, address);
        if (!header.Has(type))
            throw source.Fail(address, $"the object here has no {what} message, but another object shares it");
        var message = header.Messages[header.first[type] - 1];
        return (message.Flags & 2) == 0 ? message : throw source.Fail(message.Origin, $"a shared {what} refers to another shared one");
    }

    public static Hdf5ObjectHeader Read(Hdf5Source source, long address)
    {
        if (source.LongHeaders.TryGetValue(address, out var known))
            return known;
        var header = new Hdf5ObjectHeader(source, address);
        Span<byte> start = stackalloc byte[4];
        source.Fill(address, start, "object header");
        if (start.SequenceEqual("OHDR"u8))
            header.ReadVersion2();
        else if (start[0] == 1)
            header.ReadVersion1();
        else
            throw source.Fail(address, $"there is no object header here; expected version 1 or the signature 'OHDR', found byte {start[0]}");
        if (header.Size > Hdf5Source.LongHeader)
        {
            source.Tables.Charge(address, header.Size);
            source.LongHeaders.Add(address, header);
        }
        return header;
    }

    private void ReadVersion1()
    {
        var prefix = source.Cursor(Address, 16, "object header");
        prefix.Skip(2);
        int declared = prefix.U16();
        prefix.Skip(4);
        long size = prefix.U32();
        var blocks = new Queue<(long Offset, long Size)>();
        blocks.Enqueue((Address + 16, size));
        var budget = new Hdf5Budget(source, "an object header");
        while (blocks.TryDequeue(out var block))
        {
            budget.Charge(block.Offset, block.Size);
            Size += block.Size;
            var bytes = source.Read(block.Offset, block.Size, "object header block");
            var cursor = new Hdf5Cursor(source, bytes, block.Offset, "object header block");
            // The count bounds the messages; what is left of a block after the last one is a gap.
            while (declared > 0 && cursor.Remaining >= 8)
            {
                declared--;
                var type = cursor.U16();
                var length = cursor.U16();
                var flags = cursor.U8();
                cursor.Skip(3);
                var at = cursor.Position;
                cursor.Skip(length);
                Add(new Hdf5Message(type, flags, bytes.AsMemory(at, length), block.Offset + at), blocks);
            }
        }
    }

    private void ReadVersion2()
    {
        var prefix = source.Cursor(Address, Math.Min(64, source.Length - Address), "object header");
        prefix.Skip(4);
        prefix.Version(2);
        var flags = prefix.U8();
        if ((flags & 0x20) != 0)
            prefix.Skip(16);
        if ((flags & 0x10) != 0)
            prefix.Skip(4);
        var size = prefix.Unsigned(1 << (flags & 3));
        var ordered = (flags & 4) != 0;
        var blocks = new Queue<(long Offset, long Size)>();
        var budget = new Hdf5Budget(source, "an object header");
        if (size > source.Length)
            throw prefix.Fail($"its first block is said to have {size} bytes, more than the file");
        ReadBlock2(Address, prefix.Position + size + 4, prefix.Position, ordered, blocks, budget);
        while (blocks.TryDequeue(out var block))
            ReadBlock2(block.Offset, block.Size, -1, ordered, blocks, budget);
    }

    private void ReadBlock2(long offset, long size, int prefix, bool ordered, Queue<(long Offset, long Size)> blocks, Hdf5Budget budget)
    {
        const string what = "object header block";
        budget.Charge(offset, size);
        Size += size;
        if (size < 8)
            throw source.Fail(offset, $"{what}: {size} bytes are too few");
        var bytes = source.Read(offset, size, what);
        var cursor = new Hdf5Cursor(source, bytes.AsSpan(..^4), offset, what);
        if (prefix < 0)
            cursor.Signature("OCHK");
        else
            cursor.Skip(prefix);
        Hdf5Checksums.Verify(source, bytes, offset, what);
        var messageHeader = ordered ? 6 : 4;
        while (cursor.Remaining >= messageHeader)
        {
            int type = cursor.U8();
            var length = cursor.U16();
            var flags = cursor.U8();
            if (ordered)
                cursor.Skip(2);
            var at = cursor.Position;
            cursor.Skip(length);
            Add(new Hdf5Message(type, flags, bytes.AsMemory(at, length), offset + at), blocks);
        }
    }

    private void Add(Hdf5Message message, Queue<(long Offset, long Size)> blocks)
    {
        if (message.Type == 0)
            return;
        if (message.Type == Continuation)
        {
            var cursor = message.Cursor(source, "continuation message");
            var offset = cursor.Address();
            var size = cursor.Length();
            if (offset == Hdf5Source.Undefined || size == 0)
                throw cursor.Fail("it leads nowhere");
            blocks.Enqueue((offset, size));
            return;
        }
        if (message.Type > LastKnown && (message.Flags & 0x80) != 0)
            throw source.Fail(message.Origin, $"a message of the unknown type {message.Type} says that readers must understand it");
        Messages.Add(message);
        if (message.Type <= LastKnown && first[message.Type] == 0)
            first[message.Type] = Messages.Count;
    }
}
