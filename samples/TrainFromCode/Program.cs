using Engine.Algorithms.Data;
using Engine.Algorithms.Training;
using Engine.Algorithms.ValueBased;
using Engine.Kernels.Cpu;

using var device = new CpuDevice(threads: 2);
var data = TrainingData.Load("builtin:pendulum", environment: "Pendulum-v1");
var config = new RunConfig
{
    Algorithm = "td3-bc",
    Settings = new Td3BcSettings { HiddenSizes = [64, 64], Alpha = 10 },
    Dataset = data.Source,
    Environment = "Pendulum-v1",
    Steps = 15_000,
    EvaluateEvery = 5_000,
};
using var trainer = new Trainer(config, data, device, run: null); // name a folder to keep checkpoints and metrics
trainer.Run(report => { if (report.Evaluation is { } e) Console.WriteLine($"step {report.Step}: return {e.Mean:F0} +- {e.StandardError:F0}"); }, CancellationToken.None);
Console.WriteLine($"torque at rest, hanging down: {trainer.Policy!.Act([-1f, 0f, 0f])[0]:F2}");
