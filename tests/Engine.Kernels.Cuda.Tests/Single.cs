namespace Engine.Kernels.Cuda.Tests;

/// <summary>Numbers for a device's kernels, and bits of its tensors.</summary>
internal static class Single
{
    /// <summary>Numbers at which functions turn, round, overflow or are not numbers.</summary>
    public static readonly float[] Special =
    [
        0f, -0f, 1f, -1f, float.NaN, float.PositiveInfinity, float.NegativeInfinity, float.Epsilon, -float.Epsilon, 1.17549435e-38f, 1e-40f, float.MaxValue, float.MinValue, 0.5f, -0.5f, 1.5f, 2.5f, -2.5f, 2f, 3f, -3f, 8388609f,
        2147483520f, 2147483648f, -2147483648f, 1e10f, -1e10f, 47999f, 48001f, -48001f, 1e5f, -123456.79f, 3.1e7f, 1e20f, -2.5e30f, 88.72f, 88.73f, -87.4f, -103.9f, -104.1f, 0.99999994f, 1.0000001f, 1e-7f, 16777216f, 16777215f,
    ];

    /// <summary>Numbers of all exponents, the special ones in between.</summary>
    public static float[] Numbers(int n, ulong seed)
    {
        var stream = new PhiloxStream(seed, "numbers");
        var x = new float[n];
        for (int i = 0; i < n; i++)
            x[i] = i % 3 == 0 ? Special[stream.NextInt(Special.Length)] : i % 3 == 1 ? BitConverter.Int32BitsToSingle(stream.NextInt(int.MaxValue) ^ (stream.NextInt(2) << 31)) : (float)stream.NextUniform(-9, 9);
        return x;
    }

    /// <summary>Asserts equal bits, where any NaN is as good as another.</summary>
    public static void SameBits(TensorType type, byte[] expected, byte[] actual, string what)
    {
        if (expected.AsSpan().SequenceEqual(actual)) return;
        ReferenceTensor<float> e = OpCheck.Decode(type, expected), a = OpCheck.Decode(type, actual);
        for (int i = 0; i < type.Elements; i++)
        {
            int size = type.DType.Bytes();
            bool same = expected.AsSpan(i * size, size).SequenceEqual(actual.AsSpan(i * size, size)) || (double.IsNaN(e[i]) && double.IsNaN(a[i]));
            Assert.True(same, $"{what}: element {i} is {a[i]:R} ({Convert.ToHexString(actual, i * size, size)}), expected {e[i]:R} ({Convert.ToHexString(expected, i * size, size)})");
        }
    }
}
