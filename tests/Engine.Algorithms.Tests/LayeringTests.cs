using System.Text.Json;
using System.Xml.Linq;

namespace Engine.Algorithms.Tests;

/// <summary>Dependencies point down only: kernels, devices, autodiff, nn, interop, algorithms, cli.</summary>
public class LayeringTests
{
    private static string? Repository()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Engine.sln"))) return folder.FullName;
        return null;
    }

    [Fact]
    public void Projects_reference_only_the_layers_below()
    {
        string[] layers = ["Engine.Kernels", "Engine.Kernels.Cuda", "Engine.Kernels.Ilgpu", "Engine.Autodiff", "Engine.Nn", "Engine.Interop", "Engine.Algorithms", "Engine.Cli"];
        var folders = new[] { "kernels", "autodiff", "nn", "interop", "algorithms" };
        int seen = 0;
        foreach (string project in folders.SelectMany(f => Directory.EnumerateFiles(Path.Combine(Repository()!, f), "*.csproj", SearchOption.AllDirectories)))
        {
            int own = Array.IndexOf(layers, Path.GetFileNameWithoutExtension(project));
            Assert.True(own >= 0, $"{project} is in no layer");
            seen++;
            foreach (var reference in XDocument.Load(project).Descendants("ProjectReference").Select(r => Path.GetFileNameWithoutExtension(r.Attribute("Include")!.Value.Replace('\\', '/'))))
                Assert.True(Array.IndexOf(layers, reference) < own, $"{project} references {reference}");
        }
        Assert.Equal(layers.Length, seen);
    }

    [Fact]
    public void Files_stay_short()
    {
        var sources = Directory.EnumerateFiles(Repository()!, "*.cs", SearchOption.AllDirectories).Where(f => !f.Contains("/obj/", StringComparison.Ordinal) && !f.Contains("/bin/", StringComparison.Ordinal));
        Assert.Empty(sources.Where(f => File.ReadLines(f).Count() > 800).Select(Path.GetFileName));
        string table = Path.Combine(Repository()!, "autodiff/Engine.Autodiff/Derivatives.cs");
        Assert.True(File.ReadLines(table).Count() < 300, "the derivative table should be readable in one sitting");
    }

    [Fact]
    public void The_documentation_of_methods_is_the_catalogue()
    {
        Assert.Equal(Catalogue.MethodCatalogue.ToMarkdown(), File.ReadAllText(Path.Combine(Repository()!, "docs/methods.md")));
        Assert.Equal(Enumerable.Range(1, 52), Catalogue.MethodCatalogue.All.Select(m => m.Number));
        var families = Catalogue.MethodCatalogue.All.GroupBy(m => m.Family).ToDictionary(g => g.Key, g => g.Count());
        Assert.Equal(2, families["q-ensemble"]);
        Assert.Equal(16, families["language/agent"]);
        Assert.Equal(9, families.Count);
        foreach (var method in Catalogue.MethodCatalogue.All)
        {
            Assert.Contains(method.Status, new[] { "planned", "started", "done" });
            foreach (string name in method.Algorithms) AlgorithmCatalogue.Find(name);
        }
    }
    /// <summary>Licences ask for a notice wherever a binary goes.</summary>
    [Fact]
    public void The_notices_name_every_package_that_the_command_carries()
    {
        using var carried = JsonDocument.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "engine.deps.json")));
        var packages = carried.RootElement.GetProperty("libraries").EnumerateObject().Where(l => l.Value.GetProperty("type").GetString() == "package").Select(l => l.Name.Split('/')[0]);
        var table = File.ReadLines(Path.Combine(Repository()!, "THIRD-PARTY-NOTICES.md")).Where(l => l.StartsWith("| ", StringComparison.Ordinal)).Skip(1).Select(l => l.Split('|')[1].Trim());
        Assert.Equal(packages.Order(StringComparer.Ordinal), table.Order(StringComparer.Ordinal));
        // They lie beside the command, with what ILGPU's licence asks for.
        string command = Path.Combine(Repository()!, "algorithms/Engine.Cli", Path.GetRelativePath(Path.Combine(Repository()!, "tests/Engine.Algorithms.Tests"), AppContext.BaseDirectory));
        Assert.Equal(File.ReadAllText(Path.Combine(Repository()!, "THIRD-PARTY-NOTICES.md")), File.ReadAllText(Path.Combine(command, "THIRD-PARTY-NOTICES.md")));
        Assert.Contains(".NET Foundation", File.ReadAllText(Path.Combine(command, "licences", "CommunityToolkit.HighPerformance", "License.md")), StringComparison.Ordinal);
        foreach (string package in new[] { "ILGPU", "ILGPU.Algorithms" })
            foreach (string file in new[] { "LICENSE.txt", "LICENSE-3RD-PARTY.txt" }) Assert.Contains("ILGPU", File.ReadAllText(Path.Combine(command, "licences", package, file)), StringComparison.Ordinal);
    }
}
