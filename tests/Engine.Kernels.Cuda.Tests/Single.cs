namespace Engine.Kernels.Cuda.Tests;

/// <summary>Bits of a device's tensors.</summary>
internal static class Single
{
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
