using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Autodiff.Tests;

/// <summary>The steps of an optimiser and of the slow copies are one kernel, exact and in place, unless something stands between them.</summary>
public class OptimiserFusionTests
{
    private static readonly (string Name, Shape Shape)[] Parameters = [("w0", [9, 40]), ("b0", [40]), ("w1", [40, 500]), ("b1", [500]), ("scale", [])];

    private static readonly Adam Step = new(0.9, 0.999, 1e-8);

    private static State NewState(Device device)
    {
        var state = new State(device);
        foreach (var (name, shape) in Parameters)
        {
            state.Add(name, shape, Sample.Normals(shape.Elements, name));
            state.Add(name + ".slow", shape, Sample.Normals(shape.Elements, name + ".slow"));
            state.AddZeros(name + ".m", TensorType.Float(shape));
            state.AddZeros(name + ".v", TensorType.Float(shape));
        }
        return state;
    }

    private static Tensor Minimise(State state, Graph g, string name, Tensor gradient, Tensor[] scalars)
    {
        var step = g.Add(Step, [g.Read(state[name]), g.Read(state[name + ".m"]), g.Read(state[name + ".v"]), gradient, .. scalars]);
        g.Assign(state[name], step[0]);
        g.Assign(state[name + ".m"], step[1]);
        g.Assign(state[name + ".v"], step[2]);
        return step[0];
    }

    private static void Follow(State state, Graph g, string name) => g.Assign(state[name + ".slow"], Graph.Apply(new Polyak(0.05), g.Read(state[name + ".slow"]), g.Read(state[name])));

    /// <summary>Three runs with the pass on and off, on one thread and on two, give equal bytes; returns the compiled program's ops.</summary>
    private static (Op[] Ops, long Arena) Check(Action<State, Graph> trace)
    {
        byte[]? expected = null;
        foreach (var (options, threads) in new[] { (new CompileOptions().Without("OptimiserFusion"), 1), (new CompileOptions(), 1), (new CompileOptions(), 2), (CompileOptions.None, 1), (CompileOptions.None.With("OptimiserFusion"), 1) })
        {
            using var device = new CpuDevice(threads);
            using var state = NewState(device);
            using var program = Program.Trace(state, g => trace(state, g), options);
            program.Run(3);
            var bytes = state.Variables.SelectMany(v => state.ReadBytes(v.Name)).ToArray();
            expected ??= bytes;
            Assert.True(expected.AsSpan().SequenceEqual(bytes), options.ToString());
        }
        using var last = new CpuDevice();
        using var again = NewState(last);
        using var compiled = Program.Trace(again, g => trace(again, g));
        return (compiled.Compiled.Nodes.Select(n => n.Op).ToArray(), compiled.ArenaBytes);
    }

    private static Tensor[] Scalars(Graph g, double stepSize = 0.01, double decay = 0.999) => [g.Constant(stepSize), g.Constant(1.5), g.Constant(decay)];

    [Fact]
    public void All_parameters_and_slow_copies_are_one_kernel_in_place()
    {
        var (ops, arena) = Check((state, g) =>
        {
            var scalars = Scalars(g);
            foreach (var (name, _) in Parameters) Minimise(state, g, name, g.Read(state[name]) * 0.5, scalars);
            foreach (var (name, _) in Parameters) Follow(state, g, name);
        });
        Assert.Equal(5, Assert.Single(ops.OfType<AdamGroup>()).Count);
        Assert.DoesNotContain(ops, op => op is Adam or Polyak or Copy);
        // The gradients, and nothing else.
        Assert.InRange(arena, 4 * (360 + 40 + 20_000 + 500 + 1), 4 * (360 + 40 + 20_000 + 500 + 1) + 5 * 64);
    }

    [Fact]
    public void Parameters_without_a_slow_copy_are_a_group_of_their_own_and_so_are_other_scalars()
    {
        var (ops, _) = Check((state, g) =>
        {
            Tensor[] one = Scalars(g), other = Scalars(g, 0.02, 1);
            foreach (var (name, _) in Parameters[..4]) Minimise(state, g, name, g.Read(state[name]) * 0.5, one);
            Minimise(state, g, "scale", g.Read(state["scale"]), other);
            Follow(state, g, "w1");
            Follow(state, g, "b1");
        });
        Assert.Equal(["adam of 2", "adam of 2 polyak"], ops.OfType<AdamGroup>().Select(o => o.Name).Order());
        Assert.Single(ops, op => op is Adam);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Steps_of_which_one_scalar_differs_are_not_joined(int which)
    {
        var (ops, _) = Check((state, g) =>
        {
            Tensor[] one = Scalars(g), other = [.. one];
            other[which] = g.Constant(0.7);
            Minimise(state, g, "w0", g.Read(state["w0"]) * 0.5, one);
            Minimise(state, g, "b0", g.Read(state["b0"]) * 0.5, other);
        });
        Assert.Equal(2, ops.Count(op => op is Adam));
        Assert.DoesNotContain(ops, op => op is AdamGroup);
    }

    [Fact]
    public void A_step_that_needs_the_result_of_another_is_not_joined_with_it()
    {
        var (ops, _) = Check((state, g) =>
        {
            var scalars = Scalars(g);
            var w = Minimise(state, g, "w0", g.Read(state["w0"]) * 0.5, scalars);
            Minimise(state, g, "b0", w.Sum(0), scalars);
            // The copy's old value is computed from a new parameter.
            var b = Minimise(state, g, "b1", g.Read(state["b1"]), scalars);
            g.Assign(state["b1.slow"], Graph.Apply(new Polyak(0.1), b * 2, b));
        });
        Assert.DoesNotContain(ops, op => op is AdamGroup);
    }

    [Fact]
    public void Optimisers_that_take_turns_and_read_each_other_come_in_an_order_that_serves_both()
    {
        foreach (bool swap in new[] { false, true })
            Check((state, g) =>
            {
                Tensor[] one = Scalars(g), other = Scalars(g, 0.02, 1);
                var w = Minimise(state, g, "w0", g.Read(state["w0"]), swap ? other : one);
                Minimise(state, g, "b1", g.Read(state["b1"]), swap ? one : other);
                Minimise(state, g, "scale", g.Read(state["scale"]) * 2, swap ? other : one);
                var b = Minimise(state, g, "b0", w.Sum(0), swap ? one : other);
                Minimise(state, g, "w1", b.Expand(1) * g.Read(state["w1"]), swap ? other : one);
                Follow(state, g, "b0");
                g.Assign(state["w0.slow"], Graph.Apply(new Polyak(0.05), g.Read(state["b0.slow"]).BroadcastTo([9, 40]), w));
            });
    }

    [Fact]
    public void Parameters_that_are_each_others_gradients_keep_their_old_values()
    {
        var (ops, _) = Check((state, g) =>
        {
            var scalars = Scalars(g);
            Tensor w = g.Read(state["b0"]), slow = g.Read(state["b0.slow"]);
            Minimise(state, g, "b0", slow, scalars);
            var step = g.Add(Step, [slow, w * 0.1, w.Square(), w, .. scalars]);
            g.Assign(state["b0.slow"], step[0]);
        });
        Assert.Equal(2, Assert.Single(ops.OfType<AdamGroup>()).Count);
    }
}
