using System.Text;
using Engine.Interop.Safetensors;
using Engine.Tests;

namespace Engine.Interop.Tests;

public sealed class SafetensorsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("engine-safetensors").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    private static byte[] File(string header, int dataBytes)
    {
        byte[] json = Encoding.UTF8.GetBytes(header);
        return [.. BitConverter.GetBytes((long)json.Length), .. json, .. new byte[dataBytes]];
    }

    [Fact]
    public void A_file_comes_back_as_it_was_written_and_rewrites_to_equal_bytes()
    {
        string path = Path.Combine(_folder, "a.safetensors");
        var tensors = new[]
        {
            SafetensorsTensor.Of("b.weight", [2, 3], new float[] { 1, 2, 3, 4, 5, -6 }), SafetensorsTensor.Of("a", [], new float[] { 7 }),
            SafetensorsTensor.Of("counter", [2], new[] { 1, -2 }), new SafetensorsTensor("empty", SafetensorsType.F64, [0, 4], Array.Empty<byte>()),
            new SafetensorsTensor("flag", SafetensorsType.BOOL, [3], new byte[] { 1, 0, 1 }),
        };
        SafetensorsFile.Write(path, tensors, new Dictionary<string, string> { ["note"] = "größe" });
        var file = SafetensorsFile.Read(path);
        Assert.Equal("größe", file.Metadata["note"]);
        Assert.Equal([1f, 2, 3, 4, 5, -6], file["b.weight"].ToSingles());
        Assert.Equal([2L, 3], file["b.weight"].Shape);
        Assert.Equal([1.0, -2], file["counter"].ToDoubles());
        Assert.Equal([1.0, 0, 1], file["flag"].ToDoubles());
        Assert.Empty(file["empty"].ToDoubles());
        string again = Path.Combine(_folder, "b.safetensors");
        SafetensorsFile.Write(again, file.Tensors.Reverse(), file.Metadata);
        Assert.Equal(System.IO.File.ReadAllBytes(path), System.IO.File.ReadAllBytes(again));
        Assert.Empty(Directory.GetFiles(_folder, "*tmp*"));
        Assert.Contains("b.weight", Assert.Throws<InteropFormatException>(() => file["b.weigth"]).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}", 0, null)]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, null)]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 9, "belong to no tensor")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7, "the data has 7 bytes")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8, "needs 12 bytes")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "overlap nor leave holes")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12, "overlap nor leave holes")]
    [InlineData("{\"a\":{\"dtype\":\"F31\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, "integers")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,8]}}", 8, "overflows")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[8,8]}}", 8, "twice")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "data_offsets")]
    [InlineData("{\"a\":7}", 0, "expected an object")]
    [InlineData("[]", 0, "StartObject")]
    [InlineData("{\"__metadata__\":{\"a\":1}}", 0, "String")]
    [InlineData("{} x", 0, "JSON")]
    [InlineData("{", 0, "JSON")]
    public void Every_rule_of_the_format_is_checked(string header, int dataBytes, string? error)
    {
        var bytes = File(header, dataBytes);
        if (error is null)
        {
            SafetensorsFile.Parse("x", bytes);
            return;
        }
        var e = Assert.Throws<InteropFormatException>(() => SafetensorsFile.Parse("x", bytes));
        Assert.Contains(error, e.Message, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain('\n', e.Message);
    }

    [Fact]
    public void Impossible_header_lengths_are_refused()
    {
        Assert.Contains("8-byte", Assert.Throws<InteropFormatException>(() => SafetensorsFile.Parse("x", new byte[5])).Message, StringComparison.Ordinal);
        Assert.Contains("at most", Assert.Throws<InteropFormatException>(() => SafetensorsFile.Parse("x", BitConverter.GetBytes(200_000_000L))).Message, StringComparison.Ordinal);
        Assert.Contains("in a file of", Assert.Throws<InteropFormatException>(() => SafetensorsFile.Parse("x", BitConverter.GetBytes(50L))).Message, StringComparison.Ordinal);
        Assert.Throws<InteropFormatException>(() => SafetensorsFile.Parse("x", BitConverter.GetBytes(-1L)));
    }

    [Fact]
    public void A_failing_write_leaves_the_old_file_and_nothing_else()
    {
        string path = Path.Combine(_folder, "kept");
        AtomicFile.Write(path, s => s.Write("old"u8));
        Assert.Throws<InvalidOperationException>(() => AtomicFile.Write(path, s =>
        {
            s.Write("half of the n"u8);
            throw new InvalidOperationException();
        }));
        Assert.Equal("old", System.IO.File.ReadAllText(path));
        Assert.Single(Directory.GetFiles(_folder));
        System.IO.File.WriteAllText(path + ".1.engine-tmp", "left by a killed process");
        AtomicFile.RemoveStale(_folder);
        Assert.Single(Directory.GetFiles(_folder));
    }

    [DataFact]
    public void Files_of_the_reference_implementation_load()
    {
        var file = SafetensorsFile.Read(SharedData.Path("fixtures/edac/expected.safetensors"));
        Assert.Equal(SafetensorsType.F64, file["critic_loss"].Type);
        Assert.Equal([20L], file["critic_loss"].Shape);
    }
}
