using System.Runtime.CompilerServices;

namespace Engine.Kernels.Cpu;

/// <summary>Adam's three buffers, and the slow copy if there is one, in one pass over all parameters, in the order of the definition. Operands: for each parameter (parameter, first
/// moment, second moment, gradient[, slow copy]), step size, root correction and decay, then the outputs alike without the gradient.</summary>
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
        void** inputs = operands + which * _stride, scalars = operands + _elements.Length * _stride, outputs = scalars + 3 + which * (_stride - 1);
        float* p = (float*)inputs[0] + at, m = (float*)inputs[1] + at, v = (float*)inputs[2] + at, g = (float*)inputs[3] + at;
        float* p2 = (float*)outputs[0] + at, m2 = (float*)outputs[1] + at, v2 = (float*)outputs[2] + at;
        float* t = _target ? (float*)inputs[4] + at : null, t2 = _target ? (float*)outputs[3] + at : null;
        Simd.Dispatch(Simd.Best, new Work(this, n, p, m, v, g, t, p2, m2, v2, t2, scalars));
    }

    private readonly struct Work(AdamKernel kernel, int n, float* p, float* m, float* v, float* g, float* t, float* p2, float* m2, float* v2, float* t2, void** scalars) : ILaneWork
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<T>() where T : unmanaged, ILanes<T>
        {
            if (kernel._target) kernel.Run<T, Yes>(n, p, m, v, g, t, p2, m2, v2, t2, scalars);
            else kernel.Run<T, No>(n, p, m, v, g, t, p2, m2, v2, t2, scalars);
        }
    }

    private void Run<T, TTarget>(int n, float* p, float* m, float* v, float* g, float* t, float* p2, float* m2, float* v2, float* t2, void** scalars)
        where T : unmanaged, ILanes<T> where TTarget : IFlag
    {
        float step = *(float*)scalars[0], correction = *(float*)scalars[1], decay = *(float*)scalars[2];
        T b1 = T.Create(_b1), c1 = T.Create(_c1), b2 = T.Create(_b2), c2 = T.Create(_c2), epsilon = T.Create(_epsilon), keep = T.Create(_keep), rate = T.Create(_rate);
        T smallestFirst = T.Create(Adam.SmallestFirstMoment), smallestSecond = T.Create(Adam.SmallestSecondMoment), steps = T.Create(step), corrections = T.Create(correction), decays = T.Create(decay);
        int i = 0;
        for (; i <= n - T.Count; i += T.Count)
        {
            T gradient = T.Load(g + i);
            T first = T.Load(m + i) * b1 + gradient * c1;
            T second = T.Load(v + i) * b2 + gradient * gradient * c2;
            first = T.Clear(first, T.Less(T.Abs(first), smallestFirst));
            second = T.Clear(second, T.Less(second, smallestSecond));
            T root = T.Sqrt(second) * corrections + epsilon;
            T parameter = T.Load(p + i) * decays - first * steps / root;
            T.Store(parameter, p2 + i);
            T.Store(first, m2 + i);
            T.Store(second, v2 + i);
            if (TTarget.Value) T.Store(T.Load(t + i) * keep + parameter * rate, t2 + i);
        }
        for (; i < n; i++)
        {
            float gradient = g[i], first = m[i] * _b1 + gradient * _c1, second = v[i] * _b2 + gradient * gradient * _c2;
            if (MathF.Abs(first) < Adam.SmallestFirstMoment) first = 0;
            if (second < Adam.SmallestSecondMoment) second = 0;
            float parameter = p[i] * decay - first * step / (MathF.Sqrt(second) * correction + _epsilon);
            p2[i] = parameter;
            m2[i] = first;
            v2[i] = second;
            if (TTarget.Value) t2[i] = t[i] * _keep + parameter * _rate;
        }
    }

    // A type parameter, so that the loop without a slow copy has no branch.
    private interface IFlag
    {
        static abstract bool Value { get; }
    }

    private readonly struct Yes : IFlag
    {
        public static bool Value => true;
    }

    private readonly struct No : IFlag
    {
        public static bool Value => false;
    }
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
        Simd.Dispatch(Simd.Best, new Work(this, n, t, o, y));
    }

    private readonly struct Work(PolyakKernel kernel, int n, float* target, float* online, float* output) : ILaneWork
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<T>() where T : unmanaged, ILanes<T> => kernel.Run<T>(n, target, online, output);
    }

    private void Run<T>(int n, float* target, float* online, float* output) where T : unmanaged, ILanes<T>
    {
        T keep = T.Create(_keep), rate = T.Create(_rate);
        int i = 0;
        for (; i <= n - T.Count; i += T.Count) T.Store(T.Load(target + i) * keep + T.Load(online + i) * rate, output + i);
        for (; i < n; i++) output[i] = target[i] * _keep + online[i] * _rate;
    }
}
