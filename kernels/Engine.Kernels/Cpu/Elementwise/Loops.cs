namespace Engine.Kernels.Cpu;

internal static class UnaryLoops
{
    public static float Scalar(UnaryKind kind, float x)
    {
        Span<float> one = [x];
        Run(kind, one, one);
        return one[0];
    }

    public static void Run(UnaryKind kind, ReadOnlySpan<float> x, Span<float> y)
    {
        var op = new Unary(kind);
        for (int i = 0; i < y.Length; i++) y[i] = op.Scalar(x[i]);
    }
}

internal static class BinaryLoops
{
    public static void Run(BinaryKind kind, ReadOnlySpan<float> x, ReadOnlySpan<float> y, Span<float> z)
    { var op = new Binary(kind); for (int i = 0; i < z.Length; i++) z[i] = op.Scalar(x[i], y[i]); }
    public static void Run(BinaryKind kind, ReadOnlySpan<float> x, float y, Span<float> z)
    { var op = new Binary(kind); for (int i = 0; i < z.Length; i++) z[i] = op.Scalar(x[i], y); }
    public static void Run(BinaryKind kind, float x, ReadOnlySpan<float> y, Span<float> z)
    { var op = new Binary(kind); for (int i = 0; i < z.Length; i++) z[i] = op.Scalar(x, y[i]); }
    public static void Run(BinaryKind kind, ReadOnlySpan<int> x, ReadOnlySpan<int> y, Span<int> z)
    { var op = new Binary(kind); for (int i = 0; i < z.Length; i++) z[i] = op.Scalar(x[i], y[i]); }
    public static void Run(BinaryKind kind, ReadOnlySpan<int> x, int y, Span<int> z)
    { var op = new Binary(kind); for (int i = 0; i < z.Length; i++) z[i] = op.Scalar(x[i], y); }
    public static void Run(BinaryKind kind, int x, ReadOnlySpan<int> y, Span<int> z)
    { var op = new Binary(kind); for (int i = 0; i < z.Length; i++) z[i] = op.Scalar(x, y[i]); }
}

internal static class CompareLoops
{
    public static void Run(CompareKind kind, ReadOnlySpan<float> x, ReadOnlySpan<float> y, Span<byte> z)
    { var op = new Compare(kind); for (int i = 0; i < z.Length; i++) z[i] = op.Scalar(x[i], y[i]) ? (byte)1 : (byte)0; }
    public static void Run(CompareKind kind, ReadOnlySpan<float> x, float y, Span<byte> z)
    { var op = new Compare(kind); for (int i = 0; i < z.Length; i++) z[i] = op.Scalar(x[i], y) ? (byte)1 : (byte)0; }
    public static void Run(CompareKind kind, float x, ReadOnlySpan<float> y, Span<byte> z)
    { var op = new Compare(kind); for (int i = 0; i < z.Length; i++) z[i] = op.Scalar(x, y[i]) ? (byte)1 : (byte)0; }
    public static void Run(CompareKind kind, ReadOnlySpan<int> x, ReadOnlySpan<int> y, Span<byte> z)
    { var op = new Compare(kind); for (int i = 0; i < z.Length; i++) z[i] = op.Scalar(x[i], y[i]) ? (byte)1 : (byte)0; }
    public static void Run(CompareKind kind, ReadOnlySpan<int> x, int y, Span<byte> z)
    { var op = new Compare(kind); for (int i = 0; i < z.Length; i++) z[i] = op.Scalar(x[i], y) ? (byte)1 : (byte)0; }
    public static void Run(CompareKind kind, int x, ReadOnlySpan<int> y, Span<byte> z)
    { var op = new Compare(kind); for (int i = 0; i < z.Length; i++) z[i] = op.Scalar(x, y[i]) ? (byte)1 : (byte)0; }
}

internal static unsafe class SelectLoops
{
    public static void Run(ReadOnlySpan<byte> c, int* x, bool repeatX, int* y, bool repeatY, int* z)
    {
        for (int i = 0; i < c.Length; i++) z[i] = c[i] != 0 ? x[repeatX ? 0 : i] : y[repeatY ? 0 : i];
    }
}
