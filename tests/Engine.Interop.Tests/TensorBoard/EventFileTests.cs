using System.Buffers.Binary;
using System.Text;
using Engine.Interop.TensorBoard;

namespace Engine.Interop.Tests.TensorBoard;

public class EventFileTests
{
    [Fact]
    public void The_masked_checksum_is_that_of_the_format()
    {
        // CRC-32C of "123456789" is e3069283 (RFC 3720, appendix B.4 has the polynomial's test values).
        uint crc = 0xe3069283;
        Assert.Equal(unchecked(((crc >> 15) | (crc << 17)) + 0xa282ead8), EventFileWriter.MaskedCrc("123456789"u8));
    }

    [Fact]
    public void Records_hold_the_scalars()
    {
        using var folder = new TemporaryFolder();
        string path;
        using (var writer = new EventFileWriter(folder.Path, 1700000000.5))
        {
            path = writer.Path;
            writer.Scalar("train/loss", 100, 1.5f, 1700000001);
            writer.Scalar("evaluation/return", 200, -3f, 1700000002);
            writer.Restart(151, 1700000003);
        }
        Assert.Contains("events.out.tfevents.1700000000", path, StringComparison.Ordinal);
        var records = Records(File.ReadAllBytes(path));
        Assert.Equal(4, records.Count);
        Assert.Equal((151, 1), (BitConverter.ToInt64(Field(records[3], 2)!), BitConverter.ToInt64(Field(Field(records[3], 7)!, 1)!)));
        Assert.Equal("brain.Event:2", Encoding.UTF8.GetString(Field(records[0], 3)!));
        Assert.Equal(1700000000.5, BitConverter.ToDouble(Field(records[0], 1)!));
        Assert.Equal(("train/loss", 1.5f, 100), Scalar(records[1]));
        Assert.Equal(("evaluation/return", -3f, 200), Scalar(records[2]));
        Assert.Equal(1700000002.0, BitConverter.ToDouble(Field(records[2], 1)!));
    }

    private static (string Tag, float Value, long Step) Scalar(byte[] record)
    {
        var value = Field(Field(record, 5)!, 1)!;
        return (Encoding.UTF8.GetString(Field(value, 1)!), BitConverter.ToSingle(Field(value, 2)!), BitConverter.ToInt64(Field(record, 2)!));
    }

    /// <summary>Length, its checksum, content, its checksum.</summary>
    private static List<byte[]> Records(ReadOnlySpan<byte> file)
    {
        var records = new List<byte[]>();
        while (file.Length > 0)
        {
            int length = checked((int)BinaryPrimitives.ReadInt64LittleEndian(file));
            Assert.Equal(EventFileWriter.MaskedCrc(file[..8]), BinaryPrimitives.ReadUInt32LittleEndian(file[8..]));
            Assert.Equal(EventFileWriter.MaskedCrc(file.Slice(12, length)), BinaryPrimitives.ReadUInt32LittleEndian(file[(12 + length)..]));
            records.Add(file.Slice(12, length).ToArray());
            file = file[(16 + length)..];
        }
        return records;
    }

    /// <summary>A field of a protobuf message, as bytes; a varint as 8 bytes.</summary>
    private static byte[]? Field(ReadOnlySpan<byte> message, int number)
    {
        while (message.Length > 0)
        {
            ulong key = Varint(ref message);
            byte[] content;
            switch (key & 7)
            {
                case 0: content = BitConverter.GetBytes(Varint(ref message)); break;
                case 1: content = message[..8].ToArray(); message = message[8..]; break;
                case 5: content = message[..4].ToArray(); message = message[4..]; break;
                default:
                    int length = (int)Varint(ref message);
                    content = message[..length].ToArray();
                    message = message[length..];
                    break;
            }
            if ((int)(key >> 3) == number) return content;
        }
        return null;
    }

    private static ulong Varint(ref ReadOnlySpan<byte> bytes)
    {
        ulong value = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte b = bytes[0];
            bytes = bytes[1..];
            value |= (ulong)(b & 127) << shift;
            if (b < 128) return value;
        }
    }
}
