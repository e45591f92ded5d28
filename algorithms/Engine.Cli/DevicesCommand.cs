using System.CommandLine;
using System.Text.Json.Nodes;
using Engine.Kernels;
using Engine.Kernels.Cpu;
using Engine.Kernels.Cuda;
using Engine.Kernels.Ilgpu;

namespace Engine.Cli;

/// <summary>engine devices.</summary>
internal static class DevicesCommand
{
    public static Command Create()
    {
        var ops = new Option<bool>("--ops") { Description = "also the coverage matrix: which op has a kernel where, and a derivative" };
        var json = Shared.Json();
        var command = new Command("devices", "What can run here, and why not what cannot; of the processor with measured limits.") { ops, json };
        command.SetAction(parse =>
        {
            using var device = new CpuDevice(Environment.ProcessorCount);
            var roof = CpuRoofline.Measure();
            if (parse.GetValue(json))
            {
                Shared.Write(new JsonObject { ["device"] = "cpu", ["description"] = device.Description, ["threads"] = device.Threads, ["one_thread"] = BenchOutput.ToJson(roof) });
                if (CudaDevice.Unavailable is { } reason) Shared.Write(new JsonObject { ["device"] = "cuda", ["unavailable"] = reason });
                foreach (var gpu in CudaDevice.All())
                {
                    var line = new JsonObject
                    {
                        ["device"] = Name(gpu),
                        ["description"] = gpu.Name,
                        ["compute_capability"] = Capability(gpu),
                        ["multiprocessors"] = gpu.Limits.Multiprocessors,
                        ["memory_bytes"] = gpu.MemoryBytes,
                        ["driver_cuda_version"] = CudaDevice.DriverVersion,
                    };
                    if (CudaDevice.Unsuitable(gpu.Limits) is { } unsuitable) line["unavailable"] = unsuitable;
                    Shared.Write(line);
                }
                if (IlgpuDevice.Unavailable is { } missing) Shared.Write(new JsonObject { ["device"] = "ilgpu", ["unavailable"] = missing });
                foreach (var accelerator in IlgpuDevice.All())
                {
                    var line = new JsonObject { ["device"] = accelerator.Name, ["description"] = accelerator.Description };
                    if (accelerator.Unavailable is { } refused) line["unavailable"] = refused;
                    Shared.Write(line);
                }
                return 0;
            }
            Console.WriteLine($"cpu    {device.Description}; one thread: {roof.GflopsPerSecond:F0} GFLOP/s float32 multiply-add, {roof.RootDivisionsPerSecond:F1} G/s square roots and divisions");
            foreach (var level in roof.Levels) Console.WriteLine("       " + BenchOutput.Text(level));
            if (CudaDevice.Unavailable is { } why) Console.WriteLine($"cuda   {why}");
            foreach (var gpu in CudaDevice.All())
                Console.WriteLine($"{Name(gpu),-6} {gpu.Name}, compute capability {Capability(gpu)}, {gpu.Limits.Multiprocessors} multiprocessors, {gpu.MemoryBytes / 1e9:F1} GB; {CudaDevice.Unsuitable(gpu.Limits) ?? $"the driver supports CUDA {CudaDevice.DriverVersion}"}");
            if (IlgpuDevice.Unavailable is { } absent) Console.WriteLine($"ilgpu  {absent}");
            foreach (var accelerator in IlgpuDevice.All()) Console.WriteLine($"{accelerator.Name,-6} {accelerator.Description}{(accelerator.Unavailable is { } refused ? $"; refused: {refused}" : "")}");
            if (parse.GetValue(ops)) PrintCoverage(device);
            return 0;
        });
        return command;
    }

    private static string Name(CudaDeviceInfo gpu) => gpu.Ordinal == 0 ? "cuda" : $"cuda:{gpu.Ordinal}";

    private static string Capability(CudaDeviceInfo gpu) => $"{gpu.Limits.Architecture / 10}.{gpu.Limits.Architecture % 10}";

    private static void PrintCoverage(CpuDevice device)
    {
        Console.WriteLine($"\n{"op",-20} {"cases",5}  {"cpu",-10} {"cuda",-10} {"ilgpu",-10} derivative");
        foreach (var op in OpTable.Cases.GroupBy(c => c.Op.Name))
        {
            var first = op.First();
            var types = first.Inputs.Select(i => i.Type).ToArray();
            var outputs = first.Op.Infer(types);
            string Coverage(bool kernel) => first.Op.IsAlias ? "no copy" : (kernel, first.Op is Composite) switch { (true, true) => "fused", (true, false) => "kernel", (false, true) => "definition", _ => "HOLE" };
            // What passes make where a device prefers it is no hole where it has another way.
            string Ilgpu(Op made, string coverage) => coverage == "HOLE" && IlgpuDevice.NotMade.ContainsKey(made.GetType().Name) ? "not made" : coverage;
            string derivative = !op.Any(c => c.Differentiable) ? "-" : Autodiff.Derivatives.HasRule(first.Op.GetType()) ? "rule" : "definition";
            Console.WriteLine($"{op.Key,-20} {op.Count(),5}  {Coverage(device.Implements(first.Op, types, outputs)),-10} {Coverage(CudaDevice.HasKernel(first.Op, types, outputs)),-10} {Ilgpu(first.Op, Coverage(IlgpuDevice.HasKernel(first.Op, types, outputs))),-10} {derivative}");
        }
        Console.WriteLine($"\nnot made for ilgpu: {string.Join("; ", IlgpuDevice.NotMade.Select(op => $"{op.Key} ({op.Value})"))}");
        Console.WriteLine($"on the cpu only: {(OpTable.CpuOnly.Count == 0 ? "no op" : string.Join("; ", OpTable.CpuOnly.Select(op => $"{op.Key} ({op.Value})")))}");
    }
}
