using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Engine.Autodiff.Passes;
using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Autodiff.Tests;

/// <summary>What a running program promises: no allocation, no dependence on threads, passes or the number of rows, files.</summary>
public class RuntimeTests
{
    /// <summary>A model with every kind of storage: variables, a loop, draws, constants, several outputs.</summary>
    private static void Trace(State state, Graph g)
    {
        g.Random.Use(state[RandomDraws.StateName]);
        var (w, v) = (g.Read(state["w"]), g.Read(state["v"]));
        var x = g.Random.Normal("x", [300, 40]);
        var h = x.Linear(w, g.Read(state["b"]), Activation.Relu);
        var (carried, stacked) = g.Repeat(3, [h], (body, c) => ([c[0] * 0.9 + g.Random.Normal(body, "noise", [300, 64]) * 0.01], [c[0].Mean()]));
        var loss = (carried[0].MatMul(v) - x.Slice(1, 0, 1)).Square().Mean() + h.Square().Mean();
        g.Output("loss", loss);
        g.Output("trail", stacked[0]);
        var gradient = Gradients.Of(h.Square().Mean(), w)[0];
        g.Assign(state["w"], w - gradient * 0.1);
        g.Assign(state["old"], w);
        g.Assign(state["v"], v * 0.99 + g.Read(state["old"]).Slice(0, 0, 1).Reshape(64, 1) * 0.001);
        g.Random.Advance();
    }

    private static State NewState(Device device)
    {
        var state = new State(device);
        RandomDraws.AddState(state, 11);
        state.Add("w", [40, 64], Sample.Normals(40 * 64, "w", 0.2));
        state.Add("b", [64], Sample.Normals(64, "b", 0.1));
        state.Add("v", [64, 1], Sample.Normals(64, "v", 0.2));
        state.AddZeros("old", TensorType.Float([40, 64]));
        return state;
    }

    private static byte[] Bytes(State state) => state.Variables.SelectMany(v => state.ReadBytes(v.Name)).ToArray();

    [Fact]
    public void A_thousand_runs_allocate_nothing()
    {
        using var device = new CpuDevice(2);
        using var state = NewState(device);
        using var program = Program.Trace(state, g => Trace(state, g));
        program.Run(20);
        _ = program.ReadScalar("loss");
        long before = GC.GetAllocatedBytesForCurrentThread();
        float sum = 0;
        for (int i = 0; i < 1000; i++)
        {
            program.Run();
            if (i % 100 == 0) sum += program.ReadScalar("loss");
        }
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.True(float.IsFinite(sum));
    }

    [Fact]
    public void One_and_two_threads_give_equal_bytes_and_both_threads_work()
    {
        var results = new List<byte[]>();
        foreach (int threads in new[] { 1, 2, 3 })
        {
            using var device = new CpuDevice(threads);
            using var state = NewState(device);
            using var program = Program.Trace(state, g => Trace(state, g));
            program.Run(50);
            results.Add(Bytes(state));
            Assert.All(device.Pool.ChunksByWorker, chunks => Assert.True(chunks > 0, $"of {threads} threads one ran nothing: {string.Join(",", device.Pool.ChunksByWorker)}"));
        }
        Assert.Equal(results[0], results[1]);
        Assert.Equal(results[0], results[2]);
    }

    [Fact]
    public void Every_pass_alone_and_off_gives_equal_bytes()
    {
        byte[]? expected = null;
        foreach (var options in Sample.EachPassOff().Concat(Sample.EachPassAlone()))
        {
            using var device = new CpuDevice();
            using var state = NewState(device);
            using var program = Program.Trace(state, g => Trace(state, g), options);
            program.Run(5);
            var bytes = Bytes(state);
            expected ??= bytes;
            Assert.True(expected.AsSpan().SequenceEqual(bytes), options.ToString());
        }
    }

    [Fact]
    public void Every_pass_has_a_name_a_variable_and_a_line_in_the_design()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Engine.sln"))) folder = folder.Parent!;
        var rows = File.ReadLines(Path.Combine(folder.FullName, "docs/design.md")).Select(line => Regex.Match(line, @"^\| `(\w+)` \|.*\| `(ENGINE_NO_\w+)` \|$")).Where(m => m.Success);
        Assert.Equal(Pass.All.Select(p => (p.Name, p.OffSwitch)), rows.Select(m => (m.Groups[1].Value, m.Groups[2].Value)));
        Assert.All(CompileOptions.Names, pass => Assert.True(new CompileOptions().Runs(pass), pass));
        Assert.All(CompileOptions.Names, pass => Assert.False(CompileOptions.None.Runs(pass), pass));
        Assert.Equal(["InPlace"], CompileOptions.Names.Where(CompileOptions.None.With("InPlace").Runs));
        Assert.Equal("without DeadCode, InPlace", new CompileOptions().Without("InPlace", "DeadCode").ToString());
        Assert.Contains("there are DeadCode,", Assert.Throws<ArgumentException>(() => new CompileOptions().Without("deadcode")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Passes_leave_fewer_kernels_and_less_memory()
    {
        using var device = new CpuDevice();
        using var state = NewState(device);
        using var on = Program.Trace(state, g => Trace(state, g));
        using var off = Program.Trace(state, g => Trace(state, g), CompileOptions.None);
        Assert.True(on.KernelCount < off.KernelCount);
        Assert.True(on.ArenaBytes < off.ArenaBytes / 2);
        Assert.Contains("linear_relu", on.Explain(), StringComparison.Ordinal);
    }

    [Fact]
    public void The_interpreter_agrees_over_several_runs()
    {
        using var device = new CpuDevice();
        using var state = NewState(device);
        var graph = new Graph();
        Trace(state, graph);
        var oracle = new Interpreter<double>(graph);
        oracle.Load(state);
        using var program = new Program(graph, state);
        for (int i = 0; i < 3; i++)
        {
            program.Run();
            oracle.Run();
            Assert.Equal(oracle.Output("loss").Floats[0], program.ReadScalar("loss"), 1e-5);
            Assert.True(Sample.RelativeError(state.Read("w"), oracle.Variable("w", state["w"].Type).Floats) < 1e-6);
            Assert.True(Sample.RelativeError(state.Read("old"), oracle.Variable("old", state["old"].Type).Floats) < 1e-6);
        }
    }

    [Fact]
    public void Reads_see_the_version_of_their_moment()
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        var a = state.Add("a", [2], new float[] { 1, 2 });
        var b = state.Add("b", [2], new float[] { 10, 20 });
        foreach (var options in new[] { new CompileOptions(), CompileOptions.None })
        {
            state.Write("a", new float[] { 1, 2 });
            state.Write("b", new float[] { 10, 20 });
            using var program = Program.Trace(state, g =>
            {
                var old = g.Read(a);
                g.Assign(a, g.Read(b));          // the two change places
                g.Assign(b, old);
                g.Output("sum", g.Read(a) + old); // new a, old a
            }, options);
            program.Run();
            Assert.Equal([10f, 20f], state.Read("a"));
            Assert.Equal([1f, 2f], state.Read("b"));
            Assert.Equal([11f, 22f], program.Read("sum"));
        }
    }

    [Fact]
    public void Phases_are_programs_that_share_a_state_and_take_turns()
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        var fast = state.Add("fast", [200], Sample.Normals(200, "fast"));
        var slow = state.Add("slow", [200], Sample.Normals(200, "slow"));
        // The second needs a larger arena than the first, which must follow it when it moves.
        using var always = Program.Trace(state, g => g.Assign(fast, g.Read(fast) * 0.9 + g.Read(slow) * 0.1));
        using var seldom = Program.Trace(state, g =>
        {
            var big = g.Read(fast).Expand(0) * g.Read(slow).Expand(1);
            g.Assign(slow, (big.Sum(0) * 0.01).Tanh() + g.Read(slow) * 0.5);
        });
        float[] x = state.Read("fast"), y = state.Read("slow");
        for (int step = 0; step < 6; step++)
        {
            always.Run();
            for (int i = 0; i < 200; i++) x[i] = x[i] * 0.9f + y[i] * 0.1f;
            if (step % 2 == 1)
            {
                seldom.Run();
                double total = y.Sum(v => (double)v);
                for (int i = 0; i < 200; i++) y[i] = (float)Math.Tanh(x[i] * total * 0.01) + y[i] * 0.5f;
            }
            for (int i = 0; i < 200; i++)
            {
                Assert.Equal(x[i], state.Read("fast")[i], 1e-4);
                Assert.Equal(y[i], state.Read("slow")[i], 1e-4);
            }
        }
        Assert.True(state.ArenaBytes >= seldom.ArenaBytes && seldom.ArenaBytes > always.ArenaBytes);
    }

    [Fact]
    public void A_program_of_fewer_rows_computes_the_same_rows()
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        var w = state.Add("w", [3, 5], Sample.Normals(15, "w"));
        var b = state.Add("b", [5], Sample.Normals(5, "b"));
        var full = Sample.Normals(48, "x");
        float[] Run(int rows)
        {
            using var program = Program.Trace(state, g => g.Output("y", (g.Input("x", TensorType.Float([rows, 3])).Linear(g.Read(w), g.Read(b), Activation.Relu).Tanh() + 1).Softmax()));
            program.Write("x", full.AsSpan(0, rows * 3));
            program.Run();
            return program.Read("y");
        }
        var expected = Run(16);
        foreach (int rows in new[] { 1, 3, 7 }) Assert.Equal(expected[..(rows * 5)], Run(rows));
    }

    [Fact]
    public void A_graph_file_runs_with_equal_bits_in_another_process()
    {
        using var device = new CpuDevice();
        using var state = NewState(device);
        var graph = new Graph();
        Trace(state, graph);
        byte[] json = GraphFile.Write(graph);
        string folder = Directory.CreateTempSubdirectory("engine-graph").FullName;
        try
        {
            File.WriteAllBytes(Path.Combine(folder, "graph.json"), json);
            foreach (var variable in state.Variables) File.WriteAllBytes(Path.Combine(folder, variable.Name), state.ReadBytes(variable.Name));
            // This assembly started as a program (see GraphFileProcess) knows the file only, not the code that traced it.
            var start = new System.Diagnostics.ProcessStartInfo("dotnet", [typeof(RuntimeTests).Assembly.Location, folder]) { RedirectStandardError = true };
            var (code, _, error) = Engine.Tests.Child.Run(start);
            Assert.True(code == 0, error);
            using var program = new Program(graph, state);
            program.Run(3);
            foreach (var variable in state.Variables) Assert.Equal(state.ReadBytes(variable.Name), File.ReadAllBytes(Path.Combine(folder, variable.Name)));
            Assert.Equal(json, GraphFile.Write(GraphFile.Read(json)));
        }
        finally { Directory.Delete(folder, true); }
    }

    [Fact]
    public void A_damaged_graph_file_is_refused()
    {
        using var device = new CpuDevice();
        using var state = NewState(device);
        var graph = new Graph();
        Trace(state, graph);
        byte[] json = GraphFile.Write(graph);
        var random = new PhiloxStream(1, "damage");
        for (int i = 0; i < 500; i++)
        {
            var damaged = (byte[])json.Clone();
            for (int k = 0; k < 3; k++) damaged[random.NextInt(damaged.Length)] = (byte)random.NextInt(256);
            try { GraphFile.Read(damaged); }
            catch (FormatException) { }
        }
        Assert.Throws<FormatException>(() => GraphFile.Read("{}"u8));
        Assert.Throws<FormatException>(() => GraphFile.Read(json.AsSpan(0, json.Length / 2)));
    }

    [Fact]
    public void Misuse_is_refused_with_a_clear_error()
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        var w = state.Add("w", [3], new float[3]);
        Assert.Throws<ArgumentException>(() => state.Add("w", [3], new float[3]));
        var g = new Graph();
        Assert.Throws<ShapeException>(() => g.Assign(w, g.Constant(TensorType.Float([4]), 0)));
        Assert.Throws<ShapeException>(() => g.Read(w) + g.Constant(TensorType.Float([4]), 0));
        Assert.Throws<ShapeException>(() => g.Read(w) + g.Constant(TensorType.Int([3]), 0));
        Assert.Contains("generator", Assert.Throws<InvalidOperationException>(() => g.Random.Normal("a", [3])).Message, StringComparison.Ordinal);
        g.Random.Feed();
        g.Random.Normal("b", [3]);
        Assert.Contains("same numbers", Assert.Throws<ArgumentException>(() => g.Random.Normal("b", [3])).Message, StringComparison.Ordinal);
        g.Repeat(2, [g.Read(w)], (body, c) =>
        {
            Assert.Throws<InvalidOperationException>(() => body.Assign(w, c[0]));
            return ([c[0]], []);
        });
    }

    [Fact]
    public void The_interpreter_names_the_first_op_that_makes_a_nan()
    {
        var g = new Graph();
        var x = g.Input("x", TensorType.Float([2]));
        using (g.Scope("suspect")) g.Output("y", (x - 1).Log().Sum());
        var interpreter = new Interpreter<float>(g) { FindNonFinite = true };
        interpreter.Input("x").Floats[0] = 2;
        interpreter.Run();
        Assert.Contains("log", interpreter.FirstNonFinite, StringComparison.Ordinal);
        Assert.Contains("suspect", interpreter.FirstNonFinite, StringComparison.Ordinal);
    }

    [Fact]
    public void A_counted_loop_runs_as_often_as_it_is_told()
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        using var program = Program.Trace(state, g =>
        {
            var count = g.Input("count", TensorType.Int(Shape.Scalar));
            var (carried, stacked) = g.Repeat(count, 6, [g.Constant(TensorType.Float([2]), 1)], (_, c) => ([c[0] * 2], [c[0]]));
            g.Output("last", carried[0]);
            g.Output("all", stacked[0]);
        });
        foreach (int n in new[] { 0, 3, 6, 2 })
        {
            program.Write("count", [n]);
            program.Run();
            Assert.Equal(MathF.Pow(2, n), program.Read("last")[0]);
            for (int i = 0; i < 6; i++) Assert.Equal(i < n ? MathF.Pow(2, i) : 0, program.Read("all")[2 * i]);
        }
        program.Write("count", [7]);
        Assert.Throws<ArgumentOutOfRangeException>(() => program.Run());
    }
    [Fact]
    public void A_variable_may_lie_in_memory_that_there_is()
    {
        using var device = new CpuDevice();
        using var memory = device.Allocate(16);
        memory.Write(MemoryMarshal.AsBytes<float>([1, 2, 3, 4]));
        using var state = new State(device);
        var x = state.Add("x", TensorType.Float([2, 2]), memory);
        using var program = state.Compile(g => g.Assign(x, g.Read(x) * 2 + 1));
        program.Run();
        float[] read = new float[4];
        memory.Read(MemoryMarshal.AsBytes(read.AsSpan()));
        Assert.Equal([3, 5, 7, 9], read);
        Assert.Equal(read, state.Read("x"));
        Assert.Contains("its memory has 16", Assert.Throws<ShapeException>(() => state.Add("y", TensorType.Float([5]), memory)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => state.Add("x", TensorType.Float([2, 2]), memory));
    }
}
