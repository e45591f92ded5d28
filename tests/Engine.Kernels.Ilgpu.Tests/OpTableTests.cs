using Engine.Kernels.Cpu;
using Engine.Kernels.Ilgpu.Runtime;
using Xunit.Abstractions;
using Single = Engine.Kernels.Cuda.Tests.Single;

namespace Engine.Kernels.Ilgpu.Tests;

/// <summary>Every op of the op table on ILGPU, against the float64 reference and against the processor.</summary>
[Trait("Speed", "Slow")] // a kernel is compiled for every case
public sealed class OpTableTests(ITestOutputHelper output)
{
    private static bool HasKernel(OpCase c) => IlgpuDevice.HasKernel(c.Op, SampleData.Types(c), c.Op.Infer(SampleData.Types(c)));

    /// <summary>Indices of the cases that have a kernel.</summary>
    public static TheoryData<int> Computed => [.. WithKernels];

    private static IEnumerable<int> WithKernels => Enumerable.Range(0, OpTable.Cases.Count).Where(i => !OpTable.Cases[i].Op.IsAlias && OpTable.Cases[i].Op is not Composite && HasKernel(OpTable.Cases[i]));

    // Sums of rows are added in an order of their own, and a power is the processor's own function. Of long products it adds up parts, which are shorter where the left factor is transposed.
    private static bool HasTheProcessorsBits(OpCase c) => c.Op switch
    {
        Reduce { Kind: ReduceKind.Sum } or Binary { Kind: BinaryKind.Power } => false,
        MatMul { TransposeA: true } or FusedMatMul { Product.TransposeA: true } => c.Inputs[0].Type.Shape[^2] <= 320,
        MatMul or FusedMatMul => c.Inputs[0].Type.Shape[^1] <= 1024,
        _ => true,
    };

    private static byte[][] Run(Device device, OpCase c, ulong seed) => OpCheck.Run(device, c.Op, SampleData.Types(c), Array.ConvertAll(SampleData.Inputs<float>(c, seed), OpCheck.Encode));

    private static void Check(Device device, OpCase c)
    {
        var exact = SampleData.Reference(c, SampleData.Inputs<double>(c, 0));
        var naive = SampleData.Reference(c, SampleData.Inputs<float>(c, 0));
        var actual = Run(device, c, 0);
        for (int o = 0; o < actual.Length; o++) Assert.Null(OpCheck.Compare(c, exact[o], naive[o], OpCheck.Decode(exact[o].Type, actual[o])));
        if (!HasTheProcessorsBits(c)) return;
        using CpuDevice processor = new();
        var expected = Run(processor, c, 0);
        for (int o = 0; o < actual.Length; o++) Single.SameBits(exact[o].Type, expected[o], actual[o], c.ToString());
    }

    [Theory, MemberData(nameof(Computed))]
    public void Kernel_agrees_with_the_reference_and_has_the_processors_bits(int row) => Check(Accelerator.Debugger, OpTable.Cases[row]);

    /// <summary>Of every op, of every kind and type, one case.</summary>
    public static TheoryData<int> OneOfEach => [.. WithKernels.Where(i => OpTable.Cases[i].Op.Infer(SampleData.Types(OpTable.Cases[i]))[0].Elements > 0)
        .GroupBy(i => (OpTable.Cases[i].Op is Fused ? OpTable.Cases[i].Op.ToString() : OpTable.Cases[i].Op.Name, OpTable.Cases[i].Inputs.FirstOrDefault().Type.DType)).Select(g => g.MaxBy(i => OpTable.Cases[i].Inputs.Sum(x => x.Type.Elements)))];

    // A driver takes a tenth to half a second for a kernel that it has not seen.
    [OpenClTheory, MemberData(nameof(OneOfEach))]
    public void Every_op_agrees_on_OpenCL(int row) => Check(Accelerator.OpenCl, OpTable.Cases[row]);

    [OpenClTheory, MemberData(nameof(Computed))]
    public void Every_case_agrees_on_OpenCL(int row) => Check(Accelerator.OpenCl, OpTable.Cases[row]);

    /// <summary>Where an op may write over an input, the result is that of writing elsewhere.</summary>
    [Theory, MemberData(nameof(Computed))]
    public void Outputs_may_lie_on_the_inputs_they_may_overwrite(int row)
    {
        var c = OpTable.Cases[row];
        var types = SampleData.Types(c);
        var inputs = Array.ConvertAll(SampleData.Inputs<float>(c, 1), OpCheck.Encode);
        byte[][]? expected = null;
        foreach (var overlay in OpCheck.Overlays(c.Op, types))
        {
            expected ??= OpCheck.Run(Accelerator.Debugger, c.Op, types, inputs);
            Assert.Equal(expected, OpCheck.Run(Accelerator.Debugger, c.Op, types, inputs, overlay));
        }
    }

    /// <summary>The kernels for processors under OpenCL and for GPUs, run on the debugger: the same bits.</summary>
    [Fact]
    public void Schedules_of_other_accelerators_give_the_same_bits()
    {
        var products = OpTable.Cases.Where(c => c.Op is MatMul or FusedMatMul or Linear && HasKernel(c)).ToArray();
        var expected = Array.ConvertAll(products, c => Run(Accelerator.Debugger, c, 4));
        try
        {
            foreach (var kind in new[] { AcceleratorKind.Processor, AcceleratorKind.Gpu })
            {
                Accelerator.Debugger.Schedule = kind;
                for (int i = 0; i < products.Length; i++) Assert.Equal(expected[i], Run(Accelerator.Debugger, products[i], 4));
            }
        }
        finally
        {
            Accelerator.Debugger.Schedule = AcceleratorKind.Debugger;
        }
    }

    /// <summary>Composites that have a kernel.</summary>
    public static TheoryData<int> Composites => [.. Enumerable.Range(0, OpTable.Cases.Count).Where(i => OpTable.Cases[i].Op is Composite && HasKernel(OpTable.Cases[i]))];

    /// <summary>The processor's kernels of composites have the bits of their definitions, and so have these.</summary>
    [Theory, MemberData(nameof(Composites))]
    public void Composites_have_the_processors_bits(int row)
    {
        var c = OpTable.Cases[row];
        using CpuDevice processor = new();
        Assert.Equal(Run(processor, c, 5), Run(Accelerator.Debugger, c, 5));
        if (Accelerator.Absent is null) Assert.Equal(Run(processor, c, 5), Run(Accelerator.OpenCl, c, 5));
    }

    /// <summary>An op of the processor has a kernel, or stands in the list of those that have none, with what happens instead; the list names no others.</summary>
    [Fact]
    public void Every_op_of_the_processor_has_a_kernel_or_is_listed()
    {
        using var processor = new CpuDevice();
        string[] holes = OpTable.Cases.Where(c => !c.Op.IsAlias && processor.Implements(c.Op, SampleData.Types(c), c.Op.Infer(SampleData.Types(c))) && !HasKernel(c)).Select(c => c.Op.GetType().Name).Distinct().ToArray();
        output.WriteLine($"without a kernel: {string.Join(", ", holes)}");
        Assert.Empty(holes.Except(IlgpuDevice.NotMade.Keys)); // write the kernel, or list the op
        Assert.Empty(IlgpuDevice.NotMade.Keys.Except(holes)); // it has a kernel, or there is no such op: take it off the list
        Assert.DoesNotContain(IlgpuDevice.NotMade.Values, string.IsNullOrWhiteSpace);
    }
}
