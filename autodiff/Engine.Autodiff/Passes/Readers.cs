namespace Engine.Autodiff.Passes;

/// <summary>Who reads the tensors of a graph and of the bodies in it: what a pass must know before it lets a value disappear.</summary>
internal sealed class Readers
{
    private readonly Dictionary<Tensor, List<Node>> _readers = [];
    private readonly HashSet<Tensor> _kept = [];

    public Readers(Graph graph) => Add(graph);

    private void Add(Graph graph)
    {
        foreach (var tensor in graph.Outputs.Values.Concat(graph.Assigned.Values).Concat(graph.Results)) _kept.Add(tensor);
        foreach (var node in graph.Nodes)
        {
            foreach (var input in node.Inputs)
            {
                if (!_readers.TryGetValue(input, out var list)) _readers[input] = list = [];
                list.Add(node);
            }
            if (node.Body is { } body) Add(body);
        }
    }

    /// <summary>The only node that reads the tensor, once, if nothing else needs it: then the node that made it may disappear into that one. Else null.</summary>
    public Node? Only(Tensor tensor) => !_kept.Contains(tensor) && _readers.TryGetValue(tensor, out var list) && list.Count == 1 ? list[0] : null;

    /// <summary>The nodes that read the tensor, one that reads it twice twice.</summary>
    public IReadOnlyList<Node> Of(Tensor tensor) => _readers.TryGetValue(tensor, out var list) ? list : [];

    /// <summary>Whether any node reads the tensor.</summary>
    public bool IsRead(Tensor tensor) => _readers.ContainsKey(tensor);

    /// <summary>Whether the tensor is an output, a variable's new value or a loop's result.</summary>
    public bool IsKept(Tensor tensor) => _kept.Contains(tensor);
}
