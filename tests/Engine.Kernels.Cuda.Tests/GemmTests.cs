using Engine.Kernels.Cuda.Launches;

namespace Engine.Kernels.Cuda.Tests;

/// <summary>Matrix products by every tile, at edges, over batches of every kind, with everything that may follow.</summary>
public sealed class GemmTests
{
    public static TheoryData<int> Tiles
    {
        get
        {
            var tiles = new TheoryData<int>();
            for (int i = 0; i < Gemm.Tiles.Length; i++) tiles.Add(i);
            return tiles;
        }
    }

    /// <summary>A device of that precision; null where its GPU does not have it, and says so.</summary>
    private static CudaDevice? Device(Precision precision)
    {
        var device = new CudaDevice();
        if (precision == Precision.Float32 || device.Limits.Architecture >= 80)
        {
            device.Precision = precision;
            return device;
        }
        Assert.Contains("compute capability 8.0", Assert.Throws<DeviceException>(() => device.Precision = precision).Message);
        device.Dispose();
        return null;
    }

    private static SampleInput F(Shape shape) => new(TensorType.Float(shape), -2, 2);

    /// <summary>The op by one tile (null: the one that the device chooses), compared with float64 where the factors are rounded as the tile rounds them.</summary>
    private static void Check(CudaDevice device, Op op, SampleInput[] inputs, int? tile, ulong seed = 1)
    {
        var (product, a, b) = (op as MatMul ?? (op as FusedMatMul)?.Product, inputs[0].Type.Shape, inputs[1].Type.Shape);
        if (tile is { } number)
        {
            // What it does not take goes to another, which has a test of its own.
            var chosen = Gemm.Tiles[number];
            if ((chosen.Whole && (a[^1] % 4 != 0 || b[^1] % 4 != 0)) || chosen.SharedBytes(product!.TransposeA, product.TransposeB) > device.Limits.SharedBytes) return;
        }
        var c = new OpCase(op, inputs, Tolerance.Rounded, false);
        var exact = SampleData.Inputs<double>(c, seed);
        var naive = SampleData.Inputs<float>(c, seed);
        // Products without tiles keep float32.
        var result = op.Infer(SampleData.Types(c))[0].Shape;
        bool rounds = product is null ? a[^1] > 4 && result[^1] > Math.Min(8, result[^2]) : tile is not null || ((product.TransposeA ? a[^2] : a[^1]) > 4 && Math.Min(result[^1], result[^2]) > 8);
        for (int i = 0; i < 2 && rounds; i++)
            for (int k = 0; k < naive[i].Floats.Length; k++)
                if (device.Precision != Precision.Float32) exact[i].Floats[k] = naive[i].Floats[k] = Round(naive[i].Floats[k], device.Precision);
        byte[] actual = Run(device, c, tile, seed);
        Assert.Null(OpCheck.Compare(c, SampleData.Reference(c, exact)[0], SampleData.Reference(c, naive)[0], OpCheck.Decode(op.Infer(SampleData.Types(c))[0], actual)));
        // Written over the residual or the mask it is the same: each of their elements is read by the thread that writes there, and parts of sums are written elsewhere.
        for (int i = 2; i < inputs.Length && op is FusedMatMul; i++) Assert.Equal(actual, Run(device, c, tile, seed, (0, i)));
    }

    /// <summary>The nearest number of 11 bits, halves away from zero, or of 8 bits, halves to even.</summary>
    private static float Round(float x, Precision precision) =>
        precision == Precision.BFloat16 ? Bfloat16.Round(x) : BitConverter.UInt32BitsToSingle((BitConverter.SingleToUInt32Bits(x) + 0x1000) & 0xFFFFE000);

    private static byte[] Run(CudaDevice device, OpCase c, int? tile, ulong seed, params (int Output, int Input)[] overwritten)
    {
        Gemm.Choice = tile;
        try
        {
            return OpCheck.Run(device, c.Op, SampleData.Types(c), Array.ConvertAll(SampleData.Inputs<float>(c, seed), OpCheck.Encode), overwritten)[0];
        }
        finally
        {
            Gemm.Choice = null;
        }
    }

    private static IEnumerable<(MatMul Op, Shape A, Shape B)> Products(int m, int n, int k)
    {
        foreach (bool ta in new[] { false, true })
            foreach (bool tb in new[] { false, true })
                yield return (new MatMul(ta, tb), ta ? [k, m] : [m, k], tb ? [n, k] : [k, n]);
    }

    [CudaTheory, MemberData(nameof(Tiles))]
    public void Tile_agrees_with_the_reference_at_all_edges(int tile)
    {
        using var device = Device(Gemm.Tiles[tile].Precision);
        if (device is null) return;
        // With whole lines and without; within a tile, at its edge and beyond; fewer terms than a tile has, as many, and more than there are stages.
        foreach (var (m, n, k) in new[] { (4, 4, 4), (64, 32, 32), (132, 68, 36), (40, 136, 160), (3, 5, 7), (65, 33, 31), (33, 129, 66), (1, 1, 0), (8, 20, 0) })
            foreach (var (op, a, b) in Products(m, n, k))
                Check(device, op, [F(a), F(b)], tile);
    }

    [CudaTheory, MemberData(nameof(Tiles))]
    public void Tile_does_what_follows_a_product(int tile)
    {
        using var device = Device(Gemm.Tiles[tile].Precision);
        if (device is null) return;
        foreach (var (m, n, k) in new[] { (36, 40, 44), (17, 35, 9) })
        {
            foreach (var (residual, mask) in new[] { (false, true), (true, false), (true, true) })
                foreach (var (op, a, b) in Products(m, n, k))
                {
                    SampleInput[] after = [.. residual ? [F([3, m, n])] : Array.Empty<SampleInput>(), .. mask ? [F([3, m, n])] : Array.Empty<SampleInput>()];
                    Check(device, new FusedMatMul(op, residual, mask), [F([3, .. a]), F(b), .. after], tile);
                }
        }
    }

    [CudaFact]
    public void Batches_broadcast()
    {
        using var device = new CudaDevice();
        (Shape A, Shape B)[] batches = [([], []), ([3], []), ([], [3]), ([2, 3], [3]), ([3], [2, 3]), ([2, 1], [3]), ([2, 1, 3], [1, 2, 1]), ([2, 1, 3, 1], [1, 2, 1, 2]), ([1, 2, 1, 3], [2, 1, 2, 1]), ([2, 3, 1, 2, 1], [1, 3, 2, 1, 2]), ([0, 2], [2])];
        foreach (var (batchA, batchB) in batches)
            foreach (var (m, n, k) in new[] { (5, 9, 11), (2, 12, 7), (12, 3, 7), (6, 10, 2), (4, 8, 12) })
                foreach (var (op, a, b) in Products(m, n, k))
                    Check(device, op, [F((int[])[.. batchA, .. a]), F((int[])[.. batchB, .. b])], null);
    }

    [CudaFact]
    public void More_batches_than_a_grid_is_high()
    {
        using var device = new CudaDevice();
        Check(device, new MatMul(false, false), [F([70000, 2, 1]), F([70000, 1, 3])], null);
        Check(device, new MatMul(false, false), [F([2, 1, 1, 5]), F([33000, 5, 1])], null);
    }

    [CudaFact]
    public void Biases_follow_their_weights()
    {
        using var device = new CudaDevice();
        foreach (var activation in Enum.GetValues<Activation>())
            foreach (var (m, n, k) in new[] { (5, 9, 11), (40, 36, 20), (2, 12, 7), (12, 3, 7), (6, 10, 2), (1, 40, 33) })
            {
                LinearCase(device, activation, [m, k], [k, n]);
                LinearCase(device, activation, [m, k], [3, k, n]);
                LinearCase(device, activation, [3, m, k], [3, k, n]);
                LinearCase(device, activation, [4, m, k], [k, n]);
                LinearCase(device, activation, [2, 3, m, k], [3, k, n]);
                LinearCase(device, activation, [3, m, k], [2, 1, k, n]);
            }
    }

    private static void LinearCase(CudaDevice device, Activation activation, Shape x, Shape w)
    {
        var bias = w.Without(-2);
        var op = new Linear(activation);
        TensorType[] types = [TensorType.Float(x), TensorType.Float(w), TensorType.Float(bias)];
        var output = op.Infer(types)[0].Shape;
        var product = new OpCase(new MatMul(false, false), [F(x), F(w)], Tolerance.Rounded, false);
        var exactInputs = SampleData.Inputs<double>(product, 3);
        var exact = SampleData.Reference(product, exactInputs)[0];
        var naive = SampleData.Reference(product, SampleData.Inputs<float>(product, 3))[0];
        var biasValues = SampleData.Inputs<float>(new OpCase(new MatMul(false, false), [F(bias)], Tolerance.Rounded, false), 4)[0];
        byte[] actual = OpCheck.Run(device, op, types, [.. SampleData.Inputs<float>(product, 3).Select(OpCheck.Encode), OpCheck.Encode(biasValues)])[0];
        long[] at = Indexing.Offsets(bias.Insert(bias.Rank - 1, 1), output);
        for (int i = 0; i < output.Elements; i++)
        {
            exact.Floats[i] += biasValues.Floats[at[i]];
            naive.Floats[i] += biasValues.Floats[at[i]];
            if (activation == Activation.Relu) (exact.Floats[i], naive.Floats[i]) = (Math.Max(0, exact.Floats[i]), Math.Max(0, naive.Floats[i]));
        }
        Assert.Null(OpCheck.Compare(product with { Op = op }, exact, naive, OpCheck.Decode(TensorType.Float(output), actual)));
    }

    /// <summary>Long sums are cut into parts that are added in order, with every kind of product.</summary>
    [CudaTheory, InlineData(Precision.Float32), InlineData(Precision.TF32)]
    public void Long_sums_are_cut_into_parts(Precision precision)
    {
        using var device = Device(precision);
        if (device is null) return;
        foreach (var (m, n, k) in new[] { (36, 40, 1100), (17, 35, 1501), (1, 6, 2100), (7, 1, 2100), (70, 70, 1030) })
            foreach (var (op, a, b) in Products(m, n, k))
            {
                Check(device, op, [F(a), F(b)], null);
                Check(device, new FusedMatMul(op, true, true), [F(a), F(b), F([m, n]), F([m, n])], null);
            }
    }

    /// <summary>How a sum is cut is all that its bits depend on: tiles of as many slices agree, and the tile of all devices with those of one chain.</summary>
    [CudaFact]
    public void Bits_do_not_depend_on_the_tile()
    {
        using var device = new CudaDevice();
        foreach (var (m, n, k) in new[] { (132, 68, 100), (40, 136, 260) })
            foreach (var (op, a, b) in Products(m, n, k))
            {
                var c = new OpCase(op, [F([2, .. a]), F([2, .. b])], Tolerance.Rounded, false);
                foreach (var family in Enumerable.Range(0, Gemm.Tiles.Length).Where(i => Gemm.Tiles[i].Precision == Precision.Float32 || device.Limits.Architecture >= 80).GroupBy(i => (Gemm.Tiles[i].Slices, Gemm.Tiles[i].Precision)))
                {
                    device.Precision = family.Key.Precision;
                    byte[][] results = family.Select(i => Run(device, c, i, 2)).ToArray();
                    Assert.All(results, r => Assert.Equal(results[0], r));
                }
            }
    }

    /// <summary>Rows with a matrix each: found by looking, or sorted first; by both kinds of tiles; with members that have no row.</summary>
    [CudaTheory, InlineData(Precision.Float32), InlineData(Precision.TF32), InlineData(Precision.BFloat16)]
    public void Rows_find_their_members(Precision precision)
    {
        using var device = Device(precision);
        if (device is null) return;
        foreach (bool transpose in new[] { false, true })
            foreach (var (members, m, n, k) in new[] { (10, 256, 36, 20), (10, 100, 23, 33), (300, 40, 8, 8), (700, 200, 12, 12), (3, 1100, 6, 9), (1500, 1030, 4, 8), (20, 1100, 104, 8), (21, 1025, 103, 7), (4, 70, 9, 2), (1, 64, 40, 16) })
            {
                SampleInput[] inputs = [F([m, k]), F(transpose ? [members, n, k] : [members, k, n]), new SampleInput(TensorType.Int([m]), 0, members)];
                Check(device, new MemberMatMul(transpose, false), inputs, null);
                if ((long)members * m * n < 1 << 20) Check(device, new MemberMatMul(transpose, true), [.. inputs, F([members, m, n])], null);
            }
    }

    /// <summary>A row has the bits that the product of the whole ensemble gives it.</summary>
    [CudaFact]
    public void Rows_of_members_have_the_bits_of_the_whole_product()
    {
        using var device = new CudaDevice();
        foreach (var (members, m, n, k) in new[] { (5, 100, 44, 60), (5, 90, 33, 41), (20, 1100, 104, 36), (5, 100, 7, 60), (5, 20, 1, 300), (3, 9, 8, 33) })
        {
            var whole = new OpCase(new MatMul(false, true), [F([m, k]), F([members, n, k])], Tolerance.Rounded, false);
            var rows = new OpCase(new MemberMatMul(true, false), [F([m, k]), F([members, n, k]), new SampleInput(TensorType.Int([m]), 0, members)], Tolerance.Rounded, false);
            var inputs = SampleData.Inputs<float>(whole, 7);
            var member = SampleData.Inputs<float>(rows, 7)[2];
            byte[] all = OpCheck.Run(device, whole.Op, SampleData.Types(whole), Array.ConvertAll(inputs, OpCheck.Encode))[0];
            byte[] own = OpCheck.Run(device, rows.Op, SampleData.Types(rows), [.. inputs.Select(OpCheck.Encode), OpCheck.Encode(member)])[0];
            for (int i = 0; i < m; i++) Assert.Equal(all.AsSpan(((int)member[i] * m + i) * n * 4, n * 4), own.AsSpan(i * n * 4, n * 4));
        }
    }

    /// <summary>What is no number, and infinity, arrives where it belongs and nowhere else, also next to a tile's edge.</summary>
    [CudaTheory, MemberData(nameof(Tiles))]
    public void Special_values_stay_in_their_rows_and_columns(int tile)
    {
        using var device = Device(Gemm.Tiles[tile].Precision);
        if (device is null) return;
        var (m, n, k) = (37, 36, 33);
        foreach (var (op, shapeA, shapeB) in Products(m, n, k))
        {
            float[] a = new float[m * k], b = new float[k * n];
            Array.Fill(a, 1);
            Array.Fill(b, 1);
            // As a GPU writes it: all bits set but the sign.
            a[op.TransposeA ? 32 * m + 36 : 36 * k + 32] = BitConverter.Int32BitsToSingle(0x7FFFFFFF);
            b[op.TransposeB ? 35 * k + 32 : 32 * n + 35] = float.PositiveInfinity;
            Gemm.Choice = tile;
            byte[] bytes = OpCheck.Run(device, op, [TensorType.Float(shapeA), TensorType.Float(shapeB)], [Bytes(a), Bytes(b)])[0];
            Gemm.Choice = null;
            for (int i = 0; i < m; i++)
                for (int j = 0; j < n; j++)
                    Assert.Equal(i == 36 ? float.NaN : j == 35 ? float.PositiveInfinity : k, BitConverter.ToSingle(bytes, 4 * (i * n + j)));
        }
    }

    private static byte[] Bytes(float[] values)
    {
        byte[] bytes = new byte[4 * values.Length];
        System.Buffer.BlockCopy(values, 0, bytes, 0, bytes.Length);
        return bytes;
    }
}
