using System.Runtime.InteropServices;
using Engine.Autodiff;
using Engine.Autodiff.Tests;
using Engine.Kernels.Cpu;
using Xunit.Abstractions;

namespace Engine.Kernels.Cuda.Tests;

/// <summary>Programs on the device: graphs and plain launches, loops, rows, memory that moves.</summary>
public sealed class ExecutableTests(ITestOutputHelper output)
{
    /// <summary>Outputs and variables of a random graph after each of three runs.</summary>
    private static byte[] RunRandom(ulong seed, bool graphs, bool concurrency = true, CompileOptions? options = null, Action<Program, CudaDevice>? look = null)
    {
        using var device = new CudaDevice { UseGraphs = graphs, UseConcurrency = concurrency };
        using var state = RandomGraph.NewState(device);
        var graph = new Graph();
        RandomGraph.Trace(state, graph, seed);
        using var program = new Program(graph, state, options);
        program.Write("x", Sample.Normals(RandomGraph.Size * RandomGraph.Size, "x"));
        look?.Invoke(program, device);
        var bytes = new List<byte>();
        for (int run = 0; run < 3; run++)
        {
            program.Run();
            foreach (string output in graph.Outputs.Keys) bytes.AddRange(MemoryMarshal.AsBytes<float>(program.Read(output)).ToArray());
            foreach (var variable in state.Variables) bytes.AddRange(state.ReadBytes(variable.Name));
        }
        return bytes.ToArray();
    }

    /// <summary>
    /// Random graphs have loops, draws, products, reductions and optimisers: launches one by one, graphs in the plan's order, and graphs whose kernels wait only for what they need, in several orders,
    /// give the same bits. A dependency that is missing shows in one of the orders.
    /// </summary>
    [CudaFact]
    public void Graphs_plain_launches_and_orders_give_the_same_bits()
    {
        for (ulong seed = 0; seed < 40; seed++)
        {
            Cuda.Order(0);
            var expected = RunRandom(seed, graphs: false);
            Assert.True(expected.AsSpan().SequenceEqual(RunRandom(seed, graphs: true, concurrency: false)), $"seed {seed}: graph");
            foreach (ulong order in new ulong[] { 0, 1, 2, 3, 4 })
            {
                Cuda.Order(order);
                Assert.True(expected.AsSpan().SequenceEqual(RunRandom(seed, graphs: true)), $"seed {seed}: concurrent graph in order {order}");
            }
        }
        Cuda.Order(0);
    }

    /// <summary>Kernels of regions in every way, in loops, of parts and over variables: the bytes are those of the kernels they are made of, and there are never more.</summary>
    [CudaFact]
    public void Regions_change_no_bit()
    {
        var ways = new Dictionary<string, int>();
        int regions = 0, inLoops = 0, parts = 0, results = 0;
        for (ulong seed = 1000; seed < 1060; seed++)
        {
            int without = 0;
            Cuda.Order(0);
            var expected = RunRandom(seed, graphs: true, options: new CompileOptions().Without("RegionFusion"), look: (program, _) => without = program.KernelCount);
            foreach (ulong order in new ulong[] { 0, 1, 2 })
            {
                Cuda.Order(order);
                Assert.True(expected.AsSpan().SequenceEqual(RunRandom(seed, graphs: true, look: order == 0 ? Count : null)), $"seed {seed}: regions change the result in order {order}");
            }

            void Count(Program program, CudaDevice device)
            {
                Assert.True(program.KernelCount <= without, $"seed {seed}: {program.KernelCount} kernels instead of {without}");
                foreach (var node in Nodes(program.Compiled))
                {
                    if (node.Op is not Fused fused || fused.IsElementwiseOnly(node.InputTypes) || fused.IsReduction(node.InputTypes)) continue;
                    regions++;
                    if (node.Graph.Parent is not null) inLoops++;
                    if (fused.Steps.Any(s => s.Op is Slice)) parts++;
                    if (fused.Results.Count > 1) results++;
                    string way = CudaDevice.Kernel(fused, node.InputTypes, node.OutputTypes, device.Limits).Variant;
                    ways[way] = ways.GetValueOrDefault(way) + 1;
                }
            }
        }
        Cuda.Order(0);
        output.WriteLine($"{regions} regions, {inLoops} in loops, {parts} with parts, {results} with several results; {string.Join("; ", ways.Select(w => $"{w.Value} {w.Key}"))}");
        Assert.True(regions > 700 && inLoops > 50 && parts > 100 && results > 400);
        foreach (string way in new[] { "ptx", "ptx, a thread a row", "ptx, a warp a row" }) Assert.True(ways.GetValueOrDefault(way) > 150, way);

        static IEnumerable<Node> Nodes(Graph graph) => graph.Nodes.SelectMany(n => n.Body is { } body ? Nodes(body) : [n]);
    }

    [Fact]
    public void Steps_wait_for_what_they_read_and_for_readers_of_what_they_write()
    {
        MemoryRange a = new(0, 0, 64), b = new(0, 64, 128), half = new(0, 32, 96), other = new(1, 0, 64);
        (MemoryRange[], MemoryRange[]) Step(MemoryRange[] reads, params MemoryRange[] writes) => (reads, writes);
        var before = Dependencies.Of([Step([], a), Step([], b), Step([a], other), Step([half], new MemoryRange(2, 0, 4)), Step([other], a), Step([], new MemoryRange(3, 0, 4)), Step([], other)]);
        Assert.Equal([[], [], [0], [0, 1], [2, 3], [], [4]], before); // the last needs no edge to 2, which 4 waits for
        Assert.Equal(4, Dependencies.Depth(before));
    }

    [CudaFact]
    public void Random_graphs_compute_what_the_interpreter_computes()
    {
        int compared = 0;
        const int graphs = 40;
        for (ulong seed = 0; seed < graphs; seed++)
        {
            using var device = new CudaDevice();
            using var state = RandomGraph.NewState(device);
            var graph = new Graph();
            RandomGraph.Trace(state, graph, seed);
            List<double[]> exact = RandomGraph.Interpret<double>(graph, state), naive = RandomGraph.Interpret<float>(graph, state);
            if (!RandomGraph.Close(naive, exact)) continue; // comparisons of almost equal numbers decide
            compared++;
            using var program = new Program(graph, state);
            program.Write("x", Sample.Normals(RandomGraph.Size * RandomGraph.Size, "x"));
            program.Run();
            var actual = graph.Outputs.Keys.Select(program.Read).Concat(RandomGraph.Floats(graph).Select(state.Read)).Select(v => Array.ConvertAll(v, x => (double)x)).ToList();
            Assert.True(RandomGraph.Close(actual, exact), $"seed {seed}: the program does not compute what the interpreter computes");
        }
        Assert.True(compared > graphs / 2, $"only {compared} graphs could be compared");
    }

    [CudaTheory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_counted_loop_runs_as_often_as_it_is_told(bool graphs)
    {
        using var device = new CudaDevice { UseGraphs = graphs };
        using var state = new State(device);
        using var program = Program.Trace(state, g =>
        {
            var count = g.Input("count", TensorType.Int(Shape.Scalar));
            var start = g.Constant(TensorType.Float([2]), 1) * 1.5;
            var (carried, stacked) = g.Repeat(count, 6, [start], (_, c) => ([c[0] * 2], [c[0]]));
            g.Output("last", carried[0] + 1);
            g.Output("all", stacked[0]);
        });
        foreach (int n in new[] { 0, 3, 6, 2 })
        {
            program.Write("count", [n]);
            program.Run();
            Assert.Equal(1.5f * MathF.Pow(2, n) + 1, program.Read("last")[0]);
            for (int i = 0; i < 6; i++) Assert.Equal(i < n ? 1.5f * MathF.Pow(2, i) : 0, program.Read("all")[2 * i]);
        }
        foreach (int wrong in new[] { 7, -1 })
        {
            program.Write("count", [wrong]);
            Assert.Contains($"count {wrong}", Assert.Throws<ArgumentOutOfRangeException>(() => program.Run()).Message, StringComparison.Ordinal);
        }
        program.Write("count", [1]);
        program.Run();
        Assert.Equal(4f, program.Read("last")[0]);
    }

    /// <summary>Loops in loops, by step numbers, of fixed and of counted steps in each other.</summary>
    [CudaTheory]
    [InlineData(true)]
    [InlineData(false)]
    public void Loops_nest(bool graphs)
    {
        void Trace(Graph g)
        {
            var x = g.Input("x", TensorType.Float([5]));
            var count = g.Input("count", TensorType.Int(Shape.Scalar));
            Tensor[] Inner(Graph body, Tensor[] c) => body.Repeat(2, [c[0]], (inner, d) => ([(d[0] * 0.5 + inner.Step.Cast(DType.F32)).Tanh()], [])).Carried;
            var (both, stacked) = g.Repeat(3, [x], (body, c) => ([Inner(body, c)[0] + body.Step.Cast(DType.F32) * 0.25], [c[0]]));
            var (outer, _) = g.Repeat(3, [both[0]], (body, c) => (body.Repeat(count, 4, [c[0]], (inner, d) => ([d[0] + inner.Step.Cast(DType.F32) * 0.125], [])).Carried, []));
            var (last, _) = g.Repeat(count, 4, [outer[0]], (body, c) => (Inner(body, c), []));
            g.Output("y", last[0] * 2);
            g.Output("stacked", stacked[0]);
        }
        foreach (int count in new[] { 0, 1, 3 })
        {
            var results = new List<float[]>();
            foreach (Device device in new Device[] { new CpuDevice(), new CudaDevice { UseGraphs = graphs } })
            {
                using (device)
                using (var state = new State(device))
                using (var program = Program.Trace(state, Trace))
                {
                    program.Write("x", [0.1f, 0.2f, -0.5f, 2f, 0f]);
                    program.Write("count", [count]);
                    program.Run(2);
                    results.Add([.. program.Read("y"), .. program.Read("stacked")]);
                }
            }
            Assert.Equal(results[0], results[1]);
        }
    }

    [CudaFact]
    public void Programs_of_several_numbers_of_rows_take_turns_and_allocate_nothing()
    {
        using var device = new CudaDevice();
        using var state = new State(device);
        var w = state.Add("w", [3, 5], Sample.Normals(15, "w"));
        var b = state.Add("b", [5], Sample.Normals(5, "b"));
        float[] full = Sample.Normals(48, "x"), y = new float[80];
        int[] numbers = [16, 1, 7, 3];
        var programs = Array.ConvertAll(numbers, rows => Program.Trace(state, g =>
            g.Output("y", (g.Input("x", TensorType.Float([rows, 3])).Linear(g.Read(w), g.Read(b), Activation.Relu).Tanh() + 1).Softmax())));
        long before = 0;
        for (int round = 0; round < 3; round++)
        {
            before = GC.GetAllocatedBytesForCurrentThread(); // in the first rounds graphs are captured and the code itself is compiled
            for (int i = 0; i < numbers.Length; i++)
            {
                programs[i].Write("x", full.AsSpan(0, numbers[i] * 3));
                programs[i].Run();
                programs[i].Read("y", y.AsSpan(0, numbers[i] * 5));
            }
        }
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        var expected = programs[0].Read("y");
        for (int i = 0; i < numbers.Length; i++)
        {
            Assert.Equal(expected[..(numbers[i] * 5)], programs[i].Read("y"));
            programs[i].Dispose();
        }
    }

    /// <summary>A second program with a larger arena moves it; the first one's graph is captured again.</summary>
    [CudaFact]
    public void Programs_that_share_a_state_follow_its_memory()
    {
        using var device = new CudaDevice();
        using var state = new State(device);
        var fast = state.Add("fast", [200], Sample.Normals(200, "fast"));
        var slow = state.Add("slow", [200], Sample.Normals(200, "slow"));
        using var always = Program.Trace(state, g => g.Assign(fast, g.Read(fast) * 0.9 + (g.Read(slow) * 0.1).Sum()));
        always.Run();
        float[] x = state.Read("fast"), y = state.Read("slow");
        using var seldom = Program.Trace(state, g => g.Assign(slow, ((g.Read(fast).Expand(0) * g.Read(slow).Expand(1)).Sum(0) * 0.01).Tanh() + g.Read(slow) * 0.5));
        for (int step = 0; step < 4; step++)
        {
            always.Run();
            double change = y.Sum(v => v * 0.1);
            for (int i = 0; i < 200; i++) x[i] = (float)(x[i] * 0.9 + change);
            if (step % 2 == 1)
            {
                seldom.Run();
                double total = y.Sum(v => (double)v);
                for (int i = 0; i < 200; i++) y[i] = (float)Math.Tanh(x[i] * total * 0.01) + y[i] * 0.5f;
            }
            for (int i = 0; i < 200; i++)
            {
                Assert.Equal(x[i], state.Read("fast")[i], 1e-3);
                Assert.Equal(y[i], state.Read("slow")[i], 1e-3);
            }
        }
    }

    [CudaFact]
    public void A_program_that_does_not_fit_leaves_the_others_usable()
    {
        using var device = new CudaDevice();
        using var state = new State(device);
        const int width = 20_000;
        int rows = checked((int)(CudaDevice.All()[0].MemoryBytes / sizeof(float) / width + 1));
        var wide = state.Add("wide", [width], Sample.Normals(width, "wide"));
        var high = state.Add("high", [rows], new float[rows]);
        using var small = Program.Trace(state, g => g.Output("y", (g.Read(wide).Expand(0) * 2).Softmax().Sum(0)));
        Assert.True(small.ArenaBytes > 0);
        small.Run();
        var expected = small.Read("y");
        var e = Assert.Throws<DeviceException>(() => Program.Trace(state, g => g.Output("y", (g.Read(wide).Expand(0) * g.Read(high).Expand(1)).Sum(0))));
        Assert.Contains("out of memory", e.Message, StringComparison.Ordinal);
        small.Run();
        Assert.Equal(expected, small.Read("y"));
    }

    [CudaFact]
    public void A_run_allocates_nothing_and_explaining_it_names_every_kernel()
    {
        using var device = new CudaDevice();
        using var state = new State(device);
        var w = state.Add("w", [40, 40], Sample.Normals(1600, "w", 0.1));
        using var program = Program.Trace(state, g =>
        {
            var (c, _) = g.Repeat(3, [g.Read(w)], (_, c) => ([(c[0].MatMul(c[0]) + c[0]).Tanh()], []));
            g.Assign(w, c[0]);
            g.Output("sum", c[0].Sum());
        });
        program.Run(3);
        _ = program.ReadScalar("sum");
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++)
        {
            program.Run();
            if (i % 10 == 0) _ = program.ReadScalar("sum");
        }
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        string text = program.Explain();
        Assert.Contains("matmul", text, StringComparison.Ordinal);
        Assert.Contains("tanh", text, StringComparison.Ordinal);
    }

    [CudaFact]
    public void A_plan_with_nothing_to_do_runs()
    {
        using var device = new CudaDevice();
        using (var nothing = device.Load(new Plan([], 0))) nothing.Run([]);
        var empty = TensorType.Float([0]);
        Assert.Empty(OpCheck.Run(device, new Unary(UnaryKind.Tanh), [empty], [[]])[0]);
    }
}
