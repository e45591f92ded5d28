using System.Runtime.CompilerServices;

namespace Engine.Kernels.Cpu;

/// <summary>Rows in cache, in the order of the definition so that both agree to the bit.</summary>
internal sealed unsafe class LayerNormKernel : LastAxisKernel
{
    private readonly float _epsilon, _scale;

    public LayerNormKernel(LayerNorm op, TensorType input) : base(input)
    {
        (_epsilon, _scale) = ((float)op.Epsilon, (float)(1.0 / Width));
        ScratchBytes = 8L * Width;
    }

    public override string Variant => "vector";

    protected override void Rows(void** operands, long first, long last, byte* scratch) => Simd.Dispatch(Simd.Best, new Work(this, operands, first, last, (float*)scratch));

    private readonly struct Work(LayerNormKernel kernel, void** operands, long first, long last, float* scratch) : ILaneWork
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<T>() where T : unmanaged, ILanes<T> => kernel.Run<T>(operands, first, last, scratch);
    }

    private void Run<T>(void** operands, long first, long last, float* centred) where T : unmanaged, ILanes<T>
    {
        float* w = (float*)operands[1], b = (float*)operands[2], squares = centred + Width;
        int n = Width, count = T.Count;
        for (long row = first; row < last; row++)
        {
            float* x = (float*)operands[0] + row * n, y = (float*)operands[3] + row * n;
            float factor = LayerNormRows<T>.Centre(x, centred, squares, n, _scale, _epsilon);
            int i = 0;
            for (T factors = T.Create(factor); i + count <= n; i += count) T.Store(T.Load(centred + i) * factors * T.Load(w + i) + T.Load(b + i), y + i);
            for (; i < n; i++) y[i] = centred[i] * factor * w[i] + b[i];
        }
    }
}

/// <summary>As <see cref="LayerNormKernel"/>; the normalised row is computed again, which takes less time than reading it from memory would.</summary>
internal sealed unsafe class LayerNormGradientKernel : LastAxisKernel
{
    private readonly float _epsilon, _scale;

    public LayerNormGradientKernel(LayerNormGradient op, TensorType input) : base(input)
    {
        (_epsilon, _scale) = ((float)op.Epsilon, (float)(1.0 / Width));
        ScratchBytes = 12L * Width;
    }

    public override string Variant => "vector";

    protected override void Rows(void** operands, long first, long last, byte* scratch) => Simd.Dispatch(Simd.Best, new Work(this, operands, first, last, (float*)scratch));

    private readonly struct Work(LayerNormGradientKernel kernel, void** operands, long first, long last, float* scratch) : ILaneWork
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<T>() where T : unmanaged, ILanes<T> => kernel.Run<T>(operands, first, last, scratch);
    }

    private void Run<T>(void** operands, long first, long last, float* normalised) where T : unmanaged, ILanes<T>
    {
        int n = Width, count = T.Count;
        float* w = (float*)operands[1], h = normalised + n, products = h + n;
        for (long row = first; row < last; row++)
        {
            float* x = (float*)operands[0] + row * n, g = (float*)operands[2] + row * n, dx = (float*)operands[3] + row * n, scaled = (float*)operands[4] + row * n;
            float factor = LayerNormRows<T>.Centre(x, normalised, products, n, _scale, _epsilon);
            T factors = T.Create(factor);
            int i = 0;
            for (; i + count <= n; i += count)
            {
                T gradient = T.Load(g + i), normal = T.Load(normalised + i) * factors, inner = gradient * T.Load(w + i);
                T.Store(normal, normalised + i);
                T.Store(inner, h + i);
                T.Store(inner * normal, products + i);
                T.Store(normal * gradient, scaled + i);
            }
            for (; i < n; i++)
            {
                float gradient = g[i], normal = normalised[i] * factor;
                (normalised[i], h[i]) = (normal, gradient * w[i]);
                (products[i], scaled[i]) = (h[i] * normal, normal * gradient);
            }
            float mean = ReductionLoops.Rows<T>.Sum(h, n) * _scale, along = ReductionLoops.Rows<T>.Sum(products, n) * _scale;
            i = 0;
            for (T means = T.Create(mean), alongs = T.Create(along); i + count <= n; i += count)
                T.Store((T.Load(h + i) - means - T.Load(normalised + i) * alongs) * factors, dx + i);
            for (; i < n; i++) dx[i] = (h[i] - mean - normalised[i] * along) * factor;
        }
    }
}

/// <summary>What both directions begin with.</summary>
internal static unsafe class LayerNormRows<T> where T : unmanaged, ILanes<T>
{
    /// <summary>Writes a row less its mean; returns 1 / sqrt(variance + epsilon).</summary>
    public static float Centre(float* x, float* centred, float* squares, int n, float scale, float epsilon)
    {
        float mean = ReductionLoops.Rows<T>.Sum(x, n) * scale;
        int i = 0, count = T.Count;
        for (T means = T.Create(mean); i + count <= n; i += count)
        {
            T c = T.Load(x + i) - means;
            T.Store(c, centred + i);
            T.Store(c * c, squares + i);
        }
        for (; i < n; i++)
        {
            centred[i] = x[i] - mean;
            squares[i] = centred[i] * centred[i];
        }
        return 1 / MathF.Sqrt(ReductionLoops.Rows<T>.Sum(squares, n) * scale + epsilon);
    }
}
