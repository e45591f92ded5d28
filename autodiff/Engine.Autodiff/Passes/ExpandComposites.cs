using Engine.Kernels;

namespace Engine.Autodiff.Passes;

/// <summary>Lowers composites without a kernel on the device (or all, when fused kernels are off) to their definitions.</summary>
internal static class ExpandComposites
{
    public static Graph WithoutKernel(Graph graph, Device device) => Run(graph, node => !device.Implements(node.Op, node.InputTypes, node.OutputTypes));

    public static Graph All(Graph graph, Device device) => Run(graph, _ => true);

    private static Graph Run(Graph graph, Predicate<Node> expand)
    {
        // A definition may itself hold composites; each round removes one level.
        for (int round = 0; round < 8; round++)
        {
            bool changed = false;
            graph = GraphCopy.Run(graph, _ => true, (node, target, map) =>
            {
                if (node.Op is not Composite composite || !expand(node)) return null;
                changed = true;
                // The definition belongs where the composite was, even if all its inputs come from an outer graph.
                using (target.Scope(node.Scope.Length > 0 ? $"{node.Scope}/{composite.Name}" : composite.Name))
                    return CompositeDefinitions.Expand(composite, Array.ConvertAll(node.Inputs, t => map[t]));
            });
            if (!changed) return graph;
        }
        throw new InvalidOperationException("a composite's definition contains itself");
    }
}
