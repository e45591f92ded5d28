using System.Numerics;
using System.Numerics.Tensors;

namespace Engine.Kernels.Cpu;

/// <summary>Functions of two numbers over spans; either side may be one number. The output may be an input.</summary>
internal static class BinaryLoops
{
    /// <summary>z = f(x, y), vectors of one length.</summary>
    public static void Run(BinaryKind kind, ReadOnlySpan<float> x, ReadOnlySpan<float> y, Span<float> z)
    {
        if (Basic(kind, x, y, z)) return;
        if (kind == BinaryKind.Power)
            for (int i = 0; i < z.Length; i++) z[i] = MathF.Pow(x[i], y[i]);
        else
            for (int i = 0; i < z.Length; i++) z[i] = Modulo(x[i], y[i]);
    }

    /// <summary>z = f(x, y) with one number y.</summary>
    public static void Run(BinaryKind kind, ReadOnlySpan<float> x, float y, Span<float> z)
    {
        if (Basic(kind, x, y, z)) return;
        if (kind == BinaryKind.Power)
            for (int i = 0; i < z.Length; i++) z[i] = MathF.Pow(x[i], y);
        else
            for (int i = 0; i < z.Length; i++) z[i] = Modulo(x[i], y);
    }

    /// <summary>z = f(x, y) with one number x.</summary>
    public static void Run(BinaryKind kind, float x, ReadOnlySpan<float> y, Span<float> z)
    {
        if (Basic(kind, x, y, z)) return;
        if (kind == BinaryKind.Power)
            for (int i = 0; i < z.Length; i++) z[i] = MathF.Pow(x, y[i]);
        else
            for (int i = 0; i < z.Length; i++) z[i] = Modulo(x, y[i]);
    }

    private static float Modulo(float x, float y) => x - y * MathF.Floor(x / y);

    /// <summary>z = f(x, y) of integers.</summary>
    public static void Run(BinaryKind kind, ReadOnlySpan<int> x, ReadOnlySpan<int> y, Span<int> z)
    {
        if (kind is BinaryKind.Divide or BinaryKind.Modulo || !Basic(kind, x, y, z)) Integers(kind, x, y, z);
    }

    /// <summary>z = f(x, y) of integers with one number y.</summary>
    public static void Run(BinaryKind kind, ReadOnlySpan<int> x, int y, Span<int> z)
    {
        if (kind is BinaryKind.Divide or BinaryKind.Modulo || !Basic(kind, x, y, z)) Integers(kind, x, [y], z);
    }

    /// <summary>z = f(x, y) of integers with one number x.</summary>
    public static void Run(BinaryKind kind, int x, ReadOnlySpan<int> y, Span<int> z)
    {
        if (kind is BinaryKind.Divide or BinaryKind.Modulo || !Basic(kind, x, y, z)) Integers(kind, [x], y, z);
    }

    private static void Integers(BinaryKind kind, ReadOnlySpan<int> x, ReadOnlySpan<int> y, Span<int> z)
    {
        for (int i = 0; i < z.Length; i++)
        {
            int a = x[x.Length == 1 ? 0 : i], b = y[y.Length == 1 ? 0 : i];
            z[i] = kind == BinaryKind.Divide ? a / b : ((a % b) + b) % b;
        }
    }

    private static bool Basic<T>(BinaryKind kind, ReadOnlySpan<T> x, ReadOnlySpan<T> y, Span<T> z) where T : INumber<T>
    {
        switch (kind)
        {
            case BinaryKind.Add: TensorPrimitives.Add(x, y, z); return true;
            case BinaryKind.Subtract: TensorPrimitives.Subtract(x, y, z); return true;
            case BinaryKind.Multiply: TensorPrimitives.Multiply(x, y, z); return true;
            case BinaryKind.Divide: TensorPrimitives.Divide(x, y, z); return true;
            case BinaryKind.Maximum: TensorPrimitives.Max(x, y, z); return true;
            case BinaryKind.Minimum: TensorPrimitives.Min(x, y, z); return true;
            default: return false;
        }
    }

    private static bool Basic<T>(BinaryKind kind, ReadOnlySpan<T> x, T y, Span<T> z) where T : INumber<T>
    {
        switch (kind)
        {
            case BinaryKind.Add: TensorPrimitives.Add(x, y, z); return true;
            case BinaryKind.Subtract: TensorPrimitives.Subtract(x, y, z); return true;
            case BinaryKind.Multiply: TensorPrimitives.Multiply(x, y, z); return true;
            case BinaryKind.Divide: TensorPrimitives.Divide(x, y, z); return true;
            case BinaryKind.Maximum: TensorPrimitives.Max(x, y, z); return true;
            case BinaryKind.Minimum: TensorPrimitives.Min(x, y, z); return true;
            default: return false;
        }
    }

    private static bool Basic<T>(BinaryKind kind, T x, ReadOnlySpan<T> y, Span<T> z) where T : INumber<T>
    {
        switch (kind)
        {
            case BinaryKind.Subtract: TensorPrimitives.Subtract(x, y, z); return true;
            case BinaryKind.Divide: TensorPrimitives.Divide(x, y, z); return true;
            case BinaryKind.Add or BinaryKind.Multiply or BinaryKind.Maximum or BinaryKind.Minimum: return Basic(kind, y, x, z);
            default: return false;
        }
    }
}
