using Engine.Kernels;

namespace Engine.Autodiff.Passes;

/// <summary>
/// Makes one <see cref="Fused"/> of connected elementwise ops, so that intermediate values never reach memory. A value is fused into its readers when all of
/// them already belong to one expression: nothing is computed twice, an expression has one result, and it takes the place of its last op. Every op rounds as
/// before: the bits do not change.
/// </summary>
internal sealed class ElementwiseFusion
{
    // More would leave a tile too few elements, and a kernel too many operands (three an op at most).
    private const int MaxSteps = 20;

    private readonly Device _device;
    private readonly Rewrites _rewrites = new();

    private ElementwiseFusion(Device device) => _device = device;

    public static Graph Run(Graph graph, Device device)
    {
        var pass = new ElementwiseFusion(device);
        pass.Group(graph);
        return pass._rewrites.Apply(graph);
    }

    private void Group(Graph graph)
    {
        // The root of the one expression that reads a node so far; null: several, or something outside of all.
        var readBy = new Dictionary<Node, Node?>();
        var members = new Dictionary<Node, List<Node>>(); // root -> members, last first
        void Read(Tensor tensor, Node? by) => readBy[tensor.Node] = readBy.TryGetValue(tensor.Node, out var known) && known != by ? null : by;

        foreach (var tensor in graph.Results.Concat(graph.Outputs.Values).Concat(graph.Assigned.Values)) Read(tensor, null);
        for (int id = graph.Nodes.Count - 1; id >= 0; id--)
        {
            var node = graph.Nodes[id];
            if (node.Body is { } body) Group(body);
            Node? root = null;
            if (readBy.GetValueOrDefault(node) is { } candidate && Joins(node, candidate) && members[candidate].Count < MaxSteps) members[root = candidate].Add(node);
            else if (node.Op.IsElementwise) members[root = node] = [node];
            foreach (var input in node.Inputs) Read(input, root);
        }
        foreach (var (root, nodes) in members) Build(root, nodes);
    }

    /// <summary>Whether the node can be a step of the expression that ends in a root: the same number of elements, in the same order.</summary>
    private static bool Joins(Node node, Node root) =>
        node.Outputs[0].Type.Elements == root.Outputs[0].Type.Elements && (node.Op.IsElementwise || node.Op is Broadcast || node.Op.IsAlias);

    private void Build(Node root, List<Node> nodes)
    {
        nodes.Reverse();
        // An alias of an outside value costs nothing outside either; a broadcast would be materialised.
        var inside = new HashSet<Node>();
        foreach (var node in nodes)
            if (!node.Op.IsAlias || inside.Contains(node.Inputs[0].Node)) inside.Add(node);
        if (inside.Count < 2) return;

        var numbers = new Dictionary<Tensor, int>();
        var inputs = new List<Tensor>();
        foreach (var node in nodes.Where(inside.Contains))
            foreach (var input in node.Inputs)
                if (!inside.Contains(input.Node) && numbers.TryAdd(input, inputs.Count)) inputs.Add(input);
        var steps = new List<FusedStep>();
        foreach (var node in nodes.Where(inside.Contains))
        {
            steps.Add(new FusedStep(node.Op, Array.ConvertAll(node.Inputs, t => numbers[t])));
            numbers[node.Outputs[0]] = inputs.Count + steps.Count - 1;
        }
        var op = new Fused(inputs.Count, steps);
        if (_device.Prefers(op, inputs.Select(t => t.Type).ToArray(), root.OutputTypes)) _rewrites.Replace(root, op, inputs.ToArray());
    }
}
