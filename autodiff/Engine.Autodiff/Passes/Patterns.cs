using Engine.Kernels;

namespace Engine.Autodiff.Passes;

/// <summary>Shapes of graphs that several passes look for.</summary>
internal static class Patterns
{
    /// <summary>Whether the tensor is a constant +0.</summary>
    public static bool IsZero(Tensor tensor) => tensor.Node.Op is Constant { Values: var values } && values.Span is [var only] && BitConverter.DoubleToInt64Bits(only) == 0;

    /// <summary>The tensor under its first name.</summary>
    public static Tensor Unaliased(Tensor tensor)
    {
        while (tensor.Node.Op.IsAlias) tensor = tensor.Node.Inputs[0];
        return tensor;
    }

    /// <summary>If the node is select(by > 0, masked, 0) of equal shapes, as the derivative of a rectifier: the two.</summary>
    public static (Tensor By, Tensor Masked)? Mask(Node node)
    {
        if (node.Op is not Select || !IsZero(node.Inputs[2]) || node.Inputs[0].Node is not { Op: Compare { Kind: CompareKind.Greater } } compare || !IsZero(compare.Inputs[1])) return null;
        var type = node.Outputs[0].Type;
        return compare.Inputs[0].Type == type && node.Inputs[1].Type == type ? (compare.Inputs[0], node.Inputs[1]) : null;
    }
}
