using Engine.Kernels.Cpu;

namespace Engine.Autodiff.Tests;

/// <summary>A slice that is one aligned run of its source has no memory of its own: it must still hold what its source held.</summary>
public class SliceInPlaceTests
{
    /// <summary>Slices of an old and a new version of a variable, of computed values, as outputs, as new values of variables, of each other, and in a loop.</summary>
    private static void Trace(State state, Graph g)
    {
        var (a, b, c) = (g.Read(state["a"]), g.Read(state["b"]), g.Read(state["c"]));
        var old = a.Slice(0, 1, 2);
        g.Assign(state["a"], a * 2 - Tensor.Concat(0, c, c)); // a's old rows are read below, after this
        var made = (a + 1) * a;
        var part = made.Slice(0, 2, 2);
        g.Output("old", old);
        g.Output("part", part);
        g.Output("part of part", part.Slice(0, 1, 1).Reshape(16));
        g.Output("twice", part * old + g.Read(state["a"]).Slice(0, 2, 2));
        // Each becomes a part of the other's old content.
        g.Assign(state["b"], Tensor.Concat(0, c, c.Slice(0, 1, 1)));
        g.Assign(state["c"], b.Slice(0, 1, 2));
        g.Assign(state["d"], made.Slice(0, 1, 2));
        var (carried, stacked) = g.Repeat(3, [made], (body, x) => ([x[0] * 0.5 + Tensor.Concat(0, x[0].Slice(0, 2, 2), x[0].Slice(0, 0, 2))], [x[0].Slice(0, 3, 1)]));
        g.Output("carried", carried[0].Slice(0, 1, 1));
        g.Output("stacked", stacked[0]);
    }

    private static State NewState(CpuDevice device)
    {
        var state = new State(device);
        foreach (var (name, rows) in new[] { ("a", 4), ("b", 3), ("c", 2), ("d", 2) }) state.Add(name, [rows, 16], Sample.Normals(rows * 16, name));
        return state;
    }

    [Fact]
    public void Slices_hold_what_their_source_held()
    {
        foreach (var options in Sample.EachPassOff().Concat(Sample.EachPassAlone()))
        {
            using var device = new CpuDevice();
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
                foreach (string name in new[] { "a", "b", "c", "d" }) Assert.Equal(oracle.Variable(name, state[name].Type).Floats, state.Read(name));
            }
        }
    }

    [Fact]
    public void Only_aligned_runs_are_read_in_place()
    {
        static int Kernels(int axis, int start, int size, bool inPlace)
        {
            using var device = new CpuDevice();
            using var state = NewState(device);
            using var program = Program.Trace(state, g => g.Output("y", g.Read(state["a"]).Slice(axis, start, size).Exp()), inPlace ? new CompileOptions() : new CompileOptions().Without("InPlace"));
            return program.KernelCount;
        }
        Assert.Equal(1, Kernels(0, 1, 2, true));
        Assert.Equal(2, Kernels(0, 1, 2, false));
        Assert.Equal(2, Kernels(1, 0, 8, true)); // not one run
        Assert.Equal(1, Kernels(1, 0, 16, true)); // all of it
    }
}
