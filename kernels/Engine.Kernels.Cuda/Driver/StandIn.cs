using System.Runtime.InteropServices;

namespace Engine.Kernels.Cuda.Driver;

/// <summary>What the stand-in (cpu-shim/) has beside the driver's functions; NVIDIA's driver has none of it.</summary>
internal static unsafe class StandIn
{
    private static readonly delegate* unmanaged<ulong, ulong, void> s_annotate = (delegate* unmanaged<ulong, ulong, void>)Export("standin_annotate");
    private static readonly delegate* unmanaged<ulong, void> s_seed = (delegate* unmanaged<ulong, void>)Export("standin_seed");
    private static readonly delegate* unmanaged<int, void> s_architecture = (delegate* unmanaged<int, void>)Export("standin_architecture");
    private static readonly delegate* unmanaged<int, void> s_multiprocessors = (delegate* unmanaged<int, void>)Export("standin_multiprocessors");
    private static readonly delegate* unmanaged<ulong*, ulong*, ulong*, void> s_counts = (delegate* unmanaged<ulong*, ulong*, ulong*, void>)Export("standin_counts");

    /// <summary>Whether the driver's library is the stand-in.</summary>
    public static bool IsLoaded => s_annotate != null;

    /// <summary>Tells of an operand of the thread's next launch, so that accesses beyond it are found: the operands of a plan are parts of one allocation.</summary>
    public static void Annotate(nint address, long bytes)
    {
        if (bytes > 0) s_annotate((ulong)address, (ulong)bytes);
    }

    /// <summary>Sets the order in which threads, blocks and free nodes of graphs run from now on.</summary>
    public static void Seed(ulong seed) => s_seed(seed);

    /// <summary>Sets the compute capability from now on, 10 major + minor; to be done while no device is open.</summary>
    public static void Architecture(int architecture) => s_architecture(architecture);

    /// <summary>Sets how many multiprocessors a device has from now on, 1 to 1024; to be done while no device is open.</summary>
    public static void Multiprocessors(int count) => s_multiprocessors(count);

    /// <summary>Kernels run, those of graphs included, graphs launched, and waits of the host, since the process began.</summary>
    public static (ulong Launches, ulong Graphs, ulong Waits) Counts()
    {
        ulong launches, graphs, waits;
        s_counts(&launches, &graphs, &waits);
        return (launches, graphs, waits);
    }

    private static nint Export(string name) => NativeLibrary.TryGetExport(DriverLibrary.Handle, name, out nint address) ? address : 0;
}
