using System.Text.Json.Nodes;
using Engine.Algorithms.Tests;

namespace Engine.Kernels.Ilgpu.Tests;

/// <summary>The engine command with --device ilgpu, in processes of its own.</summary>
public sealed class CommandTests : EngineProcess
{
    private static readonly string[] Train = ["train", "bc", "--dataset", "builtin:pendulum,rows=400", "--steps", "20", "--out", "run", "--quiet", .. Small];

    [Fact]
    public void Devices_lists_every_accelerator_and_says_what_is_missing()
    {
        string text = Run("devices", "--ops").Output;
        foreach (var accelerator in IlgpuDevice.All()) Assert.Contains($"{accelerator.Name} {accelerator.Description}", text, StringComparison.Ordinal);
        if (IlgpuDevice.Unavailable is { } missing) Assert.Contains($"ilgpu  {missing}", text, StringComparison.Ordinal);
        Assert.Contains("ilgpu", text.Split('\n').First(l => l.StartsWith("op ", StringComparison.Ordinal)), StringComparison.Ordinal);
        string list = text.Split('\n').Single(l => l.StartsWith("not made for ilgpu: ", StringComparison.Ordinal));
        foreach (var (op, instead) in IlgpuDevice.NotMade) Assert.Contains($"{op} ({instead})", list, StringComparison.Ordinal);
        Assert.DoesNotContain("HOLE", text, StringComparison.Ordinal);
        var lines = Run("devices", "--json").Output.Trim().Split('\n').Select(l => (string)JsonNode.Parse(l)!["device"]!).ToArray();
        foreach (var accelerator in IlgpuDevice.All()) Assert.Single(lines, accelerator.Name);
    }

    [Fact]
    public void Training_runs_on_the_debugger_when_it_is_named()
    {
        Assert.Equal(0, Run([.. Train, "--device", "ilgpu:cpu"]).Code);
        Assert.True(File.Exists(In("run", "metrics.csv")));
    }

    [Fact]
    public void An_accelerator_that_does_not_exist_and_a_precision_that_is_not_there_are_refused()
    {
        Refused("there is none; found: ", [.. Train, "--device", "ilgpu:opencl:99"]);
        Refused("float32", [.. Train, "--device", "ilgpu:cpu", "--precision", "tf32"]);
        Refused("or ilgpu", [.. Train, "--device", "gpu"]);
        if (IlgpuDevice.Unavailable is not null) Refused("ilgpu:cpu, which only finds faults", [.. Train, "--device", "ilgpu"]);
        Assert.False(Directory.Exists(In("run")));
    }
}
