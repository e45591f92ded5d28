using System.Diagnostics;
using System.Runtime.InteropServices;
using Engine.Kernels.Ilgpu.Launches;
using Engine.Kernels.Ilgpu.Runtime;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace Engine.Kernels.Ilgpu;

/// <summary>A plan as a list of launches on the device's queue. Everything is compiled and laid out when it is loaded; a run fills in nothing.</summary>
internal sealed class IlgpuExecutable : Executable
{
    private const int ProcessorGroup = 64, GpuGroup = 256;

    private readonly IlgpuDevice _device;
    private readonly Step[] _steps;
    private readonly nint[] _slots;
    private readonly List<Launch> _launches = [];
    private readonly Buffer? _scratch;
    private long _scratchBytes;
    private bool _bound;

    public IlgpuExecutable(IlgpuDevice device, Plan plan)
    {
        (_device, _slots) = (device, new nint[plan.Slots]);
        _steps = Array.ConvertAll(plan.Instructions, i => Prepare(i, 0));
        if (_scratchBytes > 0) _scratch = device.Allocate(_scratchBytes);
    }

    /// <inheritdoc/>
    public override void Run(ReadOnlySpan<nint> slots)
    {
        using var current = _device.Enter();
        Bind(slots);
        RunBlock(_steps, timed: false);
    }

    /// <inheritdoc/>
    public override KernelTime[] Profile(ReadOnlySpan<nint> slots)
    {
        using var current = _device.Enter();
        Bind(slots);
        var all = Flat(_steps).ToArray();
        foreach (var step in all) (step.Ticks, step.Calls) = (0, 0);
        _device.Queue.Synchronize();
        RunBlock(_steps, timed: true);
        return all.Select(s => new KernelTime(s.Call!, s.Variant, s.Calls, s.Ticks / (double)Stopwatch.Frequency, s.Depth)).ToArray();
    }

    private static IEnumerable<Step> Flat(Step[] steps) => steps.SelectMany(s => s.Loop is null ? [s] : Flat(s.Body));

    private Step Prepare(Instruction instruction, int depth)
    {
        if (instruction is Loop loop)
        {
            // The step's number is written by a launch, in the order of all others.
            var index = Add(Movement.WriteNumber(), [loop.Index], "repeat");
            return new Step { Loop = loop, Index = index, Body = Array.ConvertAll(loop.Body, i => Prepare(i, depth + 1)), Depth = depth };
        }
        var call = (KernelCall)instruction;
        TensorType[] inputs = call.InputTypes, outputs = call.OutputTypes;
        var kernel = IlgpuKernels.Create(call.Op, inputs, outputs, _device);
        _scratchBytes = Math.Max(_scratchBytes, kernel.ScratchBytes);
        Operand[] operands = [.. call.Inputs, .. call.Outputs];
        var launches = new List<Launch>();
        foreach (var launch in kernel.Launches)
            if (launch.Items > 0 && !(launch.Apart is var (first, second) && (operands[first].Slot, operands[first].Offset) == (operands[second].Slot, operands[second].Offset)))
                launches.Add(Add(launch, operands, call.Op.Name));
        return new Step { Call = call, Variant = kernel.Variant, Launches = launches.ToArray(), Depth = depth };
    }

    private Launch Add(LaunchPlan plan, Operand[] operands, string op)
    {
        int group = _device.Kind switch
        {
            AcceleratorKind.Debugger => 2,
            AcceleratorKind.Processor => plan.Heavy ? 1 : ProcessorGroup,
            _ => GpuGroup,
        };
        if (_device.GroupSize > 0 && _device.Kind != AcceleratorKind.Debugger) group = _device.GroupSize;
        group = Math.Min(group, _device.LargestGroup);
        // ILGPU multiplies groups and their size in 32 bits.
        if (plan.Items > int.MaxValue - group) throw new DeviceException($"op {op}: {plan.Items:N0} work-items are more than device {_device.Name} takes");
        var kernel = _device.Cache.Load(plan.Source, op);
        // A driver builds a kernel for a size of groups when it is first launched so: now, and not while somebody waits for a result. No work-item has anything to do.
        if (kernel.Launched.Add(group))
            Send(new Launch(kernel, new KernelConfig(1, group), [], Enumerable.Repeat(View(_device.ViewOf(_device.Nothing.Address, 0, 64)), kernel.Views).ToArray(), new int[plan.Source.Parameters.Length - kernel.Views + 1], op));
        var views = new List<ViewReference>();
        var numbers = new List<int>();
        foreach (var argument in plan.Arguments)
            if (argument.Kind == ArgumentKind.Number) numbers.Add((int)argument.Value);
            else if (argument.Kind == ArgumentKind.Scratch) views.Add(new(-1, argument.Value, argument.Bytes));
            else if (operands[argument.Value] is var operand) views.Add(new(operand.Slot, operand.Offset, operand.Type.Bytes));
        if (views.Count != kernel.Views || plan.Arguments.Length != plan.Source.Parameters.Length) throw new InvalidOperationException($"{plan.Source.Name} takes {string.Join(", ", plan.Source.Parameters.Select(p => p.Name))}");
        numbers.Add((int)plan.Items);
        int groups = _device.Kind == AcceleratorKind.Debugger ? 1 : XMath.DivRoundUp((int)plan.Items, group);
        var launch = new Launch(kernel, new KernelConfig(groups, group), views.ToArray(), new BoundView[views.Count], numbers.ToArray(), op);
        _launches.Add(launch);
        return launch;
    }

    private void Bind(ReadOnlySpan<nint> slots)
    {
        if (_bound && slots.SequenceEqual(_slots)) return;
        slots.CopyTo(_slots);
        foreach (var launch in _launches)
            for (int i = 0; i < launch.Views.Length; i++)
            {
                var (slot, offset, bytes) = launch.References[i];
                // OpenCL's kernels get where a view begins in 32 bits.
                if (offset + bytes > int.MaxValue * 4L) throw new DeviceException($"op {launch.Op}: an operand lies beyond {int.MaxValue * 4L:N0} bytes of its memory, which device {_device.Name} cannot reach");
                var view = bytes == 0 ? default : _device.ViewOf(slot < 0 ? _scratch!.Address : _slots[slot], offset, bytes);
                launch.Views[i] = bytes == 0 ? default : View(view);
            }
        _bound = true;
    }

    private static BoundView View(ArrayView<byte> bytes) => new()
    {
        Bytes = bytes,
        Words = bytes.Length % 4 == 0 ? bytes.Cast<int>() : default,
        Floats = bytes.Length % 4 == 0 ? bytes.Cast<float>() : default,
        Halves = bytes.Length % 2 == 0 ? bytes.Cast<ushort>() : default,
    };

    private void RunBlock(Step[] steps, bool timed)
    {
        foreach (var step in steps)
        {
            if (step.Loop is { } loop)
            {
                int count = CountOf(loop);
                for (int i = 0; i < count; i++)
                {
                    step.Index!.Numbers[0] = i;
                    Send(step.Index);
                    RunBlock(step.Body, timed);
                }
                continue;
            }
            long start = timed ? Stopwatch.GetTimestamp() : 0;
            foreach (var launch in step.Launches) Send(launch);
            if (!timed) continue;
            _device.Queue.Synchronize();
            step.Ticks += Stopwatch.GetTimestamp() - start;
            step.Calls++;
        }
    }

    private void Send(Launch launch)
    {
        try
        {
            launch.Kernel.Launch(launch.Kernel.Kernel, _device.Queue, launch.Config, launch.Views, launch.Numbers);
        }
        catch (Exception e) when (e is CLException or CudaException)
        {
            throw new DeviceException($"op {launch.Op}: device {_device.Name} does not launch its kernel ({IlgpuDevice.Text(e)}), {launch.Config.GridDim.X} groups of {launch.Config.GroupDim.X}");
        }
    }

    private int CountOf(Loop loop)
    {
        if (loop.Count is not { } operand) return loop.Max;
        int count = 0;
        _device.Read(_slots[operand.Slot], operand.Offset, MemoryMarshal.AsBytes(new Span<int>(ref count)));
        return (uint)count <= (uint)loop.Max ? count : throw new ArgumentOutOfRangeException(nameof(loop), $"repeat: count {count} is outside 0..{loop.Max}");
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _scratch?.Dispose();
        base.Dispose();
    }

    /// <summary>Where a view lies; slot -1 is the scratch memory.</summary>
    private readonly record struct ViewReference(int Slot, long Offset, long Bytes);

    private sealed record Launch(LoadedKernel Kernel, KernelConfig Config, ViewReference[] References, BoundView[] Views, int[] Numbers, string Op);

    private sealed class Step
    {
        public KernelCall? Call;
        public string Variant = "";
        public Launch[] Launches = [];
        public Loop? Loop;
        public Launch? Index;
        public Step[] Body = [];
        public int Depth, Calls;
        public long Ticks;
    }
}
