using System.CommandLine;
using Engine.Algorithms;
using Engine.Algorithms.Policies;
using Engine.Algorithms.Reporting;

namespace Engine.Cli;

/// <summary>engine export.</summary>
internal static class ExportCommand
{
    public static Command Create()
    {
        var run = new Argument<string>("run") { Description = "a run folder made by engine train" };
        var output = new Option<string>("--output") { HelpName = "folder", Description = "the folder to write; a policy folder of that name is replaced", Required = true };
        var checkpoint = new Option<string>("--checkpoint") { Description = "last, best, or a step that is kept", DefaultValueFactory = _ => "last" };
        var rows = new Option<string?>("--rows") { HelpName = "1,64", Description = "numbers of observations that it acts on at once (default: any)" };
        var command = new Command("export", "Write a run's policy as a folder that acts without the run and its algorithm: graph, weights (safetensors), spaces. Evaluate it with engine evaluate FOLDER, load it with Policy.Load.") { run, output, checkpoint, rows };
        command.SetAction(parse =>
        {
            string path = parse.GetValue(output)!;
            if (Path.GetExtension(path) is ".safetensors" or ".onnx") throw new SettingsException($"--output {path}: expected the name of a folder; the weights are its policy.safetensors");
            int[]? numbers = parse.GetValue(rows) is { } text ? ParseRows(text) : null;
            using var policy = Policy.Load(parse.GetValue(run)!, parse.GetValue(checkpoint)!);
            var variables = policy.Save(path, numbers);
            Console.WriteLine($"{path}: {policy.Algorithm} at step {policy.Step}, {variables.Count} variables, {Directory.EnumerateFiles(path).Sum(f => new FileInfo(f).Length) / 1e3:F1} kB");
            return 0;
        });
        return command;
    }

    private static int[] ParseRows(string text) => Array.ConvertAll(text.Split(','), part => int.TryParse(part, out int rows) && rows >= 1 ? rows : throw new SettingsException($"--rows {text}: expected numbers of at least 1 separated by commas, such as 1,64"));
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
