using System.Text;
using Engine.Interop.Safetensors;

namespace Engine.Interop.Tests.Safetensors;

public class SafetensorsErrorTests
{
    [Theory]
    [InlineData("""[]""", 0, 8, "'{'")]
    [InlineData(""" {}""", 0, 8, "'{'")]
    [InlineData("""{"a":""", 0, 8, "not valid JSON")]
    [InlineData("""{} x""", 0, 8, "not valid JSON")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}""", 2, 61, "key 'a' occurs twice")]
    [InlineData("""{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", 1, 27, "'dtype' of tensor 'a' occurs twice")]
    [InlineData("""{"__metadata__":{"k":"1","k":"2"}}""", 0, 33, "'k' occurs twice")]
    [InlineData("""{"__metadata__":{"k":1}}""", 0, 29, "expected a string")]
    [InlineData("""{"__metadata__":[]}""", 0, 24, "an object of strings")]
    [InlineData("""{"a":1}""", 0, 13, "an object with dtype")]
    [InlineData("""{"a":{"shape":[1],"data_offsets":[0,1]}}""", 1, 9, "has no dtype")]
    [InlineData("""{"a":{"dtype":"U8","data_offsets":[0,1]}}""", 1, 9, "has no shape")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1]}}""", 1, 9, "has no data_offsets")]
    [InlineData("""{"a":{"dtype":"X9","shape":[1],"data_offsets":[0,1]}}""", 1, 22, "dtype 'X9'")]
    [InlineData("""{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}""", 1, 36, "not an integer")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}}""", 1, 36, "not an integer")]
    [InlineData("""{"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}}""", 1, 36, "not an integer")]
    [InlineData("""{"a":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,1]}}""", 1, 36, "not an integer")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}}""", 1, 39, "expected 2")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}""", 1, 59, "more than 2")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}""", 2, 9, "expected it to begin at 0")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}""", 2, 9, "end no earlier")]
    [InlineData("""{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}""", 3, 61, "expected it to begin at 2")]
    [InlineData("""{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}""", 1, 9, "truncated")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""", 4, 9, "needs 8 bytes")]
    [InlineData("""{"a":{"dtype":"F64","shape":[4611686018427387904,4],"data_offsets":[0,4]}}""", 4, 9, "beyond 64 bits")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", 2, 62, "cover 1 bytes")]
    [InlineData("""{"\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", 1, 9, "valid Unicode")]
    [InlineData("""{"a":{"x":[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}}""", 0, 8, "not valid JSON")]
    public void A_wrong_header_is_named_with_its_place(string header, int buffer, long offset, string message)
    {
        var error = Read([.. BitConverter.GetBytes((long)Encoding.UTF8.GetByteCount(header)), .. Encoding.UTF8.GetBytes(header), .. new byte[buffer]]);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        if (offset == 8)
            Assert.InRange(error.Offset, 8, 8 + header.Length);
        else
            Assert.Equal(offset, error.Offset);
        Assert.Contains($"byte {error.Offset}:", error.Message, StringComparison.Ordinal);
        Assert.StartsWith(error.Path, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void A_file_without_room_for_the_length_is_an_error() => Assert.Contains("at least 8", Read([1, 2, 3]).Message, StringComparison.Ordinal);

    [Fact]
    public void A_header_beyond_the_limit_is_refused() =>
        Assert.Contains("at most 100000000", Read([.. BitConverter.GetBytes(100_000_001L), .. new byte[100]]).Message, StringComparison.Ordinal);

    [Fact]
    public void A_header_beyond_the_file_is_refused() =>
        Assert.Contains("truncated", Read([.. BitConverter.GetBytes(101L), .. new byte[100]]).Message, StringComparison.Ordinal);

    [Fact]
    public void Invalid_utf8_is_named_with_its_place()
    {
        var error = Read([.. BitConverter.GetBytes(8L), .. "{\"a"u8, 0xff, .. "\":1}"u8]);
        Assert.Contains("UTF-8", error.Message, StringComparison.Ordinal);
        Assert.Equal(11, error.Offset);
    }

    [Fact]
    public void Names_cannot_forge_lines()
    {
        var header = "{\"a\\nERROR forged\":1}";
        Assert.DoesNotContain('\n', Read([.. BitConverter.GetBytes((long)header.Length), .. Encoding.UTF8.GetBytes(header)]).Message);
    }

    [Fact]
    public void An_absent_file_is_an_error_of_input_and_output() => Assert.Throws<FileNotFoundException>(() => SafetensorsFile.Read("/absent-file.safetensors"));

    private static InteropFormatException Read(byte[] content)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("bad"), content);
        return Assert.Throws<InteropFormatException>(() => SafetensorsFile.Read(folder.File("bad")));
    }
}
