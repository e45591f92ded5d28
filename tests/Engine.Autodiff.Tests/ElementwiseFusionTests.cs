using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Autodiff.Tests;

/// <summary>Which elementwise ops become one kernel, and that nothing else changes.</summary>
public class ElementwiseFusionTests
{
    private static readonly CompileOptions Off = new CompileOptions().Without("ElementwiseFusion");

    /// <summary>Runs with the pass off, on, and on with compiled loops, demands equal bytes, and returns the compiled graph.</summary>
    private static Graph Check(Action<Graph> trace, Dictionary<string, float[]> inputs, int threads = 1)
    {
        using CpuDevice device = new(threads) { CompileFrom = long.MaxValue }, compiling = new(threads) { CompileFrom = 1 };
        using State state = new(device), compilingState = new(compiling);
        var graph = new Graph();
        trace(graph);
        var off = Sample.Run(graph, state, inputs, Off);
        foreach (var on in new[] { Sample.Run(graph, state, inputs), Sample.Run(graph, compilingState, inputs) })
            Sample.SameBits(on, off);
        using var program = new Program(graph, state);
        return program.Compiled;
    }

    private static Fused[] Fused(Graph graph) => graph.Nodes.Select(n => n.Op).OfType<Fused>().ToArray();

    [Fact]
    public void A_chain_becomes_one_kernel()
    {
        foreach (int n in new[] { 1, 7, 5000, 70_000 })
        {
            var compiled = Check(g =>
            {
                var x = g.Input("x", TensorType.Float([n]));
                g.Output("y", ((x * 2 + 1).Tanh() - x).Square());
            }, new() { ["x"] = Sample.Normals(n, "x") }, 2);
            Assert.Equal(5, Assert.Single(Fused(compiled)).Steps.Count);
            Assert.DoesNotContain(compiled.Nodes, node => node.Op.IsElementwise);
        }
    }

    [Fact]
    public void Rows_columns_and_scalars_are_read_in_place_of_being_spread()
    {
        foreach (var (rows, columns) in new[] { (50, 6), (6, 700), (1, 300), (300, 1), (3, 4099) })
        {
            var compiled = Check(g =>
            {
                Tensor x = g.Input("x", TensorType.Float([rows, columns])), b = g.Input("b", TensorType.Float([columns])), c = g.Input("c", TensorType.Float([rows, 1]));
                var spread = b.BroadcastTo([rows, columns]) * c.BroadcastTo([rows, columns]);
                g.Output("y", (x + b) * c - spread.Tanh());
            }, new() { ["x"] = Sample.Normals(rows * columns, "x"), ["b"] = Sample.Normals(columns, "b"), ["c"] = Sample.Normals(rows, "c") });
            Assert.Single(Fused(compiled));
            Assert.DoesNotContain(compiled.Nodes, node => node.Op is Broadcast);
        }
    }

    [Fact]
    public void A_value_that_others_read_stays_and_is_computed_once()
    {
        var compiled = Check(g =>
        {
            var x = g.Input("x", TensorType.Float([40, 40]));
            var shared = (x * 2).Tanh();           // read by two expressions: the root of its own
            g.Output("y", (shared + 1).Exp());
            g.Output("z", shared.MatMul(x) - (shared - 1).Square());
        }, new() { ["x"] = Sample.Normals(1600, "x") });
        Assert.Equal(3, Fused(compiled).Length);
        Assert.Single(Fused(compiled).SelectMany(f => f.Steps), s => s.Op == new Unary(UnaryKind.Tanh));
    }

    [Fact]
    public void A_diamond_is_one_kernel_and_a_loop_is_fused_inside()
    {
        var compiled = Check(g =>
        {
            var x = g.Input("x", TensorType.Float([33]));
            var a = x.Exp();
            g.Output("y", Tensor.Select(a > 1, a * a, a + x));
            var (carried, _) = g.Repeat(3, [x], (_, c) => ([(c[0] * 0.5 + 1).Tanh() * x], []));
            g.Output("z", carried[0]);
        }, new() { ["x"] = Sample.Normals(33, "x") });
        Assert.Equal(5, Assert.Single(Fused(compiled)).Steps.Count);
        Assert.Single(Fused(compiled.Nodes.Single(n => n.Op is Repeat).Body!));
    }

    [Fact]
    public void Long_chains_are_cut_and_stay_exact()
    {
        var compiled = Check(g =>
        {
            var x = g.Input("x", TensorType.Float([1000]));
            var y = x;
            for (int i = 0; i < 100; i++) y = i % 3 == 0 ? y * 0.9 : i % 3 == 1 ? (y + x).Tanh() : y - 0.1;
            g.Output("y", y);
        }, new() { ["x"] = Sample.Normals(1000, "x") });
        Assert.InRange(Fused(compiled).Length, 2, 10);
        Assert.All(Fused(compiled), f => Assert.True(f.InputCount < 32));
    }

    [Fact]
    public void A_fused_update_is_written_in_place()
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        var w = state.Add("w", [4096], Sample.Normals(4096, "w"));
        using var program = Program.Trace(state, g => g.Assign(w, (g.Read(w) * 0.9 + 0.1).Tanh()));
        Assert.Equal(1, program.KernelCount);
        Assert.Equal(0, program.ArenaBytes);
        Assert.Contains("fused multiply add tanh", program.Explain(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_malformed_expression_is_refused()
    {
        var type = TensorType.Float([3]);
        Assert.Throws<ShapeException>(() => new Fused(1, [new(new Unary(UnaryKind.Exp), [1])]).Infer([type]));
        Assert.Throws<ShapeException>(() => new Fused(1, [new(new Softmax(), [0])]).Infer([type]));
        Assert.Throws<ShapeException>(() => new Fused(2, [new(new Unary(UnaryKind.Exp), [0]), new(new Binary(BinaryKind.Add), [1, 2])]).Infer([type, TensorType.Float([2, 5])]));
    }
}
