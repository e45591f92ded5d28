namespace Engine.Interop.Hdf5;

/// <summary>Finds and reads the superblock, versions 0 to 3.</summary>
internal static class Hdf5Superblock
{
    private static ReadOnlySpan<byte> Magic => [0x89, (byte)'H', (byte)'D', (byte)'F', 0x0d, 0x0a, 0x1a, 0x0a];

    /// <summary>Sets the source's widths and base; returns the address of the root group's object header.</summary>
    public static long Read(Hdf5Source source)
    {
        var start = Find(source);
        source.Base = start;
        var cursor = source.Cursor(start, Math.Min(128, source.Length - start), "superblock");
        cursor.Skip(8);
        var version = cursor.U8();
        if (version > 3)
            throw cursor.Fail($"version {version} is not supported; expected 0 to 3");
        long userBlock, end, root;
        if (version <= 1)
        {
            cursor.Skip(4);
            Widths(source, ref cursor);
            cursor.Skip(1 + 2 + 2 + 4);
            if (version == 1)
                cursor.Skip(4);
            userBlock = cursor.Unsigned(source.AddressSize);
            cursor.Skip(source.AddressSize);
            end = cursor.Unsigned(source.AddressSize);
            cursor.Skip(2 * source.AddressSize); // the driver block, and the name of the root's link, which is empty
            root = cursor.Address();
        }
        else
        {
            Widths(source, ref cursor);
            cursor.Skip(1);
            userBlock = cursor.Unsigned(source.AddressSize);
            cursor.Skip(source.AddressSize);
            end = cursor.Unsigned(source.AddressSize);
            root = cursor.Address();
            Hdf5Checksums.Verify(source, source.Read(start, cursor.Position + 4, "superblock"), start, "superblock");
        }
        // The end counts from the file's first byte, the user block as it was when the file was written included.
        if (end - userBlock > source.Length - start)
            throw source.Fail(source.Length, $"the file is truncated: its superblock says {end} bytes, it has {source.Length}");
        if (root == Hdf5Source.Undefined)
            throw source.Fail(start, "superblock: there is no root group");
        return root;
    }

    private static long Find(Hdf5Source source)
    {
        // A user block, a power of two of at least 512 bytes, may stand before the superblock.
        Span<byte> bytes = stackalloc byte[8];
        for (var at = 0L; at <= source.Length - 8; at = at == 0 ? 512 : 2 * at)
        {
            source.Fill(at, bytes, "superblock");
            if (bytes.SequenceEqual(Magic))
                return at;
        }
        throw source.Fail(0, "this is not an HDF5 file: it has no HDF5 signature");
    }

    private static void Widths(Hdf5Source source, ref Hdf5Cursor cursor)
    {
        source.AddressSize = Width(ref cursor, "addresses");
        source.LengthSize = Width(ref cursor, "lengths");
    }

    private static int Width(ref Hdf5Cursor cursor, string what)
    {
        var size = cursor.U8();
        return size is 2 or 4 or 8 ? size : throw cursor.Fail($"{what} of {size} bytes are not supported; expected 2, 4 or 8");
    }
}
