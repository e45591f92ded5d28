using System.Numerics;

namespace Engine.Kernels;

/// <summary>Inputs of the op table's cases, the same numbers in every precision.</summary>
public static class SampleData
{
    /// <summary>Inputs of a case, drawn from its ranges.</summary>
    public static ReferenceTensor<T>[] Inputs<T>(OpCase c, ulong seed) where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var inputs = new ReferenceTensor<T>[c.Inputs.Length];
        for (int i = 0; i < inputs.Length; i++)
        {
            var sample = c.Inputs[i];
            var stream = new PhiloxStream(seed, $"{c.Op.Name}/{i}");
            inputs[i] = new ReferenceTensor<T>(sample.Type);
            var values = new double[sample.Type.Elements];
            for (int k = 0; k < values.Length; k++)
                // Rounded to float32 so that both precisions start from the same numbers.
                values[k] = sample.Type.DType.IsFloat() ? (float)stream.NextUniform(sample.Low, sample.High) : (int)sample.Low + stream.NextInt((int)(sample.High - sample.Low));
            if (sample.Ascending)
                for (int row = 0; row < values.Length; row += sample.Type.Shape[^1]) Array.Sort(values, row, sample.Type.Shape[^1]);
            for (int k = 0; k < values.Length; k++) inputs[i].Set(k, values[k]);
        }
        return inputs;
    }

    /// <summary>Types of a case's inputs.</summary>
    public static TensorType[] Types(OpCase c) => Array.ConvertAll(c.Inputs, i => i.Type);

    /// <summary>Outputs by the op's own reference code.</summary>
    public static ReferenceTensor<T>[] Reference<T>(OpCase c, ReferenceTensor<T>[] inputs) where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var outputs = Array.ConvertAll(c.Op.Infer(Types(c)), t => new ReferenceTensor<T>(t));
        c.Op.Reference(inputs, outputs);
        return outputs;
    }
}
