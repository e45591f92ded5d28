using System.Text;
using Engine.Interop.Safetensors;

namespace Engine.Interop.Tests.Safetensors;

public class SafetensorsFileTests
{
    internal static readonly SafetensorsTensor[] Sample =
    [
        SafetensorsTensor.From("critics.layer0.weight", [2, 3], [1f, -2f, 3.5f, 0f, float.NaN, 1e-30f]),
        SafetensorsTensor.From("losses", [2], [1.0, Math.PI]),
        SafetensorsTensor.From("steps", [], [123456789012345L]),
        SafetensorsTensor.From("actions", [3], [-1, 0, 7]),
        SafetensorsTensor.From("bytes", [2, 2], new byte[] { 0, 1, 254, 255 }),
        SafetensorsTensor.From("nothing", [0, 4], ReadOnlySpan<float>.Empty),
        new("half", SafetensorsType.F16, [2], new byte[] { 0x00, 0x3c, 0x00, 0xc0 }),
        new("brain", SafetensorsType.BF16, [2], new byte[] { 0x80, 0x3f, 0x00, 0xc0 }),
        new("flags", SafetensorsType.Bool, [3], new byte[] { 1, 0, 1 }),
        new("é\"\\\n名", SafetensorsType.U16, [1], new byte[] { 0xff, 0xff }),
    ];

    internal static readonly Dictionary<string, string> SampleMetadata = new() { ["format"] = "engine", ["a"] = "\u0001\u20ac😀" };

    [Fact]
    public void What_is_written_is_read()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("a.safetensors");
        SafetensorsFile.Write(path, Sample, SampleMetadata);
        var file = SafetensorsFile.Read(path);
        Assert.Equal(SampleMetadata.OrderBy(p => p.Key), file.Metadata.OrderBy(p => p.Key));
        Assert.Equal(Sample.Length, file.Tensors.Count);
        foreach (var tensor in Sample)
        {
            var read = file[tensor.Name];
            Assert.Same(tensor.Type, read.Type);
            Assert.Equal(tensor.Shape, read.Shape);
            Assert.Equal(tensor.Data.ToArray(), read.Data.ToArray());
        }
        Assert.Equal(0, (int)(8 + BitConverter.ToInt64(File.ReadAllBytes(path))) % 8);
    }

    [Fact]
    public void Bytes_depend_on_content_alone()
    {
        using var folder = new TemporaryFolder();
        SafetensorsFile.Write(folder.File("a"), Sample, SampleMetadata);
        SafetensorsFile.Write(folder.File("b"), Sample.Reverse().ToArray(), SampleMetadata.Reverse().ToDictionary());
        var first = File.ReadAllBytes(folder.File("a"));
        Assert.Equal(first, File.ReadAllBytes(folder.File("b")));
        var read = SafetensorsFile.Read(folder.File("a"));
        SafetensorsFile.Write(folder.File("c"), read.Tensors, read.Metadata);
        Assert.Equal(first, File.ReadAllBytes(folder.File("c")));
    }

    [Fact]
    public void The_bytes_are_those_of_the_reference_implementation()
    {
        using var folder = new TemporaryFolder();
        SafetensorsFile.Write(folder.File("a"), [SafetensorsTensor.From("b", [1], [1f]), SafetensorsTensor.From("a", [1], [2f]), SafetensorsTensor.From("z", [1], [3.0])], new Dictionary<string, string> { ["k"] = "v" });
        var header = """{"__metadata__":{"k":"v"},"z":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}""";
        var padded = header.PadRight((header.Length + 7) / 8 * 8);
        byte[] expected = [.. BitConverter.GetBytes((long)padded.Length), .. Encoding.UTF8.GetBytes(padded), .. BitConverter.GetBytes(3.0), .. BitConverter.GetBytes(2f), .. BitConverter.GetBytes(1f)];
        Assert.Equal(expected, File.ReadAllBytes(folder.File("a")));
    }

    [Fact]
    public void A_file_without_tensors_is_fine()
    {
        using var folder = new TemporaryFolder();
        SafetensorsFile.Write(folder.File("a"), []);
        var file = SafetensorsFile.Read(folder.File("a"));
        Assert.Empty(file.Tensors);
        Assert.Empty(file.Metadata);
    }

    [Fact]
    public void Elements_convert()
    {
        var byName = Sample.ToDictionary(tensor => tensor.Name);
        Assert.Equal([1f, -2f, 3.5f, 0f, float.NaN, 1e-30f], byName["critics.layer0.weight"].ToSingles());
        Assert.Equal([1.0, Math.PI], byName["losses"].ToDoubles());
        Assert.Equal([1f, (float)Math.PI], byName["losses"].ToSingles());
        Assert.Equal([123456789012345.0], byName["steps"].ToDoubles());
        Assert.Equal([-1, 0, 7], byName["actions"].ToInt32s());
        Assert.Equal([0, 1, 254, 255], byName["bytes"].ToInt32s());
        Assert.Equal([1f, -2f], byName["half"].ToSingles());
        Assert.Equal([1.0, -2.0], byName["brain"].ToDoubles());
        Assert.Equal([1, 0, 1], byName["flags"].ToInt32s());
        Assert.Equal([65535], byName["é\"\\\n名"].ToInt32s());
        Assert.Equal([ulong.MaxValue], new SafetensorsTensor("u", SafetensorsType.U64, [1], BitConverter.GetBytes(ulong.MaxValue)).ToDoubles());
        Assert.Throws<OverflowException>(() => byName["steps"].ToInt32s());
        Assert.Throws<OverflowException>(() => SafetensorsTensor.From("x", [1], [0.5f]).ToInt32s());
        Assert.Throws<OverflowException>(() => SafetensorsTensor.From("x", [1], [double.NaN]).ToInt32s());
        Assert.Throws<NotSupportedException>(() => new SafetensorsTensor("x", SafetensorsType.C64, [1], new byte[8]).ToSingles());
    }

    [Fact]
    public void A_missing_tensor_names_the_file_and_the_nearest()
    {
        using var folder = new TemporaryFolder();
        SafetensorsFile.Write(folder.File("a"), Sample);
        var file = SafetensorsFile.Read(folder.File("a"));
        Assert.False(file.TryGet("critics.layer1.weight", out _));
        var error = Assert.Throws<InteropFormatException>(() => file["critics.layer1.weight"]);
        Assert.Contains(folder.File("a"), error.Message, StringComparison.Ordinal);
        Assert.Contains("'critics.layer1.weight'", error.Message, StringComparison.Ordinal);
        Assert.Contains("near it: critics.layer0.weight", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Wrong_arguments_write_nothing()
    {
        using var folder = new TemporaryFolder();
        var good = SafetensorsTensor.From("a", [1], [1f]);
        Assert.Throws<ArgumentException>(() => SafetensorsFile.Write(folder.File("a"), [good, good]));
        Assert.Throws<ArgumentException>(() => SafetensorsFile.Write(folder.File("a"), [good with { Shape = [2] }]));
        Assert.Throws<ArgumentException>(() => SafetensorsFile.Write(folder.File("a"), [good with { Name = "__metadata__" }]));
        Assert.Throws<ArgumentException>(() => SafetensorsFile.Write(folder.File("a"), [good with { Name = "\ud800" }]));
        Assert.ThrowsAny<ArgumentException>(() => SafetensorsFile.Write(folder.File("a"), [good with { Shape = [-1] }]));
        Assert.Empty(Directory.GetFileSystemEntries(folder.Path));
    }

    [DataFact]
    public void Fixtures_are_read_and_rewritten_byte_for_byte()
    {
        using var folder = new TemporaryFolder();
        var files = Directory.GetFiles(SharedData.Path("fixtures"), "*.safetensors", SearchOption.AllDirectories);
        Assert.NotEmpty(files);
        foreach (var path in files)
        {
            var file = SafetensorsFile.Read(path);
            foreach (var tensor in file.Tensors)
                Assert.Equal(tensor.Shape.Aggregate(1L, (a, b) => a * b), tensor.ToDoubles().LongLength);
            SafetensorsFile.Write(folder.File("copy"), file.Tensors, file.Metadata);
            var copy = SafetensorsFile.Read(folder.File("copy"));
            Assert.Equal(file.Tensors.Select(t => t.Name).Order(StringComparer.Ordinal), copy.Tensors.Select(t => t.Name).Order(StringComparer.Ordinal));
            Assert.True(File.ReadAllBytes(path).AsSpan().SequenceEqual(File.ReadAllBytes(folder.File("copy"))), path);
        }
    }
}
