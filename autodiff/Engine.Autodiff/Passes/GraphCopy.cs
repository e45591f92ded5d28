using Engine.Kernels;

namespace Engine.Autodiff.Passes;

/// <summary>Rebuilds a graph node by node, giving a pass the chance to put something else in a node's place.</summary>
internal static class GraphCopy
{
    /// <summary>What takes the place of a node: its outputs in the new graph, or null to copy the node as it is.</summary>
    /// <param name="node">The old node.</param>
    /// <param name="target">The new graph.</param>
    /// <param name="map">The new tensors of the old ones before the node; a pass may add others.</param>
    public delegate Tensor[]? Replace(Node node, Graph target, Dictionary<Tensor, Tensor> map);

    /// <summary>A copy of a program's graph. Nodes for which <paramref name="keep"/> is false are left out; the others come in their order, or in another in which every node follows what it reads.</summary>
    public static Graph Run(Graph graph, Func<Node, bool> keep, Replace replace, Func<Graph, IReadOnlyList<Node>>? order = null)
    {
        var target = new Graph();
        var map = Copy(graph, target, keep, replace, order ?? (g => g.Nodes));
        foreach (var (name, tensor) in graph.Outputs) target.SetOutput(name, map[tensor]);
        foreach (var (name, tensor) in graph.Assigned) target.SetAssigned(name, map[tensor]);
        return target;
    }

    private static Dictionary<Tensor, Tensor> Copy(Graph graph, Graph target, Func<Node, bool> keep, Replace replace, Func<Graph, IReadOnlyList<Node>> order)
    {
        var map = new Dictionary<Tensor, Tensor>();
        foreach (var node in order(graph))
        {
            if (!keep(node)) continue;
            var outputs = replace(node, target, map);
            if (outputs is null)
            {
                Graph? body = null;
                if (node.Op is Repeat repeat)
                {
                    body = target.NewBody(repeat.Max);
                    var inner = Copy(node.Body!, body, keep, replace, order);
                    body.SetBody(node.Body!.Captured.Select(t => map[t]), node.Body.Results.Select(t => inner[t]).ToArray());
                }
                outputs = target.AppendTranslated(node.Op, Array.ConvertAll(node.Inputs, t => map[t]), node.OutputTypes, body, node.Scope).Outputs;
            }
            for (int i = 0; i < outputs.Length; i++) map[node.Outputs[i]] = outputs[i];
        }
        return map;
    }
}
