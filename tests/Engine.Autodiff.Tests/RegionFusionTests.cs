using Engine.Kernels;

namespace Engine.Autodiff.Tests;

/// <summary>Small kernels that work on the same rows become one, nothing that others wait for comes later, and no bit changes.</summary>
public class RegionFusionTests
{
    private static readonly CompileOptions Off = new CompileOptions().Without("RegionFusion");

    private static Graph Check(Action<Graph> trace, params (string Name, Shape Shape)[] inputs) => PassCheck.Run(trace, Off, inputs, concurrent: true);

    private static Node[] Kernels(Graph compiled) => compiled.Nodes.Where(n => n.Op is not Leaf && !n.Op.IsAlias).ToArray();

    private static int Copies(Program program)
    {
        int Kernels(Graph graph) => graph.Nodes.Sum(n => n.Body is { } body ? Kernels(body) : n.Op is Leaf || n.Op.IsAlias ? 0 : 1);
        return program.KernelCount - Kernels(program.Compiled);
    }

    [Fact]
    public void A_squashed_sample_with_its_log_probability()
    {
        var compiled = Check(g =>
        {
            Tensor heads = g.Input("heads", TensorType.Float([40, 12])), noise = g.Input("noise", TensorType.Float([40, 6]));
            Tensor mean = heads.Slice(-1, 0, 6), raw = heads.Slice(-1, 6, 6);
            var inRange = (raw > -5) & (raw < 2);
            var std = Tensor.Select(inRange, raw, raw.Clip(-5, 2)).Exp();
            var before = mean + std * noise;
            var action = before.Tanh();
            g.Output("action", action);
            g.Output("log_probability", (noise.Square() * -0.5 - std.Log() - (1 - action.Square() + 1e-6).Log()).Sum(-1));
            g.Output("std", std); // what a gradient reads
        }, ("heads", [40, 12]), ("noise", [40, 6]));
        Assert.Equal(3, Assert.IsType<Fused>(Assert.Single(Kernels(compiled)).Op).Results.Count);
    }

    [Fact]
    public void A_target_of_an_ensembles_minimum_and_the_loss_against_it()
    {
        var compiled = Check(g =>
        {
            Tensor next = g.Input("next", TensorType.Float([10, 64])), q = g.Input("q", TensorType.Float([10, 64])), rewards = g.Input("rewards", TensorType.Float([64])), entropy = g.Input("entropy", TensorType.Float([64])), temperature = g.Input("temperature", TensorType.Float([1]));
            var target = rewards + 0.99 * (next.Min(0) - temperature.Exp() * entropy);
            g.Output("target", target);
            g.Output("gradient", (q - target) * (2.0 / 64));
        }, ("next", [10, 64]), ("q", [10, 64]), ("rewards", [64]), ("entropy", [64]), ("temperature", [1]));
        Assert.Single(Kernels(compiled));
    }

    [Fact]
    public void What_others_wait_for_does_not_come_later()
    {
        var compiled = Check(g =>
        {
            Tensor x = g.Input("x", TensorType.Float([8, 8])), w = g.Input("w", TensorType.Float([8, 8]));
            Tensor early = x.Exp(), alone = w.Tanh();
            var product = early.MatMul(w).MatMul(w);
            g.Output("y", product * early + alone);
        }, ("x", [8, 8]), ("w", [8, 8]));
        // The exponential is there before the products; the tangent, which only the end reads, is part of it.
        Assert.Equal(["exp", "chain of 2 matmul", "fused tanh multiply add"], Kernels(compiled).Select(n => n.Op.Name));
    }

    [Fact]
    public void Results_are_ready_before_they_are_read_whatever_the_order_of_the_trace()
    {
        var compiled = Check(g =>
        {
            Tensor x = g.Input("x", TensorType.Float([8, 8])), w = g.Input("w", TensorType.Float([8, 8]));
            Tensor a = x.Square(), product = a.MatMul(w), b = x.MatMul(w), c = b.Exp(), d = b.Tanh();
            g.Output("first", product);
            g.Output("second", c.MatMul(d));
            g.Output("sum", (a + 1).Sum(-1));
            g.Output("third", c * d);
        }, ("x", [8, 8]), ("w", [8, 8]));
        Assert.Equal(5, Kernels(compiled).Length);
        foreach (var node in compiled.Nodes) Assert.All(node.Inputs, t => Assert.True(t.Node.Id < node.Id));
    }

    [Fact]
    public void A_variable_that_is_read_and_updated_is_written_in_place()
    {
        using var device = new GreedyDevice { PlansConcurrently = true };
        using var state = new State(device);
        var w = state.Add("w", [50, 20], Sample.Normals(1000, "w"));
        using var program = Program.Trace(state, g =>
        {
            var old = g.Read(w);
            g.Output("norm", old.Square().Sum(-1));
            g.Assign(w, old * 0.9 + 0.1);
        });
        Assert.Equal(program.Compiled.Nodes.Count(n => n.Op is not Leaf), program.KernelCount); // no copies
    }

    /// <summary>The old value of a variable is read by a region that comes late: the new one is written after it, not beside the old one and moved.</summary>
    [Fact]
    public void New_values_of_variables_come_after_the_readers_of_the_old()
    {
        using var device = new GreedyDevice { PlansConcurrently = true };
        using var state = new State(device);
        Variable counter = state.AddZeros("counter", TensorType.Int([3])), w = state.Add("w", [8, 8], Sample.Normals(64, "w"));
        using var program = Program.Trace(state, g =>
        {
            var old = g.Read(counter);
            Tensor step = old.Slice(0, 2, 1), x = g.Input("x", TensorType.Float([8, 8]));
            g.Assign(counter, old + g.Constant(TensorType.Int([3]), 1, 2, 3));
            var loss = x.MatMul(g.Read(w)).Square().Sum();
            g.Output("at", loss * 0.5 + step.Cast(DType.F32));
            var (carried, _) = g.Repeat(3, [x, x], (_, c) =>
            {
                Tensor sum = c[0].Sum(-1), next = c[0].Tanh();
                return ([next, c[1].MatMul(g.Read(w)).MatMul(g.Read(w)) * 0.5 + sum], []);
            });
            g.Output("carried", carried[1] + 1);
        });
        Assert.Equal(2, Copies(program)); // what the loop begins with
    }

    /// <summary>A number of the rows, or of all, is written over the old one by the kernel that reads it, where nothing longer depends on it.</summary>
    [Fact]
    public void Variables_of_a_number_a_row_are_written_in_place()
    {
        using var device = new GreedyDevice { PlansConcurrently = true };
        using var state = new State(device);
        Variable guard = state.AddZeros("guard", TensorType.Int([1])), means = state.AddZeros("means", TensorType.Float([40]));
        int With(bool needed)
        {
            using var program = Program.Trace(state, g =>
            {
                Tensor x = g.Input("x", TensorType.Float([40, 30])), z = g.Input("z", TensorType.Float([200]));
                Tensor y = x.Exp(), old = g.Read(means), loss = z.Square().Sum(), first = g.Read(guard);
                g.Output("y", needed ? y * old.Expand(-1) : y);
                g.Assign(means, old * 0.9 + y.Square().Sum(-1) * 0.1);
                g.Output("loss", loss);
                g.Assign(guard, Tensor.Select((first < 0) & loss.NotEqualTo(loss), first + 1, first));
            });
            Assert.Equal(2, Kernels(program.Compiled).Length);
            return Copies(program);
        }
        Assert.Equal(0, With(false));
        Assert.Equal(1, With(true)); // y needs a row's old mean in several places
    }

    [Fact]
    public void Parts_that_can_be_read_where_they_lie_are_no_kernel()
    {
        using var device = new GreedyDevice { PlansConcurrently = true };
        using var state = new State(device);
        using var program = Program.Trace(state, g =>
        {
            Tensor x = g.Input("x", TensorType.Float([4, 16])), w = g.Input("w", TensorType.Float([16, 16]));
            var both = w.MatMul(w);
            g.Output("first", x.MatMul(both.Slice(0, 0, 4), transposeOther: true));
            g.Output("second", x.MatMul(both.Slice(0, 4, 4), transposeOther: true));
            g.Output("sum", both.Slice(0, 8, 4).Exp() + x);
        });
        Assert.DoesNotContain(program.Compiled.Nodes, n => n.Op is Fused fused && fused.Steps.Any(s => s.Op is Slice));
        Assert.Equal(3, -Copies(program)); // what is no kernel
    }

    [Fact]
    public void A_part_is_read_of_memory_alone_and_loops_are_joined_inside()
    {
        var compiled = Check(g =>
        {
            var x = g.Input("x", TensorType.Float([6, 8]));
            var doubled = x * 2;
            g.Output("part", doubled.Slice(-1, 2, 3).Exp() + 1);
            g.Output("whole", doubled);
            var (_, stacked) = g.Repeat(3, [x], (_, c) =>
            {
                var half = c[0] * 0.5;
                return ([half], [half.Exp().Sum(-1)]);
            });
            g.Output("stacked", stacked[0]);
        }, ("x", [6, 8]));
        Assert.DoesNotContain(compiled.Nodes, n => n.Op is Fused fused && fused.Steps.Any(s => s.Op is Slice && s.Arguments[0] >= fused.InputCount));
        Assert.Contains(compiled.Nodes.Single(n => n.Op is Repeat).Body!.Nodes, n => n.Op is Fused { Results.Count: 2 });
    }

    [Fact]
    public void Expressions_stay_within_what_a_kernel_takes()
    {
        var compiled = Check(g =>
        {
            var x = g.Input("x", TensorType.Float([30]));
            for (int i = 0; i < 200; i++)
            {
                x = x * 0.99 + 0.01;
                if (i % 7 == 0) g.Output($"{i}", x);
            }
        }, ("x", [30]));
        Assert.All(Kernels(compiled), n => Assert.InRange(((Fused)n.Op).Steps.Count, 2, 64));
        Assert.InRange(Kernels(compiled).Length, 7, 12);
    }
}
