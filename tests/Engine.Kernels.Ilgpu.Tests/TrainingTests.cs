using System.Runtime.InteropServices;
using Engine.Algorithms.Parity;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Kernels.Cpu;
using Xunit.Abstractions;

namespace Engine.Kernels.Ilgpu.Tests;

/// <summary>Whole training steps on ILGPU.</summary>
public sealed class TrainingTests(ITestOutputHelper output) : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("engine-ilgpu").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    private static Dictionary<string, byte[]> Train(string algorithm, int steps, Device device, string? folder = null, bool resume = false)
    {
        var (config, data) = SampleRuns.Of(algorithm, steps);
        using var trainer = new Trainer(config with { Seed = 3 }, data, device, folder, resume);
        trainer.Run(null, CancellationToken.None);
        return trainer.State.Variables.Where(v => v.Kind != VariableKind.Data).ToDictionary(v => v.Name, v => trainer.State.ReadBytes(v.Name));
    }

    private static void Same(Dictionary<string, byte[]> expected, Dictionary<string, byte[]> actual, string what)
    {
        Assert.Equal(expected.Keys, actual.Keys);
        foreach (var (name, bytes) in expected) Assert.True(bytes.AsSpan().SequenceEqual(actual[name]), $"{what}: {name} differs");
    }

    /// <summary>After an update every variable agrees with the processor's, as far as sums in another order can differ; the generator's state is equal.</summary>
    private void Agree(string algorithm, IlgpuDevice device)
    {
        using CpuDevice processor = new();
        Dictionary<string, byte[]> expected = Train(algorithm, 1, processor), actual = Train(algorithm, 1, device);
        Assert.Equal(expected.Keys, actual.Keys);
        Assert.Equal(expected["random.state"], actual["random.state"]);
        double worst = 0;
        foreach (var (name, bytes) in expected)
        {
            ReadOnlySpan<float> e = MemoryMarshal.Cast<byte, float>(bytes), a = MemoryMarshal.Cast<byte, float>(actual[name]);
            double difference = 0, norm = 0;
            for (int i = 0; i < e.Length; i++)
            {
                if (float.IsNaN(e[i]) && float.IsNaN(a[i])) continue; // a metric that was not computed yet
                difference += ((double)a[i] - e[i]) * ((double)a[i] - e[i]);
                norm += (double)e[i] * e[i];
            }
            worst = Math.Max(worst, Math.Sqrt(norm == 0 ? difference : difference / norm));
            Assert.True(worst <= 2e-5, $"{algorithm} on {device.Name}: {name} differs by {worst:E2}");
        }
        output.WriteLine($"{algorithm} on {device.Name}: largest relative difference {worst:E2}; {device.CompiledKernels} kernels so far");
    }

    [Theory]
    [InlineData("sac-n")]
    [InlineData("td3-bc")]
    [InlineData("dqn")]
    public void One_update_agrees_with_the_processor(string algorithm) => Agree(algorithm, Accelerator.Debugger);

    [OpenClFact]
    public void One_update_agrees_with_the_processor_on_OpenCL() => Agree("sac-n", Accelerator.OpenCl);

    private void Resumes(string algorithm, IlgpuDevice device)
    {
        var whole = Train(algorithm, 20, device);
        string folder = Path.Combine(_folder, algorithm);
        Train(algorithm, 10, device, folder);
        Same(whole, Train(algorithm, 20, device, folder, resume: true), "resumed");
    }

    [Fact]
    public void Resuming_continues_byte_for_byte() => Resumes("td3-bc", Accelerator.Debugger);

    [OpenClFact]
    public void Resuming_continues_byte_for_byte_on_OpenCL() => Resumes("sac-n", Accelerator.OpenCl);

    /// <summary>The debugger and OpenCL give the same bytes: no bit depends on the accelerator.</summary>
    [OpenClFact]
    public void Accelerators_train_alike() => Same(Train("sac-n", 3, Accelerator.Debugger), Train("sac-n", 3, Accelerator.OpenCl), "OpenCL");

    private void Verify(string name, IlgpuDevice device)
    {
        var result = FixtureVerifier.Run(Fixture.Read(Path.Combine(AppContext.BaseDirectory, "fixtures", name)), device);
        Assert.NotEmpty(result.Comparisons);
        Assert.True(result.Holds, string.Join("; ", result.Comparisons.Where(c => !c.Holds).Select(c => $"{c.Name} {c.Error32:E1}")));
        output.WriteLine($"{name} on {device.Name}: largest error in float32 {result.Comparisons.Max(c => c.Error32):E2}");
    }

    [Theory]
    [InlineData("bc")]
    [InlineData("sac-n-hopper")]
    public void Recorded_updates_are_reproduced(string name) => Verify(name, Accelerator.Debugger);

    [OpenClFact]
    public void Recorded_updates_are_reproduced_on_OpenCL() => Verify("sac-n-hopper", Accelerator.OpenCl);

    /// <summary>The host allocates nothing for an update. (The debugger's own launches do.)</summary>
    [OpenClFact]
    public void An_update_allocates_nothing_on_OpenCL()
    {
        var (config, data) = SampleRuns.Of("sac-n", 10);
        using var trainer = new Trainer(config, data, Accelerator.OpenCl, null);
        var program = trainer.UpdatePrograms[0];
        program.Run(5);
        _ = program.ReadScalar("actor_loss");
        long before = GC.GetAllocatedBytesForCurrentThread();
        program.Run(20);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    /// <summary>Programs that come and go leave no kernels behind but one of each.</summary>
    [Fact]
    public void Programs_share_kernels()
    {
        using IlgpuDevice device = new("ilgpu:cpu");
        Train("td3-bc", 1, device);
        int kernels = device.CompiledKernels;
        for (int i = 0; i < 5; i++) Train("td3-bc", 1, device);
        Assert.Equal(kernels, device.CompiledKernels);
    }
}
