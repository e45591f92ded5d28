using System.Text.Json;
using System.Text.Unicode;

namespace Engine.Interop.Safetensors;

/// <summary>The checked header of a safetensors file.</summary>
internal sealed class SafetensorsHeader
{
    private const int MaximumRank = 64;
    private const long MaximumTensor = 0x7fff_ffc7; // the longest byte array of .NET

    private readonly string path;
    private readonly Dictionary<string, long> seen = new(StringComparer.Ordinal);

    private SafetensorsHeader(string path) => this.path = path;

    /// <summary>Tensors by ascending offset.</summary>
    public List<Entry> Tensors { get; } = [];

    public Dictionary<string, string> Metadata { get; } = new(StringComparer.Ordinal);

    /// <summary>One tensor's place: offsets are relative to the end of the header, Position is where the file describes it.</summary>
    public sealed record Entry(string Name, SafetensorsType Type, long[] Shape, long Begin, long End, long Position);

    /// <summary>Parses the JSON and checks it against the length of the buffer behind it.</summary>
    public static SafetensorsHeader Parse(string path, byte[] json, long bufferLength)
    {
        var header = new SafetensorsHeader(path);
        if (!Utf8.IsValid(json))
            throw header.Fail(FirstInvalid(json), "the header is not valid UTF-8");
        if (json.Length == 0 || json[0] != (byte)'{')
            throw header.Fail(0, "the header does not begin with '{'; expected a JSON object");
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 16 });
        try
        {
            header.ReadAll(ref reader);
        }
        catch (JsonException error)
        {
            throw new InteropFormatException(path, 8 + reader.BytesConsumed, "the header is not valid JSON: " + error.Message, error);
        }
        catch (InvalidOperationException error)
        {
            // What GetString says to escapes that are half a surrogate pair.
            throw new InteropFormatException(path, 8 + reader.TokenStartIndex, "the header has a string that is not valid Unicode", error);
        }
        header.CheckOffsets(8 + json.Length, bufferLength);
        return header;
    }

    private void ReadAll(ref Utf8JsonReader reader)
    {
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var position = reader.TokenStartIndex;
            var name = reader.GetString()!;
            if (!seen.TryAdd(name, position))
                throw Fail(position, $"the key '{name}' occurs twice; it was first at byte {8 + seen[name]}");
            reader.Read();
            if (name == "__metadata__")
                ReadMetadata(ref reader);
            else
                ReadTensor(ref reader, name, position);
        }
        // Reads what may follow the object: only white space passes.
        while (reader.Read())
        {
        }
    }

    private void ReadMetadata(ref Utf8JsonReader reader)
    {
        if (reader.TokenType == JsonTokenType.Null)
            return;
        Expect(ref reader, JsonTokenType.StartObject, "'__metadata__'", "an object of strings");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var position = reader.TokenStartIndex;
            var key = reader.GetString()!;
            reader.Read();
            Expect(ref reader, JsonTokenType.String, $"the metadata of '{key}'", "a string");
            if (!Metadata.TryAdd(key, reader.GetString()!))
                throw Fail(position, $"the key '{key}' occurs twice in '__metadata__'");
        }
    }

    private void ReadTensor(ref Utf8JsonReader reader, string name, long position)
    {
        Expect(ref reader, JsonTokenType.StartObject, $"the description of tensor '{name}'", "an object with dtype, shape and data_offsets");
        SafetensorsType? type = null;
        long[]? shape = null, offsets = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var at = reader.TokenStartIndex;
            var key = reader.GetString()!;
            reader.Read();
            switch (key)
            {
                case "dtype" when type is null:
                    Expect(ref reader, JsonTokenType.String, $"dtype of tensor '{name}'", "a string");
                    var text = reader.GetString()!;
                    type = SafetensorsType.Find(text) ?? throw Fail(reader.TokenStartIndex, $"tensor '{name}' has dtype '{text}', which is not supported; expected F32, F64, F16, BF16, I64, I32, U8, BOOL, ...");
                    break;
                case "shape" when shape is null:
                    shape = ReadNumbers(ref reader, $"shape of tensor '{name}'", MaximumRank);
                    break;
                case "data_offsets" when offsets is null:
                    offsets = ReadNumbers(ref reader, $"data_offsets of tensor '{name}'", 2);
                    if (offsets.Length != 2)
                        throw Fail(at, $"data_offsets of tensor '{name}' has {offsets.Length} numbers; expected 2");
                    break;
                case "dtype" or "shape" or "data_offsets":
                    throw Fail(at, $"the key '{key}' of tensor '{name}' occurs twice");
                default:
                    reader.Skip();
                    break;
            }
        }
        if (type is null || shape is null || offsets is null)
            throw Fail(position, $"tensor '{name}' has no {(type is null ? "dtype" : shape is null ? "shape" : "data_offsets")}");
        Tensors.Add(new Entry(name, type, shape, offsets[0], offsets[1], position));
    }

    private long[] ReadNumbers(ref Utf8JsonReader reader, string what, int maximum)
    {
        Expect(ref reader, JsonTokenType.StartArray, what, "an array of non-negative integers");
        var numbers = new List<long>(4);
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out var number) || number < 0)
                throw Fail(reader.TokenStartIndex, $"{what} has an element that is not an integer from 0 to {long.MaxValue}");
            if (numbers.Count == maximum)
                throw Fail(reader.TokenStartIndex, $"{what} has more than {maximum} numbers");
            numbers.Add(number);
        }
        return numbers.ToArray();
    }

    private void CheckOffsets(long dataStart, long bufferLength)
    {
        // Stable order for tensors without elements, which may share an offset.
        var sorted = Tensors.OrderBy(entry => entry.Begin).ThenBy(entry => entry.End).ToList();
        Tensors.Clear();
        Tensors.AddRange(sorted);
        var previous = 0L;
        foreach (var entry in Tensors)
        {
            if (entry.Begin != previous || entry.End < entry.Begin)
                throw Fail(entry.Position, $"tensor '{entry.Name}' has data_offsets [{entry.Begin}, {entry.End}]; expected it to begin at {previous}, where the tensor before it ends, and to end no earlier");
            if (entry.End > bufferLength)
                throw Fail(entry.Position, $"tensor '{entry.Name}' ends at {entry.End} of the buffer, which has {bufferLength} bytes: the file is truncated or the header is wrong");
            long bytes = entry.Type.Size;
            try
            {
                foreach (var size in entry.Shape)
                    bytes = checked(bytes * size);
            }
            catch (OverflowException)
            {
                throw Fail(entry.Position, $"tensor '{entry.Name}' of {entry.Type} [{string.Join(", ", entry.Shape)}] has a size beyond 64 bits");
            }
            if (bytes != entry.End - entry.Begin)
                throw Fail(entry.Position, $"tensor '{entry.Name}' of {entry.Type} [{string.Join(", ", entry.Shape)}] needs {bytes} bytes, but its data_offsets give {entry.End - entry.Begin}");
            if (bytes > MaximumTensor)
                throw Fail(entry.Position, $"tensor '{entry.Name}' has {bytes} bytes; tensors beyond {MaximumTensor} bytes are not supported");
            previous = entry.End;
        }
        if (previous != bufferLength)
            throw new InteropFormatException(path, dataStart + previous, $"the tensors cover {previous} bytes of the buffer, which has {bufferLength}; expected all of it to be covered");
    }

    private void Expect(ref Utf8JsonReader reader, JsonTokenType type, string what, string expected)
    {
        if (reader.TokenType != type)
            throw Fail(reader.TokenStartIndex, $"{what} is a {reader.TokenType} of JSON; expected {expected}");
    }

    private InteropFormatException Fail(long inHeader, string message) => new(path, 8 + inHeader, message);

    private static int FirstInvalid(ReadOnlySpan<byte> bytes)
    {
        var at = 0;
        while (at < bytes.Length && System.Text.Rune.DecodeFromUtf8(bytes[at..], out _, out var used) == System.Buffers.OperationStatus.Done)
            at += used;
        return at;
    }
}
