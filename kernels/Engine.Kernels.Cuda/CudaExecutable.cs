namespace Engine.Kernels.Cuda;

/// <summary>A plan on a GPU: its launches (<see cref="CudaSchedule"/>) and their scratch memory.</summary>
internal sealed class CudaExecutable : Executable
{
    private readonly CudaDevice _device;
    private readonly CudaSchedule _schedule;
    private readonly nint _scratch;
    private bool _disposed;

    public CudaExecutable(CudaDevice device, Plan plan)
    {
        _device = device;
        _schedule = new CudaSchedule(device, plan);
        if (_schedule.ScratchBytes > 0) _scratch = _device.AllocateRaw(_schedule.ScratchBytes);
    }

    ~CudaExecutable() => Free();

    public override void Run(ReadOnlySpan<nint> slots)
    {
        using var current = _device.Enter();
        Bind(slots);
        _schedule.Run();
    }

    public override KernelTime[] Profile(ReadOnlySpan<nint> slots)
    {
        using var current = _device.Enter();
        Bind(slots);
        return _schedule.Profile();
    }

    private void Bind(ReadOnlySpan<nint> slots)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        _schedule.Bind(slots, _scratch);
    }

    public override void Dispose()
    {
        Free();
        base.Dispose();
    }

    private void Free()
    {
        if (_disposed) return;
        _disposed = true;
        if (_scratch != 0) _device.Discard(_scratch);
        _schedule?.Free(); // null if the constructor threw: the finaliser runs all the same
    }
}
