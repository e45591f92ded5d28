using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Autodiff.Tests;

/// <summary>Every fused kernel against its definition: equal to the bit, and within twice the naive error of float64.</summary>
public class CompositeTests
{
    public static TheoryData<int> Rows()
    {
        var rows = new TheoryData<int>();
        for (int i = 0; i < OpTable.Cases.Count; i++)
            if (OpTable.Cases[i].Op is Composite) rows.Add(i);
        return rows;
    }

    [Theory]
    [MemberData(nameof(Rows))]
    public void Fused_kernel_equals_its_definition(int row)
    {
        var c = OpTable.Cases[row];
        var graph = new Graph();
        var outputs = graph.Add(c.Op, c.Inputs.Select((x, i) => graph.Input($"x{i}", x.Type)).ToArray());
        for (int i = 0; i < outputs.Length; i++) graph.Output($"y{i}", outputs[i]);
        var inputs = c.Inputs.Select((x, i) =>
        {
            var stream = new PhiloxStream(5, $"{i}");
            return KeyValuePair.Create($"x{i}", Enumerable.Range(0, (int)x.Type.Elements).Select(_ => (float)stream.NextUniform(x.Low, x.High)).ToArray());
        }).ToDictionary();

        using var device = new CpuDevice();
        using var state = new State(device);
        var fused = Sample.Run(graph, state, inputs);
        var defined = Sample.Run(graph, state, inputs, new CompileOptions().Without("FusedKernels"));
        var exact = Sample.Interpret<double>(graph, inputs);
        var naive = Sample.Interpret<float>(graph, inputs);
        foreach (string name in graph.Outputs.Keys)
        {
            Assert.Equal(defined[name], fused[name]);
            var e = exact.Output(name).Floats;
            double error = Sample.RelativeError(fused[name], e), limit = 2 * Sample.RelativeError(naive.Output(name).Floats, e) + 6e-8;
            Assert.True(error <= limit, $"{c}: {name} has error {error:E2}, {limit:E2} is allowed");
        }
        // One without a kernel of its own is one expression.
        Assert.Contains(new Program(graph, state).Compiled.Nodes, n => c.Op is DenoiseStep ? n.Op is Fused : n.Op is Composite);
    }

    [Fact]
    public void Log_sum_exp_of_minus_infinities_is_minus_infinity()
    {
        var graph = new Graph();
        var x = graph.Input("x", TensorType.Float([2, 3]));
        graph.Output("y", x.LogSumExp());
        using var device = new CpuDevice();
        using var state = new State(device);
        var inf = float.NegativeInfinity;
        var inputs = new Dictionary<string, float[]> { ["x"] = [inf, inf, inf, inf, 0, inf] };
        foreach (var options in new[] { new CompileOptions(), CompileOptions.None })
            Assert.Equal([inf, 0f], Sample.Run(graph, state, inputs, options)["y"]);
    }
}
