using Engine.Kernels;

namespace Engine.Autodiff;

/// <summary>Every op of the op table on a device, against the float64 reference: primitives against their reference code, composites against their definitions.</summary>
public static class DeviceCheck
{
    /// <summary>Checks case by case, three draws of inputs each; what the device has no kernel for is left out.</summary>
    /// <returns>The case, and why it fails; null if it holds.</returns>
    public static IEnumerable<(OpCase Case, string? Failure)> Run(Device device)
    {
        foreach (var c in OpTable.Cases)
        {
            var types = SampleData.Types(c);
            if (c.Op.IsAlias || !device.Implements(c.Op, types, c.Op.Infer(types))) continue;
            yield return (c, Check(device, c));
        }
    }

    private static string? Check(Device device, OpCase c)
    {
        for (ulong seed = 0; seed < 3; seed++)
        {
            var inputs = SampleData.Inputs<float>(c, seed);
            var naive = Reference<float>(c, inputs);
            var exact = Reference(c, SampleData.Inputs<double>(c, seed));
            byte[][] outputs, again;
            try
            {
                var bytes = Array.ConvertAll(inputs, OpCheck.Encode);
                outputs = OpCheck.Run(device, c.Op, SampleData.Types(c), bytes);
                again = OpCheck.Run(device, c.Op, SampleData.Types(c), bytes);
            }
            catch (DeviceException e)
            {
                return $"{c}: {e.Message}";
            }
            for (int o = 0; o < outputs.Length; o++)
            {
                if (OpCheck.Compare(c, exact[o], naive[o], OpCheck.Decode(exact[o].Type, outputs[o])) is { } failure) return failure;
                if (!outputs[o].AsSpan().SequenceEqual(again[o])) return $"{c}: a second run gave other bits";
            }
        }
        return null;
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
