using static Engine.Kernels.Cuda.Launches.Launch;

namespace Engine.Kernels.Cuda.Launches;

/// <summary>Ops that look things up: gather.cu, scatter_add.cu, set_rows.cu, sort.cu, search_sorted.cu, chunked_backup.cu.</summary>
internal static class IndexOps
{
    /// <summary>Keys that a block sorts in shared memory.</summary>
    public const int SortPiece = 4096;

    /// <summary>How rows are copied.</summary>
    public static readonly Choice GatherKernels = new("GATHER", "elements", "vectors");

    /// <summary>How the indices of one row find one another.</summary>
    public static readonly Choice ScatterKernels = new("SCATTER", "scan", "sort");

    /// <summary>Where keys are sorted.</summary>
    public static readonly Choice SortKernels = new("SORT", "pieces", "shared memory");

    // Up to here every index looks for its equals among all others; beyond, sorting them takes less time.
    private const int ScannedIndices = 16384;

    /// <summary>Rows of the table. An index outside it gives NaN, -1, 0 or false, for a device cannot throw.</summary>
    public static CudaKernel Gather(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        if (outputs[0].Elements == 0) return Nothing;
        int rows = inputs[0].Shape[0], bytes = inputs[0].DType.Bytes();
        long count = inputs[1].Elements, width = outputs[0].Elements / count;
        int fill = inputs[0].DType switch { DType.F32 => 0x7FC00000, DType.I32 => -1, DType.BF16 => 0x7FC07FC0, _ => 0 };
        // Rows of whole words are moved as words.
        if (bytes < 4 && bytes * width % 4 == 0) (width, bytes) = (bytes * width / 4, 4);
        bool vectors = bytes == 4 && width % 4 == 0 && width <= 1 << 30 && count <= 1 << 30;
        if (GatherKernels.Of(vectors && width >= 64 ? 1 : 0, n => n == 0 || vectors) == 0)
            return new("elements", [Over(outputs[0].Elements, $"gather_{bytes}", Operand(0), Operand(1), Operand(2), count, rows, width, fill)]);
        // A warp a row, or as many as its quarters need.
        int threads = width <= 128 ? 32 : 128, together = 128 / threads;
        long blocks = (count + together - 1) / together, y = Math.Min(blocks, 32768);
        return new("vectors", [new("gather_vectors", new(Blocks(width, 4 * threads, "gather_vectors"), (int)y, (int)((blocks + y - 1) / y)), new(threads, together),
            [Operand(0), Operand(1), Operand(2), count, rows, (int)width, fill])]);
    }

    /// <summary>Sums of updates by row, in their order. An index outside the rows is left out, for a device cannot throw.</summary>
    public static CudaKernel ScatterAdd(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        if (outputs[0].Elements == 0) return Nothing;
        int rows = ((ScatterAdd)op).Rows;
        long width = outputs[0].Elements / rows, tiles = (width + 127) / 128;
        int count = Size(inputs[0].Elements, "scatter_add");
        var zero = Over(outputs[0].Elements, "scatter_zero", Operand(2), outputs[0].Elements);
        if (count == 0) return new("zero", [zero]);
        if (ScatterKernels.Of(count <= ScannedIndices && tiles <= 65535 ? 0 : 1, n => n == 1 || tiles <= 65535) == 0)
            return new("scan", [zero, new("scatter_scan", new(count, (int)tiles), new(128), [Operand(0), Operand(1), Operand(2), count, rows, width])]);
        int padded = (int)Math.Max(SortPiece, PowerOfTwo(count));
        return new("sort", [zero, Over(padded, "scatter_keys", Operand(0), KernelArgument.Scratch(), count, rows, padded), .. SortKeys(1, padded),
            Over(count * width, "scatter_runs", KernelArgument.Scratch(), Operand(1), Operand(2), count, width)], 8L * padded);
    }

    /// <summary>Rows put into a table; in the table's own memory nothing else is touched. An index outside the rows is left out, for a device cannot throw.</summary>
    public static CudaKernel SetRows(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        if (outputs[0].Elements == 0) return Nothing;
        int rows = inputs[0].Shape[0], count = Size(inputs[1].Elements, "set_rows");
        long bytes = outputs[0].Bytes / rows;
        // Words where rows are whole words.
        int size = bytes % 4 == 0 ? 4 : 1;
        long width = bytes / size, tiles = (width + 127) / 128;
        var copy = Over(rows * width, $"set_rows_copy_{size}", Operand(0), Operand(3), rows * width) with { Apart = (0, 3) };
        if (count == 0) return new("copy", [copy]);
        if (ScatterKernels.Of(count <= ScannedIndices && tiles <= 65535 ? 0 : 1, n => n == 1 || tiles <= 65535) == 0)
            return new("scan", [copy, new($"set_rows_scan_{size}", new(count, (int)tiles), new(128), [Operand(1), Operand(2), Operand(3), count, rows, width])]);
        int padded = (int)Math.Max(SortPiece, PowerOfTwo(count));
        return new("sort", [copy, Over(padded, "scatter_keys", Operand(1), KernelArgument.Scratch(), count, rows, padded), .. SortKeys(1, padded),
            Over(count * width, $"set_rows_last_{size}", KernelArgument.Scratch(), Operand(2), Operand(3), count, width)], 8L * padded);
    }

    public static CudaKernel Sort(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        if (outputs[0].Elements == 0) return Nothing;
        int k = inputs[0].Shape[^1], descending = ((Sort)op).Descending ? 1 : 0;
        long rows = inputs[0].Elements / k;
        int padded = (int)PowerOfTwo(Size(k, "sort"));
        if (InSharedMemory(padded))
            return new("shared memory", [new("sort_rows", new(Blocks(rows, 1, "sort_rows")), new(Math.Clamp(padded / 2, 32, 1024)), [Operand(0), Operand(1), Operand(2), k, padded, descending], 8 * padded)]);
        padded = Math.Max(SortPiece, padded);
        return new("pieces", [Over(rows * padded, "sort_keys", Operand(0), KernelArgument.Scratch(), rows, k, padded, descending), .. SortKeys(rows, padded),
            Over(rows * k, "sort_take", Operand(0), KernelArgument.Scratch(), Operand(1), Operand(2), rows, k, padded)], 8 * rows * padded);
    }

    /// <summary>Whether so many keys are sorted by one block.</summary>
    public static bool InSharedMemory(int padded) => SortKernels.Of(padded <= SortPiece ? 1 : 0, n => n == 0 || padded <= SortPiece) == 1;

    /// <summary>Sorts rows of keys in scratch memory; a power of two of at least 4096 a row.</summary>
    public static IEnumerable<KernelLaunch> SortKeys(long rows, long padded)
    {
        int pieces = Blocks(rows * padded, SortPiece, "sort_pieces");
        yield return new("sort_pieces", new(pieces), new(1024), [KernelArgument.Scratch(), padded]);
        for (long run = 2 * SortPiece; run <= padded; run *= 2)
        {
            for (long distance = run / 2; distance >= SortPiece; distance /= 2)
                yield return Over(rows * padded / 2, "sort_far", KernelArgument.Scratch(), rows * padded / 2, padded, run, distance);
            yield return new("sort_near", new(pieces), new(1024), [KernelArgument.Scratch(), padded, run]);
        }
    }

    /// <summary>Targets over windows of rows. A row or member that there is not gives NaN, for a device cannot throw.</summary>
    public static CudaKernel ChunkedBackup(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        if (outputs[0].Elements == 0) return Nothing;
        var backup = (ChunkedBackup)op;
        bool some = inputs.Length == 6;
        int windows = Size(outputs[0].Elements, "chunked_backup"), rows = Size(inputs[0].Elements, "chunked_backup"), members = inputs[4].Shape[0], counted = some ? inputs[5].Shape[0] : members;
        int bins = inputs[4].Shape.Rank == 3 ? inputs[4].Shape[2] : 0, target = some ? 6 : 5;
        var (rank, beyond) = backup.QuantilePlace(counted);
        return new("a thread a window", [Over(windows, "chunked_backup", Operand(0), Operand(1), Operand(2), Operand(3), Operand(4), Operand(some ? 5 : 2), Operand(target), Operand(target + 1),
            some ? 1 : 0, windows, rows, backup.Length, backup.Stride, (float)backup.Within, (float)backup.Discount, members, counted, bins, (float)backup.Low, (float)((backup.High - backup.Low) / Math.Max(1, bins)),
            (int)backup.Members, rank, (float)beyond, (float)(1.0 / counted))]);
    }

    public static CudaKernel SearchSorted(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) =>
        outputs[0].Elements == 0 ? Nothing
            : new("binary search", [Over(outputs[0].Elements, "search_sorted", Operand(0), Operand(1), Operand(2), outputs[0].Elements, inputs[0].Shape[^1], inputs[1].Shape[^1], ((SearchSorted)op).Right ? 1 : 0)]);
}
