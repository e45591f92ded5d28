using System.CommandLine;
using Engine.Algorithms;
using Engine.Algorithms.Reporting;
using Engine.Algorithms.Training;

namespace Engine.Cli;

/// <summary>engine export.</summary>
internal static class ExportCommand
{
    public static Command Create()
    {
        var run = new Argument<string>("run") { Description = "a run folder made by engine train" };
        var output = new Option<string>("--output") { Description = "policy.safetensors", Required = true };
        var checkpoint = new Option<string>("--checkpoint") { Description = "last, best, or a step that is kept", DefaultValueFactory = _ => "last" };
        var all = new Option<bool>("--all") { Description = "every variable, also critics and optimiser moments" };
        var command = new Command("export", "Write the weights of a run's policy as safetensors, its action bounds and observation statistics with them.") { run, output, checkpoint, all };
        command.SetAction(parse =>
        {
            string path = parse.GetValue(output)!;
            if (Path.GetExtension(path) != ".safetensors") throw new SettingsException($"--output {path}: expected a name that ends with .safetensors; other formats are not written yet");
            int count = PolicyExport.Write(parse.GetValue(run)!, parse.GetValue(checkpoint)!, path, parse.GetValue(all));
            Console.WriteLine($"{path}: {count} tensors, {new FileInfo(path).Length / 1e3:F1} kB");
            return 0;
        });
        return command;
    }
}

/// <summary>engine report.</summary>
internal static class ReportCommand
{
    public static Command Create()
    {
        var folders = new Argument<string[]>("folder") { Description = "run folders, or a study's folder: all runs below it", Arity = ArgumentArity.OneOrMore };
        var output = new Option<string?>("--output") { Description = "the file (default: report.html in the first folder)" };
        var command = new Command("report", "Write a page with learning curves, losses, speed and settings of one or several runs; it needs no network.") { folders, output };
        command.SetAction(parse =>
        {
            var sources = parse.GetValue(folders)!;
            string path = parse.GetValue(output) ?? Path.Combine(sources[0], Report.FileName);
            int runs = Report.Write(sources, path);
            Console.WriteLine($"{path}: {runs} run{(runs == 1 ? "" : "s")}, {new FileInfo(path).Length / 1e3:F0} kB");
            return 0;
        });
        return command;
    }
}

/// <summary>engine completion.</summary>
internal static class CompletionCommand
{
    private static readonly Dictionary<string, string> Scripts = new()
    {
        ["bash"] = """
            _engine_complete() {
              local IFS=$'\n'
              COMPREPLY=($(engine "[suggest:${COMP_POINT}]" "${COMP_LINE}" 2>/dev/null))
              [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
            }
            complete -o default -F _engine_complete engine
            """,
        ["zsh"] = """
            _engine_complete() {
              local -a found
              found=("${(@f)$(engine "[suggest:${CURSOR}]" "${BUFFER}" 2>/dev/null)}")
              compadd -a found
            }
            compdef _engine_complete engine
            """,
        ["fish"] = """complete -f -c engine -a '(engine "[suggest:"(string length -- (commandline -cp))"]" (commandline -cp))'""",
        ["pwsh"] = """
            Register-ArgumentCompleter -Native -CommandName engine -ScriptBlock {
              param($word, $ast, $position)
              engine "[suggest:$position]" "$ast" | ForEach-Object { [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_) }
            }
            """,
    };

    public static Command Create()
    {
        var shell = new Argument<string>("shell") { HelpName = "shell", Description = string.Join(", ", Scripts.Keys) };
        shell.CompletionSources.Add(_ => Scripts.Keys.Select(s => new System.CommandLine.Completions.CompletionItem(s)));
        var command = new Command("completion", "Print a script that completes commands, options and names in a shell. Example: source <(engine completion bash)") { shell };
        command.SetAction(parse =>
        {
            string name = parse.GetValue(shell)!;
            Console.WriteLine(Scripts.TryGetValue(name, out string? script) ? script : throw new SettingsException($"shell {name} is unknown; expected {string.Join(", ", Scripts.Keys)}"));
            return 0;
        });
        return command;
    }
}
