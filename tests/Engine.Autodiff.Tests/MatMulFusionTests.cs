using Engine.Kernels;

namespace Engine.Autodiff.Tests;

/// <summary>What follows a matrix product joins it, changes no bit, and stays away where it must.</summary>
public class MatMulFusionTests
{
    private static Graph Check(Action<Graph> trace, params (string Name, Shape Shape)[] inputs) =>
        PassCheck.Run(trace, new CompileOptions().Without("MatMulFusion"), inputs);

    private static string[] Names(Graph graph) => graph.Nodes.SelectMany(n => n.Op is MatMulChain chain ? chain.Links : [n.Op]).Where(op => op is MatMul or FusedMatMul).Select(op => op.Name).ToArray();

    [Fact]
    public void The_derivative_of_a_rectifier_is_taken_where_the_product_is_written()
    {
        foreach (int batch in new[] { 1, 37, 400 })
        {
            var compiled = Check(g =>
            {
                Tensor x = g.Input("x", TensorType.Float([batch, 9])), w0 = g.Input("w0", TensorType.Float([3, 9, 40])), b0 = g.Input("b0", TensorType.Float([3, 40]));
                Tensor w1 = g.Input("w1", TensorType.Float([3, 40, 33])), b1 = g.Input("b1", TensorType.Float([3, 33])), w2 = g.Input("w2", TensorType.Float([3, 33, 5])), b2 = g.Input("b2", TensorType.Float([3, 5]));
                var loss = x.Linear(w0, b0, Activation.Relu).Linear(w1, b1, Activation.Relu).Linear(w2, b2).Square().Mean();
                var gradients = Gradients.Of(loss, w0, b0, w1, b1, w2, x);
                for (int i = 0; i < gradients.Length; i++) g.Output($"d{i}", gradients[i]);
            }, ("x", [batch, 9]), ("w0", [3, 9, 40]), ("b0", [3, 40]), ("w1", [3, 40, 33]), ("b1", [3, 33]), ("w2", [3, 33, 5]), ("b2", [3, 5]));
            Assert.Equal(2, Names(compiled).Count(n => n == "matmul mask"));
            Assert.DoesNotContain(compiled.Nodes, n => n.Op is Select or Compare or Fused { Steps: [{ Op: Compare }, ..] });
        }
    }

    [Fact]
    public void A_sum_of_two_products_is_written_once_and_masked_at_once()
    {
        foreach (int k in new[] { 4, 40, 700 })
        {
            var compiled = Check(g =>
            {
                Tensor x = g.Input("x", TensorType.Float([11, k])), y = g.Input("y", TensorType.Float([k, 35])), h = g.Input("h", TensorType.Float([11, 35]));
                var sum = x.MatMul(y) + (x * 2).MatMul(y);
                g.Output("sum", sum);
                g.Output("masked", Tensor.Select(h > 0, x.Tanh().MatMul(y) + sum, g.Constant(0)));
            }, ("x", [11, k]), ("y", [k, 35]), ("h", [11, 35]));
            Assert.Equal(["matmul", "matmul add", "matmul add mask"], Names(compiled).Order());
            Assert.DoesNotContain(compiled.Nodes, n => n.Op is Binary { Kind: BinaryKind.Add } or Compare or Select);
        }
    }

    [Fact]
    public void A_product_that_others_read_a_broadcast_and_another_mask_stay_as_they_are()
    {
        var compiled = Check(g =>
        {
            Tensor x = g.Input("x", TensorType.Float([8, 8])), h = g.Input("h", TensorType.Float([8, 8])), row = g.Input("row", TensorType.Float([8]));
            var shared = x.MatMul(h);
            g.Output("a", Tensor.Select(h > 0, shared, g.Constant(0)));
            g.Output("b", shared);
            g.Output("c", h.MatMul(x) + row);
            g.Output("d", Tensor.Select(h > 0.5, h.MatMul(h), g.Constant(0)));
            g.Output("e", Tensor.Select(h > 0, x.MatMul(x), g.Constant(1)));
            g.Output("f", Tensor.Select(row > 0, x.MatMul(x * 2), g.Constant(0)));
            g.Output("g", Tensor.Select(h > 0, x.MatMul(x * 3), g.Constant(-0.0)));
        }, ("x", [8, 8]), ("h", [8, 8]), ("row", [8]));
        Assert.All(Names(compiled), n => Assert.Equal("matmul", n));
    }

    [Fact]
    public void A_mask_with_a_nan_keeps_nothing_and_a_variable_may_be_updated_in_place()
    {
        using var device = new GreedyDevice();
        using var state = new State(device);
        var w = state.Add("w", [40, 40], Sample.Normals(1600, "w"));
        foreach (var options in Sample.EachPassOff())
        {
            state.Write("w", Sample.Normals(1600, "w"));
            using var program = Program.Trace(state, g =>
            {
                var old = g.Read(w);
                var h = g.Input("h", TensorType.Float([40, 40]));
                // The old value is residual, mask and factor: nothing of it may be overwritten before it was read.
                g.Assign(w, Tensor.Select(old > 0, old + (old * 0.1).MatMul(h), g.Constant(0)));
                g.Output("y", Tensor.Select(h > 0, h.MatMul(old), g.Constant(0)));
            }, options);
            var h = Sample.Normals(1600, "h");
            h[3] = float.NaN;
            program.Write("h", h);
            program.Run();
            Assert.Equal(0, program.Read("y")[3]);
            var before = Sample.Normals(1600, "w");
            for (int i = 0; i < 1600; i++)
                if (!(before[i] > 0)) Assert.Equal(0, state.Read("w")[i]);
            Assert.Contains(state.Read("w"), float.IsNaN);
        }
    }

    [Fact]
    public void The_processor_masks_outer_products_and_leaves_the_others()
    {
        using var device = new Kernels.Cpu.CpuDevice();
        using var state = new State(device);
        using var program = Program.Trace(state, g =>
        {
            Tensor a = g.Input("a", TensorType.Float([8, 1])), b = g.Input("b", TensorType.Float([1, 9])), h = g.Input("h", TensorType.Float([8, 9])), w = g.Input("w", TensorType.Float([9, 9]));
            g.Output("outer", Tensor.Select(h > 0, a.MatMul(b), g.Constant(0)));
            g.Output("inner", Tensor.Select(h > 0, h.MatMul(w), g.Constant(0)));
        });
        Assert.Equal(["matmul", "matmul mask"], Names(program.Compiled).Order());
    }
}
