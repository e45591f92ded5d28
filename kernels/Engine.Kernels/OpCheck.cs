namespace Engine.Kernels;

/// <summary>Runs ops one by one on a device, every operand between guard bytes, and compares with the float64 reference: what the tests of a device do, and <c>engine verify --ops</c> where there are no tests.</summary>
public static unsafe class OpCheck
{
    private const int Guard = 256; // kernels may take operands to be aligned to 64 bytes, as plans make them
    private const byte Pattern = 0xA5;

    /// <summary>Why an output is not as close to the float64 reference as the case demands; null if it is.</summary>
    /// <param name="c">The case.</param>
    /// <param name="exact">The reference in float64.</param>
    /// <param name="naive">The reference in float32.</param>
    /// <param name="actual">What the device computed.</param>
    public static string? Compare(OpCase c, ReferenceTensor<double> exact, ReferenceTensor<float> naive, ReferenceTensor<float> actual)
    {
        double scale = 0, naiveError = 0, actualError = 0;
        for (int i = 0; i < actual.Type.Elements; i++)
        {
            bool same = actual[i].Equals(naive[i]);
            if (c.Tolerance == Tolerance.Exact || !actual.Type.DType.IsFloat())
            {
                if (!same) return $"{c}: element {i} is {actual[i]:R}, the reference code gives {naive[i]:R}";
                continue;
            }
            if (!double.IsFinite(exact[i]))
            {
                if (!same) return $"{c}: element {i} is {actual[i]}, expected {exact[i]}";
                continue;
            }
            scale = Math.Max(scale, Math.Abs(exact[i]));
            naiveError = Math.Max(naiveError, Math.Abs(naive[i] - exact[i]));
            // Not a number is no small error.
            actualError = double.IsNaN(actual[i]) ? double.PositiveInfinity : Math.Max(actualError, Math.Abs(actual[i] - exact[i]));
            if (c.Tolerance == Tolerance.Function)
            {
                double ulp = MathF.BitIncrement(MathF.Abs((float)exact[i])) - MathF.Abs((float)exact[i]);
                if (!(Math.Abs(actual[i] - exact[i]) <= Math.Max(2 * Math.Abs(naive[i] - exact[i]), 2 * ulp))) return $"{c}: element {i} is {actual[i]:R}, expected {exact[i]:R}";
            }
        }
        // Half an ulp of the largest result is below what float32 can say at all.
        return c.Tolerance != Tolerance.Rounded || actualError <= Math.Max(2 * naiveError, scale * 6e-8) ? null : $"{c}: error {actualError:E2}, naive loop {naiveError:E2}, largest {scale:E2}";
    }

    /// <summary>The op's outputs on a device, as bytes.</summary>
    /// <param name="device">Where.</param>
    /// <param name="op">What.</param>
    /// <param name="inputTypes">Types of the inputs.</param>
    /// <param name="inputs">Their bytes.</param>
    /// <param name="overwritten">Outputs that lie in the memory of inputs, and those inputs; the others have memory of their own.</param>
    /// <exception cref="DeviceException">The kernel wrote outside an operand, or changed an input that no output lies on.</exception>
    public static byte[][] Run(Device device, Op op, TensorType[] inputTypes, byte[][] inputs, params (int Output, int Input)[] overwritten)
    {
        var outputTypes = op.Infer(inputTypes);
        TensorType[] types = [.. inputTypes, .. outputTypes];
        var buffers = new Buffer[types.Length];
        var operands = new Operand[types.Length];
        for (int i = 0; i < types.Length; i++)
        {
            byte[] content = new byte[2 * Guard + types[i].Bytes];
            Array.Fill(content, Pattern);
            if (i < inputs.Length) inputs[i].CopyTo(content, Guard);
            int over = Array.FindIndex(overwritten, o => inputs.Length + o.Output == i), slot = over < 0 ? i : overwritten[over].Input;
            buffers[i] = over < 0 ? device.Allocate(content.Length) : buffers[slot];
            if (over < 0) buffers[i].Write(content);
            operands[i] = new Operand(slot, Guard, types[i]);
        }
        var plan = new Plan([new KernelCall(op, operands[..inputs.Length], operands[inputs.Length..])], types.Length);
        using (var executable = device.Load(plan)) executable.Run(Array.ConvertAll(buffers, b => b.Address));

        var outputs = new byte[outputTypes.Length][];
        for (int i = 0; i < types.Length; i++)
        {
            byte[] content = new byte[2 * Guard + types[i].Bytes];
            buffers[i].Read(content);
            for (int g = 0; g < Guard; g++)
                if (content[g] != Pattern || content[Guard + types[i].Bytes + g] != Pattern) throw new DeviceException($"{op.Name}: operand {i} was written outside its {types[i].Bytes} bytes");
            if (i >= inputs.Length) outputs[i - inputs.Length] = content[Guard..^Guard];
            else if (!Array.Exists(overwritten, o => o.Input == i) && !content.AsSpan(Guard, inputs[i].Length).SequenceEqual(inputs[i])) throw new DeviceException($"{op.Name}: input {i} was changed");
        }
        foreach (var buffer in buffers.Distinct()) buffer.Dispose();
        return outputs;
    }

    /// <summary>Every output of an op with every input that it may be written over.</summary>
    public static IEnumerable<(int Output, int Input)> Overlays(Op op, TensorType[] inputs)
    {
        var outputs = op.Infer(inputs);
        for (int o = 0; o < outputs.Length; o++)
            for (int i = 0; i < inputs.Length; i++)
                if (inputs[i] == outputs[o] && op.CanOverwrite(i, o, inputs, outputs)) yield return (o, i);
    }

    /// <summary>A tensor as devices hold it.</summary>
    public static byte[] Encode(ReferenceTensor<float> tensor)
    {
        var bytes = new byte[tensor.Type.Bytes];
        fixed (byte* to = bytes) Encode(tensor, to);
        return bytes;
    }

    /// <summary>Writes a tensor as devices hold it.</summary>
    public static void Encode(ReferenceTensor<float> tensor, byte* to)
    {
        for (int i = 0; i < tensor.Type.Elements; i++)
            switch (tensor.Type.DType)
            {
                case DType.F32: ((float*)to)[i] = tensor.Floats[i]; break;
                case DType.BF16: ((ushort*)to)[i] = Bfloat16.FromSingle(tensor.Floats[i]); break;
                case DType.I32: ((int*)to)[i] = tensor.Ints[i]; break;
                default: to[i] = tensor.Bytes[i]; break;
            }
    }

    /// <summary>The tensor that a device holds as these bytes.</summary>
    public static ReferenceTensor<float> Decode(TensorType type, byte[] bytes)
    {
        fixed (byte* from = bytes) return Decode(type, from);
    }

    /// <summary>Reads a tensor as devices hold it.</summary>
    public static ReferenceTensor<float> Decode(TensorType type, byte* from)
    {
        var tensor = new ReferenceTensor<float>(type);
        for (int i = 0; i < type.Elements; i++)
            switch (type.DType)
            {
                case DType.F32: tensor.Floats[i] = ((float*)from)[i]; break;
                case DType.BF16: tensor.Floats[i] = Bfloat16.ToSingle(((ushort*)from)[i]); break;
                case DType.I32: tensor.Ints[i] = ((int*)from)[i]; break;
                default: tensor.Bytes[i] = from[i]; break;
            }
        return tensor;
    }
}
