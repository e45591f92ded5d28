using System.Runtime.InteropServices;
using Engine.Kernels.Cpu;

namespace Engine.Kernels.Tests;

/// <summary>Every primitive of the op table on the CPU against the float64 reference, with guard words after every buffer.</summary>
public unsafe class CpuForwardTests
{
    private const int Guard = 64;
    private const byte Pattern = 0xA5;

    public static TheoryData<int> Rows()
    {
        var rows = new TheoryData<int>();
        for (int i = 0; i < OpTable.Cases.Count; i++)
            if (OpTable.Cases[i].Op is not (Composite or Reshape or StopGradient or Print)) rows.Add(i);
        return rows;
    }

    [Theory]
    [MemberData(nameof(Rows))]
    public void Kernel_agrees_with_the_reference(int row)
    {
        var c = OpTable.Cases[row];
        for (ulong seed = 0; seed < 3; seed++)
        {
            var exact = SampleData.Reference(c, SampleData.Inputs<double>(c, seed));
            var naive = SampleData.Reference(c, SampleData.Inputs<float>(c, seed));
            var actual = RunKernel(c, SampleData.Inputs<float>(c, seed));
            for (int o = 0; o < actual.Length; o++) Assert.Null(OpCheck.Compare(c, exact[o], naive[o], actual[o]));
            var compiled = RunKernel(c, SampleData.Inputs<float>(c, seed), true);
            for (int o = 0; o < actual.Length; o++) for (int k = 0; k < actual[o].Type.Elements; k++) Assert.Equal(BitConverter.DoubleToInt64Bits(actual[o][k]), BitConverter.DoubleToInt64Bits(compiled[o][k]));
        }
    }

    /// <summary>Runs the kernel's chunks in reverse order on buffers of exactly the right size between guard words.</summary>
    private static ReferenceTensor<float>[] RunKernel(OpCase c, ReferenceTensor<float>[] inputs, bool compile = false)
    {
        var inputTypes = SampleData.Types(c);
        var outputTypes = c.Op.Infer(inputTypes);
        var kernel = CpuKernels.Create(c.Op, inputTypes, outputTypes);
        if (compile) kernel.Compile();
        var types = inputTypes.Concat(outputTypes).ToArray();
        byte** buffers = stackalloc byte*[types.Length];
        for (int i = 0; i < types.Length; i++)
        {
            buffers[i] = Allocate(types[i].Bytes);
            if (i < inputs.Length) OpCheck.Encode(inputs[i], buffers[i] + Guard);
        }
        byte* scratch = Allocate(kernel.ScratchBytes);
        void** operands = stackalloc void*[types.Length];
        for (int i = 0; i < types.Length; i++) operands[i] = buffers[i] + Guard;

        for (int chunk = kernel.Chunks - 1; chunk >= 0; chunk--) kernel.RunChunk(chunk, operands, scratch + Guard);

        var outputs = new ReferenceTensor<float>[outputTypes.Length];
        for (int i = 0; i < types.Length; i++)
        {
            Check(c, i, buffers[i], types[i].Bytes);
            if (i >= inputs.Length) outputs[i - inputs.Length] = OpCheck.Decode(types[i], buffers[i] + Guard);
            NativeMemory.AlignedFree(buffers[i]);
        }
        Check(c, -1, scratch, kernel.ScratchBytes);
        NativeMemory.AlignedFree(scratch);
        return outputs;
    }

    private static byte* Allocate(long bytes)
    {
        var memory = (byte*)NativeMemory.AlignedAlloc((nuint)(bytes + 2 * Guard), 64);
        NativeMemory.Fill(memory, (nuint)(bytes + 2 * Guard), Pattern);
        return memory;
    }

    private static void Check(OpCase c, int operand, byte* buffer, long bytes)
    {
        for (int i = 0; i < Guard; i++)
            Assert.True(buffer[i] == Pattern && buffer[Guard + bytes + i] == Pattern, $"{c}: operand {operand} was written outside its {bytes} bytes");
    }

    [Fact]
    public void Every_op_type_is_in_the_table()
    {
        var known = OpTable.Cases.Select(c => c.Op.GetType()).Concat(OpTable.Structural).ToHashSet();
        var all = typeof(Op).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(Op)) && !t.IsAbstract).ToArray();
        Assert.Empty(all.Except(known).Select(t => t.Name));
    }

    [Fact]
    public void The_cpu_implements_every_op_that_is_computed()
    {
        using var device = new CpuDevice();
        // All of a denoising step is elementwise: its definition is one kernel.
        var holes = OpTable.Cases.Where(c => !c.Op.IsAlias && c.Op is not DenoiseStep && !device.Implements(c.Op, SampleData.Types(c), c.Op.Infer(SampleData.Types(c)))).Select(c => c.Op.Name).Distinct();
        Assert.Empty(holes);
    }
}
