using System.Numerics;
using System.Runtime.CompilerServices;

namespace Engine.Kernels.Cpu;

/// <summary>Base of the kernels that work on rows of the last axis, a range of rows per chunk.</summary>
internal abstract unsafe class LastAxisKernel : CpuKernel
{
    protected readonly int Width;
    private readonly long _rows;
    private readonly int _rowsPerChunk;

    protected LastAxisKernel(TensorType input)
    {
        Width = input.Shape[^1];
        _rows = Width == 0 ? 0 : input.Elements / Width;
        _rowsPerChunk = Math.Max(1, ElementsPerChunk / Math.Max(1, Width));
        Chunks = (int)Math.Max(1, (_rows + _rowsPerChunk - 1) / _rowsPerChunk);
    }

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        long end = Math.Min(_rows, (chunk + 1L) * _rowsPerChunk);
        Rows(operands, (long)chunk * _rowsPerChunk, end, scratch);
    }

    protected abstract void Rows(void** operands, long first, long last, byte* scratch);
}

internal sealed unsafe class SoftmaxKernel(TensorType input) : LastAxisKernel(input)
{
    protected override void Rows(void** operands, long first, long last, byte* scratch)
    {
        for (long row = first; row < last; row++)
        {
            ReadOnlySpan<float> x = new((float*)operands[0] + row * Width, Width);
            var y = new Span<float>((float*)operands[1] + row * Width, Width);
            BinaryLoops.Run(BinaryKind.Subtract, x, ReductionLoops.Max(x), y);
            UnaryLoops.Run(UnaryKind.Exp, y, y);
            BinaryLoops.Run(BinaryKind.Divide, y, ReductionLoops.Sum(y), y);
        }
    }
}

internal sealed unsafe class LogSumExpKernel : LastAxisKernel
{
    public LogSumExpKernel(TensorType input) : base(input) => ScratchBytes = 4L * Width;

    protected override void Rows(void** operands, long first, long last, byte* scratch)
    {
        var e = new Span<float>(scratch, Width);
        float total = 0;
        var sum = new Span<float>(ref total);
        for (long row = first; row < last; row++)
        {
            ReadOnlySpan<float> x = new((float*)operands[0] + row * Width, Width);
            float max = ReductionLoops.Max(x), shift = MathF.Abs(max) < float.PositiveInfinity ? max : 0;
            BinaryLoops.Run(BinaryKind.Subtract, x, shift, e);
            UnaryLoops.Run(UnaryKind.Exp, e, e);
            total = ReductionLoops.Sum(e);
            UnaryLoops.Run(UnaryKind.Log, sum, sum);
            ((float*)operands[1])[row] = total + shift;
        }
    }
}

/// <summary>Adam's three buffers, and the slow copy if there is one, in one pass over all parameters, in the order of the definition. Operands: for each parameter (parameter, first
/// moment, second moment, gradient[, slow copy]), the scalars, then the outputs alike without the gradient.</summary>
internal sealed unsafe class AdamKernel : CpuKernel
{
    private readonly long[] _elements;
    private readonly int[] _firstChunk;
    private readonly int _stride;
    private readonly bool _target;
    private readonly float _b1, _c1, _b2, _c2, _epsilon, _keep, _rate;

    public AdamKernel(Adam op, Polyak? target, long[] elements)
    {
        (_elements, _target, _stride) = (elements, target is not null, target is null ? 4 : 5);
        (_b1, _c1, _b2, _c2, _epsilon) = ((float)op.Beta1, (float)(1 - op.Beta1), (float)op.Beta2, (float)(1 - op.Beta2), (float)op.Epsilon);
        if (target is not null) (_keep, _rate) = ((float)(1 - target.Rate), (float)target.Rate);
        _firstChunk = new int[elements.Length];
        int chunks = 0;
        for (int i = 0; i < elements.Length; i++)
        {
            _firstChunk[i] = chunks;
            chunks += ChunksFor(elements[i]);
        }
        Chunks = chunks;
    }

    public static AdamKernel Of(AdamGroup op, TensorType[] inputs) =>
        new(op.Step, op.Target, Enumerable.Range(0, op.Count).Select(i => inputs[i * op.Stride].Elements).ToArray());

    public override string Variant => "vector";

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        int which = _firstChunk.Length - 1;
        while (_firstChunk[which] > chunk) which--;
        long at = (long)(chunk - _firstChunk[which]) * ElementsPerChunk;
        int n = (int)Math.Min(ElementsPerChunk, _elements[which] - at);
        float* scalars = (float*)operands[_elements.Length * _stride];
        void** inputs = operands + which * _stride, outputs = operands + _elements.Length * _stride + 1 + which * (_stride - 1);
        float* p = (float*)inputs[0] + at, m = (float*)inputs[1] + at, v = (float*)inputs[2] + at, g = (float*)inputs[3] + at;
        float* p2 = (float*)outputs[0] + at, m2 = (float*)outputs[1] + at, v2 = (float*)outputs[2] + at;
        float* t = _target ? (float*)inputs[4] + at : null, t2 = _target ? (float*)outputs[3] + at : null;
        float step = scalars[0], correction = scalars[1], decay = scalars[2];
        int i = 0;
        for (; i <= n - Vector<float>.Count; i += Vector<float>.Count)
        {
            var gradient = Load(g + i);
            var first = Load(m + i) * _b1 + gradient * _c1;
            var second = Load(v + i) * _b2 + gradient * gradient * _c2;
            var root = Vector.SquareRoot(second) * correction + new Vector<float>(_epsilon);
            var parameter = Load(p + i) * decay - first * step / root;
            Store(p2 + i, parameter);
            Store(m2 + i, first);
            Store(v2 + i, second);
            if (_target) Store(t2 + i, Load(t + i) * _keep + parameter * _rate);
        }
        for (; i < n; i++)
        {
            float gradient = g[i], first = m[i] * _b1 + gradient * _c1, second = v[i] * _b2 + gradient * gradient * _c2;
            float parameter = p[i] * decay - first * step / (MathF.Sqrt(second) * correction + _epsilon);
            p2[i] = parameter;
            m2[i] = first;
            v2[i] = second;
            if (_target) t2[i] = t[i] * _keep + parameter * _rate;
        }
    }

    private static Vector<float> Load(float* at) => Unsafe.ReadUnaligned<Vector<float>>(at);

    private static void Store(float* at, Vector<float> value) => Unsafe.WriteUnaligned(at, value);
}

internal sealed unsafe class PolyakKernel : CpuKernel
{
    private readonly long _total;
    private readonly float _keep, _rate;

    public PolyakKernel(Polyak op, TensorType type)
    {
        (_total, _keep, _rate) = (type.Elements, (float)(1 - op.Rate), (float)op.Rate);
        Chunks = ChunksFor(_total);
    }

    public override string Variant => "vector";

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        long at = (long)chunk * ElementsPerChunk;
        int n = (int)Math.Min(ElementsPerChunk, _total - at);
        float* t = (float*)operands[0] + at, o = (float*)operands[1] + at, y = (float*)operands[2] + at;
        int i = 0, w = Vector<float>.Count;
        for (; i <= n - w; i += w)
        {
            var target = Unsafe.ReadUnaligned<Vector<float>>(t + i);
            var online = Unsafe.ReadUnaligned<Vector<float>>(o + i);
            Unsafe.WriteUnaligned(y + i, target * _keep + online * _rate);
        }
        for (; i < n; i++) y[i] = t[i] * _keep + o[i] * _rate;
    }
}
