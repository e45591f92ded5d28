using System.Diagnostics;

namespace Engine.Algorithms.Tests;

/// <summary>The command as a user runs it, in processes of its own.</summary>
public sealed class EndToEndTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("engine-cli").FullName;
    private static readonly string Engine = Path.Combine(AppContext.BaseDirectory, "engine.dll");

    public void Dispose() => Directory.Delete(_folder, true);

    private (int Code, string Output, string Error) Run(params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("dotnet", [Engine, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = _folder })!;
        var error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.Result);
    }

    private static readonly string[] Small = ["--set", "hidden_sizes=16,16", "--set", "batch_size=32", "--episodes", "3", "--evaluate-every", "0", "--log-every", "10", "--checkpoint-every", "10"];

    [Fact]
    public void Train_twenty_equals_train_ten_and_resume_in_a_new_process()
    {
        string[] start = ["train", "edac", "--dataset", "builtin:pendulum", "--seed", "5", .. Small];
        var whole = Run([.. start, "--steps", "20", "--out", "whole", "--threads", "1"]);
        Assert.True(whole.Code == 0, whole.Error);
        Assert.Contains("reached a return of", whole.Output, StringComparison.Ordinal);
        Assert.Equal(0, Run([.. start, "--steps", "10", "--out", "half", "--threads", "2"]).Code);
        var resumed = Run("train", "--resume", "half", "--steps", "20", "--threads", "2");
        Assert.True(resumed.Code == 0, resumed.Error);
        byte[] Last(string run) => File.ReadAllBytes(Path.Combine(_folder, run, "checkpoints", "step-000000020.safetensors"));
        Assert.Equal(Last("whole"), Last("half"));
        var evaluated = Run("evaluate", "half", "--episodes", "4");
        Assert.True(evaluated.Code == 0, evaluated.Error);
        Assert.Contains("step 20: return", evaluated.Output, StringComparison.Ordinal);
    }

    public static TheoryData<string, string> Mistakes() => new()
    {
        { "train", "name an algorithm" },
        { "train edca --dataset builtin:pendulum", "edac" },
        { "train edac", "--dataset is missing" },
        { "train edac --dataset nowhere.h5", "no such file" },
        { "train edac --dataset builtin:pendulm", "pendulum" },
        { "train edac --dataset broken.h5", "signature" },
        { "train edac --dataset builtin:pendulum --set criticz=3", "critics" },
        { "train edac --dataset builtin:pendulum --set critics=1", "at least 2" },
        { "train edac --dataset builtin:pendulum --set critics", "key=value" },
        { "train edac --dataset builtin:pendulum --steps zero", "zero" },
        { "train edac --dataset builtin:pendulum --steps 0", "at least 1" },
        { "train edac --dataset builtin:pendulum --env Pendulum-v2", "Pendulum-v1" },
        { "train edac --dataset builtin:pendulum --device cuda", "cpu" },
        { "train edac --dataset builtin:pendulum --threads 0", "1 to 1024" },
        { "train edac --dataset builtin:pendulum --bogus", "--bogus" },
        { "train --resume nowhere", "no such folder" },
        { "train edac --resume nowhere", "give no algorithm" },
        { "evaluate nowhere", "no such folder" },
        { "verify nowhere", "no such folder" },
        { "study nowhere.json", "no such file" },
        { "algorithms sac", "sac-n" },
        { "nonsense", "nonsense" },
    };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public void Mistakes_exit_with_2_and_one_line(string arguments, string expected)
    {
        File.WriteAllText(Path.Combine(_folder, "broken.h5"), "not HDF5");
        var (code, _, error) = Run(arguments.Split(' '));
        Assert.Equal(2, code);
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.Single(error.TrimEnd('\n').Split('\n'));
    }

    [Fact]
    public void Ctrl_c_saves_and_exits_with_130()
    {
        if (OperatingSystem.IsWindows()) return; // there is no kill -INT to send
        using var process = Process.Start(new ProcessStartInfo("dotnet", [Engine, "train", "bc", "--dataset", "builtin:pendulum", "--steps", "100000000", "--out", "endless", .. Small]) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = _folder })!;
        while (process.StandardOutput.ReadLine() is { } line && !line.StartsWith("step", StringComparison.Ordinal)) { }
        using (var kill = Process.Start("kill", ["-INT", process.Id.ToString()])) kill.WaitForExit();
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(130, process.ExitCode);
        Assert.Equal(0, Run("evaluate", "endless", "--episodes", "2").Code);
    }

    [Fact]
    public void Lists_and_help_work()
    {
        Assert.Contains("sac-n", Run("algorithms").Output, StringComparison.Ordinal);
        Assert.Contains("diversity_epsilon", Run("algorithms", "edac").Output, StringComparison.Ordinal);
        Assert.Contains("of 52", Run("algorithms", "--papers").Output, StringComparison.Ordinal);
        Assert.Contains("GFLOP/s", Run("devices").Output, StringComparison.Ordinal);
        Assert.Contains("--dataset", Run("train", "--help").Output, StringComparison.Ordinal);
        var verified = Run("verify", Path.Combine(AppContext.BaseDirectory, "fixtures", "bc"));
        Assert.True(verified.Code == 0, verified.Error);
        Assert.Contains("all agree", verified.Output, StringComparison.Ordinal);
    }
}
