using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Autodiff.Tests;

/// <summary>What sampling computes with ints: places in a ring, running sums of lengths, choices and tables, as numbers that are known.</summary>
public class IntegerTests
{
    [Fact]
    public void Arithmetic_of_ints_with_any_pass_on_or_off()
    {
        int[] x = [-7, -6, -1, 0, 1, 5, 6, 13, int.MinValue, int.MaxValue];
        int[] FloorQuotients(int y) => Array.ConvertAll(x, v => (int)Math.Floor((decimal)v / y));
        int[] Remainders(int y) => Array.ConvertAll(x, v => (int)(v - y * (long)Math.Floor((decimal)v / y)));
        var expected = new Dictionary<string, int[]>
        {
            ["floor 6"] = FloorQuotients(6),
            ["floor 7"] = FloorQuotients(7),
            ["mod 6"] = Remainders(6),
            ["mod 7"] = Remainders(7),
            ["floor 0"] = new int[x.Length],
            ["larger"] = Array.ConvertAll(x, v => Math.Max(v, 2)),
            ["smaller"] = Array.ConvertAll(x, v => Math.Min(v, 2)),
            ["selected"] = Array.ConvertAll(x, v => v >= 2 ? -3 : unchecked(v * 5 - 1)),
            ["equal"] = Array.ConvertAll(x, v => (v == 6 ? 1 : 0) + (v != 0 ? 2 : 0)),
            ["looked up"] = Array.ConvertAll(Remainders(3), r => 10 * r + 1),
            ["sums"] = [-7, -13, -14, -14, -13, -8, -2, 11, unchecked(11 + int.MinValue), 10],
            ["from the end"] = [.. Enumerable.Range(0, x.Length).Select(i => x.Skip(i + 1).Aggregate(0, (a, b) => unchecked(a + b)))],
        };
        foreach (var options in Sample.EachPassOff().Concat(Sample.EachPassAlone()))
        {
            using var device = new CpuDevice();
            using var state = new State(device);
            state.Add("table", [3], [1, 11, 21]);
            var graph = new Graph();
            var v = graph.Input("x", TensorType.Int([x.Length]));
            var outputs = new Dictionary<string, Tensor>
            {
                ["floor 6"] = v.FloorDivide(6),
                ["floor 7"] = v.FloorDivide(graph.Constant(TensorType.Int([1]), 7)),
                ["mod 6"] = v.Modulo(6),
                ["mod 7"] = v.Modulo(graph.Constant(TensorType.Int([1]), 7)),
                ["floor 0"] = v.FloorDivide(0),
                ["larger"] = v.Maximum(2),
                ["smaller"] = v.Minimum(2),
                ["selected"] = Tensor.Select(v >= 2, graph.Constant(TensorType.Int([]), -3), v * 5 - 1),
                ["equal"] = v.EqualTo(6).Cast(DType.I32) + v.NotEqualTo(0).Cast(DType.I32) * 2,
                ["looked up"] = graph.Read(state["table"]).Gather(v.Modulo(3)),
                ["sums"] = v.CumulativeSum(0),
                ["from the end"] = v.CumulativeSum(0, exclusive: true, reverse: true),
            };
            foreach (var (name, tensor) in outputs) graph.Output(name, tensor);
            var interpreter = new Interpreter<double>(graph);
            interpreter.Load(state);
            x.CopyTo(interpreter.Input("x").Ints, 0);
            interpreter.Run();
            using var program = new Program(graph, state, options);
            program.Write("x", x);
            program.Run();
            var actual = new int[x.Length];
            foreach (var (name, numbers) in expected)
            {
                program.Read(name, actual);
                Assert.True(numbers.SequenceEqual(actual), $"{name}: {string.Join(" ", actual)}, expected {string.Join(" ", numbers)}");
                Assert.True(numbers.SequenceEqual(interpreter.Output(name).Ints), $"{name} in the interpreter: {string.Join(" ", interpreter.Output(name).Ints)}");
            }
        }
    }

    [Fact]
    public void Floor_division_of_floats_and_its_derivative()
    {
        var graph = new Graph();
        var x = graph.Input("x", TensorType.Float([3]));
        graph.Output("y", x.FloorDivide(2) + x);
        graph.Output("dx", Gradients.Of((x.FloorDivide(2) + x).Sum(), x)[0]);
        var interpreter = Sample.Interpret<double>(graph, new Dictionary<string, float[]> { ["x"] = [-1, 3, 4.5f] });
        Assert.Equal([-2, 4, 6.5], interpreter.Output("y").Floats);
        Assert.Equal([1, 1, 1], interpreter.Output("dx").Floats);
    }
}
