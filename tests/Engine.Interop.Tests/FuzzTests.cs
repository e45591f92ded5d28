using System.Text;
using Engine.Interop.Hdf5;
using Engine.Interop.Numpy;
using Engine.Interop.Safetensors;
using Engine.Interop.Tests.Hdf5;
using Engine.Interop.Tests.Safetensors;

namespace Engine.Interop.Tests;

/// <summary>Thousands of damaged files: each is read, or refused with the one exception of the readers (<see cref="Fuzz"/>).</summary>
public class FuzzTests
{
    [Fact]
    public void Damaged_safetensors_files_are_read_or_refused()
    {
        using var folder = new TemporaryFolder();
        SafetensorsFile.Write(folder.File("good"), SafetensorsFileTests.Sample, SafetensorsFileTests.SampleMetadata);
        var good = File.ReadAllBytes(folder.File("good"));
        Run(2000, folder, seed => new Mutator(seed).Mutate(good), ReadSafetensors);
    }

    [Fact]
    public void Damaged_safetensors_headers_are_read_or_refused()
    {
        // JSON that stays JSON: tokens are exchanged, not bits.
        using var folder = new TemporaryFolder();
        const string header = """{"__metadata__":{"a":"b"},"x":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"y":{"dtype":"I64","shape":[],"data_offsets":[16,24]}}""";
        string[] tokens = ["\"a\"", "\"x\"", "\"dtype\"", "\"F32\"", "\"BOOL\"", "\"shape\"", "[2,2]", "[0,16]", "16", "24", "0", "{}", "[]", "null", "-1", "9223372036854775807", "1e3", "\"\"", ",", "}", "{"];
        Run(1000, folder, seed =>
        {
            var random = new Random(seed);
            var text = header;
            for (var changes = 1 + random.Next(3); changes > 0; changes--)
                text = text.Replace(tokens[random.Next(tokens.Length)], tokens[random.Next(tokens.Length)], StringComparison.Ordinal);
            var json = Encoding.UTF8.GetBytes(text);
            return [.. BitConverter.GetBytes((long)json.Length), .. json, .. new byte[24]];
        }, ReadSafetensors);
    }

    [Theory]
    [InlineData("classic.h5", 1500, true)]
    [InlineData("classic.h5", 400, false)]
    [InlineData("modern.h5", 400, true)]
    public void Damaged_hdf5_files_are_read_or_refused(string name, int cases, bool content)
    {
        using var folder = new TemporaryFolder();
        var good = File.ReadAllBytes(TestFiles.Path(name));
        // Bytes that are not zero, and their neighbours, are what the reader looks at.
        var places = Enumerable.Range(0, good.Length).Where(i => good[i] != 0 || (i > 0 && good[i - 1] != 0)).ToArray();
        Run(cases, folder, seed => content ? new Mutator(seed).MutateContent(good, places) : new Mutator(seed).Mutate(good), ReadHdf5);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Damaged_npz_files_are_read_or_refused(bool compress)
    {
        using var folder = new TemporaryFolder();
        NpzFile.Write(folder.File("good"), [NpyArray.From("a", [3, 4], new float[12]), NpyArray.From("b", [2], new double[] { 1, 2 }), NpyArray.From("c", [3], new[] { true, false, true })], compress);
        var good = File.ReadAllBytes(folder.File("good"));
        Run(1500, folder, seed => new Mutator(seed).Mutate(good), path =>
        {
            using var file = NpzFile.Open(path);
            foreach (var name in file.Names)
                if (file.Type(name).IsNumber) _ = file.Read(name).ToDoubles();
                else _ = file.Read(name).ToStrings();
        });
    }

    [Fact]
    public void Damaged_npy_files_are_read_or_refused()
    {
        using var folder = new TemporaryFolder();
        NpyFile.Write(folder.File("good"), NpyArray.From("a", [3, 4], new float[12]));
        var good = File.ReadAllBytes(folder.File("good"));
        Run(2000, folder, seed => new Mutator(seed).Mutate(good), path =>
        {
            var array = NpyFile.Read(path);
            if (array.Type.IsNumber) _ = array.ToSingles();
            else _ = array.ToStrings();
        });
    }

    private static void Run(int cases, TemporaryFolder folder, Func<int, byte[]> damage, Action<string> read) =>
        Fuzz.Run(cases, folder.File("case"), damage, read, e => e is InteropFormatException);

    private static void ReadSafetensors(string path)
    {
        foreach (var tensor in SafetensorsFile.Read(path).Tensors)
            if (tensor.Type != SafetensorsType.C64 && !tensor.Type.Name.StartsWith("F8", StringComparison.Ordinal))
                _ = tensor.ToDoubles();
    }

    private static void ReadHdf5(string path)
    {
        using var file = Hdf5File.Open(path);
        Hdf5Walk.ReadAll(file.Root, expectErrors: true);
    }
}
