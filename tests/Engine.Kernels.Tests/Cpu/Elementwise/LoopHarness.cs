using System.Runtime.InteropServices;

namespace Engine.Kernels.Tests.Cpu.Elementwise;

/// <summary>What all loop tests share: awkward inputs, and the run of a loop at every length, unaligned and guarded.</summary>
internal static class LoopHarness
{
    public const int MaxLength = 257;

    public static readonly float[] Specials =
    [
        0f, -0f, 1f, -1f, 0.5f, -0.5f, 1.5f, -1.5f, 2.5f, -2.5f, float.Epsilon, -float.Epsilon, 1.1754942e-38f, -1.1754942e-38f, 1.17549435e-38f,
        float.MaxValue, float.MinValue, float.PositiveInfinity, float.NegativeInfinity, float.NaN, BitConverter.UInt32BitsToSingle(0x7F800001),
        BitConverter.UInt32BitsToSingle(0xFFC12345), 8388607.5f, 8388608f, -8388608.5f, 16777217f, 2147483520f, 2147483648f, -2147483648f, -2147483904f,
        88.72283f, 88.72284f, -87.33655f, -103.97208f, -104f, -105.5f, 1e10f, -1e10f, 48000f, 48001f, 1e-7f, -1e-7f, 9f, -9f, 4f, 0.99999994f,
    ];

    /// <summary>Specials among numbers of all sizes, in an order that puts each beside different neighbours.</summary>
    public static float[] Inputs(int seed)
    {
        var random = new Random(seed);
        float[] x = new float[MaxLength];
        for (int i = 0; i < x.Length; i++)
            x[i] = i % 3 == 0 ? Specials[random.Next(Specials.Length)]
                : i % 3 == 1 ? (random.NextSingle() * 2 - 1) * 10
                : BitConverter.UInt32BitsToSingle((uint)random.NextInt64(1L << 32));
        return x;
    }

    public static int[] Integers(int seed)
    {
        int[] specials = [0, 1, -1, 2, -2, int.MaxValue, int.MinValue, 7, -7, 16777217];
        var random = new Random(seed);
        int[] x = new int[MaxLength];
        for (int i = 0; i < x.Length; i++) x[i] = i % 2 == 0 ? specials[random.Next(specials.Length)] : i % 4 == 1 ? random.Next(-100, 100) : random.Next(int.MinValue, int.MaxValue);
        return x;
    }

    public static byte[] Bools(int seed)
    {
        var random = new Random(seed);
        byte[] x = new byte[MaxLength];
        for (int i = 0; i < x.Length; i++) x[i] = (byte)random.Next(2);
        return x;
    }

    public delegate void Loop<T>(int from, int length, Span<T> output);

    /// <summary>Runs a loop over every length, from two starts. Results must be those of the elements one at a time, bit for bit,
    /// and nothing around the output may change.</summary>
    public static T[] EveryLength<T>(string what, Loop<T> loop) where T : unmanaged
    {
        T[] expected = new T[MaxLength];
        for (int i = 0; i < MaxLength; i++) loop(i, 1, expected.AsSpan(i, 1));
        byte[] bytes = MemoryMarshal.AsBytes<T>(expected).ToArray();
        int size = bytes.Length / MaxLength;
        foreach (int from in new[] { 0, 3 })
            for (int length = 0; length <= MaxLength - from; length++)
            {
                using var output = new GuardedBuffer<T>(length, 1 + length % 3);
                loop(from, length, output.Span);
                output.Check();
                if (!MemoryMarshal.AsBytes(output.Span).SequenceEqual(bytes.AsSpan(from * size, length * size)))
                    for (int i = 0; i < length; i++)
                        Assert.True(Same(output.Span[i], expected[from + i]), $"{what}: element {i} of {length} from {from} is {output.Span[i]}, alone {expected[from + i]}");
            }
        return expected;
    }

    private static bool Same<T>(T a, T b) where T : unmanaged =>
        MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in a)).SequenceEqual(MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in b)));

    /// <summary>The same for one input, which is itself unaligned and guarded.</summary>
    public static TOut[] EveryLength<TIn, TOut>(string what, TIn[] input, LoopOf<TIn, TOut> loop) where TIn : unmanaged where TOut : unmanaged
    {
        return EveryLength<TOut>(what, (from, length, output) =>
        {
            using var x = new GuardedBuffer<TIn>(input.AsSpan(from, length), 1 + (length + from) % 5);
            loop(x.Span, output);
            x.Check();
            Assert.True(MemoryMarshal.AsBytes(x.Span).SequenceEqual(MemoryMarshal.AsBytes(input.AsSpan(from, length))), $"{what}: the input changed");
        });
    }

    public delegate void LoopOf<TIn, TOut>(ReadOnlySpan<TIn> x, Span<TOut> y);

    /// <summary>Error of a float in units of the last place of the exact number; denormals have the place of the smallest normal.</summary>
    public static double Ulps(double exact, float actual)
    {
        float nearest = (float)exact;
        if (float.IsNaN(nearest) || float.IsNaN(actual)) return float.IsNaN(nearest) && float.IsNaN(actual) ? 0 : double.PositiveInfinity;
        if (nearest == actual) return Math.Abs(exact) > float.MaxValue ? 0 : Math.Abs(actual - exact) / Place(exact);
        if (double.IsInfinity(exact)) return double.PositiveInfinity;
        double value = float.IsInfinity(actual) ? Math.CopySign(Math.Pow(2, 128), actual) : actual;
        return Math.Abs(value - exact) / Place(exact);
    }

    private static double Place(double x) => Math.ScaleB(1, Math.Max(x == 0 ? -126 : Math.ILogB(x), -126) - 23);
}
