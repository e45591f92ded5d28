namespace Engine.Kernels.Tests;

/// <summary>What a forward check of a kernel needs, on any device.</summary>
internal static unsafe class Forward
{
    /// <summary>Whether an output is as close to the float64 reference as the case demands.</summary>
    public static void Compare(OpCase c, ReferenceTensor<double> exact, ReferenceTensor<float> naive, ReferenceTensor<float> actual)
    {
        double scale = 0, naiveError = 0, actualError = 0;
        for (int i = 0; i < actual.Type.Elements; i++)
        {
            bool same = actual[i].Equals(naive[i]);
            if (c.Tolerance == Tolerance.Exact || !actual.Type.DType.IsFloat())
            {
                Assert.True(same, $"{c}: element {i} is {actual[i]:R}, the reference code gives {naive[i]:R}");
                continue;
            }
            if (!double.IsFinite(exact[i]))
            {
                Assert.True(same, $"{c}: element {i} is {actual[i]}, expected {exact[i]}");
                continue;
            }
            scale = Math.Max(scale, Math.Abs(exact[i]));
            naiveError = Math.Max(naiveError, Math.Abs(naive[i] - exact[i]));
            actualError = Math.Max(actualError, Math.Abs(actual[i] - exact[i]));
            if (c.Tolerance == Tolerance.Function)
            {
                double ulp = MathF.BitIncrement(MathF.Abs((float)exact[i])) - MathF.Abs((float)exact[i]);
                Assert.True(Math.Abs(actual[i] - exact[i]) <= Math.Max(2 * Math.Abs(naive[i] - exact[i]), 2 * ulp), $"{c}: element {i} is {actual[i]:R}, expected {exact[i]:R}");
            }
        }
        // Half an ulp of the largest result is below what float32 can say at all.
        if (c.Tolerance == Tolerance.Rounded) Assert.True(actualError <= Math.Max(2 * naiveError, scale * 6e-8), $"{c}: error {actualError:E2}, naive loop {naiveError:E2}, largest {scale:E2}");
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
                default: to[i] = tensor.Bools[i]; break;
            }
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
                default: tensor.Bools[i] = from[i]; break;
            }
        return tensor;
    }
}
