using System.Globalization;
using System.Runtime.InteropServices;
using Engine.Kernels.Cuda.Driver;
using static Engine.Kernels.Cuda.Driver.CudaDriver;
using static Engine.Kernels.Cuda.Driver.CudaError;

namespace Engine.Kernels.Cuda;

/// <summary>
/// The launches of a plan, with their arguments laid out in the host's memory as the driver reads them: a run fills in nothing.
/// </summary>
/// <remarks>
/// <para>With graphs, everything up to a loop whose number of steps is known only at run time is one CUDA graph, captured when it first runs with its addresses, and captured again
/// when an address changes. Its nodes wait only for those they depend on (<see cref="Dependencies"/>), so that small kernels run beside one another. A loop of a fixed number of steps is in it: its body
/// is captured once and becomes a child graph for every step, after a node that writes the step's number.</para>
/// <para>A loop with a count is driven by the host, which waits for the count and then launches the body's graph that many times, so the steps beyond it do not run. That costs one wait a
/// loop: no hot path has one.</para>
/// </remarks>
internal sealed unsafe partial class CudaSchedule
{
    private const int TimedAtOnce = 512;

    // Up to here every kernel has scratch memory of its own, so that they need not wait for one another.
    private const long LargestSeparateScratch = 64 << 20;
    private const long ScratchAlignment = 256;

    private readonly CudaDevice _device;
    private readonly Node[] _nodes;
    private readonly Part[] _parts;
    private readonly List<Launch> _launches = [];
    private readonly List<Patch> _patches = [];
    private readonly List<Extent> _extents = []; // on the stand-in only
    private readonly int _scratchSlot;
    private readonly nint[] _slots; // the last is the scratch memory
    private long* _values;
    private void** _arguments;
    private bool _bound;

    /// <param name="device">Its context is current.</param>
    /// <param name="plan">What to run.</param>
    public CudaSchedule(CudaDevice device, Plan plan)
    {
        (_device, _scratchSlot, _slots) = (device, plan.Slots, new nint[plan.Slots + 1]);
        var arguments = new List<(KernelArgument Argument, Operand[] Operands)>();
        _nodes = Array.ConvertAll(plan.Instructions, i => Prepare(i, 0, arguments));
        PlaceScratch(arguments);
        _parts = Divide(_nodes);
        LayOut(arguments);
    }

    /// <summary>Scratch memory that the launches share.</summary>
    public long ScratchBytes { get; private set; }

    /// <summary>Sets the addresses for the next runs.</summary>
    public void Bind(ReadOnlySpan<nint> slots, nint scratch)
    {
        if (_bound && scratch == _slots[_scratchSlot] && slots.SequenceEqual(_slots.AsSpan(0, _scratchSlot))) return;
        slots.CopyTo(_slots);
        _slots[_scratchSlot] = scratch;
        foreach (var patch in _patches) _values[patch.Value] = _slots[patch.Slot] + patch.Offset;
        DiscardGraphs(_parts);
        _bound = true;
    }

    /// <summary>Queues one run.</summary>
    public void Run()
    {
        if (!_device.UseGraphs || _device.Synchronous) RunPlain(_nodes, null);
        else RunParts(_parts);
    }

    /// <summary>Runs once, kernel by kernel between events. What a kernel of a few microseconds is said to take includes the time to launch it.</summary>
    public KernelTime[] Profile()
    {
        foreach (var node in Kernels(_nodes)) (node.Seconds, node.Calls) = (0, 0);
        using (var clock = new Clock(_device.Queue))
        {
            RunPlain(_nodes, clock);
            clock.Collect();
        }
        return Kernels(_nodes).Select(n => new KernelTime(n.Call!, n.Variant, n.Calls, n.Seconds, n.Depth)).ToArray();
    }

    /// <summary>Frees what it holds; from any thread.</summary>
    public void Free()
    {
        DiscardGraphs(_parts);
        NativeMemory.Free(_values);
        NativeMemory.Free(_arguments);
        _values = null;
        _arguments = null;
    }

    private Node Prepare(Instruction instruction, int depth, List<(KernelArgument, Operand[])> arguments)
    {
        if (instruction is Loop loop)
        {
            var body = Array.ConvertAll(loop.Body, i => Prepare(i, depth + 1, arguments));
            return new Node { Loop = loop, Body = body, OnHost = loop.Count is not null || Array.Exists(body, n => n.OnHost), Depth = depth };
        }
        var call = (KernelCall)instruction;
        TensorType[] inputs = call.InputTypes, outputs = call.OutputTypes;
        var kernel = CudaDevice.Kernel(call.Op, inputs, outputs, _device.Limits);
        Operand[] operands = [.. call.Inputs, .. call.Outputs];
        int from = _launches.Count;
        foreach (var launch in kernel.Launches)
        {
            if (launch.Apart is var (first, second) && (operands[first].Slot, operands[first].Offset) == (operands[second].Slot, operands[second].Offset)) continue;
            var (grid, block) = (launch.Grid, launch.Block);
            if (grid.X < 1 || grid.Y is < 1 or > 65535 || grid.Z is < 1 or > 65535) throw new DeviceException($"kernel {launch.Function} of {call.Op.Name}({string.Join(", ", inputs)}): a grid of {grid}");
            _launches.Add(new Launch(_device.Modules.Find(launch).Handle, grid, block, (uint)launch.SharedBytes, arguments.Count, launch.Function, _extents.Count));
            foreach (var argument in launch.Arguments) arguments.Add((argument, operands));
            if (StandIn.IsLoaded) AddExtents(launch, operands, kernel.ScratchBytes);
        }
        return new Node { Call = call, Variant = kernel.Variant, From = from, To = _launches.Count, Depth = depth, ScratchBytes = kernel.ScratchBytes };
    }

    /// <summary>Gives the kernels scratch memory, each its own unless that is too much.</summary>
    private void PlaceScratch(List<(KernelArgument Argument, Operand[] Operands)> arguments)
    {
        static long Aligned(long bytes) => (bytes + ScratchAlignment - 1) / ScratchAlignment * ScratchAlignment;
        var kernels = Kernels(_nodes).ToArray();
        bool separate = kernels.Sum(k => Aligned(k.ScratchBytes)) <= LargestSeparateScratch;
        foreach (var kernel in kernels)
        {
            kernel.ScratchStart = separate ? ScratchBytes : 0;
            ScratchBytes = Math.Max(ScratchBytes, kernel.ScratchStart + Aligned(kernel.ScratchBytes));
            if (kernel.ScratchStart == 0 || kernel.From == kernel.To) continue;
            int end = kernel.To < _launches.Count ? _launches[kernel.To].FirstArgument : arguments.Count;
            for (int i = _launches[kernel.From].FirstArgument; i < end; i++)
                if (arguments[i].Argument is { Kind: ArgumentKind.Scratch } scratch) arguments[i] = (KernelArgument.Scratch(scratch.Bits + kernel.ScratchStart), arguments[i].Operands);
            int endExtent = kernel.To < _launches.Count ? _launches[kernel.To].FirstExtent : _extents.Count;
            for (int i = _launches[kernel.From].FirstExtent; i < endExtent; i++)
                if (_extents[i].Slot == _scratchSlot) _extents[i] = _extents[i] with { Offset = _extents[i].Offset + kernel.ScratchStart };
        }
    }

    /// <summary>How far the memory reaches that a launch may touch.</summary>
    private void AddExtents(KernelLaunch launch, Operand[] operands, long scratchBytes)
    {
        foreach (var argument in launch.Arguments)
            if (argument.Kind == ArgumentKind.Operand && operands[argument.Bits] is var operand)
                _extents.Add(new Extent(operand.Slot, operand.Offset, operand.Type.Bytes));
            else if (argument.Kind == ArgumentKind.Scratch) _extents.Add(new Extent(_scratchSlot, argument.Bits, scratchBytes - argument.Bits));
    }

    private void LayOut(List<(KernelArgument Argument, Operand[] Operands)> arguments)
    {
        _values = (long*)NativeMemory.AllocZeroed((nuint)Math.Max(1, arguments.Count), sizeof(long));
        _arguments = (void**)NativeMemory.Alloc((nuint)Math.Max(1, arguments.Count), (nuint)sizeof(void*));
        for (int i = 0; i < arguments.Count; i++)
        {
            _arguments[i] = _values + i;
            var (argument, operands) = arguments[i];
            if (argument.Kind == ArgumentKind.Operand) _patches.Add(new Patch(i, operands[argument.Bits].Slot, operands[argument.Bits].Offset));
            else if (argument.Kind == ArgumentKind.Scratch) _patches.Add(new Patch(i, _scratchSlot, argument.Bits));
            else _values[i] = argument.Bits; // numbers of 32 bits are read from the lower half
        }
    }

    // Launches.

    private void RunPlain(Node[] nodes, Clock? clock)
    {
        foreach (var node in nodes)
        {
            if (node.Loop is { } loop)
            {
                int count = CountOf(loop);
                for (int i = 0; i < count; i++)
                {
                    WriteIndex(loop, i, _device.Queue);
                    RunPlain(node.Body, clock);
                }
                continue;
            }
            clock?.Start(node);
            for (int i = node.From; i < node.To; i++)
            {
                Send(i, node, _device.Queue);
                _device.CountKernel();
                if (_device.Synchronous) _device.CountWait();
                if (_device.Synchronous && cuStreamSynchronize(_device.Queue) is not CudaStatus.Success and var status) Throw(status, nameof(cuLaunchKernel), About(i, node));
            }
            clock?.Stop();
        }
    }

    private void Send(int index, Node node, CudaStream stream)
    {
        var launch = _launches[index];
        if (StandIn.IsLoaded)
            for (int i = launch.FirstExtent, end = index + 1 < _launches.Count ? _launches[index + 1].FirstExtent : _extents.Count; i < end; i++)
                StandIn.Annotate(_slots[_extents[i].Slot] + (nint)_extents[i].Offset, _extents[i].Bytes);
        var status = cuLaunchKernel(launch.Function, (uint)launch.Grid.X, (uint)launch.Grid.Y, (uint)launch.Grid.Z, (uint)launch.Block.X, (uint)launch.Block.Y, (uint)launch.Block.Z,
            launch.SharedBytes, stream, _arguments + launch.FirstArgument, null);
        if (status != CudaStatus.Success) Throw(status, nameof(cuLaunchKernel), About(index, node));
    }

    private string About(int index, Node node)
    {
        var launch = _launches[index];
        return $"{launch.Name} for {node.Call!.Op.Name}({string.Join(", ", node.Call.InputTypes)}), {launch.Grid.X}x{launch.Grid.Y}x{launch.Grid.Z} blocks of {launch.Block.X}x{launch.Block.Y}x{launch.Block.Z} threads, {launch.SharedBytes} bytes of shared memory";
    }

    private void WriteIndex(Loop loop, int step, CudaStream stream) => Check(cuMemsetD32Async(AddressOf(loop.Index), (uint)step, 1, stream));

    private int CountOf(Loop loop)
    {
        if (loop.Count is not { } operand) return loop.Max;
        int count = 0;
        _device.Staging.Read(AddressOf(operand), MemoryMarshal.AsBytes(new Span<int>(ref count)));
        if ((uint)count > (uint)loop.Max) throw new ArgumentOutOfRangeException(nameof(loop), string.Create(CultureInfo.InvariantCulture, $"repeat: count {count} is outside 0..{loop.Max}"));
        return count;
    }

    private nint AddressOf(Operand operand) => _slots[operand.Slot] + (nint)operand.Offset;

    /// <summary>Launches of these steps, of a loop all steps.</summary>
    private static long CountLaunches(Node[] nodes) => nodes.Sum(n => n.Loop is { } loop ? loop.Max * CountLaunches(n.Body) : n.To - n.From);

    private static IEnumerable<Node> Kernels(Node[] nodes) => nodes.SelectMany(n => n.Loop is null ? [n] : Kernels(n.Body));

    /// <param name="Function">What.</param>
    /// <param name="Grid">Blocks.</param>
    /// <param name="Block">Threads.</param>
    /// <param name="SharedBytes">Dynamic shared memory.</param>
    /// <param name="FirstArgument">Where its arguments begin.</param>
    /// <param name="Name">For messages.</param>
    /// <param name="FirstExtent">Where its extents begin.</param>
    private readonly record struct Launch(CudaFunction Function, Dim3 Grid, Dim3 Block, uint SharedBytes, int FirstArgument, string Name, int FirstExtent);

    /// <summary>Memory that a launch may touch.</summary>
    private readonly record struct Extent(int Slot, long Offset, long Bytes);

    /// <summary>An argument that is an address.</summary>
    private readonly record struct Patch(int Value, int Slot, long Offset);

    /// <summary>An instruction of the plan: a kernel call, or a loop.</summary>
    private sealed class Node
    {
        public KernelCall? Call;
        public string Variant = "";
        public int From, To, Depth, Calls; // launches [From, To)
        public long ScratchStart, ScratchBytes;
        public double Seconds;
        public Loop? Loop;
        public Node[] Body = [];
        public bool OnHost; // the host must act while it runs
    }

    /// <summary>What the host does at once: launch a graph, or drive a loop.</summary>
    private sealed class Part
    {
        public Node[] Graph = [];
        public CudaGraphExec Exec;
        public long Launches; // of the graph
        public Loop? Loop;
        public Part[] Body = [];
    }

    /// <summary>Times kernels with pairs of events; many are queued before the first is waited for, so that the GPU does not wait for the host.</summary>
    private sealed class Clock(CudaStream stream) : IDisposable
    {
        private readonly List<(CudaEvent Start, CudaEvent Stop)> _events = [];
        private readonly List<Node> _timed = [];

        public void Start(Node node)
        {
            if (_timed.Count == TimedAtOnce) Collect();
            if (_events.Count == _timed.Count)
            {
                Check(cuEventCreate(out var start, 0));
                Check(cuEventCreate(out var stop, 0));
                _events.Add((start, stop));
            }
            _timed.Add(node);
            Check(cuEventRecord(_events[_timed.Count - 1].Start, stream));
        }

        public void Stop() => Check(cuEventRecord(_events[_timed.Count - 1].Stop, stream));

        public void Collect()
        {
            if (_timed.Count == 0) return;
            Check(cuEventSynchronize(_events[_timed.Count - 1].Stop));
            for (int i = 0; i < _timed.Count; i++)
            {
                Check(cuEventElapsedTime(out float milliseconds, _events[i].Start, _events[i].Stop));
                _timed[i].Seconds += milliseconds / 1000.0;
                _timed[i].Calls++;
            }
            _timed.Clear();
        }

        public void Dispose()
        {
            foreach (var (start, stop) in _events)
            {
                _ = cuEventDestroy(start);
                _ = cuEventDestroy(stop);
            }
        }
    }
}
