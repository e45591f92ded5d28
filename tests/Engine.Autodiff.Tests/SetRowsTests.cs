using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Autodiff.Tests;

/// <summary>Rows put into a table: the newest version has them, older ones do not, and a variable is written in place where its old content is not needed any more.</summary>
public class SetRowsTests
{
    private static readonly string[] Names = ["a", "b", "c", "d", "e"];

    private static State NewState(Device device)
    {
        var state = new State(device);
        foreach (string name in Names) state.Add(name, [6, 16], Sample.Normals(96, name));
        state.Add("i", [3], [4, 1, 4]);
        state.Add("j", [], [1]);
        return state;
    }

    /// <summary>Old and new versions read before and after, two updates of one variable, variables that become updates of each other, of a computed value and in a loop.</summary>
    private static void Trace(State state, Graph g)
    {
        Tensor Read(string name) => g.Read(state[name]);
        var (a, b, c, i, j) = (Read("a"), Read("b"), Read("c"), Read("i"), Read("j"));
        g.Output("before", a.Gather(i) * 2);
        var rows = c.Slice(0, 0, 3);
        var once = a.SetRows(i, rows + 1);
        var twice = once.SetRows(j, b.Gather(j));
        g.Assign(state["a"], twice);
        g.Output("after", twice.Gather(i));
        g.Output("late", a.Gather(j)); // the old version, read after the update was traced
        g.Output("between", once.Gather(j));
        g.Output("both", once.Gather(i) - twice.Gather(i) * a.Gather(i));
        // Each other's rows, and a copy of another variable with one row replaced.
        g.Assign(state["b"], b.SetRows(i, a.Gather(i)));
        g.Assign(state["c"], b.SetRows(j, c.Gather(j)));
        // Rows of the table itself, and of a value that is no variable.
        g.Assign(state["d"], (Read("d") * 0.5).SetRows(j, Read("d").Slice(0, 2, 1).Reshape(16)));
        var (carried, stacked) = g.Repeat(3, [Read("e")], (body, x) => ([x[0].SetRows(body.Step, x[0].Gather(i).Sum(0)).SetRows(j, a.Gather(j))], [x[0].Gather(body.Step)]));
        g.Assign(state["e"], carried[0]);
        g.Output("stacked", stacked[0]);
    }

    [Fact]
    public void Every_version_holds_what_it_should_with_any_pass_on_or_off()
    {
        foreach (bool concurrent in new[] { false, true })
            foreach (var options in Sample.EachPassOff().Concat(Sample.EachPassAlone()))
            {
                using var device = new GreedyDevice(2) { PlansConcurrently = concurrent };
                using var state = NewState(device);
                var graph = new Graph();
                Trace(state, graph);
                var oracle = new Interpreter<float>(graph);
                oracle.Load(state);
                using var program = new Program(graph, state, options);
                for (int run = 0; run < 3; run++)
                {
                    program.Run();
                    oracle.Run();
                    foreach (string output in graph.Outputs.Keys) Assert.Equal(oracle.Output(output).Floats, program.Read(output));
                    foreach (string name in Names) Assert.Equal(oracle.Variable(name, state[name].Type).Floats, state.Read(name));
                }
            }
    }

    private static IEnumerable<string> Ops(Program program) => program.Cost.Kernels.Select(k => k.Op.Name);

    [Fact]
    public void Variables_are_written_in_place()
    {
        foreach (bool concurrent in new[] { false, true })
        {
            using var device = new GreedyDevice { PlansConcurrently = concurrent };
            using var state = new State(device);
            const int rows = 20_000;
            foreach (string name in new[] { "observations", "actions" }) state.AddZeros(name, TensorType.Float([rows, 11]), VariableKind.Data);
            state.AddZeros("at", TensorType.Int([]));
            using var program = Program.Trace(state, g =>
            {
                var (o, a, at) = (g.Read(state["observations"]), g.Read(state["actions"]), g.Read(state["at"]));
                var x = g.Input("x", TensorType.Float([11]));
                var newest = o.SetRows(at, x);
                g.Assign(state["observations"], newest);
                g.Assign(state["actions"], a.SetRows(at, x * 2).SetRows((at + 1).Modulo(g.Constant(at.Type, rows)), x * 3));
                g.Output("other", o.Gather((at + 7).Modulo(g.Constant(at.Type, rows)))); // an old row, asked for late
                g.Output("new", newest.Gather(at));
                g.Output("difference", newest.Gather(at) - o.Gather(at)); // the old version of that row, after the new one was read
                g.Assign(state["at"], (at + 1).Modulo(g.Constant(at.Type, rows)));
            });
            Assert.All(program.Cost.Kernels.Where(k => k.Op is Copy), k => Assert.True(k.Traffic.Bytes <= 8)); // the counter may move
            Assert.Equal(3, Ops(program).Count(o => o == "set_rows"));
            Assert.True(program.ArenaBytes < 4096, $"{program.ArenaBytes} bytes");
            Assert.True(program.Cost.Kernels.Where(k => k.Op is SetRows).Sum(k => k.Traffic.Bytes) < 1000);
            for (int step = 0; step < 3; step++)
            {
                float[] row = Sample.Normals(11, $"{step}");
                program.Write("x", row);
                program.Run();
                Assert.Equal(row, program.Read("new"));
                Assert.Equal(row, program.Read("difference"));
                Assert.All(program.Read("other"), v => Assert.Equal(0, v));
                Assert.Equal(row, state.Read("observations").AsSpan(step * 11, 11).ToArray());
                Assert.Equal(row.Select(v => v * 2), state.Read("actions").AsSpan(step * 11, 11).ToArray());
                Assert.Equal(row.Select(v => v * 3), state.Read("actions").AsSpan((step + 1) * 11, 11).ToArray());
            }
        }
    }

    [Fact]
    public void An_old_version_that_is_still_needed_costs_a_copy()
    {
        using var device = new CpuDevice();
        using var state = NewState(device);
        using var program = Program.Trace(state, g =>
        {
            var a = g.Read(state["a"]);
            var updated = a.SetRows(g.Read(state["j"]), g.Read(state["b"]).Slice(0, 0, 1).Reshape(16));
            g.Output("difference", updated - a);
            g.Assign(state["a"], updated);
        });
        Assert.Contains("copy", Ops(program));
        program.Run();
        Assert.Equal(Sample.Normals(96, "b")[..16], state.Read("a").AsSpan(16, 16).ToArray());
    }

    [Fact]
    public void Large_rows_are_cut_into_parts()
    {
        foreach (int threads in new[] { 1, 3 })
        {
            using var device = new CpuDevice(threads);
            using var state = new State(device);
            state.AddZeros("table", TensorType.Float([3, 50_001]));
            using var program = Program.Trace(state, g => g.Assign(state["table"], g.Read(state["table"]).SetRows(g.Constant(TensorType.Int([5]), 2, 0, 2, 0, 2), g.Input("x", TensorType.Float([5, 50_001])))));
            float[] x = Sample.Normals(5 * 50_001, "x");
            program.Write("x", x);
            program.Run();
            Assert.Equal([.. x[(3 * 50_001)..(4 * 50_001)], .. new float[50_001], .. x[(4 * 50_001)..]], state.Read("table"));
        }
    }

    [Fact]
    public void A_row_outside_is_an_error_and_changes_nothing()
    {
        using var device = new CpuDevice();
        using var state = NewState(device);
        using var program = Program.Trace(state, g => g.Assign(state["a"], g.Read(state["a"]).SetRows(g.Input("at", TensorType.Int([2])), g.Read(state["b"]).Slice(0, 0, 2))));
        foreach (int wrong in new[] { 6, -1, int.MaxValue })
        {
            program.Write("at", [0, wrong]);
            Assert.Contains("0..5", Assert.ThrowsAny<Exception>(program.Run).ToString(), StringComparison.Ordinal);
            Assert.Equal(Sample.Normals(96, "a"), state.Read("a"));
        }
    }

    [Fact]
    public void Shapes_and_types_must_fit()
    {
        var g = new Graph();
        Tensor table = g.Input("table", TensorType.Float([6, 4])), at = g.Input("at", TensorType.Int([3]));
        Assert.Contains("[3,4]", Assert.Throws<ShapeException>(() => table.SetRows(at, g.Input("x", TensorType.Float([4])))).Message, StringComparison.Ordinal);
        Assert.Throws<ShapeException>(() => table.SetRows(at, g.Input("y", TensorType.Int([3, 4]))));
        Assert.Throws<ShapeException>(() => table.SetRows(g.Input("z", TensorType.Float([3])), g.Input("w", TensorType.Float([3, 4]))));
        Assert.Throws<ShapeException>(() => g.Input("s", TensorType.Float([])).SetRows(at, g.Input("v", TensorType.Float([3]))));
    }
}
