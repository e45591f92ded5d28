using static Engine.Kernels.Cuda.Launches.Launch;

namespace Engine.Kernels.Cuda.Launches;

/// <summary>A kernel that takes rows through all links of a chain: matmul_chain.cuh.</summary>
/// <param name="Name">Of the function; _forward or _backward follows.</param>
/// <param name="Precision">Of the factors.</param>
/// <param name="Rows">Rows of a block.</param>
/// <param name="Stages">Tiles of the matrices that are in shared memory at once.</param>
/// <param name="Rate">Multiply-adds a cycle of a multiprocessor: what its units do, or as many as shared memory feeds.</param>
/// <param name="Members">Whether rows have matrices of their own; backwards only.</param>
internal sealed record ChainKernel(string Name, Precision Precision, int Rows, int Stages, double Rate, bool Members = false)
{
    /// <summary>Dynamic shared memory: the rows and the tiles, padded as matmul_chain.cu and matmul_chain_tensor.cuh say.</summary>
    public int SharedBytes(bool backward)
    {
        const int width = MatMulChains.Width, depth = Gemm.Depth;
        int tile = (Precision, backward) switch
        {
            (Precision.TF32, false) => depth * (width + 8),
            (Precision.BFloat16, false) => depth * (width + 4),
            (Precision.BFloat16, true) => width * (depth + 8),
            _ => depth * width,
        };
        return sizeof(float) * (Rows * (width + (Precision == Precision.BFloat16 ? 8 : 4)) + Stages * tile + (Members ? Rows + 1 : 0));
    }
}

/// <summary>
/// Chains of products: rows go through all links in one launch where a kernel does that with the bits of single products, or a link is a launch. docs/cuda.md has the model behind the choice.
/// </summary>
internal static class MatMulChains
{
    /// <summary>The most terms and columns of a link.</summary>
    internal const int Width = 256;

    private const int FewColumns = 8, Threads = 256, MaxBlocksY = 65535;

    /// <summary>Cycles between the end of a kernel and the begin of the next that waits for it, in a graph.</summary>
    private const double Gap = 2000;

    /// <summary>The kernels, number 1 and following of <see cref="Variants"/>.</summary>
    internal static readonly ChainKernel[] Kernels =
    [
        new("matmul_chain_20", Precision.Float32, 20, 2, 109),
        new("matmul_chain_8", Precision.Float32, 8, 2, 96),
        new("matmul_chain_tf32_128", Precision.TF32, 128, 2, 500),
        new("matmul_chain_tf32_32", Precision.TF32, 32, 3, 450),
        new("matmul_chain_tf32_16", Precision.TF32, 16, 2, 320),
        new("matmul_chain_bf16_128", Precision.BFloat16, 128, 2, 700),
        new("matmul_chain_bf16_32", Precision.BFloat16, 32, 3, 480),
        new("matmul_chain_bf16_16", Precision.BFloat16, 16, 2, 330),
        new("member_chain_8", Precision.Float32, 8, 2, 96, true),
        new("member_chain_tf32_16", Precision.TF32, 16, 2, 320, true),
        new("member_chain_bf16_16", Precision.BFloat16, 16, 2, 330, true),
    ];

    /// <summary>How a chain is computed.</summary>
    internal static readonly Choice Variants = new("CHAIN", ["a launch a link", .. Kernels.Select(k => k.Name)]);

    /// <summary>The launches.</summary>
    public static CudaKernel Make(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) => new Chain((MatMulChain)op, inputs, limits).Make(inputs.Length);

    /// <summary>Whether one launch is predicted to be faster than one a link.</summary>
    public static bool Prefers(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) => new Chain((MatMulChain)op, inputs, limits).Number > 0;

    /// <summary>Predicted cycles: of a launch a link, and of the kernel that is chosen.</summary>
    internal static (double Links, double Chosen) Predict(Op op, TensorType[] inputs, CudaLimits limits) => new Chain((MatMulChain)op, inputs, limits).Predicted;

    private sealed class Chain
    {
        private readonly MatMulChain _op;
        private readonly CudaLimits _limits;
        private readonly TensorType[] _x;
        private readonly (TensorType[] Inputs, TensorType Result)[] _types;
        private readonly Gemm[] _products; // of the whole ensemble where rows have matrices of their own
        private readonly bool _backward;
        private readonly bool[] _shared; // whether all members share a link's matrix
        private readonly int _m, _in, _ensemble; // members whose matrices rows have; 0: rows have none of their own
        private readonly long _members, _member; // how many, and elements from one's rows of x to the next's

        public Chain(MatMulChain op, TensorType[] inputs, CudaLimits limits)
        {
            (_op, _limits, _x, _types) = (op, limits, inputs, op.Types(inputs));
            if (op.OfMembers) _ensemble = _types[0].Inputs[1].Shape[0];
            _products = op.Links.Select((link, i) => link is MemberMatMul member ? MemberMatMulLaunches.Whole(member, _types[i].Inputs, _types[i].Result, limits) : MatMulLaunches.Product(link, _types[i].Inputs, _types[i].Result, limits)).ToArray();
            _backward = op.Links[0] is not Linear && ProductOf(op.Links[0]).TransposeB;
            (_m, _in) = (_types[0].Result.Shape[^2], inputs[0].Shape[^1]);
            _members = MatMul.Batch(_types[0].Result.Shape).Elements;
            _shared = Array.ConvertAll(_types, t => _ensemble == 0 && MatMul.Batch(t.Inputs[1].Shape).Elements == 1);
            _member = MatMul.Batch(inputs[0].Shape).Elements == 1 ? 0 : (long)_m * _in;
            // Rows that share all matrices are rows of one member.
            if (_members > 1 && _member > 0 && _shared.All(s => s) && _m * _members <= 1 << 30) (_m, _members) = ((int)(_m * _members), 1);
            Number = Variants.Of(Best(), number => number == 0 || CanRun(Kernels[number - 1]));
        }

        /// <summary>Number of the implementation; 0: a launch a link.</summary>
        public int Number { get; }

        public (double Links, double Chosen) Predicted => (LinkCycles, Number == 0 ? LinkCycles : Cycles(Kernels[Number - 1]));

        public CudaKernel Make(int inputs) => Number == 0 ? Links(inputs) : Whole(Kernels[Number - 1], inputs);

        private static MatMul ProductOf(Op link) => link as MatMul ?? (link as FusedMatMul)?.Product ?? new MatMul(false, link is MemberMatMul { TransposeB: true });

        private int Terms(int link) => link == 0 ? _in : Columns(link - 1);

        private int Columns(int link) => _types[link].Result.Shape[^1];

        /// <summary>Whether a link goes through tiles; a first one of few terms and a last one of few columns do not.</summary>
        private bool IsTiled(int link) => !(link == 0 && _in <= Gemm.FewTerms) && !(link == _types.Length - 1 && Columns(link) <= FewColumns);

        // ---- Which kernel

        private double LinkCycles => _op.Links.Select((link, i) => link is MemberMatMul member ? MemberMatMulLaunches.One(member, _types[i].Inputs, _types[i].Result, _limits).Cycles() : _products[i].Cycles()).Sum() + Gap * (_products.Length - 1);

        private int Best()
        {
            int best = 0;
            double least = LinkCycles;
            for (int i = 0; i < Kernels.Length; i++)
                if (CanRun(Kernels[i]) && Cycles(Kernels[i]) is var cycles && cycles < least) (best, least) = (i + 1, cycles);
            return best;
        }

        private bool CanRun(ChainKernel kernel) => kernel.Members == _ensemble > 0 && kernel.Precision == _limits.Precision && _limits.Architecture >= 80 && kernel.SharedBytes(_backward) <= _limits.SharedBytes && Fits;

        /// <summary>Whether the kernels compute it, and every link with the bits of its product alone.</summary>
        private bool Fits
        {
            get
            {
                if (_m is 0 or > 1 << 30 || _members is 0 or > MaxBlocksY || _in is 0 or > Width) return false;
                // Every block looks through the members of all rows.
                if (_ensemble > 0 && (!_backward || _m > MemberMatMulLaunches.MostLookedThrough)) return false;
                // Members have rows of their own or share them, and likewise each matrix.
                if (!IsOne(_x[0]) && MatMul.Batch(_x[0].Shape) != MatMul.Batch(_types[0].Result.Shape)) return false;
                var tiles = _limits.Precision == Precision.Float32 ? GemmOrder.Slices : GemmOrder.Chain;
                for (int i = 0; i < _types.Length; i++)
                {
                    var link = _op.Links[i];
                    int n = Columns(i);
                    if (n is 0 or > Width || ProductOf(link).TransposeB != _backward || (link is FusedMatMul && !_backward)) return false;
                    if (!_shared[i] && _ensemble == 0 && MatMul.Batch(_types[i].Inputs[1].Shape) != MatMul.Batch(_types[i].Result.Shape)) return false;
                    var order = IsTiled(i) ? tiles : i == 0 && _in <= Gemm.FewTerms ? GemmOrder.FewTerms : GemmOrder.Dots;
                    // Tiles are copied sixteen bytes at a time.
                    if (_products[i].Order != order || (IsTiled(i) && (_backward ? Terms(i) : n) % 4 != 0)) return false;
                }
                return true;
            }
        }

        private static bool IsOne(TensorType type) => MatMul.Batch(type.Shape).Elements == 1;

        /// <summary>
        /// Predicted cycles: the multiprocessor with most blocks, one at a time, multiplies with eight warps; the matrices come to every block, at most 64 bytes a cycle for one and 24 for each of all.
        /// </summary>
        private double Cycles(ChainKernel kernel)
        {
            // Rows with matrices of their own: as if each member had as many.
            int rows = _ensemble == 0 ? _m : (_m + _ensemble - 1) / _ensemble;
            double blocks = (double)((rows + kernel.Rows - 1) / kernel.Rows) * Math.Max(_members, _ensemble), each = Math.Ceiling(blocks / _limits.Multiprocessors), work = 0, bytes = 0;
            for (int i = 0; i < _types.Length; i++)
            {
                if (!IsTiled(i)) continue;
                // In float32 threads without a column wait; on tensor cores warps do, of which there are two for each scheduler.
                work += (Terms(i) + Gemm.Depth - 1) / Gemm.Depth * Gemm.Depth * (double)(kernel.Precision == Precision.Float32 ? Width : Math.Max(Width / 2, Columns(i)));
                bytes += sizeof(float) * (double)Terms(i) * Columns(i);
            }
            double multiply = each * kernel.Rows * work / (kernel.Rate * Gemm.Busy(Threads / 32)), fetch = Math.Max(each * bytes / 64, blocks * bytes / (24.0 * _limits.Multiprocessors));
            return Math.Max(multiply, fetch) + each * (1500 + 500 * _types.Length);
        }

        // ---- Launches

        private CudaKernel Whole(ChainKernel kernel, int inputs)
        {
            int flags = 0;
            var links = new List<KernelArgument>();
            var operands = _op.Operands;
            for (int i = 0, output = inputs; i < MatMulChain.MaxLinks; i++)
            {
                if (i >= _types.Length)
                {
                    links.AddRange([0L, 0L, 0L, 0]);
                    continue;
                }
                bool kept = _op.Kept.Span.IndexOf(i) >= 0;
                links.AddRange([Operand(operands[i][1]), MatMulChain.InputsOf(_op.Links[i]) == 2 ? Operand(operands[i][^1]) : 0L, kept ? Operand(output++) : 0L, Columns(i)]);
                if (_op.Links[i] is Linear { Activation: Activation.Relu }) flags |= 1 << i;
                if (_shared[i]) flags |= 256 << i;
            }
            var grid = new Dim3(Blocks(_m, kernel.Rows, kernel.Name) * Math.Max(1, _ensemble), (int)_members);
            return new(kernel.Name, [new(kernel.Name + (_backward ? "_backward" : "_forward"), grid, new(Threads), [Operand(0), _ensemble > 0 ? Operand(1) : _member, _m, _in, _types.Length, flags, .. links], kernel.SharedBytes(_backward))]);
        }

        /// <summary>A launch a link, or several where its product takes several; what nobody else wants between them in scratch memory.</summary>
        private CudaKernel Links(int inputs)
        {
            var kernels = _op.Links.Select((link, i) => link is MemberMatMul member ? MemberMatMulLaunches.Make(member, _types[i].Inputs, [_types[i].Result], _limits) : _products[i].Make()).ToArray();
            var operands = _op.Operands;
            long scratch = kernels.Max(k => k.ScratchBytes);
            var launches = new List<KernelLaunch>();
            var before = Operand(0);
            for (int i = 0, output = inputs; i < kernels.Length; i++)
            {
                int[] own = operands[i];
                KernelArgument result;
                if (_op.Kept.Span.IndexOf(i) >= 0) result = Operand(output++);
                else
                {
                    scratch = (scratch + 255) / 256 * 256;
                    result = KernelArgument.Scratch(scratch);
                    scratch += _types[i].Result.Elements * sizeof(float);
                }
                KernelArgument Of(KernelArgument argument) => argument.Kind != ArgumentKind.Operand ? argument : argument.Bits == 0 ? before : argument.Bits >= own.Length ? result : Operand(own[argument.Bits]);
                foreach (var launch in kernels[i].Launches) launches.Add(launch with { Arguments = Array.ConvertAll(launch.Arguments, Of) });
                before = result;
            }
            return new(string.Join(", ", kernels.Select(k => k.Variant).Distinct()), [.. launches], scratch);
        }
    }
}
