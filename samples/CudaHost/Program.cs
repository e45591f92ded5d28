// A host that holds a CUcontext, a CUstream and CUdeviceptrs, as those of ManagedCuda do (context.Context.Pointer, stream.Stream.Pointer, memory.DevicePointer.Pointer). Here it calls the driver itself.
using System.Reflection;
using System.Runtime.InteropServices;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cuda;

const int Count = 1000;
NativeLibrary.SetDllImportResolver(Assembly.GetExecutingAssembly(), (name, _, _) => name == "cuda" ? NativeLibrary.Load(Environment.GetEnvironmentVariable("ENGINE_CUDA_DRIVER") ?? "libcuda.so.1") : 0);
Check(Driver.cuInit(0));
Check(Driver.cuDeviceGet(out int gpu, 0));
Check(Driver.cuCtxCreate_v2(out nint context, 0, gpu));
Check(Driver.cuStreamCreate(out nint stream, 1));
Check(Driver.cuMemAlloc_v2(out nint x, 4 * Count));
Check(Driver.cuMemAlloc_v2(out nint y, 4 * Count));
float[] values = Enumerable.Range(0, Count).Select(i => i * 0.01f - 5f).ToArray(), results = new float[Count];
Check(Driver.cuMemcpyHtoDAsync_v2(x, values, 4 * Count, stream));

using (var device = CudaDevice.Attach(context, stream))
using (var state = new State(device))
{
    var type = TensorType.Float([Count]);
    Variable from = state.Add("x", type, device.Wrap(x, 4 * Count)), to = state.Add("y", type, device.Wrap(y, 4 * Count));
    using var program = state.Compile(graph => graph.Assign(to, (-graph.Read(from).Square()).Exp()));
    program.Run();
    Console.WriteLine($"{device.Description}: {program.KernelCount} kernel, {device.Counts.Waits} waits of the host");
}

Check(Driver.cuMemcpyDtoHAsync_v2(results, y, 4 * Count, stream));
Check(Driver.cuStreamSynchronize(stream));
double error = Enumerable.Range(0, Count).Max(i => Math.Abs(results[i] - Math.Exp(-(double)values[i] * values[i])));
Console.WriteLine($"largest error of {Count} values of exp(-x^2) in the host's memory: {error:E1}");
if (!(error < 1e-6)) throw new InvalidOperationException("the values are wrong");
Check(Driver.cuCtxGetCurrent(out nint current));
if (current != context) throw new InvalidOperationException("the thread's context is another than before");
foreach (nint memory in new[] { x, y }) Check(Driver.cuMemFree_v2(memory));
Check(Driver.cuStreamDestroy_v2(stream));
Check(Driver.cuCtxDestroy_v2(context));

static void Check(int status)
{
    if (status != 0) throw new InvalidOperationException($"the driver says {status}");
}

internal static class Driver
{
    [DllImport("cuda")] public static extern int cuInit(uint flags);
    [DllImport("cuda")] public static extern int cuDeviceGet(out int device, int ordinal);
    [DllImport("cuda")] public static extern int cuCtxCreate_v2(out nint context, uint flags, int device);
    [DllImport("cuda")] public static extern int cuCtxDestroy_v2(nint context);
    [DllImport("cuda")] public static extern int cuCtxGetCurrent(out nint context);
    [DllImport("cuda")] public static extern int cuStreamCreate(out nint stream, uint flags);
    [DllImport("cuda")] public static extern int cuStreamDestroy_v2(nint stream);
    [DllImport("cuda")] public static extern int cuStreamSynchronize(nint stream);
    [DllImport("cuda")] public static extern int cuMemAlloc_v2(out nint memory, nint bytes);
    [DllImport("cuda")] public static extern int cuMemFree_v2(nint memory);
    [DllImport("cuda")] public static extern int cuMemcpyHtoDAsync_v2(nint to, float[] from, nint bytes, nint stream);
    [DllImport("cuda")] public static extern int cuMemcpyDtoHAsync_v2(float[] to, nint from, nint bytes, nint stream);
}
