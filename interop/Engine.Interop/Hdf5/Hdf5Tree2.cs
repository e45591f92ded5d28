namespace Engine.Interop.Hdf5;

/// <summary>Lists the records of a B-tree of version 2.</summary>
internal static class Hdf5Tree2
{
    private const string What = "B-tree of version 2";

    public static List<(byte[] Record, long Offset)> Records(Hdf5Source source, long address, int type, int recordSize, Hdf5Budget? whole = null)
    {
        var headSize = 4 + 2 + 4 + 2 + 2 + 2 + source.AddressSize + 2 + source.LengthSize + 4;
        var bytes = source.Read(address, headSize, What);
        var head = new Hdf5Cursor(source, bytes, address, What);
        head.Signature("BTHD");
        head.Version(0);
        int foundType = head.U8();
        long nodeSize = head.U32();
        var foundSize = head.U16();
        var depth = head.U16();
        head.Skip(2);
        var root = head.Address();
        var rootRecords = head.U16();
        Hdf5Checksums.Verify(source, bytes, address, What);
        if (foundType != type || foundSize != recordSize)
            throw head.Fail($"it has records of type {foundType} and {foundSize} bytes; expected type {type} and {recordSize}");
        if (nodeSize < 10 + recordSize || depth > 16)
            throw head.Fail($"nodes of {nodeSize} bytes at depth {depth} are not plausible");
        var records = new List<(byte[], long)>();
        if (root == Hdf5Source.Undefined)
            return records;

        // A pointer holds the child's records in as many bytes as its greatest number needs, and so the sum of all below it.
        var most = (nodeSize - 10) / recordSize;
        var countWidth = Width(most);
        var totalWidth = new int[depth + 1];
        Int128 below = most;
        for (var level = 1; level <= depth; level++)
        {
            var pointer = source.AddressSize + countWidth + totalWidth[level - 1];
            var here = (nodeSize - 10 - pointer) / (recordSize + pointer);
            if (here < 1)
                throw head.Fail($"nodes of {nodeSize} bytes are too small");
            below = (here + 1) * below + here;
            if (below > long.MaxValue)
                throw head.Fail($"depth {depth} is not plausible");
            totalWidth[level] = Width((long)below);
        }

        var budget = new Hdf5Budget(source, "a " + What, whole);
        var pending = new Stack<(long Address, long Records, int Level)>();
        pending.Push((root, rootRecords, depth));
        while (pending.TryPop(out var node))
        {
            var pointer = node.Level == 0 ? 0 : source.AddressSize + countWidth + (node.Level > 1 ? totalWidth[node.Level - 1] : 0);
            var used = 6 + node.Records * recordSize + (node.Level == 0 ? 0 : (node.Records + 1) * pointer) + 4;
            if (used > nodeSize)
                throw source.Fail(node.Address, $"{What}: a node is said to have {node.Records} records, which do not fit its {nodeSize} bytes");
            budget.Charge(node.Address, used);
            var block = source.Read(node.Address, used, What);
            var cursor = new Hdf5Cursor(source, block, node.Address, What);
            cursor.Signature(node.Level == 0 ? "BTLF" : "BTIN");
            cursor.Skip(2);
            Hdf5Checksums.Verify(source, block, node.Address, What);
            for (var i = 0L; i < node.Records; i++)
            {
                var at = cursor.Offset;
                records.Add((cursor.Bytes(recordSize).ToArray(), at));
            }
            for (var i = 0L; node.Level > 0 && i <= node.Records; i++)
            {
                var child = cursor.Address();
                var count = cursor.Unsigned(countWidth);
                cursor.Skip(pointer - source.AddressSize - countWidth);
                if (child == Hdf5Source.Undefined || count > most)
                    throw cursor.Fail($"a child has an undefined address or {count} records, more than fit a node");
                pending.Push((child, count, node.Level - 1));
            }
        }
        return records;
    }

    /// <summary>The bytes that the library uses for numbers up to a limit.</summary>
    internal static int Width(long limit) => System.Numerics.BitOperations.Log2((ulong)Math.Max(limit, 1)) / 8 + 1;
}
