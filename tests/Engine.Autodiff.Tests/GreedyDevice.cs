using Engine.Kernels;
using Engine.Kernels.Cpu;
using Buffer = Engine.Kernels.Buffer;

namespace Engine.Autodiff.Tests;

/// <summary>The processor with a taste for everything a pass can make, so that what does not pay here is tested here too.</summary>
internal sealed class GreedyDevice(int threads = 1, long compileFrom = long.MaxValue) : Device
{
    private readonly CpuDevice _cpu = new(threads) { CompileFrom = compileFrom };

    /// <summary>Plans as for a device that runs at once what does not depend on one another.</summary>
    public bool PlansConcurrently { get; init; }

    public override bool Concurrent => PlansConcurrently;

    public override string Name => _cpu.Name;

    public override string Description => _cpu.Description;

    public override Buffer Allocate(long bytes) => _cpu.Allocate(bytes);

    public override bool Implements(Op op, TensorType[] inputs, TensorType[] outputs) => _cpu.Implements(op, inputs, outputs);

    public override Executable Load(Plan plan) => _cpu.Load(plan);

    public override void Dispose()
    {
        _cpu.Dispose();
        base.Dispose();
    }
}

/// <summary>A pass on and off, on the greedy device.</summary>
internal static class PassCheck
{
    /// <summary>Demands equal bits of the graph with all passes and with some off, and returns the compiled graph.</summary>
    public static Graph Run(Action<Graph> trace, CompileOptions off, (string Name, Shape Shape)[] inputs, bool concurrent = false)
    {
        using var device = new GreedyDevice(2) { PlansConcurrently = concurrent };
        using var state = new State(device);
        var graph = new Graph();
        trace(graph);
        var values = inputs.ToDictionary(i => i.Name, i => Sample.Normals(i.Shape.Elements, i.Name));
        Sample.SameBits(Sample.Run(graph, state, values), Sample.Run(graph, state, values, off));
        using var program = new Program(graph, state);
        return program.Compiled;
    }
}
