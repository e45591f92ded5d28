using Engine.Kernels;

namespace Engine.Autodiff.Passes;

/// <summary>Removes nodes from which no output and no variable's new value is reachable. A loop's carried values and captures all stay.</summary>
internal static class DeadCode
{
    public static Graph Run(Graph graph)
    {
        var live = new HashSet<Node>();
        Mark(graph, graph.Outputs.Values.Concat(graph.Assigned.Values), live);
        return GraphCopy.Run(graph, live.Contains, (_, _, _) => null);
    }

    private static void Mark(Graph graph, IEnumerable<Tensor> roots, HashSet<Node> live)
    {
        foreach (var root in roots) live.Add(root.Node);
        // Inputs come before users, so one walk from the end reaches everything.
        for (int id = graph.Nodes.Count - 1; id >= 0; id--)
        {
            var node = graph.Nodes[id];
            if (node.Op is Capture or Carried or RepeatIndex or Input) live.Add(node);
            if (!live.Contains(node)) continue;
            foreach (var input in node.Inputs) live.Add(input.Node);
            if (node.Body is { } body) Mark(body, body.Results, live);
        }
    }
}
