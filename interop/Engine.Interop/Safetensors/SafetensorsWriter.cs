using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Engine.Interop.Safetensors;

/// <summary>Orders tensors and makes the JSON header, byte for byte as the reference implementation does.</summary>
internal static class SafetensorsWriter
{
    public static List<SafetensorsTensor> Sort(IReadOnlyList<SafetensorsTensor> tensors)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var tensor in tensors)
        {
            RequireText(tensor.Name, "the name of a tensor");
            if (tensor.Name == "__metadata__")
                throw new ArgumentException("'__metadata__' is the header's own key and cannot name a tensor.", nameof(tensors));
            if (!names.Add(tensor.Name))
                throw new ArgumentException($"two tensors are named '{tensor.Name}'.", nameof(tensors));
            long bytes = tensor.Type.Size;
            foreach (var size in tensor.Shape)
            {
                ArgumentOutOfRangeException.ThrowIfNegative(size, nameof(tensors));
                bytes = checked(bytes * size);
            }
            if (bytes != tensor.Data.Length)
                throw new ArgumentException($"tensor '{tensor.Name}' has {tensor.Data.Length} bytes of data; shape [{string.Join(", ", tensor.Shape)}] of {tensor.Type} needs {bytes}.", nameof(tensors));
        }
        // Descending alignment keeps every tensor aligned for its type without padding between them.
        var sorted = tensors.ToList();
        sorted.Sort((a, b) => a.Type.Order != b.Type.Order ? b.Type.Order.CompareTo(a.Type.Order) : CompareUtf8(a.Name, b.Name));
        return sorted;
    }

    public static byte[] Header(List<SafetensorsTensor> sorted, IReadOnlyDictionary<string, string>? metadata)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true }))
        {
            json.WriteStartObject();
            if (metadata is { Count: > 0 })
            {
                json.WriteStartObject("__metadata__");
                foreach (var (key, value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                {
                    RequireText(key, "a key of the metadata");
                    RequireText(value, $"the metadata of '{key}'");
                    json.WriteString(key, value);
                }
                json.WriteEndObject();
            }
            var offset = 0L;
            foreach (var tensor in sorted)
            {
                json.WriteStartObject(tensor.Name);
                json.WriteString("dtype", tensor.Type.Name);
                json.WriteStartArray("shape");
                foreach (var size in tensor.Shape)
                    json.WriteNumberValue(size);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offset);
                offset = checked(offset + tensor.Data.Length);
                json.WriteNumberValue(offset);
                json.WriteEndArray();
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        // Spaces up to a multiple of 8, so that the data begin aligned.
        while (buffer.Length % 8 != 0)
            buffer.WriteByte((byte)' ');
        if (buffer.Length > SafetensorsFile.MaximumHeader)
            throw new ArgumentException($"the header would have {buffer.Length} bytes; the format allows {SafetensorsFile.MaximumHeader}.");
        return buffer.ToArray();
    }

    // UTF-16 order and UTF-8 order differ beyond the basic plane, and the reference compares UTF-8.
    private static int CompareUtf8(string a, string b) => Encoding.UTF8.GetBytes(a).AsSpan().SequenceCompareTo(Encoding.UTF8.GetBytes(b));

    private static void RequireText(string text, string what)
    {
        ArgumentNullException.ThrowIfNull(text);
        for (var i = 0; i < text.Length; i++)
        {
            if (char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]))
                i++;
            else if (char.IsSurrogate(text[i]))
                throw new ArgumentException($"{what} has half a surrogate pair at character {i}, which has no UTF-8.");
        }
    }
}
