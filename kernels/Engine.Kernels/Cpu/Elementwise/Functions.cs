using System.Runtime.CompilerServices;

namespace Engine.Kernels.Cpu;

/// <summary>A function of one vector; a new elementwise function is one such struct and a line in its family's table.</summary>
internal interface IUnaryFunction
{
    /// <summary>Whether it takes so few instructions that the loop around it counts, and is unrolled.</summary>
    static virtual bool IsCheap => true;

    static abstract T Invoke<T>(T x) where T : unmanaged, ILanes<T>;
}

/// <summary>A function of two vectors.</summary>
internal interface IBinaryFunction
{
    static abstract T Invoke<T>(T x, T y) where T : unmanaged, ILanes<T>;
}

/// <summary>How a conversion's elements lie in memory.</summary>
internal enum Packing
{
    /// <summary>Four bytes: a float or an int.</summary>
    Word,
    /// <summary>Two bytes, the upper half of a float.</summary>
    Upper,
    /// <summary>One byte, 0 or 1; a mask in lanes.</summary>
    Mask,
    /// <summary>One byte; an int 0..255 in lanes.</summary>
    Byte,
}

/// <summary>A conversion between element types.</summary>
internal interface IConversion
{
    /// <summary>What is read.</summary>
    static abstract Packing Source { get; }

    /// <summary>What is written.</summary>
    static abstract Packing Target { get; }

    static abstract T Invoke<T>(T x) where T : unmanaged, ILanes<T>;
}

/// <summary>What is done with a function that was found by its kind: a loop over memory, or code for another device.</summary>
internal interface IUnaryUser
{
    void Use<F>() where F : IUnaryFunction;
}

/// <summary>What is done with a function that was found by its kind.</summary>
internal interface IBinaryUser
{
    void Use<F>() where F : IBinaryFunction;
}

/// <summary>What is done with a conversion that was found by its types.</summary>
internal interface IConversionUser
{
    void Use<F>() where F : IConversion;
}

/// <summary>
/// The loops under all elementwise operations. What is left after the last whole vector goes through the same vector function
/// in a zero-padded buffer on the stack. So an element's result does not depend on its position, the length or the alignment,
/// and a range may be split between threads anywhere. Outputs may be the very addresses of inputs of the same element size.
/// </summary>
internal static unsafe class Loops<T> where T : unmanaged, ILanes<T>
{
    // A buffer of the widest vector of the widest element.
    private const int BufferBytes = 64;

    // A store across two cache lines costs two; beyond this length it pays to begin with the elements before a line's start.
    private const int AlignFrom = 512;

    /// <summary>Elements before the next multiple of the vector's size; 0 too where no element lies on one.</summary>
    private static nint Misalignment(float* p)
    {
        nint bytes = (nint)T.Count * sizeof(float), over = (nint)p & (bytes - 1);
        return over % sizeof(float) != 0 || over == 0 ? 0 : (bytes - over) / sizeof(float);
    }

    internal static void Convert<F>(byte* x, byte* y, nint n) where F : IConversion
    {
        nint rest = n % T.Count, whole = n - rest;
        ConvertBody<F>(x, y, whole);
        if (rest == 0) return;
        byte* source = stackalloc byte[BufferBytes], target = stackalloc byte[BufferBytes];
        Fill(source, x + whole * Size(F.Source), rest * Size(F.Source));
        ConvertBody<F>(source, target, T.Count);
        Unsafe.CopyBlockUnaligned(y + whole * Size(F.Target), target, (uint)(rest * Size(F.Target)));
    }

    private static void ConvertBody<F>(byte* x, byte* y, nint n) where F : IConversion
    {
        for (nint i = 0; i < n; i += T.Count) Store(F.Target, F.Invoke(Load(F.Source, x + i * Size(F.Source))), y + i * Size(F.Target));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Size(Packing packing) => packing switch { Packing.Word => 4, Packing.Upper => 2, _ => 1 };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Load(Packing packing, byte* p) => packing switch { Packing.Word => T.Load((float*)p), Packing.Upper => T.LoadUpper((ushort*)p), Packing.Byte => T.LoadByte(p), _ => T.LoadMask(p) };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Packing packing, T x, byte* p)
    {
        if (packing == Packing.Word) T.Store(x, (float*)p);
        else if (packing == Packing.Upper) T.StoreUpper(x, (ushort*)p);
        else if (packing == Packing.Byte) T.StoreByte(x, p);
        else T.StoreMask(x, p);
    }

    internal static void Unary<F>(float* x, float* y, nint n) where F : IUnaryFunction
    {
        if (F.IsCheap && n >= AlignFrom && Misalignment(y) is > 0 and nint head)
        {
            Unary<F>(x, y, head);
            x += head;
            y += head;
            n -= head;
        }
        nint rest = n % T.Count, whole = n - rest;
        UnaryBody<F>(x, y, whole);
        if (rest == 0) return;
        byte* buffer = stackalloc byte[BufferBytes];
        Fill(buffer, (byte*)(x + whole), rest * sizeof(float));
        UnaryBody<F>((float*)buffer, (float*)buffer, T.Count);
        Unsafe.CopyBlockUnaligned(y + whole, buffer, (uint)rest * sizeof(float));
    }

    private static void UnaryBody<F>(float* x, float* y, nint n) where F : IUnaryFunction
    {
        nint i = 0, count = T.Count;
        if (F.IsCheap)
            for (; i + 4 * count <= n; i += 4 * count)
            {
                T.Store(F.Invoke(T.Load(x + i)), y + i);
                T.Store(F.Invoke(T.Load(x + i + count)), y + i + count);
                T.Store(F.Invoke(T.Load(x + i + 2 * count)), y + i + 2 * count);
                T.Store(F.Invoke(T.Load(x + i + 3 * count)), y + i + 3 * count);
            }
        for (; i < n; i += T.Count) T.Store(F.Invoke(T.Load(x + i)), y + i);
    }

    /// <summary>A step of 0 repeats the T.Count elements at an address, which is how a scalar comes in.</summary>
    internal static void Binary<F>(float* x, nint xStep, float* y, nint yStep, float* z, nint n) where F : IBinaryFunction
    {
        if (n >= AlignFrom && Misalignment(z) is > 0 and nint head)
        {
            Binary<F>(x, xStep, y, yStep, z, head);
            if (xStep != 0) x += head;
            if (yStep != 0) y += head;
            z += head;
            n -= head;
        }
        nint rest = n % T.Count, whole = n - rest;
        BinaryBody<F>(x, xStep, y, yStep, z, whole);
        if (rest == 0) return;
        byte* first = stackalloc byte[BufferBytes], second = stackalloc byte[BufferBytes];
        Fill(first, x, xStep, whole, rest);
        Fill(second, y, yStep, whole, rest);
        BinaryBody<F>((float*)first, 0, (float*)second, 0, (float*)first, T.Count);
        Unsafe.CopyBlockUnaligned(z + whole, first, (uint)rest * sizeof(float));
    }

    private static void BinaryBody<F>(float* x, nint xStep, float* y, nint yStep, float* z, nint n) where F : IBinaryFunction
    {
        nint i = 0, count = T.Count;
        for (; i + 2 * count <= n; i += 2 * count, x += 2 * xStep, y += 2 * yStep)
        {
            T first = F.Invoke(T.Load(x), T.Load(y)), second = F.Invoke(T.Load(x + xStep), T.Load(y + yStep));
            T.Store(first, z + i);
            T.Store(second, z + i + count);
        }
        for (; i < n; i += T.Count, x += xStep, y += yStep)
            T.Store(F.Invoke(T.Load(x), T.Load(y)), z + i);
    }

    /// <summary>As <see cref="Binary"/>, for functions that give a mask, written as bytes 0 or 1.</summary>
    internal static void Compare<F>(float* x, nint xStep, float* y, nint yStep, byte* z, nint n) where F : IBinaryFunction
    {
        nint rest = n % T.Count, whole = n - rest;
        CompareBody<F>(x, xStep, y, yStep, z, whole);
        if (rest == 0) return;
        byte* first = stackalloc byte[BufferBytes], second = stackalloc byte[BufferBytes], mask = stackalloc byte[BufferBytes];
        Fill(first, x, xStep, whole, rest);
        Fill(second, y, yStep, whole, rest);
        CompareBody<F>((float*)first, 0, (float*)second, 0, mask, T.Count);
        Unsafe.CopyBlockUnaligned(z + whole, mask, (uint)rest);
    }

    private static void CompareBody<F>(float* x, nint xStep, float* y, nint yStep, byte* z, nint n) where F : IBinaryFunction
    {
        for (nint i = 0; i < n; i += T.Count, x += xStep, y += yStep)
            T.StoreMask(F.Invoke(T.Load(x), T.Load(y)), z + i);
    }

    internal static void Select(byte* condition, float* x, nint xStep, float* y, nint yStep, float* z, nint n)
    {
        nint rest = n % T.Count, whole = n - rest;
        SelectBody(condition, x, xStep, y, yStep, z, whole);
        if (rest == 0) return;
        byte* mask = stackalloc byte[BufferBytes], first = stackalloc byte[BufferBytes], second = stackalloc byte[BufferBytes];
        Fill(mask, condition + whole, rest);
        Fill(first, x, xStep, whole, rest);
        Fill(second, y, yStep, whole, rest);
        SelectBody(mask, (float*)first, 0, (float*)second, 0, (float*)first, T.Count);
        Unsafe.CopyBlockUnaligned(z + whole, first, (uint)rest * sizeof(float));
    }

    private static void SelectBody(byte* condition, float* x, nint xStep, float* y, nint yStep, float* z, nint n)
    {
        for (nint i = 0; i < n; i += T.Count, x += xStep, y += yStep)
            T.Store(T.Select(T.LoadMask(condition + i), T.Load(x), T.Load(y)), z + i);
    }

    internal static void MultiplyAdd(float* x, nint xStep, float* y, nint yStep, float* w, nint wStep, float* z, nint n)
    {
        nint rest = n % T.Count, whole = n - rest;
        MultiplyAddBody(x, xStep, y, yStep, w, wStep, z, whole);
        if (rest == 0) return;
        byte* first = stackalloc byte[BufferBytes], second = stackalloc byte[BufferBytes], third = stackalloc byte[BufferBytes];
        Fill(first, x, xStep, whole, rest);
        Fill(second, y, yStep, whole, rest);
        Fill(third, w, wStep, whole, rest);
        MultiplyAddBody((float*)first, 0, (float*)second, 0, (float*)third, 0, (float*)first, T.Count);
        Unsafe.CopyBlockUnaligned(z + whole, first, (uint)rest * sizeof(float));
    }

    private static void MultiplyAddBody(float* x, nint xStep, float* y, nint yStep, float* w, nint wStep, float* z, nint n)
    {
        for (nint i = 0; i < n; i += T.Count, x += xStep, y += yStep, w += wStep)
            T.Store(T.Fma(T.Load(x), T.Load(y), T.Load(w)), z + i);
    }

    private static void Fill(byte* buffer, byte* source, nint bytes)
    {
        Unsafe.InitBlockUnaligned(buffer, 0, BufferBytes);
        Unsafe.CopyBlockUnaligned(buffer, source, (uint)bytes);
    }

    private static void Fill(byte* buffer, float* source, nint step, nint whole, nint rest) =>
        Fill(buffer, (byte*)(source + (step == 0 ? 0 : whole)), (step == 0 ? T.Count : rest) * sizeof(float));
}
