using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Autodiff.Tests;

/// <summary>A minimum over an ensemble is differentiated through the member that attains it, with the bits of the whole ensemble.</summary>
public class WinningMemberTests
{
    private const int Members = 5, Inputs = 7, Hidden = 36;

    private static Tensor Q(Graph g, Tensor x, int layers)
    {
        var h = x;
        int width = Inputs;
        for (int i = 0; i < layers; i++, width = Hidden)
            h = h.Linear(g.Input($"w{i}", TensorType.Float([Members, width, Hidden])), g.Input($"b{i}", TensorType.Float([Members, Hidden])), Activation.Relu);
        return h.Linear(g.Input("w", TensorType.Float([Members, width, 1])), g.Input("b", TensorType.Float([Members, 1]))).Squeeze(-1);
    }

    private static (Graph Compiled, Dictionary<string, float[]> On) Check(Action<Graph> trace, int threads = 1, Action<string, float[]>? edit = null)
    {
        using var device = new CpuDevice(threads);
        using var state = new State(device);
        var graph = new Graph();
        trace(graph);
        var values = graph.Inputs.ToDictionary(i => i.Key, i => Sample.Normals(i.Value.Type.Elements, i.Key, 0.3));
        foreach (var (name, v) in values) edit?.Invoke(name, v);
        var on = Sample.Run(graph, state, values);
        foreach (var options in new[] { new CompileOptions().Without("WinningMember"), CompileOptions.None, CompileOptions.None.With("WinningMember") })
        {
            var off = Sample.Run(graph, state, values, options);
            Sample.SameBits(on, off, $"{options}");
        }
        using var program = new Program(graph, state);
        return (program.Compiled, on);
    }

    private static int Count(Graph graph) => graph.Nodes.Count(n => n.Op is MemberMatMul);

    [Fact]
    public void Of_a_gradient_of_which_a_part_is_wanted_the_part_alone_is_finished()
    {
        var (compiled, _) = Check(g =>
        {
            Tensor observations = g.Input("observations", TensorType.Float([40, 5])), actions = g.Input("actions", TensorType.Float([40, 2]));
            g.Output("da", Gradients.Of(Q(g, Tensor.Concat(-1, observations, actions), 2).Min(0).Mean(), actions)[0]);
        });
        Assert.Equal(3, Count(compiled));
        Assert.Equal("[40,2]", Assert.Single(compiled.Nodes, n => n.Op is Slice).Outputs[0].Shape.ToString());
        Assert.DoesNotContain(compiled.Nodes, n => n.Op is Binary or Fused && n.Outputs[0].Shape.Elements == 40 * 7);
    }

    [Theory]
    [InlineData(2, 0)]
    [InlineData(3, 1)]
    [InlineData(256, 2)]
    [InlineData(1300, 3)]
    public void The_gradient_of_a_minimum_takes_one_member_a_row(int batch, int layers)
    {
        foreach (bool largest in new[] { false, true })
        {
            var (compiled, _) = Check(g =>
            {
                var x = g.Input("x", TensorType.Float([batch, Inputs]));
                var q = Q(g, x, layers);
                var loss = ((largest ? q.Max(0) : q.Min(0)) * g.Input("scale", TensorType.Float([batch]))).Mean();
                g.Output("dx", Gradients.Of(loss, x)[0]);
            }, 2);
            Assert.Equal(layers + 1, Count(compiled));
            Assert.DoesNotContain(compiled.Nodes, n => n.Op is MatMul or FusedMatMul);
        }
    }

    [Fact]
    public void One_number_for_all_rows_equal_members_and_vanishing_gradients_are_exact_too()
    {
        // All members equal: the first wins everywhere. Tiny numbers: products that round to -0 must come out as +0.
        var (compiled, on) = Check(g =>
        {
            var x = g.Input("x", TensorType.Float([40, Inputs]));
            g.Output("dx", Gradients.Of(-(Q(g, x, 2).Min(0).Sum()), x)[0]);
            g.Output("tiny", Gradients.Of(-(Q2(g, x).Min(0).Sum() * 1e-30), x)[0]);
            Tensor Q2(Graph graph, Tensor input) => input.MatMul(graph.Input("u", TensorType.Float([Members, Inputs, Hidden])) * 1e-10).MatMul(graph.Input("v", TensorType.Float([Members, Hidden, 1])) * 1e-8).Squeeze(-1);
        }, 1, (name, values) =>
        {
            if (name is "x" or "v") return;
            int size = values.Length / Members;
            for (int i = size; i < values.Length; i++) values[i] = values[i % size];
        });
        Assert.Equal(5, Count(compiled));
        Assert.Contains(on["dx"], v => v != 0);
        Assert.DoesNotContain(on["tiny"], v => v == 0 && float.IsNegative(v));
    }

    [Fact]
    public void Where_more_than_the_sum_over_members_is_wanted_the_ensemble_stays()
    {
        // The gradient of a weight reads the gradients of all members; so does what is not summed over them.
        var (compiled, _) = Check(g =>
        {
            var x = g.Input("x", TensorType.Float([30, Inputs]));
            var w = g.Input("u", TensorType.Float([Members, Inputs, Hidden]));
            var q = x.MatMul(w).Relu().MatMul(g.Input("v", TensorType.Float([Members, Hidden, 1]))).Squeeze(-1);
            var gradients = Gradients.Of(q.Min(0).Mean(), x, w);
            g.Output("dx", gradients[0]);
            g.Output("dw", gradients[1]);
            var each = g.Input("each", TensorType.Float([Members, 30, Inputs]));
            g.Output("each", Gradients.Of(each.MatMul(g.Input("t", TensorType.Float([Members, Inputs, 1]))).Squeeze(-1).Min(0).Mean(), each)[0]);
            // The minimum over the batch is not one over members, and a row that wins nothing has no weights.
            g.Output("batch", Gradients.Of(x.MatMul(g.Input("s", TensorType.Float([Inputs, 30]))).Min(0).Mean(), x)[0]);
        });
        Assert.Equal(0, Count(compiled));
    }

    [Fact]
    public void A_single_row_keeps_the_order_of_its_sums()
    {
        var (compiled, _) = Check(g =>
        {
            var x = g.Input("x", TensorType.Float([1, Inputs]));
            g.Output("dx", Gradients.Of(Q(g, x, 1).Min(0).Mean(), x)[0]);
        });
        Assert.Equal(0, Count(compiled));
    }
}
