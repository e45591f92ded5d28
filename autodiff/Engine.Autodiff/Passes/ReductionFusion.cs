using Engine.Kernels;

namespace Engine.Autodiff.Passes;

/// <summary>Takes the elementwise expression (or op) that only a reduction reads into the reduction: its values never reach memory. The order of the sums stays.</summary>
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
        foreach (var node in graph.Nodes)
        {
            if (node.Body is { } body) Find(body, readers, device, rewrites);
            if (node.Op is not Reduce reduction || node.Outputs[0].Type.Rows) continue;
            // Aliases between the two become steps of the expression.
            var aliases = new Stack<Op>();
            var value = node.Inputs[0];
            while (readers.Only(value) is not null && value.Node.Op.IsAlias)
            {
                aliases.Push(value.Node.Op);
                value = value.Node.Inputs[0];
            }
            if (readers.Only(value) is null) continue;
            var inputs = value.Node.Inputs;
            FusedElementwise expression;
            if (value.Node.Op is FusedElementwise fused) expression = fused;
            else if (value.Node.Op.IsElementwise)
            {
                inputs = inputs.Distinct().ToArray();
                expression = new FusedElementwise(inputs.Length, [new FusedStep(value.Node.Op, Array.ConvertAll(value.Node.Inputs, t => Array.IndexOf(inputs, t)))]);
            }
            else continue;
            foreach (var alias in aliases)
                expression = new FusedElementwise(expression.InputCount, [.. expression.Steps, new FusedStep(alias, [expression.InputCount + expression.Steps.Count - 1])]);
            var op = new FusedReduce(expression, reduction);
            if (device.Prefers(op, Array.ConvertAll(inputs, t => t.Type), node.OutputTypes)) rewrites.Replace(node, op, inputs);
        }
    }
}
