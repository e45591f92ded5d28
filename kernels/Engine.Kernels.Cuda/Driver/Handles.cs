using System.Runtime.CompilerServices;

[assembly: DisableRuntimeMarshalling]

namespace Engine.Kernels.Cuda.Driver;

// What the driver hands out, one type each, so that they cannot be confused. All are pointers.

internal readonly record struct CudaContext(nint Value);

internal readonly record struct CudaStream(nint Value);

internal readonly record struct CudaEvent(nint Value);

internal readonly record struct CudaModule(nint Value);

internal readonly record struct CudaFunction(nint Value);

internal readonly record struct CudaMemoryPool(nint Value);

internal readonly record struct CudaGraph(nint Value);

internal readonly record struct CudaGraphNode(nint Value);

internal readonly record struct CudaGraphExec(nint Value);

/// <summary>Results of driver functions that are told apart; others are reported by the driver's own name.</summary>
internal enum CudaStatus
{
    Success = 0,
    OutOfMemory = 2,
    NoDevice = 100,
    InvalidImage = 200,
    NoBinaryForGpu = 209,
    InvalidPtx = 218,
    UnsupportedPtxVersion = 222,
    IllegalAddress = 700,
    LaunchOutOfResources = 701,
    LaunchTimeout = 702,
    HardwareStackError = 714,
    IllegalInstruction = 715,
    MisalignedAddress = 716,
    InvalidAddressSpace = 717,
    InvalidPc = 718,
    LaunchFailed = 719,
    SystemDriverMismatch = 803,
}

/// <summary>Properties of a device, by the driver's numbers.</summary>
internal enum DeviceAttribute
{
    MultiprocessorCount = 16,
    MajorCapability = 75,
    MinorCapability = 76,
    SharedMemoryOptIn = 97,
    MemoryPoolsSupported = 115,
}

/// <summary>Properties of a function, by the driver's numbers.</summary>
internal enum FunctionAttribute
{
    MaxThreadsPerBlock = 0,
    MaxDynamicSharedBytes = 8,
}

/// <summary>Options of the driver's compiler, by its numbers.</summary>
internal enum JitOption
{
    ErrorLog = 5,
    ErrorLogBytes = 6,
}
