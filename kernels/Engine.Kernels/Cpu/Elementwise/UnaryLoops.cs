using System.Runtime.CompilerServices;

namespace Engine.Kernels.Cpu;

/// <summary>y = f(x), element by element. An element's result depends on nothing but its argument.</summary>
public static unsafe class UnaryLoops
{
    /// <summary>Applies a function of one float; <paramref name="y"/> may be <paramref name="x"/> itself.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(UnaryKind kind, ReadOnlySpan<float> x, Span<float> y) => Run(kind, x, y, Simd.Best);

    internal static void Run(UnaryKind kind, ReadOnlySpan<float> x, Span<float> y, SimdWidth width)
    {
        SpanChecks.SameLength(x.Length, y.Length);
        fixed (float* px = x, py = y)
            switch (kind)
            {
                case UnaryKind.Negate: Map<Negate>(px, py, x.Length, width); break;
                case UnaryKind.Abs: Map<Abs>(px, py, x.Length, width); break;
                case UnaryKind.Sign: Map<Sign>(px, py, x.Length, width); break;
                case UnaryKind.Square: Map<Square>(px, py, x.Length, width); break;
                case UnaryKind.Reciprocal: Map<Reciprocal>(px, py, x.Length, width); break;
                case UnaryKind.Sqrt: Map<Sqrt>(px, py, x.Length, width); break;
                case UnaryKind.Rsqrt: Map<Rsqrt>(px, py, x.Length, width); break;
                case UnaryKind.Exp: Map<Exp>(px, py, x.Length, width); break;
                case UnaryKind.Expm1: Map<Expm1>(px, py, x.Length, width); break;
                case UnaryKind.Log: Map<Log>(px, py, x.Length, width); break;
                case UnaryKind.Log1p: Map<Log1p>(px, py, x.Length, width); break;
                case UnaryKind.Sin: Map<Sin>(px, py, x.Length, width); break;
                case UnaryKind.Cos: Map<Cos>(px, py, x.Length, width); break;
                case UnaryKind.Tanh: Map<Tanh>(px, py, x.Length, width); break;
                case UnaryKind.Sigmoid: Map<Sigmoid>(px, py, x.Length, width); break;
                case UnaryKind.Softplus: Map<Softplus>(px, py, x.Length, width); break;
                case UnaryKind.Relu: Map<Relu>(px, py, x.Length, width); break;
                case UnaryKind.Erf: Map<Erf>(px, py, x.Length, width); break;
                case UnaryKind.Floor: Map<Floor>(px, py, x.Length, width); break;
                case UnaryKind.Round: Map<Round>(px, py, x.Length, width); break;
                default: throw new ArgumentOutOfRangeException(nameof(kind), kind, "no such elementwise function");
            }
    }

    private static void Map<F>(float* x, float* y, nint n, SimdWidth width) where F : IUnaryFunction
    {
        if (width == SimdWidth.V512) Loops<Lanes512>.Unary<F>(x, y, n);
        else if (width == SimdWidth.V256) Loops<Lanes256>.Unary<F>(x, y, n);
        else Loops<Lanes128>.Unary<F>(x, y, n);
    }

    private readonly struct Negate : IUnaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => x ^ T.Create(-0f);
    }

    private readonly struct Abs : IUnaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => T.Abs(x);
    }

    private readonly struct Sign : IUnaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => T.Select(T.Less(T.Create(0f), T.Abs(x)), (x & T.Create(-0f)) | T.Create(1f), x);
    }

    private readonly struct Square : IUnaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => x * x;
    }

    private readonly struct Reciprocal : IUnaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => T.Create(1f) / x;
    }

    private readonly struct Sqrt : IUnaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => T.Sqrt(x);
    }

    private readonly struct Rsqrt : IUnaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => T.Create(1f) / T.Sqrt(x);
    }

    private readonly struct Exp : IUnaryFunction
    {
        public static bool IsCheap => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => VectorMath.Exp(x);
    }

    private readonly struct Expm1 : IUnaryFunction
    {
        public static bool IsCheap => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => VectorMath.Expm1(x);
    }

    private readonly struct Log : IUnaryFunction
    {
        public static bool IsCheap => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => VectorMath.Log(x);
    }

    private readonly struct Log1p : IUnaryFunction
    {
        public static bool IsCheap => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => VectorMath.Log1p(x);
    }

    private readonly struct Sin : IUnaryFunction
    {
        public static bool IsCheap => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => VectorMath.Sin(x);
    }

    private readonly struct Cos : IUnaryFunction
    {
        public static bool IsCheap => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => VectorMath.Cos(x);
    }

    private readonly struct Tanh : IUnaryFunction
    {
        public static bool IsCheap => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => VectorMath.Tanh(x);
    }

    private readonly struct Sigmoid : IUnaryFunction
    {
        public static bool IsCheap => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => VectorMath.Sigmoid(x);
    }

    private readonly struct Softplus : IUnaryFunction
    {
        public static bool IsCheap => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => VectorMath.Softplus(x);
    }

    private readonly struct Erf : IUnaryFunction
    {
        public static bool IsCheap => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => VectorMath.Erf(x);
    }

    private readonly struct Relu : IUnaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => T.AndNot(x, T.LessEqual(x, T.Create(0f)));
    }

    private readonly struct Floor : IUnaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => T.Floor(x);
    }

    private readonly struct Round : IUnaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => T.Round(x);
    }
}
