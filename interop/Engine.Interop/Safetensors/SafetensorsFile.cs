using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Engine.Interop.Safetensors;

/// <summary>Element types of the format.</summary>
public enum SafetensorsType
{
    /// <summary>One byte, 0 or 1.</summary>
    BOOL,
    /// <summary>Unsigned byte.</summary>
    U8,
    /// <summary>Signed byte.</summary>
    I8,
    /// <summary>16-bit signed.</summary>
    I16,
    /// <summary>16-bit unsigned.</summary>
    U16,
    /// <summary>IEEE half.</summary>
    F16,
    /// <summary>bfloat16.</summary>
    BF16,
    /// <summary>32-bit signed.</summary>
    I32,
    /// <summary>32-bit unsigned.</summary>
    U32,
    /// <summary>IEEE single.</summary>
    F32,
    /// <summary>IEEE double.</summary>
    F64,
    /// <summary>64-bit signed.</summary>
    I64,
    /// <summary>64-bit unsigned.</summary>
    U64,
}

/// <summary>A named array, row-major, little-endian.</summary>
/// <param name="Name">Unique in the file.</param>
/// <param name="Type">Element type.</param>
/// <param name="Shape">Sizes; empty for a scalar.</param>
/// <param name="Data">The bytes.</param>
public sealed record SafetensorsTensor(string Name, SafetensorsType Type, long[] Shape, ReadOnlyMemory<byte> Data)
{
    /// <summary>A float32 tensor.</summary>
    public static SafetensorsTensor Of(string name, long[] shape, ReadOnlySpan<float> values) =>
        new(name, SafetensorsType.F32, shape, MemoryMarshal.AsBytes(values).ToArray());

    /// <summary>An int32 tensor.</summary>
    public static SafetensorsTensor Of(string name, long[] shape, ReadOnlySpan<int> values) =>
        new(name, SafetensorsType.I32, shape, MemoryMarshal.AsBytes(values).ToArray());

    /// <summary>Number of elements.</summary>
    public long Elements => Shape.Aggregate(1L, (a, b) => a * b);

    /// <summary>The elements as float64, whatever the type (64-bit integers beyond 2^53 are rounded).</summary>
    public double[] ToDoubles()
    {
        var bytes = Data.Span;
        var values = new double[Elements];
        int size = SafetensorsFile.Size(Type);
        for (int i = 0; i < values.Length; i++)
        {
            var at = bytes.Slice(i * size, size);
            values[i] = Type switch
            {
                SafetensorsType.BOOL or SafetensorsType.U8 => at[0],
                SafetensorsType.I8 => (sbyte)at[0],
                SafetensorsType.I16 => BinaryPrimitives.ReadInt16LittleEndian(at),
                SafetensorsType.U16 => BinaryPrimitives.ReadUInt16LittleEndian(at),
                SafetensorsType.F16 => (double)BinaryPrimitives.ReadHalfLittleEndian(at),
                SafetensorsType.BF16 => BitConverter.UInt32BitsToSingle((uint)BinaryPrimitives.ReadUInt16LittleEndian(at) << 16),
                SafetensorsType.I32 => BinaryPrimitives.ReadInt32LittleEndian(at),
                SafetensorsType.U32 => BinaryPrimitives.ReadUInt32LittleEndian(at),
                SafetensorsType.F32 => BinaryPrimitives.ReadSingleLittleEndian(at),
                SafetensorsType.F64 => BinaryPrimitives.ReadDoubleLittleEndian(at),
                SafetensorsType.I64 => BinaryPrimitives.ReadInt64LittleEndian(at),
                _ => BinaryPrimitives.ReadUInt64LittleEndian(at),
            };
        }
        return values;
    }

    /// <summary>The elements as float32.</summary>
    public float[] ToSingles() => Type == SafetensorsType.F32 && BitConverter.IsLittleEndian
        ? MemoryMarshal.Cast<byte, float>(Data.Span).ToArray()
        : Array.ConvertAll(ToDoubles(), v => (float)v);
}

/// <summary>
/// The safetensors format: 8 bytes little-endian header length, a JSON header of at most 100 MB, then the packed bytes of the tensors without holes or
/// overlap. Nothing in a file is executed.
/// </summary>
public sealed class SafetensorsFile
{
    private const long MaxHeader = 100_000_000;

    private readonly string _path;
    private readonly Dictionary<string, SafetensorsTensor> _byName = [];

    private SafetensorsFile(string path) => _path = path;

    /// <summary>The tensors in the order of their bytes.</summary>
    public IReadOnlyList<SafetensorsTensor> Tensors { get; private set; } = [];

    /// <summary>Text stored beside the tensors.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; private set; } = new Dictionary<string, string>();

    /// <summary>Whether the file has a tensor of that name.</summary>
    public bool Contains(string name) => _byName.ContainsKey(name);

    /// <summary>The tensor of that name.</summary>
    /// <exception cref="InteropFormatException">There is none; the message names some that exist.</exception>
    public SafetensorsTensor this[string name] => _byName.TryGetValue(name, out var tensor) ? tensor
        : throw new InteropFormatException(_path, -1, $"no tensor {name}; there are {_byName.Count}: {string.Join(", ", _byName.Keys.Take(8))}{(_byName.Count > 8 ? ", ..." : "")}");

    internal static int Size(SafetensorsType type) => type switch
    {
        SafetensorsType.BOOL or SafetensorsType.U8 or SafetensorsType.I8 => 1,
        SafetensorsType.I16 or SafetensorsType.U16 or SafetensorsType.F16 or SafetensorsType.BF16 => 2,
        SafetensorsType.I32 or SafetensorsType.U32 or SafetensorsType.F32 => 4,
        _ => 8,
    };

    /// <summary>Reads and checks a file.</summary>
    /// <exception cref="InteropFormatException">The file breaks a rule of the format.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static SafetensorsFile Read(string path)
    {
        long length = new FileInfo(path).Length;
        if (length > Array.MaxLength) throw new InteropFormatException(path, -1, $"{length} bytes; files up to {Array.MaxLength} bytes are read");
        return Parse(path, File.ReadAllBytes(path));
    }

    /// <summary>Parses the bytes of a file; the path is for messages.</summary>
    public static SafetensorsFile Parse(string path, ReadOnlyMemory<byte> bytes)
    {
        if (bytes.Length < 8) throw new InteropFormatException(path, 0, $"expected an 8-byte header length, the file has {bytes.Length} bytes");
        ulong declared = BinaryPrimitives.ReadUInt64LittleEndian(bytes.Span);
        if (declared > MaxHeader) throw new InteropFormatException(path, 0, $"header of {declared} bytes, expected at most {MaxHeader}");
        if (declared > (ulong)(bytes.Length - 8)) throw new InteropFormatException(path, 0, $"header of {declared} bytes in a file of {bytes.Length}");
        int header = (int)declared;
        var file = new SafetensorsFile(path);
        try { file.ReadHeader(bytes.Slice(8, header).Span, bytes[(8 + header)..]); }
        catch (JsonException e) { throw new InteropFormatException(path, 8 + (e.BytePositionInLine ?? 0), "header is not valid JSON: " + e.Message.Split('.')[0]); }
        catch (InvalidOperationException e) when (e.InnerException is DecoderFallbackException) { throw new InteropFormatException(path, 8, "header is not valid UTF-8"); }
        return file;
    }

    private void ReadHeader(ReadOnlySpan<byte> json, ReadOnlyMemory<byte> data)
    {
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 8 });
        InteropFormatException Fail(ref Utf8JsonReader at, string message) => new(_path, 8 + at.TokenStartIndex, message);
        void Next(ref Utf8JsonReader at, JsonTokenType expected)
        {
            if (!at.Read() || at.TokenType != expected) throw new InteropFormatException(_path, 8 + at.TokenStartIndex, $"header: expected {expected}, found {at.TokenType}");
        }

        Next(ref reader, JsonTokenType.StartObject);
        var entries = new List<(string Name, SafetensorsType Type, long[] Shape, long Begin, long End, long At)>();
        bool hasMetadata = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = reader.GetString()!;
            long at = 8 + reader.TokenStartIndex;
            if (name == "__metadata__")
            {
                if (hasMetadata) throw Fail(ref reader, "header: __metadata__ appears twice");
                hasMetadata = true;
                var metadata = new Dictionary<string, string>();
                Next(ref reader, JsonTokenType.StartObject);
                while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                {
                    string key = reader.GetString()!;
                    Next(ref reader, JsonTokenType.String);
                    if (!metadata.TryAdd(key, reader.GetString()!)) throw Fail(ref reader, $"header: metadata key {key} appears twice");
                }
                Metadata = metadata;
                continue;
            }
            entries.Add(ReadEntry(ref reader, name, at));
        }
        if (reader.TokenType != JsonTokenType.EndObject) throw Fail(ref reader, "header: expected the end of the object");
        while (reader.Read()) throw Fail(ref reader, "header: something follows the object");

        var tensors = new List<SafetensorsTensor>();
        long expected = 0;
        foreach (var e in entries.OrderBy(e => e.Begin).ThenBy(e => e.End))
        {
            if (e.Begin != expected) throw new InteropFormatException(_path, e.At, $"tensor {e.Name} begins at {e.Begin} of the data, expected {expected}: tensors must neither overlap nor leave holes");
            if (e.End < e.Begin || e.End > data.Length) throw new InteropFormatException(_path, e.At, $"tensor {e.Name} ends at {e.End}, the data has {data.Length} bytes");
            long bytes = ByteCount(e.Name, e.Type, e.Shape, e.At);
            if (bytes != e.End - e.Begin) throw new InteropFormatException(_path, e.At, $"tensor {e.Name} of type {e.Type} and shape [{string.Join(",", e.Shape)}] needs {bytes} bytes, its range has {e.End - e.Begin}");
            var tensor = new SafetensorsTensor(e.Name, e.Type, e.Shape, data.Slice((int)e.Begin, (int)bytes));
            if (!_byName.TryAdd(e.Name, tensor)) throw new InteropFormatException(_path, e.At, $"tensor {e.Name} appears twice");
            tensors.Add(tensor);
            expected = e.End;
        }
        if (expected != data.Length) throw new InteropFormatException(_path, 8 + json.Length + expected, $"{data.Length - expected} bytes belong to no tensor");
        Tensors = tensors;
    }

    private (string, SafetensorsType, long[], long, long, long) ReadEntry(ref Utf8JsonReader reader, string name, long at)
    {
        InteropFormatException Bad(string what) => new(_path, at, $"tensor {name}: {what}");
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) throw Bad("expected an object with dtype, shape and data_offsets");
        SafetensorsType? type = null;
        long[]? shape = null, offsets = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string key = reader.GetString()!;
            reader.Read();
            switch (key)
            {
                case "dtype" when type is null:
                    if (reader.TokenType != JsonTokenType.String || !Enum.TryParse<SafetensorsType>(reader.GetString(), out var parsed) || !Enum.IsDefined(parsed) || char.IsDigit(reader.GetString()![0]))
                        throw Bad("dtype is not one of " + string.Join(", ", Enum.GetNames<SafetensorsType>()));
                    type = parsed;
                    break;
                case "shape" when shape is null: shape = Integers(ref reader); break;
                case "data_offsets" when offsets is null: offsets = Integers(ref reader); break;
                default: throw Bad($"unexpected or repeated key {key}");
            }
        }
        if (type is null || shape is null || offsets is not { Length: 2 }) throw Bad("expected dtype, shape and two data_offsets");
        return (name, type.Value, shape, offsets[0], offsets[1], at);

        long[] Integers(ref Utf8JsonReader r)
        {
            if (r.TokenType != JsonTokenType.StartArray) throw Bad("expected an array of integers");
            var values = new List<long>();
            while (r.Read() && r.TokenType != JsonTokenType.EndArray)
            {
                if (r.TokenType != JsonTokenType.Number || !r.TryGetInt64(out long value) || value < 0 || values.Count == 64) throw Bad("expected at most 64 integers, none negative");
                values.Add(value);
            }
            return values.ToArray();
        }
    }

    private long ByteCount(string name, SafetensorsType type, long[] shape, long at)
    {
        long bytes = Size(type);
        if (shape.Contains(0)) return 0;
        foreach (long size in shape)
        {
            if (bytes > long.MaxValue / size) throw new InteropFormatException(_path, at, $"tensor {name}: shape [{string.Join(",", shape)}] overflows");
            bytes *= size;
        }
        return bytes;
    }

    /// <summary>Writes a file atomically. Wider types come first and names ascend, so equal content gives equal bytes.</summary>
    public static void Write(string path, IEnumerable<SafetensorsTensor> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var ordered = tensors.OrderByDescending(t => Size(t.Type)).ThenBy(t => t.Name, StringComparer.Ordinal).ToArray();
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            if (metadata is { Count: > 0 })
            {
                json.WriteStartObject("__metadata__");
                foreach (var (key, value) in metadata.OrderBy(m => m.Key, StringComparer.Ordinal)) json.WriteString(key, value);
                json.WriteEndObject();
            }
            long offset = 0;
            foreach (var tensor in ordered)
            {
                if (tensor.Elements * Size(tensor.Type) != tensor.Data.Length) throw new ArgumentException($"tensor {tensor.Name}: shape [{string.Join(",", tensor.Shape)}] of {tensor.Type} against {tensor.Data.Length} bytes");
                json.WriteStartObject(tensor.Name);
                json.WriteString("dtype", tensor.Type.ToString());
                json.WriteStartArray("shape");
                foreach (long size in tensor.Shape) json.WriteNumberValue(size);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offset);
                json.WriteNumberValue(offset += tensor.Data.Length);
                json.WriteEndArray();
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        // Spaces after the header align the data to 8 bytes, as the reference implementation does.
        while (buffer.Length % 8 != 0) buffer.WriteByte((byte)' ');
        AtomicFile.Write(path, stream =>
        {
            Span<byte> length = stackalloc byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(length, buffer.Length);
            stream.Write(length);
            buffer.WriteTo(stream);
            foreach (var tensor in ordered) stream.Write(tensor.Data.Span);
        });
    }
}
