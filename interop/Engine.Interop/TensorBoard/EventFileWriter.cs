using System.Buffers.Binary;
using System.Numerics;
using Google.Protobuf;

namespace Engine.Interop.TensorBoard;

/// <summary>
/// Writes scalars to a TensorBoard event file: records of length, masked CRC-32C, an Event message (tensorflow/core/util/event.proto), and the message's CRC. Every writer begins a file of its
/// own; a process that dies loses at most what was not flushed.
/// </summary>
public sealed class EventFileWriter : IDisposable
{
    private static int _files;
    private readonly FileStream _stream;

    /// <summary>Begins a file in a folder, which must exist.</summary>
    /// <param name="folder">Where TensorBoard is pointed at, or below.</param>
    /// <param name="wallTime">Seconds since 1970.</param>
    public EventFileWriter(string folder, double wallTime)
    {
        Path = System.IO.Path.Combine(folder, $"events.out.tfevents.{(long)wallTime:D10}.engine.{Environment.ProcessId}.{Interlocked.Increment(ref _files)}");
        _stream = new FileStream(Path, FileMode.CreateNew, FileAccess.Write, FileShare.Read, 1 << 14);
        Write(wallTime, 0, output =>
        {
            output.WriteTag(3, WireFormat.WireType.LengthDelimited);
            output.WriteString("brain.Event:2");
        });
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>Adds a value.</summary>
    /// <param name="tag">Name of the curve, such as loss/critic.</param>
    /// <param name="step">Update.</param>
    /// <param name="value">Its value.</param>
    /// <param name="wallTime">Seconds since 1970.</param>
    public void Scalar(string tag, long step, float value, double wallTime) => Write(wallTime, step, output =>
    {
        var entry = Message(o =>
        {
            o.WriteTag(1, WireFormat.WireType.LengthDelimited);
            o.WriteString(tag);
            o.WriteTag(2, WireFormat.WireType.Fixed32);
            o.WriteFloat(value);
        });
        var summary = Message(o =>
        {
            o.WriteTag(1, WireFormat.WireType.LengthDelimited);
            o.WriteBytes(ByteString.CopyFrom(entry));
        });
        output.WriteTag(5, WireFormat.WireType.LengthDelimited);
        output.WriteBytes(ByteString.CopyFrom(summary));
    });

    /// <summary>Says that values from a step on are written anew: TensorBoard drops what earlier files have from there.</summary>
    public void Restart(long step, double wallTime) => Write(wallTime, step, output =>
    {
        output.WriteTag(7, WireFormat.WireType.LengthDelimited);
        output.WriteBytes(ByteString.CopyFrom(8, 1)); // SessionLog { status: START }
    });

    /// <summary>Hands what was written to the operating system.</summary>
    public void Flush() => _stream.Flush();

    private void Write(double wallTime, long step, Action<CodedOutputStream> what)
    {
        var message = Message(output =>
        {
            output.WriteTag(1, WireFormat.WireType.Fixed64);
            output.WriteDouble(wallTime);
            output.WriteTag(2, WireFormat.WireType.Varint);
            output.WriteInt64(step);
            what(output);
        });
        Span<byte> length = stackalloc byte[8], crc = stackalloc byte[4];
        BinaryPrimitives.WriteInt64LittleEndian(length, message.Length);
        _stream.Write(length);
        BinaryPrimitives.WriteUInt32LittleEndian(crc, MaskedCrc(length));
        _stream.Write(crc);
        _stream.Write(message);
        BinaryPrimitives.WriteUInt32LittleEndian(crc, MaskedCrc(message));
        _stream.Write(crc);
    }

    private static byte[] Message(Action<CodedOutputStream> write)
    {
        using var memory = new MemoryStream();
        using (var output = new CodedOutputStream(memory, leaveOpen: true)) write(output);
        return memory.ToArray();
    }

    /// <summary>CRC-32C, rotated and shifted, so that a record that holds CRCs is not its own check.</summary>
    public static uint MaskedCrc(ReadOnlySpan<byte> data)
    {
        uint crc = ~0u;
        foreach (byte b in data) crc = BitOperations.Crc32C(crc, b);
        crc = ~crc;
        return unchecked(BitOperations.RotateRight(crc, 15) + 0xa282ead8);
    }

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();
}
