using System.Runtime.InteropServices;
using Engine.Kernels.Cpu;
using Engine.Kernels.Cuda.Tests;
using Xunit.Abstractions;
using Single = Engine.Kernels.Cuda.Tests.Single;

namespace Engine.Kernels.Ilgpu.Tests;

/// <summary>Elementwise ops and expressions on numbers that the op table does not have: the processor's bits.</summary>
public sealed class ElementwiseTests(ITestOutputHelper output)
{
    private const int DebuggerCount = 2001, OpenClCount = 50_001;

    private static byte[] Numbers(int n, ulong seed) => Bytes(Single.Numbers(n, seed));

    private static byte[] Integers(int n, ulong seed)
    {
        var stream = new PhiloxStream(seed, "integers");
        var x = new int[n];
        for (int i = 0; i < n; i++) x[i] = (i % 4) switch { 0 => stream.NextInt(7) - 3, 1 => (int)stream.NextUInt(), 2 => stream.NextInt(2) == 0 ? int.MinValue : int.MaxValue, _ => stream.NextInt(2001) - 1000 };
        return Bytes(x);
    }

    private static byte[] Bytes<T>(T[] values) where T : unmanaged => MemoryMarshal.AsBytes(values.AsSpan()).ToArray();

    private static void SameAsProcessor(IlgpuDevice device, Op op, TensorType[] types, byte[][] inputs, string what)
    {
        using CpuDevice processor = new();
        Single.SameBits(op.Infer(types)[0], OpCheck.Run(processor, op, types, inputs)[0], OpCheck.Run(device, op, types, inputs)[0], $"{what} on {device.Name}");
    }

    private static void Functions(IlgpuDevice device, int n)
    {
        TensorType floats = TensorType.Float([n]), ints = TensorType.Int([n]);
        foreach (var kind in Enum.GetValues<UnaryKind>()) SameAsProcessor(device, new Unary(kind), [floats], [Numbers(n, 1)], kind.ToString());
        foreach (var kind in new[] { UnaryKind.Negate, UnaryKind.Abs }) SameAsProcessor(device, new Unary(kind), [ints], [Integers(n, 1)], $"{kind} of ints");
        foreach (var kind in Enum.GetValues<BinaryKind>())
        {
            if (kind == BinaryKind.Power) continue; // the processor's own function
            SameAsProcessor(device, new Binary(kind), [floats, floats], [Numbers(n, 2), Numbers(n, 3)], kind.ToString());
            SameAsProcessor(device, new Binary(kind), [ints, ints], [Integers(n, 4), Integers(n, 5)], $"{kind} of ints");
        }
        foreach (var kind in Enum.GetValues<CompareKind>())
        {
            SameAsProcessor(device, new Compare(kind), [floats, floats], [Numbers(n, 6), Numbers(n, 6)[..^4].Prepend((byte)0).Prepend((byte)0).Prepend((byte)0).Prepend((byte)0).ToArray()], kind.ToString());
            SameAsProcessor(device, new Compare(kind), [ints, ints], [Integers(n, 8), Integers(n, 9)], $"{kind} of ints");
        }
        foreach (var to in new[] { DType.F32, DType.I32, DType.Bool, DType.BF16, DType.U8 }) SameAsProcessor(device, new Cast(to), [floats], [Numbers(n, 10)], $"float to {to}");
        foreach (var to in new[] { DType.F32, DType.Bool, DType.U8 }) SameAsProcessor(device, new Cast(to), [ints], [Integers(n, 11)], $"int to {to}");
        SameAsProcessor(device, new Fma(), [floats, floats, floats], [Numbers(n, 12), Numbers(n, 13), Numbers(n, 14)], "fma");
    }

    [Fact]
    public void Functions_of_all_kinds_of_numbers() => Functions(Accelerator.Debugger, DebuggerCount);

    [OpenClFact]
    public void Functions_of_all_kinds_of_numbers_on_OpenCL() => Functions(Accelerator.OpenCl, OpenClCount);

    /// <summary>Powers agree with those in float64, rounded, for all kinds of numbers.</summary>
    [Fact]
    public void Powers_of_all_kinds_of_numbers()
    {
        var type = TensorType.Float([DebuggerCount]);
        byte[] x = Numbers(DebuggerCount, 2), y = Numbers(DebuggerCount, 3);
        float[] actual = MemoryMarshal.Cast<byte, float>(OpCheck.Run(Accelerator.Debugger, new Binary(BinaryKind.Power), [type, type], [x, y])[0]).ToArray();
        for (int i = 0; i < actual.Length; i++)
        {
            float a = BitConverter.ToSingle(x, 4 * i), b = BitConverter.ToSingle(y, 4 * i), expected = (float)Math.Pow(a, b);
            Assert.True(expected.Equals(actual[i]) || MathF.BitIncrement(expected) == actual[i] || MathF.BitDecrement(expected) == actual[i], $"{a:R}^{b:R} is {actual[i]:R}, expected {expected:R}");
        }
    }

    private int Expressions(IlgpuDevice device, int cases)
    {
        using CpuDevice processor = new() { CompileFrom = long.MaxValue };
        int made = 0;
        for (ulong seed = 0; made < cases; seed++)
        {
            var expression = new RandomExpression(seed);
            if (!device.Implements(expression.Op, expression.Types, []) || expression.Op.Steps.Any(s => s.Op is Binary { Kind: BinaryKind.Power })) continue;
            made++;
            var type = expression.Op.Infer(expression.Types)[0];
            byte[] expected = OpCheck.Run(processor, expression.Op, expression.Types, expression.Inputs)[0];
            Single.SameBits(type, expected, OpCheck.Run(device, expression.Op, expression.Types, expression.Inputs)[0], $"seed {seed}, {expression.Op}");
            foreach (var overlay in OpCheck.Overlays(expression.Op, expression.Types))
                Single.SameBits(type, expected, OpCheck.Run(device, expression.Op, expression.Types, expression.Inputs, overlay)[0], $"seed {seed}, {expression.Op} over {overlay}");
        }
        output.WriteLine($"{device.CompiledKernels} kernels so far");
        return made;
    }

    /// <summary>Random expressions: the processor's bits, whichever input the result is written over.</summary>
    [Fact]
    public void Expressions_have_the_processors_bits() => Assert.Equal(150, Expressions(Accelerator.Debugger, 150));

    [OpenClFact]
    public void Expressions_have_the_processors_bits_on_OpenCL() => Assert.Equal(25, Expressions(Accelerator.OpenCl, 25));

    /// <summary>All of a denoising step is one launch, without a kernel of its own.</summary>
    [Fact]
    public void A_denoising_step_is_one_kernel()
    {
        foreach (var c in OpTable.Cases.Where(c => c.Op is DenoiseStep))
        {
            using Autodiff.State state = new(Accelerator.Debugger);
            using var program = Autodiff.Program.Trace(state, g => g.Output("y", Autodiff.Graph.Apply(c.Op, c.Inputs.Select((x, i) => g.Input($"x{i}", x.Type)).ToArray())));
            Assert.Equal(1, program.KernelCount);
        }
    }

    [Fact]
    public void Equal_expressions_share_a_kernel_and_so_do_numbers_of_rows()
    {
        using IlgpuDevice device = new("ilgpu:cpu");
        Fused Made() => new(2, [new(new Binary(BinaryKind.Add), [0, 1]), new(new Unary(UnaryKind.Tanh), [2])]);
        void Run(Op op, params Shape[] shapes) => OpCheck.Run(device, op, Array.ConvertAll(shapes, s => TensorType.Float(s)), Array.ConvertAll(shapes, s => new byte[4 * s.Elements]));
        Run(Made(), [4, 3], [3]);
        Assert.Equal(1, device.CompiledKernels);
        Run(Made(), [4, 3], [3]);
        Run(Made(), [9, 3], [3]);
        Assert.Equal(1, device.CompiledKernels);
        Run(Made(), [4, 5], [5]); // walked otherwise
        Run(Made(), [4, 3], [4, 3]);
        Assert.Equal(3, device.CompiledKernels);
        Run(Made(), [7], [7]);
        Assert.Equal(3, device.CompiledKernels);
    }
}
