namespace Engine.Autodiff.Passes;

/// <summary>Who reads the tensors of a graph and of the bodies in it: what a pass must know before it lets a value disappear.</summary>
internal sealed class Readers
{
    private readonly Dictionary<Tensor, List<Node>> _readers = [];
    private readonly HashSet<Tensor> _kept = [];

    public Readers(Graph graph)
    {
        foreach (var tensor in graph.Outputs.Values.Concat(graph.Assigned.Values)) _kept.Add(tensor);
        Add(graph);
    }

    private void Add(Graph graph)
    {
        foreach (var result in graph.Results) _kept.Add(result);
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

    /// <summary>The only node that reads the tensor, if there is exactly one, which reads it once, and nothing else needs it; else null.</summary>
    public Node? Only(Tensor tensor) => !_kept.Contains(tensor) && _readers.TryGetValue(tensor, out var list) && list.Count == 1 ? list[0] : null;

    /// <summary>Whether the tensor is an output, a variable's new value or a loop's result.</summary>
    public bool IsKept(Tensor tensor) => _kept.Contains(tensor);
}
