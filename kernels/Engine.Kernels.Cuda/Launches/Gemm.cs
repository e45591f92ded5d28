using System.Globalization;

namespace Engine.Kernels.Cuda.Launches;

/// <summary>A kernel that computes a product tile by tile.</summary>
/// <param name="Name">Of the function; _nn, _nt, _tn or _tt follows.</param>
/// <param name="Precision">Of the factors.</param>
/// <param name="Rows">Rows of its tile.</param>
/// <param name="Columns">Columns of its tile.</param>
/// <param name="Threads">Threads of a block.</param>
/// <param name="Stages">Tiles of the operands that are in shared memory at once.</param>
/// <param name="Slices">Chains that a sum is made of.</param>
/// <param name="Whole">Whether it takes only matrices whose lines have a multiple of four elements.</param>
/// <param name="Architecture">What it needs.</param>
/// <param name="Rate">Multiply-adds a cycle of a multiprocessor where enough warps run: what its units do, times the share of instructions or of cycles that its loop leaves to them.</param>
internal sealed record GemmTile(string Name, Precision Precision, int Rows, int Columns, int Threads, int Stages, int Slices, bool Whole, int Architecture, double Rate)
{
    /// <summary>Dynamic shared memory: the operands' tiles, padded as gemm_ffma.cuh and gemm_tensor.cuh say, or the sums on their way out.</summary>
    public int SharedBytes(bool transposeA, bool transposeB)
    {
        int sums = Precision != Precision.Float32 ? Rows * (Columns + 8) : Slices > 1 ? Slices * Rows * Columns : 0;
        return sizeof(float) * Math.Max(Stages * (Side(Rows, transposeA) + Side(Columns, !transposeB)), sums);
    }

    private int Side(int size, bool rowsInner) => Precision switch
    {
        Precision.Float32 => size * Gemm.Depth,
        Precision.TF32 => rowsInner ? Gemm.Depth * (size + 8) : size * Gemm.Depth,
        _ => rowsInner ? Gemm.Depth * (size + 4) : size * (Gemm.Depth + 8),
    };
}

/// <summary>How the sums of a product are made, which is what its bits depend on, as long as they are not cut into parts among blocks (docs/cuda.md).</summary>
internal enum GemmOrder
{
    /// <summary>Too few terms for tiles: one chain of multiply-adds.</summary>
    FewTerms,
    /// <summary>Dot products: a warp a sum.</summary>
    Dots,
    /// <summary>Combined lines: every 16th term a warp.</summary>
    Lines,
    /// <summary>Tiles: one chain of multiply-adds.</summary>
    Chain,
    /// <summary>Tiles: four chains.</summary>
    Slices,
}

/// <summary>
/// How a batched matrix product is computed: which kernel, how its sums are cut, and the launches.
/// </summary>
/// <remarks>
/// How a sum is cut (slices in a block, parts among blocks) depends on the shape alone, so that a shape has the same bits on every device that runs the same family; which
/// tile computes it depends on the device as well, for the bits do not. docs/cuda.md has the model behind the choice.
/// </remarks>
internal sealed class Gemm
{
    /// <summary>Terms of a tile in shared memory, and so of the smallest part of a sum.</summary>
    internal const int Depth = 32;

    /// <summary>Products of at most so many terms are limited by writing what comes out.</summary>
    internal const int FewTerms = 4;

    /// <summary>The multiprocessors that parts of sums are cut for: those of an H100 or H200, whatever the device has.</summary>
    private const int Yardstick = 132;

    private const int MaxBlocksY = 65535;

    /// <summary>Where one side has at most so many rows there are no tiles.</summary>
    internal const int NarrowRows = 8;

    /// <summary>The tiles by number: ENGINE_CUDA_GEMM=NUMBER chooses one for every product it can compute.</summary>
    internal static readonly GemmTile[] Tiles =
    [
        Float32("matmul_ffma_any", 64, 64, 128, 2, 1, false, 75, 0.65),
        Float32("matmul_ffma_128x128", 128, 128, 256, 3, 1, true, 80, 0.86),
        Float32("matmul_ffma_128x64", 128, 64, 128, 3, 1, true, 80, 0.85),
        Float32("matmul_ffma_64x64", 64, 64, 64, 3, 1, true, 80, 0.83),
        Float32("matmul_ffma_64x64_sliced", 64, 64, 256, 3, 4, true, 80, 0.79),
        Float32("matmul_ffma_64x32_sliced", 64, 32, 128, 3, 4, true, 80, 0.79),
        Float32("matmul_ffma_32x32_sliced", 32, 32, 128, 4, 4, true, 80, 0.65),
        Float32("matmul_ffma_64x32_sliced_any", 64, 32, 128, 3, 4, false, 80, 0.60),
        Float32("matmul_ffma_32x32_sliced_any", 32, 32, 128, 4, 4, false, 80, 0.55),
        .. Tensor(Precision.TF32, "matmul_tf32", 500),
        .. Tensor(Precision.BFloat16, "matmul_bf16", 700),
    ];

    private static readonly Launches.Choice FromOutside = new("GEMM", Array.ConvertAll(Tiles, t => t.Name));

    [ThreadStatic] private static int? _choice;

    /// <summary>The tile that this thread's products are made with where it can compute them; null: the one that ENGINE_CUDA_GEMM names, or the best.</summary>
    internal static int? Choice
    {
        get => _choice ?? FromOutside.Number;
        set => _choice = value;
    }

    private readonly int _m, _n, _k;
    private readonly long _batches;
    private readonly bool _transposeA, _transposeB, _relu;
    private readonly int[] _sizes;              // batch axes, joined where they can be
    private readonly long[] _a, _b, _bias;      // their steps
    private readonly int _biasOperand, _residual, _mask, _output; // -1: none
    private readonly CudaLimits _limits;

    /// <summary>A product and what follows it.</summary>
    /// <param name="product">Transposes.</param>
    /// <param name="a">Shape of input 0.</param>
    /// <param name="b">Shape of input 1.</param>
    /// <param name="output">Shape of the output.</param>
    /// <param name="bias">Shape of input 2 where it is a bias; else null.</param>
    /// <param name="relu">Whether a rectifier follows.</param>
    /// <param name="residual">Number of the residual; -1: none.</param>
    /// <param name="mask">Number of the mask; -1: none.</param>
    /// <param name="operands">Number of the output.</param>
    /// <param name="limits">The device.</param>
    public Gemm(MatMul product, Shape a, Shape b, Shape output, Shape? bias, bool relu, int residual, int mask, int operands, CudaLimits limits)
    {
        (_transposeA, _transposeB, _relu, _limits) = (product.TransposeA, product.TransposeB, relu, limits);
        (_biasOperand, _residual, _mask, _output) = (bias is null ? -1 : 2, residual, mask, operands);
        (_m, _n, _k) = (output[^2], output[^1], product.TransposeA ? a[^2] : a[^1]);
        var batch = MatMul.Batch(output);
        _batches = batch.Elements;
        long[] Steps(Shape of, long size) => Array.ConvertAll(of.BroadcastStrides(batch), s => s * size);
        (_sizes, var steps) = Join(batch, Steps(MatMul.Batch(a), (long)_m * _k), Steps(MatMul.Batch(b), (long)_k * _n), bias is { } shape ? Steps(shape.Without(-1), _n) : new long[batch.Rank]);
        (_a, _b, _bias) = (steps[0], steps[1], steps[2]);
        // A batch of rows that share the other matrix is one product.
        if (_sizes is [var rows] && !_transposeA && _a[0] == (long)_m * _k && _b[0] == 0 && _bias[0] == 0 && (long)rows * _m <= int.MaxValue)
            (_m, _batches, _sizes, _a, _b, _bias) = (rows * _m, 1, [], [], [], []);
    }

    /// <summary>How its sums are made.</summary>
    public GemmOrder Order
    {
        get
        {
            if (Forced is { } forced) return forced.Slices == 1 ? GemmOrder.Chain : GemmOrder.Slices;
            if (_k <= FewTerms) return GemmOrder.FewTerms;
            if (Math.Min(_m, _n) <= NarrowRows) return (_m < _n ? _transposeB : !_transposeA) ? GemmOrder.Dots : GemmOrder.Lines;
            // Before asynchronous copies there is one tile for all.
            return _limits.Precision != Precision.Float32 || _limits.Architecture < 80 || IsBig(_m, _n, _k, _batches) ? GemmOrder.Chain : GemmOrder.Slices;
        }
    }

    /// <summary>Predicted cycles of the product by itself, on a device that does nothing else.</summary>
    public double Cycles()
    {
        if (Order is not (GemmOrder.Chain or GemmOrder.Slices)) return 1500 + 4.0 * _batches * ((double)_m * _k + (double)_k * _n + (double)_m * _n) / (24.0 * _limits.Multiprocessors);
        var (tile, parts, depth) = Tile();
        return Cycles(tile, depth, parts, _limits.Multiprocessors);
    }

    /// <summary>The launches.</summary>
    public CudaKernel Make()
    {
        if (_batches == 0 || _m == 0 || _n == 0) return new CudaKernel("no elements", []);
        if ((long)_m * _n > int.MaxValue * 256L) throw new DeviceException($"matmul: a matrix of {_m} x {_n} is more than a launch takes");
        switch (Order)
        {
            case GemmOrder.FewTerms: return Finish("outer product", Outer(), 1, 0);
            case GemmOrder.Dots or GemmOrder.Lines: return Narrow();
        }
        var (best, parts, depth) = Tile();
        var launch = new KernelLaunch(best.Name + Suffix, new Dim3(checked((int)TilesOf(best)), 1, parts), new Dim3(best.Threads), [], SharedBytes(best));
        return Finish(parts == 1 ? best.Name : string.Create(CultureInfo.InvariantCulture, $"{best.Name} x {parts}"), launch, parts, depth);
    }

    private GemmTile? Forced => Choice is { } number && CanRun(Tiles[number]) ? Tiles[number] : null;

    /// <summary>The tile that is predicted to be fastest, and how sums are cut into parts of so many terms.</summary>
    private (GemmTile Tile, int Parts, int Depth) Tile()
    {
        bool single = Order == GemmOrder.Chain;
        var candidates = Forced is { } forced ? [forced] : Array.FindAll(Tiles, t => CanRun(t) && (t.Slices == 1) == single);
        int parts = Parts(single), depth = Round(_k, parts);
        parts = Math.Max(1, (_k + depth - 1) / depth);
        return (candidates.MinBy(t => Cycles(t, depth, parts, _limits.Multiprocessors))!, parts, depth);
    }

    private string Suffix => (_transposeA ? "_t" : "_n") + (_transposeB ? "t" : "n");

    private static GemmTile Float32(string name, int rows, int columns, int threads, int stages, int slices, bool whole, int architecture, double share) =>
        new(name, Precision.Float32, rows, columns, threads, stages, slices, whole, architecture, 128 * share);

    private static GemmTile[] Tensor(Precision precision, string name, double rate)
    {
        GemmTile Of(string size, int rows, int columns, int stages, bool whole, double share) => new($"{name}_{size}", precision, rows, columns, rows == 256 ? 256 : 128, stages, 1, whole, 80, rate * share);
        return
        [
            Of("256x128", 256, 128, 3, true, 1),
            Of("128x128", 128, 128, 3, true, 1),
            Of("128x64", 128, 64, 3, true, 0.9),
            Of("64x64", 64, 64, 4, true, 0.75),
            Of("32x32", 32, 32, 4, true, 0.45),
            Of("64x64_any", 64, 64, 4, false, 0.6),
            Of("32x32_any", 32, 32, 4, false, 0.35),
        ];
    }

    private int SharedBytes(GemmTile t) => t.SharedBytes(_transposeA, _transposeB);

    private bool CanRun(GemmTile t) => t.Precision == _limits.Precision && t.Architecture <= _limits.Architecture && SharedBytes(t) <= _limits.SharedBytes && (!t.Whole || IsWhole);

    /// <summary>Lines of both operands begin at multiples of 16 bytes.</summary>
    private bool IsWhole => (_transposeA ? _m : _k) % 4 == 0 && (_transposeB ? _k : _n) % 4 == 0;

    private long TilesOf(GemmTile t) => (long)Blocks(_m, t.Rows) * Blocks(_n, t.Columns);

    private static int Blocks(long size, int of) => checked((int)((size + of - 1) / of));

    // ---- How sums are cut: by shape alone

    /// <summary>Whether there is work for all multiprocessors in tiles whose threads take whole sums: 128 x 128 for each. Long sums can be cut into parts for that.</summary>
    internal static bool IsBig(int m, int n, int k, long batches) => (double)m * n * batches * Math.Max(1, k / 1024.0) >= Yardstick * 128.0 * 128.0 && m > 32 && n > 32;

    /// <summary>Into how many parts the sums are cut, of 512 terms at least: as many as let the yardstick's multiprocessors finish soonest, with several blocks on each.</summary>
    private int Parts(bool big)
    {
        int rows = big ? (_m > 64 ? 128 : 64) : (_m > 32 ? 64 : 32), columns = big ? 64 : 32;
        double tiles = (double)Blocks(_m, rows) * Blocks(_n, columns) * _batches;
        int best = 1;
        double least = double.MaxValue;
        for (int parts = 1; parts <= Math.Clamp(_k / 512, 1, 32); parts++)
        {
            // Of every part a tile is written and read again: some 64 terms' time.
            double each = Math.Ceiling(tiles * parts / Yardstick), time = each / Busy(4 * Math.Min(each, 3)) * (Round(_k, parts) + (parts > 1 ? 64 : 0));
            if (time < least * 0.97) (best, least) = (parts, time);
        }
        return best;
    }

    /// <summary>Share of its rate that a multiprocessor reaches with so many warps.</summary>
    internal static double Busy(double warps) => Math.Min(1, 0.45 + 0.055 * warps);

    /// <summary>Terms of a part, a multiple of a tile's.</summary>
    private static int Round(int terms, int parts) => Math.Max(1, Blocks(Blocks(terms, parts), Depth)) * Depth;

    // ---- Which tile: by the device too

    /// <summary>
    /// Predicted cycles: the multiprocessor with most tiles multiplies at the tile's rate, less if few warps run on it; it reads at most 64 bytes a cycle, and all together at most
    /// 24 for each from the second-level cache; every tile begins and ends.
    /// </summary>
    private double Cycles(GemmTile t, int depth, int parts, int multiprocessors)
    {
        double tiles = (double)TilesOf(t) * _batches * parts, each = Math.Ceiling(tiles / multiprocessors), terms = Math.Min(depth, _k);
        int resident = Math.Max(1, Math.Min(228 * 1024 / (SharedBytes(t) + 1024), 384 / t.Threads)), warps = (int)Math.Min(each, resident) * t.Threads / 32;
        double busy = Busy(warps), bytes = (t.Rows + t.Columns) * sizeof(float) * terms;
        double multiply = each * t.Rows * t.Columns * terms / (t.Rate * busy), fetch = Math.Max(each * bytes / 64, tiles * bytes / (24.0 * multiprocessors));
        return Math.Max(multiply, fetch) + 1200 * Math.Ceiling(each / resident) + 300 * each;
    }

    // ---- Products without tiles

    private KernelLaunch Outer() => new("matmul_outer" + Suffix, new Dim3(Blocks((long)_m * ((_n + 3) / 4), 256)), new Dim3(256), []);

    private CudaKernel Narrow()
    {
        bool narrowIsA = _m < _n;
        int few = narrowIsA ? _m : _n, many = narrowIsA ? _n : _m, width = few <= 1 ? 1 : few <= 2 ? 2 : few <= 4 ? 4 : 8;
        bool narrowTermsInner = narrowIsA ? !_transposeA : _transposeB, wideTermsInner = narrowIsA ? _transposeB : !_transposeA;
        int flags = (narrowIsA ? 2 : 0) | (narrowTermsInner ? 4 : 0);
        // Four rows for each of four warps, or 32 for a block: parts until there are two blocks for every multiprocessor.
        int rows = wideTermsInner ? 16 : 32, least = wideTermsInner ? 1024 : 256;
        long blocks = Blocks(many, rows) * _batches;
        int parts = (int)Math.Clamp(2 * Yardstick / blocks, 1, Math.Clamp(_k / least, 1, 64)), depth = Round(_k, parts);
        parts = Math.Max(1, (_k + depth - 1) / depth);
        string name = (wideTermsInner ? "matmul_dots_" : "matmul_combine_") + width.ToString(CultureInfo.InvariantCulture);
        return Finish(name, new KernelLaunch(name, new Dim3(Blocks(many, rows), 1, parts), new Dim3(wideTermsInner ? 128 : 512), []), parts, depth, flags);
    }

    // ---- Launches

    /// <summary>The launch for all batches; with parts, into scratch memory, and another that adds them.</summary>
    private CudaKernel Finish(string variant, KernelLaunch launch, int parts, int depth, int flags = 0)
    {
        if (_batches > int.MaxValue) throw new DeviceException($"matmul: {_batches} matrices are more than a launch takes");
        var launches = new List<KernelLaunch>();
        if (parts == 1)
        {
            Add(launches, launch, Math.Max(depth, _k), 0, KernelArgument.Operand(_output), flags, last: true);
            return new CudaKernel(variant, [.. launches]);
        }
        long part = _batches * _m * _n;
        Add(launches, launch, depth, part, KernelArgument.Scratch(), flags, last: false);
        var sum = new KernelLaunch("matmul_add_parts", new Dim3(Blocks((long)_m * ((_n + 3) / 4), 256)), new Dim3(256), []);
        Add(launches, sum, parts, part, KernelArgument.Operand(_output), 0, last: true, a: KernelArgument.Scratch(), terms: parts);
        return new CudaKernel(variant, [.. launches], part * parts * sizeof(float));
    }

    /// <summary>One launch for every 65,535 batches of the two innermost axes, and for every index of the axes outside them.</summary>
    private void Add(List<KernelLaunch> launches, KernelLaunch launch, int depth, long part, KernelArgument c, int flags, bool last, KernelArgument? a = null, int? terms = null)
    {
        int inner = _sizes.Length > 0 ? _sizes[^1] : 1, outer = _sizes.Length > 1 ? _sizes[^2] : 1;
        long block = (long)inner * outer;
        KernelArgument Beside(int operand) => last && operand >= 0 ? KernelArgument.Operand(operand) : (KernelArgument)0L;
        for (long group = 0; group < _batches / block; group++)
        {
            // Batches are counted through all groups, so what the kernel adds for the outer axis is taken off again.
            long firstA = Offset(_a, group) - group * outer * Step(_a, 2), firstB = Offset(_b, group) - group * outer * Step(_b, 2), firstBias = Offset(_bias, group) - group * outer * Step(_bias, 2);
            for (long from = group * block; from < (group + 1) * block; from += MaxBlocksY)
            {
                int count = (int)Math.Min(MaxBlocksY, (group + 1) * block - from);
                KernelArgument[] arguments =
                [
                    a ?? KernelArgument.Operand(0), KernelArgument.Operand(1), Beside(_biasOperand), Beside(_residual), Beside(_mask), c, _m, _n, terms ?? _k, depth, part, (int)from, inner,
                    firstA, Step(_a, 2), Step(_a, 1), firstB, Step(_b, 2), Step(_b, 1), firstBias, Step(_bias, 2), Step(_bias, 1), flags | (last && _relu ? 1 : 0),
                ];
                launches.Add(launch with { Grid = launch.Grid with { Y = count }, Arguments = arguments });
            }
        }
    }

    private static long Step(long[] steps, int fromEnd) => steps.Length >= fromEnd ? steps[^fromEnd] : 0;

    /// <summary>Where the matrices of a group begin: a group is an index of all axes but the last two.</summary>
    private long Offset(long[] steps, long group)
    {
        long offset = 0;
        for (int axis = _sizes.Length - 3; axis >= 0; axis--)
        {
            offset += group % _sizes[axis] * steps[axis];
            group /= _sizes[axis];
        }
        return offset;
    }

    /// <summary>Axes with one step for all operands from one end to the other become one; axes of size 1 go.</summary>
    private static (int[] Sizes, long[][] Steps) Join(Shape batch, params long[][] steps)
    {
        var sizes = new List<int>();
        var joined = Array.ConvertAll(steps, _ => new List<long>());
        for (int axis = 0; axis < batch.Rank; axis++)
        {
            if (batch[axis] == 1) continue;
            bool fits = sizes.Count > 0 && (long)sizes[^1] * batch[axis] <= int.MaxValue;
            for (int i = 0; i < steps.Length && fits; i++) fits = joined[i][^1] == steps[i][axis] * batch[axis];
            if (fits) sizes[^1] *= batch[axis];
            else sizes.Add(batch[axis]);
            for (int i = 0; i < steps.Length; i++)
                if (fits) joined[i][^1] = steps[i][axis];
                else joined[i].Add(steps[i][axis]);
        }
        return ([.. sizes], Array.ConvertAll(joined, s => s.ToArray()));
    }
}
