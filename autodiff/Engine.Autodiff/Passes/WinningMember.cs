using Engine.Kernels;

namespace Engine.Autodiff.Passes;

/// <summary>
/// A minimum (or maximum) over the members of an ensemble sends the gradient of every row to one member. Backwards through layers and rectifiers the gradients of the others
/// are +0, and the sum over members adds them to the one that counts: nothing is left of their products but time. The pass computes that one, each row with its winner's
/// weights. A sum that begins at +0 stays +0 under products with 0, and x + 0 is x (and +0 for -0, which the last step keeps), so the bits do not change as
/// long as the weights are finite; with an infinite weight the zeros of the full product become NaN.
/// </summary>
internal static class WinningMember
{
    /// <summary>A layer on the way back: the product with its weights, then the rectifier before it, if there is one.</summary>
    private sealed record Layer(Tensor Weights, bool TransposeB, Tensor? Mask);

    public static Graph Run(Graph graph, Device device)
    {
        var rewrites = new Rewrites();
        Find(graph, new Readers(graph), device, rewrites);
        return rewrites.Apply(graph);
    }

    private static void Find(Graph graph, Readers readers, Device device, Rewrites rewrites)
    {
        foreach (var node in graph.Nodes)
        {
            if (node.Body is { } body) Find(body, readers, device, rewrites);
            if (WinnerOf(node) is { } winner) Follow(node, winner, readers, device, rewrites);
        }
    }

    /// <summary>If the node keeps a gradient for the winning member of every row and is 0 elsewhere, select(iota == winner, gradient, 0): the winners.</summary>
    private static Tensor? WinnerOf(Node node)
    {
        if (node.Op is not Select || !Patterns.IsZero(node.Inputs[2]) || node.Inputs[0].Node is not { Op: Compare { Kind: CompareKind.Equal } } compare) return null;
        var shape = node.Outputs[0].Shape;
        if (shape.Rank < 2 || shape[0] < 2 || node.Outputs[0].Type.DType != DType.F32) return null;
        var positions = compare.Inputs[0];
        if (positions.Node.Op is not Iota { Axis: 0 } || positions.Shape.Rank != shape.Rank || positions.Shape[0] != shape[0] || positions.Shape.Elements != shape[0]) return null;
        var winner = Patterns.Unaliased(compare.Inputs[1]);
        // The winners of [members, rows...] in the order of the rows; compared under [1, rows...].
        return winner.Node.Op is ArgReduce { Axis: 0 } && compare.Inputs[1].Shape == shape.With(0, 1) && winner.Node.Inputs[0].Shape[0] == shape[0] ? winner : null;
    }

    private static void Follow(Node selected, Tensor winner, Readers readers, Device device, Rewrites rewrites)
    {
        int members = selected.Outputs[0].Shape[0], rows = checked((int)winner.Shape.Elements);
        // One row would be a product of a vector, which is summed in another order.
        var spread = selected.Outputs[0].Shape.With(0, 1);
        if (rows < 2 || !selected.Inputs[1].Shape.BroadcastsTo(spread)) return;
        var layers = new List<Layer>();
        var value = selected.Outputs[0];
        while (readers.Only(value) is { } next)
        {
            var result = next.Outputs[0];
            if (next.Op.IsAlias && result.Shape.Rank > 0 && result.Shape[0] == members) value = result;
            else if (next.Op is MatMul { TransposeA: false } product && next.Inputs[0] == value && value.Shape is { Rank: 3 } shape && shape[0] == members && shape[1] == rows
                && next.Inputs[1].Shape is { Rank: 3 } weights && weights[0] == members)
            {
                layers.Add(new Layer(next.Inputs[1], product.TransposeB, null));
                value = result;
            }
            else if (layers.Count > 0 && layers[^1].Mask is null && Patterns.Mask(next) is { } mask && mask.Masked == value && value.Node.Op is MatMul)
            {
                layers[^1] = layers[^1] with { Mask = mask.By };
                value = result;
            }
            else
            {
                if (layers.Count > 0 && next.Op is Reduce { Kind: ReduceKind.Sum, Axes: [0] } && value.Node.Op is MatMul or Select) Rewrite(next, readers, selected.Inputs[1], spread, winner, layers, device, rewrites);
                return;
            }
        }
    }

    private static void Rewrite(Node sum, Readers readers, Tensor gradient, Shape spread, Tensor winner, List<Layer> layers, Device device, Rewrites rewrites)
    {
        Tensor[] reads = [gradient, winner, .. layers.Select(l => l.Weights), .. layers.Where(l => l.Mask is not null).Select(l => l.Mask!)];
        int rows = (int)winner.Shape.Elements, width = 1;
        foreach (var layer in layers)
        {
            var op = new MemberMatMul(layer.TransposeB, layer.Mask is not null);
            TensorType[] inputs = [TensorType.Float([rows, width]), layer.Weights.Type, TensorType.Int([rows]), .. layer.Mask is null ? Array.Empty<TensorType>() : [layer.Mask.Type]];
            if (!device.Prefers(op, inputs, op.Infer(inputs))) return;
            width = op.Infer(inputs)[0].Shape[1];
        }
        // Of a critic's gradient often the action's part alone is wanted: the addition of 0 comes after that.
        var place = readers.Only(sum.Outputs[0]) is { Op: Slice } part && part.Graph == sum.Graph ? part : sum;
        rewrites.Replace(place, reads, place.Outputs, (target, at) =>
        {
            using var scope = target.Scope(sum.Scope);
            var member = at[1].Reshape(rows);
            // The gradient may be one number for all rows.
            var value = (at[0].Shape.Elements == rows ? at[0] : at[0].BroadcastTo(spread)).Reshape(rows, 1);
            int mask = 2 + layers.Count;
            for (int i = 0; i < layers.Count; i++)
            {
                var op = new MemberMatMul(layers[i].TransposeB, layers[i].Mask is not null);
                value = layers[i].Mask is null ? Graph.Apply(op, value, at[2 + i], member) : Graph.Apply(op, value, at[2 + i], member, at[mask++]);
            }
            value = value.Reshape(sum.Outputs[0].Shape);
            return [(place == sum ? value : Graph.Apply(place.Op, value)) + 0];
        });
    }
}
