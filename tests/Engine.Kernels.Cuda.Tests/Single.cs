namespace Engine.Kernels.Cuda.Tests;

/// <summary>Runs one op on a device, every operand between guard bytes.</summary>
internal static class Single
{
    /// <summary>The op's outputs; the guards were left alone and so were the inputs, unless an output lies on one: <see cref="OpCheck.Run"/>.</summary>
    public static byte[][] Run(Device device, Op op, TensorType[] inputTypes, byte[][] inputs, int overwritten = -1) => OpCheck.Run(device, op, inputTypes, inputs, overwritten);

    /// <summary>A tensor as devices hold it.</summary>
    public static byte[] Bytes(ReferenceTensor<float> tensor) => OpCheck.Encode(tensor);

    /// <summary>The tensor that a device holds as these bytes.</summary>
    public static ReferenceTensor<float> Tensor(TensorType type, byte[] bytes) => OpCheck.Decode(type, bytes);

    /// <summary>Asserts equal bits, where any NaN is as good as another.</summary>
    public static void SameBits(TensorType type, byte[] expected, byte[] actual, string what)
    {
        if (expected.AsSpan().SequenceEqual(actual)) return;
        ReferenceTensor<float> e = Tensor(type, expected), a = Tensor(type, actual);
        for (int i = 0; i < type.Elements; i++)
        {
            int size = type.DType.Bytes();
            bool same = expected.AsSpan(i * size, size).SequenceEqual(actual.AsSpan(i * size, size)) || (double.IsNaN(e[i]) && double.IsNaN(a[i]));
            Assert.True(same, $"{what}: element {i} is {a[i]:R} ({Convert.ToHexString(actual, i * size, size)}), expected {e[i]:R} ({Convert.ToHexString(expected, i * size, size)})");
        }
    }
}
