namespace Engine.Kernels.Cuda.Tests;

/// <summary>Runs one op on a device, every operand between guard bytes.</summary>
internal static unsafe class Single
{
    private const int Guard = 256; // kernels may take operands to be aligned to 64 bytes, as plans make them
    private const byte Pattern = 0xA5;

    /// <summary>The op's outputs; the guards were left alone and so were the inputs, unless an output lies on one.</summary>
    /// <param name="device">Where.</param>
    /// <param name="op">What.</param>
    /// <param name="inputTypes">Types of the inputs.</param>
    /// <param name="inputs">Their bytes.</param>
    /// <param name="overwritten">The input whose memory the first output shares; -1: none.</param>
    public static byte[][] Run(Device device, Op op, TensorType[] inputTypes, byte[][] inputs, int overwritten = -1)
    {
        var outputTypes = op.Infer(inputTypes);
        TensorType[] types = [.. inputTypes, .. outputTypes];
        var buffers = new Buffer[types.Length];
        var operands = new Operand[types.Length];
        for (int i = 0; i < types.Length; i++)
        {
            bool shares = i == inputTypes.Length && overwritten >= 0;
            byte[] content = new byte[2 * Guard + types[i].Bytes];
            Array.Fill(content, Pattern);
            if (i < inputs.Length) inputs[i].CopyTo(content, Guard);
            buffers[i] = shares ? buffers[overwritten] : device.Allocate(content.Length);
            if (!shares) buffers[i].Write(content);
            operands[i] = new Operand(i, Guard, types[i]);
        }
        var plan = new Plan([new KernelCall(op, operands[..inputs.Length], operands[inputs.Length..])], types.Length);
        using (var executable = device.Load(plan)) executable.Run(Array.ConvertAll(buffers, b => b.Address));

        var outputs = new byte[outputTypes.Length][];
        for (int i = 0; i < types.Length; i++)
        {
            byte[] content = new byte[2 * Guard + types[i].Bytes];
            buffers[i].Read(content);
            for (int g = 0; g < Guard; g++)
                Assert.True(content[g] == Pattern && content[Guard + types[i].Bytes + g] == Pattern, $"{op.Name}: operand {i} was written outside its {types[i].Bytes} bytes");
            if (i >= inputs.Length) outputs[i - inputs.Length] = content[Guard..^Guard];
            else if (i != overwritten) Assert.True(content.AsSpan(Guard, inputs[i].Length).SequenceEqual(inputs[i]), $"{op.Name}: input {i} was changed");
        }
        foreach (var buffer in buffers.Distinct()) buffer.Dispose();
        return outputs;
    }

    /// <summary>A tensor as devices hold it.</summary>
    public static byte[] Bytes(ReferenceTensor<float> tensor)
    {
        var bytes = new byte[tensor.Type.Bytes];
        fixed (byte* p = bytes) Forward.Encode(tensor, p);
        return bytes;
    }

    /// <summary>The tensor that a device holds as these bytes.</summary>
    public static ReferenceTensor<float> Tensor(TensorType type, byte[] bytes)
    {
        fixed (byte* p = bytes) return Forward.Decode(type, p);
    }

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
