using System.Diagnostics;
using System.Text.Json.Nodes;
using Engine.Algorithms.Benchmarks;
using Engine.Kernels;
using Engine.Kernels.Cuda;

namespace Engine.Cli;

/// <summary>What <c>engine bench</c> found out about a piece of work.</summary>
/// <param name="Workload">The work, still alive.</param>
/// <param name="Times">Seconds a call, sorted.</param>
/// <param name="Latency">Of a policy.</param>
/// <param name="Digest">Of the variables after the calls that warm up.</param>
/// <param name="PeakBytes">Most memory the process had held when it was warm.</param>
/// <param name="AllocatedBytes">What <see cref="CountedCycles"/> cycles of calls allocate on .NET's heap, in the thread that calls.</param>
/// <param name="Counts">Of a GPU: what as many launch and wait for.</param>
internal sealed record Measurement(Workload Workload, double[] Times, Latency? Latency, string Digest, long PeakBytes, long AllocatedBytes, CudaCounts? Counts)
{
    private const int CountedCycles = 10;

    public static Measurement Of(Workload workload, int rounds, Device device)
    {
        workload.Run(workload.WarmUp);
        // Everything the work needs is allocated by now; what follows needs memory of its own.
        using var process = Process.GetCurrentProcess();
        long peak = process.PeakWorkingSet64;
        string digest = workload.Digest();
        return new(workload, workload.Time(rounds), (workload as PolicyWorkload)?.Measure(rounds * 2500), digest, peak, Allocated(workload), Count(workload, device as CudaDevice));
    }

    private static long Allocated(Workload workload)
    {
        // What a run of many calls allocates once is no call's.
        long before = GC.GetAllocatedBytesForCurrentThread();
        workload.Run(CountedCycles * workload.Cycle);
        long once = GC.GetAllocatedBytesForCurrentThread();
        workload.Run(2 * CountedCycles * workload.Cycle);
        return GC.GetAllocatedBytesForCurrentThread() - once - (once - before);
    }

    private static CudaCounts? Count(Workload workload, CudaDevice? device)
    {
        if (device is null) return null;
        var before = device.Counts;
        workload.Run(CountedCycles * workload.Cycle);
        var after = device.Counts;
        return new(after.Kernels - before.Kernels, after.KernelLaunches - before.KernelLaunches, after.GraphLaunches - before.GraphLaunches, after.Waits - before.Waits);
    }

    private double PerCall(long count) => count / (double)(CountedCycles * Workload.Cycle);

    private double Median => Times[Times.Length / 2];

    private double Low => Times[Times.Length / 10];

    private double High => Times[Math.Min(Times.Length - 1, Times.Length * 9 / 10)];

    private double PeakShare(double flops, Roofline roof) => flops / Median / (roof.GflopsPerSecond * 1e9);

    private string OfPeak(double flops, Roofline? roof) => roof is null ? "" : $", {PeakShare(flops, roof):P1} of peak";

    /// <summary>The smallest level that holds the operands, where there is one kernel.</summary>
    private string? Level(Roofline roof) => Workload.Programs is [var (program, _)] && program.Cost.Kernels is [var kernel] ? roof.LevelOf(kernel.Traffic.Distinct).Name : null;

    public JsonObject ToJson(Device device, Roofline? roof)
    {
        var json = new JsonObject
        {
            ["work"] = Workload.Name,
            ["device"] = device.Description,
            ["precision"] = device.Precision.Name(),
            ["seconds"] = Median,
            ["seconds_10"] = Low,
            ["seconds_90"] = High,
            ["samples"] = Times.Length,
            ["nominal_gflop"] = Workload.NominalFlops / 1e9,
            ["executed_gflop"] = Workload.ExecutedFlops / 1e9,
            ["other_gflop"] = Workload.OtherFlops / 1e9,
            ["bytes"] = Workload.Bytes,
            ["nominal_gflops"] = Workload.NominalFlops / Median / 1e9,
            ["executed_gflops"] = Workload.ExecutedFlops / Median / 1e9,
            ["gigabytes_per_second"] = Workload.Bytes / Median / 1e9,
            ["kernels"] = Workload.Programs.Sum(p => p.Program.KernelCount),
            ["arena_bytes"] = Workload.ArenaBytes,
            ["peak_memory_bytes"] = PeakBytes,
            ["allocated_bytes"] = PerCall(AllocatedBytes),
            ["digest"] = Digest,
        };
        if (roof is not null)
        {
            json["nominal_share_of_peak"] = PeakShare(Workload.NominalFlops, roof);
            json["executed_share_of_peak"] = PeakShare(Workload.ExecutedFlops, roof);
            json["share_of_roofline"] = Workload.LimitSeconds(roof) / Median;
            json["level"] = Level(roof);
            json["roofline"] = BenchOutput.ToJson(roof);
        }
        if (Counts is { } counts)
        {
            json["kernels_run"] = PerCall(counts.Kernels);
            json["kernel_launches"] = PerCall(counts.KernelLaunches);
            json["graph_launches"] = PerCall(counts.GraphLaunches);
            json["host_waits"] = PerCall(counts.Waits);
        }
        if (Latency is { } l)
            json["latency"] = new JsonObject { ["calls"] = l.Calls, ["p50"] = l.P50, ["p99"] = l.P99, ["p999"] = l.P999, ["of_hundred"] = l.OfHundred, ["clock"] = l.Clock, ["allocated_bytes"] = l.AllocatedBytes };
        return json;
    }

    public string ToText(Roofline? roof)
    {
        var lines = new List<string> { Workload.Name };
        if (Latency is { } l)
            lines.Add($"p50 {l.P50 * 1e6:F2} us, p99 {l.P99 * 1e6:F2}, p99.9 {l.P999 * 1e6:F2} over {l.Calls:N0} calls, of which reading the clock is {l.Clock * 1e6:F2}; {l.OfHundred * 1e6:F2} us a call of a hundred in a row; {l.AllocatedBytes} bytes allocated by {l.Calls:N0} calls");
        lines.Add($"median {BenchOutput.Time(Median)}, 10% {BenchOutput.Time(Low)}, 90% {BenchOutput.Time(High)} over {Times.Length} samples; {string.Join(" + ", Workload.Programs.Select(p => p.Program.KernelCount))} kernels, arena {Workload.ArenaBytes / 1e6:F1} MB, process at most {PeakBytes / 1e6:F0} MB; {PerCall(AllocatedBytes):0.##} bytes allocated a call");
        if (Workload.NominalFlops > 0)
            lines.Add($"nominal {Workload.NominalFlops / 1e9:G4} GFLOP, {Workload.NominalFlops / Median / 1e9:F1} GFLOP/s{OfPeak(Workload.NominalFlops, roof)}; executed {Workload.ExecutedFlops / 1e9:G4} GFLOP, {Workload.ExecutedFlops / Median / 1e9:F1} GFLOP/s{OfPeak(Workload.ExecutedFlops, roof)}");
        lines.Add($"operands {Workload.Bytes / 1e6:G4} MB, {Workload.Bytes / Median / 1e9:F1} GB/s{(roof is null ? "" : $"{(Level(roof) is { } level ? $" in {level}" : "")}; {Workload.LimitSeconds(roof) / Median:P1} of the roofline ({BenchOutput.Time(Workload.LimitSeconds(roof))})")}");
        if (Counts is { } c)
            lines.Add($"a call runs {PerCall(c.Kernels):0.##} kernels: the host launches {PerCall(c.GraphLaunches):0.##} graphs and {PerCall(c.KernelLaunches):0.##} kernels by themselves, and waits {PerCall(c.Waits):0.##} times");
        return string.Join("\n  ", lines);
    }
}

/// <summary>Numbers and limits as text and JSON.</summary>
internal static class BenchOutput
{
    /// <summary>With a unit that suits it.</summary>
    public static string Time(double seconds) => seconds switch { < 1e-3 => $"{seconds * 1e6:F2} us", < 1 => $"{seconds * 1e3:F2} ms", _ => $"{seconds:F2} s" };

    public static string Text(Device device, Roofline? roof) => roof is null ? device.Description :
        $"{device.Description}: measured {roof.GflopsPerSecond:F0} GFLOP/s float32 multiply-add, {roof.RootDivisionsPerSecond:F1} G/s square roots and divisions\n" + string.Join("\n", roof.Levels.Select(l => "  " + Text(l)));

    public static string Text(MemoryLevel level) => $"{level.Name,-6} read {level.Read,4:F0} GB/s, write {level.Write,4:F0}, copy {level.Copy,4:F0}, update in place {level.Update,4:F0}";

    public static JsonObject ToJson(Roofline roof) => new()
    {
        ["gflops"] = roof.GflopsPerSecond,
        ["root_divisions"] = roof.RootDivisionsPerSecond,
        ["levels"] = new JsonArray([.. roof.Levels.Select(l => new JsonObject { ["name"] = l.Name, ["bytes"] = l.Bytes == long.MaxValue ? null : l.Bytes, ["read"] = l.Read, ["write"] = l.Write, ["copy"] = l.Copy, ["update"] = l.Update })]),
    };
}
