using System.Diagnostics;
using System.Text.Json.Nodes;
using Engine.Interop.Safetensors;

namespace Engine.Algorithms.Tests;

/// <summary>The command as a user runs it.</summary>
[Trait("Speed", "Slow")] // a process for every command
public sealed class EndToEndTests : EngineProcess
{
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
        byte[] Last(string run) => File.ReadAllBytes(In(run, "checkpoints", "step-000000020.safetensors"));
        Assert.Equal(Last("whole"), Last("half"));
        var evaluated = Run("evaluate", "half", "--episodes", "4");
        Assert.True(evaluated.Code == 0, evaluated.Error);
        Assert.Contains("step 20: return", evaluated.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Several_evaluations_are_told_and_resumed_in_a_new_process()
    {
        string[] start = ["train", "discrete-bc", "--dataset", "builtin:cartpole,rows=2000", "--evaluate-on", "old=CartPole-v0", "--evaluate-on", "CartPole-v1", "--hold-out", "0.2", .. Small];
        var whole = Run([.. start, "--steps", "20", "--out", "whole"]);
        Assert.True(whole.Code == 0, whole.Error);
        foreach (string part in new[] { ", old return ", ", CartPole-v1 return ", ", held-out actor_loss " }) Assert.Contains(part, whole.Output, StringComparison.Ordinal);
        Assert.Equal(0, Run([.. start, "--steps", "10", "--out", "half"]).Code);
        var resumed = Run("train", "--resume", "half", "--steps", "20", "--json");
        Assert.True(resumed.Code == 0, resumed.Error);
        Assert.Equal(File.ReadAllBytes(In("whole", "checkpoints", "step-000000020.safetensors")), File.ReadAllBytes(In("half", "checkpoints", "step-000000020.safetensors")));
        Assert.Equal(Probe.Metrics(In("whole"))[^1], Probe.Metrics(In("half"))[^1]);
        var line = JsonNode.Parse(resumed.Output.Split('\n')[^3])!;
        Assert.Equal(3, (int)line["evaluations"]!["old"]!["episodes"]!);
        Assert.InRange((double)line["heldout"]!["accuracy"]!, 0, 1);
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
        { "train edac --dataset builtin:pendulum --device tpu", "cpu" },
        { "train edac --dataset builtin:pendulum --threads 0", "1 to 1024" },
        { "train edac --dataset builtin:pendulum --precision tf23", "near it: tf32" },
        { "train edac --dataset builtin:pendulum --precision tf32", "device cpu computes in float32 only" },
        { "train --resume nowhere --precision float32", "--precision" },
        { "bench edac --precision bfloat16", "compute capability 8.0" },
        { "bench edac --precison tf32", "near it: --precision" },
        { "verify --ops --precision bf16", "bfloat16" },
        { "verify nowhere --precision tf32", "--ops alone" },
        { "train edac --dataset builtin:pendulum --bogus", "--bogus is not an option of train" },
        { "train edac --datset builtin:pendulum", "near it: --dataset" },
        { "datasets inspct x", "near it: inspect" },
        { "trian edac", "near it: train" },
        { "train bc --dataset builtin:pendulum --evaluate-on far=Pendulum-v2", "environment Pendulum-v2 is unknown" },
        { "train bc --dataset builtin:pendulum --hold-out 1.5", "0 to 0.99" },
        { "train bc --dataset builtin:pendulum --hold-out 0.1 --dataset heldout=builtin:pendulum,seed=2", "give one of both" },
        { "train --resume nowhere --evaluate-on Pendulum-v0", "--evaluate-on" },
        { "train --resume nowhere", "no such folder" },
        { "train edac --resume nowhere", "give no algorithm" },
        { "evaluate nowhere", "no such folder" },
        { "verify nowhere", "no such folder" },
        { "study nowhere.json", "no such file" },
        { "algorithms sac-m", "sac-n" },
        { "train dqn --dataset builtin:pendulum", "discrete actions, here are" },
        { "train bc --dataset builtin:cartpole", "for them there are" },
        { "train bc --dataset builtin:pendulum --rewards scael=2", "near it: scale" },
        { "train bc --dataset builtin:pendulum,rows=none", "rows=2" },
        { "train bc --dataset builtin:pendulum --env maze2d-umaze-v1", "actions have 1 components, expected 2 actions" },
        { "datasets inspect nowhere.npz", "no such file" },
        { "datasets make pendulun x.hdf5", "near it: pendulum" },
        { "datasets convert builtin:pendulum x.parquet", ".hdf5" },
        { "report nowhere", "no such folder" },
        { "export nowhere --output policy.safetensors", "name of a folder" },
        { "export nowhere --output policy", "no such folder" },
        { "export nowhere --output policy --rows 1,x", "such as 1,64" },
        { "bench sacn", "near it: sac" },
        { "bench sac-n 3x4x5", "--set" },
        { "bench gemm 3x4", "MxKxN" },
        { "bench gemm --policy", "no algorithm" },
        { "bench bc --rounds 0", "at least 1" },
        { "completion tcsh", "bash" },
        { "nonsense", "nonsense" },
    };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public void Mistakes_exit_with_2_and_one_line(string arguments, string expected)
    {
        File.WriteAllText(In("broken.h5"), "not HDF5");
        Refused(expected, arguments.Split(' '));
    }

    private static readonly string[] Endless = ["train", "bc", "--dataset", "builtin:pendulum", "--steps", "100000000", "--out", "endless", .. Small];

    [Fact]
    public void Ctrl_c_saves_and_exits_with_130()
    {
        if (OperatingSystem.IsWindows()) return; // there is no kill -INT to send
        using var process = Start(Endless);
        Child.WaitForLine(process, "step", "a run");
        Child.Signal(process, "INT");
        Stopped(process, "a run that was sent SIGINT");
    }

    /// <summary>What ignores Ctrl+C from its start (<c>nohup engine train ... &amp;</c> in a script) goes on, and heeds a polite kill.</summary>
    [Fact]
    public void A_run_in_the_background_goes_on_at_ctrl_c_and_saves_when_it_is_killed_politely()
    {
        if (OperatingSystem.IsWindows()) return; // there is no kill -INT to send
        using var process = StartInBackground(Endless);
        Child.WaitForLine(process, "step", "a run");
        Child.Signal(process, "INT");
        var clock = Stopwatch.StartNew(); // one that stops does so in less
        while (clock.ElapsedMilliseconds < 1000) Child.WaitForLine(process, "step", "a run that ignores SIGINT");
        Child.Signal(process, "TERM");
        Stopped(process, "a run that was sent SIGTERM");
    }

    private void Stopped(Process process, string what)
    {
        var rest = process.StandardOutput.ReadToEndAsync(); // else it waits for a reader
        Child.WaitForEnd(process, what);
        rest.Wait(Child.Patience);
        Assert.Equal(130, process.ExitCode);
        Assert.Equal(0, Run("evaluate", "endless", "--episodes", "2").Code);
    }

    [Fact]
    public void A_run_is_reported_exported_and_listed_as_json()
    {
        var trained = Run(["train", "dqn", "--dataset", "builtin:cartpole,rows=2000", "--steps", "20", "--out", "run", "--json", .. Small]);
        Assert.True(trained.Code == 0, trained.Error);
        var lines = trained.Output.TrimEnd('\n').Split('\n').Select(l => JsonNode.Parse(l)!.AsObject()).ToArray();
        Assert.Equal(20, (int)lines[^2]["step"]!);
        Assert.Equal(3, (int)lines[^2]["evaluation"]!["episodes"]!);
        Assert.Equal("done", (string)lines[^1]["event"]!);
        foreach (string name in new[] { "config.json", "dataset.json", "metrics.csv", "report.html" }) Assert.True(File.Exists(In("run", name)), name);
        Assert.Single(Directory.GetFiles(In("run"), "events.out.tfevents.*"));
        Assert.True(File.Exists(In("run", "checkpoints", "best.safetensors")));

        string page = File.ReadAllText(In("run", "report.html"));
        Assert.Contains("critic_loss", page, StringComparison.Ordinal);
        Assert.DoesNotContain("http", page, StringComparison.Ordinal);
        Assert.Equal(0, Run("report", "run", "--output", "page.html").Code);
        Assert.Equal(20, (int)JsonNode.Parse(Run("evaluate", "run", "--episodes", "2", "--checkpoint", "best", "--json").Output)!["step"]!);
        Refused("the policy of Dqn takes no prompt", "evaluate", "run", "--prompt", "builtin:cartpole,rows=500");
        var exported = Run("export", "run", "--output", "policy");
        Assert.True(exported.Code == 0, exported.Error);
        Assert.Contains("policy: dqn at step 20", exported.Output, StringComparison.Ordinal);
        Assert.All(SafetensorsFile.Read(In("policy", "policy.safetensors")).Tensors, t => Assert.True(t.Name.StartsWith("critics.", StringComparison.Ordinal) || t.Name.StartsWith("normalizer.", StringComparison.Ordinal), t.Name));
        string Evaluated(string folder) => Run("evaluate", folder, "--episodes", "70", "--json").Output;
        Assert.Equal(Evaluated("run"), Evaluated("policy"));
        Refused("no checkpoint best", "evaluate", "policy", "--checkpoint", "best");
        Assert.Equal(0, Run("export", "run", "--output", "policy", "--rows", "1,64").Code); // takes its place
        Refused("for 1, 64 rows, not for 70", "evaluate", "policy", "--episodes", "70");
        Refused("a prompt needs the run", "evaluate", "policy", "--prompt", "builtin:cartpole,rows=500");

        var inspected = JsonNode.Parse(Run("datasets", "inspect", "builtin:cartpole,rows=500", "--json").Output)!;
        Assert.Equal(("builtin", 500), ((string)inspected["layout"]!, (int)inspected["rows"]!));
        Assert.Contains(Run("algorithms", "--json").Output.TrimEnd('\n').Split('\n'), l => (string?)JsonNode.Parse(l)!["name"] == "iql");
    }

    [Fact]
    public void Shells_are_given_completions()
    {
        Assert.Contains("td3-bc", Run("[suggest:15]", "engine train td3").Output, StringComparison.Ordinal);
        Assert.Contains("builtin:pendulum", Run("[suggest:33]", "engine train bc --dataset builtin").Output, StringComparison.Ordinal);
        Assert.Contains("expectile=", Run("[suggest:27]", "engine train iql --set expec").Output, StringComparison.Ordinal);
        foreach (string shell in new[] { "bash", "zsh", "fish", "pwsh" }) Assert.Contains("[suggest:", Run("completion", shell).Output, StringComparison.Ordinal);
        if (!File.Exists("/bin/bash")) return;
        File.WriteAllText(In("completion.sh"), Run("completion", "bash").Output);
        string engine = Path.Combine(AppContext.BaseDirectory, "engine.dll");
        string completed = Child.Run(new ProcessStartInfo("/bin/bash", ["-c", $"engine() {{ dotnet '{engine}' \"$@\"; }}; source completion.sh; COMP_LINE='engine st'; COMP_POINT=9; _engine_complete; echo \"${{COMPREPLY[@]}}\""]) { RedirectStandardOutput = true, WorkingDirectory = Folder }).Output;
        Assert.Contains("study", completed, StringComparison.Ordinal);
    }

    [Fact]
    public void Bench_says_what_it_measured_as_json()
    {
        JsonObject[] Bench(params string[] arguments)
        {
            var (code, output, error) = Run(["bench", .. arguments, "--rounds", "2", "--json"]);
            Assert.True(code == 0, error);
            return output.TrimEnd('\n').Split('\n').Select(l => JsonNode.Parse(l)!.AsObject()).ToArray();
        }
        var update = Assert.Single(Bench("iql", "--set", "hidden_sizes=16", "--set", "batch_size=8"));
        foreach (string number in new[] { "seconds", "seconds_10", "seconds_90", "nominal_gflop", "executed_gflop", "nominal_gflops", "executed_gflops", "gigabytes_per_second", "nominal_share_of_peak", "share_of_roofline", "arena_bytes", "peak_memory_bytes" })
            Assert.True((double)update[number]! > 0, number);
        Assert.Equal(16, ((string)update["digest"]!).Length);
        Assert.Null(update["level"]);
        var roofline = update["roofline"]!;
        Assert.True((double)roofline["gflops"]! > 0);
        Assert.Equal(["L1", "L2", "L3", "memory"], roofline["levels"]!.AsArray().Select(l => (string)l!["name"]!));
        Assert.All(roofline["levels"]!.AsArray(), l => Assert.True((double)l!["read"]! > 0 && (double)l["copy"]! > 0 && (double)l["write"]! > 0 && (double)l["update"]! > 0));

        var policy = Assert.Single(Bench("bc", "--policy", "--set", "hidden_sizes=16"))["latency"]!;
        Assert.Equal((0, 5000), ((int)policy["allocated_bytes"]!, (int)policy["calls"]!));
        Assert.True((double)policy["p999"]! >= (double)policy["p50"]! && (double)policy["p50"]! > 0);

        var products = Bench("gemm", "8x4x16", "2x8x8x8", "--transpose-a");
        Assert.Equal([2 * 8 * 4 * 16 / 1e9, 2 * 2 * 8 * 8 * 8 / 1e9], products.Select(p => (double)p["nominal_gflop"]!));
        Assert.Equal("L1", (string)products[0]["level"]!);
        Assert.Contains("multiply-add", Run("bench", "polyak", "64", "--rounds", "1", "--explain").Output, StringComparison.Ordinal);
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
        // A folder of fixtures stands for them; one that waits is counted and fails the command.
        string fixtures = Directory.CreateDirectory(In("fixtures")).FullName, own = Path.Combine(fixtures, "bc"), waits = Path.Combine(fixtures, "later");
        Directory.CreateDirectory(own);
        foreach (string file in Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "fixtures", "bc"))) File.Copy(file, Path.Combine(own, Path.GetFileName(file)));
        Directory.CreateDirectory(waits);
        File.WriteAllText(Path.Combine(waits, "fixture.json"), """{"format": 1, "kind": "closed-form", "name": "later"}""");
        verified = Run("verify", fixtures, "--quiet");
        Assert.Equal(1, verified.Code);
        Assert.Contains("2 fixtures: 1 agree, 0 differ, 1 wait for a method", verified.Output, StringComparison.Ordinal);
    }
}
