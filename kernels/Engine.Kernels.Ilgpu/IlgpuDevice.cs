using System.Collections.Concurrent;
using System.Globalization;
using Engine.Kernels.Ilgpu.Runtime;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
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
/// An accelerator of ILGPU: OpenCL, CUDA, or .NET threads for finding faults. Everything goes to one queue in the order it is called: runs and writes return when they are queued (a write waits when
/// 4 MiB of writes are under way), reads wait.
/// Elementwise ops, products and draws have the processor's bits; sums are added in a fixed order of their own, the same on every accelerator. One thread at a time uses a device; buffers may be finalised on any.
/// A thread's <see cref="Accelerator.Current"/> is after every call what it was before.
/// </summary>
public sealed class IlgpuDevice : Device
{
    private const int TokenBits = 40; // of a buffer's size

    private readonly ListedAccelerator _listed;
    private readonly Accelerator _accelerator;
    private readonly bool _owns; // accelerator and queue; else they are a host's
    private readonly Staging _staging;
    private readonly ConcurrentDictionary<int, (MemoryBuffer Memory, bool Owned)> _buffers = new();
    private readonly ConcurrentQueue<int> _garbage = new();
    private int _lastBuffer;
    private bool _disposed;

    /// <summary>Opens an accelerator.</summary>
    /// <param name="name"><c>ilgpu</c> (a GPU, else a processor under OpenCL), <c>ilgpu:opencl:N</c>, <c>ilgpu:cuda:N</c> or <c>ilgpu:cpu</c> (ILGPU's debugger).</param>
    /// <exception cref="DeviceException">There is no such accelerator, or it cannot be used; the message says why, and which there are.</exception>
    public IlgpuDevice(string name = "ilgpu")
    {
        ArgumentNullException.ThrowIfNull(name);
        using var before = new Binding(null);
        (_listed, _owns) = (Accelerators.Choose(name), true);
        try
        {
            _accelerator = _listed.Hardware.CreateAccelerator(Accelerators.Context);
            Queue = _accelerator.CreateStream();
        }
        catch (Exception e) when (e is CLException or CudaException or NotSupportedException or CapabilityNotSupportedException)
        {
            throw new DeviceException($"device {_listed.Name}, {_listed.Description}, cannot be opened: {Text(e)}");
        }
        (Schedule, _staging, Cache, Nothing) = Ready();
    }

    private IlgpuDevice(Accelerator accelerator, AcceleratorStream stream)
    {
        (_listed, _accelerator, Queue) = (new ListedAccelerator("ilgpu:host", accelerator.Device), accelerator, stream);
        if (_listed.Refusal is { } why) throw new DeviceException($"device {Name}, {Description}: {why}");
        var made = accelerator.Context.Properties;
        if (made.MathMode != MathMode.Default) throw new DeviceException($"device {Name}: its context was made with MathMode.{made.MathMode}, which changes what kernels compute; make one with MathMode.Default");
        if (made.InliningMode != InliningMode.Default) throw new DeviceException($"device {Name}: its context was made with InliningMode.{made.InliningMode}, by which kernels have pointers that not every device has; make one with InliningMode.Default");
        (Schedule, _staging, Cache, Nothing) = Ready();
    }

    private (AcceleratorKind, Staging, KernelCache, Buffer) Ready() =>
        (_listed.Kind, new Staging(_accelerator, Queue), new KernelCache(_accelerator, _listed), Allocate(64));

    /// <summary>
    /// Uses an accelerator and a stream that a host has made. Everything is queued on that stream, kernels are compiled in the accelerator's own context, and nothing waits but reads. The host keeps
    /// both, and disposes the device first. A kernel that does not compile leaves the context usable: its cache is cleared then, so no other thread may be compiling in it.
    /// </summary>
    /// <param name="accelerator">An accelerator of a context with the default <see cref="MathMode"/> and <see cref="InliningMode"/>.</param>
    /// <param name="stream">A stream of it.</param>
    /// <exception cref="ArgumentException">The stream is another accelerator's.</exception>
    /// <exception cref="DeviceException">OpenCL is too old, or the context has another mode.</exception>
    public static IlgpuDevice Attach(Accelerator accelerator, AcceleratorStream stream)
    {
        ArgumentNullException.ThrowIfNull(accelerator);
        ArgumentNullException.ThrowIfNull(stream);
        if (stream.Accelerator != accelerator) throw new ArgumentException("expected a stream of the accelerator, got another's", nameof(stream));
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        Patches.Ensure();
        return new IlgpuDevice(accelerator, stream);
    }

    /// <summary>
    /// Accepts every OpenCL device, for a host's <c>Context.Create(b => b.OpenCL(IlgpuDevice.EveryOpenClDevice))</c>: ILGPU itself leaves out those without generic pointers, and finds none where only
    /// the loader's run-time package is installed. The host's own kernels do not run on a device without generic pointers; this project's do.
    /// </summary>
    public static Predicate<CLDevice> EveryOpenClDevice
    {
        get
        {
            Patches.Ensure(); // before ILGPU looks for the library
            return device =>
            {
                if (!device.Capabilities.GenericAddressSpace) Patches.PretendGenericPointers(device.Capabilities);
                return true;
            };
        }
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
        }
        catch (Exception e) when (e is CLException or CudaException or OutOfMemoryException or OverflowException or ArgumentOutOfRangeException)
        {
            throw OutOfMemory(bytes, Text(e));
        }
        return Add(memory, bytes, owned: true);
    }

    /// <summary>Memory that the host has allocated and keeps, as a buffer: the same memory, no copy.</summary>
    /// <param name="memory">Memory of the accelerator, of elements of any size.</param>
    /// <exception cref="ArgumentException">It is another accelerator's.</exception>
    public Buffer Wrap(MemoryBuffer memory)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ObjectDisposedException.ThrowIf(memory.IsDisposed, memory);
        if (memory.Accelerator != _accelerator) throw new ArgumentException($"expected memory of the accelerator of device {Name}, got another's", nameof(memory));
        return Add(memory, memory.LengthInBytes, owned: false);
    }

    private IlgpuBuffer Add(MemoryBuffer memory, long bytes, bool owned)
    {
        int number = ++_lastBuffer;
        _buffers[number] = (memory, owned);
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
        Guarded(_staging.Wait, "waiting");
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        if (!_disposed)
        {
            // A host that disposes its accelerator first takes with it all that was made there.
            if (!_accelerator.IsDisposed)
            {
                using var current = new Binding(_accelerator);
                _staging.Wait();
                foreach (int number in _buffers.Keys) Free(number);
                Cache.Dispose();
                if (_owns)
                {
                    Queue.Dispose();
                    _accelerator.Dispose();
                }
            }
            _disposed = true;
        }
        base.Dispose();
    }

    /// <summary>Makes the accelerator the thread's until the result is disposed: a host that uses ILGPU has its own.</summary>
    internal Binding Enter()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return new Binding(_accelerator);
    }

    /// <summary>What a buffer's <see cref="Buffer.Address"/> is: OpenCL has no addresses, so its number above offsets.</summary>
    internal static nint Token(int number) => (nint)((long)number << TokenBits);

    /// <summary>The memory from an address on.</summary>
    /// <exception cref="DeviceException">No buffer of this device has the address.</exception>
    internal ArrayView<byte> ViewOf(nint address, long offset, long bytes)
    {
        var (memory, at) = Find(address, offset, bytes);
        return memory.AsRawArrayView(at, bytes);
    }

    private (MemoryBuffer Memory, long Offset) Find(nint address, long offset, long bytes)
    {
        long value = address, at = (value & ((1L << TokenBits) - 1)) + offset;
        if (!_buffers.TryGetValue((int)(value >> TokenBits), out var buffer) || buffer.Memory.IsDisposed)
            throw new DeviceException($"device {Name}: address {value:x} is that of no buffer of this device; it may have been disposed");
        if (at + bytes > buffer.Memory.LengthInBytes)
            throw new DeviceException(string.Create(CultureInfo.InvariantCulture, $"device {Name}: {bytes:N0} bytes from byte {at:N0} on do not lie in a buffer of {buffer.Memory.LengthInBytes:N0}"));
        return (buffer.Memory, at);
    }

    /// <summary>Queues a copy to the accelerator.</summary>
    internal void Write(nint address, long offset, ReadOnlySpan<byte> source)
    {
        var (memory, at) = Find(address, offset, source.Length);
        _staging.Write(source, memory, at);
    }

    /// <summary>Copies from the accelerator, after everything that is queued.</summary>
    internal unsafe void Read(nint address, long offset, Span<byte> destination)
    {
        var (memory, at) = Find(address, offset, destination.Length);
        fixed (byte* to = destination)
        {
            using var target = CPUMemoryBuffer.Create(_accelerator, to, destination.Length);
            memory.CopyTo(Queue, at, target.AsRawArrayView());
            _staging.Wait();
        }
    }

    /// <summary>A buffer that nobody uses any more, from any thread: it is freed when the device next allocates.</summary>
    internal void Discard(int number)
    {
        if (!_disposed) _garbage.Enqueue(number);
    }

    private void Free(int number)
    {
        if (_buffers.TryRemove(number, out var buffer) && buffer.Owned) buffer.Memory.Dispose();
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
