using System.Diagnostics;
using Engine.Interop.Hdf5;
using Engine.Interop.Safetensors;
using Engine.Tests;

namespace Engine.Interop.Tests;

public class Hdf5Tests
{
    private static string Small(string name) => Path.Combine(AppContext.BaseDirectory, "files", name);

    [Fact]
    public void A_small_file_of_the_standard_library_reads_as_it_was_written()
    {
        var root = Hdf5File.Open(Small("small.h5")).Root;
        Assert.Equal(["actions", "big", "half", "infos", "observations", "rewards", "terminals", "timeouts"], root.Names);
        var observations = root.Dataset("observations");
        Assert.Equal([20L, 3], observations.Shape);
        Assert.Equal(Enumerable.Range(0, 60).Select(i => i * 0.5f), observations.ReadSingles());
        Assert.Equal(Enumerable.Range(0, 20).Select(i => Math.Sin(i)), root.Dataset("actions").ReadDoubles());
        Assert.Equal(Enumerable.Range(0, 20).Select(i => (double)-i), root.Dataset("rewards").ReadDoubles());
        Assert.Equal(Enumerable.Range(0, 20).Select(i => i == 9 ? 1.0 : 0), root.Dataset("terminals").ReadDoubles());
        Assert.Equal(1, root.Dataset("timeouts").ReadDoubles()[19]);
        Assert.Equal(Enumerable.Range(0, 8).Select(i => (double)i), root.Dataset("infos/qpos").ReadDoubles()); // big-endian in the file
        Assert.Equal(["pendulum"], root.Dataset("infos/name").ReadStrings());
        Assert.Equal(["ab", "cde"], root.Dataset("infos/fixed").ReadStrings());
        Assert.Equal([1.0, -2], root.Dataset("big").ReadDoubles());
        Assert.Equal([0.5, 2], root.Dataset("half").ReadDoubles());
        Assert.True(root.Contains("infos/qpos") && !root.Contains("infos/nothing") && !root.Contains("big/nothing"));
        Assert.Contains("observations", Assert.Throws<InteropFormatException>(() => root.Dataset("observation")).Message, StringComparison.Ordinal);
        Assert.Contains("not a dataset", Assert.Throws<InteropFormatException>(() => root.Dataset("infos")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_with_the_newest_structures_reads()
    {
        var root = Hdf5File.Open(Small("latest.h5")).Root;
        Assert.Equal([0f, 1, 2, 3, 4, 5], root.Dataset("x").ReadSingles());
        Assert.Equal([0.0, 1, 2, 3], root.Dataset("g/y").ReadDoubles());
    }

    [Fact]
    public void What_is_no_hdf5_file_is_refused()
    {
        Assert.Contains("signature", Assert.Throws<InteropFormatException>(() => Hdf5File.Parse("x", new byte[100])).Message, StringComparison.Ordinal);
        Assert.Throws<InteropFormatException>(() => Hdf5File.Parse("x", []));
    }

    /// <summary>Damaged files end in our exception, quickly: a fixed sequence of bit flips, overwritten numbers and cuts.</summary>
    [Theory]
    [InlineData("small.h5")]
    [InlineData("latest.h5")]
    public void Damaged_files_end_in_a_typed_error(string name)
    {
        byte[] sound = File.ReadAllBytes(Small(name));
        int refused = Fuzz(sound, 3000, bytes =>
        {
            var root = Hdf5File.Parse("x", bytes).Root;
            foreach (string entry in root.Names)
                if (!root.IsGroup(entry))
                {
                    var dataset = root.Dataset(entry);
                    if (dataset.Class is Hdf5Class.Integer or Hdf5Class.Float) dataset.ReadDoubles();
                    else dataset.ReadStrings();
                }
        });
        Assert.True(refused > 100, $"only {refused} of the damaged files were refused");
    }

    [Fact]
    public void Damaged_safetensors_end_in_a_typed_error()
    {
        string path = Path.GetTempFileName();
        SafetensorsFile.Write(path, [SafetensorsTensor.Of("a.b", [3, 2], new float[6]), SafetensorsTensor.Of("c", [4], new int[4])], new Dictionary<string, string> { ["k"] = "v" });
        byte[] sound = File.ReadAllBytes(path);
        File.Delete(path);
        int refused = Fuzz(sound, 20_000, bytes =>
        {
            foreach (var tensor in SafetensorsFile.Parse("x", bytes).Tensors) tensor.ToDoubles();
        });
        Assert.True(refused > 5000, $"only {refused} of the damaged files were refused");
    }

    private static int Fuzz(byte[] sound, int rounds, Action<byte[]> read)
    {
        var random = new Kernels.PhiloxStream(1, "fuzz");
        int refused = 0;
        var clock = new Stopwatch();
        for (int round = 0; round < rounds; round++)
        {
            var bytes = (byte[])sound.Clone();
            switch (random.NextInt(4))
            {
                case 0: bytes[random.NextInt(bytes.Length)] ^= (byte)(1 << random.NextInt(8)); break;
                case 1:
                    ulong value = random.NextInt(4) switch { 0 => ulong.MaxValue, 1 => (ulong)random.NextInt(bytes.Length), 2 => (ulong)random.NextUInt() << 20, _ => random.NextUInt() };
                    BitConverter.TryWriteBytes(bytes.AsSpan(random.NextInt(bytes.Length - 8)), value);
                    break;
                case 2: bytes = bytes[..random.NextInt(bytes.Length)]; break;
                default:
                    for (int i = 0; i < 20; i++) bytes[random.NextInt(bytes.Length)] = (byte)random.NextUInt();
                    break;
            }
            clock.Restart();
            try { read(bytes); }
            catch (InteropFormatException) { refused++; }
            Assert.True(clock.Elapsed.TotalSeconds < 1, $"round {round} took {clock.Elapsed.TotalSeconds:F1} s");
        }
        return refused;
    }

    [DataFact]
    public void The_real_pendulum_set_has_its_known_returns()
    {
        var root = Hdf5File.Open(SharedData.Path("data/d3rlpy-classic/pendulum_v1.1.0.h5")).Root;
        Assert.Equal([99500L, 3], root.Dataset("observations").Shape);
        double[] rewards = root.Dataset("rewards").ReadDoubles(), ends = root.Dataset("episode_terminals").ReadDoubles();
        Assert.Equal(500, ends.Sum());
        Assert.Equal(-180.48, rewards.Sum() / 500, 0.01);
    }

    [DataFact]
    public void Equal_rows_in_two_layouts_read_equal()
    {
        var flat = Hdf5File.Open(SharedData.Path("data/layout-samples/pendulum_d4rl.hdf5")).Root;
        var minari = Hdf5File.Open(SharedData.Path("data/layout-samples/minari-pendulum/data/main_data.hdf5")).Root;
        var all = flat.Dataset("observations").ReadSingles();
        var first = minari.Dataset("episode_0/observations").ReadSingles();
        Assert.Equal(all.Take(3 * 100), first.Take(3 * 100));
    }
}
