// A host that lives in ILGPU on an NVIDIA GPU: Engine's own CUDA kernels, tuned by hand, on its context, stream and memory.
using System.Runtime.InteropServices;
using System.Runtime.Loader;
using Engine.Autodiff;
using Engine.Kernels;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using CudaDevice = Engine.Kernels.Cuda.CudaDevice;

// ILGPU looks for libcuda.so, which not every driver's package installs. ENGINE_CUDA_DRIVER names another library.
AssemblyLoadContext.Default.ResolvingUnmanagedDll += (_, name) =>
    name == "cuda" && NativeLibrary.TryLoad(Environment.GetEnvironmentVariable("ENGINE_CUDA_DRIVER") ?? "libcuda.so.1", out nint library) ? library : 0;

const int Rows = 64, Width = 32;
using var context = Context.Create(builder => builder.Cuda());
using var accelerator = context.CreateCudaAccelerator(0);
using var stream = (CudaStream)accelerator.CreateStream(); // not the default one
using var features = accelerator.Allocate1D<float>(Rows * Width);
using var weights = accelerator.Allocate1D<float>(Width);
using var scores = accelerator.Allocate1D<float>(Rows);
var random = new Random(1);
float[] a = Draw(Rows * Width), w = Draw(Width), p = new float[Rows];
features.View.CopyFromCPU(stream, a);
weights.View.CopyFromCPU(stream, w);

using (var device = CudaDevice.Attach(accelerator.NativePtr, stream.StreamPtr))
using (var state = new State(device))
{
    Variable x = Share("x", features, [Rows, Width]), v = Share("w", weights, [Width, 1]), s = Share("scores", scores, [Rows, 1]);
    using var program = state.Compile(graph => graph.Assign(s, graph.Read(x).MatMul(graph.Read(v)).Sigmoid()));
    program.Run();
    Console.WriteLine($"{accelerator.Name}: {program.KernelCount} kernels, {device.Counts.Waits} waits of the host");

    Variable Share(string name, MemoryBuffer memory, Shape shape) => state.Add(name, TensorType.Float(shape), device.Wrap(memory.NativePtr, memory.LengthInBytes));
}
scores.View.CopyToCPU(stream, p);
stream.Synchronize();
double error = Enumerable.Range(0, Rows).Max(i => Math.Abs(p[i] - 1 / (1 + Math.Exp(-Enumerable.Range(0, Width).Sum(j => (double)a[i * Width + j] * w[j])))));
Console.WriteLine($"largest error of {Rows} scores in the host's memory: {error:E1}");
if (!(error < 1e-5)) throw new InvalidOperationException("the scores are wrong");
if (Accelerator.Current != accelerator) throw new InvalidOperationException("the thread's accelerator is another than before");

float[] Draw(int n) => Enumerable.Range(0, n).Select(_ => random.NextSingle() - 0.5f).ToArray();
