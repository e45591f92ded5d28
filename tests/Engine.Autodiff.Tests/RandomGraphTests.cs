using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Autodiff.Tests;

/// <summary>Random graphs with variables that read each other, loops, aliases and draws: every combination of passes gives the same bytes as none, and a graph
/// file brings the same graph back. What the memory plan gets wrong shows here.</summary>
public class RandomGraphTests
{
    private static byte[] Run(Graph graph, CompileOptions options, int threads, bool concurrent = false, long compileFrom = long.MaxValue)
    {
        using var device = new GreedyDevice(threads, compileFrom) { PlansConcurrently = concurrent };
        using var state = RandomGraph.NewState(device);
        using var program = new Program(graph, state, options);
        program.Write("x", Sample.Normals(RandomGraph.Size * RandomGraph.Size, "x"));
        var bytes = new List<byte>();
        for (int run = 0; run < 3; run++)
        {
            program.Run();
            foreach (string output in graph.Outputs.Keys) bytes.AddRange(System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(program.Read(output)).ToArray());
        }
        foreach (var variable in state.Variables) bytes.AddRange(state.ReadBytes(variable.Name));
        return bytes.ToArray();
    }

    [Fact]
    [Trait("Speed", "Slow")]
    public void Passes_threads_and_files_do_not_change_a_byte()
    {
        using var device = new CpuDevice();
        using var state = RandomGraph.NewState(device);
        var all = new CompileOptions();
        var made = new HashSet<Type>();
        int regions = 0;
        for (ulong seed = 0; seed < 150; seed++)
        {
            var graph = new Graph();
            RandomGraph.Trace(state, graph, seed);
            var expected = Run(graph, CompileOptions.None, 1);
            using (var greedy = new GreedyDevice { PlansConcurrently = seed % 2 == 0 })
            using (var own = RandomGraph.NewState(greedy))
            using (var program = new Program(graph, own))
            {
                made.UnionWith(program.Compiled.Nodes.SelectMany(n => n.Op is MatMulChain chain ? [n.Op, .. chain.Links] : new[] { n.Op }).Select(op => op.GetType()));
                regions += program.Compiled.Nodes.Count(n => n.Op is Fused fused && !fused.IsElementwiseOnly(n.InputTypes) && !fused.IsReduction(n.InputTypes));
            }
            foreach (var options in Sample.EachPassOff())
                Assert.True(expected.AsSpan().SequenceEqual(Run(graph, options, 1, concurrent: seed % 2 == 0)), $"seed {seed}: {options} changes the result");
            Assert.True(expected.AsSpan().SequenceEqual(Run(graph, all, 2)), $"seed {seed}: two threads change the result");
            Assert.True(expected.AsSpan().SequenceEqual(Run(graph, all, 1, compileFrom: 1)), $"seed {seed}: compiled loops change the result");
            Assert.True(expected.AsSpan().SequenceEqual(Run(graph, all, 1, concurrent: true)), $"seed {seed}: memory planned for a concurrent device changes the result");
            Assert.True(expected.AsSpan().SequenceEqual(Run(GraphFile.Read(GraphFile.Write(graph)), all, 1)), $"seed {seed}: the graph file changes the result");
        }
        // What the passes make has been among it.
        foreach (var op in new[] { typeof(Fused), typeof(FusedMatMul), typeof(MemberMatMul), typeof(MatMulChain), typeof(AdamGroup) }) Assert.Contains(op, made);
        Assert.True(regions > 150, $"only {regions} expressions with several results");
    }

    [Fact]
    public void The_interpreter_computes_the_same_numbers()
    {
        using var device = new CpuDevice();
        int compared = 0;
        const int graphs = 60;
        for (ulong seed = 0; seed < graphs; seed++)
        {
            using var state = RandomGraph.NewState(device);
            var graph = new Graph();
            RandomGraph.Trace(state, graph, seed);
            var exact = RandomGraph.Interpret<double>(graph, state);
            var naive = RandomGraph.Interpret<float>(graph, state);
            // Where comparisons of almost equal numbers decide, float32 goes another way than float64 even in the reference code: nothing to compare.
            if (!RandomGraph.Close(naive, exact)) continue;
            compared++;
            using var program = new Program(graph, state);
            program.Write("x", Sample.Normals(RandomGraph.Size * RandomGraph.Size, "x"));
            program.Run();
            var actual = graph.Outputs.Keys.Select(program.Read).Concat(RandomGraph.Floats(graph).Select(state.Read)).Select(v => Array.ConvertAll(v, x => (double)x)).ToList();
            Assert.True(RandomGraph.Close(actual, exact), $"seed {seed}: the program does not compute what the interpreter computes");
        }
        Assert.True(compared > graphs / 2, $"only {compared} graphs could be compared");
    }
}
