using Engine.Kernels;

namespace Engine.Autodiff.Passes;

/// <summary>Puts updates (<see cref="SetRows"/>) just before the first node that reads what they make, or at the end: whoever reads the old content comes first where that can be, so that the update is in place.</summary>
internal static class LateUpdates
{
    public static Graph Run(Graph graph) => Any(graph) ? GraphCopy.Run(graph, _ => true, (_, _, _) => null, Order) : graph;

    private static bool Any(Graph graph) => graph.Nodes.Any(n => n.Op.IsUpdate || n.Body is { } body && Any(body));

    private static List<Node> Order(Graph graph)
    {
        var order = new List<Node>(graph.Nodes.Count);
        var held = new HashSet<Node>();
        foreach (var node in graph.Nodes)
            if (node.Op.IsUpdate) held.Add(node);
            else Put(node);
        foreach (var node in graph.Nodes.Where(held.Contains).ToArray())
            if (held.Remove(node)) Put(node);
        return order;

        void Put(Node node)
        {
            foreach (var input in node.Inputs)
                if (held.Remove(input.Node)) Put(input.Node);
            order.Add(node);
        }
    }
}
