using System.CommandLine;
using Engine.Algorithms;
using Engine.Algorithms.Data;
using Engine.Algorithms.Training;
using Engine.Cli;
using Engine.Interop;
using Engine.Kernels;

// Exit codes: 0 done, 2 bad arguments or input (one line), 3 diverged, 130 stopped by Ctrl+C.
var root = new RootCommand("Offline reinforcement learning without Python: train, evaluate and verify on one machine.")
{
    TrainCommand.Create(), EvaluateCommand.Create(), StudyCommand.Create(), ReportCommand.Create(), ExportCommand.Create(), DatasetsCommand.Create(), AlgorithmsCommand.Create(), DevicesCommand.Create(), VerifyCommand.Create(),
    BenchCommand.Create(), CompletionCommand.Create(),
};
var parsed = root.Parse(args);
if (parsed.Errors.Count > 0)
{
    string message = parsed.CommandResult.Command == root && parsed.UnmatchedTokens.Count > 0
        ? $"{parsed.UnmatchedTokens[0]} is not a command; {NearNames.Describe(parsed.UnmatchedTokens[0], root.Subcommands.Select(c => c.Name))}"
        : parsed.Errors[0].Message.Replace('\n', ' ');
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
