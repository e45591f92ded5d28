using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Engine.Kernels.Cpu;

/// <summary>
/// A vector of 32-bit lanes, floats or ints as the operation says, so that a function is written once and run at every width.
/// Implementations are structs of one vector: the JIT makes a copy of the generic code for each, with every call inlined.
/// No operation mixes lanes, so an element's result depends on nothing but its inputs.
/// </summary>
internal unsafe interface ILanes<T> where T : unmanaged, ILanes<T>
{
    /// <summary>Number of lanes.</summary>
    static abstract int Count { get; }

    static abstract T Create(float x);
    static abstract T Create(int x);
    static abstract T Load(float* p);
    static abstract void Store(T x, float* p);

    /// <summary>All bits of a lane are set where the byte is not 0.</summary>
    static abstract T LoadMask(byte* p);

    /// <summary>Writes 1 where a lane's bits are set, 0 where they are clear.</summary>
    static abstract void StoreMask(T mask, byte* p);

    /// <summary>The ints 0..255 read.</summary>
    static abstract T LoadByte(byte* p);

    /// <summary>Writes the lowest byte of each lane.</summary>
    static abstract void StoreByte(T x, byte* p);

    /// <summary>The upper 16 bits of each float are those read.</summary>
    static abstract T LoadUpper(ushort* p);

    /// <summary>Writes the upper 16 bits of each lane.</summary>
    static abstract void StoreUpper(T x, ushort* p);

    static abstract T operator +(T a, T b);
    static abstract T operator -(T a, T b);
    static abstract T operator *(T a, T b);
    static abstract T operator /(T a, T b);
    static abstract T operator &(T a, T b);
    static abstract T operator |(T a, T b);
    static abstract T operator ^(T a, T b);

    /// <summary>x, and 0 in the lanes of the mask.</summary>
    static abstract T Clear(T x, T mask);

    /// <summary>a*b + c, rounded once.</summary>
    static abstract T Fma(T a, T b, T c);

    /// <summary>a*b + c, rounded once where that is the fast way, else twice. For sums of products only.</summary>
    static abstract T MulAdd(T a, T b, T c);

    static abstract T Sqrt(T x);
    static abstract T Floor(T x);
    static abstract T Round(T x);
    static abstract T Abs(T x);

    /// <summary>IEEE 754-2019 maximum: NaN if either is, +0 above -0.</summary>
    static abstract T Max(T a, T b);

    /// <summary>IEEE 754-2019 minimum: NaN if either is, -0 below +0.</summary>
    static abstract T Min(T a, T b);

    static abstract T Equal(T a, T b);
    static abstract T Less(T a, T b);
    static abstract T LessEqual(T a, T b);

    /// <summary>a where the mask's bits are set, b where they are clear.</summary>
    static abstract T Select(T mask, T a, T b);

    /// <summary>Whether any bit of the mask is set.</summary>
    static abstract bool Any(T mask);

    /// <summary>The lanes' sum, in an order that is fixed on one machine.</summary>
    static abstract float Sum(T x);

    /// <summary>The sums of four vectors, each with the bits of <see cref="Sum"/>: together they take a third of the shuffles.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static virtual Vector128<float> Sum4(T a, T b, T c, T d) => Vector128.Create(T.Sum(a), T.Sum(b), T.Sum(c), T.Sum(d));

    static abstract T AddInt(T a, T b);
    static abstract T SubtractInt(T a, T b);
    static abstract T MultiplyInt(T a, T b);
    static abstract T MaxInt(T a, T b);
    static abstract T MinInt(T a, T b);
    static abstract T EqualInt(T a, T b);
    static abstract T LessInt(T a, T b);
    static abstract T ShiftLeft(T a, int bits);

    /// <summary>Shift that brings in copies of the sign bit.</summary>
    static abstract T ShiftRight(T a, int bits);

    /// <summary>The remainder and the multiple of pi/2, replaced in the lanes of the mask, whose arguments are large: rare, and done lane by lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static virtual (T R, T Quarter) ReduceLarge(T large, T x, T r, T quarter) => T.Any(large) ? VectorMath.ReduceLarge(large, x, r, quarter) : (r, quarter);

    /// <summary>The nearest float of each int.</summary>
    static abstract T ToFloat(T a);

    /// <summary>The int towards zero; saturates at the ends of the range, NaN gives 0.</summary>
    static abstract T ToInt(T a);
}
