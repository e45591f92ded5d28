using Engine.Kernels;

namespace Engine.Autodiff.Passes;

/// <summary>
/// Takes an elementwise expression (or op) into the reduction that reads it: the values are reduced as they are computed. Without other readers they never reach memory; otherwise they are
/// written once and not read again for the reduction. The order of the sums stays.
/// </summary>
internal static class ReductionFusion
{
    public static Graph Run(Graph graph, Device device)
    {
        var rewrites = new Rewrites();
        Find(graph, new Readers(graph), device, rewrites);
        return rewrites.Apply(graph);
    }

    private static void Find(Graph graph, Readers readers, Device device, Rewrites rewrites)
    {
        var taken = new HashSet<Node>(); // expressions fused into a reduction
        foreach (var node in graph.Nodes)
        {
            if (node.Body is { } body) Find(body, readers, device, rewrites);
            if (node.Op is not Reduce reduction) continue;
            // Aliases between the two become steps of the expression.
            var aliases = new Stack<Op>();
            var value = node.Inputs[0];
            while (readers.Only(value) is not null && value.Node.Op.IsAlias)
            {
                aliases.Push(value.Node.Op);
                value = value.Node.Inputs[0];
            }
            bool store = readers.Only(value) is null;
            // Stored values keep their place, and their shape.
            if (value.Graph != graph || (store && aliases.Count > 0) || !taken.Add(value.Node)) continue;
            var inputs = value.Node.Inputs;
            Fused expression;
            if (value.Node.Op is Fused fused) expression = fused;
            else if (value.Node.Op.IsElementwise)
            {
                inputs = inputs.Distinct().ToArray();
                expression = new Fused(inputs.Length, [new FusedStep(value.Node.Op, Array.ConvertAll(value.Node.Inputs, t => Array.IndexOf(inputs, t)))]);
            }
            else continue;
            var steps = expression.Steps.ToList();
            foreach (var next in aliases.Append(reduction)) steps.Add(new FusedStep(next, [inputs.Length + steps.Count - 1]));
            int last = inputs.Length + steps.Count - 1;
            var op = new Fused(inputs.Length, steps, store ? [last - 1, last] : [last]);
            var types = Array.ConvertAll(inputs, t => t.Type);
            if (!device.Prefers(op, types, op.Infer(types))) taken.Remove(value.Node);
            else if (store) rewrites.Replace(value.Node, inputs, [value, node.Outputs[0]], (target, at) => target.AppendTranslated(op, at, [value.Type, node.Outputs[0].Type], null, node.Scope).Outputs);
            else rewrites.Replace(node, op, inputs);
        }
    }
}
