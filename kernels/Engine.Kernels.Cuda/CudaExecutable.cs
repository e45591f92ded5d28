
namespace Engine.Kernels.Cuda;

/// <summary>
/// A plan on a GPU. What is launched depends on the number of dynamic rows: the launches of each number that was set are kept (<see cref="CudaSchedule"/>). All share one piece of scratch memory.
/// </summary>
internal sealed class CudaExecutable : Executable
{
    private readonly CudaDevice _device;
    private readonly Plan _plan;
    private readonly Dictionary<int, CudaSchedule> _schedules = []; // by rows; 0: the maximum
    private readonly nint[] _slots;
    private CudaSchedule _current;
    private nint _scratch;
    private long _scratchBytes;
    private bool _disposed;

    public CudaExecutable(CudaDevice device, Plan plan)
    {
        (_device, _plan, _slots) = (device, plan, new nint[plan.Slots]);
        _current = Prepare(0);
    }

    ~CudaExecutable() => Free();

    public override void Run(ReadOnlySpan<nint> slots)
    {
        using var current = _device.Enter();
        Bind(slots);
        _current.Run();
    }

    public override KernelTime[] Profile(ReadOnlySpan<nint> slots)
    {
        using var current = _device.Enter();
        Bind(slots);
        return _current.Profile();
    }

    public override void SetRows(int rows)
    {
        using var current = _device.Enter();
        _current = Prepare(rows);
    }

    private CudaSchedule Prepare(int rows)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_schedules.TryGetValue(rows, out var known)) return known;
        var schedule = new CudaSchedule(_device, _plan, rows);
        if (schedule.ScratchBytes > _scratchBytes)
        {
            nint larger;
            try
            {
                larger = _device.AllocateRaw(schedule.ScratchBytes); // before the old is given up: if there is no memory, the numbers of rows that are known still run
            }
            catch
            {
                schedule.Free();
                throw;
            }
            if (_scratch != 0) _device.Discard(_scratch);
            (_scratch, _scratchBytes) = (larger, schedule.ScratchBytes);
        }
        return _schedules[rows] = schedule;
    }

    private void Bind(ReadOnlySpan<nint> slots)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        _current.Bind(slots, _scratch);
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
        foreach (var schedule in _schedules.Values) schedule.Free();
    }
}
