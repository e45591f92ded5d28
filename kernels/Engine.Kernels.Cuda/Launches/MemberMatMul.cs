namespace Engine.Kernels.Cuda.Launches;

/// <summary>Products of rows with a matrix each. Rows whose member is outside 0..members-1 are not written.</summary>
internal static class MemberMatMulLaunches
{
    // Up to here every block looks through the members of all rows for its own; beyond, they are sorted once by a kernel of their own.
    internal const int MostLookedThrough = 1024;
    private const int MostTilesLookedThrough = 2048;

    /// <summary>The product of the whole ensemble, whose order every row's sums have.</summary>
    internal static Gemm Whole(MemberMatMul op, TensorType[] inputs, TensorType output, CudaLimits limits) => Product(op, inputs, output, inputs[1].Shape[0], limits);

    /// <summary>A product of as many rows with one matrix.</summary>
    internal static Gemm One(MemberMatMul op, TensorType[] inputs, TensorType output, CudaLimits limits) => Product(op, inputs, output, 1, limits);

    private static Gemm Product(MemberMatMul op, TensorType[] inputs, TensorType output, int members, CudaLimits limits) =>
        new(new MatMul(false, op.TransposeB), inputs[0].Shape.Insert(0, members), inputs[1].Shape.With(0, members), output.Shape.Insert(0, members), null, false, -1, -1, 2, limits);

    /// <summary>Whether rows are summed as in the product of the whole ensemble, which is then not needed.</summary>
    public static bool Prefers(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) =>
        Whole((MemberMatMul)op, inputs, outputs[0], limits).Order switch { GemmOrder.Lines => false, GemmOrder.Dots => IsNarrow(inputs, outputs) && inputs[0].Shape[1] < MostUncut, _ => true };

    // Few columns are dot products, which from so many terms on are cut into parts.
    private const int MostUncut = 2048;

    private static bool IsNarrow(TensorType[] inputs, TensorType[] outputs) => outputs[0].Shape[1] <= Gemm.NarrowRows && outputs[0].Shape[1] <= outputs[0].Shape[0];

    /// <summary>The launches.</summary>
    public static CudaKernel Make(MemberMatMul op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        int m = outputs[0].Shape[0], n = outputs[0].Shape[1], k = inputs[0].Shape[1], members = inputs[1].Shape[0];
        if (m == 0 || n == 0) return new CudaKernel("no elements", []);
        string transpose = op.TransposeB ? "_t" : "_n";
        KernelArgument mask = op.Mask ? KernelArgument.Operand(3) : (KernelArgument)0L, output = KernelArgument.Operand(inputs.Length);
        KernelArgument a = KernelArgument.Operand(0), b = KernelArgument.Operand(1), member = KernelArgument.Operand(2);
        if (k <= Gemm.FewTerms)
        {
            int blocks = checked((int)(((long)m * ((n + 3) / 4) + 255) / 256));
            return new CudaKernel("outer product", [new KernelLaunch("member_matmul_outer" + transpose, new Dim3(blocks), new Dim3(256), [a, b, member, mask, output, m, n, k, members])]);
        }
        if (IsNarrow(inputs, outputs))
            return new CudaKernel("dot products", [new KernelLaunch("member_matmul_dots" + transpose, new Dim3((m + 7) / 8), new Dim3(256), [a, b, member, mask, output, m, n, k, members])]);

        // As the product of the whole ensemble would be summed, so that in float32 the bits are those of its rows.
        bool big = Gemm.IsBig(m, n, k, members) || limits.Architecture < 80, whole = k % 4 == 0 && (op.TransposeB ? k : n) % 4 == 0;
        var precision = limits.Precision;
        var (name, tile, threads, shared) = (precision == Precision.Float32, big) switch
        {
            (true, true) => ("member_matmul_64x64", 64, 64, 3 * 2 * 64 * Gemm.Depth),
            (true, false) => ("member_matmul_32x32_sliced", 32, 128, 4 * 2 * 32 * Gemm.Depth),
            // At most 8 floats of padding a line.
            (false, true) => ("member_matmul_64x64", 64, 128, 4 * 2 * 64 * (Gemm.Depth + 8)),
            (false, false) => ("member_matmul_32x32", 32, 128, 4 * 2 * 32 * (Gemm.Depth + 8)),
        };
        if (precision != Precision.Float32) name = name.Replace("matmul", precision == Precision.TF32 ? "matmul_tf32" : "matmul_bf16", StringComparison.Ordinal);
        name += (whole ? "" : "_any") + transpose;
        shared = sizeof(float) * (shared + tile + 1);
        int stretches = (m + tile - 1) / tile, columns = (n + tile - 1) / tile;
        KernelLaunch Product(long tiles, KernelArgument list, KernelArgument order) =>
            new(name, new Dim3(checked((int)tiles), columns), new Dim3(threads), [a, b, member, mask, output, m, n, k, list, order], shared);
        if (m <= MostLookedThrough && (long)members * stretches <= MostTilesLookedThrough) return new CudaKernel(name, [Product((long)members * stretches, 0L, 0L)]);

        int most = checked(m / tile + Math.Min(members, m)); // every member may have one tile that is not full
        long order = 0, list = Align(order + (long)m * sizeof(int)), next = Align(list + 3L * most * sizeof(int)), bytes = Align(next + (long)members * sizeof(int));
        KernelArgument[] sort = [member, m, members, tile, most, KernelArgument.Scratch(order), KernelArgument.Scratch(list), KernelArgument.Scratch(next)];
        return new CudaKernel("sorted, " + name, [new KernelLaunch("member_sort", new Dim3(1), new Dim3(1024), sort), Product(most, KernelArgument.Scratch(list), KernelArgument.Scratch(order))], bytes);
    }

    private static long Align(long bytes) => (bytes + 255) / 256 * 256;
}
