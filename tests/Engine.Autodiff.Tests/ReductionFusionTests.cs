using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Autodiff.Tests;

/// <summary>A reduction takes in the expression it alone reads, with the bits of the two by themselves.</summary>
public class ReductionFusionTests
{
    private static bool IsReduction(Node node) => node.Op is Fused fused && fused.IsReduction(node.InputTypes);

    private static Graph Check(Action<Graph> trace)
    {
        using CpuDevice device = new(2) { CompileFrom = long.MaxValue }, compiling = new(2) { CompileFrom = 1 };
        using State state = new(device), compilingState = new(compiling);
        var graph = new Graph();
        trace(graph);
        var values = graph.Inputs.ToDictionary(i => i.Key, i => Sample.Normals(i.Value.Type.Elements, i.Key));
        var on = Sample.Run(graph, state, values);
        foreach (var options in new[] { new CompileOptions().Without("ReductionFusion"), CompileOptions.None, CompileOptions.None.With("ReductionFusion") })
        {
            var off = Sample.Run(graph, state, values, options);
            Sample.SameBits(on, off, $"{options}");
        }
        var compiled = Sample.Run(graph, compilingState, values);
        Sample.SameBits(on, compiled, "with a compiled loop");
        using var program = new Program(graph, state);
        return program.Compiled;
    }

    [Theory]
    [InlineData(1, 6)]
    [InlineData(256, 6)]
    [InlineData(10, 256)]
    [InlineData(3, 5000)]
    [InlineData(900, 17)]
    [InlineData(7, 1100)]
    public void Rows_columns_and_everything_at_once(int rows, int columns)
    {
        var compiled = Check(g =>
        {
            Tensor x = g.Input("x", TensorType.Float([rows, columns])), y = g.Input("y", TensorType.Float([columns]));
            g.Output("rows", (x - y).Square().Sum(-1));
            g.Output("columns", ((x * y).Tanh() + 1).Sum(0));
            g.Output("all", (x * 3 - y).Exp().Mean());
            g.Output("smallest", (x + y).Min(0));
            g.Output("largest", (x - y * 2).Max(-1));
            g.Output("one", x.Square().Sum());
        });
        Assert.True(compiled.Nodes.Count(n => IsReduction(n)) >= 5);
        Assert.DoesNotContain(compiled.Nodes, n => n.Op is Fused && !IsReduction(n));
    }

    [Fact]
    public void Long_sums_are_the_same_tree_and_an_alias_between_is_no_obstacle()
    {
        foreach (int n in new[] { 1023, 4096, 4097, 12_345, 65_536 })
        {
            var compiled = Check(g =>
            {
                var x = g.Input("x", TensorType.Float([n]));
                g.Output("y", (x * x + 0.1).Reshape(n, 1).StopGradient().Reshape(1, n).Sum(-1));
            });
            Assert.Single(compiled.Nodes, node => IsReduction(node));
        }
    }

    [Fact]
    public void What_others_read_under_another_shape_what_moves_between_and_what_would_leave_threads_idle_stays()
    {
        var compiled = Check(g =>
        {
            Tensor x = g.Input("x", TensorType.Float([30, 8, 5])), big = g.Input("big", TensorType.Float([100_000]));
            var shared = x.Tanh();
            g.Output("shared", shared.MatMul(x, transposeOther: true));
            g.Output("sum", shared.Reshape(8, 150).Sum(0));
            g.Output("permuted", (x * 2).Permute([1, 0, 2]).Sum(0));
            g.Output("apart", (x * 3).Sum(0, 2));
            g.Output("big", big.Square().Sum());
        });
        Assert.DoesNotContain(compiled.Nodes, n => IsReduction(n));
    }

    [Fact]
    public void Values_that_others_read_too_are_stored_and_reduced_at_once()
    {
        foreach (int n in new[] { 5, 256, 1500 })
        {
            var compiled = Check(g =>
            {
                Tensor x = g.Input("x", TensorType.Float([6, 40, n])), h = g.Input("h", TensorType.Float([6, 40, n]));
                var masked = Tensor.Select(h > 0, x.Tanh() * x, g.Constant(0));
                g.Output("columns", masked.Sum(-2));
                g.Output("again", masked.Sum(-1)); // one reduction joins, the other reads
                g.Output("others", masked.MatMul(h, transposeThis: true));
                var kept = x - h;
                g.Output("kept", kept);
                g.Output("smallest", kept.Min(0));
            });
            Assert.Equal(["fused greater tanh multiply select and sum", "fused subtract and min"], compiled.Nodes.Where(IsReduction).Select(node => node.Op.Name).Order());
        }
    }

    [Fact]
    public void A_variable_that_is_updated_and_reduced_is_written_in_place()
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        var w = state.Add("w", [50, 20], Sample.Normals(1000, "w"));
        using var program = Program.Trace(state, g =>
        {
            var next = g.Read(w) * 0.9 + 0.1;
            g.Assign(w, next);
            g.Output("sum", next.Sum(0));
        });
        Assert.Equal(1, program.KernelCount);
        Assert.Equal(0, program.ArenaBytes);
    }

    [Fact]
    public void A_loop_reduces_inside()
    {
        var compiled = Check(g =>
        {
            var x = g.Input("x", TensorType.Float([40]));
            var (_, stacked) = g.Repeat(4, [x], (_, c) => ([c[0] * 0.5], [(c[0] - x).Square().Sum()]));
            g.Output("y", stacked[0]);
        });
        Assert.Contains(compiled.Nodes.Single(n => n.Op is Repeat).Body!.Nodes, n => IsReduction(n));
    }
}
