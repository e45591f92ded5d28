using System.Runtime.Intrinsics;

namespace Engine.Kernels.Cpu;

/// <summary>Comparisons to bytes 0 or 1, sixteen at a time; either side may be one repeated number.</summary>
internal static unsafe class CompareLoops
{
    /// <summary>z = x ? y of floats.</summary>
    public static void Run(CompareKind kind, float* x, bool repeatX, float* y, bool repeatY, byte* z, int n) => Kinds(kind, x, repeatX, y, repeatY, z, n);

    /// <summary>z = x ? y of ints.</summary>
    public static void Run(CompareKind kind, int* x, bool repeatX, int* y, bool repeatY, byte* z, int n) => Kinds(kind, x, repeatX, y, repeatY, z, n);

    private static void Kinds<T>(CompareKind kind, T* x, bool repeatX, T* y, bool repeatY, byte* z, int n) where T : unmanaged
    {
        switch (kind)
        {
            case CompareKind.Equal: Loop<T, Equal>(x, repeatX, y, repeatY, z, n); break;
            case CompareKind.NotEqual: Loop<T, NotEqual>(x, repeatX, y, repeatY, z, n); break;
            case CompareKind.Less: Loop<T, Less>(x, repeatX, y, repeatY, z, n); break;
            case CompareKind.LessEqual: Loop<T, LessEqual>(x, repeatX, y, repeatY, z, n); break;
            // a > b is b < a, also with NaN.
            case CompareKind.Greater: Loop<T, Less>(y, repeatY, x, repeatX, z, n); break;
            default: Loop<T, LessEqual>(y, repeatY, x, repeatX, z, n); break;
        }
    }

    private interface ICompare
    {
        static abstract Vector128<T> Invoke<T>(Vector128<T> x, Vector128<T> y);
    }

    private readonly struct Equal : ICompare { public static Vector128<T> Invoke<T>(Vector128<T> x, Vector128<T> y) => Vector128.Equals(x, y); }

    private readonly struct NotEqual : ICompare { public static Vector128<T> Invoke<T>(Vector128<T> x, Vector128<T> y) => ~Vector128.Equals(x, y); }

    private readonly struct Less : ICompare { public static Vector128<T> Invoke<T>(Vector128<T> x, Vector128<T> y) => Vector128.LessThan(x, y); }

    private readonly struct LessEqual : ICompare { public static Vector128<T> Invoke<T>(Vector128<T> x, Vector128<T> y) => Vector128.LessThanOrEqual(x, y); }

    private static void Loop<T, TOp>(T* x, bool repeatX, T* y, bool repeatY, byte* z, int n) where T : unmanaged where TOp : struct, ICompare
    {
        Vector128<T> sx = n > 0 && repeatX ? Vector128.Create(*x) : default, sy = n > 0 && repeatY ? Vector128.Create(*y) : default;
        var one = Vector128<byte>.One;
        int i = 0;
        for (; i <= n - 16; i += 16)
        {
            var a = TOp.Invoke(repeatX ? sx : Vector128.Load(x + i), repeatY ? sy : Vector128.Load(y + i)).AsInt32();
            var b = TOp.Invoke(repeatX ? sx : Vector128.Load(x + i + 4), repeatY ? sy : Vector128.Load(y + i + 4)).AsInt32();
            var c = TOp.Invoke(repeatX ? sx : Vector128.Load(x + i + 8), repeatY ? sy : Vector128.Load(y + i + 8)).AsInt32();
            var d = TOp.Invoke(repeatX ? sx : Vector128.Load(x + i + 12), repeatY ? sy : Vector128.Load(y + i + 12)).AsInt32();
            var mask = Vector128.Narrow(Vector128.Narrow(a, b), Vector128.Narrow(c, d)).AsByte();
            (mask & one).Store(z + i);
        }
        for (; i < n; i++)
            z[i] = (byte)(TOp.Invoke(repeatX ? sx : Vector128.Create(x[i]), repeatY ? sy : Vector128.Create(y[i])).AsInt32()[0] & 1);
    }
}

/// <summary>Selection of four-byte elements by bytes 0 or 1; either source may be one repeated element.</summary>
internal static unsafe class SelectLoops
{
    /// <summary>z = c ? x : y.</summary>
    public static void Run(byte* c, int* x, bool repeatX, int* y, bool repeatY, int* z, int n)
    {
        Vector256<int> sx = n > 0 && repeatX ? Vector256.Create(*x) : default, sy = n > 0 && repeatY ? Vector256.Create(*y) : default;
        int i = 0;
        for (; i <= n - 16; i += 16)
        {
            var bytes = Vector128.Load(c + i);
            var (low, high) = Vector128.Widen(bytes);
            var (a, b) = Vector256.Widen(Vector256.Create(low, high));
            Vector256.ConditionalSelect(-a.AsInt32(), repeatX ? sx : Vector256.Load(x + i), repeatY ? sy : Vector256.Load(y + i)).Store(z + i);
            Vector256.ConditionalSelect(-b.AsInt32(), repeatX ? sx : Vector256.Load(x + i + 8), repeatY ? sy : Vector256.Load(y + i + 8)).Store(z + i + 8);
        }
        for (; i < n; i++) z[i] = c[i] != 0 ? x[repeatX ? 0 : i] : y[repeatY ? 0 : i];
    }
}
