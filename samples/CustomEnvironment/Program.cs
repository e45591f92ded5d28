// A task of one's own: write it as an environment, record data, train on them, act.
using Engine.Algorithms;
using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Training;
using Engine.Algorithms.ValueBased;
using Engine.Kernels;
using Engine.Kernels.Cpu;

EnvironmentCatalogue.Register(new EnvironmentEntry("Cart-v0", copies => new Cart(copies), ReferenceMin: -60, ReferenceMax: -4));

// Data: a random force at every step of 400 episodes.
var recorder = new Recorder(new Cart(1));
var random = new PhiloxStream(seed: 1, "behaviour");
for (int episode = 0; episode < 400; episode++) recorder.Record(_ => [(float)random.NextUniform(-1, 1)], new PhiloxStream(seed: 2, $"start[{episode}]"));
var data = TransitionDataset.From(recorder.ToDataset("random pushes"), space: null);
Console.WriteLine($"{data.Count} transitions, mean return {data.Returns.Mean:F1}");

using var device = new CpuDevice(threads: 2);
var config = new RunConfig
{
    Algorithm = "td3-bc",
    Settings = new Td3BcSettings { HiddenSizes = [32, 32], Alpha = 10 },
    Dataset = data.Source,
    Environment = "Cart-v0",
    Steps = 6_000,
    EvaluateEvery = 0,
};
using var trainer = new Trainer(config, data, device, run: null);
trainer.Run(report => { if (report.Evaluation is { } e) Console.WriteLine($"trained: return {e.Mean:F1} (normalised {e.NormalizedMean:F0})"); }, CancellationToken.None);

/// <summary>Push a cart on a line to 0: position and speed are seen, the force is within ±1, the reward is minus the distance; 60 steps.</summary>
internal sealed class Cart(int copies) : StateEnvironment(copies, stateSize: 2)
{
    public override ActionSpace ActionSpace { get; } = ActionBounds.Unit(1);

    public override int MaxSteps => 60;

    protected override void Reset(Span<double> s, PhiloxStream random) => (s[0], s[1]) = (random.NextUniform(-1, 1), 0);

    protected override (float Reward, bool Terminal) Step(Span<double> s, ReadOnlySpan<float> action)
    {
        s[1] = 0.9 * s[1] + 0.1 * Math.Clamp(action[0], -1, 1);
        s[0] += s[1] * 0.5;
        return ((float)-Math.Abs(s[0]), false);
    }
}
