using Engine.Kernels;

namespace Engine.Autodiff.Passes;

/// <summary>What a pass puts in the place of nodes: other ops on tensors of the old graph that lie before the node.</summary>
internal sealed class Rewrites
{
    private readonly Dictionary<Node, (Tensor[] Reads, Tensor[] Results, Func<Graph, Tensor[], Tensor[]> Build)> _replacements = [];
    private readonly HashSet<Node> _gone = [];

    /// <summary>Puts an op with the same outputs in the place of a node.</summary>
    public void Replace(Node node, Op op, params Tensor[] inputs) =>
        Replace(node, inputs, node.Outputs, (target, translated) => target.AppendTranslated(op, translated, node.OutputTypes, null, node.Scope).Outputs);

    /// <summary>Puts what a function adds to the new graph in the place of a node, and of others, earlier or later, that nothing before this one reads.</summary>
    /// <param name="node">The node; its outputs are among the results.</param>
    /// <param name="reads">The old tensors that the function needs.</param>
    /// <param name="results">The old tensors that it makes anew: all outputs of the nodes that go.</param>
    /// <param name="build">From the new graph and the tensors read, in it: the results.</param>
    public void Replace(Node node, Tensor[] reads, Tensor[] results, Func<Graph, Tensor[], Tensor[]> build)
    {
        _replacements[node] = (reads, results, build);
        foreach (var result in results)
            if (result.Node != node) _gone.Add(result.Node);
    }

    /// <summary>The graph with the replacements, without the nodes that had readers and have lost them all.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="order">The nodes of it, or of a body, in another order, in which what a replacement reads comes before it and what reads its results after it.</param>
    public Graph Apply(Graph graph, Func<Graph, IReadOnlyList<Node>>? order = null)
    {
        if (_replacements.Count == 0) return graph;
        order ??= g => g.Nodes;
        var unread = new HashSet<Node>(_gone);
        Unread(graph, new Readers(graph), [], unread, order);
        return GraphCopy.Run(graph, node => !unread.Contains(node), (node, target, map) =>
        {
            if (!_replacements.TryGetValue(node, out var by)) return null;
            var made = by.Build(target, Array.ConvertAll(by.Reads, t => map[t]));
            for (int i = 0; i < made.Length; i++) map[by.Results[i]] = made[i];
            return Array.ConvertAll(node.Outputs, t => map[t]);
        }, order);
    }

    private void Unread(Graph graph, Readers before, HashSet<Tensor> read, HashSet<Node> unread, Func<Graph, IReadOnlyList<Node>> order)
    {
        foreach (var node in order(graph).Reverse())
        {
            if (unread.Contains(node)) continue;
            // Other leaves stay: inputs have names, a loop's captures have positions.
            if ((node.Op is Constant || node.Op is not Leaf) && node.Outputs.Any(before.IsRead) && !node.Outputs.Any(t => before.IsKept(t) || read.Contains(t)) && !IsRewritten(node, before, read))
            {
                unread.Add(node);
                continue;
            }
            foreach (var input in _replacements.TryGetValue(node, out var by) ? by.Reads : node.Inputs) read.Add(input);
            if (node.Body is { } body) Unread(body, before, [], unread, order);
        }
    }

    /// <summary>Whether the node makes something else that is needed.</summary>
    private bool IsRewritten(Node node, Readers before, HashSet<Tensor> read) =>
        _replacements.TryGetValue(node, out var by) && by.Results.Any(t => before.IsKept(t) || read.Contains(t));
}
