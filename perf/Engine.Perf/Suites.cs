using BenchmarkDotNet.Attributes;
using Engine.Algorithms;
using Engine.Algorithms.Benchmarks;
using Engine.Kernels;
using Engine.Kernels.Cpu;
using Engine.Kernels.Ilgpu;

namespace Engine.Perf;

/// <summary>Workloads of one sort, on one thread unless the suite says otherwise. The same classes are what <c>engine bench</c> times.</summary>
public abstract class Suite
{
    private Device _device = null!;
    private Workload _workload = null!;

    /// <summary>The workload of the parameters.</summary>
    protected internal abstract Workload Create(Device device);

    /// <summary>Where it runs.</summary>
    protected virtual Device Open() => new CpuDevice();

    [GlobalSetup]
    public void Setup()
    {
        _device = Open();
        _workload = Create(_device);
        _workload.Run(_workload.WarmUp);
    }

    /// <summary>So many calls, done when it returns.</summary>
    protected void Call(int times = 1)
    {
        _workload.Run(times);
        _device.Synchronize();
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _workload.Dispose();
        _device.Dispose();
    }

    /// <summary>An algorithm with its paper's settings but for those given.</summary>
    protected static (AlgorithmEntry Entry, AlgorithmSettings Settings) Algorithm(string name, params string[] settings)
    {
        var entry = AlgorithmCatalogue.Find(name);
        return (entry, SettingsJson.With(entry.Defaults, SettingsJson.ParseAssignments(settings)));
    }
}

/// <summary>Matrix products of updates, and cubes.</summary>
public class Gemm : Suite
{
    public static IEnumerable<string> Shapes => OpWorkload.Shapes("gemm");

    [ParamsSource(nameof(Shapes))]
    public string Shape { get; set; } = "";

    [Params("nn", "tn", "nt")]
    public string Stored { get; set; } = "";

    protected internal override Workload Create(Device device) => new OpWorkload("gemm", Shape, device, Stored[0] == 't', Stored[1] == 't');

    [Benchmark]
    public void Product() => Call();
}

/// <summary>Chains, Adam, Polyak and functions, with operands in each cache and in memory.</summary>
public class Elementwise : Suite
{
    public static IEnumerable<string> Works => OpWorkload.Kinds.Where(k => k.Tensors > 0).SelectMany(k => OpWorkload.Shapes(k.Name).Select(shape => $"{k.Name} {shape}"));

    [ParamsSource(nameof(Works))]
    public string Work { get; set; } = "";

    protected internal override Workload Create(Device device) => Work.Split(' ') is [var kind, var shape] ? new OpWorkload(kind, shape, device) : throw new InvalidOperationException(Work);

    [Benchmark]
    public void Op() => Call();
}

/// <summary>Ensembles of critics, forward and back.</summary>
public class EnsembleMlp : Suite
{
    public static IEnumerable<string> Shapes => OpWorkload.Shapes("mlp").Append("50x256x23-256-256-256-1");

    [ParamsSource(nameof(Shapes))]
    public string Shape { get; set; } = "";

    [Params("mlp", "mlp-gradient")]
    public string Kind { get; set; } = "";

    protected internal override Workload Create(Device device) => new OpWorkload(Kind, Shape, device);

    [Benchmark]
    public void Ensemble() => Call();
}

/// <summary>One update of every algorithm: 17 observations, 6 actions, everything else as its paper says.</summary>
public class TrainingStep : Suite
{
    public static IEnumerable<string> Algorithms => AlgorithmCatalogue.All.Select(a => a.Name);

    [ParamsSource(nameof(Algorithms))]
    public string Name { get; set; } = "";

    protected internal override Workload Create(Device device)
    {
        var (entry, settings) = Algorithm(Name);
        return new UpdateWorkload(entry, settings, 17, 6, device);
    }

    [Benchmark]
    public void Update() => Call();
}

/// <summary>A deterministic policy at one observation.</summary>
public class PolicyLatency : Suite
{
    [Params("256,256", "256,256,256")]
    public string Hidden { get; set; } = "";

    protected internal override Workload Create(Device device)
    {
        var (entry, settings) = Algorithm("bc", $"hidden_sizes={Hidden}", "normalize_observations=false");
        return new PolicyWorkload(entry, settings, 17, 6, device);
    }

    [Benchmark]
    public void Act() => Call();
}

/// <summary>The portable device, here an OpenCL processor or GPU, beside the processor's own kernels on all threads.</summary>
public abstract class OnEither : Suite
{
    [Params("cpu", "ilgpu")]
    public string Device { get; set; } = "";

    protected override Device Open() => Device == "cpu" ? new CpuDevice(Environment.ProcessorCount) : new IlgpuDevice(Device);
}

/// <summary>Elementwise and fused work, sums of rows, products, and an update of SAC-N.</summary>
public class Portable : OnEither
{
    [Params("add 1048576", "exp 1048576", "chain 1048576", "row-sum 2560x256", "gemm 256x256x256", "gemm 10x256x256x256", "sac-n")]
    public string Work { get; set; } = "";

    protected internal override Workload Create(Device device)
    {
        if (Work.Split(' ') is [var kind, var shape]) return new OpWorkload(kind, shape, device);
        var (entry, settings) = Algorithm(Work);
        return new UpdateWorkload(entry, settings, 17, 6, device);
    }

    [Benchmark]
    public void Run() => Call();
}

/// <summary>A program with one kernel of nothing to do, called so often that waiting for the device does not count: what a launch costs and allocates.</summary>
public class Launch : OnEither
{
    protected internal override Workload Create(Device device) => new OpWorkload("add", "1", device);

    [Benchmark(OperationsPerInvoke = 1000)]
    public void Queue() => Call(1000);
}
