using System.Buffers.Binary;
using System.Collections.ObjectModel;

namespace Engine.Interop.Safetensors;

/// <summary>
/// The content of a safetensors file: named tensors and string metadata.
/// Layout: an 8-byte little-endian header length, a JSON header, and one buffer that the tensors cover without gap or overlap.
/// </summary>
public sealed class SafetensorsFile
{
    /// <summary>Longer headers are refused, as by the reference implementation.</summary>
    internal const int MaximumHeader = 100_000_000;

    private readonly Dictionary<string, SafetensorsTensor> byName;

    private SafetensorsFile(string path, List<SafetensorsTensor> tensors, Dictionary<string, string> metadata)
    {
        Path = path;
        Tensors = tensors.AsReadOnly();
        Metadata = new ReadOnlyDictionary<string, string>(metadata);
        byName = tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
    }

    /// <summary>The file that was read.</summary>
    public string Path { get; }

    /// <summary>The tensors in the order of their data.</summary>
    public IReadOnlyList<SafetensorsTensor> Tensors { get; }

    /// <summary>The strings of the header's <c>__metadata__</c>; empty where it has none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>The tensor of this name.</summary>
    /// <exception cref="InteropFormatException">The file has no such tensor; the message names similar ones.</exception>
    public SafetensorsTensor this[string name] => TryGet(name, out var tensor)
        ? tensor
        : throw new InteropFormatException(Path, 8, $"there is no tensor '{name}'; {NearNames.Describe(name, byName.Keys)}");

    /// <summary>Looks a tensor up.</summary>
    public bool TryGet(string name, [System.Diagnostics.CodeAnalysis.MaybeNullWhen(false)] out SafetensorsTensor tensor) => byName.TryGetValue(name, out tensor);

    /// <summary>Reads and checks a whole file. Memory: the file's size and the header once more.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="InteropFormatException">The file breaks a rule of the format.</exception>
    /// <exception cref="IOException">The file is absent or cannot be read.</exception>
    public static SafetensorsFile Read(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        using var handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read, FileOptions.SequentialScan);
        var length = RandomAccess.GetLength(handle);
        if (length < 8)
            throw new InteropFormatException(path, 0, $"the file has {length} bytes; expected at least 8, the length of the header");
        var headerLength = BinaryPrimitives.ReadUInt64LittleEndian(Bytes(0, 8));
        if (headerLength > MaximumHeader)
            throw new InteropFormatException(path, 0, $"the header's length is {headerLength} bytes; expected at most {MaximumHeader}");
        if ((long)headerLength > length - 8)
            throw new InteropFormatException(path, 0, $"the header's length is {headerLength} bytes, but the file ends {length - 8} bytes after it: truncated, or not a safetensors file");
        var begin = 8 + (long)headerLength;
        var header = SafetensorsHeader.Parse(path, Bytes(8, (int)headerLength), length - begin);
        var tensors = new List<SafetensorsTensor>(header.Tensors.Count);
        foreach (var entry in header.Tensors)
            tensors.Add(new SafetensorsTensor(entry.Name, entry.Type, entry.Shape, Bytes(begin + entry.Begin, (int)(entry.End - entry.Begin))));
        return new SafetensorsFile(path, tensors, header.Metadata);

        byte[] Bytes(long offset, int count)
        {
            var bytes = new byte[count];
            var done = 0;
            while (done < count)
            {
                var read = RandomAccess.Read(handle, bytes.AsSpan(done), offset + done);
                if (read == 0)
                    throw new InteropFormatException(path, offset + done, $"the file ends here; expected {count - done} bytes more (it was shortened while it was read)");
                done += read;
            }
            return bytes;
        }
    }

    /// <summary>
    /// Writes a file atomically. The bytes are a function of the arguments alone, whatever the order of the tensors and of the
    /// metadata: tensors are sorted as the reference implementation sorts them, metadata by key.
    /// </summary>
    /// <param name="path">The file to create or replace.</param>
    /// <param name="tensors">The tensors, with distinct names.</param>
    /// <param name="metadata">Strings to store beside them, or null.</param>
    /// <exception cref="ArgumentException">A name is not valid text, reserved or used twice, or data and shape disagree.</exception>
    public static void Write(string path, IReadOnlyList<SafetensorsTensor> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var sorted = SafetensorsWriter.Sort(tensors);
        var header = SafetensorsWriter.Header(sorted, metadata);
        AtomicFile.Write(path, stream =>
        {
            Span<byte> length = stackalloc byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
            stream.Write(length);
            stream.Write(header);
            foreach (var tensor in sorted)
                stream.Write(tensor.Data.Span);
        });
    }
}
