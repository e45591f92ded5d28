using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Engine.Tests;

/// <summary>
/// Processes that tests start. None is waited for without end, and each has Ctrl+C's signal as if a user had started it at a terminal: where the tests themselves were started with
/// it ignored (<c>nohup ./test.sh &amp;</c>), their children would ignore it too, and no program can tell that from a user's wish.
/// </summary>
internal static class Child
{
    /// <summary>How long a test waits: far longer than anything takes on a busy machine.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private static readonly Lock Starting = new();

    /// <summary>Starts a process.</summary>
    /// <param name="start">What to start.</param>
    /// <param name="ignoreInterrupt">With SIGINT ignored, as in the background of a script.</param>
    public static Process Start(ProcessStartInfo start, bool ignoreInterrupt = false)
    {
        if (OperatingSystem.IsWindows()) return Process.Start(start)!;
        lock (Starting)
        {
            // A child begins with what its parent ignores.
            byte[] before = new byte[1024]; // a struct sigaction, which is smaller on every system
            if (sigaction(Interrupt, null, before) != 0) throw new InvalidOperationException("sigaction");
            signal(Interrupt, ignoreInterrupt ? 1 : 0);
            try { return Process.Start(start)!; }
            finally { _ = sigaction(Interrupt, before, null); }
        }
    }

    /// <summary>Asks a process to stop, as Ctrl+C does (INT) or as a polite kill does (TERM).</summary>
    public static void Signal(Process process, string name)
    {
        using var kill = Process.Start("kill", ["-" + name, process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
        WaitForEnd(kill, "kill");
    }

    /// <summary>Runs a process to its end; its output is read, where it is redirected.</summary>
    public static (int Code, string Output, string Error) Run(ProcessStartInfo start)
    {
        using var process = Start(start);
        var output = start.RedirectStandardOutput ? process.StandardOutput.ReadToEndAsync() : Task.FromResult("");
        var error = start.RedirectStandardError ? process.StandardError.ReadToEndAsync() : Task.FromResult("");
        string what = string.Join(' ', [start.FileName, .. start.ArgumentList]);
        Await(Task.WhenAll(output, error), process, $"the output of {what} to end");
        WaitForEnd(process, what);
        return (process.ExitCode, output.Result, error.Result);
    }

    /// <summary>Reads the output of a process up to a line that begins so.</summary>
    public static void WaitForLine(Process process, string beginning, string what)
    {
        while (Await(process.StandardOutput.ReadLineAsync(), process, $"a line \"{beginning}\" of {what}") is { } line)
            if (line.StartsWith(beginning, StringComparison.Ordinal)) return;
        Assert.Fail($"{what} ended without a line \"{beginning}\"");
    }

    /// <summary>Waits for the end of a process whose output is small or has been read.</summary>
    public static void WaitForEnd(Process process, string what)
    {
        if (process.WaitForExit(Patience)) return;
        process.Kill(true);
        Assert.Fail($"waited {Patience.TotalMinutes} minutes for the end of {what}");
    }

    private static T Await<T>(Task<T> task, Process process, string what)
    {
        if (task.Wait(Patience)) return task.Result;
        process.Kill(true);
        Assert.Fail($"waited {Patience.TotalMinutes} minutes for {what}");
        return default!;
    }

    private const int Interrupt = 2;

#pragma warning disable SYSLIB1054, CA5392, IDE1006 // two functions of the C library, in tests
    [DllImport("libc", SetLastError = true)]
    private static extern nint signal(int number, nint handler);

    [DllImport("libc", SetLastError = true)]
    private static extern int sigaction(int number, byte[]? action, byte[]? old);
#pragma warning restore SYSLIB1054, CA5392, IDE1006
}
