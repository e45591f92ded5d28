using System.Runtime.Intrinsics;

namespace Engine.Kernels.Cpu;

/// <summary>Named draws; a chunk is a range of Philox blocks of four words.</summary>
internal sealed unsafe class RandomKernel : CpuKernel
{
    private const int BlocksPerChunk = 1024;

    private readonly RandomOp _op;
    private readonly long _total;
    private readonly bool _indexed;

    public RandomKernel(RandomOp op, TensorType[] inputs)
    {
        (_op, _total, _indexed) = (op, op.To.Elements, inputs.Length > op.BaseInputs);
        Chunks = (int)Math.Max(1, (_total + 4 * BlocksPerChunk - 1) / (4 * BlocksPerChunk));
    }

    public override string Variant => "philox";

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        var state = new ReadOnlySpan<int>(operands[0], 3);
        int index = _indexed ? *(int*)operands[_op.BaseInputs] : 0;
        void* output = operands[_op.BaseInputs + (_indexed ? 1 : 0)];
        int bound = _op is RandomInteger ? *(int*)operands[1] : 0;
        var key = _op.Key(state);
        long end = Math.Min(_total, (chunk + 1L) * 4 * BlocksPerChunk);
        uint* words = stackalloc uint[PhiloxBlocks.Words];
        for (long e = chunk * 4L * BlocksPerChunk; e < end; e += PhiloxBlocks.Words)
        {
            PhiloxBlocks.Eight((uint)(e / 4), (uint)index, (uint)state[2], 0, key, words);
            int n = (int)Math.Min(PhiloxBlocks.Words, end - e);
            switch (_op)
            {
                case RandomUniform:
                    for (int i = 0; i < n; i++) ((float*)output)[e + i] = (float)Philox.Unit(words[i]);
                    break;
                case RandomNormal:
                    Normals(words, (float*)output + e, n);
                    break;
                default:
                    for (int i = 0; i < n; i++) ((int*)output)[e + i] = Philox.Integer(words[i], bound);
                    break;
            }
        }
    }

    private static void Normals(uint* words, float* output, int n)
    {
        double* x = stackalloc double[PhiloxBlocks.Words / 2], y = stackalloc double[PhiloxBlocks.Words / 2];
        for (int i = 0; i < PhiloxBlocks.Words / 2; i++) (x[i], y[i]) = (words[2 * i], words[2 * i + 1]);
        for (int i = 0; i < PhiloxBlocks.Words / 2; i += 8)
        {
            var (a, b) = BoxMuller.Pairs(Vector512.Load(x + i), Vector512.Load(y + i));
            a.Store(x + i);
            b.Store(y + i);
        }
        for (int i = 0; i < n; i++) output[i] = (float)((i & 1) == 0 ? x[i / 2] : y[i / 2]);
    }
}

internal sealed unsafe class RandomPermutationKernel : CpuKernel
{
    private readonly RandomPermutation _op;
    private readonly int _n;
    private readonly bool _indexed;

    public RandomPermutationKernel(RandomPermutation op, TensorType[] inputs)
    {
        (_op, _n, _indexed) = (op, op.To[0], inputs.Length > op.BaseInputs);
        ScratchBytes = 8L * _n;
    }

    public override string Variant => "philox sort";

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        var state = new ReadOnlySpan<int>(operands[0], 3);
        int index = _indexed ? *(int*)operands[1] : 0;
        int* output = (int*)operands[_indexed ? 2 : 1];
        var key = _op.Key(state);
        // Word in the upper half, position in the lower: sorting the pair breaks ties by position.
        var pairs = new Span<ulong>(scratch, _n);
        for (int e = 0; e < _n; e++)
        {
            var (a, b, c, d) = RandomOp.Words((uint)(e / 4), state, index, key);
            uint word = (e % 4) switch { 0 => a, 1 => b, 2 => c, _ => d };
            pairs[e] = ((ulong)word << 32) | (uint)e;
        }
        pairs.Sort();
        for (int e = 0; e < _n; e++) output[e] = (int)(uint)pairs[e];
    }
}
