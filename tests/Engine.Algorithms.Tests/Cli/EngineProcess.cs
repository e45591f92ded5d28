using System.Diagnostics;

namespace Engine.Algorithms.Tests;

/// <summary>The command as a user runs it, in processes of its own, in a temporary folder.</summary>
public abstract class EngineProcess : IDisposable
{
    private static readonly string Engine = Path.Combine(AppContext.BaseDirectory, "engine.dll");

    /// <summary>A run so small that starting the process is most of the time.</summary>
    protected static readonly string[] Small = ["--set", "hidden_sizes=16,16", "--set", "batch_size=32", "--episodes", "3", "--evaluate-every", "0", "--log-every", "10", "--checkpoint-every", "10"];

    /// <summary>Where the processes run.</summary>
    protected string Folder { get; } = Directory.CreateTempSubdirectory("engine-cli").FullName;

    /// <inheritdoc/>
    public virtual void Dispose()
    {
        Directory.Delete(Folder, true);
        GC.SuppressFinalize(this);
    }

    /// <summary>A path in the folder.</summary>
    protected string In(params string[] parts) => Path.Combine([Folder, .. parts]);

    /// <summary>Environment variables that the processes get besides this one's.</summary>
    protected Dictionary<string, string> Variables { get; } = [];

    /// <summary>Starts a process.</summary>
    protected Process Start(params string[] arguments) => Child.Start(Of(arguments));

    /// <summary>Starts one that ignores SIGINT, as in the background of a script.</summary>
    protected Process StartInBackground(params string[] arguments) => Child.Start(Of(arguments), ignoreInterrupt: true);

    private ProcessStartInfo Of(string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Engine, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = Folder };
        foreach (var (name, value) in Variables) start.Environment[name] = value;
        return start;
    }

    /// <summary>Runs one to its end.</summary>
    protected (int Code, string Output, string Error) Run(params string[] arguments) => Child.Run(Of(arguments));

    /// <summary>Runs one that must be refused with exit code 2 and one line.</summary>
    protected void Refused(string expected, params string[] arguments)
    {
        var (code, _, error) = Run(arguments);
        Assert.Equal(2, code);
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.Single(error.TrimEnd('\n').Split('\n'));
    }
}
