using Engine.Kernels.Cpu;

namespace Engine.Kernels.Cuda.Tests;

/// <summary>Elementwise kernels on numbers and shapes that the op table does not have.</summary>
public sealed class ElementwiseTests
{
    private static byte[] Bytes<T>(T[] values) where T : unmanaged => System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()).ToArray();

    private static void SameAsProcessor(Op op, TensorType[] types, byte[][] inputs, string what)
    {
        using CudaDevice device = new();
        using CpuDevice processor = new();
        Single.SameBits(op.Infer(types)[0], OpCheck.Run(processor, op, types, inputs)[0], OpCheck.Run(device, op, types, inputs)[0], what);
    }

    public static TheoryData<UnaryKind> Unaries => [.. Enum.GetValues<UnaryKind>()];

    public static TheoryData<BinaryKind> Binaries => [.. Enum.GetValues<BinaryKind>()];

    public static TheoryData<CompareKind> Comparisons => [.. Enum.GetValues<CompareKind>()];

    [CudaTheory, MemberData(nameof(Unaries))]
    public void Functions_of_all_kinds_of_numbers(UnaryKind kind)
    {
        var type = TensorType.Float([3001]);
        SameAsProcessor(new Unary(kind), [type], [Bytes(Single.Numbers(3001, 1))], kind.ToString());
    }

    [CudaTheory, MemberData(nameof(Binaries))]
    public void Functions_of_two_of_all_kinds_of_numbers(BinaryKind kind)
    {
        if (kind == BinaryKind.Power) return;
        var type = TensorType.Float([3001]);
        SameAsProcessor(new Binary(kind), [type, type], [Bytes(Single.Numbers(3001, 2)), Bytes(Single.Numbers(3001, 3))], kind.ToString());
        int[] x = Integers(3001, 4), y = Integers(3001, 5);
        var ints = TensorType.Int([3001]);
        SameAsProcessor(new Binary(kind), [ints, ints], [Bytes(x), Bytes(y)], kind.ToString());
    }

    [CudaTheory, MemberData(nameof(Comparisons))]
    public void Comparisons_of_all_kinds_of_numbers(CompareKind kind)
    {
        TensorType floats = TensorType.Float([3001]), ints = TensorType.Int([3001]);
        float[] x = Single.Numbers(3001, 6), y = Single.Numbers(3001, 7);
        for (int i = 0; i < x.Length; i += 5) y[i] = x[i];
        SameAsProcessor(new Compare(kind), [floats, floats], [Bytes(x), Bytes(y)], kind.ToString());
        SameAsProcessor(new Compare(kind), [ints, ints], [Bytes(Integers(3001, 8)), Bytes(Integers(3001, 9))], kind.ToString());
    }

    [CudaFact]
    public void Casts_of_all_kinds_of_numbers()
    {
        TensorType floats = TensorType.Float([3001]), ints = TensorType.Int([3001]);
        foreach (var to in new[] { DType.F32, DType.I32, DType.Bool, DType.BF16, DType.U8 }) SameAsProcessor(new Cast(to), [floats], [Bytes(Single.Numbers(3001, 10))], $"float to {to}");
        foreach (var to in new[] { DType.F32, DType.Bool, DType.U8 }) SameAsProcessor(new Cast(to), [ints], [Bytes(Integers(3001, 11))], $"int to {to}");
        byte[] images = Enumerable.Range(0, 3001).Select(i => (byte)i).ToArray();
        foreach (var to in new[] { DType.F32, DType.I32, DType.Bool, DType.U8 }) SameAsProcessor(new Cast(to), [TensorType.Byte([3001])], [images], $"byte to {to}");
        var halves = Array.ConvertAll(Single.Numbers(3001, 12), Bfloat16.FromSingle);
        SameAsProcessor(new Cast(DType.F32), [new(DType.BF16, [3001])], [Bytes(halves)], "bfloat16 to float");
        // Between two steps nothing is stored, and still the lower bits are gone.
        SameAsProcessor(new Fused(1, [new(new Cast(DType.BF16), [0]), new(new Cast(DType.F32), [1])]), [floats], [Bytes(Single.Numbers(3001, 13))], "float to bfloat16 and back");
    }

    /// <summary>Within a unit in the last place of float64's power; exactly where the result is exact or special.</summary>
    [CudaFact]
    public void Powers_of_all_kinds_of_numbers()
    {
        var pairs = Single.Special.SelectMany(x => Single.Special.Select(y => (X: x, Y: y))).ToList();
        float[] extraX = Single.Numbers(4000, 14), extraY = Single.Numbers(4000, 15);
        for (int i = 0; i < extraX.Length; i++)
        {
            pairs.Add((extraX[i], extraY[i]));
            pairs.Add((MathF.Abs(extraX[i]), extraY[i] % 4));
        }
        float[] xs = pairs.Select(p => p.X).ToArray(), ys = pairs.Select(p => p.Y).ToArray();
        var type = TensorType.Float([xs.Length]);
        using var device = new CudaDevice();
        var result = OpCheck.Decode(type, OpCheck.Run(device, new Binary(BinaryKind.Power), [type, type], [Bytes(xs), Bytes(ys)])[0]).Floats;
        int inexact = 0;
        for (int i = 0; i < xs.Length; i++)
        {
            double exact = Math.Pow(xs[i], ys[i]);
            float nearest = (float)exact;
            if (BitConverter.SingleToInt32Bits(nearest) == BitConverter.SingleToInt32Bits(result[i]) || (float.IsNaN(nearest) && float.IsNaN(result[i]))) continue;
            inexact++;
            Assert.True(double.IsFinite(exact) && (result[i] == MathF.BitIncrement(nearest) || result[i] == MathF.BitDecrement(nearest)), $"{xs[i]:R} to the power {ys[i]:R} is {result[i]:R}, expected {nearest:R}");
        }
        Assert.True(inexact <= 2, $"{inexact} of {xs.Length} are not the nearest float");
    }

    /// <summary>Rows of all lengths, broadcast in all ways, with the number of elements on both sides of a vector and of a block.</summary>
    [CudaFact]
    public void Shapes_and_broadcasts()
    {
        int shapes = 0;
        foreach (int rows in new[] { 1, 2, 3, 37, 64 })
            foreach (int columns in new[] { 1, 2, 3, 4, 5, 8, 31, 33, 256 })
                foreach (Shape other in new Shape[] { [rows, columns], [columns], [rows, 1], [1, columns], [], [1, 1] })
                {
                    if (!other.BroadcastsTo([rows, columns])) continue;
                    Check([rows, columns], other);
                    shapes++;
                }
        foreach (Shape other in new Shape[] { [5, 1, 4], [3, 1], [1, 3, 1], [4], [5, 3, 1], [1, 3, 4] }) Check([5, 3, 4], other);
        foreach (Shape other in new Shape[] { [2, 1, 3, 1], [5, 1, 4], [1, 5, 1, 1], [2, 1, 1, 4], [2, 5, 3, 1] }) Check([2, 5, 3, 4], other);
        Assert.True(shapes > 200);

        static void Check(Shape shape, Shape other)
        {
            TensorType x = TensorType.Float(shape), y = TensorType.Float(other);
            SameAsProcessor(new Binary(BinaryKind.Subtract), [x, y], [Bytes(Single.Numbers((int)x.Elements, 20)), Bytes(Single.Numbers((int)y.Elements, 21))], $"{shape} - {other}");
            SameAsProcessor(new Select(), [TensorType.Boolean(other), x, y], [Bools((int)y.Elements), Bytes(Single.Numbers((int)x.Elements, 22)), Bytes(Single.Numbers((int)y.Elements, 23))], $"select {shape} {other}");
        }
    }

    /// <summary>Many elements: four a thread, with and without a rest.</summary>
    [CudaFact]
    public void Large_tensors_take_four_elements_a_thread()
    {
        using var device = new CudaDevice();
        int threshold = 4 * 256 * device.Limits.Multiprocessors;
        if (threshold > 1 << 20) return; // Shapes_and_broadcasts covers a large GPU's small kernels; the stand-in is small
        var steps = new Fused(4, [new(new Binary(BinaryKind.Multiply), [0, 1]), new(new Binary(BinaryKind.Add), [4, 2]), new(new Unary(UnaryKind.Tanh), [5]), new(new Select(), [3, 6, 0])]);
        foreach (var (rows, columns) in new[] { (threshold / 4, 4), (threshold / 6 + 1, 6), (threshold / 8, 9), (1, threshold + 3), (threshold + 1, 1), (64, threshold / 64) })
            foreach (Shape bias in new Shape[] { [columns], [rows, 1], [] })
            {
                TensorType x = TensorType.Float([rows, columns]), b = TensorType.Float(bias);
                SameAsProcessor(steps, [x, b, x, TensorType.Boolean([rows, columns])], [Bytes(Single.Numbers((int)x.Elements, 30)), Bytes(Single.Numbers((int)b.Elements, 31)), Bytes(Single.Numbers((int)x.Elements, 32)), Bools((int)x.Elements)], $"[{rows},{columns}] and {bias}");
            }
        var halves = new Fused(1, [new(new Cast(DType.BF16), [0])]);
        var big = TensorType.Float([threshold + 7]);
        SameAsProcessor(halves, [big], [Bytes(Single.Numbers(threshold + 7, 33))], "to bfloat16");
        SameAsProcessor(new Copy(), [new(DType.Bool, [threshold + 5])], [Bools(threshold + 5)], "copy of booleans");
        SameAsProcessor(new Copy(), [TensorType.Byte([threshold + 5])], [Enumerable.Range(0, threshold + 5).Select(i => (byte)i).ToArray()], "copy of bytes");
        SameAsProcessor(new Cast(DType.U8), [big], [Bytes(Single.Numbers(threshold + 7, 36))], "to bytes");
        SameAsProcessor(new Compare(CompareKind.Less), [big, big], [Bytes(Single.Numbers(threshold + 7, 34)), Bytes(Single.Numbers(threshold + 7, 35))], "less");
    }

    /// <summary>More inputs than a launch takes: a launch a step.</summary>
    [CudaFact]
    public void Sums_of_many_inputs()
    {
        const int count = 70;
        var sum = new Fused(count, Enumerable.Range(0, count - 1).Select(i => new FusedStep(new Binary(BinaryKind.Add), i == 0 ? [0, 1] : [count + i - 1, i + 1])).ToArray());
        var types = Enumerable.Repeat(TensorType.Float([5]), count).ToArray();
        SameAsProcessor(sum, types, Enumerable.Range(0, count).Select(i => Bytes(Single.Numbers(5, (ulong)i))).ToArray(), "sum of 70");
    }

    private static byte[] Bools(int n)
    {
        var stream = new PhiloxStream(3, "bools");
        return Enumerable.Range(0, n).Select(_ => (byte)stream.NextInt(2)).ToArray();
    }

    private static int[] Integers(int n, ulong seed)
    {
        var stream = new PhiloxStream(seed, "integers");
        int[] special = [0, 1, -1, 2, -2, 7, -7, int.MaxValue, int.MinValue, int.MinValue + 1];
        return Enumerable.Range(0, n).Select(i => i % 2 == 0 ? special[stream.NextInt(special.Length)] : stream.NextInt(int.MaxValue) - (1 << 30)).ToArray();
    }
}
