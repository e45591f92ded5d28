using Engine.Kernels;

namespace Engine.Autodiff;

/// <summary>Every op of the op table on a device, against the float64 reference: primitives against their reference code, composites against their definitions.</summary>
public static class DeviceCheck
{
    /// <summary>Checks case by case, three draws of inputs each, again for the same bits, and over each input that the op may be written over; what the device has no kernel for is left out. Where the device's precision is not float32, a product of matrices must
    /// agree with the reference of its factors as they are, or as that precision rounds them: products that are limited by memory keep float32. A chain of products must have the bits of its links run one after another.</summary>
    /// <param name="device">Where.</param>
    /// <param name="only">Which ops, by name; null: all.</param>
    /// <returns>The case, and why it fails; null if it holds.</returns>
    public static IEnumerable<(OpCase Case, string? Failure)> Run(Device device, Func<string, bool>? only = null)
    {
        foreach (var c in OpTable.Cases)
        {
            if (only is not null && !only(c.Op.Name)) continue;
            var types = SampleData.Types(c);
            if (c.Op.IsAlias || !device.Implements(c.Op, types, c.Op.Infer(types))) continue;
            yield return (c, Check(device, c, types));
        }
    }

    private static string? Check(Device device, OpCase c, TensorType[] types)
    {
        for (ulong seed = 0; seed < 3; seed++)
        {
            var inputs = SampleData.Inputs<float>(c, seed);
            var naive = Reference<float>(c, inputs);
            var exact = Reference(c, SampleData.Inputs<double>(c, seed));
            byte[][] outputs, again;
            byte[][]? links = null;
            try
            {
                var bytes = Array.ConvertAll(inputs, OpCheck.Encode);
                if (c.Op is MatMulChain chain) links = LinkByLink(device, chain, types, bytes);
                outputs = OpCheck.Run(device, c.Op, types, bytes);
                again = OpCheck.Run(device, c.Op, types, bytes);
                foreach (var overlay in OpCheck.Overlays(c.Op, types))
                    if (!Same(outputs, OpCheck.Run(device, c.Op, types, bytes, overlay))) return $"{c}: with output {overlay.Output} written over input {overlay.Input} it gives other bits";
            }
            catch (DeviceException e)
            {
                return $"{c}: {e.Message}";
            }
            if (!Same(outputs, again)) return $"{c}: a second run gave other bits";
            if (links is not null && !Same(outputs, links)) return $"{c}: other bits than its links one after another";
            // The links themselves are checked as products; where rows are rounded between them, float64 would round some to the other side.
            if (links is not null && device.Precision != Precision.Float32) continue;
            var failure = Compare(c, exact, naive, outputs);
            if (failure is not null && device.Precision != Precision.Float32 && c.Op is MatMul or FusedMatMul or MemberMatMul or Linear)
                failure = Compare(c, Reference(c, Rounded(c, SampleData.Inputs<double>(c, seed), device.Precision)), Reference(c, Rounded(c, inputs, device.Precision)), outputs);
            if (failure is not null) return failure;
        }
        return null;
    }

    private static bool Same(byte[][] a, byte[][] b) => a.Zip(b).All(x => x.First.AsSpan().SequenceEqual(x.Second));

    private static byte[][] LinkByLink(Device device, MatMulChain chain, TensorType[] types, byte[][] inputs)
    {
        var links = chain.Types(types);
        var operands = chain.Operands;
        var results = new byte[links.Length][];
        for (int i = 0; i < links.Length; i++) results[i] = OpCheck.Run(device, chain.Links[i], links[i].Inputs, Array.ConvertAll(operands[i], j => j < 0 ? results[i - 1] : inputs[j]))[0];
        return chain.Kept.Span.ToArray().Select(k => results[k]).ToArray();
    }

    private static string? Compare(OpCase c, ReferenceTensor<double>[] exact, ReferenceTensor<float>[] naive, byte[][] outputs) =>
        outputs.Select((bytes, o) => OpCheck.Compare(c, exact[o], naive[o], OpCheck.Decode(exact[o].Type, bytes))).FirstOrDefault(f => f is not null);

    /// <summary>The inputs of a product, its two factors rounded.</summary>
    private static ReferenceTensor<T>[] Rounded<T>(OpCase c, ReferenceTensor<T>[] inputs, Precision precision) where T : unmanaged, System.Numerics.IBinaryFloatingPointIeee754<T>
    {
        foreach (var factor in inputs[..2])
            for (int k = 0; k < factor.Floats.Length; k++) factor.Floats[k] = T.CreateChecked(precision.Round(float.CreateChecked(factor.Floats[k])));
        return inputs;
    }

    private static ReferenceTensor<T>[] Reference<T>(OpCase c, ReferenceTensor<T>[] inputs) where T : unmanaged, System.Numerics.IBinaryFloatingPointIeee754<T>
    {
        if (c.Op is not Composite) return SampleData.Reference(c, inputs);
        var graph = new Graph();
        var outputs = graph.Add(c.Op, c.Inputs.Select((x, i) => graph.Input($"x{i}", x.Type)).ToArray());
        for (int i = 0; i < outputs.Length; i++) graph.Output($"y{i}", outputs[i]);
        var interpreter = new Interpreter<T>(graph);
        for (int i = 0; i < inputs.Length; i++)
            for (int k = 0; k < inputs[i].Type.Elements; k++) interpreter.Input($"x{i}").Set(k, inputs[i][k]);
        interpreter.Run();
        return outputs.Select((_, i) => interpreter.Output($"y{i}")).ToArray();
    }
}
