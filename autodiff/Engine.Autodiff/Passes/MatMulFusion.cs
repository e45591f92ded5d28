using Engine.Kernels;

namespace Engine.Autodiff.Passes;

/// <summary>
/// Fuses the epilogue of a matrix product into it: the derivative of a rectifier (a mask that keeps the gradient where the layer's output is above 0), and the addition of another
/// tensor (a sum of two gradients). The product is then written once, instead of written, read and written again. The bits do not change.
/// </summary>
internal static class MatMulFusion
{
    public static Graph Run(Graph graph, Device device)
    {
        var rewrites = new Rewrites();
        Find(graph, new Readers(graph), device, rewrites);
        return rewrites.Apply(graph);
    }

    private static void Find(Graph graph, Readers readers, Device device, Rewrites rewrites)
    {
        var taken = new HashSet<Node>(); // products and sums fused into a later node
        for (int id = graph.Nodes.Count - 1; id >= 0; id--)
        {
            var node = graph.Nodes[id];
            if (node.Body is { } body) Find(body, readers, device, rewrites);
            if (taken.Contains(node) || node.Outputs.Length == 0) continue;
            Tensor value = node.Outputs[0];
            Tensor? mask = null;
            if (Patterns.Mask(node) is { } found)
            {
                if (readers.Only(found.Masked) is null) continue;
                (mask, value) = found;
            }
            Tensor? residual = null;
            var last = value.Node;
            if (SumOf(value, readers) is { } sum) (residual, value) = sum;
            if (value.Node.Op is not MatMul product || (mask is null && residual is null)) continue;
            var op = new FusedMatMul(product, residual is not null, mask is not null);
            Tensor[] inputs = [.. value.Node.Inputs, .. residual is null ? Array.Empty<Tensor>() : [residual], .. mask is null ? Array.Empty<Tensor>() : [mask]];
            if (!device.Prefers(op, Array.ConvertAll(inputs, t => t.Type), node.OutputTypes)) continue;
            taken.Add(last);
            taken.Add(value.Node);
            rewrites.Replace(node, op, inputs);
        }
    }

    /// <summary>If the value is a sum with a product that nothing else reads: the other summand, and the product. Of two products the later one.</summary>
    private static (Tensor Residual, Tensor Product)? SumOf(Tensor value, Readers readers)
    {
        if (value.Node.Op is not Binary { Kind: BinaryKind.Add }) return null;
        Tensor a = value.Node.Inputs[0], b = value.Node.Inputs[1];
        if (a.Type != value.Type || b.Type != value.Type) return null;
        bool first = a.Node.Op is MatMul && readers.Only(a) is not null, second = b.Node.Op is MatMul && readers.Only(b) is not null;
        if (first && (!second || a.Node.Id > b.Node.Id)) return (b, a);
        return second ? (a, b) : null;
    }
}
