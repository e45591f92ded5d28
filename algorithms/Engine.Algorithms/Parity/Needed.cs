using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Parity;

/// <summary>
/// What the results that a fixture records depend on. A fixture may record a part of a method, such as its values without its policy; then it need not state the parameters and draws of the rest.
/// </summary>
internal sealed class Needed
{
    private readonly HashSet<Node> _nodes = [];
    private readonly HashSet<string> _variables = [];
    private readonly IReadOnlyList<Graph> _graphs;

    /// <summary>Follows results back to inputs and variables; what a variable becomes matters to whoever reads it in a later update.</summary>
    /// <param name="graphs">The updates.</param>
    /// <param name="results">Names of outputs and of variables.</param>
    public Needed(IReadOnlyList<Graph> graphs, IEnumerable<string> results)
    {
        _graphs = graphs;
        foreach (string name in results)
        {
            foreach (var graph in graphs.Where(g => g.Outputs.ContainsKey(name))) Follow(graph.Outputs[name]);
            Variable(name);
        }
    }

    /// <summary>Whether the results depend on an input of one of the updates.</summary>
    public bool Input(Tensor input) => _nodes.Contains(input.Node);

    /// <summary>Whether they depend on a variable.</summary>
    public bool Variables(string name) => _variables.Contains(name);

    private void Variable(string name)
    {
        if (!_variables.Add(name)) return;
        foreach (var graph in _graphs)
            if (graph.Assigned.TryGetValue(name, out var value)) Follow(value);
    }

    private void Follow(Tensor tensor)
    {
        var open = new Stack<Node>([tensor.Node]);
        while (open.TryPop(out var node))
        {
            if (!_nodes.Add(node)) continue;
            if (node.Op is VariableRead read) Variable(read.Path);
            foreach (var input in node.Inputs) open.Push(input.Node);
        }
    }
}
