using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Loader;
using Engine.Kernels.Cpu;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using CudaDevice = Engine.Kernels.Cuda.CudaDevice;
using HostAccelerator = ILGPU.Runtime.Accelerator;

namespace Engine.Kernels.Ilgpu.Tests;

/// <summary>The kernels of device cuda on an accelerator, a stream and memory of ILGPU.</summary>
public sealed class CudaHostTests
{
    private static readonly string? Driver = Environment.GetEnvironmentVariable("ENGINE_CUDA_DRIVER") is { Length: > 0 } named ? named : null;

    private sealed class CudaFactAttribute : FactAttribute
    {
        public CudaFactAttribute() => Skip = CudaDevice.Unavailable;
    }

    /// <summary>ILGPU once more, as another program has it: it finds the driver that is named, while the tests beside this one have none.</summary>
    private sealed class Apart() : AssemblyLoadContext("apart")
    {
        protected override Assembly? Load(AssemblyName name) =>
            name.Name is "ILGPU" or "Engine.Kernels.Ilgpu.Tests" ? LoadFromAssemblyPath(Path.Combine(AppContext.BaseDirectory, name.Name + ".dll")) : null;

        protected override nint LoadUnmanagedDll(string name) => name == "cuda" && NativeLibrary.TryLoad(Driver ?? "libcuda.so.1", out nint library) ? library : 0;
    }

    [CudaFact]
    public void An_accelerator_stream_and_memory_of_ILGPU_are_used_as_they_are()
    {
        var type = new Apart().LoadFromAssemblyName(typeof(CudaHostTests).Assembly.GetName()).GetType(typeof(CudaHostTests).FullName!)!;
        type.GetMethod(nameof(Check), BindingFlags.Static | BindingFlags.NonPublic)!.CreateDelegate<Action>()();
    }

    private static void Check()
    {
        float[] numbers = [-2f, -0.5f, 0f, 1e-3f, 0.7f, 1f, 3f, 40f];
        var type = TensorType.Float([8]);
        byte[] Bytes(float[] values) => MemoryMarshal.AsBytes(values.AsSpan()).ToArray();
        using var processor = new CpuDevice();
        byte[] expected = OpCheck.Run(processor, new Unary(UnaryKind.Tanh), [type], [Bytes(numbers)])[0];

        using var context = Context.Create(b => b.Cuda());
        using var accelerator = context.CreateCudaAccelerator(0);
        using var stream = (CudaStream)accelerator.CreateStream();
        using var x = accelerator.Allocate1D<float>(8);
        using var y = accelerator.Allocate1D<float>(8);
        float[] result = new float[8];
        void Result()
        {
            y.View.CopyToCPU(stream, result);
            stream.Synchronize();
        }
        x.View.CopyFromCPU(stream, numbers);
        Assert.Same(accelerator, HostAccelerator.Current);
        using (var device = CudaDevice.Attach(accelerator.NativePtr, stream.StreamPtr))
        {
            using var executable = device.Load(new Plan([new KernelCall(new Unary(UnaryKind.Tanh), [new Operand(0, 0, type)], [new Operand(1, 0, type)])], 2));
            long waits = device.Counts.Waits;
            executable.Run([x.NativePtr, y.NativePtr]);
            Assert.Equal(waits, device.Counts.Waits);
            Result();
            Assert.Equal(expected, Bytes(result));
            using var buffer = device.Wrap(y.NativePtr, y.LengthInBytes);
            buffer.Write(BitConverter.GetBytes(5f), 8);
            Result();
            Assert.Equal(5f, result[2]);
            // A whole program of several kernels, and memory of the device's own.
            Assert.Equal(OpCheck.Run(processor, new MatMul(false, false), [TensorType.Float([3, 4]), TensorType.Float([4, 2])], [Bytes([.. numbers, .. numbers[..4]]), Bytes(numbers)]),
                OpCheck.Run(device, new MatMul(false, false), [TensorType.Float([3, 4]), TensorType.Float([4, 2])], [Bytes([.. numbers, .. numbers[..4]]), Bytes(numbers)]));
            // From a thread without a context, too.
            Exception? failure = null;
            var thread = new Thread(() =>
            {
                try { executable.Run([y.NativePtr, y.NativePtr]); }
                catch (Exception e) { failure = e; }
            });
            thread.Start();
            thread.Join();
            Assert.Null(failure);
            Assert.Contains("accelerator.CreateStream()", Assert.Throws<ArgumentException>(() => CudaDevice.Attach(accelerator.NativePtr, ((CudaStream)accelerator.DefaultStream).StreamPtr)).Message, StringComparison.Ordinal);
        }
        // The host's own are as they were.
        Assert.Same(accelerator, HostAccelerator.Current);
        y.View.CopyFromCPU(stream, numbers);
        Result();
        Assert.Equal(numbers, result);
    }
}
