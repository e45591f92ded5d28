using Engine.Kernels;

namespace Engine.Autodiff;

/// <summary>Reverse-mode derivatives, as more nodes of the same graph; so derivatives of derivatives work.</summary>
public static class Gradients
{
    /// <summary>The derivatives of a scalar with respect to any tensors it was computed from.</summary>
    /// <param name="loss">One F32 element.</param>
    /// <param name="wrt">Variables as read, inputs, actions: any F32 tensors.</param>
    /// <returns>One tensor per entry of <paramref name="wrt"/>, of its shape.</returns>
    /// <exception cref="InvalidOperationException">The loss does not depend on an entry, or only through a loop or integers.</exception>
    public static Tensor[] Of(Tensor loss, params Tensor[] wrt)
    {
        if (loss.Shape.Elements != 1) throw new ShapeException($"gradients are taken of one number, not of {loss.Type}; sum it first");
        return VectorJacobian(loss, loss.Graph.Constant(loss.Type, 1), wrt);
    }

    /// <summary>The derivative of sum(output * upstream), the vector-Jacobian product.</summary>
    public static Tensor[] VectorJacobian(Tensor output, Tensor upstream, params Tensor[] wrt)
    {
        var gradients = Collect(output, upstream, wrt);
        return wrt.Select((tensor, i) => gradients[i] ?? throw new InvalidOperationException(
            $"the output {output.Node} does not depend on {tensor.Node} in a way that can be differentiated (integers, comparisons and StopGradient end a gradient)")).ToArray();
    }

    /// <summary>The same with null for a tensor that the output does not depend on.</summary>
    /// <param name="output">Of what.</param>
    /// <param name="upstream">Weights of its elements.</param>
    /// <param name="wrt">With respect to what.</param>
    /// <param name="from">Number of the first node to go through: with the inputs of a function as <paramref name="wrt"/>, which may depend on one another, the function's own first node.</param>
    internal static Tensor?[] Collect(Tensor output, Tensor upstream, Tensor[] wrt, int from = 0)
    {
        var graph = output.Graph;
        if (output.Type.DType != DType.F32) throw new ShapeException($"gradients are taken of F32, not of {output.Type}");
        if (upstream.Shape != output.Shape) throw new ShapeException($"upstream is {upstream.Type}, the output {output.Type}");
        var targets = Array.ConvertAll(wrt, graph.Import);

        // Only nodes between the targets and the output take part.
        var depends = new HashSet<Node>();
        var isTarget = new HashSet<Tensor>(targets);
        for (int id = 0; id <= output.Node.Id; id++)
        {
            var node = graph.Nodes[id];
            if (Array.Exists(node.Outputs, isTarget.Contains) || id >= from && Array.Exists(node.Inputs, i => i.Type.DType.IsFloat() && depends.Contains(i.Node))) depends.Add(node);
        }

        var gradients = new Dictionary<Tensor, Tensor> { [output] = graph.Import(upstream) };
        using (graph.Scope("gradient"))
            for (int id = output.Node.Id; id >= from; id--)
            {
                var node = graph.Nodes[id];
                if (!depends.Contains(node) || !Array.Exists(node.Inputs, i => depends.Contains(i.Node))) continue;
                var incoming = Array.ConvertAll(node.Outputs, o => gradients.GetValueOrDefault(o));
                if (Array.TrueForAll(incoming, g => g is null)) continue;
                var outgoing = Derivatives.Of(node, incoming, i => depends.Contains(node.Inputs[i].Node));
                for (int i = 0; i < outgoing.Length; i++)
                {
                    if (outgoing[i] is not { } g || !depends.Contains(node.Inputs[i].Node)) continue;
                    var input = node.Inputs[i];
                    if (g.Shape != input.Shape) throw new InvalidOperationException($"derivative of {node.Op.Name}: input {i} is {input.Type}, its gradient {g.Type}");
                    gradients[input] = gradients.TryGetValue(input, out var sum) ? sum + g : g;
                }
            }

        return Array.ConvertAll(targets, t => gradients.GetValueOrDefault(t));
    }
}
