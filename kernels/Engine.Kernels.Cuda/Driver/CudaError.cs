using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Engine.Kernels.Cuda.Driver;

/// <summary>Turns statuses of the driver into exceptions.</summary>
internal static unsafe class CudaError
{
    /// <summary>Throws unless the status is success.</summary>
    /// <param name="status">What the function returned.</param>
    /// <param name="function">The call's text, from which its name is taken.</param>
    /// <exception cref="DeviceException">The driver function, the error's name and text, and what to do.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Check(CudaStatus status, [CallerArgumentExpression(nameof(status))] string function = "")
    {
        if (status != CudaStatus.Success) Throw(status, function, null);
    }

    /// <summary>Throws, with more about what was tried.</summary>
    internal static void Throw(CudaStatus status, string function, string? about) => throw new DeviceException(Message(status, function, about));

    /// <summary>The text of an error.</summary>
    internal static string Message(CudaStatus status, string function, string? about)
    {
        int end = function.IndexOf('(', StringComparison.Ordinal);
        string name = end < 0 ? function : function[..end], advice = Advice(status);
        return $"CUDA: {name} failed{(about is null ? "" : $" ({about})")} with {Name(status)} ({(int)status}): {Text(status)}{(advice.Length == 0 ? "" : $"; {advice}")}";
    }

    /// <summary>The driver's name of a status.</summary>
    internal static string Name(CudaStatus status) =>
        CudaDriver.cuGetErrorName(status, out byte* name) == CudaStatus.Success && name != null ? Marshal.PtrToStringUTF8((nint)name)! : "an unknown error";

    private static string Text(CudaStatus status) =>
        CudaDriver.cuGetErrorString(status, out byte* text) == CudaStatus.Success && text != null ? Marshal.PtrToStringUTF8((nint)text)! : "the driver has no text for it";

    private static string Advice(CudaStatus status) => status switch
    {
        CudaStatus.OutOfMemory => "use smaller batches or networks, or free memory that other processes hold",
        CudaStatus.NoBinaryForGpu or CudaStatus.UnsupportedPtxVersion => "the driver is too old for the kernels, or the GPU too new for the driver: update NVIDIA's driver",
        CudaStatus.InvalidPtx or CudaStatus.InvalidImage => "the kernel's text is not valid: please report it with this message",
        CudaStatus.IllegalAddress or CudaStatus.LaunchFailed or CudaStatus.MisalignedAddress or CudaStatus.IllegalInstruction or CudaStatus.InvalidAddressSpace or CudaStatus.InvalidPc or CudaStatus.HardwareStackError =>
            "a kernel broke and the context is lost; run again with ENGINE_CUDA_SYNC=1, which names the kernel",
        CudaStatus.LaunchTimeout => "the system stopped a kernel that ran too long, because the GPU also drives a display",
        CudaStatus.LaunchOutOfResources => "the kernel asks for more registers or shared memory than the GPU has: please report it with this message",
        _ => "",
    };
}
