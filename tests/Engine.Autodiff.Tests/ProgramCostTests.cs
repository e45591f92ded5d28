using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Autodiff.Tests;

/// <summary>What a program says it computes and moves.</summary>
public sealed class ProgramCostTests
{
    [Fact]
    public void Products_count_as_often_as_their_loop_runs_and_not_where_nobody_needs_them()
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        using var program = Program.Trace(state, graph =>
        {
            Tensor x = graph.Input("x", TensorType.Float([4, 4])), w = graph.Input("w", TensorType.Float([4, 4]));
            _ = w.MatMul(w); // nobody reads it
            var (carried, _) = graph.Repeat(5, [x], (_, c) => ([c[0].MatMul(w)], []));
            graph.Output("y", carried[0].MatMul(w));
        });
        Assert.Equal(6 * 2 * 4 * 4 * 4, program.Cost.NominalFlops);
        Assert.Equal(6 * 2 * 4 * 4 * 4, program.Cost.ExecutedFlops);
        Assert.Equal(5, program.Cost.Kernels.Single(k => k.Op is MatMul && k.Calls > 1).Calls);
    }

    [Fact]
    public void A_forward_that_is_shared_is_nominal_work_twice_and_executed_once()
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        void Trace(Graph graph)
        {
            Tensor x = graph.Input("x", TensorType.Float([3, 4])), w = graph.Input("w", TensorType.Float([4, 5]));
            graph.Output("sum", x.MatMul(w).Sum());
            graph.Output("max", x.MatMul(w).Max(0));
        }
        using Program shared = Program.Trace(state, Trace), apart = Program.Trace(state, Trace, new CompileOptions().Without("CommonSubexpressions"));
        Assert.Equal(2 * 2 * 3 * 4 * 5, shared.Cost.NominalFlops);
        Assert.Equal(2 * 3 * 4 * 5, shared.Cost.ExecutedFlops);
        Assert.Equal(shared.Cost.NominalFlops, apart.Cost.ExecutedFlops);
        Assert.True(shared.Cost.OtherFlops > 0);
    }

    [Fact]
    public void What_is_written_over_what_was_read_is_in_place()
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        Variable v = state.Add("v", [100], new float[100]), u = state.Add("u", [100], new float[100]);
        using Program inPlace = Program.Trace(state, graph => graph.Assign(v, graph.Read(v) * 2)), elsewhere = Program.Trace(state, graph => graph.Assign(v, graph.Read(u) + graph.Read(u).Exp()));
        Assert.Equal(400, inPlace.Cost.Kernels.Sum(k => k.Traffic.InPlace));
        Assert.Equal(0, elsewhere.Cost.Kernels.Sum(k => k.Traffic.InPlace));
        Assert.Equal(inPlace.Cost.Kernels.Sum(k => k.Traffic.Read + k.Traffic.Written), inPlace.Cost.Bytes);
    }
}
