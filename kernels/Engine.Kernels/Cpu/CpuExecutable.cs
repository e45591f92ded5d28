using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Engine.Kernels.Cpu;

/// <summary>Runs a plan's kernels in order on the device's pool.</summary>
internal sealed unsafe class CpuExecutable : Executable, IChunkedWork
{
    private readonly WorkerPool _pool;
    private readonly Step[] _steps;
    private readonly nint[] _slots;
    private readonly int _threads;
    private readonly long _compileFrom;
    private byte* _scratch;
    private long _scratchPerWorker;
    private void** _addresses; // of all operands of all steps, contiguous: the working set of a run besides its data
    private int _addressCount;
    private CpuKernel _current = null!;
    private void** _currentOperands;

    public CpuExecutable(CpuDevice device, Plan plan)
    {
        _pool = device.Pool;
        _threads = device.Threads;
        _compileFrom = device.CompileFrom;
        _slots = new nint[plan.Slots];
        _steps = Array.ConvertAll(plan.Instructions, i => Prepare(i, 0));
        _addresses = (void**)NativeMemory.AlignedAlloc((nuint)Math.Max(1, _addressCount) * (nuint)sizeof(void*), 64);
        Bind(_steps);
        _scratch = CpuMemory.Allocate(_scratchPerWorker * _threads);
    }

    ~CpuExecutable() => Free();

    public override void Run(ReadOnlySpan<nint> slots)
    {
        UseSlots(slots);
        RunBlock(_steps, false);
    }

    public override KernelTime[] Profile(ReadOnlySpan<nint> slots)
    {
        UseSlots(slots);
        Reset(_steps);
        RunBlock(_steps, true);
        var times = new List<KernelTime>();
        Collect(_steps, times);
        return times.ToArray();
    }

    private void UseSlots(ReadOnlySpan<nint> slots)
    {
        if (slots.SequenceEqual(_slots)) return;
        slots.CopyTo(_slots);
        Bind(_steps);
    }

    private void Bind(Step[] steps)
    {
        foreach (var step in steps)
        {
            for (int i = 0; i < step.Operands.Length; i++) _addresses[step.FirstAddress + i] = (void*)(_slots[step.Operands[i].Slot] + step.Operands[i].Offset);
            if (step.Body is { } body) Bind(body);
        }
    }

    public void RunChunk(int chunk, int worker) => _current.RunChunk(chunk, _currentOperands, _scratch + worker * _scratchPerWorker);

    private void RunBlock(Step[] steps, bool timed)
    {
        foreach (var step in steps)
        {
            void** operands = _addresses + step.FirstAddress;
            if (step.Body is { } body)
            {
                int count = step.Counted ? *(int*)operands[1] : step.Max;
                if ((uint)count > (uint)step.Max) throw new ArgumentOutOfRangeException(nameof(count), $"repeat: count {count} is outside 0..{step.Max}");
                for (int i = 0; i < count; i++)
                {
                    *(int*)operands[0] = i;
                    RunBlock(body, timed);
                }
                continue;
            }
            long start = timed ? Stopwatch.GetTimestamp() : 0;
            var kernel = step.Kernel;
            if (kernel.Chunks == 1) kernel.RunChunk(0, operands, _scratch);
            else
            {
                _current = kernel;
                _currentOperands = operands;
                _pool.Run(this, kernel.Chunks);
            }
            if (!timed) continue;
            step.Ticks += Stopwatch.GetTimestamp() - start;
            step.Calls++;
        }
    }

    private Step Prepare(Instruction instruction, int depth)
    {
        switch (instruction)
        {
            case Loop loop:
                return new Step { Operands = loop.Count is { } count ? [loop.Index, count] : [loop.Index], FirstAddress = TakeAddresses(loop.Count is null ? 1 : 2), Counted = loop.Count is not null, Max = loop.Max, Body = Array.ConvertAll(loop.Body, i => Prepare(i, depth + 1)) };
            case KernelCall call:
                return new Step { Call = call, Operands = [.. call.Inputs, .. call.Outputs], FirstAddress = TakeAddresses(call.Inputs.Length + call.Outputs.Length), Kernel = Create(call.Op, call.InputTypes, call.OutputTypes), Depth = depth };
            default:
                throw new InvalidOperationException(instruction.ToString());
        }
    }

    private int TakeAddresses(int count) => (_addressCount += count) - count;

    private CpuKernel Create(Op op, TensorType[] inputs, TensorType[] outputs)
    {
        var kernel = CpuKernels.Create(op, inputs, outputs);
        if (kernel.CompilableElements is > 0 and var elements && elements >= _compileFrom) kernel.Compile();
        _scratchPerWorker = Math.Max(_scratchPerWorker, (kernel.ScratchBytes + 63) / 64 * 64);
        return kernel;
    }

    private static void Reset(Step[] steps)
    {
        foreach (var step in steps)
        {
            step.Ticks = step.Calls = 0;
            if (step.Body is { } body) Reset(body);
        }
    }

    private void Collect(Step[] steps, List<KernelTime> into)
    {
        foreach (var step in steps)
            if (step.Body is { } body) Collect(body, into);
            else into.Add(new KernelTime(step.Call, step.Kernel.Variant, (int)step.Calls, step.Ticks / (double)Stopwatch.Frequency, step.Depth));
    }

    public override void Dispose()
    {
        Free();
        base.Dispose();
    }

    private void Free()
    {
        CpuMemory.Free(_scratch);
        NativeMemory.AlignedFree(_addresses);
        _scratch = null;
        _addresses = null;
    }

    private sealed class Step
    {
        public CpuKernel Kernel = null!;
        public int FirstAddress, Max, Depth;
        public bool Counted; // a loop whose number of steps is its second operand; the first is its index
        public Step[]? Body;
        public KernelCall Call = null!;
        public Operand[] Operands = [];
        public long Ticks, Calls;
    }
}
