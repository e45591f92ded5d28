using Engine.Kernels.Cpu;
using Engine.Kernels.Cuda.Elementwise;
using Xunit.Abstractions;

namespace Engine.Kernels.Cuda.Tests;

/// <summary>
/// Random fused expressions: what a kernel makes of all steps at once has the bits of the steps one by one, in any order of threads, whichever inputs the results are written over.
/// </summary>
public sealed class ExpressionFuzzTests(ITestOutputHelper output)
{
    private static readonly int Cases = Math.Max(1500, int.TryParse(Environment.GetEnvironmentVariable("ENGINE_FUZZ_CASES"), out int wanted) ? wanted : 0);

    [CudaFact]
    public void Kernels_have_the_bits_of_their_steps()
    {
        // Four elements a thread from 1024 on.
        using var few = Cuda.As(80, 1);
        var counts = new SortedDictionary<string, int>();
        int results = 0, overlays = 0;
        CudaDevice device = new();
        for (ulong seed = 0; seed < (ulong)Cases; seed++)
        {
            if (seed % 500 == 499) // a device keeps its texts
            {
                device.Dispose();
                device = new();
            }
            var expression = new RandomExpression(seed);
            string variant = CudaDevice.Kernel(expression.Op, expression.Types, expression.Op.Infer(expression.Types), device.Limits).Variant;
            if (!PtxElementwise.Has(expression.Op, expression.Types)) variant = "steps";
            counts[variant] = counts.GetValueOrDefault(variant) + 1;
            if (expression.Op.Results.Count > 1) results++;
            overlays += Check(device, expression, seed);
        }
        device.Dispose();
        Cuda.Order(0);
        output.WriteLine($"{string.Join("; ", counts.Select(c => $"{c.Value} {c.Key}"))}; {results} with several results, {overlays} times results over inputs");
        Assert.True(results > Cases / 3 && overlays > Cases);
        if (!Cuda.IsStandIn) return; // it has more multiprocessors
        foreach (string variant in new[] { "ptx", "ptx, 4 elements a thread", "ptx, a thread a row", "ptx, a warp a row", "ptx, a block a row", "steps" }) Assert.True(counts.GetValueOrDefault(variant) > Cases / 30, $"{variant}: {counts.GetValueOrDefault(variant)}");
    }

    [Fact]
    public void The_processor_has_the_bits_of_their_steps()
    {
        using CpuDevice tiles = new(), loops = new() { CompileFrom = 1 };
        for (ulong seed = 0; seed < (ulong)Cases; seed++) Check(seed % 2 == 0 ? tiles : loops, new RandomExpression(seed), seed);
    }

    /// <summary>Runs an expression and its steps; how often results were written over inputs.</summary>
    private static int Check(Device device, RandomExpression expression, ulong seed)
    {
        var op = expression.Op;
        var types = op.Types(expression.Types);
        var expected = Steps(device, op, types, expression.Inputs);
        void Same(ulong order, params (int Output, int Input)[] overlays)
        {
            if (device is CudaDevice) Cuda.Order(order);
            string what = $"seed {seed}, {op} of {string.Join(", ", expression.Types)}, order {order}, over [{string.Join(", ", overlays)}]";
            byte[][] actual;
            try { actual = OpCheck.Run(device, op, expression.Types, expression.Inputs, overlays); }
            catch (DeviceException e) { throw new DeviceException($"{what}: {e.Message}"); }
            for (int o = 0; o < actual.Length; o++) Single.SameBits(types[op.Results[o]], expected[o], actual[o], $"{what}: result {o}");
        }
        for (ulong order = 0; order < (device is CudaDevice ? 3ul : 1ul); order++) Same(order);
        var all = OpCheck.Overlays(op, expression.Types).ToArray();
        foreach (var overlay in all) Same(seed % 3, overlay);
        // As many at once as there are.
        var together = all.DistinctBy(o => o.Output).DistinctBy(o => o.Input).ToArray();
        if (together.Length > 1) Same(1, together);
        return all.Length;
    }

    /// <summary>The results of an expression, its steps run one by one.</summary>
    private static byte[][] Steps(Device device, Fused op, TensorType[] types, byte[][] inputs)
    {
        var slots = new int[types.Length];
        var calls = new List<Instruction>();
        for (int v = 0; v < types.Length; v++)
        {
            slots[v] = v;
            if (v < inputs.Length) continue;
            var (step, arguments) = op.Steps[v - inputs.Length];
            if (step.IsAlias) slots[v] = slots[arguments[0]];
            else calls.Add(new KernelCall(step, Array.ConvertAll(arguments.ToArray(), a => new Operand(slots[a], 0, types[a])), [new Operand(v, 0, types[v])]));
        }
        var buffers = Array.ConvertAll(types, t => device.Allocate(t.Bytes));
        try
        {
            for (int i = 0; i < inputs.Length; i++) buffers[i].Write(inputs[i]);
            using (var executable = device.Load(new Plan(calls.ToArray(), types.Length))) executable.Run(Array.ConvertAll(buffers, b => b.Address));
            return Array.ConvertAll(op.Results.ToArray(), r =>
            {
                var bytes = new byte[types[r].Bytes];
                buffers[slots[r]].Read(bytes);
                return bytes;
            });
        }
        finally
        {
            foreach (var buffer in buffers) buffer.Dispose();
        }
    }
}
