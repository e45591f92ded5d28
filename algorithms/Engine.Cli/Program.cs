using System.CommandLine;
using Engine.Algorithms;
using Engine.Cli;
using Engine.Interop;
using Engine.Kernels;

// Exit codes: 0 done, 2 bad arguments or input (one line), 3 diverged, 130 stopped by Ctrl+C.
var root = new RootCommand("Offline reinforcement learning without Python: train, evaluate and verify on one machine.")
{
    TrainCommand.Create(), EvaluateCommand.Create(), StudyCommand.Create(), ReportCommand.Create(), ExportCommand.Create(), DatasetsCommand.Create(), AlgorithmsCommand.Create(), DevicesCommand.Create(), VerifyCommand.Create(),
    BenchCommand.Create(), SampleCommand.Create(), CompletionCommand.Create(),
};
var parsed = root.Parse(args);
// Where a command takes any number of names, an option that it does not know is one of them.
string? unknown = parsed.CommandResult.Children.OfType<System.CommandLine.Parsing.ArgumentResult>().SelectMany(a => a.Tokens).Select(t => t.Value).FirstOrDefault(t => t.StartsWith("--", StringComparison.Ordinal));
if (parsed.Errors.Count > 0 || unknown is not null)
{
    var command = parsed.CommandResult.Command;
    string? stray = parsed.UnmatchedTokens.Count > 0 ? parsed.UnmatchedTokens[0] : unknown;
    string message = stray is null ? parsed.Errors[0].Message.Replace('\n', ' ')
        : stray.StartsWith('-') ? $"{stray} is not an option of {command.Name}; {NearNames.Describe(stray, command.Options.Select(o => o.Name))}"
        : command.Subcommands.Count > 0 ? $"{stray} is not a command; {NearNames.Describe(stray, command.Subcommands.Select(c => c.Name))}"
        : $"{stray}: not expected here";
    Console.Error.WriteLine($"engine: {message} (see engine --help)");
    return 2;
}
try
{
    return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (Exception e) when (e is SettingsException or DatasetException or InteropFormatException or ShapeException or DeviceException or IOException or UnauthorizedAccessException)
{
    Console.Error.WriteLine("engine: " + e.Message.Replace('\n', ' '));
    return 2;
}
catch (DivergedException e)
{
    Console.Error.WriteLine("engine: " + e.Message);
    return 3;
}
catch (OperationCanceledException)
{
    Console.Error.WriteLine("engine: stopped; the run's state was saved");
    return 130;
}
