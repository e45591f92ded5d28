using System.CommandLine;
using System.Text.Json.Nodes;
using Engine.Algorithms;
using Engine.Algorithms.Catalogue;
using Spectre.Console;

namespace Engine.Cli;

/// <summary>engine algorithms.</summary>
internal static class AlgorithmsCommand
{
    public static Command Create()
    {
        var name = new Argument<string?>("name") { HelpName = "name", Description = "one algorithm: its hyper-parameters, defaults and sources", Arity = ArgumentArity.ZeroOrOne };
        var papers = new Option<bool>("--papers") { Description = "the 52 papers whose methods Engine sets out to implement, with status" };
        var markdown = new Option<bool>("--markdown") { Description = "with --papers: as docs/methods.md" };
        var json = Shared.Json();
        name.CompletionSources.Add(_ => AlgorithmCatalogue.All.Select(a => new System.CommandLine.Completions.CompletionItem(a.Name)));
        var command = new Command("algorithms", "List the algorithms, or the hyper-parameters of one.") { name, papers, markdown, json };
        command.SetAction(parse =>
        {
            if (parse.GetValue(papers) && parse.GetValue(markdown))
            {
                Console.Write(MethodCatalogue.ToMarkdown());
                return 0;
            }
            if (parse.GetValue(papers))
            {
                foreach (var method in MethodCatalogue.All) Console.WriteLine($"{method.Number,2}  {method.Status,-8} {method.Name,-44} {method.Title}");
                foreach (var status in MethodCatalogue.All.GroupBy(m => m.Status)) Console.Write($"{status.Count()} {status.Key}  ");
                Console.WriteLine($"of {MethodCatalogue.All.Count}");
                return 0;
            }
            if (parse.GetValue(json))
            {
                foreach (var a in parse.GetValue(name) is { } one ? [AlgorithmCatalogue.Find(one)] : AlgorithmCatalogue.All)
                    Shared.Write(new JsonObject { ["name"] = a.Name, ["summary"] = a.Summary, ["source"] = a.Paper, ["actions"] = a.Discrete ? "discrete" : "continuous", ["defaults"] = SettingsJson.ToJson(a.Defaults) });
                return 0;
            }
            if (parse.GetValue(name) is not { } wanted)
            {
                foreach (var a in AlgorithmCatalogue.All) Console.WriteLine($"{a.Name,-12} {(a.Discrete ? "discrete  " : "continuous")} {a.Summary} ({a.Paper})");
                return 0;
            }
            var entry = AlgorithmCatalogue.Find(wanted);
            Console.WriteLine($"{entry.Name}: {entry.Summary}\nsource: {entry.Paper}\n");
            var table = new Table().Border(TableBorder.Minimal).AddColumns("hyper-parameter", "default", "source");
            foreach (var (key, value, source) in entry.HyperParameters()) table.AddRow(Markup.Escape(key), Markup.Escape(value), Markup.Escape(source));
            AnsiConsole.Write(table);
            return 0;
        });
        return command;
    }
}
