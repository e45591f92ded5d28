using Engine.Algorithms;
using Engine.Algorithms.Training;
using Engine.Kernels.Cpu;
using Engine.Kernels.Cuda.Elementwise;
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
            var (config, data) = Training.Of(algorithm, defaults: true);
            using var trainer = new Trainer(config, data, device, null);
            Assert.NotEmpty(trainer.UpdatePrograms);
            using var other = new Trainer(config, data, serial, null);
            output.WriteLine($"{algorithm}, compute capability {limits.Architecture}: {trainer.UpdatePrograms[0].KernelCount} kernels an update, {device.Launches} launches in all programs; on the longest way {string.Join(" ", device.Depths)}, {trainer.State.ArenaBytes / 1e6:F1} MB of arena (planned for one after the other {string.Join(" ", serial.Depths)}, {other.State.ArenaBytes / 1e6:F1} MB); {string.Join(", ", device.Ops.OrderBy(o => o))}");
            Assert.Empty(device.Holes);
            // Small kernels run beside one another, and memory does not stand in their way.
            Assert.True(device.Depths[0] < serial.Depths[0] && serial.Depths[0] < other.UpdatePrograms[0].KernelCount);
            Assert.True(trainer.State.ArenaBytes < 4 * other.State.ArenaBytes);
        }
    }

    /// <summary>A device that makes CUDA's launches and runs none.</summary>
    private sealed class Compiler(CudaLimits limits) : Device
    {
        private readonly CpuDevice _memory = new();

        public HashSet<string> Holes { get; } = [];

        public HashSet<string> Ops { get; } = [];

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
            Depths.Add(Dependencies.Depth(Dependencies.Of(plan.Instructions.Select(Steps).ToArray())));
            foreach (var call in Calls(plan.Instructions))
                foreach (int rows in new[] { 0, 3 })
                {
                    TensorType[] At(TensorType[] types) => rows == 0 ? types : Array.ConvertAll(types, t => t.AtRows(rows));
                    TensorType[] inputs = At(call.InputTypes), outputs = At(call.OutputTypes);
                    Ops.Add(call.Op.GetType().Name);
                    if (!CudaDevice.HasKernel(call.Op, inputs, outputs)) Holes.Add($"{call.Op.Name}({string.Join(", ", inputs)})");
                    else Launches += rows > 0 ? 0 : CudaDevice.Kernel(call.Op, inputs, outputs, limits).Launches.Length;
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

        public override void SetRows(int rows) { }
    }
}
