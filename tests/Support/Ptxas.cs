using System.Diagnostics;

namespace Engine.Tests;

/// <summary>NVIDIA's assembler, where it can be had.</summary>
internal static class Ptxas
{
    public static readonly string? Path = Find();

    public const string Absent = "needs ptxas: put it on the PATH or name it in ENGINE_PTXAS";

    private static string? Find()
    {
        if (Environment.GetEnvironmentVariable("ENGINE_PTXAS") is { Length: > 0 } named) return File.Exists(named) ? named : null;
        return (Environment.GetEnvironmentVariable("PATH") ?? "").Split(System.IO.Path.PathSeparator).Select(f => System.IO.Path.Combine(f, "ptxas")).FirstOrDefault(File.Exists);
    }

    /// <summary>Assembles a module; what it printed, or null if it was accepted without spills.</summary>
    public static string? Fails(string text, string architecture)
    {
        string folder = Directory.CreateTempSubdirectory("engine-ptx").FullName;
        try
        {
            string file = System.IO.Path.Combine(folder, "module.ptx");
            File.WriteAllText(file, text);
            var (code, output, error) = Child.Run(new ProcessStartInfo(Path!, ["-arch", architecture, "--warn-on-spills", "-Werror", file, "-o", file + ".cubin"]) { RedirectStandardError = true, RedirectStandardOutput = true });
            return code == 0 ? null : output + error;
        }
        finally
        {
            Directory.Delete(folder, true);
        }
    }
}

/// <summary>A test that needs ptxas, and says so where it is absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PtxasFactAttribute : FactAttribute
{
    public PtxasFactAttribute() => Skip = Ptxas.Path is null ? Ptxas.Absent : null;
}
