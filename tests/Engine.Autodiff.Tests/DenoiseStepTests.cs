using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Autodiff.Tests;

public class DenoiseStepTests
{
    public static TheoryData<int> Steps => [.. Enumerable.Range(0, OpTable.Cases.Count).Where(i => OpTable.Cases[i].Op is DenoiseStep)];

    /// <summary>All of a step after the network is one kernel: by fusion of its definition.</summary>
    [Theory, MemberData(nameof(Steps))]
    public void A_step_is_one_kernel(int row)
    {
        var c = OpTable.Cases[row];
        using var device = new CpuDevice();
        using var state = new State(device);
        using var program = Program.Trace(state, g => g.Output("y", Graph.Apply(c.Op, c.Inputs.Select((x, i) => g.Input($"x{i}", x.Type)).ToArray())));
        Assert.Equal(1, program.KernelCount);
    }

    [Fact]
    public void It_is_the_sum_that_it_says()
    {
        var graph = new Graph();
        Tensor Input(string name) => graph.Input(name, TensorType.Float([3]));
        graph.Output("y", Graph.Apply(new DenoiseStep(new([0.5, 0, 2]), new(1, -1, 0.25, 10), 3), Input("x"), Input("m"), Input("z")));
        graph.Output("dx", Gradients.Of(graph.Outputs["y"].Sum(), graph.Inputs["x"])[0]);
        using var device = new CpuDevice();
        using var state = new State(device);
        // x - m is 0.1, 2 (limited to 0.25) and -0.2; of the first two sums one is within 3, the other is not.
        var y = Sample.Run(graph, state, new Dictionary<string, float[]> { ["x"] = [0.3f, 2, 0], ["m"] = [0.2f, 0, 0.2f], ["z"] = [0.4f, 0.5f, 0] });
        Assert.Equal([1.95f, 3, -2], y["y"], (a, b) => Math.Abs(a - b) < 1e-6);
        Assert.Equal([10.5f, 0, 10.5f], y["dx"], (a, b) => Math.Abs(a - b) < 1e-5); // no gradient where it is clipped
        Assert.Throws<ShapeException>(() => new DenoiseStep(new([1]), new(1, 1, 1, 1)).Infer([TensorType.Float([3])]));
        Assert.Throws<ShapeException>(() => new DenoiseStep(new([1, 1])).Infer([TensorType.Float([3]), TensorType.Float([2])]));
    }
}
