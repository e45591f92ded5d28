using Engine.Algorithms.Networks;
using Engine.Autodiff;
using Engine.Interop.Safetensors;
using Engine.Kernels;
using Engine.Kernels.Cpu;
using Engine.Nn;

namespace Engine.Algorithms.Tests;

/// <summary>The flow's part of recorded updates of FQL and Q-chunking: there its parameters learn from its own loss alone.</summary>
public sealed class FlowPolicyTests
{
    private const double Limit = 2e-5; // float32

    [DataTheory, InlineData("fql", 0), InlineData("ifql", 0), InlineData("qc", 4), InlineData("qc-fql", 5)]
    public void Recorded_updates_are_reproduced(string name, int chunk)
    {
        SafetensorsFile File(string part) => SafetensorsFile.Read(SharedData.Path($"fixtures/{name}/{part}.safetensors"));
        var (initial, batches, noise, expected) = (File("initial"), File("batches"), File("noise"), File("expected"));
        int[] Shape(string column) => batches[column].Shape.Skip(1).Select(s => (int)s).ToArray();
        using var device = new CpuDevice();
        using var state = new State(device);
        int size = Math.Max(1, chunk) * Shape("actions")[^1], width = (int)initial["flow.layer0.weight"].Shape[1];
        var flow = new FlowPolicy(new Builder(state, 0, "flow"), Shape("observations")[^1], size, new MlpSettings { HiddenSizes = [width, width, width], Activation = Activations.GeluTanh });
        var optimiser = new AdamOptimiser(state, "flow", flow, new AdamSettings { LearningRate = 1e-3 });
        foreach (var parameter in flow.Parameters) state.Write(parameter.Name, initial[parameter.Name].ToSingles());

        string[] columns = chunk > 0 ? ["observations", "actions", "valid"] : ["observations", "actions"];
        using var program = Program.Trace(state, graph =>
        {
            graph.Random.Feed();
            Tensor Column(string column) => graph.Input(column, TensorType.Float(Shape(column)));
            var loss = flow.Loss(Column("observations"), Column("actions"), chunk > 0 ? Column("valid") : null);
            graph.Output("flow_loss", loss);
            optimiser.Minimise(loss);
        });
        int updates = (int)batches["actions"].Shape[0];
        var losses = new float[updates];
        for (int k = 0; k < updates; k++)
        {
            foreach (string column in columns) Write(column, batches[column]);
            foreach (string draw in new[] { "noise.flow_start", "noise.flow_time" }) Write(draw, noise[draw]);
            program.Run();
            losses[k] = program.ReadScalar("flow_loss");

            void Write(string input, SafetensorsTensor all)
            {
                var values = all.ToSingles();
                program.Write(input, values.AsSpan(k * (values.Length / updates), values.Length / updates));
            }
        }
        Check("flow_loss", losses);
        foreach (var parameter in flow.Parameters) Check(parameter.Name, state.Read(parameter.Name));

        void Check(string tensor, float[] values)
        {
            double[] wanted = expected[tensor].ToDoubles();
            double error = Math.Sqrt(values.Zip(wanted, (x, e) => (x - e) * (x - e)).Sum() / wanted.Sum(e => e * e));
            Assert.True(error <= Limit, $"{name}: {tensor} is off by {error:E1}");
        }
    }
}
