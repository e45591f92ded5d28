using System.Diagnostics;

namespace Engine.Kernels.Cuda.Tests;

/// <summary>perf/gpu/check.py, which checks a carried build on a machine with a GPU, on this machine's build.</summary>
public sealed class GpuKitTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("engine-kit").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    [KitFact]
    public void The_kit_finds_that_all_is_well()
    {
        var (code, text) = Check(Program(), "devices", "ops", "fixtures", "graph", "--precisions", "float32", "--algorithms", "td3-bc", "--fixtures", Fixtures());
        Assert.True(code == 0, text);
        Assert.Contains("cases agree", text, StringComparison.Ordinal);
        Assert.Contains("all agree", text, StringComparison.Ordinal);
        Assert.Contains("td3-bc in float32", text, StringComparison.Ordinal);
        Assert.EndsWith("4 passed, 0 failed, 0 skipped", text.TrimEnd(), StringComparison.Ordinal);
        Assert.Contains("| graph | passed |", File.ReadAllText(Path.Combine(_folder, "out", "summary.md")), StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(_folder, "out", "ops.log")));
    }

    [KitFact]
    public void Wrong_bits_a_wait_a_damaged_fixture_and_a_program_that_hangs_are_failures()
    {
        string fixtures = Fixtures(), expected = Path.Combine(fixtures, "bc", "expected.safetensors");
        byte[] bytes = File.ReadAllBytes(expected);
        bytes[^1] ^= 0x40; // of the exponent of the last number
        File.WriteAllBytes(expected, bytes);
        var (code, text) = Check(Program(), "fixtures", "--fixtures", fixtures);
        Assert.True(code == 1, text);
        Assert.Contains("1 DIFFER", text, StringComparison.Ordinal);

        foreach (var (what, from, to) in new[] { ("other bits", "\"digest\":\"", "\"digest\":\"f"), ("waits an update", "\"host_waits\":0", "\"host_waits\":1") })
        {
            // Only without graphs.
            (code, text) = Check(Program($"""if [ -n "$ENGINE_NO_CUDA_GRAPH" ]; then exec {Command} "$@" | sed 's/{from}/{to}/'; fi"""), "graph", "--algorithms", "bc");
            Assert.True(code == 1, text);
            Assert.Contains(what, text, StringComparison.Ordinal);
            Assert.Contains("0 passed, 1 failed", text, StringComparison.Ordinal);
        }

        (code, text) = Check(Program("sleep 60"), "ops", "--limit", "1");
        Assert.True(code == 1, text);
        Assert.Contains("ended after 1 s", text, StringComparison.Ordinal);
        (code, text) = Check(Program("sleep 60"), "devices", "ops", "--within", "1");
        Assert.True(code == 1, text);
        Assert.EndsWith("0 passed, 2 failed, 0 skipped", text.TrimEnd(), StringComparison.Ordinal);

        // What nobody foresaw is a failure of the stage; the next one runs.
        (code, text) = Check(Program("echo '{'; exit 0"), "devices", "ops", "--precisions", "float32");
        Assert.True(code == 1, text);
        Assert.Contains("FAILED: JSONDecodeError", text, StringComparison.Ordinal);
        Assert.EndsWith("0 passed, 2 failed, 0 skipped", text.TrimEnd(), StringComparison.Ordinal);
    }

    /// <summary>The portable device, on the accelerator that is everywhere; the stand-in's GPU it does not see.</summary>
    [KitFact]
    public void The_portable_device_is_checked_where_it_is_listed()
    {
        var (code, text) = Check(Program(), "ilgpu");
        Assert.True(code == 0, text);
        Assert.Contains("SKIPPED: no ilgpu:cuda:0", text, StringComparison.Ordinal);
        (code, text) = Check(Program(), "ilgpu", "--ilgpu", "ilgpu:cpu");
        Assert.True(code == 0, text);
        Assert.Contains("cases agree", text, StringComparison.Ordinal);
        Assert.Contains("td3-bc: ", text, StringComparison.Ordinal);
        Assert.EndsWith("1 passed, 0 failed, 0 skipped", text.TrimEnd(), StringComparison.Ordinal);
    }

    [KitFact]
    public void A_sanitizer_must_have_looked_and_found_nothing()
    {
        (int Code, string Text) Sanitize(string says)
        {
            string tool = Program($"if [ \"$1\" = --version ]; then echo a stand-in; exit 0; fi; echo '========= {says}'; exit 0");
            File.Move(tool, Path.Combine(_folder, "compute-sanitizer"), overwrite: true);
            return Check(Program(), "sanitizer", "--precisions", "float32", "--sanitizer", Path.Combine(_folder, "compute-sanitizer"));
        }
        var (code, text) = Sanitize("ERROR SUMMARY: 0 errors");
        Assert.True(code == 0, text);
        Assert.Contains("synccheck of td3-bc: ERROR SUMMARY: 0 errors", text, StringComparison.Ordinal);
        foreach (string bad in new[] { "RACECHECK SUMMARY: 2 hazards displayed (2 errors, 0 warnings)", "ERROR SUMMARY: 1 error", "Device not supported" })
        {
            (code, text) = Sanitize(bad);
            Assert.True(code == 1, text);
            Assert.Contains("FAILED: racecheck of td3-bc", text, StringComparison.Ordinal);
        }
    }

    private static string Command => $"dotnet '{Path.Combine(AppContext.BaseDirectory, "engine.dll")}'";

    /// <summary>A program in place of the carried one: this build, after something else.</summary>
    private string Program(string before = "")
    {
        string path = Path.Combine(_folder, "engine");
        File.WriteAllText(path, $"#!/bin/sh\n{before}\nexec {Command} \"$@\"\n");
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return path;
    }

    private string Fixtures()
    {
        string to = Directory.CreateDirectory(Path.Combine(_folder, "fixtures", "bc")).FullName;
        foreach (string file in Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "fixtures", "bc"))) File.Copy(file, Path.Combine(to, Path.GetFileName(file)), overwrite: true);
        return Path.GetDirectoryName(to)!;
    }

    private (int Code, string Text) Check(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo("python3", [KitFactAttribute.Script!, .. arguments, "--quick", "--engine", program, "--out", Path.Combine(_folder, "out")]) { RedirectStandardOutput = true, RedirectStandardError = true };
        var (code, output, error) = Child.Run(start);
        return (code, output + error);
    }
}

/// <summary>A test of the kit: on the stand-in, with python3, in the sources' folder; says so where one is absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class KitFactAttribute : FactAttribute
{
    internal static readonly string? Script = Find();

    public KitFactAttribute() => Skip = Cuda.Absent ?? (!Cuda.IsStandIn ? "the kit's tests are for the stand-in driver: on a GPU run the kit itself" : Script is null ? "needs perf/gpu/check.py and python3 on the PATH" : null);

    private static string? Find()
    {
        if (OperatingSystem.IsWindows() || !(Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(f => File.Exists(Path.Combine(f, "python3")))) return null;
        return Sources.Root is { } root && Path.Combine(root, "perf", "gpu", "check.py") is var path && File.Exists(path) ? path : null;
    }
}
