using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cpu;
using Engine.Nn;

namespace Engine.Algorithms.Tests;

/// <summary>Bilinear transduction, anchors, and starts in a part of a maze.</summary>
public sealed class CocoaTests
{
    [Fact]
    public void A_feature_is_the_product_of_two_vectors_and_every_network_has_them()
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        var build = new Builder(state, 1) { Input = (at, inputs, members) => new Transduction(at, inputs, members, size: 2, features: 3, vector: 4, new MlpSettings { HiddenSizes = [5] }) };
        // Two members that see a difference and an anchor of two numbers each, and one number more.
        var mlp = new Mlp(build["q"], 5, 1, new MlpSettings { HiddenSizes = [6] }, 2);
        Assert.Equal(3, state["q.layer0.weight"].Type.Shape[1]);
        Assert.Contains(mlp.Parameters, p => p.Name == "q.input.difference.layer0.weight");
        Assert.Equal([2, 3, 5], state["q.input.anchor.layer0.weight"].Type.Shape.Span.ToArray());
        using var program = Program.Trace(state, graph =>
        {
            var x = graph.Input("x", TensorType.Float([7, 5]));
            graph.Output("all", mlp.Apply(x));
            graph.Output("second", mlp.Apply(x, member: 1));
            // With the vectors' last normalisation 0 there are no features, and what is left is the rest of the network.
            graph.Output("features", new Transduction(new Builder(state, 1, "alone"), 5, null, 2, 3, 4, new MlpSettings { HiddenSizes = [5] }).Apply(x));
        });
        program.Write("x", Probe.Numbers(35, "x"));
        state.Write("alone.anchor.output_norm.weight", new float[12]);
        program.Run();
        Assert.Equal(program.Read("all")[7..], program.Read("second"));
        Assert.All(program.Read("features"), v => Assert.Equal(0, v));
        Assert.Throws<ArgumentException>(() => new Transduction(new Builder(state, 1, "narrow"), 3, null, 2, 3, 4, new MlpSettings()));
    }

    [Fact]
    public void Episodes_begin_in_their_part_of_the_maze()
    {
        foreach (var (part, low, high) in new[] { ("left", 0.9f, 1.1f), ("right", 2.9f, 5.1f) })
        {
            var environment = EnvironmentCatalogue.Find($"maze2d-open-{part}-v0").Create(1);
            var seen = new float[4];
            for (int i = 0; i < 50; i++)
            {
                environment.Reset(0, new PhiloxStream((ulong)i, "start"));
                environment.Observe(seen);
                Assert.InRange(seen[1], low, high);
            }
            var data = Dataset.Load($"builtin:maze2d-open-{part},rows=1500");
            Assert.All(data.Episodes(), e => Assert.InRange(data.Observations[4 * e.Start.Value + 1], low, high));
            Assert.Equal(10, data.Episodes().Count());
        }
    }

    [Fact]
    public void Anchors_are_nearer_to_the_data_than_what_they_stand_for()
    {
        (string, string)[] small = [("hidden_sizes", "[32]"), ("batch_size", "64"), ("members", "1"), ("dynamics_steps", "600"), ("seeker_steps", "400"), ("seeker_hidden_sizes", "[32]"), ("anchor_steps", "5"), ("learning_rate", "3e-3"),
            ("features", "2"), ("feature_size", "2"), ("feature_hidden_sizes", "[8]"), ("base", "bc"), ("base.hidden_sizes", "[8]")];
        var config = new RunConfig { Algorithm = "cocoa", Settings = Probe.Settings("cocoa", small), Environment = "maze2d-open-v0", Steps = 1010, LogEvery = 1010, EvaluateEvery = 0, EvaluationEpisodes = 1 };
        var data = new Dictionary<string, TrainingData>
        {
            ["offline"] = TrainingData.Load("builtin:maze2d-open-right,rows=6000", "maze2d-open-v0"),
            ["heldout"] = TrainingData.Load("builtin:maze2d-open-left,rows=600", "maze2d-open-v0"),
        };
        using var device = new CpuDevice();
        using var trainer = new Trainer(config, data, device, null);
        TrainingReport? last = null;
        trainer.Run(report => last = report, CancellationToken.None);
        Assert.True(last!.HeldOut["anchor_distance"] < last.HeldOut["observation_distance"], $"{last.HeldOut["anchor_distance"]} {last.HeldOut["observation_distance"]}");
        // What the data never saw is farther from them than what they did.
        Assert.True(last.HeldOut["observation_distance"] > last.Metrics["observation_distance"]);
    }
}
