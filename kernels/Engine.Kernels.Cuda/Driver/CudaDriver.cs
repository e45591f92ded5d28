using System.Reflection;
using System.Runtime.InteropServices;

namespace Engine.Kernels.Cuda.Driver;

/// <summary>
/// The functions of the driver's library that are used, under their names; the entry names state the version that is meant. <see cref="DriverLibrary"/> finds the library. Memory is
/// addressed by <c>nint</c>; every function but the two about errors returns a status, which <see cref="CudaError.Check"/> turns into an exception.
/// </summary>
internal static unsafe partial class CudaDriver
{
    private const string Library = "engine-cuda-driver"; // a name for the resolver, not a file

    static CudaDriver() => NativeLibrary.SetDllImportResolver(typeof(CudaDriver).Assembly, Resolve);

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? path) => name == Library ? DriverLibrary.Handle : 0;

    // Start, devices, contexts.

    [LibraryImport(Library, EntryPoint = "cuInit")]
    internal static partial CudaStatus cuInit(uint flags);

    [LibraryImport(Library, EntryPoint = "cuDriverGetVersion")]
    internal static partial CudaStatus cuDriverGetVersion(out int version);

    [LibraryImport(Library, EntryPoint = "cuDeviceGetCount")]
    internal static partial CudaStatus cuDeviceGetCount(out int count);

    [LibraryImport(Library, EntryPoint = "cuDeviceGet")]
    internal static partial CudaStatus cuDeviceGet(out int device, int ordinal);

    [LibraryImport(Library, EntryPoint = "cuDeviceGetName")]
    internal static partial CudaStatus cuDeviceGetName(byte* name, int length, int device);

    [LibraryImport(Library, EntryPoint = "cuDeviceGetAttribute")]
    internal static partial CudaStatus cuDeviceGetAttribute(out int value, DeviceAttribute attribute, int device);

    [LibraryImport(Library, EntryPoint = "cuDeviceTotalMem_v2")]
    internal static partial CudaStatus cuDeviceTotalMem(out nuint bytes, int device);

    [LibraryImport(Library, EntryPoint = "cuDevicePrimaryCtxRetain")]
    internal static partial CudaStatus cuDevicePrimaryCtxRetain(out CudaContext context, int device);

    [LibraryImport(Library, EntryPoint = "cuDevicePrimaryCtxRelease_v2")]
    internal static partial CudaStatus cuDevicePrimaryCtxRelease(int device);

    [LibraryImport(Library, EntryPoint = "cuCtxSetCurrent")]
    internal static partial CudaStatus cuCtxSetCurrent(CudaContext context);

    [LibraryImport(Library, EntryPoint = "cuCtxGetCurrent")]
    internal static partial CudaStatus cuCtxGetCurrent(out CudaContext context);

    [LibraryImport(Library, EntryPoint = "cuCtxGetDevice")]
    internal static partial CudaStatus cuCtxGetDevice(out int device);

    // Memory.

    [LibraryImport(Library, EntryPoint = "cuMemGetInfo_v2")]
    internal static partial CudaStatus cuMemGetInfo(out nuint free, out nuint total);

    [LibraryImport(Library, EntryPoint = "cuMemAllocAsync")]
    internal static partial CudaStatus cuMemAllocAsync(out nint address, nuint bytes, CudaStream stream);

    [LibraryImport(Library, EntryPoint = "cuMemFreeAsync")]
    internal static partial CudaStatus cuMemFreeAsync(nint address, CudaStream stream);

    [LibraryImport(Library, EntryPoint = "cuMemAlloc_v2")]
    internal static partial CudaStatus cuMemAlloc(out nint address, nuint bytes);

    [LibraryImport(Library, EntryPoint = "cuMemFree_v2")]
    internal static partial CudaStatus cuMemFree(nint address);

    [LibraryImport(Library, EntryPoint = "cuDeviceGetDefaultMemPool")]
    internal static partial CudaStatus cuDeviceGetDefaultMemPool(out CudaMemoryPool pool, int device);

    [LibraryImport(Library, EntryPoint = "cuMemPoolSetAttribute")]
    internal static partial CudaStatus cuMemPoolSetAttribute(CudaMemoryPool pool, int attribute, void* value);

    [LibraryImport(Library, EntryPoint = "cuMemPoolTrimTo")]
    internal static partial CudaStatus cuMemPoolTrimTo(CudaMemoryPool pool, nuint keep);

    [LibraryImport(Library, EntryPoint = "cuMemHostAlloc")]
    internal static partial CudaStatus cuMemHostAlloc(out nint address, nuint bytes, uint flags);

    [LibraryImport(Library, EntryPoint = "cuMemFreeHost")]
    internal static partial CudaStatus cuMemFreeHost(nint address);

    [LibraryImport(Library, EntryPoint = "cuMemcpyHtoDAsync_v2")]
    internal static partial CudaStatus cuMemcpyHtoDAsync(nint target, void* source, nuint bytes, CudaStream stream);

    [LibraryImport(Library, EntryPoint = "cuMemcpyDtoHAsync_v2")]
    internal static partial CudaStatus cuMemcpyDtoHAsync(void* target, nint source, nuint bytes, CudaStream stream);

    [LibraryImport(Library, EntryPoint = "cuMemsetD8Async")]
    internal static partial CudaStatus cuMemsetD8Async(nint target, byte value, nuint count, CudaStream stream);

    [LibraryImport(Library, EntryPoint = "cuMemsetD32Async")]
    internal static partial CudaStatus cuMemsetD32Async(nint target, uint value, nuint count, CudaStream stream);

    // Streams and events.

    [LibraryImport(Library, EntryPoint = "cuStreamCreate")]
    internal static partial CudaStatus cuStreamCreate(out CudaStream stream, uint flags);

    [LibraryImport(Library, EntryPoint = "cuStreamDestroy_v2")]
    internal static partial CudaStatus cuStreamDestroy(CudaStream stream);

    [LibraryImport(Library, EntryPoint = "cuStreamSynchronize")]
    internal static partial CudaStatus cuStreamSynchronize(CudaStream stream);

    [LibraryImport(Library, EntryPoint = "cuStreamBeginCapture_v2")]
    internal static partial CudaStatus cuStreamBeginCapture(CudaStream stream, int mode);

    [LibraryImport(Library, EntryPoint = "cuStreamEndCapture")]
    internal static partial CudaStatus cuStreamEndCapture(CudaStream stream, out CudaGraph graph);

    [LibraryImport(Library, EntryPoint = "cuEventCreate")]
    internal static partial CudaStatus cuEventCreate(out CudaEvent @event, uint flags);

    [LibraryImport(Library, EntryPoint = "cuEventDestroy_v2")]
    internal static partial CudaStatus cuEventDestroy(CudaEvent @event);

    [LibraryImport(Library, EntryPoint = "cuEventRecord")]
    internal static partial CudaStatus cuEventRecord(CudaEvent @event, CudaStream stream);

    [LibraryImport(Library, EntryPoint = "cuEventSynchronize")]
    internal static partial CudaStatus cuEventSynchronize(CudaEvent @event);

    [LibraryImport(Library, EntryPoint = "cuEventElapsedTime")]
    internal static partial CudaStatus cuEventElapsedTime(out float milliseconds, CudaEvent start, CudaEvent end);

    // Modules, functions, launches.

    [LibraryImport(Library, EntryPoint = "cuModuleLoadDataEx")]
    internal static partial CudaStatus cuModuleLoadDataEx(out CudaModule module, void* image, uint count, JitOption* options, void** values);

    [LibraryImport(Library, EntryPoint = "cuModuleUnload")]
    internal static partial CudaStatus cuModuleUnload(CudaModule module);

    [LibraryImport(Library, EntryPoint = "cuModuleGetFunction")]
    internal static partial CudaStatus cuModuleGetFunction(out CudaFunction function, CudaModule module, byte* name);

    [LibraryImport(Library, EntryPoint = "cuFuncSetAttribute")]
    internal static partial CudaStatus cuFuncSetAttribute(CudaFunction function, FunctionAttribute attribute, int value);

    [LibraryImport(Library, EntryPoint = "cuFuncGetAttribute")]
    internal static partial CudaStatus cuFuncGetAttribute(out int value, FunctionAttribute attribute, CudaFunction function);

    [LibraryImport(Library, EntryPoint = "cuLaunchKernel")]
    internal static partial CudaStatus cuLaunchKernel(CudaFunction function, uint gridX, uint gridY, uint gridZ, uint blockX, uint blockY, uint blockZ, uint sharedBytes, CudaStream stream, void** arguments, void** extra);

    // Graphs.

    [LibraryImport(Library, EntryPoint = "cuGraphCreate")]
    internal static partial CudaStatus cuGraphCreate(out CudaGraph graph, uint flags);

    [LibraryImport(Library, EntryPoint = "cuGraphAddChildGraphNode")]
    internal static partial CudaStatus cuGraphAddChildGraphNode(out CudaGraphNode node, CudaGraph graph, CudaGraphNode* dependencies, nuint count, CudaGraph child);

    [LibraryImport(Library, EntryPoint = "cuGraphInstantiateWithFlags")]
    internal static partial CudaStatus cuGraphInstantiate(out CudaGraphExec exec, CudaGraph graph, ulong flags);

    [LibraryImport(Library, EntryPoint = "cuGraphLaunch")]
    internal static partial CudaStatus cuGraphLaunch(CudaGraphExec exec, CudaStream stream);

    [LibraryImport(Library, EntryPoint = "cuGraphExecDestroy")]
    internal static partial CudaStatus cuGraphExecDestroy(CudaGraphExec exec);

    [LibraryImport(Library, EntryPoint = "cuGraphDestroy")]
    internal static partial CudaStatus cuGraphDestroy(CudaGraph graph);

    // Errors.

    [LibraryImport(Library, EntryPoint = "cuGetErrorName")]
    internal static partial CudaStatus cuGetErrorName(CudaStatus status, out byte* name);

    [LibraryImport(Library, EntryPoint = "cuGetErrorString")]
    internal static partial CudaStatus cuGetErrorString(CudaStatus status, out byte* text);
}
