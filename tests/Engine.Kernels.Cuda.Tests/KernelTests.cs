using Engine.Autodiff;
using Engine.Kernels.Cpu;
using Engine.Kernels.Cuda.Launches;

namespace Engine.Kernels.Cuda.Tests;

/// <summary>Kernels of src/ on shapes and numbers that the op table does not have, in every implementation.</summary>
public sealed class KernelTests
{
    private static readonly float[] Special = [0f, -0f, 1f, -1f, float.NaN, float.PositiveInfinity, float.NegativeInfinity, float.Epsilon, -1e-40f, float.MaxValue, float.MinValue, 3f, -3f];

    private static byte[] Bytes<T>(T[] values) where T : unmanaged => System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()).ToArray();

    private static float[] Numbers(long n, string name, bool special = false)
    {
        var stream = new PhiloxStream(11, name);
        var x = new float[n];
        for (int i = 0; i < n; i++) x[i] = special && stream.NextInt(3) == 0 ? Special[stream.NextInt(Special.Length)] : (float)stream.NextUniform(-9, 9);
        return x;
    }

    private static int[] Integers(long n, string name, int low, int high)
    {
        var stream = new PhiloxStream(12, name);
        return Enumerable.Range(0, (int)n).Select(_ => low + stream.NextInt(high - low)).ToArray();
    }

    /// <summary>Content of an operand: special numbers among the floats.</summary>
    private static byte[] Content(TensorType type, string name)
    {
        switch (type.DType)
        {
            case DType.F32: return Bytes(Numbers(type.Elements, name, true));
            case DType.I32: return Bytes(Integers(type.Elements, name, -1000, 1000));
            case DType.BF16: return Bytes(Array.ConvertAll(Numbers(type.Elements, name, true), Bfloat16.FromSingle));
            case DType.U8: return Integers(type.Elements, name, 0, 256).Select(b => (byte)b).ToArray();
            default: return Integers(type.Elements, name, 0, 2).Select(b => (byte)b).ToArray();
        }
    }

    private static void SameAsProcessor(Op op, TensorType[] types, byte[][] inputs, string what = "")
    {
        using CudaDevice device = new();
        using CpuDevice processor = new();
        byte[][] expected = OpCheck.Run(processor, op, types, inputs), actual = OpCheck.Run(device, op, types, inputs);
        var outputs = op.Infer(types);
        for (int o = 0; o < outputs.Length; o++) Single.SameBits(outputs[o], expected[o], actual[o], $"{op.Name}({string.Join(", ", types)}) {what} output {o}");
    }

    private static void SameAsProcessor(Op op, params TensorType[] types) => SameAsProcessor(op, types, types.Select((t, i) => Content(t, $"{i}")).ToArray());

    /// <summary>Runs the body with every implementation of a family.</summary>
    private static void ForAll(Choice choice, Action<string> body)
    {
        try
        {
            for (int i = 0; i < choice.Count; i++)
            {
                choice.Number = i;
                body(choice[i]);
            }
        }
        finally
        {
            choice.Number = null;
        }
    }

    [CudaFact]
    public void Axes_in_any_order_and_of_any_type()
    {
        ForAll(Movement.MoveKernels, _ =>
        {
            foreach (var type in new[] { DType.F32, DType.I32, DType.BF16, DType.Bool, DType.U8 })
            {
                SameAsProcessor(new Permute([1, 0]), new TensorType(type, [33, 70]));
                SameAsProcessor(new Permute([0, 2, 1]), new TensorType(type, [3, 40, 17]));
                SameAsProcessor(new Permute([1, 3, 0, 2]), new TensorType(type, [2, 3, 4, 5]));
                SameAsProcessor(new Permute([4, 0, 3, 1, 2]), new TensorType(type, [2, 3, 4, 5, 2]));
                SameAsProcessor(new Permute([7, 6, 5, 4, 3, 2, 1, 0]), new TensorType(type, [2, 3, 2, 1, 3, 2, 2, 3]));
                SameAsProcessor(new Permute([1, 0]), new TensorType(type, [0, 3]));
                SameAsProcessor(new Broadcast([4, 3, 5]), new TensorType(type, [3, 1]));
                SameAsProcessor(new Broadcast([2, 3, 2, 3, 2]), new TensorType(type, [3, 1, 3, 1]));
                SameAsProcessor(new Broadcast([300]), new TensorType(type, []));
                SameAsProcessor(new Slice([1, 0, 2, 0, 1], [2, 3, 2, 1, 2], [1, 1, 2, 1, 2]), new TensorType(type, [4, 3, 6, 2, 5]));
                SameAsProcessor(new Slice([2, 3], [0, 4], [1, 1]), new TensorType(type, [5, 9]));
            }
        });
    }

    [CudaFact]
    public void Parts_put_together_and_borders()
    {
        foreach (var type in new[] { DType.F32, DType.I32, DType.BF16, DType.Bool, DType.U8 })
        {
            SameAsProcessor(new Concat(1), [.. Enumerable.Range(1, 20).Select(i => new TensorType(type, [3, i % 5, 2]))]);
            SameAsProcessor(new Concat(0), new TensorType(type, [0, 2]), new TensorType(type, [7, 2]), new TensorType(type, [0, 2]));
            SameAsProcessor(new Concat(0), new TensorType(type, [5000]));
            SameAsProcessor(new Pad([1, 0, 2, 0], [0, 0, 1, 3], type == DType.Bool ? 1 : -2.5), new TensorType(type, [2, 3, 4, 5]));
            SameAsProcessor(new Pad([1, 0, 2, 0, 1], [0, 1, 1, 3, 0], type == DType.Bool ? 1 : 3), new TensorType(type, [2, 3, 1, 2, 2]));
            SameAsProcessor(new Pad([1, 2], [2, 0], 1), new TensorType(type, [0, 3]));
            SameAsProcessor(new Pad([], [], 1), new TensorType(type, []));
        }
    }

    [CudaFact]
    public void Rows_are_stored_where_the_index_says()
    {
        foreach (var type in new[] { DType.F32, DType.BF16, DType.Bool })
            foreach (int row in new[] { 0, 2, 3, -1, int.MaxValue })
            {
                var value = new TensorType(type, [3, 5]);
                byte[] content = Content(value, "value");
                using var device = new CudaDevice();
                // Outside the row there is what was there before: the guard's pattern. A row that does not exist is not written.
                byte[] result = OpCheck.Run(device, new StoreRow(3), [value, TensorType.Int([])], [content, Bytes([row])])[0];
                for (int i = 0; i < result.Length; i++)
                    Assert.Equal(i / content.Length == row ? content[i % content.Length] : (byte)0xA5, result[i]);
            }
    }

    [CudaFact]
    public void Windows_of_all_geometries()
    {
        Window[] windows =
        [
            new(3, 3), new(2, 3, 2, 1, 1, 2, 1, 2), new(1, 4, 1, 3, 0, 5, 1, 1), new(3, 2, 1, 2, 2, 0, 2, 3), new(2, 2, 3, 3), new(1, 1, 2, 2), new(5, 1, 2, 1, 4, 0, 2, 1),
        ];
        foreach (var w in windows)
        {
            SameAsProcessor(new Unfold(w), [TensorType.Float([2, 3, 9, 8])], [Bytes(Numbers(2 * 3 * 9 * 8, "image"))]);
            var (h, width) = w.Output(9, 8);
            var columns = TensorType.Float([2, h * width, 3 * w.KernelHeight * w.KernelWidth]);
            SameAsProcessor(new Fold(w, 3, 9, 8), [columns], [Bytes(Numbers(columns.Elements, "columns"))]);
        }
    }

    [CudaFact]
    public void Rows_of_a_table()
    {
        ForAll(IndexOps.GatherKernels, _ =>
        {
            foreach (var type in new[] { DType.F32, DType.I32, DType.BF16, DType.Bool, DType.U8 })
                foreach (int width in new[] { 1, 4, 17, 64, 68, 700, 1000 })
                {
                    TensorType table = new(type, [9, width]), indices = TensorType.Int([3, 11]);
                    SameAsProcessor(new Gather(), [table, indices], [Content(table, "table"), Bytes(Integers(33, "indices", 0, 9))]);
                }
            // Indices outside the table, which the processor refuses.
            using var device = new CudaDevice();
            float[] numbers = Numbers(3 * 64, "table");
            var rows = OpCheck.Decode(TensorType.Float([4, 64]), OpCheck.Run(device, new Gather(), [TensorType.Float([3, 64]), TensorType.Int([4])], [Bytes(numbers), Bytes([2, -1, 3, int.MaxValue])])[0]).Floats;
            Assert.Equal(numbers[128..], rows[..64]);
            Assert.All(rows[64..], x => Assert.True(float.IsNaN(x)));
            Assert.Equal([7, -1, -1], OpCheck.Decode(TensorType.Int([3]), OpCheck.Run(device, new Gather(), [TensorType.Int([1]), TensorType.Int([3])], [Bytes([7]), Bytes([0, 1, int.MinValue])])[0]).Ints);
        });
    }

    [CudaFact]
    public void The_last_row_for_a_place_stays()
    {
        ForAll(IndexOps.ScatterKernels, _ =>
        {
            foreach (var type in new[] { DType.F32, DType.I32, DType.BF16, DType.Bool, DType.U8 })
                foreach (var (rows, width, count) in new[] { (9, 1, 40), (9, 4, 1), (3, 17, 500), (700, 130, 600), (5, 1000, 9), (1, 3, 5000) })
                    foreach (ulong order in new ulong[] { 0, 1, 5 })
                    {
                        Cuda.Order(order);
                        TensorType table = new(type, [rows, width]), updates = new(type, [count, width]);
                        SameAsProcessor(new SetRows(), [table, TensorType.Int([count]), updates], [Content(table, "table"), Bytes(Integers(count, "indices", 0, rows)), Content(updates, "updates")]);
                    }
            Cuda.Order(0);
            // Indices outside the table, which the processor refuses.
            using var device = new CudaDevice();
            Assert.Equal([7, 20, 9], OpCheck.Decode(TensorType.Int([3]), OpCheck.Run(device, new SetRows(), [TensorType.Int([3]), TensorType.Int([4]), TensorType.Int([4])], [Bytes([7, 8, 9]), Bytes([3, 1, -1, int.MinValue]), Bytes([10, 20, 30, 40])])[0]).Ints);
        });
    }

    [CudaFact]
    public void Updates_are_added_in_their_order()
    {
        ForAll(IndexOps.ScatterKernels, name =>
        {
            foreach (var (rows, count, width) in new[] { (5, 1000, 1), (1, 300, 130), (700, 300, 3), (40, 4097, 2), (3, 0, 4), (3, 5, 0) })
            {
                TensorType indices = TensorType.Int([count]), updates = TensorType.Float([count, width]);
                SameAsProcessor(new ScatterAdd(rows), [indices, updates], [Bytes(Integers(count, "indices", 0, rows)), Bytes(Numbers(count * width, "updates"))], name);
            }
            using var device = new CudaDevice();
            float[] sums = OpCheck.Decode(TensorType.Float([2]), OpCheck.Run(device, new ScatterAdd(2), [TensorType.Int([5]), TensorType.Float([5])], [Bytes([1, 2, -1, 1, int.MaxValue]), Bytes([1f, 2f, 4f, 8f, 16f])])[0]).Floats;
            Assert.Equal([0f, 9f], sums);
        });
    }

    [CudaFact]
    public void Rows_are_sorted_stably()
    {
        ForAll(IndexOps.SortKernels, _ =>
        {
            foreach (bool descending in new[] { false, true })
                foreach (var (rows, k) in new[] { (3, 1), (5, 2), (2, 100), (3, 1000), (1, 4096), (2, 4097), (1, 20_000), (0, 5), (5, 0) })
                {
                    // Few numbers, so that many are equal.
                    var stream = new PhiloxStream(5, $"{k}");
                    float[] x = Enumerable.Range(0, rows * k).Select(_ => stream.NextInt(3) == 0 ? Special[stream.NextInt(Special.Length)] : stream.NextInt(50)).ToArray();
                    SameAsProcessor(new Sort(descending), [TensorType.Float([rows, k])], [Bytes(x)]);
                }
            foreach (int n in new[] { 0, 1, 3, 5, 1000, 4096, 10_000 })
                SameAsProcessor(new RandomPermutation("p", [n]), [TensorType.Int([3]), TensorType.Int([])], [Bytes([3, 9, 4]), Bytes([5])]);
        });
    }

    [CudaFact]
    public void Draws_have_the_processors_numbers()
    {
        foreach (int n in new[] { 1, 2, 3, 4, 1023, 20_001 })
        {
            byte[][] inputs = [Bytes([-5, 77, int.MaxValue])];
            SameAsProcessor(new RandomUniform("u", [n]), [TensorType.Int([3])], inputs);
            SameAsProcessor(new RandomUniform("u", [n]), [TensorType.Int([3]), TensorType.Int([])], [.. inputs, Bytes([9])]);
            SameAsProcessor(new RandomInteger("i", [n]), [TensorType.Int([3]), TensorType.Int([])], [.. inputs, Bytes([1_000_000])]);
            SameAsProcessor(new RandomInteger("i", [n]), [TensorType.Int([3]), TensorType.Int([]), TensorType.Int([])], [.. inputs, Bytes([3]), Bytes([2])]);
            SameAsProcessor(new RandomNormal("n", [n]), [TensorType.Int([3])], inputs);
            SameAsProcessor(new RandomNormal("n", [n]), [TensorType.Int([3]), TensorType.Int([])], [.. inputs, Bytes([4])]);
        }
    }

    [CudaFact]
    public void Positions_of_extremes()
    {
        foreach (bool largest in new[] { true, false })
            foreach (var (shape, axis) in new (Shape, int)[] { ([300], 0), ([50, 17], 1), ([7, 1000], 1), ([40, 33, 3], 1), ([40, 5], 0), ([3, 1], 1), ([20, 64], 1) })
            {
                SameAsProcessor(new ArgReduce(axis, largest), TensorType.Float(shape));
                // Many equal ones, with zeros of both signs.
                var stream = new PhiloxStream(6, "equal");
                float[] x = Enumerable.Range(0, (int)shape.Elements).Select(_ => stream.NextInt(4) switch { 0 => -0f, 1 => 0f, 2 => 1f, _ => -1f }).ToArray();
                SameAsProcessor(new ArgReduce(axis, largest), [TensorType.Float(shape)], [Bytes(x)]);
            }
    }

    private static readonly Shape[] Reduced =
    [
        [1], [16], [17], [1000], [1024], [1025], [8192], [8193], [140_000], [300, 3], [3, 16], [3, 17], [5, 1024], [3, 2000], [2, 20_000], [10, 256], [33, 31], [32, 7],
        [2500, 1], [2500, 6], [300, 33], [1100, 36], [3, 33, 40], [10, 64, 64], [2, 1100, 32], [4, 3, 5, 2], [3, 1, 40, 1], [5, 2, 40, 3, 4],
    ];

    /// <summary>Largest and smallest exactly, sums no worse than twice the naive loop, along all axes together, each axis, and every other axis.</summary>
    [CudaFact]
    public void Reductions_along_any_axes()
    {
        using var device = new CudaDevice();
        using var processor = new CpuDevice();
        ForAll(Reductions.ColumnKernels, name =>
        {
            foreach (var shape in Reduced)
            {
                if (shape.Rank == 1 && name != Reductions.ColumnKernels[0]) continue; // there are no columns
                var all = Enumerable.Range(0, shape.Rank).ToArray();
                int[][] choices = [all, .. all.Select(a => new[] { a }), all.Where(a => a % 2 == 0).ToArray(), all.Where(a => a % 2 == 1).ToArray()];
                foreach (int[] axes in choices)
                    foreach (var kind in Enum.GetValues<ReduceKind>())
                    {
                        var op = new Reduce(kind, axes, false);
                        var type = TensorType.Float(shape);
                        if (kind != ReduceKind.Sum)
                        {
                            byte[] content = Content(type, "x");
                            Single.SameBits(op.Infer([type])[0], OpCheck.Run(processor, op, [type], [content])[0], OpCheck.Run(device, op, [type], [content])[0], $"{name}: {op} of {shape}");
                            continue;
                        }
                        float[] x = Numbers(type.Elements, "sum");
                        ReferenceTensor<double> exact = new(op.Infer([type])[0]), wide = new(type);
                        for (int i = 0; i < x.Length; i++) wide.Floats[i] = x[i];
                        op.Reference([wide], [exact]);
                        float[] sums = OpCheck.Decode(exact.Type, OpCheck.Run(device, op, [type], [Bytes(x)])[0]).Floats;
                        double terms = (double)type.Elements / exact.Type.Elements, scale = terms * 9, limit = scale * 6e-8 * (2 + Math.Log2(terms + 1));
                        for (int i = 0; i < sums.Length; i++) Assert.True(Math.Abs(sums[i] - exact.Floats[i]) <= limit, $"{name}: {op} of {shape}: element {i} is {sums[i]}, expected {exact.Floats[i]}");
                    }
            }
        });
    }

    /// <summary>Two of the ways to add up columns have the same order.</summary>
    [CudaFact]
    public void Columns_by_blocks_and_by_vectors_have_the_same_bits()
    {
        using var device = new CudaDevice();
        foreach (Shape shape in new Shape[] { [3, 33, 40], [2, 256, 256], [1, 2100, 36], [2, 100, 32] })
        {
            var type = TensorType.Float(shape);
            byte[] content = Bytes(Numbers(type.Elements, "x"));
            var results = new Dictionary<string, byte[]>();
            ForAll(Reductions.ColumnKernels, name => results[name] = OpCheck.Run(device, new Reduce(ReduceKind.Sum, [1], false), [type], [content])[0]);
            Assert.Equal(results["block"], results["vectors"]);
        }
    }

    /// <summary>A fused reduction has the bits of its two ops, whether a thread computes what it combines or not.</summary>
    [CudaFact]
    public void Reductions_of_expressions_have_the_bits_of_both_ops()
    {
        using var device = new CudaDevice();
        Fused expression = new(3, [new(new Binary(BinaryKind.Subtract), [0, 1]), new(new Unary(UnaryKind.Tanh), [3]), new(new Binary(BinaryKind.Multiply), [4, 2])]);
        int combined = 0;
        foreach (var (shape, axes, other) in new (Shape, int[], Shape)[]
        {
            ([300, 6], [1], [6]), ([300, 16], [1], [300, 1]), ([300, 17], [1], [17]), ([9, 1], [1], [1]), ([40, 2, 3], [1, 2], [3]), ([10, 256], [0], [256]), ([2, 10, 33], [1], [10, 1]), ([2, 3, 5, 7], [1, 2], [5, 1]),
            ([17, 30], [0], [30]), ([5, 3, 40], [0, 2], [40]), ([13], [0], []), ([4, 0], [1], [4, 1]), ([0, 4], [1], [4]), ([6, 5], [], [5]), ([3, 2000], [1], [3, 1]),
        })
            foreach (var kind in Enum.GetValues<ReduceKind>())
                foreach (bool special in new[] { false, true })
                {
                    TensorType[] types = [TensorType.Float(shape), TensorType.Float(other), TensorType.Float([])];
                    byte[][] inputs = types.Select((t, i) => Bytes(Numbers(t.Elements, $"{i}", special))).ToArray();
                    var values = OpCheck.Run(device, expression, types, inputs)[0];
                    var reduction = new Reduce(kind, axes, false);
                    var expected = OpCheck.Run(device, reduction, [types[0]], [values])[0];
                    foreach (bool store in new[] { false, true })
                    {
                        var op = new Fused(3, [.. expression.Steps, new(reduction, [5])], store ? [5, 6] : [6]);
                        if (device.Prefers(op, types, op.Infer(types))) combined++;
                        var actual = OpCheck.Run(device, op, types, inputs);
                        Single.SameBits(reduction.Infer([types[0]])[0], expected, actual[^1], $"{op} of {shape}");
                        if (!store) continue;
                        Single.SameBits(types[0], values, actual[0], $"{op} of {shape}");
                        if (shape.Elements > 0) Assert.Equal(actual, OpCheck.Run(device, op, types, inputs, (0, 0)));
                    }
                }
        Assert.Equal(11 * 3 * 2 * 2, combined);
    }

    [CudaFact]
    public void Running_sums_in_order()
    {
        foreach (bool exclusive in new[] { true, false })
            foreach (bool reverse in new[] { true, false })
            {
                SameAsProcessor(new CumulativeSum(1, exclusive, reverse), [TensorType.Float([3, 500, 7])], [Bytes(Numbers(3 * 500 * 7, "x"))]);
                SameAsProcessor(new CumulativeSum(1, exclusive, reverse), [TensorType.Float([300, 9])], [Bytes(Numbers(300 * 9, "x"))]);
                SameAsProcessor(new CumulativeSum(0, exclusive, reverse), TensorType.Float([0, 3]));
            }
    }

    [CudaFact]
    public void Positions_in_sorted_rows()
    {
        foreach (bool right in new[] { true, false })
        {
            float[] sorted = [.. Enumerable.Range(0, 3).SelectMany(r => Enumerable.Range(0, 100).Select(i => MathF.Floor(i / 7f) + r))];
            SameAsProcessor(new SearchSorted(right), [TensorType.Float([3, 100]), TensorType.Float([3, 50])], [Bytes(sorted), Bytes(Array.ConvertAll(Numbers(150, "values", true), MathF.Floor))]);
            SameAsProcessor(new SearchSorted(right), TensorType.Float([3, 0]), TensorType.Float([3, 50]));
        }
    }

    private static readonly int[] Widths = [1, 2, 5, 16, 17, 31, 64, 127, 128, 256, 500, 1024, 1025, 3000, 8192, 8193, 20_000, 140_000];

    /// <summary>A row's sum has one order, so a fused kernel has the bits of its definition, whatever the length; on special numbers too.</summary>
    [CudaFact]
    public void Composites_have_the_bits_of_their_definitions()
    {
        using var device = new CudaDevice();
        foreach (int width in Widths)
        {
            int rows = width < 300 ? 70 : 3;
            Shape shape = [rows, width];
            foreach (bool special in new[] { false, true })
                foreach (var (name, make, operands) in new (string, Func<Tensor[], Tensor[]>, Shape[])[]
                {
                    ("softmax", x => [x[0].Softmax()], [shape]),
                    ("log_sum_exp", x => [x[0].LogSumExp()], [shape]),
                    ("layer_norm", x => x[0].Graph.Add(new LayerNorm(1e-5), x), [shape, [width], [width]]),
                    ("layer_norm_gradient", x => x[0].Graph.Add(new LayerNormGradient(1e-5), x), [shape, [width], shape]),
                })
                {
                    var graph = new Graph();
                    var x = operands.Select((s, i) => graph.Input($"x{i}", TensorType.Float(s))).ToArray();
                    var outputs = make(x);
                    for (int o = 0; o < outputs.Length; o++) graph.Output($"y{o}", outputs[o]);
                    var inputs = operands.Select((s, i) => Numbers(s.Elements, $"{i}", special)).ToArray();
                    var fused = Run(device, graph, inputs, new CompileOptions());
                    var defined = Run(device, graph, inputs, new CompileOptions().Without("FusedKernels", "ElementwiseFusion", "ReductionFusion"));
                    for (int o = 0; o < outputs.Length; o++) Single.SameBits(outputs[o].Type, defined[o], fused[o], $"{name} {shape}, special numbers: {special}, output {o}");
                }
        }
    }

    private static byte[][] Run(Device device, Graph graph, float[][] inputs, CompileOptions options)
    {
        using var state = new State(device);
        using var program = new Program(graph, state, options);
        for (int i = 0; i < inputs.Length; i++) program.Write($"x{i}", inputs[i]);
        program.Run();
        return Enumerable.Range(0, graph.Outputs.Count).Select(o => Bytes(program.Read($"y{o}"))).ToArray();
    }

    /// <summary>Rows read several times by a block agree with rows in registers but for the order of sums.</summary>
    [CudaFact]
    public void Composites_of_any_row_kernel_agree()
    {
        using var device = new CudaDevice();
        using var processor = new CpuDevice();
        foreach (int width in new[] { 1, 5, 40, 256, 2000, 9000 })
        {
            TensorType x = TensorType.Float([4, width]), w = TensorType.Float([width]);
            foreach (var (op, types) in new (Op, TensorType[])[] { (new Softmax(), [x]), (new LogSumExp(), [x]), (new LayerNorm(1e-5), [x, w, w]), (new LayerNormGradient(1e-5), [x, w, x]) })
            {
                byte[][] inputs = types.Select((t, i) => Bytes(Numbers(t.Elements, $"{i}"))).ToArray();
                var expected = OpCheck.Run(processor, op, types, inputs);
                ForAll(Composites.RowKernels, name =>
                {
                    var actual = OpCheck.Run(device, op, types, inputs);
                    for (int o = 0; o < actual.Length; o++)
                    {
                        var type = op.Infer(types)[o];
                        float[] e = OpCheck.Decode(type, expected[o]).Floats, a = OpCheck.Decode(type, actual[o]).Floats;
                        double scale = e.Max(v => Math.Abs(v));
                        for (int i = 0; i < e.Length; i++) Assert.True(Math.Abs(e[i] - a[i]) <= 2e-5 * scale, $"{name}: {op.Name} of {width}, output {o}, element {i}: {a[i]}, expected {e[i]}");
                    }
                });
            }
        }
    }

    /// <summary>The optimisers have the processor's bits, on any number of parameters of any size, in place or not.</summary>
    [CudaFact]
    public void Optimisers_have_the_processors_bits()
    {
        var scalars = Enumerable.Repeat(TensorType.Float(Shape.Scalar), 3);
        ForAll(Optimisers.GroupKernels, _ =>
        {
            foreach (Polyak? target in new Polyak?[] { null, new(0.005) })
                foreach (int[] sizes in new int[][] { [1], [3, 0, 5], [1024, 1025, 7], [256, 4096, 1, 2, 3, 300, 5, 6, 4096], [.. Enumerable.Range(1, 16)], [.. Enumerable.Range(1, 35)] })
                {
                    var group = new AdamGroup(new(0.9, 0.999, 1e-8), sizes.Length, target);
                    TensorType[] types = [.. sizes.SelectMany(n => Enumerable.Repeat(TensorType.Float([n]), group.Stride)), .. scalars];
                    byte[][] inputs = types.Select((t, i) => Bytes(Array.ConvertAll(Numbers(t.Elements, $"{i}"), MathF.Abs))).ToArray();
                    SameAsProcessor(group, types, inputs);
                }
        });
        TensorType one = TensorType.Float([3001]);
        TensorType[] step = [one, one, one, one, .. scalars];
        foreach (bool special in new[] { false, true })
        {
            SameAsProcessor(new Adam(0.9, 0.99, 1e-6), step, step.Select((t, i) => Bytes(Numbers(t.Elements, $"{i}", special))).ToArray());
            SameAsProcessor(new Polyak(0.3), [one, one], [Bytes(Numbers(3001, "a", special)), Bytes(Numbers(3001, "b", special))]);
        }
        // Around the moments that become 0.
        byte[][] small = step.Select((t, i) => Bytes(Array.ConvertAll(Numbers(t.Elements, $"{i}"), x => i switch { 1 => x * Adam.SmallestFirstMoment, 2 => MathF.Abs(x) * Adam.SmallestSecondMoment, 3 => 0, _ => x }))).ToArray();
        SameAsProcessor(new Adam(0.9, 0.99, 1e-6), step, small);
        using var device = new CudaDevice();
        byte[][] operands = step.Select((t, i) => Bytes(Numbers(t.Elements, $"{i}"))).ToArray();
        Assert.Equal(OpCheck.Run(device, new Adam(0.9, 0.99, 1e-6), step, operands), OpCheck.Run(device, new Adam(0.9, 0.99, 1e-6), step, operands, (0, 0)));
        Assert.Equal(OpCheck.Run(device, new Polyak(0.3), [one, one], operands[..2]), OpCheck.Run(device, new Polyak(0.3), [one, one], operands[..2], (0, 0)));
    }
}
