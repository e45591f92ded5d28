using Engine.Algorithms.Parity;
using Engine.Interop;
using Engine.Interop.Safetensors;
using Engine.Kernels.Cpu;

namespace Engine.Algorithms.Tests;

public class FixtureTests
{
    private static string Own(string name) => Path.Combine(AppContext.BaseDirectory, "fixtures", name);

    private static void Verify(string folder, int threads = 2)
    {
        using var device = new CpuDevice(threads);
        var result = FixtureVerifier.Run(Fixture.Read(folder), device);
        Assert.True(result.Holds, string.Join("; ", result.Comparisons.Where(c => !c.Holds).Select(c => $"{c.Name} {c.Error64:E1} {c.Error32:E1}")));
        Assert.NotEmpty(result.Comparisons);
    }

    [Theory]
    [InlineData("bc")]
    [InlineData("sac-n-hopper")]
    public void Recorded_updates_are_reproduced(string name) => Verify(Own(name));

    [DataTheory]
    [InlineData("sac-n")]
    [InlineData("edac")]
    [InlineData("lb-sac")]
    [InlineData("lb-sac-layernorm")]
    [InlineData("td3-bc")]
    [InlineData("td3-bc-normalised")]
    [InlineData("iql")]
    [InlineData("awac")]
    [InlineData("awac-pendulum")]
    [InlineData("samplers")]
    [InlineData("diffusion-ql")]
    [InlineData("edp")]
    [InlineData("edp-dpm")]
    [InlineData("edp-iql")]
    [InlineData("idql")]
    [InlineData("synther")]
    [InlineData("diffuser")]
    [Trait("Speed", "Slow")]
    public void Shared_recorded_updates_are_reproduced(string name) => Verify(SharedData.Path("fixtures/" + name));

    /// <summary>A wrong number anywhere must be noticed: the verifier is itself verified.</summary>
    [Theory]
    [InlineData("expected", "actor.layer1.weight")]
    [InlineData("expected", "critic_loss")]
    [InlineData("expected", "adam.second_moment.critics.layer1.weight")]
    [InlineData("initial", "critics.layer2.bias")]
    [InlineData("batches", "rewards")]
    [InlineData("noise", "noise.target")]
    public void A_changed_number_fails(string file, string tensor)
    {
        using var copy = new Copy(Own("sac-n-hopper"));
        copy.Edit(file, tensors => tensors.Select(t => t.Name == tensor ? Shift(t) : t));
        using var device = new CpuDevice();
        Assert.False(FixtureVerifier.Run(Fixture.Read(copy.Folder), device).Holds);
    }

    private static SafetensorsTensor Shift(SafetensorsTensor t)
    {
        var values = t.ToDoubles();
        for (int i = 0; i < values.Length; i++) values[i] += 1e-3;
        return t.Type == SafetensorsType.F64 ? SafetensorsTensor.From(t.Name, t.Shape, values) : SafetensorsTensor.From(t.Name, t.Shape, Array.ConvertAll(values, v => (float)v));
    }

    [Fact]
    public void A_fixture_that_does_not_fit_is_refused_with_what_and_where()
    {
        void Fails(Action<Copy> damage, string expected)
        {
            using var copy = new Copy(Own("bc"));
            damage(copy);
            using var device = new CpuDevice();
            var e = Assert.Throws<InteropFormatException>(() => FixtureVerifier.Run(Fixture.Read(copy.Folder), device));
            Assert.Contains(expected, e.Message, StringComparison.Ordinal);
            Assert.DoesNotContain('\n', e.Message);
        }
        Fails(c => c.Edit("initial", ts => ts.Where(t => t.Name != "actor.layer0.bias")), "actor.layer0.bias");
        Fails(c => c.Edit("initial", ts => ts.Append(SafetensorsTensor.From("extra", [1], new float[1]))), "extra");
        Fails(c => c.Edit("batches", ts => ts.Where(t => t.Name != "actions")), "actions");
        Fails(c => c.Edit("batches", ts => ts.Select(t => t.Name == "actions" ? SafetensorsTensor.From(t.Name, [1], new float[1]) : t)), "expected [20,64,6]");
        Fails(c => c.Edit("expected", ts => ts.Append(SafetensorsTensor.From("unheard_of", [1], new float[1]))), "unheard_of");
        Fails(c => File.Delete(Path.Combine(c.Folder, "noise.safetensors")), "noise.safetensors");
        Fails(c => c.Json(j => j.Replace("\"updates\": 20", "\"updates\": 0", StringComparison.Ordinal)), "updates");
        Fails(c => c.Json(j => j.Replace("\"hidden_sizes\"", "\"hidden_size\"", StringComparison.Ordinal)), "hidden_size is unknown");
        Fails(c => c.Json(j => j.Replace("\"bc\"", "\"cb\"", StringComparison.Ordinal)), "cb is unknown");
        Fails(c => c.Json(_ => "{"), "JSON");
        using var none = new CpuDevice();
        Assert.Throws<InteropFormatException>(() => Fixture.Read(Own("nothing")));
    }

    private sealed class Copy : IDisposable
    {
        public Copy(string source)
        {
            foreach (string file in Directory.EnumerateFiles(source)) File.Copy(file, Path.Combine(Folder, Path.GetFileName(file)));
        }

        public string Folder { get; } = Directory.CreateTempSubdirectory("engine-fixture").FullName;

        public void Edit(string file, Func<IEnumerable<SafetensorsTensor>, IEnumerable<SafetensorsTensor>> change)
        {
            string path = Path.Combine(Folder, file + ".safetensors");
            SafetensorsFile.Write(path, change(SafetensorsFile.Read(path).Tensors).ToArray());
        }

        public void Json(Func<string, string> change)
        {
            string path = Path.Combine(Folder, "fixture.json");
            File.WriteAllText(path, change(File.ReadAllText(path)));
        }

        public void Dispose() => Directory.Delete(Folder, true);
    }
}
