using System.Globalization;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;
using IlgpuHardware = ILGPU.Runtime.Device;

namespace Engine.Kernels.Ilgpu.Runtime;

/// <summary>What kind of accelerator runs the kernels; the schedules differ.</summary>
internal enum AcceleratorKind
{
    /// <summary>ILGPU's CPU accelerator: threads of .NET, for finding faults.</summary>
    Debugger,
    /// <summary>An OpenCL device that is a processor.</summary>
    Processor,
    /// <summary>A GPU.</summary>
    Gpu,
}

/// <summary>An accelerator that ILGPU lists, and our name for it.</summary>
/// <param name="Name">The device's name.</param>
/// <param name="Hardware">ILGPU's.</param>
internal sealed record ListedAccelerator(string Name, IlgpuHardware Hardware)
{
    /// <summary>What it is.</summary>
    public AcceleratorKind Kind => Hardware switch
    {
        CLDevice cl => (cl.DeviceType & CLDeviceType.CL_DEVICE_TYPE_CPU) != 0 ? AcceleratorKind.Processor : AcceleratorKind.Gpu,
        CudaDevice => AcceleratorKind.Gpu,
        _ => AcceleratorKind.Debugger,
    };

    /// <summary>Whether it computes in float64; draws of normals, powers and large angles need it.</summary>
    public bool Float64 => Hardware is not CLDevice cl || cl.Capabilities.Float64;

    /// <summary>One line.</summary>
    public string Description => Hardware switch
    {
        CLDevice cl => string.Create(CultureInfo.InvariantCulture, $"{cl.Name.Trim()} by {cl.PlatformName.Trim()}, OpenCL {cl.DeviceVersion.Major}.{cl.DeviceVersion.Minor}, {cl.NumMultiprocessors} compute units{(Float64 ? "" : ", no float64")}"),
        CudaDevice gpu => string.Create(CultureInfo.InvariantCulture, $"{gpu.Name.Trim()}, {gpu.NumMultiprocessors} multiprocessors; device cuda is the faster one for it"),
        _ => "ILGPU's CPU accelerator, .NET threads: for finding faults, not for speed",
    };

    /// <summary>Why it cannot be used; null: it can.</summary>
    public string? Refusal => Hardware is CLDevice { DeviceVersion: { Major: < 2 } version }
        ? string.Create(CultureInfo.InvariantCulture, $"OpenCL {version.Major}.{version.Minor} is too old, needed is 2.0") : null;
}

/// <summary>The accelerators of this machine: one ILGPU context for the process, in which every device opens its own accelerator.</summary>
internal static class Accelerators
{
    private static readonly Lazy<(Context Context, ListedAccelerator[] All)> Found = new(Find);

    /// <summary>The context.</summary>
    public static Context Context => Found.Value.Context;

    /// <summary>All of them, the debugger last.</summary>
    public static IReadOnlyList<ListedAccelerator> All => Found.Value.All;

    private static (Context, ListedAccelerator[]) Find()
    {
        Patches.Ensure();
        var context = Context.Create(builder =>
        {
            builder.Inlining(InliningMode.Aggressive);
            builder.OpenCL(IlgpuDevice.EveryOpenClDevice);
            builder.Cuda();
            builder.CPU(new CPUDevice(2, 1, 1)); // two threads, so that a kernel that needs an order shows it
        });
        var all = new List<ListedAccelerator>();
        int gpus = 0, cls = 0;
        foreach (var gpu in context.GetCudaDevices()) all.Add(new(string.Create(CultureInfo.InvariantCulture, $"ilgpu:cuda:{gpus++}"), gpu));
        foreach (var cl in context.GetCLDevices())
            all.Add(new(string.Create(CultureInfo.InvariantCulture, $"ilgpu:opencl:{cls++}"), cl));
        all.Add(new("ilgpu:cpu", context.GetCPUDevice(0)));
        return (context, all.ToArray());
    }

    /// <summary>The accelerator of a name; of <c>ilgpu</c> a GPU, else a processor under OpenCL.</summary>
    /// <exception cref="DeviceException">There is none, or it cannot be used; the message says which there are.</exception>
    public static ListedAccelerator Choose(string name)
    {
        if (name == "ilgpu")
        {
            var usable = All.Where(a => a.Refusal is null && a.Kind != AcceleratorKind.Debugger).ToArray();
            return usable.FirstOrDefault(a => a.Kind == AcceleratorKind.Gpu) ?? usable.FirstOrDefault()
                ?? throw new DeviceException($"device ilgpu: {Missing()}; ilgpu:cpu, which only finds faults, runs everywhere");
        }
        var named = All.FirstOrDefault(a => a.Name == name) ?? throw new DeviceException($"device {name}: there is none; found: {string.Join(", ", All.Select(a => a.Name))} ({Missing()})");
        return named.Refusal is { } why ? throw new DeviceException($"device {name}, {named.Description}: {why}") : named;
    }

    /// <summary>What was looked for and not found.</summary>
    public static string Missing()
    {
        var missing = new List<string>();
        if (!All.Any(a => a.Hardware is CLDevice)) missing.Add(HasLoader() ? "no OpenCL device (its loader is there; install a vendor's driver, or pocl-opencl-icd for processors)" : "no OpenCL (its loader, libOpenCL.so.1, is not there; install ocl-icd-libopencl1 and a vendor's driver)");
        if (!All.Any(a => a.Hardware is CudaDevice)) missing.Add("no CUDA GPU");
        foreach (var refused in All.Where(a => a.Refusal is not null)) missing.Add($"{refused.Name} is refused: {refused.Refusal}");
        return missing.Count == 0 ? "all were found" : string.Join(", ", missing);
    }

    // Without a platform ILGPU says that OpenCL is not supported, as it does without the library.
    private static bool HasLoader() => NativeLibrary.TryLoad("libOpenCL.so.1", out _) || NativeLibrary.TryLoad("OpenCL", out _);
}
