using Engine.Autodiff;
using Engine.Autodiff.Tests;
using Engine.Kernels.Cuda.Launches;
using Xunit.Abstractions;

namespace Engine.Kernels.Cuda.Tests;

/// <summary>Rows that go through several products in one launch: they have the bits of the products one after the other.</summary>
public sealed class ChainTests(ITestOutputHelper output)
{
    private static readonly CudaLimits H200 = new(90, 132, 227 * 1024);

    private static readonly Linear Hidden = new(Activation.Relu), Plain = new(Activation.None);
    private static readonly MatMul Forward = new(false, false), Back = new(false, true);
    private static readonly FusedMatMul Masked = new(Back, false, true);

    public static TheoryData<int> Kernels => [.. Enumerable.Range(1, MatMulChains.Kernels.Length)];

    private static SampleInput F(params int[] shape) => new(TensorType.Float(shape), -1, 1);

    private static SampleInput W(params int[] shape) => new(TensorType.Float(shape), -0.3, 0.3);

    /// <summary>Layers of these widths with weights of so many members (0: one for all); every result is kept, or the last.</summary>
    private static (MatMulChain, SampleInput[]) Layers(SampleInput x, int members, bool all, params int[] widths)
    {
        int[] of = members > 0 ? [members] : [];
        int count = widths.Length - 1;
        IEnumerable<SampleInput> inputs = Enumerable.Range(0, count).SelectMany(i => new[] { W([.. of, widths[i], widths[i + 1]]), F([.. of, widths[i + 1]]) });
        return (new MatMulChain([.. Enumerable.Repeat(Hidden, count - 1), Plain], all ? Enumerable.Range(0, count).ToArray() : [count - 1]), [x, .. inputs]);
    }

    /// <summary>The way of a gradient back through layers of these widths, the last one first; masks but for the last result.</summary>
    private static (MatMulChain, SampleInput[]) Gradients(SampleInput x, int members, int m, bool all, params int[] widths)
    {
        int[] of = members > 0 ? [members] : [], rows = MatMul.Batch(x.Type.Shape).Elements > 1 || members > 0 ? [.. x.Type.Shape.Rank > 2 ? [x.Type.Shape[0]] : of] : [];
        int count = widths.Length - 1;
        var inputs = Enumerable.Range(0, count).SelectMany(i => (SampleInput[])[W([.. of, widths[i + 1], widths[i]]), .. i < count - 1 ? [F([.. rows, m, widths[i + 1]])] : Array.Empty<SampleInput>()]);
        return (new MatMulChain([.. Enumerable.Repeat((Op)Masked, count - 1), Back], all ? Enumerable.Range(0, count).ToArray() : [count - 1]), [x, .. inputs]);
    }

    /// <summary>What the kernels take: few and many rows, lines that end within a vector or a tile, few terms first, few columns last, matrices of each member and of all.</summary>
    private static IEnumerable<(MatMulChain Op, SampleInput[] Inputs)> Cases()
    {
        foreach (int m in new[] { 9, 40, 131 })
        {
            yield return Layers(F(m, 7), 0, false, 7, 36, 20, 1);
            yield return Layers(F(m, 33), 3, true, 33, 64, 12, 128, 6);
            yield return Gradients(F(2, m, 1), 2, m, true, 1, 36, 20, 7);
            yield return Gradients(F(m, 24), 0, m, false, 24, 12, 44);
        }
        yield return Layers(F(2, 21, 23), 2, true, 23, 256, 256, 8);
        yield return Gradients(F(2, 21, 1), 2, 21, true, 1, 256, 256, 23);
        // Rows that share all matrices; some of them.
        yield return Layers(F(3, 21, 40), 0, true, 40, 36, 20);
        yield return Gradients(F(3, 21, 8), 0, 21, true, 8, 36, 20, 9);
        yield return (new MatMulChain([Hidden, Hidden, Plain], [2]), [F(3, 10, 5), W(5, 12), F(12), W(3, 12, 32), F(3, 32), W(32, 40), F(40)]);
        yield return (new MatMulChain([Forward, Hidden, Forward], [0, 2]), [F(30, 12), W(2, 12, 16), W(16, 40), F(40), W(2, 40, 28)]);
        // Few terms, and no link that goes through tiles.
        yield return Layers(F(30, 3), 2, true, 3, 40, 8);
        yield return Layers(F(30, 4), 2, false, 4, 100, 256);
        yield return Gradients(F(2, 30, 2), 2, 30, true, 2, 40, 6);
        yield return Layers(F(30, 2), 0, true, 2, 12, 40, 16);
        // Leading axes of several kinds, and one of them of none.
        yield return (new MatMulChain([Hidden, Plain], [1]), [F(2, 2, 11, 20), W(2, 2, 20, 24), F(2, 2, 24), W(24, 12), F(12)]);
        yield return Layers(F(1, 25, 20), 3, true, 20, 24, 12);
    }

    /// <summary>The way of a gradient back through layers of these widths, every row by the matrices of a member; the members of all rows are among so many first ones.</summary>
    private static (MatMulChain, SampleInput[]) OfMembers(int members, int among, int m, bool all, params int[] widths)
    {
        int count = widths.Length - 1;
        var inputs = Enumerable.Range(0, count).SelectMany(i => (SampleInput[])[W(members, widths[i + 1], widths[i]), .. i < count - 1 ? [F(members, m, widths[i + 1])] : Array.Empty<SampleInput>()]);
        return (new MatMulChain([.. Enumerable.Range(0, count).Select(i => new MemberMatMul(true, i < count - 1))], all ? Enumerable.Range(0, count).ToArray() : [count - 1]),
            [F(m, widths[0]), new(TensorType.Int([m]), 0, among), .. inputs]);
    }

    /// <summary>What the kernels take whose rows have matrices of their own: members with many rows, one or none; few terms first, few columns last.</summary>
    private static IEnumerable<(MatMulChain Op, SampleInput[] Inputs)> MemberCases()
    {
        yield return OfMembers(10, 10, 256, false, 1, 256, 256, 23);
        yield return OfMembers(4, 1, 70, true, 1, 36, 20, 7);
        yield return OfMembers(3, 2, 41, true, 24, 64, 12, 44, 9);
        yield return OfMembers(40, 40, 31, false, 8, 100, 256);
        yield return OfMembers(5, 5, 9, true, 4, 40, 4);
        yield return OfMembers(2, 2, 300, false, 256, 32, 1);
    }

    [CudaTheory, MemberData(nameof(Kernels))]
    public void Kernel_gives_the_bits_of_the_links(int number)
    {
        using var hopper = Cuda.As(90);
        using var device = new CudaDevice();
        var kernel = MatMulChains.Kernels[number - 1];
        if (device.Limits.Architecture < 80 || kernel.SharedBytes(false) > device.Limits.SharedBytes || kernel.SharedBytes(true) > device.Limits.SharedBytes) return;
        device.Precision = kernel.Precision;
        int row = 0;
        foreach (var (op, inputs) in kernel.Members ? MemberCases() : Cases())
        {
            var c = new OpCase(op, inputs, Tolerance.Rounded, false);
            byte[][] values = Array.ConvertAll(SampleData.Inputs<float>(c, (ulong)row), OpCheck.Encode);
            Same(device, c, values, number);
            // What is no number, and infinity, in a row, and next to the ends of the first matrix.
            if (row++ % 4 != 0) continue;
            var first = inputs[0].Type.Shape;
            BitConverter.TryWriteBytes(values[0].AsSpan(4 * (5 * first[^1])), BitConverter.Int32BitsToSingle(0x7FFFFFFF));
            BitConverter.TryWriteBytes(values[0].AsSpan(4 * (int)(first.Elements - 1)), float.NegativeInfinity);
            int matrix = kernel.Members ? 2 : 1;
            BitConverter.TryWriteBytes(values[matrix].AsSpan(values[matrix].Length - 4), float.PositiveInfinity);
            Same(device, c, values, number);
        }
    }

    private static void Same(CudaDevice device, OpCase c, byte[][] values, int number)
    {
        var types = SampleData.Types(c);
        var outputs = c.Op.Infer(types);
        byte[][] Run(int which)
        {
            MatMulChains.Variants.Number = which;
            try
            {
                string variant = CudaDevice.Kernel(c.Op, types, outputs, device.Limits).Variant;
                Assert.Equal(which > 0, variant == MatMulChains.Kernels[number - 1].Name);
                return OpCheck.Run(device, c.Op, types, values);
            }
            finally
            {
                MatMulChains.Variants.Number = null;
            }
        }
        byte[][] expected = Run(0);
        foreach (ulong order in new ulong[] { 0, 1, 6 })
        {
            Cuda.Order(order);
            byte[][] actual = Run(number);
            for (int o = 0; o < outputs.Length; o++) Single.SameBits(outputs[o], expected[o], actual[o], $"{c} by {MatMulChains.Kernels[number - 1].Name}, output {o}, order {order}");
        }
        Cuda.Order(0);
    }

    /// <summary>Chains that the kernels would sum in another way than single products, or cannot hold, are a launch a link.</summary>
    [Fact]
    public void What_does_not_fit_is_a_launch_a_link()
    {
        string Variant((MatMulChain Op, SampleInput[] Inputs) chain, Precision precision = Precision.Float32, int architecture = 90)
        {
            var types = Array.ConvertAll(chain.Inputs, i => i.Type);
            return CudaDevice.Kernel(chain.Op, types, chain.Op.Infer(types), H200 with { Precision = precision, Architecture = architecture }).Variant;
        }
        var usual = Layers(F(256, 24), 4, true, 24, 64, 64, 1);
        var ofMembers = OfMembers(4, 4, 256, true, 24, 64, 64, 1);
        try
        {
            for (int number = 1; number <= MatMulChains.Kernels.Length; number++)
            {
                MatMulChains.Variants.Number = number;
                var kernel = MatMulChains.Kernels[number - 1];
                Assert.Equal(kernel.Name, Variant(kernel.Members ? ofMembers : usual, kernel.Precision));
                Assert.NotEqual(kernel.Name, Variant(kernel.Members ? usual : ofMembers, kernel.Precision));
                Assert.NotEqual(kernel.Name, Variant(kernel.Members ? ofMembers : usual, kernel.Precision == Precision.TF32 ? Precision.Float32 : Precision.TF32));
                (MatMulChain, SampleInput[])[] others =
                [
                    Layers(F(8, 24), 4, true, 24, 64, 64, 1),       // few rows: single products combine lines
                    Layers(F(256, 24), 4, true, 24, 260, 64),       // too wide
                    Layers(F(256, 300), 4, true, 300, 64, 64),      // too many terms
                    Layers(F(256, 24), 4, true, 24, 66, 64),        // lines that are not whole
                    Layers(F(256, 24), 4, true, 24, 8, 64),         // few columns in between
                    Layers(F(0, 24), 4, true, 24, 64, 64),
                    Gradients(F(4, 256, 22), 4, 256, true, 22, 64, 64),
                    OfMembers(4, 4, 8, true, 24, 64, 64),
                    OfMembers(4, 4, 1025, true, 24, 64, 64),
                    OfMembers(4, 4, 256, true, 22, 64, 64),
                    (new MatMulChain([new MemberMatMul(false, false), new MemberMatMul(true, false)], [1]), [F(256, 24), new(TensorType.Int([256]), 0, 4), W(4, 24, 64), W(4, 64, 64)]),
                    (new MatMulChain([Forward, Back], [1]), [F(256, 24), W(24, 64), W(64, 64)]),
                    (new MatMulChain([new FusedMatMul(Forward, false, true), Forward], [1]), [F(256, 24), W(24, 64), F(256, 64), W(64, 64)]),
                    (new MatMulChain([Forward, Forward], [1]), [F(2, 1, 50, 24), W(1, 3, 24, 64), W(64, 64)]),
                ];
                Assert.All(others, o => Assert.DoesNotContain("chain", Variant(o, kernel.Precision), StringComparison.Ordinal));
            }
            MatMulChains.Variants.Number = 1;
            Assert.DoesNotContain("chain", Variant(usual, architecture: 75), StringComparison.Ordinal);
            // Sums of one chain of additions, not of four.
            Assert.DoesNotContain("chain", Variant(Layers(F(10000, 24), 10, true, 24, 64, 64, 1)), StringComparison.Ordinal);
        }
        finally
        {
            MatMulChains.Variants.Number = null;
        }
    }

    /// <summary>What an H200 gets, by the model of docs/cuda.md.</summary>
    [Theory]
    [InlineData(10, 256, Precision.Float32, "matmul_chain_20")]
    [InlineData(10, 256, Precision.TF32, "matmul_chain_tf32_32")]
    [InlineData(10, 256, Precision.BFloat16, "matmul_chain_bf16_32")]
    [InlineData(1, 256, Precision.Float32, "matmul_chain_8")]
    [InlineData(1, 256, Precision.TF32, "matmul_chain_tf32_16")]
    [InlineData(10, 10000, Precision.TF32, "matmul_chain_tf32_128")]
    [InlineData(10, 10000, Precision.Float32, null)]
    [InlineData(500, 256, Precision.Float32, null)]
    public void The_model_chooses(int members, int rows, Precision precision, string? expected)
    {
        foreach (var (op, inputs) in new[] { Layers(F(rows, 23), members, true, 23, 256, 256, 256, 1), Gradients(F(members, rows, 1), members, rows, true, 1, 256, 256, 23) })
        {
            var types = Array.ConvertAll(inputs, i => i.Type);
            var limits = H200 with { Precision = precision };
            string variant = CudaDevice.Kernel(op, types, op.Infer(types), limits).Variant;
            var (links, chosen) = MatMulChains.Predict(op, types, limits);
            output.WriteLine($"{members} x {rows}, {precision}, {op.Name}: {variant}, {chosen / 1755:F1} us; a launch a link {links / 1755:F1} us");
            Assert.Equal(expected is not null, CudaKernels.Prefers(op, types, op.Infer(types), limits));
            if (expected is null) Assert.DoesNotContain("chain", variant, StringComparison.Ordinal);
            else Assert.Equal(expected, variant);
        }
    }

    [Theory]
    [InlineData(Precision.Float32, "member_chain_8")]
    [InlineData(Precision.TF32, "member_chain_tf32_16")]
    [InlineData(Precision.BFloat16, "member_chain_bf16_16")]
    public void The_model_chooses_for_rows_with_matrices_of_their_own(Precision precision, string expected)
    {
        var (op, inputs) = OfMembers(10, 10, 256, false, 1, 256, 256, 256, 23);
        var types = Array.ConvertAll(inputs, i => i.Type);
        var limits = H200 with { Precision = precision };
        var (links, chosen) = MatMulChains.Predict(op, types, limits);
        output.WriteLine($"{precision}: {chosen / 1755:F1} us; a launch a link {links / 1755:F1} us");
        Assert.Equal(expected, CudaDevice.Kernel(op, types, op.Infer(types), limits).Variant);
    }

    /// <summary>The gradient of a minimum through each row's winner has the bits of the whole ensemble's, however its products are summed; where they cannot have them, it goes through all.</summary>
    [CudaFact]
    public void A_minimums_gradient_has_the_bits_of_the_whole_ensemble()
    {
        using var device = new CudaDevice();
        using var state = new State(device);
        int winners = 0;
        foreach (var (batch, inputs, hidden) in new[] { (40, 4, 36), (256, 23, 64), (9, 8, 40), (8, 23, 36), (5, 3, 36), (3, 7, 33), (300, 9, 260) })
        {
            var graph = new Graph();
            var values = new Dictionary<string, float[]>();
            Tensor Input(string name, params int[] shape)
            {
                values[name] = Sample.Normals(((Shape)shape).Elements, name, 0.3);
                return graph.Input(name, TensorType.Float(shape));
            }
            var x = Input("x", batch, inputs);
            var h = x.Linear(Input("w0", 5, inputs, hidden), Input("b0", 5, hidden), Activation.Relu).Linear(Input("w1", 5, hidden, hidden), Input("b1", 5, hidden), Activation.Relu);
            var q = h.Linear(Input("w2", 5, hidden, 1), Input("b2", 5, 1)).Squeeze(-1);
            graph.Output("dx", Autodiff.Gradients.Of(q.Min(0).Mean(), x)[0]);
            using (var program = new Program(graph, state)) winners += program.Compiled.Nodes.Any(n => n.Op is MemberMatMul or MatMulChain { OfMembers: true }) ? 1 : 0;
            var whole = Sample.Run(graph, state, values, new CompileOptions().Without("WinningMember"));
            foreach (var options in new[] { new CompileOptions(), new CompileOptions().Without("ChainFusion") }) Sample.SameBits(whole, Sample.Run(graph, state, values, options), $"batch {batch}, {inputs} inputs, {options}");
        }
        Assert.True(winners >= 3, $"only {winners}");
    }

    /// <summary>A network and its gradients: with chains, and with products one by one.</summary>
    [CudaTheory, InlineData(Precision.Float32), InlineData(Precision.TF32), InlineData(Precision.BFloat16)]
    public void Programs_have_the_bits_of_single_products(Precision precision)
    {
        using var device = new CudaDevice();
        if (device.Limits.Architecture < 80) return;
        device.Precision = precision;
        using var state = new State(device);
        int[] widths = [23, 48, 64, 1];
        var graph = new Graph();
        var values = new Dictionary<string, float[]>();
        Tensor Input(string name, params int[] shape)
        {
            values[name] = Sample.Normals(((Shape)shape).Elements, name, 0.3);
            return graph.Input(name, TensorType.Float(shape));
        }
        var parameters = new List<Tensor>();
        var value = Input("x", 50, widths[0]);
        for (int i = 0; i < 3; i++)
        {
            Tensor w = Input($"w{i}", 3, widths[i], widths[i + 1]), b = Input($"b{i}", 3, widths[i + 1]);
            parameters.AddRange([w, b]);
            value = value.Linear(w, b, i < 2 ? Activation.Relu : Activation.None);
        }
        graph.Output("y", value);
        var gradients = Autodiff.Gradients.Of(value.Square().Mean(), [.. parameters]);
        for (int i = 0; i < gradients.Length; i++) graph.Output($"d{i}", gradients[i]);
        MatMulChains.Variants.Number = Array.FindLastIndex(MatMulChains.Kernels, k => k.Precision == precision && !k.Members) + 1;
        try
        {
            using (var program = new Program(graph, state)) Assert.Equal(2, program.Compiled.Nodes.Count(n => n.Op is MatMulChain));
            var on = Sample.Run(graph, state, values);
            var off = Sample.Run(graph, state, values, new CompileOptions().Without("ChainFusion"));
            foreach (string name in on.Keys) Assert.Equal(off[name], on[name]);
        }
        finally
        {
            MatMulChains.Variants.Number = null;
        }
    }
}
