using System.Text;
using System.Text.Json;

namespace Engine.Algorithms.Catalogue;

/// <summary>A paper whose method Engine sets out to implement.</summary>
/// <param name="Number">1 to 52.</param>
/// <param name="Title">Of the paper.</param>
/// <param name="Name">Name of the method.</param>
/// <param name="Family">One of nine.</param>
/// <param name="Specification">The group it is specified in: A Q-ensembles, B chunked and diffusion, C goals and language.</param>
/// <param name="Check">What would show that it works.</param>
/// <param name="Difficulty">S, M or L.</param>
/// <param name="Status">planned, started (it trains and agrees with a reference; its check is not measured) or done (its check holds).</param>
/// <param name="Algorithms">Names in Engine.</param>
public sealed record Method(int Number, string Title, string Name, string Family, string Specification, string Check, string Difficulty, string Status, string[] Algorithms);

/// <summary>All methods, from methods.json, the one place where their status is kept.</summary>
public static class MethodCatalogue
{
    /// <summary>In the order of their numbers.</summary>
    public static IReadOnlyList<Method> All { get; } = Load();

    private static Method[] Load()
    {
        using var stream = typeof(MethodCatalogue).Assembly.GetManifestResourceStream("Engine.Algorithms.Catalogue.methods.json")!;
        return JsonSerializer.Deserialize<Method[]>(stream, JsonSerializerOptions.Web)!;
    }

    /// <summary>docs/methods.md.</summary>
    public static string ToMarkdown()
    {
        var text = new StringBuilder("""
            # Methods

            The 52 papers whose methods Engine sets out to implement. Generated from
            `algorithms/Engine.Algorithms/Catalogue/methods.json` (`engine algorithms --papers` prints the same); a test keeps both
            equal, so change the JSON and regenerate with `engine algorithms --papers --markdown > docs/methods.md`.

            Status: *planned*; *started*: it trains and agrees with a reference implementation, but the check in its row has not
            been measured; *done*: the check holds.


            """);
        foreach (var status in All.GroupBy(m => m.Status).OrderBy(g => g.Key, StringComparer.Ordinal)) text.Append($"{status.Count()} {status.Key}. ");
        text.Append("\n\n| # | method | paper | family | status | in Engine | check |\n|---|---|---|---|---|---|---|\n");
        foreach (var m in All) text.Append($"| {m.Number} | {m.Name} | {m.Title} | {m.Family} | {m.Status} | {string.Join(", ", m.Algorithms)} | {m.Check} |\n");
        return text.ToString().Replace("\r\n", "\n", StringComparison.Ordinal);
    }
}
