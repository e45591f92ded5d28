using Engine.Kernels.Cuda.Driver;

namespace Engine.Kernels.Cuda.Tests;

/// <summary>Where CUDA tests run: on a GPU, or on the stand-in that ENGINE_CUDA_DRIVER names.</summary>
internal static class Cuda
{
    public static readonly string? Absent = CudaDevice.Unavailable is { } why ? $"needs a GPU or the stand-in driver ({why})" : null;

    /// <summary>Whether the device is the stand-in, whose speed is a processor's.</summary>
    public static bool IsStandIn => StandIn.IsLoaded;

    /// <summary>Orders in which the stand-in runs threads and blocks: ascending, descending, at random. On a GPU the order is its own, and this does nothing.</summary>
    public static void Order(ulong seed)
    {
        if (IsStandIn) StandIn.Seed(seed);
    }

    /// <summary>Until it is disposed of, devices of the stand-in have that compute capability, and so many multiprocessors (0: as many as before). A GPU is what it is.</summary>
    public static IDisposable As(int architecture, int multiprocessors = 0) => new Capability(architecture, multiprocessors);

    private sealed class Capability : IDisposable
    {
        private readonly CudaLimits _before;

        public Capability(int architecture, int multiprocessors)
        {
            using (var device = new CudaDevice()) _before = device.Limits;
            if (!IsStandIn) return;
            StandIn.Architecture(architecture);
            if (multiprocessors > 0) StandIn.Multiprocessors(multiprocessors);
        }

        public void Dispose()
        {
            if (!IsStandIn) return;
            StandIn.Architecture(_before.Architecture);
            StandIn.Multiprocessors(_before.Multiprocessors);
        }
    }
}

/// <summary>A test that needs a GPU or the stand-in, and says so where there is neither.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class CudaFactAttribute : FactAttribute
{
    public CudaFactAttribute() => Skip = Cuda.Absent;
}

/// <summary>A test with several inputs that needs a GPU or the stand-in, and says so where there is neither.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class CudaTheoryAttribute : TheoryAttribute
{
    public CudaTheoryAttribute() => Skip = Cuda.Absent;
}

/// <summary>The folder that the tests were built from.</summary>
internal static class Sources
{
    public static readonly string? Root = Find();

    private static string? Find()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Engine.sln"))) folder = folder.Parent;
        return folder?.FullName;
    }
}

/// <summary>A test with several inputs that needs a GPU or the stand-in and shared data, and says so where one is absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class CudaDataTheoryAttribute : TheoryAttribute
{
    public CudaDataTheoryAttribute() => Skip = Cuda.Absent ?? (SharedData.Root is null ? SharedData.Absent : null);
}

/// <summary>A test of what settings of the stand-in make happen, and says so on a GPU.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class StandInFactAttribute : FactAttribute
{
    public StandInFactAttribute() => Skip = Cuda.Absent ?? (Cuda.IsStandIn ? null : "needs the stand-in driver, whose GPUs, memory and version can be set");
}
