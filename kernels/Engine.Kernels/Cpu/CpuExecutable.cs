using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Engine.Kernels.Cpu;

/// <summary>Runs a plan's kernels in order on the device's pool.</summary>
internal sealed unsafe class CpuExecutable : Executable, IChunkedWork
{
    private const int MaxOperands = 256;

    private readonly WorkerPool _pool;
    private readonly Step[] _steps;
    private readonly nint[] _slots;
    private readonly Dictionary<int, int> _rowVariants = [];
    private byte* _scratch;
    private long _scratchPerWorker;
    private void** _operands;
    private CpuKernel _current = null!;
    private int _variant;
    private readonly int _threads;

    public CpuExecutable(CpuDevice device, Plan plan)
    {
        _pool = device.Pool;
        _threads = device.Threads;
        _slots = new nint[plan.Slots];
        _steps = Array.ConvertAll(plan.Instructions, i => Prepare(i, 0));
        _operands = (void**)NativeMemory.Alloc(MaxOperands, (nuint)sizeof(void*));
        GrowScratch();
    }

    ~CpuExecutable() => Free();

    public override void Run(ReadOnlySpan<nint> slots)
    {
        slots.CopyTo(_slots);
        RunBlock(_steps, false);
    }

    public override KernelTime[] Profile(ReadOnlySpan<nint> slots)
    {
        Reset(_steps);
        slots.CopyTo(_slots);
        RunBlock(_steps, true);
        var times = new List<KernelTime>();
        Collect(_steps, times);
        return times.ToArray();
    }

    public override void SetRows(int rows)
    {
        if (!_rowVariants.TryGetValue(rows, out int variant))
        {
            variant = _rowVariants.Count + 1;
            AddRows(_steps, rows);
            _rowVariants.Add(rows, variant);
            GrowScratch();
        }
        _variant = variant;
    }

    public void RunChunk(int chunk, int worker) => _current.RunChunk(chunk, _operands, _scratch + worker * _scratchPerWorker);

    private void RunBlock(Step[] steps, bool timed)
    {
        foreach (var step in steps)
        {
            if (step.Body is { } body)
            {
                int count = step.Count is { } c ? *(int*)(_slots[c.Slot] + c.Offset) : step.Max;
                if ((uint)count > (uint)step.Max) throw new ArgumentOutOfRangeException(nameof(count), $"repeat: count {count} is outside 0..{step.Max}");
                for (int i = 0; i < count; i++)
                {
                    *(int*)(_slots[step.Index.Slot] + step.Index.Offset) = i;
                    RunBlock(body, timed);
                }
                continue;
            }
            long start = timed ? Stopwatch.GetTimestamp() : 0;
            var operands = step.Operands;
            for (int i = 0; i < operands.Length; i++) _operands[i] = (void*)(_slots[operands[i].Slot] + operands[i].Offset);
            var kernel = step.Variants[_variant < step.Variants.Count ? _variant : 0];
            if (kernel.Chunks == 1) kernel.RunChunk(0, _operands, _scratch);
            else
            {
                _current = kernel;
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
                return new Step { Body = Array.ConvertAll(loop.Body, i => Prepare(i, depth + 1)), Max = loop.Max, Count = loop.Count, Index = loop.Index };
            case KernelCall call:
                if (call.Inputs.Length + call.Outputs.Length > MaxOperands) throw new DeviceException($"op {call.Op.Name}: {call.Inputs.Length + call.Outputs.Length} operands, at most {MaxOperands}");
                var kernel = CpuKernels.Create(call.Op, call.InputTypes, call.OutputTypes);
                Need(kernel);
                return new Step { Call = call, Operands = [.. call.Inputs, .. call.Outputs], Variants = [kernel], Depth = depth };
            default:
                throw new InvalidOperationException(instruction.ToString());
        }
    }

    private void AddRows(Step[] steps, int rows)
    {
        foreach (var step in steps)
        {
            if (step.Body is { } body) AddRows(body, rows);
            else if (Array.Exists(step.Operands, o => o.Type.Rows))
            {
                var kernel = CpuKernels.Create(step.Call.Op, Array.ConvertAll(step.Call.InputTypes, t => t.AtRows(rows)), Array.ConvertAll(step.Call.OutputTypes, t => t.AtRows(rows)));
                Need(kernel);
                step.Variants.Add(kernel);
            }
        }
    }

    private void Need(CpuKernel kernel) => _scratchPerWorker = Math.Max(_scratchPerWorker, (kernel.ScratchBytes + 63) / 64 * 64);

    private void GrowScratch()
    {
        NativeMemory.AlignedFree(_scratch);
        _scratch = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(64, _scratchPerWorker * _threads), 64);
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
            else into.Add(new KernelTime(step.Call, step.Variants[0].Variant, (int)step.Calls, step.Ticks / (double)Stopwatch.Frequency, step.Depth));
    }

    public override void Dispose()
    {
        Free();
        base.Dispose();
    }

    private void Free()
    {
        NativeMemory.AlignedFree(_scratch);
        NativeMemory.Free(_operands);
        _scratch = null;
        _operands = null;
    }

    private sealed class Step
    {
        public KernelCall Call = null!;
        public Operand[] Operands = [];
        public List<CpuKernel> Variants = []; // 0: the maximum of rows; then one per number of rows seen
        public Step[]? Body;
        public int Max, Depth;
        public Operand? Count;
        public Operand Index;
        public long Ticks, Calls;
    }
}
