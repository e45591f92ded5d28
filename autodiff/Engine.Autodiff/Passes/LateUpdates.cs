using Engine.Kernels;

namespace Engine.Autodiff.Passes;

/// <summary>
/// Puts updates (<see cref="SetRows"/>) just before the first node that reads what they make, or at the end, and other readers of the old content before them where that can be: then the update is in place.
/// </summary>
internal static class LateUpdates
{
    public static Graph Run(Graph graph) => Any(graph) ? GraphCopy.Run(graph, _ => true, (_, _, _) => null, g => Any(g) ? new Order(g).Nodes : g.Nodes) : graph;

    private static bool Any(Graph graph) => graph.Nodes.Any(n => n.Op.IsUpdate || n.Body is { } body && Any(body));

    private sealed class Order
    {
        private readonly ILookup<Tensor, Node> _readers;
        private readonly HashSet<Node> _done = [], _begun = []; // those that are there, and updates that wait for readers of their tables

        public Order(Graph graph)
        {
            _readers = graph.Nodes.SelectMany(n => n.Inputs.Distinct().Select(t => (Tensor: t, Node: n))).ToLookup(r => r.Tensor, r => r.Node);
            foreach (var node in graph.Nodes)
                if (!node.Op.IsUpdate) Put(node);
            foreach (var node in graph.Nodes) Put(node);
        }

        public List<Node> Nodes { get; } = [];

        private void Put(Node node)
        {
            if (_done.Contains(node)) return;
            foreach (var input in node.Inputs) Put(input.Node);
            if (node.Op.IsUpdate)
            {
                _begun.Add(node);
                foreach (var reader in ReadersOf(Source(node.Inputs[0])))
                {
                    if (reader.Op.IsUpdate || _done.Contains(reader)) continue;
                    var needed = Needed(reader);
                    // What needs the new content cannot come first.
                    if (needed.Overlaps(_begun)) continue;
                    foreach (var before in needed.OrderBy(n => n.Id)) Put(before);
                }
                _begun.Remove(node);
            }
            _done.Add(node);
            Nodes.Add(node);
        }

        private static Tensor Source(Tensor tensor)
        {
            while (tensor.Node.Op.IsAlias) tensor = tensor.Node.Inputs[0];
            return tensor;
        }

        /// <summary>Who reads a tensor, under this or another name.</summary>
        private IEnumerable<Node> ReadersOf(Tensor tensor) => _readers[tensor].SelectMany(n => n.Op.IsAlias ? ReadersOf(n.Outputs[0]) : [n]);

        /// <summary>The node and all before it that are not there yet.</summary>
        private HashSet<Node> Needed(Node node)
        {
            var needed = new HashSet<Node> { node };
            var open = new Stack<Node>([node]);
            while (open.TryPop(out var next))
                foreach (var input in next.Inputs)
                    if (!_done.Contains(input.Node) && needed.Add(input.Node)) open.Push(input.Node);
            return needed;
        }
    }
}
