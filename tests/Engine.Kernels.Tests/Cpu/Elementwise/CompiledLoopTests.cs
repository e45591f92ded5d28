using Engine.Kernels.Cpu;

namespace Engine.Kernels.Tests.Cpu;

/// <summary>Loops compiled for fused expressions give the bits of their steps run one after another.</summary>
public unsafe class CompiledLoopTests
{
    private static readonly Op Add = new Binary(BinaryKind.Add), Multiply = new Binary(BinaryKind.Multiply);

    // Lengths around the vectors' and the tiles', below and above where a loop aligns itself.
    private static readonly int[] Lengths = [1, 3, 15, 16, 17, 31, 33, 64, 100, 511, 513, 1030, 16_384, 20_001];

    private static readonly float[] Special = [0f, -0f, 1f, -1f, 0.5f, -2.5f, 1e-40f, -1e-40f, 3.4e38f, -3.4e38f, 88.7f, -104f, 7e4f, 2e9f, 3e9f, float.NaN, float.PositiveInfinity, float.NegativeInfinity];

    private static void Check(Fused op, Func<int, TensorType[]> types)
    {
        foreach (int n in Lengths)
            foreach (int misalignment in n is 17 or 1030 ? new[] { 0, 1, 5 } : [1])
            {
                var inputs = types(n);
                var output = op.Infer(inputs)[0];
                byte[] expected = Run(op, inputs, output, false, misalignment), actual = Run(op, inputs, output, true, misalignment);
                for (int i = 0; i < expected.Length; i += output.DType.Bytes())
                {
                    if (output.DType == DType.F32) Bits.Same(BitConverter.ToSingle(expected, i), BitConverter.ToSingle(actual, i), $"{op}, {n} elements, element {i / 4}");
                    else if (!expected.AsSpan(i, output.DType.Bytes()).SequenceEqual(actual.AsSpan(i, output.DType.Bytes()))) Assert.Fail($"{op}, {n} elements: element {i / output.DType.Bytes()} differs");
                }
            }
    }

    private static byte[] Run(Fused op, TensorType[] inputs, TensorType output, bool compiled, int misalignment)
    {
        var kernel = new ElementwiseKernel(op, inputs, output);
        if (compiled)
        {
            kernel.Compile();
            Assert.StartsWith("compiled", kernel.Variant, StringComparison.Ordinal);
        }
        TensorType[] types = [.. inputs, output];
        var buffers = Array.ConvertAll(types, t => new GuardedBuffer<byte>((int)t.Bytes, misalignment * t.DType.Bytes()));
        using var scratch = new GuardedBuffer<byte>((int)kernel.ScratchBytes, 0);
        void** operands = stackalloc void*[types.Length];
        for (int i = 0; i < types.Length; i++)
        {
            operands[i] = buffers[i].Pointer;
            if (i == inputs.Length) continue;
            var stream = new PhiloxStream(3, $"input {i}");
            for (int k = 0; k < types[i].Elements; k++)
            {
                float x = k % 5 == i % 5 ? Special[stream.NextInt(Special.Length)] : (float)stream.NextUniform(-4, 4);
                switch (types[i].DType)
                {
                    case DType.F32: ((float*)operands[i])[k] = x; break;
                    case DType.I32: ((int*)operands[i])[k] = float.IsFinite(x) ? (int)x : int.MinValue; break;
                    case DType.BF16: ((ushort*)operands[i])[k] = (ushort)(BitConverter.SingleToUInt32Bits(x) >> 16); break;
                    case DType.U8: ((byte*)operands[i])[k] = (byte)k; break;
                    default: ((byte*)operands[i])[k] = (byte)(x > 0 ? 1 : 0); break;
                }
            }
        }
        for (int chunk = 0; chunk < kernel.Chunks; chunk++) kernel.RunChunk(chunk, operands, scratch.Pointer);
        byte[] result = buffers[^1].Span.ToArray();
        foreach (var buffer in buffers)
        {
            buffer.Check();
            buffer.Dispose();
        }
        scratch.Check();
        return result;
    }

    private static TensorType Float(params int[] shape) => new(DType.F32, shape);

    [Fact]
    public void Functions_of_one_float()
    {
        foreach (var kind in Enum.GetValues<UnaryKind>().Where(k => k != UnaryKind.Softplus)) Check(new Fused(1, [new(new Unary(kind), [0]), new(Add, [1, 0])]), n => [Float(n)]);
    }

    [Fact]
    public void Functions_of_two_floats()
    {
        foreach (var kind in Enum.GetValues<BinaryKind>().Where(k => k != BinaryKind.Power))
        {
            Fused op = new(2, [new(new Binary(kind), [0, 1]), new(new Unary(UnaryKind.Negate), [2])]);
            Check(op, n => [Float(n), Float(n)]);
            Check(op, n => [Float(n), Float()]);
            Check(op, n => [Float(1), Float(n)]);
            Check(new Fused(2, [new(new Broadcast([20, 300]), [1]), new(new Binary(kind), [2, 0]), new(Add, [0, 3])]), _ => [Float(20, 300), Float(20, 1)]);
        }
    }

    [Fact]
    public void Functions_of_two_ints()
    {
        foreach (var kind in Enum.GetValues<BinaryKind>().Where(k => k is not (BinaryKind.Power or BinaryKind.Divide or BinaryKind.Modulo or BinaryKind.FloorDivide)))
            Check(new Fused(2, [new(new Binary(kind), [0, 1]), new(new Binary(kind), [2, 0])]), n => [new(DType.I32, [n]), new(DType.I32, [n])]);
    }

    [Fact]
    public void Comparisons_logic_and_selection()
    {
        foreach (var type in new[] { DType.F32, DType.I32 })
            foreach (var kind in Enum.GetValues<CompareKind>())
                foreach (var logic in Enum.GetValues<LogicalKind>())
                {
                    FusedStep[] steps = [new(new Compare(kind), [0, 1]), new(new Logical(logic), [3, 2]), new(new Select(), [4, 0, 1])];
                    Check(new Fused(3, steps), n => [new(type, [n]), new(type, [n]), new(DType.Bool, [n])]);
                    Check(new Fused(3, steps), n => [new(type, [n]), new(type, []), new(DType.Bool, [])]);
                    Check(new Fused(3, steps[..2]), n => [new(type, [n]), new(type, [n]), new(DType.Bool, [n])]);
                }
    }

    [Fact]
    public void Conversions()
    {
        DType[] types = [DType.F32, DType.I32, DType.Bool, DType.BF16, DType.U8];
        bool Exists(DType from, DType to) => from == to || from != DType.BF16 && to != DType.BF16 || from == DType.F32 || to == DType.F32;
        foreach (var from in types)
            foreach (var between in types)
                foreach (var to in types)
                    if (Exists(from, between) && Exists(between, to) && between != from) Check(new Fused(1, [new(new Cast(between), [0]), new(new Cast(to), [1])]), n => [new(from, [n])]);
        // What is rounded away does not come back.
        Check(new Fused(1, [new(new Cast(DType.BF16), [0]), new(new Cast(DType.F32), [1]), new(new Binary(BinaryKind.Subtract), [0, 2])]), n => [Float(n)]);
        Check(new Fused(2, [new(new Broadcast([4099]), [1]), new(new Cast(DType.F32), [2]), new(Multiply, [0, 3])]), _ => [Float(4099), new(DType.BF16, [])]);
    }

    [Fact]
    public void Rows_and_columns()
    {
        Fused op = new(3, [new(Add, [0, 1]), new(Multiply, [3, 2]), new(new Unary(UnaryKind.Tanh), [4]), new(new Fma(), [5, 0, 3])]);
        foreach (var (rows, columns) in new[] { (1, 1), (7, 3), (300, 6), (40, 256), (5, 4099), (3, 20_000) })
        {
            Check(op, _ => [Float(rows, columns), Float(columns), Float(rows, 1)]);
            Check(op, _ => [Float(rows, columns), Float(rows, 1), Float()]);
        }
    }

    [Fact]
    public void Many_steps_and_many_operands()
    {
        var steps = new List<FusedStep>();
        const int inputs = 30;
        for (int i = 0; i < 120; i++) steps.Add(new((i % 4) switch { 0 => Add, 1 => Multiply, 2 => new Unary(i == 62 ? UnaryKind.Sigmoid : UnaryKind.Relu), _ => new Unary(UnaryKind.Sqrt) }, i % 4 < 2 ? [i == 0 ? 0 : inputs + i - 1, i % inputs] : [inputs + i - 1]));
        Check(new Fused(inputs, steps), n => [.. Enumerable.Range(0, inputs).Select(i => i % 7 == 3 ? Float() : Float(n))]);
    }

    [Fact]
    public void What_is_not_written_over_lanes_and_several_long_functions_run_step_by_step()
    {
        foreach (FusedStep[] steps in new FusedStep[][] { [new(new Binary(BinaryKind.Power), [0, 1]), new(Add, [2, 0])], [new(new Unary(UnaryKind.Exp), [0]), new(Add, [2, 1]), new(new Unary(UnaryKind.Tanh), [3])], [new(new Unary(UnaryKind.Softplus), [0]), new(Add, [2, 1])] })
        {
            var kernel = new ElementwiseKernel(new Fused(2, steps), [Float(5000), Float(5000)], Float(5000));
            kernel.Compile();
            Assert.StartsWith("vector", kernel.Variant, StringComparison.Ordinal);
        }
    }
}
