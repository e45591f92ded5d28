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
        {
            if (kind == UnaryKind.Softplus)
            {
                Simd.Dispatch(width, new SoftplusWork(px, py, x.Length));
                return;
            }
            Loop loop = new(px, py, x.Length, width);
            Find(kind, ref loop);
        }
    }

    /// <summary>Its exponential and its logarithm in loops of their own: in one, the JIT does not inline the second, which then takes seven times as long.</summary>
    private static void SoftplusInTwo<T>(float* x, float* y, nint n) where T : unmanaged, ILanes<T>
    {
        const int Tile = 512;
        float* exponentials = stackalloc float[Tile];
        for (nint at = 0; at < n; at += Tile)
        {
            nint length = Math.Min(Tile, n - at);
            Loops<T>.Unary<ExpOfMinusAbs>(x + at, exponentials, length);
            Loops<T>.Binary<SoftplusFromExp>(x + at, T.Count, exponentials, T.Count, y + at, length);
        }
    }

    /// <summary>Finds the function of a kind.</summary>
    internal static void Find<U>(UnaryKind kind, ref U user) where U : struct, IUnaryUser
    {
        switch (kind)
        {
            case UnaryKind.Negate: user.Use<Negate>(); break;
            case UnaryKind.Abs: user.Use<Abs>(); break;
            case UnaryKind.Sign: user.Use<Sign>(); break;
            case UnaryKind.Square: user.Use<Square>(); break;
            case UnaryKind.Reciprocal: user.Use<Reciprocal>(); break;
            case UnaryKind.Sqrt: user.Use<Sqrt>(); break;
            case UnaryKind.Rsqrt: user.Use<Rsqrt>(); break;
            case UnaryKind.Exp: user.Use<Exp>(); break;
            case UnaryKind.Expm1: user.Use<Expm1>(); break;
            case UnaryKind.Log: user.Use<Log>(); break;
            case UnaryKind.Log1p: user.Use<Log1p>(); break;
            case UnaryKind.Sin: user.Use<Sin>(); break;
            case UnaryKind.Cos: user.Use<Cos>(); break;
            case UnaryKind.Tanh: user.Use<Tanh>(); break;
            case UnaryKind.Sigmoid: user.Use<Sigmoid>(); break;
            case UnaryKind.Softplus: user.Use<Softplus>(); break;
            case UnaryKind.Relu: user.Use<Relu>(); break;
            case UnaryKind.Erf: user.Use<Erf>(); break;
            case UnaryKind.Floor: user.Use<Floor>(); break;
            case UnaryKind.Round: user.Use<Round>(); break;
            default: throw new ArgumentOutOfRangeException(nameof(kind), kind, "no such elementwise function");
        }
    }

    private readonly struct Loop(float* x, float* y, nint n, SimdWidth width) : IUnaryUser
    {
        private readonly float* _x = x, _y = y;

        public void Use<F>() where F : IUnaryFunction => Simd.Dispatch(width, new Work<F>(_x, _y, n));
    }

    private readonly struct Work<F>(float* x, float* y, nint n) : ILaneWork where F : IUnaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<T>() where T : unmanaged, ILanes<T> => Loops<T>.Unary<F>(x, y, n);
    }

    private readonly struct SoftplusWork(float* x, float* y, nint n) : ILaneWork
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<T>() where T : unmanaged, ILanes<T> => SoftplusInTwo<T>(x, y, n);
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

    private readonly struct ExpOfMinusAbs : IUnaryFunction
    {
        public static bool IsCheap => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => VectorMath.ExpOfMinusAbs(x);
    }

    private readonly struct SoftplusFromExp : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static T Invoke<T>(T x, T exponential) where T : unmanaged, ILanes<T> => VectorMath.Softplus(x, exponential);
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
        public static T Invoke<T>(T x) where T : unmanaged, ILanes<T> => T.Clear(x, T.LessEqual(x, T.Create(0f)));
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
