namespace Engine.Interop.Numpy;

/// <summary>Reads and writes .npy files. Pickled objects are recognised and never read.</summary>
public static class NpyFile
{
    /// <summary>Reads an array.</summary>
    /// <exception cref="InteropFormatException">Not an array of a simple type, or damaged.</exception>
    public static NpyArray Read(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16);
        var header = NpyHeader.Read(stream, path, "array");
        long left = stream.Length - header.Length;
        if (header.Type.Kind < NpyKind.Object && left != header.Bytes)
            throw new InteropFormatException(path, header.Length, $"{left} bytes of elements, expected {header.Bytes} for shape ({string.Join(", ", header.Shape)}) of {header.Type}");
        return ReadElements(stream, header, Path.GetFileNameWithoutExtension(path), path, "array");
    }

    /// <summary>Writes an array atomically.</summary>
    public static void Write(string path, NpyArray array) => AtomicFile.Write(path, stream => WriteTo(stream, array));

    internal static void WriteTo(Stream stream, NpyArray array)
    {
        new NpyHeader(array.Type, false, array.Shape, 0).Write(stream);
        stream.Write(array.Data.Span);
    }

    /// <summary>Reads exactly the elements a header announces, growing the array as they come, so that a false header allocates nothing.</summary>
    internal static NpyArray ReadElements(Stream stream, NpyHeader header, string name, string path, string what)
    {
        if (header.Type.Kind >= NpyKind.Object) throw new InteropFormatException(path, header.Length, header.Refusal(what));
        if (header.Bytes > Array.MaxLength) throw new InteropFormatException(path, header.Length, $"{what} has {header.Bytes} bytes of elements, more than fit in one array");
        var data = new byte[Math.Min(header.Bytes, 1 << 20)];
        int filled = 0;
        while (true)
        {
            int read = stream.ReadAtLeast(data.AsSpan(filled), data.Length - filled, throwOnEndOfStream: false);
            filled += read;
            if (filled == header.Bytes) break;
            if (filled < data.Length) throw new InteropFormatException(path, header.Length, $"{what} ends after {filled} bytes of elements, expected {header.Bytes} for shape ({string.Join(", ", header.Shape)}) of {header.Type}");
            Array.Resize(ref data, (int)Math.Min(header.Bytes, 2L * data.Length));
        }
        if (stream.ReadByte() >= 0) throw new InteropFormatException(path, header.Length, $"{what} has more bytes than its shape ({string.Join(", ", header.Shape)}) of {header.Type} needs");
        return new NpyArray(name, header.Type, header.Shape, header.FortranOrder && header.Shape.Length > 1 ? RowMajor(data, header) : data);
    }

    private static byte[] RowMajor(byte[] data, NpyHeader header)
    {
        int size = header.Type.Size, rank = header.Shape.Length;
        var result = new byte[data.Length];
        var index = new long[rank];
        var strides = new long[rank];
        long stride = size;
        for (int axis = 0; axis < rank; axis++)
        {
            strides[axis] = stride;
            stride *= header.Shape[axis];
        }
        long from = 0;
        for (long to = 0; to < result.Length; to += size)
        {
            data.AsSpan((int)from, size).CopyTo(result.AsSpan((int)to));
            for (int axis = rank - 1; axis >= 0; axis--)
            {
                from += strides[axis];
                if (++index[axis] < header.Shape[axis]) break;
                from -= strides[axis] * header.Shape[axis];
                index[axis] = 0;
            }
        }
        return result;
    }
}
