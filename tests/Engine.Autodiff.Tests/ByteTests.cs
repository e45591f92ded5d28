using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Autodiff.Tests;

/// <summary>Tensors of bytes: variables, inputs, outputs, moves and casts, in programs and in the interpreter; and no arithmetic.</summary>
public class ByteTests
{
    private static byte[] Image(int n, int seed) => Enumerable.Range(0, n).Select(i => (byte)(i * 37 + seed * 101)).ToArray();

    [Fact]
    public void Images_are_kept_moved_and_cast_with_any_pass_on_or_off()
    {
        foreach (bool concurrent in new[] { false, true })
            foreach (var options in Sample.EachPassOff().Concat(Sample.EachPassAlone()))
            {
                using var device = new GreedyDevice(2) { PlansConcurrently = concurrent };
                using var state = new State(device);
                state.Add("images", [6, 4, 5], Image(120, 1), VariableKind.Data);
                state.AddZeros("last", TensorType.Byte([2, 40]));
                var graph = new Graph();
                var images = graph.Read(state["images"]);
                Tensor frame = graph.Input("frame", TensorType.Byte([4, 5])), at = graph.Input("at", TensorType.Int([])), lit = graph.Input("lit", TensorType.Boolean([5]));
                var newest = images.SetRows(at, frame);
                graph.Assign(state["images"], newest);
                var batch = newest.Gather(graph.Constant(TensorType.Int([3]), 2, 5, 2));
                graph.Assign(state["last"], Tensor.Concat(0, batch.Slice(0, 0, 2), images.Slice(0, 1, 2)).Reshape(2, 40));
                graph.Output("floats", batch.Cast(DType.F32) / 255);
                graph.Output("brighter", (batch.Cast(DType.F32) * 1.5 - 20).Cast(DType.U8));
                graph.Output("turned", batch.Permute(1, 2, 0).Pad(0, 1, 0, 300));
                graph.Output("masked", frame.Cast(DType.I32).Maximum(100).Cast(DType.U8).Reshape(1, 20).BroadcastTo([2, 20]));
                graph.Output("bools", frame.Cast(DType.Bool) & lit);
                graph.Output("grey", graph.Constant(TensorType.Byte([3]), 7.5, -3, 400));
                var (carried, stacked) = graph.Repeat(2, [frame], (body, x) => ([Tensor.Concat(0, x[0].Slice(0, 1, 3), x[0].Slice(0, 0, 1))], [x[0]]));
                graph.Output("rolled", carried[0]);
                graph.Output("stacked", stacked[0]);

                var oracle = new Interpreter<float>(graph);
                oracle.Load(state);
                using var program = new Program(graph, state, options);
                for (int run = 0; run < 3; run++)
                {
                    byte[] content = Image(20, run), mask = [1, 0, 1, 1, 0];
                    program.Write("frame", content);
                    program.Write("at", [run + 1]);
                    program.Write("lit", mask);
                    content.CopyTo(oracle.Input("frame").Bytes, 0);
                    mask.CopyTo(oracle.Input("lit").Bools, 0);
                    oracle.Input("at").Ints[0] = run + 1;
                    program.Run();
                    oracle.Run();
                    Assert.Equal(oracle.Output("floats").Floats, program.Read("floats"));
                    foreach (string name in new[] { "brighter", "turned", "masked", "bools", "grey", "rolled", "stacked" })
                    {
                        var bytes = new byte[oracle.Output(name).Type.Elements];
                        program.Read(name, bytes);
                        Assert.True(oracle.Output(name).Bytes.SequenceEqual(bytes), $"{name} with {options}");
                    }
                    foreach (string name in new[] { "images", "last" }) Assert.Equal(oracle.Variable(name, state[name].Type).Bytes, state.ReadBytes(name));
                    Assert.Equal(content, state.ReadBytes("images").AsSpan((run + 1) * 20, 20).ToArray());
                }
                var grey = new byte[3];
                program.Read("grey", grey);
                Assert.Equal([8, 0, 255], grey);
            }
    }

    [Fact]
    public void Arithmetic_is_refused_with_the_word_cast()
    {
        var g = new Graph();
        Tensor x = g.Input("x", TensorType.Byte([4])), f = g.Input("f", TensorType.Float([4])), b = g.Input("b", TensorType.Boolean([4]));
        Func<Tensor>[] all = [() => x + x, () => x * 2, () => x + f, () => f - x, () => -x, () => x > 3, () => x.EqualTo(x), () => Tensor.Select(b, x, x), () => x.Sum(), () => x.Exp(), () => x.MatMul(f), () => x & b, () => x.CumulativeSum(0), () => f.Gather(x)];
        foreach (var compute in all)
        {
            string message = Assert.Throws<ShapeException>(() => { compute(); }).Message;
            Assert.True(message.Contains("U8", StringComparison.Ordinal) && message.Contains("cast", StringComparison.Ordinal), message);
        }
        Assert.Throws<ShapeException>(() => x.Cast(DType.BF16));
    }

    [Fact]
    public void Bytes_and_booleans_are_told_apart_by_the_type_of_the_input()
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        using var program = Program.Trace(state, g =>
        {
            g.Output("byte", g.Input("byte", TensorType.Byte([2])).Cast(DType.F32));
            g.Output("bool", g.Input("bool", TensorType.Boolean([2])).Cast(DType.F32));
            g.Input("float", TensorType.Float([2]));
        });
        program.Write("byte", (ReadOnlySpan<byte>)[200, 1]);
        program.Write("bool", (ReadOnlySpan<byte>)[1, 0]);
        program.Run();
        Assert.Equal([200, 1], program.Read("byte"));
        Assert.Equal([1, 0], program.Read("bool"));
        Assert.Throws<ShapeException>(() => program.Write("byte", [1f, 2f]));
        Assert.Throws<ShapeException>(() => program.Write("byte", (ReadOnlySpan<byte>)[1]));
        Assert.Throws<KeyNotFoundException>(() => program.Write("none", (ReadOnlySpan<byte>)[1]));
    }

    [Fact]
    public void Parts_of_variables_are_read_and_written()
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        state.Add("f", [3, 2], [1f, 2, 3, 4, 5, 6]);
        state.Add("i", [3, 2], [1, 2, 3, 4, 5, 6]);
        state.Add("y", [3, 2], (ReadOnlySpan<byte>)[1, 2, 3, 4, 5, 6]);
        state.AddZeros("b", TensorType.Boolean([6]));
        Assert.Equal(TensorType.Byte([3, 2]), state["y"].Type);
        state.WriteAt("f", 2, [30f, 40]);
        state.WriteAt("i", 2, [30, 40]);
        state.WriteAt("y", 2, (ReadOnlySpan<byte>)[30, 40]);
        state.WriteAt("b", 5, (ReadOnlySpan<byte>)[1]);
        Assert.Equal([1, 2, 30, 40, 5, 6], state.Read("f"));
        Assert.Equal([1, 2, 30, 40, 5, 6], state.ReadInts("i"));
        Assert.Equal([1, 2, 30, 40, 5, 6], state.ReadBytes("y"));
        Assert.Equal([0, 0, 0, 0, 0, 1], state.ReadBytes("b"));
        var floats = new float[3];
        var ints = new int[3];
        var bytes = new byte[3];
        state.ReadAt("f", 3, floats);
        state.ReadAt("i", 3, ints);
        state.ReadAt("y", 3, bytes);
        Assert.Equal([40, 5, 6], floats);
        Assert.Equal([40, 5, 6], ints);
        Assert.Equal([40, 5, 6], bytes);
        state.ReadAt("b", 3, bytes);
        Assert.Equal([0, 0, 1], bytes);
        state.Write("y", (ReadOnlySpan<byte>)[6, 5, 4, 3, 2, 1]);
        Assert.Equal([6, 5, 4, 3, 2, 1], state.ReadBytes("y"));
        state.ReadAt("f", 6, Array.Empty<float>()); // none

        Assert.Throws<ShapeException>(() => state.ReadAt("f", 4, new float[3]));
        Assert.Throws<ShapeException>(() => state.ReadAt("f", -1, new float[1]));
        Assert.Throws<ShapeException>(() => state.WriteAt("i", long.MaxValue, [1]));
        Assert.Throws<ShapeException>(() => state.ReadAt("i", 0, new float[1]));
        Assert.Throws<ShapeException>(() => state.WriteAt("y", 0, [1]));
        Assert.Throws<ShapeException>(() => state.ReadAt("f", 0, new byte[1]));
        Assert.Throws<ShapeException>(() => state.Write("i", new byte[24]));
        Assert.Throws<KeyNotFoundException>(() => state.ReadAt("none", 0, new byte[1]));
    }
}
