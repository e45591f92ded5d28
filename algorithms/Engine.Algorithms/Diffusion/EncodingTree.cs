namespace Engine.Algorithms.Diffusion;

/// <summary>
/// A partition of the vertices of a weighted graph into communities, and of those again: what structural entropy is measured along (Li and Pan 2016, "Structural Information and Dynamical Complexity of Networks"). Sums in double precision;
/// logarithms to base 2, bits.
/// </summary>
public sealed class EncodingTree
{
    private readonly int[] _parents;

    /// <summary>Measures a tree.</summary>
    /// <param name="weights">[n, n], symmetric, none below 0.</param>
    /// <param name="parents">Of every node; nodes 0 to n - 1 are the vertices, the root, whose parent is -1, is the last.</param>
    public EncodingTree(double[,] weights, int[] parents)
    {
        (_parents, int n) = (parents, weights.GetLength(0));
        (Volume, Cut, NodeEntropy) = (new double[parents.Length], new double[parents.Length], new double[parents.Length]);
        var members = Members(n);
        for (int node = 0; node < parents.Length; node++)
        {
            double inside = 0;
            foreach (int i in members[node])
            {
                for (int j = 0; j < n; j++) Volume[node] += weights[i, j];
                foreach (int j in members[node]) inside += weights[i, j];
            }
            Cut[node] = Volume[node] - inside;
        }
        double all = Volume[^1];
        for (int node = 0; node < parents.Length - 1; node++)
            if (Cut[node] > 0) NodeEntropy[node] = -Cut[node] / all * Math.Log2(Volume[node] / Volume[parents[node]]);
    }

    /// <summary>Of every node, the sum of the degrees of its vertices.</summary>
    public double[] Volume { get; }

    /// <summary>Of every node, the weight that leaves it.</summary>
    public double[] Cut { get; }

    /// <summary>-cut / volume of the root log2(volume / volume of the parent); 0 of the root.</summary>
    public double[] NodeEntropy { get; }

    /// <summary>Their sum.</summary>
    public double Entropy => NodeEntropy.Sum();

    /// <summary>The parent of a node; -1 of the root.</summary>
    public int Parent(int node) => _parents[node];

    /// <summary>The nodes right below one.</summary>
    public IEnumerable<int> Children(int node) => Enumerable.Range(0, _parents.Length).Where(c => _parents[c] == node);

    /// <summary>Entropy without any communities: that of the degrees.</summary>
    public static double OneDimensional(double[,] weights)
    {
        double[] degrees = Degrees(weights);
        double all = degrees.Sum();
        return degrees.Where(d => d > 0).Sum(d => -d / all * Math.Log2(d / all));
    }

    /// <summary>The tree of communities by levels, the coarsest first; communities of one vertex have nodes of their own.</summary>
    /// <param name="weights">[n, n]</param>
    /// <param name="levels">Of each level, the community of every vertex, by the smallest vertex in it; each level refines the one before.</param>
    public static EncodingTree Of(double[,] weights, IReadOnlyList<int[]> levels)
    {
        int n = weights.GetLength(0);
        var parents = new List<int>(new int[n]);
        var nodes = new List<Dictionary<int, int>>();
        foreach (int[] level in levels)
        {
            nodes.Add(level.Distinct().ToDictionary(c => c, _ => { parents.Add(0); return parents.Count - 1; }));
            // A node's parent is that of its vertices in the level before; the root comes last.
            foreach (var (community, node) in nodes[^1]) parents[node] = nodes.Count == 1 ? -2 : nodes[^2][levels[nodes.Count - 2][community]];
        }
        for (int i = 0; i < n; i++) parents[i] = nodes[^1][levels[^1][i]];
        parents.Add(-1);
        return new EncodingTree(weights, [.. parents.Select(p => p == -2 ? parents.Count - 1 : p)]);
    }

    /// <summary>Row sums.</summary>
    internal static double[] Degrees(double[,] weights)
    {
        var degrees = new double[weights.GetLength(0)];
        for (int i = 0; i < degrees.Length; i++)
            for (int j = 0; j < degrees.Length; j++) degrees[i] += weights[i, j];
        return degrees;
    }

    private List<int>[] Members(int n)
    {
        var members = new List<int>[_parents.Length];
        for (int node = 0; node < members.Length; node++) members[node] = [];
        for (int i = 0; i < n; i++)
            for (int node = i; node >= 0; node = _parents[node]) members[node].Add(i);
        return members;
    }
}
