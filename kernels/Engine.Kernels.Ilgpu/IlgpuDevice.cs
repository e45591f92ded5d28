using System.Collections.Concurrent;
using System.Globalization;
using Engine.Kernels.Ilgpu.Runtime;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace Engine.Kernels.Ilgpu;

/// <summary>An accelerator that ILGPU lists.</summary>
/// <param name="Name">The name for <c>--device</c>: ilgpu:opencl:N, ilgpu:cuda:N or ilgpu:cpu.</param>
/// <param name="Description">One line for people.</param>
/// <param name="Unavailable">Why it cannot be used; null: it can.</param>
/// <param name="IsDebugger">Whether it is ILGPU's CPU accelerator, which finds faults and is no fast device.</param>
public sealed record IlgpuDeviceInfo(string Name, string Description, string? Unavailable, bool IsDebugger);

/// <summary>
/// An accelerator of ILGPU: OpenCL, CUDA, or .NET threads for finding faults. Everything goes to one queue in the order it is called: runs return when they are queued, writes and reads wait.
/// Elementwise ops, products and draws have the processor's bits; sums are added in a fixed order of their own, the same on every accelerator. One thread at a time uses a device; buffers may be finalised on any.
/// </summary>
public sealed class IlgpuDevice : Device
{
    private const int TokenBits = 40; // of a buffer's size

    private readonly ListedAccelerator _listed;
    private readonly Accelerator _accelerator;
    private readonly ConcurrentDictionary<int, MemoryBuffer1D<byte, Stride1D.Dense>> _buffers = new();
    private readonly ConcurrentQueue<int> _garbage = new();
    private int _lastBuffer;
    private bool _disposed;

    /// <summary>Opens an accelerator.</summary>
    /// <param name="name"><c>ilgpu</c> (a GPU, else a processor under OpenCL), <c>ilgpu:opencl:N</c>, <c>ilgpu:cuda:N</c> or <c>ilgpu:cpu</c> (ILGPU's debugger).</param>
    /// <exception cref="DeviceException">There is no such accelerator, or it cannot be used; the message says why, and which there are.</exception>
    public IlgpuDevice(string name = "ilgpu")
    {
        ArgumentNullException.ThrowIfNull(name);
        _listed = Accelerators.Choose(name);
        Schedule = _listed.Kind;
        try
        {
            _accelerator = _listed.Hardware.CreateAccelerator(Accelerators.Context);
        }
        catch (Exception e) when (e is CLException or CudaException or NotSupportedException or CapabilityNotSupportedException)
        {
            throw new DeviceException($"device {_listed.Name}, {_listed.Description}, cannot be opened: {Text(e)}");
        }
        using var current = _accelerator.BindScoped();
        Queue = _accelerator.CreateStream();
        Cache = new KernelCache(_accelerator, _listed);
        Nothing = Allocate(64);
    }

    /// <summary>The accelerators of this machine, the ones that cannot be used included.</summary>
    public static IReadOnlyList<IlgpuDeviceInfo> All() => Accelerators.All.Select(a => new IlgpuDeviceInfo(a.Name, a.Description, a.Refusal, a.Kind == AcceleratorKind.Debugger)).ToArray();

    /// <summary>What was looked for and not found, in one line; null: there is a GPU, or a processor under OpenCL.</summary>
    public static string? Unavailable => Accelerators.All.Any(a => a.Refusal is null && a.Kind != AcceleratorKind.Debugger) ? null : Accelerators.Missing();

    /// <inheritdoc/>
    public override string Name => _listed.Name;

    /// <inheritdoc/>
    public override string Description => _listed.Description;

    /// <summary>Work-items of a group where a work-item is an element; 0: the accelerator's own number. Sums do not depend on it. For tests and measurements; set it before programs are compiled.</summary>
    public int GroupSize { get; set; }

    /// <summary>Kernels compiled so far: equal kernels are compiled once.</summary>
    public int CompiledKernels => Cache.Count;

    internal KernelCache Cache { get; }

    /// <summary>Memory for launches that touch none.</summary>
    internal Buffer Nothing { get; }

    /// <summary>The most work-items of a group.</summary>
    internal int LargestGroup => _accelerator.MaxNumThreadsPerGroup;

    internal AcceleratorStream Queue { get; }

    internal AcceleratorKind Kind => _listed.Kind;

    /// <summary>The kind that kernels are made for; another than the accelerator's own, so that its kernels are tested where there is none.</summary>
    internal AcceleratorKind Schedule { get; set; }

    internal bool Float64 => _listed.Float64;

    /// <inheritdoc/>
    /// <exception cref="DeviceException">Not enough memory, or more than a buffer can hold. The device stays usable.</exception>
    public override Buffer Allocate(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        using var current = Enter();
        while (_garbage.TryDequeue(out int unused)) Free(unused);
        if (bytes >= 1L << TokenBits) throw OutOfMemory(bytes, "a buffer holds less than a tebibyte");
        MemoryBuffer1D<byte, Stride1D.Dense> memory;
        try
        {
            memory = _accelerator.Allocate1D<byte>(Math.Max(bytes, 64));
            memory.View.BaseView.MemSetToZero(Queue);
            Queue.Synchronize();
        }
        catch (Exception e) when (e is CLException or CudaException or OutOfMemoryException or OverflowException or ArgumentOutOfRangeException)
        {
            throw OutOfMemory(bytes, Text(e));
        }
        int number = ++_lastBuffer;
        _buffers[number] = memory;
        return new IlgpuBuffer(this, number, bytes);
    }

    private DeviceException OutOfMemory(long bytes, string why) =>
        new(string.Create(CultureInfo.InvariantCulture, $"device {Name} cannot allocate {bytes:N0} bytes of its {_accelerator.MemorySize:N0} ({why}); use smaller batches or networks"));

    /// <inheritdoc/>
    public override bool Implements(Op op, TensorType[] inputs, TensorType[] outputs) => HasKernel(op, inputs, outputs);

    /// <summary>Whether there is a kernel for the op at these types: what <see cref="Implements"/> says of any accelerator.</summary>
    public static bool HasKernel(Op op, TensorType[] inputs, TensorType[] outputs) => IlgpuKernels.Has(op, inputs);

    /// <summary>The ops of the op table that have no kernel here yet, by name, with what happens instead.</summary>
    public static IReadOnlyDictionary<string, string> NotMade => IlgpuKernels.NotMade;

    /// <inheritdoc/>
    public override Executable Load(Plan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        using var current = Enter();
        return new IlgpuExecutable(this, plan);
    }

    /// <inheritdoc/>
    public override void Synchronize()
    {
        using var current = Enter();
        Guarded(Queue.Synchronize, "waiting");
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        if (!_disposed)
        {
            using (Enter())
            {
                Queue.Synchronize();
                foreach (int number in _buffers.Keys) Free(number);
                Queue.Dispose();
            }
            _disposed = true;
            _accelerator.Dispose();
        }
        base.Dispose();
    }

    /// <summary>Makes the accelerator the thread's until the result is disposed: a host that uses ILGPU has its own.</summary>
    internal ScopedAcceleratorBinding Enter()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return _accelerator.BindScoped();
    }

    /// <summary>What a buffer's <see cref="Buffer.Address"/> is: OpenCL has no addresses, so its number above offsets.</summary>
    internal static nint Token(int number) => (nint)((long)number << TokenBits);

    /// <summary>The memory from an address on.</summary>
    /// <exception cref="DeviceException">No buffer of this device has the address.</exception>
    internal ArrayView<byte> ViewOf(nint address, long offset, long bytes)
    {
        long value = address;
        int number = (int)(value >> TokenBits);
        if (!_buffers.TryGetValue(number, out var memory)) throw new DeviceException($"device {Name}: address {value:x} is that of no buffer of this device; it may have been disposed");
        return memory.View.BaseView.SubView((value & ((1L << TokenBits) - 1)) + offset, bytes);
    }

    /// <summary>A buffer that nobody uses any more, from any thread: it is freed when the device next allocates.</summary>
    internal void Discard(int number)
    {
        if (!_disposed) _garbage.Enqueue(number);
    }

    private void Free(int number)
    {
        if (_buffers.TryRemove(number, out var memory)) memory.Dispose();
    }

    /// <summary>Does something that a driver may refuse.</summary>
    internal void Guarded(Action action, string what)
    {
        try { action(); }
        catch (Exception e) when (e is CLException or CudaException) { throw new DeviceException($"device {Name}, {what}: {Text(e)}"); }
    }

    /// <summary>What an exception of ILGPU means: those of OpenCL have no text, only a code.</summary>
    internal static string Text(Exception e) => e is CLException cl ? cl.Error.ToString() : e.GetBaseException().Message.Replace('\n', ' ').Trim();
}
