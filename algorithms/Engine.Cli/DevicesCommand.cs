using System.CommandLine;
using System.Text.Json.Nodes;
using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Cli;

/// <summary>engine devices.</summary>
internal static class DevicesCommand
{
    public static Command Create()
    {
        var ops = new Option<bool>("--ops") { Description = "also the coverage matrix: which op has a kernel where, and a derivative" };
        var json = Shared.Json();
        var command = new Command("devices", "What can run here, with measured limits.") { ops, json };
        command.SetAction(parse =>
        {
            using var device = new CpuDevice(Environment.ProcessorCount);
            var roof = CpuRoofline.Measure();
            if (parse.GetValue(json))
            {
                Shared.Write(new JsonObject { ["device"] = "cpu", ["description"] = device.Description, ["threads"] = device.Threads, ["one_thread"] = BenchOutput.ToJson(roof) });
                return 0;
            }
            Console.WriteLine($"cpu   {device.Description}; one thread: {roof.GflopsPerSecond:F0} GFLOP/s float32 multiply-add, {roof.RootDivisionsPerSecond:F1} G/s square roots and divisions");
            foreach (var level in roof.Levels) Console.WriteLine("      " + BenchOutput.Text(level));
            Console.WriteLine("cuda  not in this build");
            Console.WriteLine("ilgpu not in this build");
            if (parse.GetValue(ops)) PrintCoverage(device);
            return 0;
        });
        return command;
    }

    private static void PrintCoverage(CpuDevice device)
    {
        Console.WriteLine($"\n{"op",-20} {"cases",5}  {"cpu",-10} derivative");
        foreach (var op in OpTable.Cases.GroupBy(c => c.Op.Name))
        {
            var first = op.First();
            var types = first.Inputs.Select(i => i.Type).ToArray();
            bool kernel = first.Op.IsAlias || device.Implements(first.Op, types, first.Op.Infer(types)), composite = first.Op is Composite;
            string derivative = !op.Any(c => c.Differentiable) ? "-" : Autodiff.Derivatives.HasRule(first.Op.GetType()) ? "rule" : "definition";
            Console.WriteLine($"{op.Key,-20} {op.Count(),5}  {(first.Op.IsAlias ? "no copy" : kernel ? composite ? "fused" : "kernel" : composite ? "definition" : "HOLE"),-10} {derivative}");
        }
    }
}
