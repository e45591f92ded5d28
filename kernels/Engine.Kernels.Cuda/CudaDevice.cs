using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Engine.Kernels.Cuda.Driver;
using Engine.Kernels.Cuda.Elementwise;
using static Engine.Kernels.Cuda.Driver.CudaDriver;
using static Engine.Kernels.Cuda.Driver.CudaError;

namespace Engine.Kernels.Cuda;

/// <summary>A GPU that the driver lists.</summary>
/// <param name="Ordinal">Its number: <c>--device cuda:1</c> is the one with ordinal 1.</param>
/// <param name="Name">The maker's name for it.</param>
/// <param name="Limits">What it can do.</param>
/// <param name="MemoryBytes">Its memory.</param>
public sealed record CudaDeviceInfo(int Ordinal, string Name, CudaLimits Limits, long MemoryBytes);

/// <summary>What a device has done since it was opened.</summary>
/// <param name="Kernels">Kernels that were queued, those of graphs included.</param>
/// <param name="KernelLaunches">Kernels that the host launched one by one.</param>
/// <param name="GraphLaunches">Graphs that it launched.</param>
/// <param name="Waits">How often the host waited for the GPU: reads, loops with a count, <see cref="CudaDevice.Synchronize"/>; not for memory that ran out.</param>
public readonly record struct CudaCounts(long Kernels, long KernelLaunches, long GraphLaunches, long Waits);

/// <summary>
/// An NVIDIA GPU, by the driver's library alone. Everything goes to one stream in the order it is called: writes are copied out of the caller's memory before they return, runs return when
/// they are queued, reads wait. One thread at a time uses a device; buffers and executables may be finalised on any.
/// </summary>
public sealed unsafe class CudaDevice : Device
{
    private const uint NonBlocking = 1;
    private const nint LastDefaultStream = 2; // the handles 1 and 2 are the default stream too, the old one and that of each thread
    private const int OldestArchitecture = 75; // of ptx/, and of the text that Elementwise/ writes

    private readonly int _device;
    private readonly bool _ownsContext, _ownsStream;
    private readonly CudaMemoryPool _pool; // default: memory is not allocated in the stream's order
    private readonly ConcurrentQueue<Garbage> _garbage = new();
    private readonly string _name;
    private Staging? _staging;
    private bool _disposed;

    /// <summary>Opens a GPU with its primary context and a stream of its own.</summary>
    /// <param name="ordinal">Its number among those the driver lists.</param>
    /// <exception cref="DeviceException">No driver, too old a driver, no GPU, no GPU of that number, or too old a one; the message says which, and what to do.</exception>
    public CudaDevice(int ordinal = 0) : this(Find(ordinal), ordinal, default, default) { }

    private CudaDevice(int device, int ordinal, CudaContext context, CudaStream stream)
    {
        (_device, Ordinal, _ownsContext, _ownsStream) = (device, ordinal, context.Value == 0, stream.Value == 0);
        (_name, Limits) = (NameOf(device), LimitsOf(device));
        if (Unsuitable(Limits) is { } why) throw new DeviceException($"GPU {Name}, {_name}: {why}");
        if (_ownsContext) Check(cuDevicePrimaryCtxRetain(out context, device));
        Context = context.Value;
        using var current = Enter();
        if (_ownsStream) Check(cuStreamCreate(out stream, NonBlocking));
        Stream = stream.Value;
        Check(cuStreamCreate(out var capture, NonBlocking));
        CaptureStream = capture;
        if (Attribute(device, DeviceAttribute.MemoryPoolsSupported) != 0)
        {
            Check(cuDeviceGetDefaultMemPool(out _pool, device));
            ulong keep = ulong.MaxValue; // memory that is freed stays in the pool when the stream is waited for
            const int releaseThreshold = 4;
            if (_ownsContext) Check(cuMemPoolSetAttribute(_pool, releaseThreshold, &keep));
        }
        Modules = new CudaModules(Limits.Architecture, StandIn.IsLoaded);
    }

    /// <summary>
    /// Uses a context, and a stream of it, that a host has made, with its own driver calls or through a library: ILGPU's are <c>accelerator.NativePtr</c> and <c>stream.StreamPtr</c>, ManagedCuda's
    /// <c>context.Context.Pointer</c> and <c>stream.Stream.Pointer</c>. Buffers are shared by their addresses (<see cref="Wrap"/>). The host keeps both, and disposes the device first.
    /// </summary>
    /// <param name="context">A CUcontext.</param>
    /// <param name="stream">A CUstream of it that was created; the default stream (0, 1, 2) is refused, for it waits for others and they for it.</param>
    /// <exception cref="ArgumentException">There is no context, or the stream is the default one; the message says how to make one.</exception>
    /// <exception cref="DeviceException">The driver cannot be used, or the context is not valid.</exception>
    public static CudaDevice Attach(nint context, nint stream)
    {
        if (context == 0) throw new ArgumentException("expected a CUcontext, got 0", nameof(context));
        if (stream is >= 0 and <= LastDefaultStream)
            throw new ArgumentException("expected a stream that was created, got the default stream: make one by cuStreamCreate, in ILGPU by accelerator.CreateStream(), in ManagedCuda by new CudaStream()", nameof(stream));
        DriverLibrary.Need();
        Check(cuCtxGetCurrent(out var before));
        Check(cuCtxSetCurrent(new CudaContext(context)));
        try
        {
            Check(cuCtxGetDevice(out int device));
            return new CudaDevice(device, device, new CudaContext(context), new CudaStream(stream));
        }
        finally
        {
            _ = cuCtxSetCurrent(before);
        }
    }

    /// <summary>Why CUDA cannot be used on this machine, in one line; null: it can.</summary>
    public static string? Unavailable => DriverLibrary.Failure;

    /// <summary>Version of CUDA that the driver supports, such as 12.4.</summary>
    /// <exception cref="DeviceException">The driver cannot be used.</exception>
    public static string DriverVersion
    {
        get
        {
            DriverLibrary.Need();
            Check(cuDriverGetVersion(out int version));
            return DriverLibrary.Text(version);
        }
    }

    /// <summary>The GPUs of this machine; none if <see cref="Unavailable"/> says why.</summary>
    public static IReadOnlyList<CudaDeviceInfo> All()
    {
        if (Unavailable is not null) return [];
        Check(cuDeviceGetCount(out int count));
        var all = new CudaDeviceInfo[count];
        for (int i = 0; i < count; i++)
        {
            Check(cuDeviceGet(out int device, i));
            Check(cuDeviceTotalMem(out nuint bytes, device));
            all[i] = new CudaDeviceInfo(i, NameOf(device), LimitsOf(device), (long)bytes);
        }
        return all;
    }

    /// <summary>Why a GPU that the driver lists cannot be used, in one line; null: it can.</summary>
    public static string? Unsuitable(CudaLimits limits) => limits.Architecture >= OldestArchitecture ? null
        : string.Create(CultureInfo.InvariantCulture, $"compute capability {limits.Architecture / 10}.{limits.Architecture % 10} is too low, needed is {OldestArchitecture / 10}.{OldestArchitecture % 10}");

    /// <summary>The number of this GPU among those the driver lists.</summary>
    public int Ordinal { get; }

    /// <summary>The CUcontext.</summary>
    public nint Context { get; }

    /// <summary>The CUstream that everything is queued on.</summary>
    public nint Stream { get; }

    /// <summary>What the GPU can do, and the precision that was chosen for it.</summary>
    public CudaLimits Limits { get; private set; }

    /// <inheritdoc/>
    /// <exception cref="DeviceException">The GPU has no tensor cores for it.</exception>
    public override Precision Precision
    {
        get => Limits.Precision;
        set
        {
            if (value != Precision.Float32 && Limits.Architecture < 80)
                throw new DeviceException($"precision {value.Name()} needs a GPU of compute capability 8.0 or above; {Description}");
            Limits = Limits with { Precision = value };
        }
    }

    /// <summary>Whether executables run as CUDA graphs: one launch a run. Off: kernel by kernel, with the same bits. ENGINE_NO_CUDA_GRAPH=1 turns it off from outside.</summary>
    public bool UseGraphs { get; set; } = !EnvironmentSwitch.IsSet("ENGINE_NO_CUDA_GRAPH");

    /// <summary>Whether kernels of a graph that do not depend on one another run at the same time; set it before programs are compiled. Off: in the plan's order, with the same bits.
    /// ENGINE_NO_CUDA_CONCURRENCY=1 turns it off from outside.</summary>
    public bool UseConcurrency { get; set; } = !EnvironmentSwitch.IsSet("ENGINE_NO_CUDA_CONCURRENCY");

    /// <inheritdoc/>
    public override bool Concurrent => UseGraphs && UseConcurrency;

    /// <summary>Whether every launch is waited for, so that an error names its kernel: for finding faults; no graph is used then. ENGINE_CUDA_SYNC=1 turns it on from outside.</summary>
    public bool Synchronous { get; set; } = EnvironmentSwitch.IsSet("ENGINE_CUDA_SYNC");

    /// <inheritdoc/>
    public override string Name => Ordinal == 0 ? "cuda" : string.Create(CultureInfo.InvariantCulture, $"cuda:{Ordinal}");

    /// <inheritdoc/>
    public override string Description =>
        string.Create(CultureInfo.InvariantCulture, $"{_name}, compute capability {Limits.Architecture / 10}.{Limits.Architecture % 10}, {Limits.Multiprocessors} multiprocessors, CUDA {DriverVersion}{(Precision == Precision.Float32 ? "" : $", products in {Precision.Name()}")}");

    /// <summary>Launches and waits so far: the difference around a run is what it costs the host.</summary>
    public CudaCounts Counts { get; private set; }

    internal CudaModules Modules { get; }

    internal CudaStream Queue => new(Stream);

    internal CudaStream CaptureStream { get; }

    /// <inheritdoc/>
    /// <exception cref="DeviceException">Not enough memory: the message says what was asked and what is free. The device stays usable.</exception>
    public override Kernels.Buffer Allocate(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        using var current = Enter();
        nint address = AllocateRaw(bytes);
        Check(cuMemsetD8Async(address, 0, (nuint)Math.Max(bytes, 1), Queue));
        return new CudaBuffer(this, address, bytes, owns: true);
    }

    /// <summary>Memory that the host has allocated and keeps: as a buffer, for example for <see cref="Kernels.Buffer.Read"/>.</summary>
    /// <param name="address">A CUdeviceptr; kernels need it aligned to 16.</param>
    /// <param name="bytes">How many bytes lie there.</param>
    public Kernels.Buffer Wrap(nint address, long bytes)
    {
        if (address == 0 || address % 16 != 0) throw new ArgumentException($"expected the address of device memory, aligned to 16 bytes; got 0x{address:x}", nameof(address));
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        return new CudaBuffer(this, address, bytes, owns: false);
    }

    /// <inheritdoc/>
    public override bool Implements(Op op, TensorType[] inputs, TensorType[] outputs) => HasKernel(op, inputs, outputs);

    /// <summary>Whether CUDA has a kernel for the op at these types: what <see cref="Implements"/> says of any GPU.</summary>
    public static bool HasKernel(Op op, TensorType[] inputs, TensorType[] outputs) => PtxElementwise.Has(op, inputs) || CudaKernels.Has(op, inputs, outputs);

    /// <inheritdoc/>
    public override bool Prefers(Op op, TensorType[] inputs, TensorType[] outputs) => PtxElementwise.Has(op, inputs) || CudaKernels.Prefers(op, inputs, outputs, Limits);

    /// <inheritdoc/>
    public override Executable Load(Plan plan)
    {
        using var current = Enter();
        return new CudaExecutable(this, plan);
    }

    /// <summary>The launches of an op at these types.</summary>
    internal static CudaKernel Kernel(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) =>
        PtxElementwise.Has(op, inputs) ? PtxElementwise.Make(op, inputs, outputs, limits) : CudaKernels.Create(op, inputs, outputs, limits);

    /// <summary>Waits until everything that was queued is done.</summary>
    /// <exception cref="DeviceException">A kernel failed.</exception>
    public override void Synchronize()
    {
        using var current = Enter();
        CountWait();
        Check(cuStreamSynchronize(Queue));
    }

    internal void CountKernel() => Counts = Counts with { Kernels = Counts.Kernels + 1, KernelLaunches = Counts.KernelLaunches + 1 };

    internal void CountGraph(long kernels) => Counts = Counts with { Kernels = Counts.Kernels + kernels, GraphLaunches = Counts.GraphLaunches + 1 };

    internal void CountWait() => Counts = Counts with { Waits = Counts.Waits + 1 };

    /// <inheritdoc/>
    public override void Dispose()
    {
        if (!_disposed)
        {
            // After a broken kernel every function fails: nothing more can be done about it here.
            using (Enter())
            {
                _ = cuStreamSynchronize(Queue);
                Collect();
                _staging?.Dispose();
                Modules.Dispose();
                _ = cuStreamDestroy(CaptureStream);
                if (_ownsStream) _ = cuStreamDestroy(Queue);
                _disposed = true;
            }
            if (_ownsContext) _ = cuDevicePrimaryCtxRelease(_device);
        }
        base.Dispose();
    }

    /// <summary>Makes the device's context the thread's until the result is disposed.</summary>
    internal Current Enter()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return new Current(new CudaContext(Context));
    }

    internal Staging Staging => _staging ??= new Staging(this);

    /// <summary>Memory of undefined content.</summary>
    internal nint AllocateRaw(long bytes)
    {
        nuint size = (nuint)Math.Max(bytes, 1);
        Collect();
        var status = TryAllocate(size, out nint address);
        if (status == CudaStatus.OutOfMemory)
        {
            // What was freed may still be in use by the stream or be held by the pool in pieces.
            Check(cuStreamSynchronize(Queue));
            if (_pool.Value != 0) Check(cuMemPoolTrimTo(_pool, 0));
            status = TryAllocate(size, out address);
        }
        if (status == CudaStatus.OutOfMemory)
        {
            Check(cuMemGetInfo(out nuint free, out nuint total));
            throw new DeviceException(string.Create(CultureInfo.InvariantCulture,
                $"device {Name} is out of memory: asked for {bytes:N0} bytes, {free:N0} of {total:N0} are free; use smaller batches or networks, or end what else runs on the GPU"));
        }
        if (status != CudaStatus.Success) Throw(status, _pool.Value != 0 ? nameof(cuMemAllocAsync) : nameof(cuMemAlloc), string.Create(CultureInfo.InvariantCulture, $"{bytes:N0} bytes"));
        return address;
    }

    private CudaStatus TryAllocate(nuint bytes, out nint address) => _pool.Value != 0 ? cuMemAllocAsync(out address, bytes, Queue) : cuMemAlloc(out address, bytes);

    /// <summary>Memory or a graph that nobody uses any more, from any thread: it is freed by the device's own the next time it allocates, for what is queued may still use it.</summary>
    internal void Discard(nint memory, CudaGraphExec graph = default)
    {
        if (!_disposed) _garbage.Enqueue(new Garbage(memory, graph));
    }

    private void Collect()
    {
        bool waited = false;
        while (_garbage.TryDequeue(out var garbage))
        {
            if (garbage.Graph.Value != 0)
            {
                if (!waited) _ = cuStreamSynchronize(Queue); // it may be running
                waited = true;
                _ = cuGraphExecDestroy(garbage.Graph);
            }
            if (garbage.Memory == 0) continue;
            if (_pool.Value != 0) _ = cuMemFreeAsync(garbage.Memory, Queue);
            else _ = cuMemFree(garbage.Memory); // waits for the device
        }
    }

    private static int Find(int ordinal)
    {
        DriverLibrary.Need();
        Check(cuDeviceGetCount(out int count));
        if (ordinal < 0 || ordinal >= count)
            throw new DeviceException($"no GPU cuda:{ordinal}: there {(count == 1 ? "is 1 GPU, cuda:0" : $"are {count} GPUs, cuda:0 to cuda:{count - 1}")}");
        Check(cuDeviceGet(out int device, ordinal));
        return device;
    }

    private static string NameOf(int device)
    {
        Span<byte> name = stackalloc byte[256];
        fixed (byte* p = name)
            Check(cuDeviceGetName(p, name.Length, device));
        int end = name.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? name : name[..end]);
    }

    private static CudaLimits LimitsOf(int device) => new(
        10 * Attribute(device, DeviceAttribute.MajorCapability) + Attribute(device, DeviceAttribute.MinorCapability),
        Attribute(device, DeviceAttribute.MultiprocessorCount), Attribute(device, DeviceAttribute.SharedMemoryOptIn));

    private static int Attribute(int device, DeviceAttribute attribute)
    {
        Check(cuDeviceGetAttribute(out int value, attribute, device));
        return value;
    }

    private readonly record struct Garbage(nint Memory, CudaGraphExec Graph);

    /// <summary>The device's context is the thread's; what was before comes back on disposal.</summary>
    internal readonly ref struct Current
    {
        private readonly CudaContext _before;
        private readonly bool _changed;

        public Current(CudaContext context)
        {
            Check(cuCtxGetCurrent(out _before));
            _changed = _before != context;
            if (_changed) Check(cuCtxSetCurrent(context));
        }

        public void Dispose()
        {
            if (_changed) _ = cuCtxSetCurrent(_before);
        }
    }
}

/// <summary>Memory of a GPU.</summary>
internal sealed class CudaBuffer : Kernels.Buffer
{
    private readonly CudaDevice _device;
    private readonly bool _owns;
    private nint _address;

    public CudaBuffer(CudaDevice device, nint address, long bytes, bool owns) => (_device, _address, Bytes, _owns) = (device, address, bytes, owns);

    ~CudaBuffer() => Free();

    public override long Bytes { get; }

    public override nint Address => _address;

    public override void Write(ReadOnlySpan<byte> source, long offset = 0)
    {
        Check(source.Length, offset);
        using var current = _device.Enter();
        _device.Staging.Write(source, _address + (nint)offset);
    }

    public override void Read(Span<byte> destination, long offset = 0)
    {
        Check(destination.Length, offset);
        using var current = _device.Enter();
        _device.Staging.Read(_address + (nint)offset, destination);
    }

    public override void Dispose()
    {
        Free();
        base.Dispose();
    }

    private void Check(long length, long offset)
    {
        ObjectDisposedException.ThrowIf(_address == 0, this);
        CheckRange(length, offset, Bytes);
    }

    private void Free()
    {
        nint address = Interlocked.Exchange(ref _address, 0);
        if (_owns && address != 0) _device.Discard(address);
    }
}
