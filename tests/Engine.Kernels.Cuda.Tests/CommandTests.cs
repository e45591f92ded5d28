using System.Text.Json.Nodes;
using Engine.Algorithms.Tests;

namespace Engine.Kernels.Cuda.Tests;

/// <summary>The engine command with --device cuda, in processes of its own.</summary>
public sealed class CommandTests : EngineProcess
{
    private static readonly string[] Train = ["train", "bc", "--dataset", "builtin:pendulum,rows=400", "--steps", "20", "--out", "run", "--quiet", .. Small];

    [Fact]
    public void Without_a_driver_the_devices_say_what_was_looked_for_and_training_is_refused()
    {
        Variables["ENGINE_CUDA_DRIVER"] = "/nowhere/libcuda.so.1";
        var (code, text, _) = Run("devices");
        Assert.Equal(0, code);
        Assert.Contains("cuda   no CUDA driver", text, StringComparison.Ordinal);
        Assert.Contains("/nowhere/libcuda.so.1", text, StringComparison.Ordinal);
        var lines = Run("devices", "--json").Output.Trim().Split('\n').Select(l => JsonNode.Parse(l)!).ToArray();
        Assert.Contains("/nowhere", (string)lines.Single(l => (string)l["device"]! == "cuda")["unavailable"]!, StringComparison.Ordinal);
        Refused("no CUDA driver", [.. Train, "--device", "cuda"]);
        Refused("cuda, or cuda:N", [.. Train, "--device", "gpu"]);
        Refused("cuda, or cuda:N", [.. Train, "--device", "cuda:-1"]);
        Assert.False(Directory.Exists(In("run")));
    }

    [StandInFact]
    public void A_machine_without_a_gpu_an_old_driver_and_an_old_gpu_are_told_apart()
    {
        Variables["ENGINE_STANDIN_DEVICES"] = "0";
        Assert.Contains("cuda   no GPU", Run("devices").Output, StringComparison.Ordinal);
        Refused("no GPU", [.. Train, "--device", "cuda"]);
        Variables.Clear();
        Variables["ENGINE_STANDIN_DRIVER"] = "11020";
        Assert.Contains("cuda   the CUDA driver is too old: it supports CUDA 11.2, needed is 11.4", Run("devices").Output, StringComparison.Ordinal);
        Refused("11.4", [.. Train, "--device", "cuda"]);
        Variables.Clear();
        Variables["ENGINE_STANDIN_ARCH"] = "70";
        Assert.Contains("compute capability 7.0 is too low, needed is 7.5", Run("devices").Output, StringComparison.Ordinal);
        Refused("needed is 7.5", [.. Train, "--device", "cuda"]);
    }

    [StandInFact]
    public void One_of_several_gpus_is_chosen_by_its_number()
    {
        Variables["ENGINE_STANDIN_DEVICES"] = "2";
        string text = Run("devices").Output;
        Assert.Contains("cuda   stand-in", text, StringComparison.Ordinal);
        Assert.Contains("cuda:1 stand-in", text, StringComparison.Ordinal);
        Assert.Equal(0, Run([.. Train, "--device", "cuda:1"]).Code);
        Refused("cuda:0 to cuda:1", [.. Train, "--device", "cuda:2"]);
    }

    [StandInFact]
    public void Too_little_memory_is_an_error_that_says_how_much_was_asked()
    {
        Variables["ENGINE_STANDIN_MEMORY"] = "10000";
        Refused("out of memory: asked for", [.. Train, "--device", "cuda"]);
    }

    [CudaFact]
    public void Training_evaluating_benchmarking_verifying_and_studies_run_on_the_gpu()
    {
        var (code, _, error) = Run([.. Train, "--device", "cuda"]);
        Assert.True(code == 0, error);
        var (evaluated, line, _) = Run("evaluate", "run", "--episodes", "4", "--device", "cuda", "--json");
        Assert.Equal(0, evaluated);
        // The same policy on the processor: the actions agree to the last places, the returns to the tolerance of a chaotic pendulum.
        double here = (double)JsonNode.Parse(line)!["return_mean"]!, there = (double)JsonNode.Parse(Run("evaluate", "run", "--episodes", "4", "--json").Output)!["return_mean"]!;
        Assert.Equal(there, here, Math.Abs(there) * 0.05);

        var (benched, text, benchError) = Run("bench", "sac-n", "--set", "hidden_sizes=16,16", "--set", "batch_size=32", "--set", "critics=3", "--rounds", "2", "--device", "cuda", "--explain");
        Assert.True(benched == 0, benchError);
        Assert.Contains("median", text, StringComparison.Ordinal);
        Assert.Contains("matmul", text, StringComparison.Ordinal);
        var counts = JsonNode.Parse(Run("bench", "td3-bc", "--set", "hidden_sizes=16,16", "--set", "batch_size=32", "--rounds", "2", "--device", "cuda", "--json").Output)!;
        Assert.Equal((1.0, 0.0, 0.0), ((double)counts["graph_launches"]!, (double)counts["kernel_launches"]!, (double)counts["host_waits"]!));

        Assert.Equal(0, Run("verify", Path.Combine(AppContext.BaseDirectory, "fixtures", "bc"), "--device", "cuda", "--quiet").Code);

        File.WriteAllText(In("study.json"), """{ "dataset": "builtin:pendulum,rows=400", "environment": "Pendulum-v1", "steps": 20, "evaluate_every": 10, "evaluation_episodes": 2, "final_episodes": 2, "seeds": [0], "algorithms": { "bc": { "hidden_sizes": [16], "batch_size": 16 } } }""");
        var (studied, _, studyError) = Run("study", "study.json", "--out", "studied", "--device", "cuda");
        Assert.True(studied == 0, studyError);
        Assert.True(File.Exists(In("studied", "bc-seed0", "final.json")));
    }

    /// <summary>A number that names no implementation is refused where it is needed, and one that does is used: bc has three layers, a weight and a bias each.</summary>
    [CudaFact]
    public void Implementations_are_chosen_from_outside_by_their_numbers()
    {
        string[] bench = ["bench", "bc", "--set", "hidden_sizes=16,16", "--set", "batch_size=32", "--rounds", "1", "--device", "cuda", "--json"];
        Variables["ENGINE_NO_CUDA_GRAPH"] = "1";
        double launches = (double)JsonNode.Parse(Run(bench).Output)!["kernel_launches"]!;
        Variables["ENGINE_CUDA_ADAM"] = "0";
        Assert.Equal(launches + 5, (double)JsonNode.Parse(Run(bench).Output)!["kernel_launches"]!);
        foreach (string text in new[] { "2", "-1", "group" })
        {
            Variables["ENGINE_CUDA_ADAM"] = text;
            Refused($"engine: ENGINE_CUDA_ADAM={text}: expected a number: 0 (a launch a parameter), 1 (group)", bench);
        }
        Variables.Remove("ENGINE_CUDA_ADAM");
        Variables["ENGINE_CUDA_GEMM"] = "1000";
        Refused("engine: ENGINE_CUDA_GEMM=1000: expected a number: 0 (matmul_ffma_any), 1 (", bench);
        Variables.Remove("ENGINE_CUDA_GEMM");
        Variables["ENGINE_CUDA_CHAIN"] = "1000";
        Refused("engine: ENGINE_CUDA_CHAIN=1000: expected a number: 0 (a launch a link), 1 (", bench);
    }

    [CudaFact]
    public void A_run_keeps_its_precision()
    {
        string[] tensor = [.. Train, "--device", "cuda", "--precision", "tf32", "--set", "hidden_sizes=64,64"];
        if (Cuda.IsStandIn)
        {
            Variables["ENGINE_STANDIN_ARCH"] = "75";
            Refused("compute capability 8.0", tensor);
            Variables.Clear();
        }
        var (code, _, error) = Run(tensor);
        Assert.True(code == 0, error);
        Assert.Equal("tf32", (string)JsonNode.Parse(File.ReadAllText(In("run", "config.json")))!["precision"]!);
        Refused("device cpu computes in float32 only", "train", "--resume", "run", "--steps", "40");
        Assert.Equal(0, Run("train", "--resume", "run", "--steps", "40", "--quiet", "--device", "cuda").Code);
        Assert.Equal("tf32", (string)JsonNode.Parse(File.ReadAllText(In("run", "config.json")))!["precision"]!);
        // 40 steps at once are the same run, in float32 they are another.
        byte[] Policy(string folder) => File.ReadAllBytes(Directory.GetFiles(In(folder, "checkpoints"), "*40.safetensors").Single());
        string[] At(string folder, string precision) => [.. tensor.Select(a => a == "run" ? folder : a == "20" ? "40" : a == "tf32" ? precision : a)];
        Assert.Equal(0, Run(At("whole", "tf32")).Code);
        Assert.Equal(0, Run(At("single", "float32")).Code);
        Assert.Equal(Policy("whole"), Policy("run"));
        Assert.NotEqual(Policy("whole"), Policy("single"));

        File.WriteAllText(In("study.json"), """{ "dataset": "builtin:pendulum,rows=400", "environment": "Pendulum-v1", "steps": 20, "evaluate_every": 10, "evaluation_episodes": 2, "seeds": [0], "algorithms": { "bc": { "precision": "bfloat16", "hidden_sizes": [16], "batch_size": 16 } } }""");
        Refused("device cpu computes in float32 only", "study", "study.json", "--out", "studied");
        Assert.Equal(0, Run("study", "study.json", "--out", "studied", "--device", "cuda").Code);
        Assert.Equal("bfloat16", (string)JsonNode.Parse(File.ReadAllText(In("studied", "bc-seed0", "config.json")))!["precision"]!);
    }

    [CudaFact]
    public void Ops_are_verified_in_every_precision()
    {
        foreach (string precision in Precisions.Names)
        {
            var line = JsonNode.Parse(Run("verify", "--ops", "--device", "cuda", "--precision", precision, "--json").Output)!;
            Assert.Equal((precision, 0), ((string)line["precision"]!, (int)line["failed"]!));
        }
        int Cases(string only) => (int)JsonNode.Parse(Run("verify", "--ops", "--only", only, "--device", "cuda", "--json").Output)!["cases"]!;
        Assert.Equal(OpTable.Cases.Count(c => c.Op.Name is "softmax" or "log_sum_exp"), Cases("softmax,log_sum"));
        Refused("no op's name has that in it", "verify", "--ops", "--only", "softmaxx", "--device", "cuda");
    }

    [Fact]
    public void The_coverage_of_ops_has_a_column_for_cuda()
    {
        string text = Run("devices", "--ops").Output;
        Assert.Contains("cuda", text.Split('\n').First(l => l.StartsWith("op ", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.Contains("tanh", text, StringComparison.Ordinal);
        Assert.StartsWith("on the cpu only: ", text.TrimEnd().Split('\n')[^1], StringComparison.Ordinal);
        foreach (string op in OpTable.CpuOnly.Keys) Assert.Contains(op, text.TrimEnd().Split('\n')[^1], StringComparison.Ordinal);
    }
}
