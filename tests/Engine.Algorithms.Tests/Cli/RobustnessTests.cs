using System.Diagnostics;
using Engine.Algorithms.Training;
using Engine.Interop.Safetensors;

namespace Engine.Algorithms.Tests;

/// <summary>A test that needs a file system of 300 kB, and says so where none can be mounted.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class SmallDiskFactAttribute : FactAttribute
{
    private static readonly bool Possible = Try();

    /// <summary>Decides once, by mounting one.</summary>
    public SmallDiskFactAttribute()
    {
        if (!Possible) Skip = "needs the right to mount a small file system (root on Linux)";
    }

    /// <summary>Mounts one on an empty folder.</summary>
    public static bool Mount(string folder) => Run("mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", folder);

    /// <summary>Takes it away.</summary>
    public static bool Unmount(string folder) => Run("umount", folder);

    private static bool Try()
    {
        if (!OperatingSystem.IsLinux()) return false;
        string folder = Directory.CreateTempSubdirectory("engine-disk").FullName;
        try { return Mount(folder) && Unmount(folder); }
        finally { Directory.Delete(folder); }
    }

    private static bool Run(string command, params string[] arguments)
    {
        try
        {
            return Child.Run(new ProcessStartInfo(command, arguments) { RedirectStandardError = true, RedirectStandardOutput = true }).Code == 0;
        }
        catch (System.ComponentModel.Win32Exception) { return false; }
    }
}

/// <summary>What stops a run from outside: kills, full disks, folders that cannot be written, other runs.</summary>
public sealed class RobustnessTests : EngineProcess
{
    private static bool Soak => Environment.GetEnvironmentVariable("ENGINE_SOAK") is not null;

    [Fact]
    [Trait("Speed", "Slow")]
    public void Killed_at_random_moments_the_newest_checkpoint_always_loads()
    {
        if (OperatingSystem.IsWindows()) return; // there is no kill -9 to send
        string[] setup = ["--set", "hidden_sizes=64,64", "--set", "batch_size=8", "--evaluate-every", "0", "--episodes", "1", "--log-every", "3", "--checkpoint-every", "1", "--quiet"];
        Assert.Equal(0, Run(["train", "sac-n", "--dataset", "builtin:pendulum,rows=400", "--steps", "1", "--out", "run", .. setup]).Code);
        int kills = Soak ? 200 : 12, during = 0, step = 1;
        var random = new Random(1);
        for (int kill = 0; kill < kills; kill++)
        {
            using (var process = Start("train", "--resume", "run", "--steps", "100000000", "--quiet"))
            {
                // Not before it trains, then at any moment: saves are most of the time.
                var waited = Stopwatch.StartNew();
                while (Newest() <= step && waited.ElapsedMilliseconds < 30_000) Thread.Sleep(2);
                Thread.Sleep(random.Next(120));
                process.Kill();
                Child.WaitForEnd(process, "a run that was killed");
            }
            if (Directory.GetFiles(In("run", "checkpoints")).Any(f => !f.EndsWith(".safetensors", StringComparison.Ordinal))) during++;
            var (newest, path) = Checkpoint.List(In("run"))[0];
            Assert.True(newest > step, $"kill {kill}: no progress from step {step}");
            Assert.NotEmpty(SafetensorsFile.Read(path).Tensors);
            step = newest;
        }
        Assert.True(during > 0, "no kill fell into a save");
        // The next start sweeps up, and goes on where the last checkpoint stands.
        Assert.Equal(0, Run("train", "--resume", "run", "--steps", $"{step + 2}", "--quiet").Code);
        Assert.All(Directory.GetFiles(In("run"), "*", SearchOption.AllDirectories), f => Assert.DoesNotContain("engine-tmp", f, StringComparison.Ordinal));
        Assert.Equal(step + 2, Checkpoint.List(In("run"))[0].Step);
        Assert.NotEmpty(RunHistory.Read(In("run")).Steps);

        int Newest() => Checkpoint.List(In("run")) is [var first, ..] ? first.Step : 0;
    }

    [SmallDiskFact]
    public void A_full_disk_is_a_clear_error_and_leaves_the_old_checkpoint()
    {
        string disk = In("disk");
        Directory.CreateDirectory(disk);
        // A file system of 300 kB holds a checkpoint or two of this model, not a third.
        Assert.True(SmallDiskFactAttribute.Mount(disk));
        try
        {
            string[] model = ["--set", "hidden_sizes=64", "--set", "batch_size=8", "--evaluate-every", "0", "--episodes", "1", "--log-every", "1", "--checkpoint-every", "5", "--quiet"];
            var (code, _, error) = Run(["train", "sac-n", "--dataset", "builtin:pendulum,rows=400", "--steps", "20", "--out", Path.Combine(disk, "run"), .. model]);
            Assert.True(code == 2, $"exit {code}: {error}");
            Assert.Contains("disk", error.Replace("No space left on device", "disk full", StringComparison.Ordinal), StringComparison.OrdinalIgnoreCase);
            Assert.Single(error.TrimEnd('\n').Split('\n'));
            foreach (var (_, path) in Checkpoint.List(Path.Combine(disk, "run"))) Assert.NotEmpty(SafetensorsFile.Read(path).Tensors);
            Assert.NotEmpty(Checkpoint.List(Path.Combine(disk, "run")));
            Assert.Empty(Directory.GetFiles(Path.Combine(disk, "run"), "*engine-tmp*", SearchOption.AllDirectories));
        }
        finally
        {
            SmallDiskFactAttribute.Unmount(disk);
        }
    }

    [Fact]
    public void Other_runs_read_only_folders_and_changed_data_are_refused()
    {
        string data = In("data.csv");
        string Rows(int count) => "obs,action,reward\n" + string.Concat(Enumerable.Range(0, count).Select(i => $"{i},{(i % 2 == 0 ? -0.5 : 0.5)},1\n"));
        File.WriteAllText(data, Rows(50));
        Assert.Equal(0, Run(["train", "bc", "--dataset", data, "--steps", "20", "--out", "run", .. Small]).Code);
        Refused("holds a run already", ["train", "bc", "--dataset", data, "--steps", "20", "--out", "run", .. Small]);

        using (var endless = Start("train", "--resume", "run", "--steps", "100000000"))
        {
            Child.WaitForLine(endless, "step", "a run");
            Refused("another process is training in this folder", "train", "--resume", "run", "--steps", "200000000");
            endless.Kill();
            Child.WaitForEnd(endless, "a run that was killed");
        }

        File.WriteAllText(data, Rows(51));
        Refused("the dataset has changed since the checkpoint", "train", "--resume", "run", "--steps", "100000001");
        File.Delete(data);
        Refused("no such file", "train", "--resume", "run", "--steps", "100000001");

        // A file where a folder should be cannot be written to by anyone, root included.
        File.WriteAllText(In("file"), "");
        Refused("file", ["train", "bc", "--dataset", "builtin:pendulum,rows=400", "--steps", "5", "--out", Path.Combine("file", "run"), .. Small]);
    }
}
