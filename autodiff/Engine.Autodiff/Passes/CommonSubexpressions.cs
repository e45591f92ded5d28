using Engine.Kernels;

namespace Engine.Autodiff.Passes;

/// <summary>Computes equal ops on equal inputs once. Versions of a variable are different tensors, so their reads never merge.</summary>
internal static class CommonSubexpressions
{
    public static Graph Run(Graph graph)
    {
        var seen = new Dictionary<(Graph, Op, Inputs), Tensor[]>();
        return GraphCopy.Run(graph, _ => true, (node, target, map) =>
        {
            if (node.Op is Repeat || node.Op is Leaf and not Constant) return null;
            var inputs = Array.ConvertAll(node.Inputs, t => map[t]);
            var key = (target, node.Op, new Inputs(inputs));
            if (seen.TryGetValue(key, out var known)) return known;
            return seen[key] = target.AppendTranslated(node.Op, inputs, node.OutputTypes, null, node.Scope).Outputs;
        });
    }

    private readonly struct Inputs(Tensor[] tensors) : IEquatable<Inputs>
    {
        private readonly Tensor[] _tensors = tensors;

        public bool Equals(Inputs other) => _tensors.AsSpan().SequenceEqual(other._tensors);

        public override bool Equals(object? obj) => obj is Inputs other && Equals(other);

        public override int GetHashCode()
        {
            var hash = new HashCode();
            foreach (var t in _tensors) hash.Add(t);
            return hash.ToHashCode();
        }
    }
}
