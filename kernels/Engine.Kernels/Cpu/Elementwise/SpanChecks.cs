namespace Engine.Kernels.Cpu;

/// <summary>What every loop asks of its spans before it takes their addresses.</summary>
internal static class SpanChecks
{
    internal static void SameLength(int a, int b)
    {
        if (a != b) Throw(a, b);
    }

    internal static void SameLength(int a, int b, int c)
    {
        if (a != b) Throw(a, b);
        if (b != c) Throw(b, c);
    }

    private static void Throw(int a, int b) => throw new ArgumentException($"spans of different lengths: {a} and {b}");
}
