using Engine.Autodiff;
using Engine.Kernels.Cpu;
using Engine.Kernels.Cuda.Elementwise;
using Xunit.Abstractions;

namespace Engine.Kernels.Cuda.Tests;

/// <summary>Every op of the op table on the device, against the float64 reference and against the processor.</summary>
public sealed class OpTableTests(ITestOutputHelper output)
{
    private static TheoryData<int> Rows(Func<OpCase, bool> which)
    {
        var rows = new TheoryData<int>();
        for (int i = 0; i < OpTable.Cases.Count; i++)
            if (!OpTable.Cases[i].Op.IsAlias && which(OpTable.Cases[i])) rows.Add(i);
        return rows;
    }

    private static bool IsElementwise(OpCase c) => PtxElementwise.Has(c.Op, SampleData.Types(c));

    private static bool HasKernel(OpCase c) => CudaDevice.HasKernel(c.Op, SampleData.Types(c), c.Op.Infer(SampleData.Types(c)));

    public static TheoryData<int> Computed => Rows(c => c.Op is not Composite && HasKernel(c));

    // The processor adds up rows in another order.
    public static TheoryData<int> Elementwise => Rows(c => IsElementwise(c) && !(c.Op is Fused fused && fused.Steps.Any(s => s.Op is Reduce { Kind: ReduceKind.Sum })));

    public static TheoryData<int> Composites => Rows(c => c.Op is Composite && HasKernel(c));

    [CudaTheory, MemberData(nameof(Computed))]
    public void Kernel_agrees_with_the_reference(int row)
    {
        var c = OpTable.Cases[row];
        using var device = new CudaDevice();
        for (ulong seed = 0; seed < 3; seed++)
        {
            var exact = SampleData.Reference(c, SampleData.Inputs<double>(c, seed));
            var naive = SampleData.Reference(c, SampleData.Inputs<float>(c, seed));
            Cuda.Order(seed);
            var actual = Run(device, c, seed);
            for (int o = 0; o < actual.Length; o++) Assert.Null(OpCheck.Compare(c, exact[o], naive[o], OpCheck.Decode(exact[o].Type, actual[o])));
        }
        // No bit depends on the order of threads and blocks.
        var expected = Run(device, c, 2);
        foreach (ulong order in new ulong[] { 0, 1, 5 })
        {
            Cuda.Order(order);
            Assert.Equal(expected, Run(device, c, 2));
        }
        Cuda.Order(0);
    }

    public static TheoryData<int> Expressions => Rows(c => c.Op is Fused && HasKernel(c));

    /// <summary>Every value that comes out of an expression has the bits that its steps have one by one, in any order of threads.</summary>
    [CudaTheory, MemberData(nameof(Expressions))]
    public void Expressions_have_the_bits_of_their_steps(int row)
    {
        var c = OpTable.Cases[row];
        var op = (Fused)c.Op;
        using var device = new CudaDevice();
        TensorType[] inputs = SampleData.Types(c), types = op.Types(inputs);
        var values = new byte[types.Length][];
        Array.ConvertAll(SampleData.Inputs<float>(c, 3), OpCheck.Encode).CopyTo(values, 0);
        for (int s = 0; s < op.Steps.Count; s++)
        {
            var (step, numbers) = op.Steps[s];
            var arguments = numbers.ToArray();
            values[inputs.Length + s] = step.IsAlias ? values[arguments[0]] : OpCheck.Run(device, step, Array.ConvertAll(arguments, a => types[a]), Array.ConvertAll(arguments, a => values[a]))[0];
        }
        foreach (ulong order in new ulong[] { 0, 1, 3 })
        {
            Cuda.Order(order);
            var actual = OpCheck.Run(device, op, inputs, values[..inputs.Length]);
            for (int o = 0; o < actual.Length; o++) Single.SameBits(types[op.Results[o]], values[op.Results[o]], actual[o], $"{c}, result {o}");
        }
        Cuda.Order(0);
    }

    /// <summary>The functions are written once for both, so an element has the same bits.</summary>
    [CudaTheory, MemberData(nameof(Elementwise))]
    public void Elementwise_kernels_give_the_processors_bits(int row)
    {
        var c = OpTable.Cases[row];
        // The processor's own function, which float64 agrees with to the last place.
        if (c.Op is Binary { Kind: BinaryKind.Power }) return;
        using CudaDevice device = new();
        using CpuDevice processor = new();
        byte[][] expected = Run(processor, c, 0), actual = Run(device, c, 0);
        var types = c.Op.Infer(SampleData.Types(c));
        for (int o = 0; o < types.Length; o++) Single.SameBits(types[o], expected[o], actual[o], c.ToString());
    }

    /// <summary>Where an op may write over an input, the result is that of writing elsewhere.</summary>
    [CudaTheory, MemberData(nameof(Computed))]
    public void Outputs_may_lie_on_the_inputs_they_may_overwrite(int row)
    {
        var c = OpTable.Cases[row];
        var types = SampleData.Types(c);
        var inputs = Array.ConvertAll(SampleData.Inputs<float>(c, 1), OpCheck.Encode);
        using var device = new CudaDevice();
        var expected = OpCheck.Run(device, c.Op, types, inputs);
        foreach (var overlay in OpCheck.Overlays(c.Op, types)) Assert.Equal(expected, OpCheck.Run(device, c.Op, types, inputs, overlay));
    }

    [CudaTheory, MemberData(nameof(Composites))]
    public void Fused_kernel_agrees_with_its_definition(int row)
    {
        var c = OpTable.Cases[row];
        var graph = new Graph();
        var outputs = graph.Add(c.Op, c.Inputs.Select((x, i) => graph.Input($"x{i}", x.Type)).ToArray());
        for (int i = 0; i < outputs.Length; i++) graph.Output($"y{i}", outputs[i]);
        var inputs = SampleData.Inputs<float>(c, 5);
        var exact = new Interpreter<double>(graph);
        var naive = new Interpreter<float>(graph);
        for (int i = 0; i < inputs.Length; i++)
        {
            SampleData.Inputs<double>(c, 5)[i].Floats.CopyTo(exact.Input($"x{i}").Floats, 0);
            inputs[i].Floats.CopyTo(naive.Input($"x{i}").Floats, 0);
        }
        exact.Run();
        naive.Run();
        using var device = new CudaDevice();
        var actual = Run(device, c, 5);
        for (int o = 0; o < actual.Length; o++) Assert.Null(OpCheck.Compare(c, exact.Output($"y{o}"), naive.Output($"y{o}"), OpCheck.Decode(outputs[o].Type, actual[o])));
    }

    /// <summary>CUDA has a kernel for every op that the processor implements, but for those that <see cref="OpTable.CpuOnly"/> lists, and that list names no others.</summary>
    [Fact]
    public void Every_op_of_the_processor_has_a_kernel_or_is_listed()
    {
        using var processor = new CpuDevice();
        string[] holes = OpTable.Cases.Where(c => !c.Op.IsAlias && processor.Implements(c.Op, SampleData.Types(c), c.Op.Infer(SampleData.Types(c))) && !HasKernel(c)).Select(c => c.Op.Name).Distinct().ToArray();
        output.WriteLine($"without a kernel: {string.Join(", ", holes)}");
        Assert.Empty(holes.Except(OpTable.CpuOnly.Keys)); // write the kernel, or list the op
        Assert.Empty(OpTable.CpuOnly.Keys.Except(holes)); // it has a kernel, or there is no such op: take it off the list
        Assert.DoesNotContain(OpTable.CpuOnly.Values, string.IsNullOrWhiteSpace);
    }

    private static byte[][] Run(Device device, OpCase c, ulong seed) => OpCheck.Run(device, c.Op, SampleData.Types(c), Array.ConvertAll(SampleData.Inputs<float>(c, seed), OpCheck.Encode));
}
