using Engine.Autodiff;

namespace Engine.Kernels.Cuda.Tests;

/// <summary>Rows put into variables by a program on the device.</summary>
public sealed class SetRowsProgramTests
{
    /// <summary>Two updates of one variable, one of bytes, old rows read before and after, and in an order that does not matter.</summary>
    [CudaFact]
    public void Variables_are_written_in_place_in_any_order_of_threads()
    {
        foreach (ulong order in new ulong[] { 0, 1, 5 })
        {
            Cuda.Order(order);
            using var device = new CudaDevice();
            using var state = new State(device);
            state.Add("rows", [50, 6], Enumerable.Range(0, 300).Select(i => (float)i).ToArray());
            state.Add("images", [9, 7, 5], Enumerable.Range(0, 315).Select(i => (byte)i).ToArray());
            state.AddZeros("at", TensorType.Int([]));
            var graph = new Graph();
            var (rows, images, at) = (graph.Read(state["rows"]), graph.Read(state["images"]), graph.Read(state["at"]));
            Tensor x = graph.Input("x", TensorType.Float([3, 6])), image = graph.Input("image", TensorType.Byte([7, 5]));
            var places = (at + graph.Constant(TensorType.Int([3]), 0, 7, 0)).Modulo(50);
            var updated = rows.SetRows(places, x).SetRows(at, rows.Gather((at + 1).Modulo(50)));
            graph.Assign(state["rows"], updated);
            graph.Output("new", updated.Gather(places));
            graph.Output("old", rows.Gather(places));
            var seen = images.SetRows(at.Modulo(9), image);
            graph.Assign(state["images"], seen);
            graph.Output("pixels", seen.Gather(at.Modulo(9)).Cast(DType.F32) - images.Gather((at + 4).Modulo(9)).Cast(DType.F32));
            graph.Assign(state["at"], (at + 20).Modulo(50));

            var oracle = new Interpreter<float>(graph);
            oracle.Load(state);
            using var program = new Program(graph, state);
            Assert.All(program.Cost.Kernels.Where(k => k.Op is Copy), k => Assert.True(k.Traffic.Bytes <= 8));
            for (int run = 0; run < 6; run++)
            {
                var numbers = Enumerable.Range(0, 18).Select(i => -i - 100f * run).ToArray();
                var pixels = Enumerable.Range(0, 35).Select(i => (byte)(7 * i + run)).ToArray();
                program.Write("x", numbers);
                program.Write("image", pixels);
                numbers.CopyTo(oracle.Input("x").Floats, 0);
                pixels.CopyTo(oracle.Input("image").Bytes, 0);
                program.Run();
                oracle.Run();
                foreach (string output in new[] { "new", "old", "pixels" }) Assert.Equal(oracle.Output(output).Floats, program.Read(output));
                Assert.Equal(oracle.Variable("rows", state["rows"].Type).Floats, state.Read("rows"));
                Assert.Equal(oracle.Variable("images", state["images"].Type).Bytes, state.ReadBytes("images"));
                var part = new byte[35];
                state.ReadAt("images", run * 20 % 50 % 9 * 35L, part);
                Assert.Equal(pixels, part);
            }
        }
        Cuda.Order(0);
    }
}
