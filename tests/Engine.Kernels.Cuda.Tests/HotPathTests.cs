using Engine.Algorithms;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Kernels.Cpu;
using Engine.Kernels.Cuda.Elementwise;
using Engine.Nn;
using Xunit.Abstractions;

namespace Engine.Kernels.Cuda.Tests;

/// <summary>What the algorithms compile to for CUDA; needs no device. A hole on a hot path fails here, and so in every build.</summary>
public sealed class HotPathTests(ITestOutputHelper output)
{
    public static TheoryData<string> Algorithms => [.. AlgorithmCatalogue.All.Select(a => a.Name)];

    [Theory, MemberData(nameof(Algorithms))]
    public void Every_kernel_of_an_update_exists(string algorithm)
    {
        // Turing, Ampere, Ada, Hopper: what a block may have of shared memory decides between kernels.
        foreach (var limits in new[] { new CudaLimits(75, 40, 64 * 1024), new CudaLimits(80, 108, 163 * 1024), new CudaLimits(89, 128, 99 * 1024), new CudaLimits(90, 132, 227 * 1024) })
        {
            using var device = new Compiler(limits);
            using var serial = new Compiler(limits) { Serial = true };
            var (config, data) = SampleRuns.Of(algorithm, defaults: true);
            using var trainer = new Trainer(config, data, device, null);
            Assert.NotEmpty(trainer.UpdatePrograms);
            Assert.Empty(device.Holes);
            // Every variable is written where it lies: what is copied goes to the host.
            Assert.Empty(device.Moves);
            if (limits.Architecture != 90) continue;
            // The plan's order is the same for all of them.
            using var other = new Trainer(config, data, serial, null);
            output.WriteLine($"{algorithm}, compute capability {limits.Architecture}: {trainer.UpdatePrograms[0].KernelCount} kernels an update, {device.Launches} launches in all programs; on the longest way {string.Join(" ", device.Depths)}, {trainer.State.ArenaBytes / 1e6:F1} MB of arena (planned for one after the other {string.Join(" ", serial.Depths)}, {other.State.ArenaBytes / 1e6:F1} MB); {string.Join(", ", device.Ops.OrderBy(o => o))}");
            // Small kernels run beside one another, and memory does not stand in their way.
            // An update is the deepest of the programs; those that act and append have a few kernels.
            Assert.True(device.Depths.Max() < serial.Depths.Max() && serial.Depths.Max() < other.UpdatePrograms.Max(p => p.KernelCount));
            Assert.True(trainer.State.ArenaBytes < 4 * other.State.ArenaBytes);
        }
    }

    public static TheoryData<string> Composites => ["sample", "gradient of a sample", "smallest", "deviation", "loss", "adam and polyak", "layer norm", "softmax", "log sum exp", "denoise step", "clipped denoise step"];

    /// <summary>What the methods do once or more an update is one launch.</summary>
    [Theory, MemberData(nameof(Composites))]
    public void One_launch(string composite)
    {
        using var device = new Compiler(new CudaLimits(90, 132, 227 * 1024));
        using var state = new State(device);
        using var program = Autodiff.Program.Trace(state, g =>
        {
            Tensor Input(string name, params int[] shape) => g.Input(name, TensorType.Float(shape));
            switch (composite)
            {
                case "sample":
                case "gradient of a sample":
                    Tensor mean = Input("mean", 256, 6), logStd = Input("log_std", 256, 6);
                    var (action, logProb) = new TanhGaussian(mean, logStd.Clip(-5, 2)).Sample(Input("noise", 256, 6));
                    if (composite == "sample")
                    {
                        g.Output("action", action);
                        g.Output("log_prob", logProb);
                    }
                    else
                    {
                        var gradients = Gradients.Of((action * Input("of_action", 256, 6)).Sum(0, 1) + (logProb * Input("temperature", 1)).Mean(0), [mean, logStd]);
                        for (int i = 0; i < 2; i++) g.Output($"{i}", gradients[i]);
                    }
                    break;
                case "smallest":
                case "deviation":
                    var q = Input("q", 10, 256);
                    var value = composite == "smallest" ? q.Min(0) : q.Mean(0) - 2 * (q - q.Mean(0)).Square().Mean(0).Sqrt();
                    g.Output("target", Input("rewards", 256) + 0.99 * (1 - Input("terminals", 256)) * (value - Input("temperature", 1) * Input("log_prob", 256)));
                    break;
                case "loss":
                    var error = Input("q", 256) - Input("target", 256);
                    g.Output("loss", error.Square().Mean());
                    g.Output("gradient", error * (2.0 / 256));
                    g.Output("largest", error.Max(0));
                    break;
                case "adam and polyak":
                    Variable[] online = [.. Enumerable.Range(0, 10).Select(i => state.AddZeros($"w{i}", TensorType.Float([30, 10 + i])))], slow = [.. online.Select(v => state.AddZeros("slow." + v.Name, v.Type))];
                    var optimiser = new AdamOptimiser(state, "adam", online, new AdamSettings());
                    optimiser.Minimise(online.Select(v => (g.Read(v) * Input("x" + v.Name, v.Type.Shape.ToArray())).Sum(0, 1)).Aggregate((a, b) => a + b));
                    Targets.Polyak(g, new ParameterList(online), new ParameterList(slow), 0.005);
                    break;
                case "layer norm": g.Output("y", Graph.Apply(new LayerNorm(1e-5), Input("x", 256, 256), Input("w", 256), Input("b", 256))); break;
                case "softmax": g.Output("y", Input("x", 256, 256).Softmax()); break;
                case "log sum exp": g.Output("y", Input("x", 256, 256).LogSumExp()); break;
                case "denoise step": g.Output("y", Graph.Apply(new DenoiseStep(new([0.9, -0.2, 0.1])), Input("x", 256, 6), Input("m", 256, 6), Input("z", 256, 6))); break;
                default: g.Output("y", Graph.Apply(new DenoiseStep(new([0.9, 0, 0.1]), new(1.1, -0.4, 1, 0.7), 1.5), Input("x", 256, 6), Input("m", 256, 6), Input("z", 256, 6))); break;
            }
        });
        // Ten gradients, and Adam's numbers of its count of steps, come before it.
        Assert.True(device.Launches == (composite == "adam and polyak" ? 12 : 1), string.Join("\n", program.Compiled.Nodes));
    }

    /// <summary>A device that makes CUDA's launches and runs none.</summary>
    private sealed class Compiler(CudaLimits limits) : Device
    {
        private readonly CpuDevice _memory = new();

        public HashSet<string> Holes { get; } = [];

        public HashSet<string> Ops { get; } = [];

        /// <summary>Copies into variables.</summary>
        public List<string> Moves { get; } = [];

        public int Launches { get; private set; }

        public bool Serial { get; init; }

        public override bool Concurrent => !Serial;

        public override string Name => "cuda";

        public override string Description => $"compute capability {limits.Architecture}";

        public override Buffer Allocate(long bytes) => _memory.Allocate(bytes);

        // Of a primitive without a kernel the whole list is wanted, not the first.
        public override bool Implements(Op op, TensorType[] inputs, TensorType[] outputs) => op is not Composite || CudaDevice.HasKernel(op, inputs, outputs);

        public override bool Prefers(Op op, TensorType[] inputs, TensorType[] outputs) => PtxElementwise.Has(op, inputs) || CudaKernels.Prefers(op, inputs, outputs, limits);

        /// <summary>Of every program loaded, the kernels on the longest way through it.</summary>
        public List<int> Depths { get; } = [];

        public override Executable Load(Plan plan)
        {
            const int firstVariable = 3; // before them: the arena, constants, what the host reads and writes
            Depths.Add(Dependencies.Depth(Dependencies.Of(plan.Instructions.Select(Steps).ToArray())));
            foreach (var call in Calls(plan.Instructions))
            {
                TensorType[] inputs = call.InputTypes, outputs = call.OutputTypes;
                Ops.Add(call.Op.GetType().Name);
                if (call.Op is Copy && call.Outputs[0].Slot >= firstVariable) Moves.Add($"{call.Outputs[0].Type}");
                if (!CudaDevice.HasKernel(call.Op, inputs, outputs)) Holes.Add($"{call.Op.Name}({string.Join(", ", inputs)})");
                else Launches += CudaDevice.Kernel(call.Op, inputs, outputs, limits).Launches.Length;
            }
            return new Nothing();
        }

        private static (MemoryRange[], MemoryRange[]) Steps(Instruction step) => step is KernelCall call ? (Array.ConvertAll(call.Inputs, MemoryRange.Of), Array.ConvertAll(call.Outputs, MemoryRange.Of)) : throw new InvalidOperationException("no update has a loop");

        private static IEnumerable<KernelCall> Calls(Instruction[] instructions) => instructions.SelectMany(i => i is Loop loop ? Calls(loop.Body) : [(KernelCall)i]);

        public override void Dispose()
        {
            _memory.Dispose();
            base.Dispose();
        }
    }

    private sealed class Nothing : Executable
    {
        public override void Run(ReadOnlySpan<nint> slots) { }

        public override KernelTime[] Profile(ReadOnlySpan<nint> slots) => [];
    }
}
