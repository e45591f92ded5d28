using System.Diagnostics;
using System.Text;
using Engine.Interop.Hdf5;
using Engine.Interop.Safetensors;
using Engine.Interop.Tests.Hdf5;
using Engine.Interop.Tests.Safetensors;

namespace Engine.Interop.Tests;

/// <summary>
/// Thousands of damaged files with fixed seeds: each is read, or refused with the one exception of the readers, within a
/// second. Anything else (another exception, a hang, gigabytes) fails with the seed that shows it.
/// </summary>
public class FuzzTests
{
    [Fact]
    public void Damaged_safetensors_files_are_read_or_refused()
    {
        using var folder = new TemporaryFolder();
        SafetensorsFile.Write(folder.File("good"), SafetensorsFileTests.Sample, SafetensorsFileTests.SampleMetadata);
        var good = File.ReadAllBytes(folder.File("good"));
        var refused = 0;
        for (var seed = 0; seed < 2000; seed++)
            Case(seed, folder, new Mutator(seed).Mutate(good), ref refused, ReadSafetensors);
        Assert.InRange(refused, 1000, 2000);
    }

    [Fact]
    public void Damaged_safetensors_headers_are_read_or_refused()
    {
        // JSON that stays JSON: tokens are exchanged, not bits.
        using var folder = new TemporaryFolder();
        const string header = """{"__metadata__":{"a":"b"},"x":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"y":{"dtype":"I64","shape":[],"data_offsets":[16,24]}}""";
        string[] tokens = ["\"a\"", "\"x\"", "\"dtype\"", "\"F32\"", "\"BOOL\"", "\"shape\"", "[2,2]", "[0,16]", "16", "24", "0", "{}", "[]", "null", "-1", "9223372036854775807", "1e3", "\"\"", ",", "}", "{"];
        var refused = 0;
        for (var seed = 0; seed < 1000; seed++)
        {
            var random = new Random(seed);
            var text = header;
            for (var changes = 1 + random.Next(3); changes > 0; changes--)
                text = text.Replace(tokens[random.Next(tokens.Length)], tokens[random.Next(tokens.Length)], StringComparison.Ordinal);
            var json = Encoding.UTF8.GetBytes(text);
            Case(seed, folder, [.. BitConverter.GetBytes((long)json.Length), .. json, .. new byte[24]], ref refused, ReadSafetensors);
        }
        Assert.InRange(refused, 300, 1000);
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
        var refused = 0;
        for (var seed = 0; seed < cases; seed++)
        {
            var mutator = new Mutator(seed);
            Case(seed, folder, content ? mutator.MutateContent(good, places) : mutator.Mutate(good), ref refused, ReadHdf5);
        }
        Assert.InRange(refused, 1, cases);
    }

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

    private static void Case(int seed, TemporaryFolder folder, byte[] content, ref int refused, Action<string> read)
    {
        var path = folder.File("case");
        File.WriteAllBytes(path, content);
        // A machine that is busy with other work may stop any process for a second: only the better of two runs counts.
        for (var attempt = 0; attempt < 2; attempt++)
        {
            var clock = Stopwatch.StartNew();
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                read(path);
            }
            catch (InteropFormatException)
            {
                refused++;
            }
            catch (Exception error)
            {
                Assert.Fail($"seed {seed}: {error}");
            }
            Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 1L << 30, $"seed {seed}: {GC.GetAllocatedBytesForCurrentThread() - before} bytes were allocated");
            if (clock.ElapsedMilliseconds < 1000)
                return;
        }
        Assert.Fail($"seed {seed}: took more than a second, twice");
    }
}
