using Engine.Kernels;

namespace Engine.Autodiff.Tests;

/// <summary>Products that take one another's result become one op, which changes no bit, and stays away where it must.</summary>
public class ChainFusionTests
{
    private static MatMulChain[] Check(Action<Graph> trace, params (string Name, Shape Shape)[] inputs) =>
        Chains(PassCheck.Run(trace, new CompileOptions().Without("ChainFusion"), inputs)).ToArray();

    private static IEnumerable<MatMulChain> Chains(Graph graph) =>
        graph.Nodes.SelectMany(n => n.Body is { } body ? Chains(body) : n.Op is MatMulChain chain ? [chain] : []);

    private static (string Name, Shape Shape)[] Parameters(int[] sizes, int? members = null) => Enumerable.Range(0, sizes.Length - 1).SelectMany(i => new (string, Shape)[]
    {
        ($"w{i}", members is { } m ? [m, sizes[i], sizes[i + 1]] : [sizes[i], sizes[i + 1]]), ($"b{i}", members is { } n ? [n, sizes[i + 1]] : [sizes[i + 1]]),
    }).ToArray();

    [Theory, InlineData(null), InlineData(3)]
    public void A_network_and_its_gradient_are_two_chains(int? members)
    {
        var parameters = Parameters([9, 40, 33, 1], members);
        var chains = Check(g =>
        {
            var p = parameters.Select(i => g.Input(i.Name, TensorType.Float(i.Shape))).ToArray();
            var x = g.Input("x", TensorType.Float([37, 9]));
            var loss = x.Linear(p[0], p[1], Activation.Relu).Linear(p[2], p[3], Activation.Relu).Linear(p[4], p[5]).Square().Mean();
            var gradients = Gradients.Of(loss, [.. p, x]);
            for (int i = 0; i < gradients.Length; i++) g.Output($"d{i}", gradients[i]);
        }, [("x", [37, 9]), .. parameters]);
        Assert.Equal(2, chains.Length);
        // Forwards every layer's output is kept for its mask and for the gradients of weights; backwards every gradient is.
        Assert.Equal(["linear_relu", "linear_relu", "linear"], chains[0].Links.Select(l => l.Name));
        Assert.Equal([0, 1, 2], chains[0].Kept.ToArray());
        Assert.Equal(["matmul mask", "matmul mask", "matmul"], chains[1].Links.Select(l => l.Name));
        Assert.Equal([0, 1, 2], chains[1].Kept.ToArray());
    }

    [Fact]
    public void What_nobody_else_reads_does_not_come_out()
    {
        var parameters = Parameters([4, 12, 20, 8, 24, 6, 3]);
        var chains = Check(g =>
        {
            var value = g.Input("x", TensorType.Float([5, 4]));
            for (int i = 0; i < 6; i++) value = value.Linear(g.Input($"w{i}", TensorType.Float(parameters[2 * i].Shape)), g.Input($"b{i}", TensorType.Float(parameters[2 * i + 1].Shape)), Activation.Relu);
            g.Output("y", value);
        }, [("x", [5, 4]), .. parameters]);
        Assert.Equal([4, 2], chains.Select(c => c.Links.Count));
        Assert.All(chains, c => Assert.Equal([c.Links.Count - 1], c.Kept.ToArray()));
    }

    [Fact]
    public void Two_heads_follow_a_chain_and_a_weight_that_is_computed_from_the_rows_is_none()
    {
        var chains = Check(g =>
        {
            Tensor x = g.Input("x", TensorType.Float([6, 6])), w = g.Input("w", TensorType.Float([6, 6])), v = g.Input("v", TensorType.Float([6, 6]));
            var trunk = x.MatMul(w).MatMul(v);
            g.Output("a", trunk.MatMul(w));
            g.Output("b", trunk.MatMul(v));
            // The right side is the result itself, or made of it.
            var y = w.MatMul(x);
            g.Output("c", y.MatMul(y));
            var z = v.MatMul(x);
            g.Output("d", z.MatMul(z.Tanh()));
            // The left side transposed, and a sum beside the product, are no links.
            var u = v.MatMul(v);
            g.Output("e", Graph.Apply(new MatMul(true, false), u, x));
            var t = w.MatMul(w);
            g.Output("f", t.MatMul(x) + x);
        }, ("x", [6, 6]), ("w", [6, 6]), ("v", [6, 6]));
        Assert.Equal(2, Assert.Single(chains).Links.Count);
    }

    /// <summary>A value between two links is read by what makes the second link's matrix: one op cannot do both.</summary>
    [Fact]
    public void A_matrix_that_waits_for_the_value_before_it_ends_the_chain()
    {
        var chains = Check(g =>
        {
            Tensor x = g.Input("x", TensorType.Float([6, 6])), w = g.Input("w", TensorType.Float([6, 6]));
            var y = x.MatMul(w);
            var matrix = y.Exp().Sum(0) * w;
            g.Output("z", y.MatMul(matrix).MatMul(w));
        }, ("x", [6, 6]), ("w", [6, 6]));
        Assert.Equal(2, Assert.Single(chains).Links.Count);
    }

    [Fact]
    public void Chains_are_made_inside_of_loops_and_broadcast_rows_begin_one()
    {
        var chains = Check(g =>
        {
            Tensor x = g.Input("x", TensorType.Float([5, 7])), w = g.Input("w", TensorType.Float([3, 7, 7])), v = g.Input("v", TensorType.Float([7, 7]));
            g.Output("y", g.Repeat(4, [x], (body, c) => ([(c[0].MatMul(v).Tanh() + c[0].MatMul(w).MatMul(w).Mean(0)) * 0.1], [])).Carried[0]);
            // [5, 7] times [7, 7] has no leading axis, the next result has one.
            g.Output("z", x.MatMul(v).MatMul(w));
        }, ("x", [5, 7]), ("w", [3, 7, 7]), ("v", [7, 7]));
        Assert.Equal(["matmul", "matmul"], Assert.Single(chains).Links.Select(l => l.Name));
    }
}
