using System.Text.RegularExpressions;

namespace Engine.Algorithms.Tests;

/// <summary>The pages can be read in a terminal, and what they and the sources cite exists.</summary>
public sealed partial class DocumentationTests
{
    private const int Columns = 120;

    private static readonly string Root = FindRoot();

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Engine.sln"))) return folder.FullName;
        throw new InvalidOperationException($"Engine.sln is in no folder above {AppContext.BaseDirectory}");
    }

    private static IEnumerable<string> Files(string pattern) => Directory.EnumerateFiles(Root, pattern, SearchOption.AllDirectories)
        .Where(f => !Path.GetRelativePath(Root, f).Split('/', '\\').Any(part => part is "obj" or "bin" or "out" or "shared" or "runs" || part.StartsWith('.')));

    [GeneratedRegex(@"\]\([^)]*\)|https?://\S+")]
    private static partial Regex Links();

    /// <summary>Tables, code blocks, headings and the targets of links may be longer.</summary>
    [Fact]
    public void Lines_of_pages_have_at_most_120_columns()
    {
        var longer = new List<string>();
        foreach (string file in Files("*.md"))
        {
            bool code = false;
            foreach (var (number, line) in File.ReadLines(file).Index())
            {
                string start = line.TrimStart();
                if (start.StartsWith("```", StringComparison.Ordinal)) code = !code;
                else if (!code && !start.StartsWith('|') && !start.StartsWith('#') && Links().Replace(line, "").Length > Columns)
                    longer.Add($"{Path.GetRelativePath(Root, file)}:{number + 1}: {line.Length} columns");
            }
        }
        Assert.True(longer.Count == 0, string.Join('\n', longer.Prepend("lines are too long:")));
    }

    [GeneratedRegex(@"(?<![\w*/.-])[\w./-]*\w\.md\b")]
    private static partial Regex Pages();

    [GeneratedRegex("//.*")]
    private static partial Regex Comments();

    /// <summary>A page that a comment cites is in the repository: by its path from the root, or from a folder of the source's.</summary>
    [Fact]
    public void Pages_that_comments_cite_exist()
    {
        var missing = new List<string>();
        foreach (string file in Files("*.cs").Concat(Files("*.cu")).Concat(Files("*.cuh")))
            foreach (var (number, line) in File.ReadLines(file).Index())
                foreach (Match page in Pages().Matches(Comments().Match(line).Value))
                    if (!Exists(file, page.Value)) missing.Add($"{Path.GetRelativePath(Root, file)}:{number + 1}: {page.Value}");
        Assert.True(missing.Count == 0, string.Join('\n', missing.Prepend("cited but not in the repository:")));
    }

    private static bool Exists(string source, string page)
    {
        for (string? folder = Path.GetDirectoryName(source); folder is not null && folder.Length >= Root.Length; folder = Path.GetDirectoryName(folder))
            if (File.Exists(Path.Combine(folder, page))) return true;
        return false;
    }
}
