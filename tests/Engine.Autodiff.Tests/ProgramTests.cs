using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Autodiff.Tests;

public class ProgramTests
{
    private static float[] Values(int n, int seed)
    {
        var stream = new PhiloxStream((ulong)seed, "test");
        return Enumerable.Range(0, n).Select(_ => (float)stream.NextNormal()).ToArray();
    }

    /// <summary>A two-layer network trained by Adam, with its target copy: one update.</summary>
    private static void Trace(State state, Graph g)
    {
        Tensor x = g.Input("x", TensorType.Float([8, 3])), y = g.Input("y", TensorType.Float([8, 2]));
        var names = new[] { "w0", "b0", "w1", "b1" };
        var read = names.Select(n => g.Read(state[n])).ToArray();
        var h = x.Linear(read[0], read[1], Activation.Relu);
        var loss = (h.Linear(read[2], read[3]) - y).Square().Mean();
        g.Output("loss", loss);
        var gradients = Gradients.Of(loss, read);
        Tensor stepSize = g.Constant(0.01), correction = g.Constant(1.5), decay = g.Constant(1);
        for (int i = 0; i < names.Length; i++)
        {
            var step = g.Add(new Adam(0.9, 0.999, 1e-8), read[i], g.Read(state[names[i] + ".m"]), g.Read(state[names[i] + ".v"]), gradients[i], stepSize, correction, decay);
            g.Assign(state[names[i]], step[0]);
            g.Assign(state[names[i] + ".m"], step[1]);
            g.Assign(state[names[i] + ".v"], step[2]);
        }
        g.Assign(state["target"], Graph.Apply(new Polyak(0.1), g.Read(state["target"]), g.Read(state["w0"])));
    }

    private static State NewState(Device device)
    {
        var state = new State(device);
        foreach (var (name, shape) in new (string, Shape)[] { ("w0", [3, 16]), ("b0", [16]), ("w1", [16, 2]), ("b1", [2]) })
        {
            state.Add(name, shape, Values((int)shape.Elements, name.GetHashCode(StringComparison.Ordinal) & 0 | name[0] + name[1]));
            state.AddZeros(name + ".m", TensorType.Float(shape));
            state.AddZeros(name + ".v", TensorType.Float(shape));
        }
        state.Add("target", [3, 16], new float[48]);
        return state;
    }

    [Fact]
    public void A_frozen_graph_assigns_nothing_and_reads_what_was()
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        var w = state.Add("w", [2], new[] { 3f, 4f });
        var graph = new Graph { Frozen = true };
        graph.Assign(w, graph.Read(w) * 2);
        graph.Output("now", graph.Read(w).Sum());
        using var program = new Program(graph, state);
        program.Run(5);
        Assert.Equal(7, program.ReadScalar("now"));
        Assert.Equal([3, 4], state.Read("w"));
        Assert.Throws<ShapeException>(() => graph.Assign(w, graph.Constant(1)));
    }

    [Fact]
    public void A_training_step_agrees_with_the_interpreter_and_with_every_pass_off()
    {
        using var device = new CpuDevice();
        var results = new List<Dictionary<string, float[]>>();
        foreach (var options in new[] { new CompileOptions(), CompileOptions.None })
        {
            using var state = NewState(device);
            using var program = Program.Trace(state, g => Trace(state, g), options);
            program.Write("x", Values(24, 1));
            program.Write("y", Values(16, 2));
            program.Run(5);
            results.Add(state.Variables.ToDictionary(v => v.Name, v => state.Read(v.Name)));
        }
        foreach (string name in results[0].Keys) Assert.Equal(results[0][name], results[1][name]);

        using var start = NewState(device);
        var graph = new Graph();
        Trace(start, graph);
        var oracle = new Interpreter<double>(graph);
        oracle.Load(start);
        Array.ConvertAll(Values(24, 1), v => (double)v).CopyTo(oracle.Input("x").Floats, 0);
        Array.ConvertAll(Values(16, 2), v => (double)v).CopyTo(oracle.Input("y").Floats, 0);
        for (int i = 0; i < 5; i++) oracle.Run();
        foreach (string name in results[0].Keys)
        {
            var expected = oracle.Variable(name, start[name].Type).Floats;
            for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], results[0][name][i], 1e-4);
        }
    }

    [Fact]
    public void A_loop_carries_values_and_stacks_outputs()
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        void Build(Graph g)
        {
            var x = g.Input("x", TensorType.Float([3]));
            var (carried, stacked) = g.Repeat(5, [x, x * 0], (body, c) => ([c[1] + x, c[0] * 0.5 + body.Step.Cast(DType.F32)], [c[0]]));
            g.Output("a", carried[0]);
            g.Output("b", carried[1]);
            g.Output("s", stacked[0]);
        }
        foreach (var options in new[] { new CompileOptions(), CompileOptions.None })
        {
            using var program = Program.Trace(state, Build, options);
            program.Write("x", new float[] { 1, 2, 3 });
            program.Run();
            double a = 2, b = 0;
            for (int i = 0; i < 5; i++)
            {
                Assert.Equal((float)a, program.Read("s")[i * 3 + 1]);
                (a, b) = (b + 2, a * 0.5 + i);
            }
            Assert.Equal((float)a, program.Read("a")[1]);
            Assert.Equal((float)b, program.Read("b")[1]);
        }
    }
}
