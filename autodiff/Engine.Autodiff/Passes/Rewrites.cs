using Engine.Kernels;

namespace Engine.Autodiff.Passes;

/// <summary>What a pass puts in the place of nodes: other ops on tensors of the old graph that lie before the node.</summary>
internal sealed class Rewrites
{
    private readonly Dictionary<Node, (Tensor[] Reads, Func<Graph, Tensor[], Tensor[]> Build)> _replacements = [];

    /// <summary>Puts an op with the same outputs in the place of a node.</summary>
    public void Replace(Node node, Op op, params Tensor[] inputs) =>
        Replace(node, inputs, (target, translated) => target.AppendTranslated(op, translated, node.OutputTypes, null, node.Scope).Outputs);

    /// <summary>Puts what a function adds to the new graph in the place of a node.</summary>
    /// <param name="node">The node.</param>
    /// <param name="reads">The old tensors that the function needs.</param>
    /// <param name="build">From the new graph and those tensors in it: what takes the place of the node's outputs.</param>
    public void Replace(Node node, Tensor[] reads, Func<Graph, Tensor[], Tensor[]> build) => _replacements[node] = (reads, build);

    /// <summary>The graph with the replacements, without the nodes that had readers and have lost them all.</summary>
    public Graph Apply(Graph graph)
    {
        if (_replacements.Count == 0) return graph;
        var readers = new Readers(graph);
        var unread = new HashSet<Node>();
        Unread(graph, readers, [], unread);
        return GraphCopy.Run(graph, node => !unread.Contains(node), (node, target, at) =>
            _replacements.TryGetValue(node, out var by) ? by.Build(target, Array.ConvertAll(by.Reads, t => at(t))) : null);
    }

    private void Unread(Graph graph, Readers before, HashSet<Tensor> read, HashSet<Node> unread)
    {
        for (int id = graph.Nodes.Count - 1; id >= 0; id--)
        {
            var node = graph.Nodes[id];
            // Other leaves stay: inputs have names, a loop's captures have positions.
            if ((node.Op is Constant || node.Op is not Leaf) && node.Outputs.Any(before.IsRead) && !node.Outputs.Any(t => before.IsKept(t) || read.Contains(t)))
            {
                unread.Add(node);
                continue;
            }
            foreach (var input in _replacements.TryGetValue(node, out var by) ? by.Reads : node.Inputs) read.Add(input);
            if (node.Body is { } body) Unread(body, before, [], unread);
        }
    }
}
