// One accelerator runs one kernel at a time, and ILGPU compiles one.
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace Engine.Kernels.Ilgpu.Tests;

/// <summary>The devices that are tested: ILGPU's CPU accelerator, which is everywhere, and an OpenCL device where there is one. They are opened once, so that every kernel is compiled once.</summary>
internal static class Accelerator
{
    private static readonly Lazy<IlgpuDevice> Opened = new(() => new IlgpuDevice("ilgpu:cpu"));
    private static readonly Lazy<IlgpuDevice> OpenedCl = new(() => new IlgpuDevice(OpenClName!));

    /// <summary>The name of the first OpenCL device that can be used; null: there is none.</summary>
    public static readonly string? OpenClName = IlgpuDevice.All().FirstOrDefault(a => a.Name.StartsWith("ilgpu:opencl:", StringComparison.Ordinal) && a.Unavailable is null)?.Name;

    /// <summary>Why there is none.</summary>
    public static readonly string? Absent = OpenClName is null ? $"needs an OpenCL device, such as PoCL's ({IlgpuDevice.Unavailable})" : null;

    public static IlgpuDevice Debugger => Opened.Value;

    public static IlgpuDevice OpenCl => OpenedCl.Value;
}

/// <summary>A test that needs an OpenCL device, and says so where there is none.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class OpenClFactAttribute : FactAttribute
{
    public OpenClFactAttribute() => Skip = Accelerator.Absent;
}

/// <summary>A test with several inputs that needs an OpenCL device, and says so where there is none.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class OpenClTheoryAttribute : TheoryAttribute
{
    public OpenClTheoryAttribute() => Skip = Accelerator.Absent;
}
